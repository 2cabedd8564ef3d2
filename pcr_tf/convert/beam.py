"""A conversion by many machines: the job of `pcr_tf.convert.job` as an Apache Beam transform.

No machine holds the list of all items. Each part of the source (a file, a folder in the root) is
listed separately; an item's rank in the shuffle follows from its key; ranks are counted by range,
and sorted within their range, which gives each item its position and so its shard. A worker holds
the items of one part, one range or one shard. One worker lists a source that is not a
`PartedSource` (tables, builders). What reading needs travels as `SourceContext`, in the side input
that every worker gets; the source itself never changes.

Needs Apache Beam: ``pip install 'pcr-tf[beam]'``.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam

from pcr_tf.convert.errors import ConvertError, remedy_of_unreadable
from pcr_tf.convert.job.conversion_state import OutputState, job_fingerprint
from pcr_tf.convert.job.job_state import check_output_is_outside
from pcr_tf.convert.job.manifest import finished_manifest, write_manifest
from pcr_tf.convert.job.options import ConvertOptions
from pcr_tf.convert.job.plan import ShardCuts, ShardPlan, shuffle_rank
from pcr_tf.convert.job.profile import check_profile_is_possible, fidelity_profile
from pcr_tf.convert.job.shard import ShardResult, convert_shard
from pcr_tf.convert.job.split import check_part, part_of_listing
from pcr_tf.convert.sources import ListingSummary, PartedSource, Source, SourceItem, make_source
from pcr_tf.convert.sources.base import merge_summaries
from pcr_tf.format.dataset_index import write_side_index
from pcr_tf.format.reader import PcrReader

# Ranks are counted and sorted by their first bytes: 65,536 ranges.
_RANGE_BYTES = 2

# An item in transit: its rank, the number of its part, its position there, and itself as JSON, in
# which file names need not be Unicode. Sorting a range puts its items in the right order.
_Ranked = tuple[bytes, int, int, bytes]


class ConvertToPcr(beam.PTransform):  # type: ignore[misc, unused-ignore]
    """Converts photographs to a PCR data set, applied to a pipeline.

    The output has the same bytes as that of a `Conversion` with the same options, manifest
    included; `num_workers` is ignored. All workers must reach `inputs` and `output` under these
    paths. Shards that an earlier run has finished are kept; a finished job does nothing. A bundle
    may run again, or twice at a time: files appear by renaming, whole and equal.

    The result is a collection of one element, the manifest as JSON text. Counters of the namespace
    "pcr_tf" count the images, source_bytes and stored_bytes that were converted.

    Example:
      with beam.Pipeline(options=PipelineOptions()) as pipeline:
          options = ConvertOptions(inputs=("gs://b/photos",), output="gs://b/photos.pcr")
          pipeline | ConvertToPcr(options)
    """

    def __init__(self, options: ConvertOptions) -> None:
        """Does not look at any file yet.

        Raises:
          ConvertError: there is a split, and `options.part` does not choose one of its parts.
        """
        super().__init__()
        options.check_is_one_job()
        self._options = options

    def expand(self, pipeline: Any) -> Any:
        """Raises ConvertError if there is nothing at the inputs, or the output is inside them."""
        options = self._options
        source = make_source(
            options.input_format, options.inputs, options.image_features, options.source_options
        )
        check_output_is_outside(options.output, options.inputs)
        names = source.part_names() if isinstance(source, PartedSource) else [""]
        parts = [(number, os.fsencode(name)) for number, name in enumerate(names)]
        listed = (
            pipeline
            | "Parts" >> beam.Create(parts, reshuffle=False)
            | "Spread parts" >> beam.Reshuffle()
            | "List" >> beam.ParDo(_List(source, options)).with_outputs("parts", main="items")
        )
        start = pipeline | "Start" >> beam.Create([None], reshuffle=False)
        job = beam.pvalue.AsSingleton(
            start
            | "Prepare" >> beam.Map(_prepare, beam.pvalue.AsList(listed.parts), source, options)
        )
        counts = listed["items"] | "Count by range" >> beam.combiners.Count.PerKey()
        firsts = beam.pvalue.AsSingleton(
            start | "Add up counts" >> beam.Map(_first_positions, beam.pvalue.AsList(counts))
        )
        results = (
            listed["items"]
            | "Group by range" >> beam.GroupByKey()
            | "Place" >> beam.ParDo(_Place(), firsts, job)
            | "Group by shard" >> beam.GroupByKey()
            | "Convert" >> beam.ParDo(_Convert(), job)
        )
        return start | "Finish" >> beam.Map(_finish, beam.pvalue.AsList(results), job)


@dataclasses.dataclass
class _Part:
    """The listing of a part of the source.

    Attributes:
      number: its position among the parts.
      listed: all its items. selected: those that are in the part of the split.
    """

    number: int
    listed: ListingSummary
    selected: ListingSummary


@dataclasses.dataclass
class _Job:
    """What all workers get once everything is listed.

    Attributes:
      listing: of the source, or of the part of a split; reading needs its context.
      labels: for each part of the source, its own labels -> those of the data set.
    """

    options: ConvertOptions
    source: Source
    listing: ListingSummary
    labels: list[list[int]]
    is_finished: bool

    @property
    def cuts(self) -> ShardCuts:
        return ShardCuts(self.listing.num_items, self.listing.source_bytes, self.options)


class _List(beam.DoFn):  # type: ignore[misc, unused-ignore]
    """Lists a part: its items by range of ranks, and, as output "parts", its summary."""

    def __init__(self, source: Source, options: ConvertOptions) -> None:
        super().__init__()
        self._source = source
        self._options = options

    def process(self, part: tuple[int, bytes]) -> Iterator[Any]:
        number, name = part[0], os.fsdecode(part[1])
        source, options = self._source, self._options
        skip_unreadable = options.on_unreadable == "skip"
        with remedy_of_unreadable():
            if isinstance(source, PartedSource):
                listed = source.list_part(name, skip_unreadable=skip_unreadable)
            else:
                listed = source.list_items(skip_unreadable=skip_unreadable)
        selected = listed
        if options.split:
            selected = part_of_listing(
                source, listed, options.split_seed, options.split, options.part
            )
        yield beam.pvalue.TaggedOutput("parts", _Part(number, listed.summary(), selected.summary()))
        for position, item in enumerate(selected.items):
            rank, key = b"", number
            if options.shuffle:
                rank = shuffle_rank(options.shuffle_seed, source.key(item))
                key = int.from_bytes(rank[:_RANGE_BYTES], "big")
            ranked: _Ranked = (rank, number, position, json.dumps(item).encode())
            yield key, ranked


def _prepare(_: None, parts: list[_Part], source: Source, options: ConvertOptions) -> _Job:
    """Merges the listings, and begins the output or finds it finished."""
    if not parts:
        raise ConvertError(f"{', '.join(options.inputs)}: there is nothing; expected files")
    parts = sorted(parts, key=lambda part: part.number)
    if isinstance(source, PartedSource):
        whole = source.merge([part.listed for part in parts])
    else:
        whole = parts[0].listed
    labels = [part.listed.labels_in(whole) for part in parts]
    listing = merge_summaries([part.selected for part in parts], whole.digests, whole.context)
    if options.split:
        check_part(options.part, listing.num_items, whole.num_items)
    job = _Job(options, source, listing, labels, is_finished=False)
    check_profile_is_possible(options.profile_images)
    state, names = OutputState(options.output), job.cuts.shard_names()
    fingerprint = job_fingerprint(options, listing.digests)
    state.check_output(fingerprint, names)
    state.make_folder()
    state.begin(fingerprint)
    job.is_finished = state.is_finished()
    return job


def _first_positions(_: None, counts: Sequence[tuple[int, int]]) -> dict[int, int]:
    """The position of the first item of each range, from the number of items in each."""
    firsts, position = {}, 0
    for key, count in sorted(counts):
        firsts[key] = position
        position += count
    return firsts


class _Place(beam.DoFn):  # type: ignore[misc, unused-ignore]
    """Gives the items of a range their positions; the output is keyed by shard."""

    def process(
        self, group: tuple[int, Iterable[_Ranked]], firsts: dict[int, int], job: _Job
    ) -> Iterator[tuple[int, tuple[int, bytes]]]:
        if job.is_finished:
            return
        key, ranked = group
        cuts = job.cuts
        for position, (_, part, _, data) in enumerate(sorted(ranked), firsts[key]):
            item = SourceItem(*json.loads(data)).relabeled(job.labels[part])
            yield cuts.shard_of(position), (position, json.dumps(item).encode())


class _Convert(beam.DoFn):  # type: ignore[misc, unused-ignore]
    """Converts a shard, unless it is finished; the output is its result as JSON."""

    def process(self, group: tuple[int, Iterable[tuple[int, bytes]]], job: _Job) -> Iterator[str]:
        number, placed = group[0], sorted(group[1])
        cuts = job.cuts
        if [position for position, _ in placed] != list(cuts.shard_positions(number)):
            raise ConvertError(
                f"{cuts.shard_name(number)}: expected {len(cuts.shard_positions(number))} items in "
                f"a row, got {len(placed)}; the source has changed while it was listed"
            )
        state = OutputState(job.options.output)
        result = state.finished(cuts.shard_name(number))
        if result is None:
            items = [SourceItem(*json.loads(data)) for _, data in placed]
            plan = ShardPlan(number, cuts.shard_name(number), items, cuts.examples_per_record)
            result = convert_shard(plan, job.source, job.listing.context, job.options, _count)
            state.save(result)
        yield json.dumps(dataclasses.asdict(result))


def _count(images: int, source_bytes: int, stored_bytes: int) -> None:
    for name, value in (
        ("images", images),
        ("source_bytes", source_bytes),
        ("stored_bytes", stored_bytes),
    ):
        beam.metrics.Metrics.counter("pcr_tf", name).inc(value)


def _finish(_: None, texts: Sequence[str], job: _Job) -> str:
    """Writes the side index and the manifest of the finished shards; returns the manifest."""
    options, names = job.options, job.cuts.shard_names()
    state = OutputState(options.output)
    if job.is_finished:
        state.end(names)  # A job that was killed after its manifest left these.
        return json.dumps(finished_manifest(options.output))
    results = sorted(
        (ShardResult.from_json(json.loads(text)) for text in texts), key=lambda result: result.name
    )
    if [result.name for result in results] != names:
        raise ConvertError(f"{options.output}: expected {len(names)} shards, got {len(results)}")
    index = write_side_index(options.output)
    profile = fidelity_profile(
        PcrReader(options.output), num_images=options.profile_images, seed=options.shuffle_seed
    )
    manifest = write_manifest(index, options, job.source, job.listing, results, profile)
    state.end(names)
    state.remove_temporaries()  # They are of workers that were killed.
    return json.dumps(manifest)
