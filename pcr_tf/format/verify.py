"""`verify_dataset`: every check that a data set can be put to, and every fault that they find."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from pcr_tf import _native
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
from pcr_tf.format.frame_walk import FrameWalk
from pcr_tf.format.memory_budget import MemoryBudget

# Of the records that are checked at a time, unless one alone is larger.
BUDGET_BYTES = 1 << 30
# As PcrDataset has it.
MAX_RECORD_BYTES = 4 << 30

# Called with a number of records done since the last call.
OnProgress = Callable[[int], None]


def verify_dataset(
    files_or_dir: PathLike, *, num_threads: int = 1, on_progress: OnProgress = lambda records: None
) -> Iterator[str]:
    """Checks a data set or file; yields each fault as a line that names file, record and rule.

    Checked is all that docs/FORMAT.md demands of a reader and of a check of the whole file: each
    frame's checksums; the footer's contents checksum; that no bytes lie between or after frames;
    that header, index, footer, metadata and scan groups agree, and the scan script with them. Then
    that every progressive image decodes without a warning and has one EXIF orientation at every
    fidelity; that the side index agrees with the shards, or without one, that
    no shard of a set is missing. Opaque images are kept as they came, decodable or not: only their
    checksums are checked.

    Takes about 1 GiB at most, or three times a record that is larger than a third of that.

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
    walk = FrameWalk(path, index, shard)
    yield from walk.faults()
    budget = MemoryBudget(BUDGET_BYTES)

    def faults_of(record: int) -> list[str]:
        # What is wrong with the frames is said, and would be all that reading them tells.
        damaged = record in walk.damaged
        return [] if damaged else _record_faults(path, index, record, budget)

    with ThreadPoolExecutor(num_threads) as pool:
        # Windows, so that faults come soon and in order.
        for records in _windows(range(index.num_records), 2 * num_threads):
            for faults in pool.map(faults_of, records):
                yield from faults
                on_progress(1)


def _windows(records: range, size: int) -> Iterator[range]:
    for first in range(0, len(records), size):
        yield records[first : first + size]


def _record_faults(
    path: str, index: _native.DatasetIndex, record: int, budget: MemoryBudget
) -> list[str]:
    """Faults of one record: what a reader would refuse, and images that do not decode."""
    _, offset, size_bytes = index.prefix(record, index.header.num_groups)
    if size_bytes > MAX_RECORD_BYTES:
        return [
            f"{path}: record {record}, byte {offset}: bytes of a record that are read; "
            f"expected at most {MAX_RECORD_BYTES}, got {size_bytes}; "
            "convert again with fewer `examples_per_record`"
        ]
    metadata_bytes = index.record(record).frame_sizes[0]
    with budget.hold(metadata_bytes):
        try:
            ancillary_bytes = _native.ancillary_bytes(
                index, filesystem.read_range(path, offset, metadata_bytes)
            )
        except ValueError as error:
            return [f"{path}: record {record}, metadata, byte {offset}: {error}"]
    # The record, the prefix of a fidelity, and its images with what was inflated for them.
    with budget.hold(3 * size_bytes + 2 * ancillary_bytes):
        prefix = filesystem.read_range(path, offset, size_bytes)
        try:
            return list(_image_faults(path, index, record, prefix))
        except ValueError as error:
            return [str(error)]


def _image_faults(
    path: str, index: _native.DatasetIndex, record: int, prefix: bytes
) -> Iterator[str]:
    groups = index.header.num_groups
    orientations: list[int] = []
    # Full fidelity first: it checks every checksum of the record, before anything is decoded.
    for scan_groups in (groups, *range(1, groups)):
        part = prefix[: index.prefix(record, scan_groups)[2]]
        images = _native.record_images(index, record, scan_groups, part)
        for m, (example, feature, coding, image) in enumerate(images):
            place = f"{path}: record {record}, example {example}, image feature {feature!r}"
            said = _native.check_jpeg(image) if coding == "progressive" else ""
            if said:
                yield f"{place}: decodes at {scan_groups} scan groups; got: {said}"
            orientation = _native.exif_orientation(image)
            if scan_groups == groups:
                orientations.append(orientation)
            elif _stores_orientations(index) and orientation != orientations[m]:
                yield (
                    f"{place}: EXIF orientation at {scan_groups} scan groups; "
                    f"expected {orientations[m]}, as at full fidelity, got {orientation}; "
                    "convert it again"
                )


def _stores_orientations(index: _native.DatasetIndex) -> bool:
    return index.header.version >= (1, 1)


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
