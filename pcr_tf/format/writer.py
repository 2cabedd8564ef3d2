"""`PcrWriter`: writes serialized ``tf.train.Example`` strings to one PCR file."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from pcr_tf import _native
from pcr_tf.format import filesystem
from pcr_tf.format.example import feature_keys
from pcr_tf.format.scan_scripts import load_scan_script
from pcr_tf.version import __version__

DEFAULT_IMAGE_FEATURE = "image/encoded"
# The EXIF orientation of an image that is stored as it is to be seen.
UPRIGHT = 1


def created_by() -> str:
    """Name and version of this writer, as headers and manifests carry them."""
    return f"pcr_tf {__version__}"


@dataclasses.dataclass(frozen=True)
class OpaqueImage:
    """An image that was kept byte for byte.

    Attributes:
        example: ordinal of its example in the file, from 0.
        reason: why, as a short code; detail: what the JPEG library or the marker walk said.
    """

    example: int
    reason: str
    detail: str


@dataclasses.dataclass
class WriterStatistics:
    """What a `PcrWriter` has written so far.

    Attributes:
        source_bytes: bytes of the images as they came.
        stored_bytes: bytes of their slices; group_bytes: of those in each scan group, 1 first.
        ancillary_bytes: bytes of segments that do not change pixels and of what followed the
            images; a record deflates them together, so they take less room than that.
        turned: images whose EXIF orientation is not upright.
        file_bytes: bytes handed to the file system, framing and metadata included.
    """

    examples: int = 0
    records: int = 0
    images: int = 0
    turned: int = 0
    source_bytes: int = 0
    stored_bytes: int = 0
    ancillary_bytes: int = 0
    group_bytes: list[int] = dataclasses.field(default_factory=list)
    file_bytes: int = 0
    opaque: list[OpaqueImage] = dataclasses.field(default_factory=list)


class PcrWriter:
    """Writes a PCR file; a drop-in for ``tf.io.TFRecordWriter``.

    The file is written under a temporary name in the same folder, made durable and renamed by
    `close`. Where the ``with`` block is left by an exception, or `abort` is called, no file appears
    under the final name. A writer whose write failed can only be aborted.

    A folder with a side index is read by that alone: after files were added to it or replaced, make
    it anew (`write_side_index`, or pcr-index), or new files are not seen and replaced ones refused.

    Example:
        with PcrWriter("photos.pcr", examples_per_record=256) as writer:
            for example in examples:
                writer.write(example.SerializeToString())
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        image_features: str | Sequence[str] = DEFAULT_IMAGE_FEATURE,
        scan_script: str | os.PathLike[str] | None = None,
        examples_per_record: int = 256,
        prove: bool = True,
    ) -> None:
        """Opens the temporary file and writes the header.

        Args:
            path: the final name; an existing file is replaced by `close`.
            image_features: key or keys of the bytes features that hold images.
            scan_script: None for the default script; a name, a file, or the text
                (`load_scan_script`).
            examples_per_record: examples in each record but the last, at least 1. A record is the
                unit of reading and is held in memory until it is full.
            prove: whether to decode the stored slices of each image again and compare the
                coefficients with the source's. An image that fails is kept byte for byte.

        Raises:
            ValueError: an argument is out of range, or the scan script is invalid.
            OSError: the file cannot be made.
        """
        if examples_per_record < 1:
            raise ValueError(f"examples_per_record; expected at least 1, got {examples_per_record}")
        features = [image_features] if isinstance(image_features, str) else list(image_features)
        self.path = os.fspath(path)
        self.statistics = WriterStatistics()
        self._examples_per_record = examples_per_record
        self._prove = prove
        script = _native.ScanScript(load_scan_script(scan_script))
        self.statistics.group_bytes = [0] * script.num_groups
        self._shard = _native.ShardWriter(script, features, created_by())
        self._temporary = filesystem.temporary_name(self.path)
        self._failed = False
        self._image_features = features
        self._keys_without_image: list[str] = []  # of the first example, while none has an image
        try:
            self._file: Any = filesystem.open_for_writing(self._temporary)
        except OSError as error:
            raise filesystem.naming(error, self.path) from error
        try:
            self._append(self._shard.header())
        except OSError:
            self.abort()
            raise

    def write(self, record: bytes) -> list[_native.CodedImageSummary]:
        """Adds one example; a full record goes to the file.

        Args:
            record: a serialized ``tf.train.Example``. Image features without values are allowed;
                `close` warns where no example has an image.

        Returns:
            What became of each of its images, in the order of the image features.

        Raises:
            ValueError: `record` is not a serialized example, or the writer is closed.
            TypeError: `record` is not bytes.
            OSError: the file system refused the bytes; names the file.
        """
        summaries = self.add(self.code(record))
        if not self.statistics.images and not self._keys_without_image:
            self._keys_without_image = feature_keys(record)
        return summaries

    def code(self, record: bytes) -> _native.CodedExample:
        """The first half of `write`: transcodes the images of an example, and writes nothing.

        For callers that drop or change an example once they see what becomes of its images.
        """
        self._check_open()
        if not isinstance(record, bytes):
            raise TypeError(
                f"{self.path}: example to write; expected bytes, a serialized tf.train.Example "
                f"(SerializeToString makes them), got {type(record).__name__}"
            )
        return self._shard.code_example(record, prove=self._prove)

    def add(self, coded: _native.CodedExample) -> list[_native.CodedImageSummary]:
        """The second half of `write`; takes what `code` gave, once."""
        self._check_open()
        self._shard.add(coded)
        summaries = coded.summaries
        statistics = self.statistics
        for summary in summaries:
            statistics.images += 1
            statistics.turned += summary.exif_orientation != UPRIGHT
            statistics.source_bytes += summary.source_bytes
            statistics.stored_bytes += summary.stored_bytes
            statistics.ancillary_bytes += summary.ancillary_bytes
            for group, group_bytes in enumerate(summary.group_bytes):
                statistics.group_bytes[group] += group_bytes
            if summary.coding == "opaque":
                statistics.opaque.append(
                    OpaqueImage(statistics.examples, summary.reason, summary.detail)
                )
        statistics.examples += 1
        if self._shard.pending_examples >= self._examples_per_record:
            self._end_record()
        return summaries

    def flush(self) -> None:
        """Hands all complete records to the file system; the record being made stays here."""
        self._check_open()
        try:
            self._file.flush()
        except OSError as error:
            self._failed = True
            raise filesystem.naming(error, self.path) from error

    def close(self) -> None:
        """Writes what is pending, index and footer, and gives the file its name. Idempotent."""
        if self._file is None:
            return
        if self._failed:
            self.abort()
            raise ValueError(f"{self.path}: a write failed earlier; the file was not made")
        try:
            if self._shard.pending_examples:
                self._end_record()
            self._append(self._shard.finish())
            filesystem.make_durable(self._file, self._temporary)
            file, self._file = self._file, None
            file.close()
            filesystem.rename(self._temporary, self.path)
        except BaseException as error:
            self.abort()
            if isinstance(error, OSError):
                raise filesystem.naming(error, self.path) from error
            raise
        if self.statistics.examples and not self.statistics.images:
            warnings.warn(
                f"{self.path}: no example has an image, so all of it is read at every fidelity; "
                f"expected {' or '.join(self._image_features)}, got "
                f"{', '.join(self._keys_without_image) or 'others'}; name the image's feature "
                "with image_features",
                stacklevel=2,
            )

    def abort(self) -> None:
        """Drops what was written: no file appears under the final name. Idempotent."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # What cannot be flushed is dropped anyway.
                file.close()
        with contextlib.suppress(OSError):
            filesystem.remove(self._temporary)

    def __enter__(self) -> PcrWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _check_open(self) -> None:
        if self._file is None:
            raise ValueError(f"{self.path}: the writer is closed")
        if self._failed:
            raise ValueError(f"{self.path}: a write failed earlier; the file cannot be completed")

    def _end_record(self) -> None:
        self._append(self._shard.end_record())
        self.statistics.records += 1

    def _append(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            self._failed = True
            raise filesystem.naming(error, self.path) from error
        self.statistics.file_bytes += len(data)
