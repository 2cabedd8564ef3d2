"""Converts one shard: a pure function of its plan, its source with the context, and the options."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from pcr_tf import _native
from pcr_tf.convert.errors import ConvertError, UnreadableItemError, UnsupportedImageError
from pcr_tf.convert.job.encode import encode_images
from pcr_tf.convert.job.memory import MemoryBudget, coding_bytes
from pcr_tf.convert.job.options import ConvertOptions
from pcr_tf.convert.job.plan import ShardPlan
from pcr_tf.convert.job.workers import Report
from pcr_tf.convert.sources import Source, SourceContext, SourceItem
from pcr_tf.format import filesystem
from pcr_tf.format.dataset_index import load_shard_index
from pcr_tf.format.example import bytes_features, feature_keys, has_feature_lists
from pcr_tf.format.names import local_name
from pcr_tf.format.writer import PcrWriter


@dataclasses.dataclass
class ShardResult:
    """What one shard holds, beyond what its own index says. `dataclasses.asdict` makes JSON values
    of it.

    Attributes:
      turned: images whose EXIF orientation is not upright.
      source_bytes, stored_bytes: bytes of the source images, and of their slices.
      opaque, encoded, skipped: {"name", "reason", "detail"} of images kept byte for byte, encoded
        anew, and skipped. Encoded ones also have "frames", if there was more than the one taken,
        and "turned", the EXIF orientation, if the image was turned upright.
      skipped_labels: labels of the skipped ones, where they have any.
    """

    name: str
    file_bytes: int = 0
    footer_checksum: int = 0
    records: int = 0
    examples: int = 0
    images: int = 0
    turned: int = 0
    source_bytes: int = 0
    stored_bytes: int = 0
    opaque: list[dict[str, str]] = dataclasses.field(default_factory=list)
    encoded: list[dict[str, str]] = dataclasses.field(default_factory=list)
    skipped: list[dict[str, str]] = dataclasses.field(default_factory=list)
    skipped_labels: list[int] = dataclasses.field(default_factory=list)

    @staticmethod
    def from_json(fields: dict[str, Any]) -> ShardResult:
        """The inverse of `dataclasses.asdict`; raises TypeError if the fields differ."""
        result = ShardResult(**fields)
        result.name = local_name(result.name)
        return result


def convert_shard(
    plan: ShardPlan,
    source: Source,
    context: SourceContext,
    options: ConvertOptions,
    progress: Report,
    memory: MemoryBudget | None = None,
) -> ShardResult:
    """Writes the shard under its final name, replacing what is there, and returns what it holds.

    Args:
      context: that of the source's listing.
      memory: the budget that this process shares with others; None for no limit.

    Raises:
      UnreadableItemError: an item cannot be read and `on_unreadable` is "raise".
      UnsupportedImageError: an image cannot be transcoded and `on_unsupported` is "raise".
      ConvertError: a record is too large for the format.
      OSError: the shard cannot be written; the error names the file.
    """
    result = ShardResult(plan.name)
    path = filesystem.join(options.output, plan.name)
    with PcrWriter(
        path,
        image_features=options.image_features,
        scan_script=options.scan_script,
        examples_per_record=plan.examples_per_record,
        prove=options.prove,
    ) as writer:
        converter = _ItemConverter(writer, source, context, options, result, memory)
        statistics = writer.statistics
        for item in plan.items:
            images, source_bytes = statistics.images, statistics.source_bytes
            stored_bytes = statistics.stored_bytes
            converter.add(item)
            progress(
                statistics.images - images,
                statistics.source_bytes - source_bytes,
                statistics.stored_bytes - stored_bytes,
            )
        if plan.items:
            with _remedy_of_large_record(path, plan.items[-1]):
                writer.close()  # The last record may be short.
    result.records, result.examples = statistics.records, statistics.examples
    result.images, result.turned = statistics.images, statistics.turned
    result.source_bytes, result.stored_bytes = statistics.source_bytes, statistics.stored_bytes
    index = load_shard_index(path)
    result.file_bytes, result.footer_checksum = index.file_bytes, index.footer_checksum
    return result


@contextlib.contextmanager
def _remedy_of_large_record(path: str, last: SourceItem) -> Iterator[None]:
    """Names the record that the writer refuses, its `last` item, and the option that helps."""
    try:
        yield
    except ValueError as error:
        raise ConvertError(
            f"{path}: {error}, see `examples_per_record`; the last one is {last.name}"
        ) from error


class _ItemConverter:
    """Applies the policies to one item after another."""

    def __init__(
        self,
        writer: PcrWriter,
        source: Source,
        context: SourceContext,
        options: ConvertOptions,
        result: ShardResult,
        memory: MemoryBudget | None,
    ) -> None:
        self._writer = writer
        self._source = source
        self._context = context
        self._options = options
        self._result = result
        self._memory = memory

    def add(self, item: SourceItem) -> None:
        try:
            example = self._source.read(item, self._context)
            # A record cannot give an example back, so policies decide before it is written.
            transcoded = self._transcode(item, example)
            opaque = [n for n, s in enumerate(transcoded.summaries) if s.coding == "opaque"]
            if opaque and self._options.on_unsupported == "encode":
                transcoded = self._encode(item, example, transcoded, opaque)
        except UnreadableItemError as error:
            if self._options.on_unreadable == "raise":
                raise UnreadableItemError(
                    error.name, f"{error.why}; leave such items out with `on_unreadable=skip`"
                ) from error
            self._skip(item, "unreadable", error.why)
            return
        unsupported = [s for s in transcoded.summaries if s.coding == "opaque"]
        if unsupported and self._options.on_unsupported == "raise":
            summary = unsupported[0]
            raise UnsupportedImageError(
                f"{item.name}: cannot be re-coded losslessly: {summary.reason}: {summary.detail}; "
                "choose another policy with `on_unsupported=keep`, skip or encode"
            )
        if unsupported and self._options.on_unsupported == "skip":
            self._skip(item, unsupported[0].reason, unsupported[0].detail)
            return
        with _remedy_of_large_record(self._writer.path, item):
            summaries = self._writer.add(transcoded)
        for summary in summaries:
            if summary.coding == "opaque":
                self._result.opaque.append(self._entry(item, summary.reason, summary.detail))

    def _transcode(self, item: SourceItem, example: bytes) -> _native.CodedExample:
        try:
            with self._hold_memory(example):
                transcoded = self._writer.code(example)
            if transcoded.summaries:
                return transcoded
            keys = feature_keys(example)
            is_sequence = has_feature_lists(example)
        except ValueError as error:
            raise UnreadableItemError(item.name, str(error)) from error
        if is_sequence:
            raise UnreadableItemError(
                item.name,
                "a tf.train.SequenceExample, in whose feature lists no image can be transcoded; "
                "expected a tf.train.Example; write one for each image, or one with all images in "
                f"{self._options.image_features[0]}",
            )
        empty = [key for key in self._options.image_features if key in keys]
        if empty:
            raise UnreadableItemError(
                item.name, f"no image: expected a value or more of {' or '.join(empty)}, got none"
            )
        raise UnreadableItemError(
            item.name,
            f"no image feature; expected {' or '.join(self._options.image_features)}, got "
            f"{', '.join(keys) or 'no features'}; name it with `image_features`",
        )

    def _hold_memory(self, example: bytes) -> contextlib.AbstractContextManager[None]:
        """Memory for the largest of the example's images, which are transcoded in turn."""
        if self._memory is None:
            return contextlib.nullcontext()
        try:
            images = bytes_features(example, self._options.image_features).values()
        except ValueError:  # Not an example: the writer refuses it, with or without a budget.
            return contextlib.nullcontext()
        needs = (coding_bytes(image) for values in images for image in values)
        return self._memory.hold(max(needs, default=0))

    def _encode(
        self, item: SourceItem, example: bytes, transcoded: _native.CodedExample, opaque: list[int]
    ) -> _native.CodedExample:
        """The example with its images at the positions `opaque` encoded anew, if Pillow can."""
        try:
            changed, encoded = encode_images(
                example,
                bytes_features(example, self._options.image_features),
                opaque,
                quality=self._options.encode_quality,
                upright=self._options.encode_upright,
                other_features=self._source.reencoded_features(),
            )
        except ValueError as error:
            raise UnreadableItemError(item.name, str(error)) from error
        if not encoded:
            return transcoded
        result = self._transcode(item, changed)
        for position, image in encoded.items():
            summary = transcoded.summaries[position]
            entry = self._entry(item, summary.reason, summary.detail)
            if image.frames > 1:
                entry["frames"] = str(image.frames)
            if image.turned > 1:
                entry["turned"] = str(image.turned)
            self._result.encoded.append(entry)
        return result

    def _skip(self, item: SourceItem, reason: str, detail: str) -> None:
        self._result.skipped.append(self._entry(item, reason, detail))
        self._result.skipped_labels += [item.label] if item.label >= 0 else []

    def _entry(self, item: SourceItem, reason: str, detail: str) -> dict[str, str]:
        # Manifests must not depend on where the source is stored.
        name = self._source.key(item)
        return {"name": name, "reason": reason, "detail": detail.replace(item.path, name)}
