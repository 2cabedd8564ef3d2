"""Schedules, and what every callback logs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras
import pytest

import pcr_tf
from pcr_tf.format import open_dataset
from pcr_tf.keras import (
    BandwidthFidelity,
    FidelitySchedule,
)
from pcr_tf.tuning import mean_scan_groups
from tests.held_value import HeldValue
from tests.keras.training import (
    NUM_IMAGES,
    gradient_tuner,
    noisy_batches,
    photo_batches,
    plateau_tuner,
    small_model,
)


def test_a_schedule_is_in_the_history_and_in_tensorboard(photos: Path, tmp_path: Path) -> None:
    fidelity = pcr_tf.Fidelity(10)
    schedule: dict[int, Any] = {0: 10, 1: 2, 3: {1: 0.5, 5: 0.5}}
    history = (
        small_model()
        .fit(
            photo_batches(photos, fidelity),
            epochs=4,
            verbose=0,
            callbacks=[
                FidelitySchedule(fidelity, schedule=schedule, paths=photos),
                keras.callbacks.TensorBoard(str(tmp_path / "logs")),
            ],
        )
        .history
    )
    assert history["pcr_fidelity"] == [10, 2, 2, 3]
    assert all(rate > 0 for rate in history["pcr_images_per_s"])
    assert all(0 <= share <= 1 for share in history["pcr_wait_share"])
    index = open_dataset(photos).index
    groups = [10, 2, 2]
    expected = [index.prefix_bytes(g) / NUM_IMAGES for g in groups]
    assert history["pcr_bytes_per_image"][:3] == pytest.approx(expected)
    (events,) = (tmp_path / "logs" / "train").glob("events.*")
    for key in ("fidelity", "bytes_per_image", "images_per_s", "wait_share"):
        assert f"epoch_pcr_{key}".encode() in events.read_bytes()


def test_validation_at_full_fidelity_does_not_count_as_training(photos: Path) -> None:
    history = (
        small_model()
        .fit(
            photo_batches(photos, 1),
            validation_data=photo_batches(photos, None, training=False),
            epochs=2,
            verbose=0,
            callbacks=[FidelitySchedule(HeldValue(1), schedule={0: 1}, paths=photos)],
        )
        .history
    )
    expected = open_dataset(photos).index.prefix_bytes(1) / NUM_IMAGES
    assert history["pcr_bytes_per_image"] == pytest.approx([expected] * 2)


def test_a_schedule_may_be_a_function_of_epoch_and_value() -> None:
    fidelity = HeldValue(4)
    seen: list[Any] = []

    def schedule(epoch: int, value: Any) -> int:
        seen.append(value)
        return epoch + 1

    callback = FidelitySchedule(fidelity, schedule=schedule)
    for epoch in range(3):
        callback.on_train_begin()
        callback.on_epoch_begin(epoch)
    assert fidelity.history == [1, 2, 3]
    assert seen == [4, 1, 2]


def test_what_callbacks_read_after_the_last_batch_does_not_count_as_training(photos: Path) -> None:
    model = small_model()
    full = photo_batches(photos, None, training=False)
    before = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda _, logs: model.evaluate(full, verbose=0)
    )
    after = FidelitySchedule(HeldValue(1), schedule={0: 1}, paths=photos)
    history = model.fit(
        photo_batches(photos, 1), epochs=2, verbose=0, callbacks=[before, after]
    ).history
    expected = open_dataset(photos).index.prefix_bytes(1) / NUM_IMAGES
    assert history["pcr_bytes_per_image"] == pytest.approx([expected] * 2)


def test_a_schedule_that_goes_by_the_value_in_force_resumes_with_a_state_file(
    tmp_path: Path,
) -> None:
    def run(initial_epoch: int, epochs: int) -> list[Any]:
        fidelity = HeldValue(10)
        schedule = FidelitySchedule(
            fidelity,
            schedule=lambda _, value: int(mean_scan_groups(value)) - 1,
            state_path=tmp_path / "schedule.json",
        )
        small_model().fit(
            noisy_batches(0.0),
            initial_epoch=initial_epoch,
            epochs=epochs,
            verbose=0,
            callbacks=[schedule],
        )
        return fidelity.history

    assert run(0, 3) == [9, 8, 7]
    assert run(2, 4) == [8, 7, 6]  # The first is what the state file says.


def test_more_scan_groups_than_the_handles_data_set_has_are_found_when_training_begins(
    photos: Path,
) -> None:
    fidelity = pcr_tf.Fidelity(2)
    data = photo_batches(photos, fidelity)
    for callback in (
        FidelitySchedule(fidelity, schedule={0: 2, 50: 11}),
        FidelitySchedule(fidelity, schedule={0: 2, 50: {2: 0.5, 11: 0.5}}),
        plateau_tuner(fidelity, candidates=(1, 11)),
    ):
        with pytest.raises(ValueError, match="expected 1 to 10, got 11"):
            callback.on_train_begin()
    FidelitySchedule(fidelity, schedule={0: 2, 50: 10}).on_train_begin()
    del data


def test_a_handle_that_no_data_set_was_given_warns_when_training_begins(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="no data set of this process was given Fidelity"):
        FidelitySchedule(pcr_tf.Fidelity(2), schedule={0: 2}).on_train_begin()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Data sets of other processes may have the file.
        fidelity = pcr_tf.Fidelity(2, path=tmp_path / "fidelity")
        FidelitySchedule(fidelity, schedule={0: 2}).on_train_begin()


def test_callbacks_stand_evaluate_before_fit_and_loops_without_train_begin(photos: Path) -> None:
    model = small_model()
    for callback in (
        BandwidthFidelity(HeldValue(10), photos),
        gradient_tuner(photos),
        plateau_tuner(HeldValue(10)),
        FidelitySchedule(HeldValue(1), schedule={0: 1}),
    ):
        model.evaluate(noisy_batches(0.0, batches=1), verbose=0, callbacks=[callback])
        logs: dict[str, Any] = {"loss": 1.0}
        callback.on_epoch_begin(0)
        callback.on_train_batch_end(0, {})
        callback.on_epoch_end(0, logs)
        assert logs["pcr_fidelity"] >= 1


def test_without_the_data_set_nothing_is_said_of_images(photos: Path) -> None:
    history = (
        small_model()
        .fit(
            photo_batches(photos, 1),
            verbose=0,
            callbacks=[FidelitySchedule(HeldValue(1), schedule={0: 1})],
        )
        .history
    )
    assert {"pcr_fidelity", "pcr_wait_share"} <= history.keys()
    assert not {"pcr_bytes_per_image", "pcr_images_per_s"} & history.keys()
