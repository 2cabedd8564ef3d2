"""What a check of a data set holds in memory, on files that claim more than there is."""

from __future__ import annotations

import os
import pathlib
import struct
import subprocess
import sys
import threading

import pytest

from pcr_tf._native import DatasetIndex, crc32c, masked_crc32c
from pcr_tf.format import reference
from pcr_tf.format.dataset_index import load_shard_index
from pcr_tf.format.memory_budget import MemoryBudget
from pcr_tf.format.verify import _record_faults
from tests import reference_writer as writer
from tests.conversion import ROOT

GIB = 1 << 30
# Prints the faults of a file, and the most memory that the process ever had, in MB.
PROGRAM = """
import re, sys
from pcr_tf.format.verify import verify_dataset
for fault in verify_dataset(sys.argv[1], num_threads=4):
    print(fault)
# Not ru_maxrss, which is no less than the parent's.
print(int(re.search("VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) // 1024)
"""


def faults_and_megabytes(path: pathlib.Path) -> tuple[list[str], int]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, path],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    *faults, megabytes = done.stdout.splitlines()
    return faults, int(megabytes)


def length_of(frame_bytes: int) -> bytes:
    length = struct.pack("<Q", frame_bytes - 16)
    return length + struct.pack("<I", masked_crc32c(length))


def sparse_shard(path: pathlib.Path, frame_sizes: tuple[int, ...]) -> None:
    """A file of one record whose frames have sound lengths and are holes beside them."""
    layout = writer.Layout.of(len(frame_sizes) - 1)
    header = writer.frame(writer.serialize(writer.header_features("header", layout)))
    record = reference.RecordEntry(0, len(header), frame_sizes, 1, 0)
    index = writer.frame(
        writer.serialize(writer.header_features("index", layout) + writer.index_features([record]))
    )
    footer = writer.FooterFields(
        record.end, len(index), 1, 1, contents_checksum=0, index_checksum=writer.checksum_of(index)
    )
    with path.open("wb") as file:
        file.write(header)
        offset = len(header)
        for frame_bytes in frame_sizes:
            file.seek(offset)
            file.write(length_of(frame_bytes))
            offset += frame_bytes
        file.seek(offset)
        file.write(index + footer.frame())


def test_frames_that_are_holes_cost_no_memory(tmp_path: pathlib.Path) -> None:
    sparse_shard(tmp_path / "a.pcr", (GIB // 2, 1000, GIB // 2))
    faults, megabytes = faults_and_megabytes(tmp_path / "a.pcr")
    assert [fault.split(", byte")[0] for fault in faults[:3]] == [
        f"{tmp_path / 'a.pcr'}: record 0, {part}"
        for part in ("metadata", "scan group 1", "scan group 2")
    ]
    assert "contents checksum" in faults[3]
    assert len(faults) == 4
    assert megabytes < 300


def test_a_header_that_is_a_hole_costs_no_memory(tmp_path: pathlib.Path) -> None:
    size = GIB // 4
    index = writer.frame(
        writer.serialize(
            writer.header_features("index", writer.Layout.of(1)) + writer.index_features([])
        )
    )
    footer = writer.FooterFields(size, len(index), 0, 0, 0, writer.checksum_of(index))
    zeros = bytes(1 << 20)
    crc = 0
    for _ in range(size // len(zeros) - 1):
        crc = crc32c(zeros, crc)
    crc = crc32c(bytes(len(zeros) - 16), crc)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    with (tmp_path / "a.pcr").open("wb") as file:
        file.write(length_of(size))
        file.seek(size - 4)
        file.write(struct.pack("<I", masked) + index + footer.frame())
    faults, megabytes = faults_and_megabytes(tmp_path / "a.pcr")
    # Its checksums are right; it is too large for what is parsed.
    assert "header, byte 0: bytes of a header; expected" in faults[0]
    assert megabytes < 300


def test_an_index_that_is_a_hole_costs_no_memory(tmp_path: pathlib.Path) -> None:
    footer = writer.FooterFields(0, GIB, 0, 0, 0, 0)
    with (tmp_path / "a.pcr").open("wb") as file:
        file.seek(GIB)
        file.write(footer.frame())
    faults, megabytes = faults_and_megabytes(tmp_path / "a.pcr")
    (fault,) = faults
    assert fault.startswith(f"{tmp_path / 'a.pcr'}: index at byte 0: length of the frame")
    assert megabytes < 300


def test_an_index_larger_than_any_frame_is_refused_from_the_footer(tmp_path: pathlib.Path) -> None:
    size = 2**31 + 16
    with (tmp_path / "a.pcr").open("wb") as file:
        file.seek(size)
        file.write(writer.FooterFields(0, size, 0, 0, 0, 0).frame())
    ((fault,), megabytes) = faults_and_megabytes(tmp_path / "a.pcr")
    assert "size of the index frame; expected at most 2147483663, got 2147483664" in fault
    assert megabytes < 300


def test_a_record_beyond_what_is_read_is_a_fault_and_is_not_read(tmp_path: pathlib.Path) -> None:
    large = 2**31 + 15
    sparse_shard(tmp_path / "a.pcr", (100, large, large))
    path = str(tmp_path / "a.pcr")
    index = DatasetIndex.from_shards([(path, load_shard_index(path))])
    (fault,) = _record_faults(path, index, 0, MemoryBudget(1))
    assert f"expected at most {4 * GIB}, got {2 * large + 100}; convert again" in fault


# The budget


def test_a_budget_is_never_exceeded_but_by_one_that_is_alone() -> None:
    budget = MemoryBudget(100)
    lock = threading.Lock()
    held: list[int] = []
    seen: list[list[int]] = []

    def work(sizes: list[int]) -> None:
        for size in sizes:
            with budget.hold(size):
                with lock:
                    held.append(size)
                    seen.append(list(held))
                with lock:
                    held.remove(size)

    threads = [
        threading.Thread(target=work, args=([10, 60, 100, 250, 1, 45] * 20,)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 6 * 120
    assert all(sum(sizes) <= 100 or len(sizes) == 1 for sizes in seen)


def test_two_that_fit_are_held_together() -> None:
    budget = MemoryBudget(100)
    both = threading.Barrier(2, timeout=60)

    def work(size: int) -> None:
        with budget.hold(size):
            both.wait()

    threads = [threading.Thread(target=work, args=(size,)) for size in (40, 60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not both.broken


def test_an_error_gives_back_what_was_held() -> None:
    budget = MemoryBudget(10)
    with pytest.raises(ZeroDivisionError), budget.hold(10):
        _ = 1 / 0
    with budget.hold(10):
        pass
