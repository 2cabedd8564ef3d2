"""Converts one shard: a pure function of its plan, its source and the options."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from typing import Any

from pcr_tf import _native
from pcr_tf.convert.errors import UnreadableItemError, UnsupportedImageError
from pcr_tf.convert.options import ConvertOptions
from pcr_tf.convert.plan import ShardPlan
from pcr_tf.convert.sources import Source, SourceItem
from pcr_tf.format import filesystem
from pcr_tf.format.dataset_index import load_shard_index
from pcr_tf.format.example import bytes_features, feature_keys, with_features
from pcr_tf.format.writer import PcrWriter

# Called after each item with: images, bytes of them as they came, bytes as they are stored.
Progress = Callable[[int, int, int], None]


@dataclasses.dataclass
class ShardResult:
    """What one shard holds, beyond what its own index says. JSON-serializable by
    `dataclasses.asdict`.

    Attributes:
        source_bytes, stored_bytes: bytes of the images as they came, and of their slices.
        opaque, encoded, skipped: {"name", "reason", "detail"} of images kept byte for byte, encoded
            anew, and left out.
    """

    name: str
    file_bytes: int = 0
    footer_checksum: int = 0
    records: int = 0
    examples: int = 0
    images: int = 0
    source_bytes: int = 0
    stored_bytes: int = 0
    opaque: list[dict[str, str]] = dataclasses.field(default_factory=list)
    encoded: list[dict[str, str]] = dataclasses.field(default_factory=list)
    skipped: list[dict[str, str]] = dataclasses.field(default_factory=list)

    @staticmethod
    def from_json(fields: dict[str, Any]) -> ShardResult:
        """The inverse of `dataclasses.asdict`; TypeError where the fields are others."""
        return ShardResult(**fields)


def convert_shard(
    plan: ShardPlan, source: Source, options: ConvertOptions, progress: Progress
) -> ShardResult:
    """Writes the shard under its final name, replacing what is there, and returns what it holds.

    Raises:
        UnreadableItemError: an item cannot be read and the policy is to fail.
        UnsupportedImageError: an image cannot be re-coded losslessly and the policy is to fail.
        OSError: the shard cannot be written; names the file.
    """
    result = ShardResult(plan.name)
    path = filesystem.join(options.output, plan.name)
    with PcrWriter(
        path,
        image_features=options.image_features,
        scan_script=options.scan_script,
        examples_per_record=options.images_per_record,
        prove=options.prove,
    ) as writer:
        converter = _ItemConverter(writer, source, options, result)
        for item in plan.items:
            before = dataclasses.replace(writer.statistics)
            converter.add(item)
            after = writer.statistics
            progress(
                after.images - before.images,
                after.source_bytes - before.source_bytes,
                after.stored_bytes - before.stored_bytes,
            )
    statistics = writer.statistics
    result.records, result.examples = statistics.records, statistics.examples
    result.images = statistics.images
    result.source_bytes, result.stored_bytes = statistics.source_bytes, statistics.stored_bytes
    index = load_shard_index(path)
    result.file_bytes, result.footer_checksum = index.file_bytes, index.footer_checksum
    return result


class _ItemConverter:
    """Applies the policies to one item after the other."""

    def __init__(
        self, writer: PcrWriter, source: Source, options: ConvertOptions, result: ShardResult
    ) -> None:
        self._writer = writer
        self._source = source
        self._options = options
        self._result = result
        self._script = _native.ScanScript(options.scan_script or "")

    def add(self, item: SourceItem) -> None:
        try:
            example = self._source.read(item)
            images = self._images(item, example)
        except UnreadableItemError as error:
            if self._options.on_unreadable == "fail":
                raise UnreadableItemError(
                    error.name, f"{error.why}; leave such items out with --on_unreadable=skip"
                ) from error
            self._skip(item, "unreadable", error.why)
            return
        # A record cannot give an example back, so policies that change or drop it look before they
        # write.
        if self._options.on_unsupported in ("skip", "encode"):
            unsupported = self._unsupported(images)
            if unsupported and self._options.on_unsupported == "skip":
                self._skip(item, *unsupported[0][2:])
                return
            example = self._encode(item, example, images, unsupported)
        self._write(item, example)

    def _images(self, item: SourceItem, example: bytes) -> dict[str, list[bytes]]:
        features = self._options.image_features
        try:
            images = bytes_features(example, features)
        except ValueError as error:
            raise UnreadableItemError(item.name, str(error)) from error
        if not any(images.values()):
            raise UnreadableItemError(
                item.name,
                f"no image feature; expected {' or '.join(features)}, got "
                f"{', '.join(feature_keys(example)) or 'no features'}; name it with "
                "--image_feature",
            )
        return images

    def _unsupported(self, images: dict[str, list[bytes]]) -> list[tuple[str, int, str, str]]:
        """(feature, position, reason, detail) of the images that cannot be re-coded losslessly."""
        found = []
        for feature, values in images.items():
            for position, image in enumerate(values):
                coded = _native.transcode(image, self._script, prove=self._options.prove)
                if coded.coding == "opaque":
                    found.append((feature, position, coded.reason, coded.detail))
        return found

    def _encode(
        self,
        item: SourceItem,
        example: bytes,
        images: dict[str, list[bytes]],
        unsupported: list[tuple[str, int, str, str]],
    ) -> bytes:
        """The example with its unsupported images encoded anew; what Pillow cannot read stays."""
        changed: dict[str, list[bytes]] = {}
        for feature, position, reason, detail in unsupported:
            jpeg = encode_jpeg(images[feature][position], self._options.encode_quality)
            if jpeg is not None:
                values = changed.setdefault(feature, list(images[feature]))
                values[position] = jpeg
                self._result.encoded.append(self._entry(item, reason, detail))
        if not changed:
            return example
        return with_features(example, {**self._source.reencoded_features(), **changed})

    def _write(self, item: SourceItem, example: bytes) -> None:
        try:
            summaries = self._writer.write(example)
        except ValueError as error:
            raise UnreadableItemError(item.name, str(error)) from error
        for summary in summaries:
            if summary.coding != "opaque":
                continue
            if self._options.on_unsupported == "fail":
                raise UnsupportedImageError(
                    f"{item.name}: cannot be re-coded losslessly: {summary.reason}: "
                    f"{summary.detail}; "
                    "choose another policy with --on_unsupported=keep, skip or encode"
                )
            self._result.opaque.append(self._entry(item, summary.reason, summary.detail))

    def _skip(self, item: SourceItem, reason: str, detail: str) -> None:
        self._result.skipped.append(self._entry(item, reason, detail))

    def _entry(self, item: SourceItem, reason: str, detail: str) -> dict[str, str]:
        # Manifests must not depend on where the source stands.
        name = self._source.key(item)
        return {"name": name, "reason": reason, "detail": detail.replace(item.path, name)}


def encode_jpeg(image: bytes, quality: int) -> bytes | None:
    """An image of any format that Pillow reads, as a baseline JPEG; None where Pillow cannot read
    it.

    Lossy. The first frame of an animation is taken; transparency is laid on white; samples of more
    than 8 bits are scaled to 8.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(image)) as opened:
            picture = _without_alpha(opened)
    except Exception:  # Pillow's decoders raise whatever comes: struct.error, SyntaxError, ...
        return None
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _without_alpha(picture: Any) -> Any:
    from PIL import Image

    if picture.mode in ("L", "RGB", "CMYK"):
        picture.load()
        return picture.copy()
    if picture.mode.startswith("I;16") or picture.mode == "I":
        return picture.convert("I").point(lambda value: value / 257).convert("L")
    if picture.mode == "1":
        return picture.convert("L")
    if "A" in picture.mode or "transparency" in picture.info:
        coloured = picture.convert("RGBA")
        white = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, coloured).convert("RGB")
    return picture.convert("RGB")
