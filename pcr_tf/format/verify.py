"""`verify_dataset`: every check that a data set can be put to, and every fault that they find."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from pcr_tf import _native
from pcr_tf._native import masked_crc32c
from pcr_tf.format import filesystem
from pcr_tf.format.dataset_index import (
    SIDE_INDEX_NAME,
    PathLike,
    check_complete,
    index_from_shards,
    load_shard_index,
    no_shards,
    shard_names,
    shard_paths,
)
from pcr_tf.format.tfrecord import FRAME_FOOTER, FRAME_HEADER

_FRAME_BYTES = FRAME_HEADER.size + FRAME_FOOTER.size  # a frame's bytes beside its data

# Called with a number of records done since the last call.
OnProgress = Callable[[int], None]


def verify_dataset(
    files_or_dir: PathLike, *, num_threads: int = 1, on_progress: OnProgress = lambda records: None
) -> Iterator[str]:
    """Checks a data set or file; yields each fault as a line that names file, record and rule.

    Checked are: each frame's checksums; the footer's contents checksum; that no bytes lie between
    or after frames; that metadata, scan groups and index agree; that every progressive image
    decodes at every fidelity, at full fidelity without a warning; that the side index agrees with
    the shards, or without one, that no shard of a set is missing. Opaque images are kept as they
    came, decodable or not: only their checksums are checked.

    Args:
        files_or_dir: as for `open_dataset`.
        num_threads: threads that decode.

    Raises:
        OSError: nothing is there, or it cannot be read.
    """
    folder = os.fspath(files_or_dir)
    paths = shard_paths(folder)
    if not paths:
        yield no_shards(folder)
        return
    reported = set()
    for path in paths:
        for fault in verify_shard(path, num_threads=num_threads, on_progress=on_progress):
            reported.add(fault)
            yield fault
    if filesystem.is_dir(folder):
        # A shard that cannot be opened was reported as such already.
        yield from (fault for fault in folder_faults(folder) if fault not in reported)


def verify_shard(
    path: str, *, num_threads: int = 1, on_progress: OnProgress = lambda records: None
) -> Iterator[str]:
    """Checks one file by itself; see `verify_dataset`."""
    try:
        shard = load_shard_index(path)
        index = _native.DatasetIndex.from_shards([(path, shard)])
    except (ValueError, OSError) as error:
        yield str(error)
        return
    yield from _frame_faults(path, index, shard)
    with ThreadPoolExecutor(num_threads) as pool:
        # A window of records in flight bounds memory; order is kept.
        for records in _windows(range(index.num_records), 2 * num_threads):
            for faults in pool.map(lambda record: _record_faults(path, index, record), records):
                yield from faults
                on_progress(1)


def _windows(records: range, size: int) -> Iterator[range]:
    for first in range(0, len(records), size):
        yield records[first : first + size]


def _frame_faults(
    path: str, index: _native.DatasetIndex, shard: _native.ShardIndex
) -> Iterator[str]:
    """Walks the file as a TFRecord reader does, and holds what it finds to the index."""
    expected = _expected_frames(index)
    checksums = bytearray()
    with filesystem.open_file(path) as file:
        offset = 0
        for name, begin, frame_bytes in expected:
            if begin is not None and begin != offset:
                yield (
                    f"{path}: {name}, byte {offset}: begins where the frame before it ends; "
                    f"expected {offset}, got {begin} in the index"
                )
                offset = begin
            file.seek(offset)
            header = file.read(FRAME_HEADER.size)
            if len(header) < FRAME_HEADER.size:
                yield f"{path}: {name}, byte {offset}: the file ends inside the frame"
                return
            length, checksum = FRAME_HEADER.unpack(header)
            computed = masked_crc32c(header[:8])
            if computed != checksum:
                yield _checksum_fault(path, name, offset, "length", checksum, computed)
                if frame_bytes is None:
                    return  # Nothing says where the next frame begins.
                length = frame_bytes - _FRAME_BYTES
            elif frame_bytes is not None and length + _FRAME_BYTES != frame_bytes:
                yield (
                    f"{path}: {name}, byte {offset}: frame size of the index; "
                    f"expected {frame_bytes}, got {length + _FRAME_BYTES}"
                )
                length = frame_bytes - _FRAME_BYTES
            if offset + length + _FRAME_BYTES > shard.file_bytes:
                yield f"{path}: {name}, byte {offset}: the file ends inside the frame"
                return
            data = file.read(length)
            stored = file.read(FRAME_FOOTER.size)
            computed = masked_crc32c(data)
            if computed != int.from_bytes(stored, "little"):
                yield _checksum_fault(
                    path, name, offset, "data", int.from_bytes(stored, "little"), computed
                )
            if name != "footer":
                checksums += stored
            offset += length + _FRAME_BYTES
    if offset != shard.file_bytes:
        yield (
            f"{path}: byte {offset}: the file ends with its footer frame; "
            f"expected {offset} bytes, got {shard.file_bytes}"
        )
    computed = _unmasked(masked_crc32c(bytes(checksums)))
    if computed != shard.contents_checksum:
        yield (
            f"{path}: footer: contents checksum; "
            f"expected {shard.contents_checksum:#010x}, got {computed:#010x}"
        )


def _unmasked(checksum: int) -> int:
    """The CRC-32C that a masked one was made of."""
    rotated = (checksum - 0xA282EAD8) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF


def _expected_frames(
    index: _native.DatasetIndex,
) -> Iterator[tuple[str, int | None, int | None]]:
    """(name, offset, frame size) of every frame of a file; None where the index does not say."""
    yield "header", 0, None
    for record in range(index.num_records):
        entry = index.record(record)
        offsets = itertools.accumulate(entry.frame_sizes, initial=entry.offset)
        for group, (offset, frame_bytes) in enumerate(
            zip(offsets, entry.frame_sizes, strict=False)
        ):
            part = f"scan group {group}" if group else "metadata"
            yield f"record {record}, {part}", offset, frame_bytes
    yield "index", None, None
    yield "footer", None, None


def _checksum_fault(
    path: str, name: str, offset: int, part: str, stored: int, computed: int
) -> str:
    return (
        f"{path}: {name}, byte {offset}: checksum of the frame's {part}; "
        f"expected {stored:#010x}, got {computed:#010x}"
    )


def _record_faults(path: str, index: _native.DatasetIndex, record: int) -> list[str]:
    """Faults of one record: what a reader would refuse, and images that do not decode."""
    groups = index.header.num_groups
    _, offset, size_bytes = index.prefix(record, groups)
    prefix = filesystem.read_range(path, offset, size_bytes)
    try:
        faults: list[str] = []
        # Full fidelity first: it checks every checksum of the record, before anything is decoded.
        for scan_groups in (groups, *range(1, groups)):
            part = prefix[: index.prefix(record, scan_groups)[2]]
            for example, feature, coding, image in _native.record_images(
                index, record, scan_groups, part
            ):
                said = _native.check_jpeg(image) if coding == "progressive" else ""
                if said:
                    faults.append(
                        f"{path}: record {record}, example {example}, image feature {feature!r}: "
                        f"decodes at {scan_groups} scan groups; got: {said}"
                    )
        return faults
    except ValueError as error:
        return [str(error)]


def folder_faults(folder: str) -> Iterator[str]:
    """Where the shards of a folder, or they and the side index, do not belong together."""
    try:
        actual = index_from_shards(folder)
        path = filesystem.join(folder, SIDE_INDEX_NAME)
        if not filesystem.exists(path):
            check_complete(folder, shard_names(folder))
            return
        side = _native.DatasetIndex.from_bytes(path, filesystem.read_bytes(path))
    except (ValueError, OSError) as error:
        yield str(error)
        return
    if side.to_bytes() == actual.to_bytes():
        return
    remedy = f"rebuild the side index with: pcr-index {folder}"
    there, here = (_shards_by_name(index) for index in (side, actual))
    for name in sorted({*there, *here}):
        shard = filesystem.join(folder, name)
        if name not in here:
            yield f"{shard}: in the side index but not in the folder; {remedy}"
        elif name not in there:
            yield f"{shard}: not in the side index; {remedy}"
        elif there[name] != here[name]:
            yield (
                f"{shard}: size, footer checksum and records in the side index; "
                f"expected {here[name]}, got {there[name]}; {remedy}"
            )
    if there == here:
        yield f"{path}: differs from the shards' own indexes, headers or order; {remedy}"


def _shards_by_name(index: _native.DatasetIndex) -> dict[str, tuple[int, int, int]]:
    """Size, footer checksum and number of records of each shard."""
    shards = map(index.shard, range(index.num_shards))
    return {name: (size, checksum, records) for name, size, checksum, _, records in shards}
