"""The highest fidelity that storage can feed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pcr_tf.keras import (
    BandwidthFidelity,
)
from tests.held_value import HeldValue
from tests.keras.training import (
    FakeReads,
    noisy_batches,
    photo_batches,
    small_model,
)


@pytest.mark.parametrize("every_batches", [None, 2])
def test_training_that_waits_for_storage_goes_down_to_what_storage_feeds(
    photos: Path, fake_reads: type[FakeReads], every_batches: int | None
) -> None:
    # Between what storage gives at 3 and at 4, less the headroom of 15%.
    fake_reads.demand = 1e6 / fake_reads.bytes_per_image[2] / 1.2
    tuner = BandwidthFidelity(
        fake_reads.fidelity, photos, every_batches=every_batches, patience=1, headroom=0.15
    )
    history = (
        small_model()
        .fit(noisy_batches(0.0, batches=9), epochs=12, verbose=0, callbacks=[tuner])
        .history
    )
    assert history["pcr_fidelity"][-1] == 3
    assert history["pcr_demand"][-1] == pytest.approx(fake_reads.demand, rel=1e-3)
    assert history["pcr_bandwidth"][-1] == pytest.approx(1e6, rel=1e-3)
    if every_batches:
        assert history["pcr_fidelity"][1] < 8  # four windows in each epoch


@pytest.mark.parametrize(
    ("value", "candidates", "weight", "expected"),
    [
        (10, (1, 2), 1.0, 2),
        (3, (2, 4, 9), 1.0, 4),
        ({1: 0.3, 5: 0.7}, (1, 5, 10), 0.8, {1: 0.1, 5: 0.8, 10: 0.1}),
    ],
)
def test_bandwidth_begins_at_the_candidate_nearest_to_the_handles_value(
    photos: Path, value: Any, candidates: Any, weight: float, expected: Any
) -> None:
    fidelity = HeldValue(value)
    tuner = BandwidthFidelity(fidelity, photos, candidates=candidates, mixture_probability=weight)
    tuner.on_train_begin()
    tuner.on_epoch_begin(0)
    assert fidelity.value == pytest.approx(expected)
    tuner.on_epoch_begin(1)
    assert len(fidelity.history) == 1


def test_bandwidth_is_measured_in_a_real_fit(photos: Path) -> None:
    tuner = BandwidthFidelity(HeldValue(10), photos, every_batches=1)
    history = (
        small_model()
        .fit(photo_batches(photos, 10).repeat(3), epochs=2, verbose=0, callbacks=[tuner])
        .history
    )
    assert {"pcr_bandwidth", "pcr_demand", "pcr_wait_share"} <= history.keys()
    assert all(1 <= value <= 10 for value in history["pcr_fidelity"])
