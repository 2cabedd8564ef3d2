"""Data sets that make PcrDatasets in functions, whose epochs a checkpoint has to keep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from pcr_tf.data import PcrDataset

NUM_FILES = 5


def shuffled(files: Any, **options: Any) -> PcrDataset:
    return PcrDataset(files, 1, shuffle=True, **{"seed": 5, **options})


def files_of(folder: Path) -> tf.data.Dataset:
    return tf.data.Dataset.list_files(str(folder / "*.pcr"), shuffle=False)


PIPELINES: dict[str, Callable[[Path], tf.data.Dataset]] = {
    "flat_map": lambda folder: tf.data.Dataset.range(3).flat_map(lambda _: shuffled(folder)),
    "flat_map, repeated": lambda folder: (
        tf.data.Dataset.range(1).flat_map(lambda _: shuffled(folder)).repeat(3)
    ),
    "interleave": lambda folder: (
        files_of(folder).interleave(shuffled, cycle_length=2, block_length=3).repeat(3)
    ),
    "interleave, shuffled files": lambda folder: (
        files_of(folder).shuffle(NUM_FILES, seed=1).interleave(shuffled, cycle_length=2).repeat(3)
    ),
}
