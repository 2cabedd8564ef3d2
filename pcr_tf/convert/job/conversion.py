"""The conversion job: lists, plans, and converts what is not finished; the manifest comes last."""

from __future__ import annotations

import dataclasses
import functools
import sys
import time
from typing import Any, TextIO

from pcr_tf.convert.errors import ConvertError, remedy_of_unreadable
from pcr_tf.convert.job.class_text import class_lines
from pcr_tf.convert.job.conversion_state import STATE_FOLDER, OutputState, job_fingerprint
from pcr_tf.convert.job.estimate import Estimate, estimate
from pcr_tf.convert.job.job_state import check_output_is_outside
from pcr_tf.convert.job.manifest import describe_listing, finished_manifest, write_manifest
from pcr_tf.convert.job.memory import MemoryBudget, default_max_memory_bytes
from pcr_tf.convert.job.options import ConvertOptions
from pcr_tf.convert.job.plan import Plan
from pcr_tf.convert.job.profile import check_profile_is_possible, fidelity_profile
from pcr_tf.convert.job.progress import ProgressDisplay, megabytes
from pcr_tf.convert.job.remarks import few_records
from pcr_tf.convert.job.shard import ShardResult, convert_shard
from pcr_tf.convert.job.split import check_part, part_of_listing
from pcr_tf.convert.job.workers import check_can_start_workers, run_jobs
from pcr_tf.convert.sources import Listing, Source, make_source
from pcr_tf.format import filesystem
from pcr_tf.format.dataset_index import write_side_index
from pcr_tf.format.reader import PcrReader


@dataclasses.dataclass(frozen=True)
class ConvertSummary:
    """What a job has done.

    Attributes:
        manifest: the data set's manifest.
        was_finished: whether nothing was left to do.
        resumed_shards: shards that an earlier run had finished.
        convert_s: time of this run, without the profile; images: images that it converted.
        profile_s: time that the profile took.
    """

    manifest: dict[str, Any]
    was_finished: bool
    resumed_shards: int
    convert_s: float
    images: int
    profile_s: float


class Conversion:
    """One job, listed and planned but not begun.

    Example:
        options = ConvertOptions(inputs=("photos/",), output="photos.pcr", num_workers=2)
        summary = Conversion(options).run()
    """

    def __init__(
        self, options: ConvertOptions, listed: tuple[Source, Listing] | None = None
    ) -> None:
        """Lists the source and plans. The source is only read, ever; the output is not touched yet.

        Args:
            listed: the source and its listing, where another part of the split has listed it.

        Raises:
            ConvertError: the source is empty, unreadable or not laid out as expected, or the output
                is in it.
        """
        options.check_is_one_job()
        self.options = options
        check_profile_is_possible(options.profile_images)
        self.source, listing = listed or _listed(options)
        check_output_is_outside(options.output, options.inputs)
        if options.split:
            num_listed = len(listing.items)
            listing = part_of_listing(
                self.source, listing, options.split_seed, options.split, options.part
            )
            check_part(options.part, len(listing.items), num_listed)
        self.listing = listing
        self.plan = Plan(self.source, listing.items, options)
        self._state = OutputState(options.output)
        self._fingerprint = job_fingerprint(options, listing.digests)

    def estimate(self) -> Estimate:
        """Converts a sample of the items to find out what the job takes; the output is not touched.

        Raises:
            ConvertError: as `run`, for an item of the sample.
        """
        return estimate(self.plan, self.source, self.listing.context, self.options, self._waiting())

    def is_finished(self) -> bool:
        """Whether an earlier run has done it all."""
        return not self._waiting() and self._state.is_finished()

    def describe(self) -> str:
        """The plan, for people: lines without a newline at the end.

        Raises:
            ConvertError: see `OutputState.check_output`.
        """
        cuts, options, listing = self.plan.cuts, self.options, self.listing
        order = f"shuffled with seed {options.shuffle_seed}" if options.shuffle else "as listed"
        lines = [
            f"source      {', '.join(options.inputs)} ({self.source.kind})",
            f"items       {cuts.num_items}, {megabytes(cuts.source_bytes)}, {order}",
            *self._class_lines(),
            f"ignored     {len(listing.ignored)} files and rows that are no part of it",
            f"unreadable  {len(listing.unreadable)}",
            f"records     {cuts.num_records} of {cuts.examples_per_record} images",
            *(f"note        {text}" for text in few_records(cuts.num_records, cuts.num_items)),
            f"shards      {cuts.num_shards}: {cuts.shard_name(0)} to {cuts.shard_names()[-1]}",
            f"output      {options.output}: {self._output_status()}",
        ]
        return "\n".join(lines)

    def run(self, *, quiet: bool = False, log: TextIO | None = None) -> ConvertSummary:
        """Converts every shard that is not finished.

        Worker processes start with the spawn method: a program that calls this keeps its own entry
        point under ``if __name__ == "__main__"``.

        Args:
            quiet: whether to show no progress. log: where to show it; standard error by default.

        Raises:
            ConvertError: the output is not this job's, a policy is "raise", or workers could not
                import the calling program.
            OSError: the output cannot be written; names the file.
            KeyboardInterrupt: passed on once the workers are stopped. The job can be resumed.
        """
        check_can_start_workers(self.options.num_workers)
        begun = time.monotonic()
        state, names = self._state, self.plan.cuts.shard_names()
        state.check_output(self._fingerprint, names)
        state.make_folder()
        with state.lock():
            state.check_output(self._fingerprint, names)
            state.begin(self._fingerprint)
            if not quiet:
                print("\n".join(self._class_lines()), file=log or sys.stderr)
            if state.is_finished():
                state.end(names)  # A job killed after its manifest left these.
                return ConvertSummary(
                    finished_manifest(self.options.output), True, len(names), 0.0, 0, 0.0
                )
            results = {name: state.finished(name) for name in names}
            resumed = sum(result is not None for result in results.values())
            if resumed and not quiet:
                print(
                    f"resuming: {resumed} of {len(names)} shards are finished",
                    file=log or sys.stderr,
                )
            try:
                images = self._convert(results, quiet, log)
                index = write_side_index(self.options.output)
                measured = time.monotonic()
                profile = self._profile(quiet, log)
                profile_s = time.monotonic() - measured
            except BaseException:
                state.remove_temporaries()
                raise
            complete = [result for result in results.values() if result is not None]
            manifest = write_manifest(
                index, self.options, self.source, self.listing.summary(), complete, profile
            )
            state.end(names)
        convert_s = time.monotonic() - begun - profile_s
        return ConvertSummary(manifest, False, resumed, convert_s, images, profile_s)

    def _convert(
        self, results: dict[str, ShardResult | None], quiet: bool, log: TextIO | None
    ) -> int:
        """Fills the gaps in `results`; returns the number of images converted."""
        names = list(results)
        waiting = [number for number, name in enumerate(names) if results[name] is None]
        items = sum(len(self.plan.shard(number).items) for number in waiting)
        # The largest first: no worker is left alone with a large shard at the end.
        waiting.sort(key=lambda number: -self.plan.shard(number).source_bytes)
        images = 0
        memory = None
        if self.options.num_workers > 1:
            memory = MemoryBudget(self.options.max_memory_bytes or default_max_memory_bytes())
        with ProgressDisplay(items, log, quiet=quiet) as display:
            if waiting:
                for result in run_jobs(
                    functools.partial(
                        convert_shard,
                        source=self.source,
                        context=self.listing.context,
                        options=self.options,
                        memory=memory,
                    ),
                    map(self.plan.shard, waiting),
                    num_workers=self.options.num_workers,
                    on_progress=display.update,
                ):
                    self._state.save(result)
                    results[result.name] = result
                    images += result.images
        return images

    def _waiting(self) -> list[int]:
        """Numbers of the shards that are not finished."""
        names = self.plan.cuts.shard_names()
        if not self._state.check_output(self._fingerprint, names):
            return list(range(len(names)))
        if self._state.is_finished():
            return []
        return [n for n, name in enumerate(names) if self._state.finished(name) is None]

    def _profile(self, quiet: bool, log: TextIO | None) -> dict[str, Any] | None:
        options = self.options
        if not quiet and options.profile_images:
            print(
                f"measuring MS-SSIM of up to {options.profile_images} images",
                file=log or sys.stderr,
            )
        return fidelity_profile(
            PcrReader(options.output), num_images=options.profile_images, seed=options.shuffle_seed
        )

    def _class_lines(self) -> list[str]:
        described = describe_listing(self.source, self.listing.summary())
        lines = class_lines({**described, "flags": self._fingerprint["flags"]})
        return [f"{heading:<12}{text}" for heading, text in lines]

    def _output_status(self) -> str:
        names = self.plan.cuts.shard_names()
        if not self._state.check_output(self._fingerprint, names):
            return "new"
        waiting = len(self._waiting())
        if not waiting and self._state.is_finished():
            return "finished, nothing to do"
        return f"{len(names) - waiting} of {len(names)} shards are finished"


def split_conversions(options: ConvertOptions) -> list[Conversion]:
    """The jobs of `options`: one for each part of `options.split`, or the only one.

    The source is listed once. Each part is written to a folder of its name below `options.output`,
    as a data set of its own; labels and class names are those of the whole source.

    Raises:
        ConvertError: as `Conversion`, or the output holds something else than parts.
    """
    jobs = split_options(options)
    check_output_is_outside(options.output, options.inputs)
    listed = _listed(options)
    return [Conversion(job, listed) for job in jobs]


def split_options(options: ConvertOptions) -> list[ConvertOptions]:
    """The options of the jobs of `options`, one for each part.

    Raises:
        ConvertError: the output holds something else than parts.
    """
    if not options.split:
        return [options]
    names = [name for name, _ in options.split]
    if filesystem.exists(options.output):
        if not filesystem.is_dir(options.output):
            raise ConvertError(
                f"{options.output}: exists and is not a folder; name a new folder with `output`"
            )
        there = filesystem.listdir(options.output)
        # Other hidden files, such as the .DS_Store of a file manager, do no harm.
        foreign = [
            name
            for name in there
            if name == STATE_FOLDER or (name not in names and not name.startswith("."))
        ]
        if foreign:
            raise ConvertError(
                f"{options.output}: holds {', '.join(foreign[:5])} beside the parts of the split "
                f"{', '.join(names)}; name a new or empty folder with `output`"
            )
    return [
        dataclasses.replace(options, output=filesystem.join(options.output, name), part=name)
        for name in names
    ]


def _listed(options: ConvertOptions) -> tuple[Source, Listing]:
    source = make_source(
        options.input_format, options.inputs, options.image_features, options.source_options
    )
    with remedy_of_unreadable():
        return source, source.list_items(skip_unreadable=options.on_unreadable == "skip")
