r"""Counts the bytes requested from the file system at each fidelity, beside the plan.

    python -m benchmarks.bytes_read [--images=/my/folder]

What is counted are the system calls of a process that reads the data set once at each fidelity, as
`strace` (Debian, Ubuntu: apt install strace) sees them: every read of a shard, by offset and by
number of bytes asked for. The plan is the index's: one range per record. TFRecordDataset, which
always reads everything, is the baseline.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable

from absl import app, flags

from benchmarks import inputs, measure
from pcr_tf.format.dataset_index import open_dataset

_SHARDS = flags.DEFINE_integer("shards", 4, "Files on each side.", lower_bound=1)
_IMAGES_PER_RECORD = flags.DEFINE_integer(
    "examples_per_record", 32, "As for pcr-convert.", lower_bound=1
)

# Runs under strace. Before each pass it looks up a path that is not there: that divides the trace.
_READER = """
import os, sys
import tensorflow as tf
from pcr_tf.data import PcrDataset
folder, num_groups, *records = sys.argv[1:]
for scan_groups in range(1, int(num_groups) + 1):
    dataset = PcrDataset(folder, scan_groups)
    os.path.exists(f"/pcr-pass-{scan_groups}")
    for _ in dataset.batch(64):
        pass
dataset = tf.data.TFRecordDataset(records)
os.path.exists("/pcr-pass-0")
for _ in dataset.batch(64):
    pass
os.path.exists("/pcr-pass-end")
"""

_PASS = re.compile(r'"/pcr-pass-(\w+)"')
_CALL = re.compile(r"(pread64|read)\(\d+<([^>]*)>(.*)\)\s+= (\d+)$")
_VECTOR_CALL = re.compile(r"(preadv2?|readv)\(")
_AT_OFFSET = re.compile(r", (\d+), (\d+)$")
_AT_POSITION = re.compile(r", (\d+)$")
_RESUMED = re.compile(r"^(\d+)\s+<\.\.\. \w+ resumed>(.*)$")
_UNFINISHED = re.compile(r"^(\d+)\s+(.*) <unfinished \.\.\.>$")


@dataclasses.dataclass
class Reads:
    """What one pass asked of the shards.

    Attributes:
        calls: (path, offset, bytes asked for) of each read; offset -1 is the file's own position.
    """

    calls: list[tuple[str, int, int]] = dataclasses.field(default_factory=list)

    @property
    def num_bytes(self) -> int:
        """Bytes asked for."""
        return sum(size for _, _, size in self.calls)


def parse_trace(lines: Iterable[str], suffixes: tuple[str, ...]) -> dict[str, Reads]:
    """The reads of each pass in the output of `strace -f -y`.

    Args:
        lines: of the trace. A call that another thread interrupts is in two lines.
        suffixes: reads of files with other endings are left out.

    Returns:
        By the name of the pass, in order.
    """
    passes: dict[str, Reads] = {}
    current: Reads | None = None
    unfinished: dict[str, str] = {}
    for line in lines:
        begun = _UNFINISHED.match(line.rstrip())
        if begun:
            unfinished[begun[1]] = begun[2]
            continue
        ended = _RESUMED.match(line.rstrip())
        if ended:
            line = f"{ended[1]} {unfinished.pop(ended[1], '')}{ended[2]}"
        marker = _PASS.search(line)
        if marker:
            current = passes.setdefault(marker[1], Reads())
            continue
        if _VECTOR_CALL.search(line) and any(suffix in line for suffix in suffixes):
            raise ValueError(f"trace: expected read and pread64 only, got {line.strip()!r}")
        call = _CALL.search(line.rstrip())
        # A read that returns nothing, at the end of a file, is how a stream learns that it ended.
        if call is None or current is None or call[4] == "0" or not call[2].endswith(suffixes):
            continue
        arguments = (_AT_OFFSET if call[1] == "pread64" else _AT_POSITION).search(call[3])
        if arguments is None:
            raise ValueError(f"trace: expected the arguments of {call[1]}, got {call[3]!r}")
        offset = int(arguments[2]) if call[1] == "pread64" else -1
        current.calls.append((call[2], offset, int(arguments[1])))
    return passes


def _trace(folder: pathlib.Path, num_groups: int, records: list[pathlib.Path]) -> list[str]:
    strace = shutil.which("strace")
    if strace is None:
        raise RuntimeError("strace: expected on the PATH, not found; apt-get install strace")
    log = pathlib.Path(inputs.OUTPUT_DIR.value) / "bytes_read.strace"
    calls = "trace=pread64,preadv,preadv2,read,readv,stat,newfstatat,statx"
    command = [strace, "-f", "-y", "-s", "32", "-e", calls, "-o", str(log)]
    command += [sys.executable, "-c", _READER, str(folder), str(num_groups), *map(str, records)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"reading under strace: exit status {done.returncode}\n{done.stderr}")
    return log.read_text(errors="replace").splitlines()


def main(argv: list[str]) -> None:
    """Counts, prints the table and writes bytes_read.json; fails where plan and reads differ."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    photographs = inputs.photographs()
    layout = {"copies": 1, "num_shards": _SHARDS.value}
    records = inputs.tfrecords(photographs, **layout)
    folder = inputs.pcr_dataset(photographs, **layout, examples_per_record=_IMAGES_PER_RECORD.value)
    index = open_dataset(folder).index
    passes = parse_trace(_trace(folder, index.header.num_groups, records), (".pcr", ".tfrecord"))

    rows, figures, exact = [], {}, True
    for name, reads in passes.items():
        if name in ("0", "end"):
            continue
        scan_groups = int(name)
        prefixes = [index.prefix(r, scan_groups) for r in range(index.num_records)]
        planned = sorted((index.shard(s)[0], offset, size) for s, offset, size in prefixes)
        made = sorted((pathlib.Path(path).name, offset, size) for path, offset, size in reads.calls)
        exact = exact and made == planned
        figures[name] = {
            "planned_bytes": index.prefix_bytes(scan_groups),
            "requested_bytes": reads.num_bytes,
            "reads": len(reads.calls),
            "records": index.num_records,
            "exactly_the_plan": made == planned,
        }
        rows.append(
            [
                f"PCR, {scan_groups} scan groups",
                f"{index.prefix_bytes(scan_groups):,}",
                f"{reads.num_bytes:,}",
                f"{len(reads.calls)}",
                f"{index.num_records}",
                "yes" if made == planned else "NO",
            ]
        )
    baseline = passes["0"]
    rows.append(["TFRecord", "", f"{baseline.num_bytes:,}", f"{len(baseline.calls)}", "", ""])
    print(f"{photographs.origin}: {len(photographs.files)} examples in {_SHARDS.value} files")
    header = ["", "bytes planned", "bytes requested", "reads", "records", "the planned ranges"]
    print(measure.table(header, rows))
    result = {
        "photographs": photographs.origin,
        "counted_by": "strace",
        "by_scan_groups": figures,
        "tfrecord": {"requested_bytes": baseline.num_bytes, "reads": len(baseline.calls)},
    }
    print(measure.write_json(inputs.OUTPUT_DIR.value, "bytes_read", result))
    if not exact or len(figures) != index.header.num_groups:
        raise RuntimeError("the reads are not the planned ranges; see the table")


if __name__ == "__main__":
    app.run(main)
