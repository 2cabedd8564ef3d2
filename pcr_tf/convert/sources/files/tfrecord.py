"""TFRecord files of ``tf.train.Example``, read without TensorFlow."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import IO

from pcr_tf._native import masked_crc32c
from pcr_tf.convert.errors import UnreadableItemError
from pcr_tf.convert.sources.base import (
    Listing,
    ListingSummary,
    PartedSource,
    SourceItem,
    united_files,
)
from pcr_tf.convert.sources.files.inputs import expand_to_files, unreadable_file
from pcr_tf.format import filesystem
from pcr_tf.format.tfrecord import FRAME_FOOTER, FRAME_HEADER


class TfRecordSource(PartedSource):
    """Every record of TFRecord files, untouched but for the images, which move into scan groups."""

    kind = "tfrecord"

    def __init__(self, patterns: Sequence[str], image_features: Sequence[str]) -> None:
        """Names files, folders and globs; a folder stands for all its files but hidden ones."""
        self.patterns = tuple(patterns)
        self.image_features = tuple(image_features)

    def part_names(self) -> list[str]:
        """The files."""
        return expand_to_files(self.patterns)

    def list_part(self, part: str, *, skip_unreadable: bool) -> Listing:
        listing = Listing([], {})
        digest = hashlib.sha256()
        fault: UnreadableItemError | None = None
        try:
            for item in _scan(part):
                listing.items.append(item)
                digest.update(b"%d,%d\n" % (item.offset, item.size_bytes))
            modified_ns = filesystem.status(part).modified_ns
        except OSError as error:
            fault = unreadable_file(part, error)
        except UnreadableItemError as error:
            # Behind a length that is not sound nothing can be located; what is before it stays.
            fault = error
        if fault is not None:
            listing.leave_out(part, fault, skip_unreadable=skip_unreadable)
            modified_ns = 0
        digest.update(b"%d" % modified_ns)
        listing.digests[part] = f"{len(listing.items)} records, {digest.hexdigest()[:16]}"
        return listing

    def unite(self, parts: Sequence[ListingSummary]) -> ListingSummary:
        return united_files(parts, self.patterns, "records")

    def read(self, item: SourceItem) -> bytes:
        try:
            data = filesystem.read_range(
                item.path, item.offset, item.size_bytes + FRAME_FOOTER.size
            )
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

    def key(self, item: SourceItem) -> str:
        return f"{filesystem.basename(item.path)}: record {item.ordinal}"


def _scan(path: str) -> Iterator[SourceItem]:
    """The records of a file, from the 12 bytes before each."""
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
            "byte 0: the file is gzip-compressed, and its records cannot be located; decompress it "
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


def looks_like_tfrecords(folder: str) -> bool:
    """Whether a folder holds files whose names are usual for TFRecord shards."""
    return any(
        re.search(r"tfrecord|-\d+-of-\d+", name)
        for name in filesystem.listdir(folder)
        if not name.startswith(".")
    )
