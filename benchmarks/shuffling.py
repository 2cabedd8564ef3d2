r"""Measures how well epochs are mixed: records shuffled in PcrDataset beside files of TFRecords.

    python -m benchmarks.shuffling [--examples=20000] [--buffers=0,1024,4096]

No pixels and no clock: only the order counts. The same examples, sorted by label as a converter
without a shuffle would leave them, and shuffled as pcr-convert leaves them, are read for two epochs
in each way, and four things are counted:

- displacement: how far an example moves from one epoch to the next, as a share of the epoch (mean).
  Two independent orders give 0.333.
- company: the share of an example's batch mates that are its mates in the next epoch again.
- labels: different labels in a batch (mean).
- runs: examples of one label that come one after the other (the longest run, and the mean).

"ideal" is a permutation drawn anew for each epoch.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import shutil
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from absl import app, flags

from benchmarks import measure
from pcr_tf.data import PcrDataset
from pcr_tf.format import PcrWriter, write_side_index
from pcr_tf.format.example import encode_example

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "build/benchmarks", "Folder for the results.")
_EXAMPLES = flags.DEFINE_integer("examples", 20_000, "Examples.", lower_bound=1)
_LABELS = flags.DEFINE_integer("labels", 100, "Labels.", lower_bound=1)
_FILES = flags.DEFINE_integer("files", 16, "Files of TFRecords, and shards.", lower_bound=1)
_RECORDS = flags.DEFINE_list("examples_per_record", ["16", "64", "256"], "Examples in a record.")
_BUFFERS = flags.DEFINE_list("buffers", ["0", "1024", "4096"], "Examples in the shuffle buffer.")
_BATCH = flags.DEFINE_integer("batch", 64, "Examples in a batch.", lower_bound=2)


@dataclasses.dataclass(frozen=True)
class Mix:
    """How well two epochs are mixed; see the module."""

    displacement: float
    company: float
    labels: float
    longest_run: int
    mean_run: float


def mix_of(first: Sequence[int], second: Sequence[int], labels: np.ndarray, batch: int) -> Mix:
    """Compares the orders of two epochs.

    Args:
        first, second: the examples' numbers, 0 to N - 1, each once, in the order of an epoch.
        labels: [N], of each example; at least 0.
        batch: examples in a batch, at least 2.

    Example:
        >>> mix_of([0, 1, 2, 3], [2, 3, 0, 1], np.array([0, 0, 1, 1]), batch=2)
        Mix(displacement=0.5, company=1.0, labels=1.0, longest_run=2, mean_run=2.0)
    """
    in_order = labels[first]
    starts = np.flatnonzero(np.diff(in_order, prepend=-1))  # of runs; no label is negative
    runs = np.diff(starts, append=len(in_order))
    positions = np.argsort(np.array([first, second]), axis=1)
    batches = positions // batch
    _, pairs = np.unique(batches[0] * (len(first) + 1) + batches[1], return_counts=True)
    sizes = np.bincount(batches[0])
    return Mix(
        displacement=float(np.abs(positions[0] - positions[1]).mean() / len(first)),
        company=float((pairs * (pairs - 1)).sum() / (sizes * (sizes - 1)).sum()),
        labels=float(
            np.mean([len(np.unique(in_order[i : i + batch])) for i in range(0, len(first), batch)])
        ),
        longest_run=int(runs.max()),
        mean_run=float(runs.mean()),
    )


def _example(number: int) -> bytes:
    return encode_example({"image/encoded": [b"-"], "number": [number]})


def _write_tfrecords(folder: pathlib.Path, numbers: np.ndarray) -> list[str]:
    folder.mkdir(parents=True)
    paths = [str(folder / f"{file:05d}.tfrecord") for file in range(_FILES.value)]
    for path, part in zip(paths, np.array_split(numbers, _FILES.value), strict=True):
        with tf.io.TFRecordWriter(path) as writer:
            for number in part:
                writer.write(_example(int(number)))
    return paths


def _write_pcr(folder: pathlib.Path, numbers: np.ndarray, examples_per_record: int) -> pathlib.Path:
    folder.mkdir(parents=True)
    for shard, part in enumerate(np.array_split(numbers, _FILES.value)):
        path = folder / f"shard-{shard:05d}.pcr"
        with PcrWriter(path, examples_per_record=examples_per_record) as writer:
            for number in part:
                writer.write(_example(int(number)))
    write_side_index(folder)
    return folder


def _two_epochs(dataset: tf.data.Dataset, buffer: int) -> list[list[int]]:
    """The examples' numbers in the order of two epochs."""
    if buffer:
        dataset = dataset.shuffle(buffer, seed=3)
    features = {"number": tf.io.FixedLenFeature((), tf.int64)}
    numbers = dataset.batch(1024).map(lambda serialized: tf.io.parse_example(serialized, features))
    return [[int(n) for batch in numbers for n in batch["number"].numpy()] for _ in range(2)]


def _tfrecords(paths: list[str], cycle_length: int) -> tf.data.Dataset:
    files = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths), seed=1)
    return files.interleave(tf.data.TFRecordDataset, cycle_length, 1)


def _cases(
    folder: pathlib.Path, numbers: np.ndarray, buffers: Sequence[int]
) -> dict[str, Callable[[], list[list[int]]]]:
    paths = _write_tfrecords(folder / "tfrecords", numbers)
    data_sets = {
        f"TFRecord, {cycle} files at once": _tfrecords(paths, cycle) for cycle in (1, len(paths))
    }
    for examples_per_record in map(int, _RECORDS.value):
        pcr = _write_pcr(folder / f"pcr-{examples_per_record}", numbers, examples_per_record)
        data_sets[f"PCR, {examples_per_record} a record"] = PcrDataset(pcr, 1, shuffle=True, seed=2)
    return {
        f"{name}, buffer {buffer}": functools.partial(_two_epochs, dataset, buffer)
        for name, dataset in data_sets.items()
        for buffer in buffers
    }


def main(argv: list[str]) -> None:
    """Counts, prints a table for each way of storing and writes shuffling.json."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    num_examples = _EXAMPLES.value
    labels = np.arange(num_examples) * _LABELS.value // num_examples
    random = np.random.default_rng(0)
    root = pathlib.Path(_OUTPUT_DIR.value) / "shuffling"
    results: dict[str, dict[str, Mix]] = {}
    for stored in ("sorted by label", "shuffled"):
        numbers = np.arange(num_examples)
        if stored == "shuffled":
            random.shuffle(numbers)
        shutil.rmtree(root, ignore_errors=True)
        cases = _cases(root, numbers, [int(buffer) for buffer in _BUFFERS.value])
        cases["ideal"] = lambda: [random.permutation(num_examples).tolist() for _ in range(2)]
        mixes = {}
        for name, case in cases.items():
            first, second = case()
            mixes[name] = mix_of(first, second, labels, _BATCH.value)
        results[stored] = mixes
        print(f"{num_examples} examples stored {stored}, {_LABELS.value} labels")
        rows = [
            [name, f"{mix.displacement:.3f}", f"{mix.company:.4f}", f"{mix.labels:.1f}"]
            + [f"{mix.longest_run}", f"{mix.mean_run:.2f}"]
            for name, mix in mixes.items()
        ]
        header = ["", "displacement", "company", "labels in a batch", "longest run", "mean run"]
        print(measure.table(header, rows))
    shutil.rmtree(root)
    print(measure.write_json(_OUTPUT_DIR.value, "shuffling", {"examples": num_examples, **results}))


if __name__ == "__main__":
    app.run(main)
