"""A data set, seeds, and storage whose speed is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import pytest

from pcr_tf.format import open_dataset
from tests.held_value import HeldValue
from tests.keras.training import (
    NUM_IMAGES,
    FakeReads,
)
from tests.small_dataset import make_dataset

collect_ignore = ["programs"]  # they run as processes of their own


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuning") / "photos.pcr"
    make_dataset(folder, NUM_IMAGES, examples_per_record=4, num_shards=2)
    return folder


@pytest.fixture(autouse=True)
def _fixed_seed() -> Iterator[None]:
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def fake_reads(photos: Path, monkeypatch: pytest.MonkeyPatch) -> type[FakeReads]:
    index = open_dataset(photos).index
    FakeReads.bytes_per_image = [index.prefix_bytes(g) / NUM_IMAGES for g in range(1, 11)]
    FakeReads.fidelity = HeldValue(10)
    monkeypatch.setattr("pcr_tf.keras.bandwidth.ReadStopwatch", FakeReads)
    return FakeReads
