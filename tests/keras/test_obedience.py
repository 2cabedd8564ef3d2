"""Data that must not obey the handle."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

import pcr_tf
from pcr_tf.format import PcrWriter
from pcr_tf.format.example import encode_example
from pcr_tf.keras import (
    FidelitySchedule,
    GradientSimilarityFidelity,
    PlateauFidelity,
)
from tests.keras.training import (
    photo_batches,
    plateau_tuner,
    small_model,
)
from tests.small_dataset import draw_jpeg


@pytest.mark.parametrize("through_a_file", [False, True])
def test_validation_data_that_obey_the_handle_warn(
    photos: Path, tmp_path: Path, through_a_file: bool
) -> None:
    path = tmp_path / "fidelity" if through_a_file else None
    fidelity = pcr_tf.Fidelity(10, path=path)
    same = pcr_tf.Fidelity(path=path) if path else fidelity
    validation = photo_batches(photos, same, training=False).take(1).prefetch(1)
    schedule = FidelitySchedule(fidelity, schedule={0: 10, 1: 2})
    with pytest.warns(UserWarning, match="FidelitySchedule: the validation data obey Fidelity"):
        small_model().fit(
            photo_batches(photos, fidelity).take(1), epochs=2, verbose=0, callbacks=[schedule],
            validation_data=validation,
        )  # fmt: skip


def test_validation_data_of_another_fidelity_do_not_warn(photos: Path) -> None:
    fidelity = pcr_tf.Fidelity(10)
    other = pcr_tf.Fidelity(10)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".* obey ")
        for scan_groups in (None, other):
            small_model().fit(
                photo_batches(photos, fidelity).take(1), verbose=0,
                callbacks=[FidelitySchedule(fidelity, schedule={0: 2})],
                validation_data=photo_batches(photos, scan_groups, training=False).take(1),
            )  # fmt: skip
    assert other.value == 10


def test_a_plateau_is_not_judged_by_data_that_obey_the_handle(photos: Path) -> None:
    fidelity = pcr_tf.Fidelity(10)
    obedient = photo_batches(photos, fidelity, training=False)
    with pytest.raises(ValueError, match="validation_data; expected a fidelity of its own"):
        PlateauFidelity(
            fidelity,
            trial_data=lambda g: photo_batches(photos, g),
            validation_data=obedient,
            candidates=(1, 10),
        )


def test_trials_on_data_that_do_not_heed_their_fidelity_are_refused_or_warn(photos: Path) -> None:
    fidelity = pcr_tf.Fidelity(10)
    model = small_model()
    model.fit(photo_batches(photos, fidelity).take(1), verbose=0)
    validation = photo_batches(photos, None, training=False).take(1)

    def plateau(trial_data: Callable[[int], Any]) -> PlateauFidelity:
        made = PlateauFidelity(
            fidelity,
            trial_data=trial_data,
            validation_data=validation,
            candidates=(1, 10),
            trial_batches=1,
            patience=1,
            min_delta=100.0,
        )
        made.set_model(model)
        return made

    with pytest.raises(ValueError, match=r"trial_data; .* at 1 scan groups, got data that obey"):
        plateau(lambda groups: photo_batches(photos, fidelity)).trials()
    heedless = plateau(lambda groups: photo_batches(photos, 5))
    heedless.after_epoch(0, {"loss": 1.0})
    with pytest.warns(UserWarning, match="the trials end with one loss at every fidelity"):
        heedless.after_epoch(1, {"loss": 1.0})
    assert fidelity.value == 1


@pytest.mark.parametrize("keep_batches", [False, True])
def test_a_probe_that_obeys_the_handle_is_refused(photos: Path, keep_batches: bool) -> None:
    fidelity = pcr_tf.Fidelity(10)
    callback = GradientSimilarityFidelity(
        fidelity,
        photos,
        probe_data=lambda groups: photo_batches(photos, fidelity, training=False),
        candidates=(1, 2, 5),
        keep_batches=keep_batches,
    )
    model = small_model()
    callback.set_model(model)
    with pytest.raises(
        ValueError, match="probe_data; expected data at 10 scan groups, got data that ob"
    ):
        callback.measure()
    assert fidelity.value == 10


def test_files_of_another_data_set_than_the_handles_are_refused(
    photos: Path, tmp_path: Path
) -> None:
    path = tmp_path / "few.pcr"
    script = "0,1,2: 0-0,0,0;\n# group\n0: 1-63,0,0; 1: 1-63,0,0; 2: 1-63,0,0;\n"
    with PcrWriter(path, scan_script=script) as writer:
        writer.write(encode_example({"image/encoded": [draw_jpeg(0)]}))
    fidelity = pcr_tf.Fidelity(2)
    train = photo_batches(photos, fidelity)
    with pytest.raises(ValueError, match="paths; expected the data set that was given the Fidel"):
        small_model().fit(
            train, verbose=0, callbacks=[FidelitySchedule(fidelity, schedule={0: 2}, paths=path)]
        )


def test_two_callbacks_that_set_one_handle_warn(photos: Path) -> None:
    fidelity = pcr_tf.Fidelity(10)
    train = photo_batches(photos, fidelity)
    callbacks = [
        FidelitySchedule(fidelity, schedule={0: 2}),
        plateau_tuner(fidelity, candidates=(1, 10)),
    ]
    with pytest.warns(UserWarning, match="PlateauFidelity: FidelitySchedule .* sets Fidelity"):
        small_model().fit(train.take(1), verbose=0, callbacks=callbacks)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".* sets ")
        for callback in callbacks:  # One after the other, also where a fit ends by an exception.
            with pytest.raises(ZeroDivisionError):
                small_model().fit(
                    train.take(1), verbose=0,
                    callbacks=[callback, keras.callbacks.LambdaCallback(
                        on_epoch_begin=lambda epoch, logs: 1 // epoch)],
                )  # fmt: skip
        other = pcr_tf.Fidelity(10)
        both = [FidelitySchedule(one, schedule={0: 2}) for one in (fidelity, other)]
        obedient = photo_batches(photos, other)
        small_model().fit(train.take(1), verbose=0, callbacks=both)
        del obedient
