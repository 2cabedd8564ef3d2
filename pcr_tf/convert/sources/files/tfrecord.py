"""TFRecord files of ``tf.train.Example``, read without TensorFlow."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import IO

from pcr_tf._native import masked_crc32c
from pcr_tf.convert.errors import UnreadableItemError
from pcr_tf.convert.sources.base import (
    Listing,
    ListingSummary,
    Match,
    PartedSource,
    SourceContext,
    SourceItem,
    UnreadableLog,
    merge_file_summaries,
)
from pcr_tf.convert.sources.inputs import (
    check_not_pcr,
    expand_patterns,
    expand_to_files,
    unreadable_file,
)
from pcr_tf.convert.sources.options import SourceOptions
from pcr_tf.format import filesystem
from pcr_tf.format.tfrecord import FRAME_FOOTER, FRAME_HEADER


@dataclasses.dataclass(frozen=True)
class TfRecordSource(PartedSource):
    """Every record of TFRecord files, untouched but for the images, which move into scan groups.

    Attributes:
      patterns: files, folders and globs; a folder stands for all its files but hidden ones.
    """

    kind = "tfrecord"

    patterns: tuple[str, ...]
    image_features: tuple[str, ...]

    @classmethod
    def create(
        cls, inputs: Sequence[str], image_features: Sequence[str], options: SourceOptions
    ) -> TfRecordSource:
        for path in expand_patterns(inputs):
            check_not_pcr(path)  # Its files are TFRecords, but not of these examples.
        return cls(tuple(inputs), tuple(image_features))

    @classmethod
    def match(cls, path: str, *, is_folder: bool) -> Match:
        if not is_folder:
            return Match.FALLBACK
        return Match.LIKELY if _looks_like_tfrecords(path) else Match.NO

    def part_names(self) -> list[str]:
        """The files."""
        return expand_to_files(self.patterns)

    def list_part(self, part: str, *, skip_unreadable: bool) -> Listing:
        items: list[SourceItem] = []
        unreadable = UnreadableLog(skip=skip_unreadable)
        digest = hashlib.sha256()
        fault: UnreadableItemError | None = None
        try:
            for item in _scan(part):
                items.append(item)
                digest.update(b"%d,%d\n" % (item.offset, item.size_bytes))
            modified_ns = filesystem.status(part).modified_ns
        except OSError as error:
            fault = unreadable_file(part, error)
        except UnreadableItemError as error:
            # Nothing can be located after a damaged length; what precedes it stays.
            fault = error
        if fault is not None:
            unreadable.add(part, fault)
            modified_ns = 0
        digest.update(b"%d" % modified_ns)
        digests = {part: f"{len(items)} records, {digest.hexdigest()[:16]}"}
        return Listing(tuple(items), digests, unreadable=tuple(unreadable.entries))

    def merge(self, parts: Sequence[ListingSummary]) -> ListingSummary:
        return merge_file_summaries(parts, self.patterns, "records")

    def read(self, item: SourceItem, context: SourceContext) -> bytes:
        del context
        return read_record(item)

    def key(self, item: SourceItem) -> str:
        return record_key(item)


def read_record(item: SourceItem) -> bytes:
    """The data of the record that `item` locates.

    Raises:
      UnreadableItemError: it cannot be read, or is damaged.
    """
    try:
        data = filesystem.read_range(item.path, item.offset, item.size_bytes + FRAME_FOOTER.size)
    except OSError as error:
        raise UnreadableItemError(item.name, f"cannot be read: {error.strerror}") from error
    if len(data) != item.size_bytes + FRAME_FOOTER.size:
        raise UnreadableItemError(
            item.name,
            f"byte {item.offset}: the file ends inside the record; "
            f"expected {item.size_bytes + FRAME_FOOTER.size} bytes, got {len(data)}",
        )
    example, (stored,) = data[: item.size_bytes], FRAME_FOOTER.unpack(data[item.size_bytes :])
    computed = masked_crc32c(example)
    if computed != stored:
        raise UnreadableItemError(
            item.name,
            f"byte {item.offset}: checksum of the record's data; "
            f"expected {stored:#010x}, got {computed:#010x}",
        )
    return example


def record_key(item: SourceItem) -> str:
    """File name and number of a record: its name wherever the file is stored."""
    return f"{filesystem.basename(item.path)}: record {item.ordinal}"


def _scan(path: str) -> Iterator[SourceItem]:
    """The records of a file, located by the 12-byte header before each."""
    file_bytes = filesystem.size(path)
    with filesystem.open_file(path) as file:
        offset = 0
        for ordinal in range(1 << 62):
            if offset == file_bytes:
                return
            length = _read_length(file, path, ordinal, offset)
            data = offset + FRAME_HEADER.size
            offset = data + length + FRAME_FOOTER.size
            if offset > file_bytes:
                raise UnreadableItemError(
                    f"{path}: record {ordinal}",
                    f"byte {data}: the file ends inside the record; "
                    f"expected {offset} bytes, got {file_bytes}",
                )
            yield SourceItem(path, data, length, ordinal)


def _read_length(file: IO[bytes], path: str, ordinal: int, offset: int) -> int:
    file.seek(offset)
    header = file.read(FRAME_HEADER.size)
    name = f"{path}: record {ordinal}"
    if ordinal == 0 and header[:2] == b"\x1f\x8b":
        raise UnreadableItemError(
            name,
            "byte 0: the file is gzip-compressed, so its records cannot be located; decompress it "
            "first",
        )
    if len(header) < FRAME_HEADER.size:
        raise UnreadableItemError(
            name,
            f"byte {offset}: expected {FRAME_HEADER.size} bytes of frame header, got {len(header)}",
        )
    length, stored = FRAME_HEADER.unpack(header)
    computed = masked_crc32c(header[:8])
    if computed != stored:
        hint = "; is this a TFRecord file?" if ordinal == 0 else ""
        raise UnreadableItemError(
            name,
            f"byte {offset}: checksum of the record's length; "
            f"expected {stored:#010x}, got {computed:#010x}{hint}",
        )
    return int(length)


def _looks_like_tfrecords(folder: str) -> bool:
    """Whether a folder holds files with the usual names of TFRecord shards."""
    return any(
        re.search(r"tfrecord|-\d+-of-\d+", name)
        for name in filesystem.listdir(folder)
        if not name.startswith(".")
    )
