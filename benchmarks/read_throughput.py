r"""Measures reading without decoding, page cache warm, beside tf.data.TFRecordDataset.

    python -m benchmarks.read_throughput [--images=/my/folder] [--scan_groups=1,2,5,10]

Both sides hold the same examples in the same number of files, and are drained alike: batches of 64,
two of them prefetched, each batch dropped. Batching moves the strings and does not copy them. What
the drain costs is measured too, with empty strings in place of examples.

TFRecordDataset is measured with several settings, and the best of them is the baseline; PcrDataset
with its default number of reads in flight and with few, which suits files that are in memory.
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from absl import app, flags

from benchmarks import inputs, measure
from pcr_tf.data import PcrDataset
from pcr_tf.format.dataset_index import open_dataset

_SCAN_GROUPS = flags.DEFINE_list("scan_groups", ["1", "2", "5", "10"], "Fidelities to measure.")
_COPIES = flags.DEFINE_integer("copies", 8, "Times each photograph is stored.", lower_bound=1)
_SHARDS = flags.DEFINE_integer("shards", 8, "Files on each side.", lower_bound=1)
_IMAGES_PER_RECORD = flags.DEFINE_integer(
    "examples_per_record", 64, "As for pcr-convert.", lower_bound=1
)
_READS_IN_FLIGHT = flags.DEFINE_list(
    "reads_in_flight",
    ["2"],
    "Numbers of reads in flight to measure PcrDataset with, beside its default.",
)
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Measurements of each case.", lower_bound=1)

_BATCH = 64


def _drain_images_per_s(make_dataset: Callable[[], Any], expected: int) -> float:
    dataset = make_dataset().batch(_BATCH).prefetch(2)
    drained = measure.drain(dataset, lambda batch: int(batch.shape[0]))
    if drained.examples != expected:
        raise RuntimeError(f"number of examples read; expected {expected}, got {drained.examples}")
    return expected / drained.wall_s


def _tfrecord_cases(paths: list[str]) -> dict[str, Callable[[], Any]]:
    settings: dict[str, dict[str, int]] = {
        "default": {},
        "buffer 8 MiB": {"buffer_size": 8 << 20},
        "2 parallel reads": {"num_parallel_reads": 2},
        "AUTOTUNE parallel reads": {"num_parallel_reads": tf.data.AUTOTUNE},
        "8 parallel reads, buffer 8 MiB": {"num_parallel_reads": 8, "buffer_size": 8 << 20},
    }
    return {
        f"TFRecord, {name}": functools.partial(tf.data.TFRecordDataset, paths, **arguments)
        for name, arguments in settings.items()
    }


def _bytes_per_image(folder: pathlib.Path, scan_groups: int) -> float:
    index = open_dataset(folder).index
    return index.prefix_bytes(scan_groups) / index.num_examples


def main(argv: list[str]) -> None:
    """Measures, prints the table and writes read_throughput.json."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    photographs = inputs.photographs()
    layout = {"copies": _COPIES.value, "num_shards": _SHARDS.value}
    records = inputs.tfrecords(photographs, **layout)
    folder = inputs.pcr_dataset(photographs, **layout, examples_per_record=_IMAGES_PER_RECORD.value)
    examples = len(photographs.files) * _COPIES.value
    tfrecord_cases = _tfrecord_cases([str(path) for path in records])
    makers = dict(tfrecord_cases)
    bytes_per_image = dict.fromkeys(
        tfrecord_cases, sum(path.stat().st_size for path in records) / examples
    )
    for scan_groups in map(int, _SCAN_GROUPS.value):
        for reads in (None, *map(int, _READS_IN_FLIGHT.value)):
            name = f"PCR, {scan_groups} scan groups"
            name += "" if reads is None else f", {reads} reads in flight"
            makers[name] = functools.partial(
                PcrDataset, str(folder), scan_groups, reads_in_flight=reads
            )
            bytes_per_image[name] = _bytes_per_image(folder, scan_groups)
    floor = "the drain alone, no data"
    makers[floor] = lambda: tf.data.Dataset.from_tensors("").repeat(examples)

    values = measure.interleave(
        {
            name: functools.partial(_drain_images_per_s, maker, examples)
            for name, maker in makers.items()
        },
        rounds=_ROUNDS.value,
    )
    summaries = {name: measure.summarise(rates) for name, rates in values.items()}
    baseline = max(tfrecord_cases, key=lambda name: summaries[name].median)
    ratios = {name: measure.ratio(rates, values[baseline]) for name, rates in values.items()}
    rows = [
        [
            name,
            f"{bytes_per_image[name] / 1000:.1f}" if name in bytes_per_image else "",
            f"{summary.median:,.0f}",
            f"{summary.smallest:,.0f}-{summary.largest:,.0f}",
            str(ratios[name]),
        ]
        for name, summary in summaries.items()
    ]
    print(f"{photographs.origin}: {examples} examples in {_SHARDS.value} files, page cache warm")
    print(measure.table(["", "KB/image", "images/s", "range", "ratio to best TFRecord"], rows))
    print(f"Best TFRecord: {baseline}")
    result = {
        "photographs": photographs.origin,
        "examples": examples,
        "examples_per_record": _IMAGES_PER_RECORD.value,
        "baseline": baseline,
        "bytes_per_image": bytes_per_image,
        "images_per_s": summaries,
        "ratio_to_baseline": ratios,
    }
    print(measure.write_json(inputs.OUTPUT_DIR.value, "read_throughput", result))


if __name__ == "__main__":
    app.run(main)
