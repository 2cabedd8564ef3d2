r"""Measures what opening a large data set costs: 10,000 shards, 1.3 million images.

    python -m benchmarks.opening [--shards=10000] [--images=1300000]

A generator writes the side index of such a data set; there are no pixels and no shards, since
opening reads the side index only. Each measurement is a fresh process that has imported TensorFlow
and pcr_tf: the time to construct a PcrDataset and take its cardinality, and the growth of the
resident set by that. There is no baseline: TFRecordDataset opens files as it comes to them, and
does not know its length.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import tensorflow as tf
from absl import app, flags

from benchmarks import measure
from pcr_tf._native import ScanScript
from pcr_tf.format import dataset_index, scan_scripts
from pcr_tf.format.example import Values, encode_example

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "build/benchmarks", "Folder for the results.")
_SHARDS = flags.DEFINE_integer("shards", 10_000, "Shards.", lower_bound=1)
_IMAGES = flags.DEFINE_integer("images", 1_300_000, "Images, one per example.", lower_bound=1)
_IMAGES_PER_RECORD = flags.DEFINE_list(
    "examples_per_record", ["130", "16"], "Images in a record; a data set for each number."
)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Measurements of each case.", lower_bound=1)

# Bytes of an image in each scan group of the standard script, for photographs of about 100 KB.
_GROUP_BYTES = np.array([6300, 8200, 6800, 7600, 20200, 15300, 1100, 8000, 8700, 22000])
_METADATA_BYTES_PER_IMAGE = 240

# Runs in a process of its own and prints one line of JSON.
_OPENER = """
import json, sys, time
import psutil
import tensorflow as tf
from pcr_tf.data import PcrDataset
tf.data.Dataset.range(1).cardinality()  # The eager runtime starts with the first op.
from pcr_tf._op_library import load_op_library
load_op_library()
process = psutil.Process()
before = process.memory_info().rss
begin = time.perf_counter()
dataset = PcrDataset(sys.argv[1], 2)
examples = int(dataset.cardinality())
seconds = time.perf_counter() - begin
grown = process.memory_info().rss - before
print(json.dumps({"seconds": seconds, "grown_bytes": grown, "examples": examples}))
"""


def write_index(
    folder: pathlib.Path, *, num_shards: int, num_images: int, examples_per_record: int
) -> None:
    """Writes the side index of a data set that does not exist, with sizes as photographs have.

    Args:
        folder: made if missing.
        num_shards: at least 1; the images are dealt out to them evenly.
        num_images: at least `num_shards`.
        examples_per_record: at least 1; the last record of a shard may hold fewer.
    """
    rng = np.random.default_rng(0)
    script = scan_scripts.load_scan_script()
    groups = ScanScript(script).num_groups
    first_offset = 1000  # Any size will do for the header frame.
    shard_records, offsets, counts, shard_sizes = [], [], [], []
    rows = []
    for images in np.bincount(np.arange(num_images) % num_shards).tolist():
        whole, rest = divmod(images, examples_per_record)
        record_images = np.array([examples_per_record] * whole + [rest] * (rest > 0))
        per_image = np.concatenate([[_METADATA_BYTES_PER_IMAGE], _GROUP_BYTES])
        noise = rng.normal(1.0, 0.1, (len(record_images), groups + 1)).clip(0.5, 1.5)
        sizes = (record_images[:, np.newaxis] * per_image * noise).astype(np.int64) + 200
        ends = first_offset + np.cumsum(sizes.sum(axis=1))
        offsets += [first_offset, *ends[:-1].tolist()]
        rows.append(sizes)
        counts += record_images.tolist()
        shard_records.append(len(record_images))
        shard_sizes.append(int(ends[-1]) + 20 * len(record_images) + 2000)
    features: dict[str, Values] = {
        "pcr/frame": [b"dataset_index"],
        "pcr/version": [1, 0],
        "pcr/flags": [0],
        "pcr/num_groups": [groups],
        "pcr/scans_per_group": ScanScript(script).scans_per_group,
        "pcr/scan_script": [script.encode()],
        "pcr/image_features": [b"image/encoded"],
        "pcr/created_by": [b"benchmarks.opening"],
        "pcr/shard_names": [
            f"shard-{n:05d}-of-{num_shards:05d}.pcr".encode() for n in range(num_shards)
        ],
        "pcr/shard_sizes": shard_sizes,
        "pcr/footer_checksums": rng.integers(0, 1 << 32, num_shards).tolist(),
        "pcr/shard_records": shard_records,
        "pcr/record_offsets": offsets,
        "pcr/frame_sizes": np.concatenate(rows).ravel().tolist(),
        "pcr/example_counts": counts,
        "pcr/metadata_checksums": rng.integers(0, 1 << 32, len(counts)).tolist(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    # The side index is a TFRecord file of one frame.
    with tf.io.TFRecordWriter(str(folder / dataset_index.SIDE_INDEX_NAME)) as writer:
        writer.write(encode_example(features))


def _open_once(folder: pathlib.Path) -> dict[str, Any]:
    command = [sys.executable, "-c", _OPENER, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"opening {folder}: exit status {done.returncode}\n{done.stderr}")
    opened: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if opened["examples"] != _IMAGES.value:
        raise RuntimeError(
            f"{folder}: cardinality; expected {_IMAGES.value}, got {opened['examples']}"
        )
    return opened


def main(argv: list[str]) -> None:
    """Measures, prints the table and writes opening.json."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    rows, cases = [], {}
    for examples_per_record in map(int, _IMAGES_PER_RECORD.value):
        folder = pathlib.Path(_OUTPUT_DIR.value) / f"opening-{examples_per_record}"
        write_index(
            folder,
            num_shards=_SHARDS.value,
            num_images=_IMAGES.value,
            examples_per_record=examples_per_record,
        )
        opened = [_open_once(folder) for _ in range(_ROUNDS.value)]
        index = dataset_index.open_dataset(folder).index
        seconds = measure.summarise([one["seconds"] for one in opened])
        grown = measure.summarise([one["grown_bytes"] for one in opened])
        side_index = (folder / dataset_index.SIDE_INDEX_NAME).stat()
        cases[str(examples_per_record)] = {
            "records": index.num_records,
            "side_index_bytes": side_index.st_size,
            "open_s": seconds,
            "index_memory_bytes": index.memory_bytes,
            "index_memory_bytes_per_record": index.memory_bytes / index.num_records,
            "process_growth_bytes": grown,
        }
        rows.append(
            [
                f"{examples_per_record} images/record",
                f"{index.num_records:,}",
                f"{side_index.st_size / 1e6:.2f}",
                f"{seconds.median:.3f} ({seconds.smallest:.3f}-{seconds.largest:.3f})",
                f"{index.memory_bytes / index.num_records:.1f}",
                f"{index.memory_bytes / _IMAGES.value:.2f}",
                f"{grown.median / 1e6:.1f}",
            ]
        )
    print(f"{_SHARDS.value:,} shards, {_IMAGES.value:,} images")
    header = ["", "records", "side index MB", "open s", "index B/record", "index B/image"]
    print(measure.table([*header, "process growth MB"], rows))
    result = {"shards": _SHARDS.value, "images": _IMAGES.value, "by_images_per_record": cases}
    print(measure.write_json(_OUTPUT_DIR.value, "opening", result))


if __name__ == "__main__":
    app.run(main)
