"""Trials on a plateau of the loss."""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pcr_tf.keras import (
    PlateauFidelity,
)
from pcr_tf.keras.metric_direction import mode_of
from tests.held_value import HeldValue
from tests.keras.training import (
    model_state,
    noisy_batches,
    plateau_tuner,
    small_model,
)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_trials_leave_the_model_bit_for_bit(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    model = small_model()
    history = model.fit(noisy_batches(0.0), verbose=0)
    tuner = plateau_tuner(HeldValue(10))
    tuner.set_model(model)
    before = model_state(model)
    model.stop_training = True
    losses = tuner.trials()
    assert model_state(model) == before
    assert model.history is history
    assert model.stop_training
    assert min(losses, key=lambda groups: losses[groups]) == 5


def test_a_trial_that_fails_leaves_the_model_as_it_was() -> None:
    model = small_model()
    model.fit(noisy_batches(0.0), verbose=0)
    tuner = PlateauFidelity(
        HeldValue(10),
        trial_data=lambda groups: noisy_batches(0.0),
        validation_data=iter([]),
        candidates=(1,),
        trial_batches=1,
    )
    tuner.set_model(model)
    before = model_state(model)
    with pytest.raises(Exception, match=r"."):
        tuner.trials()
    assert model_state(model) == before


def test_trials_of_a_model_that_evaluates_to_no_loss_say_what_is_missing() -> None:
    class OwnSteps(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.layer = keras.layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.layer(keras.ops.reshape(x, [-1, 16 * 16 * 3]))

        def train_step(self, data: Any) -> dict[str, Any]:
            return {"own": keras.ops.mean(self(data[0]))}

        test_step = train_step

    model = OwnSteps()
    model.compile("sgd")
    model.fit(noisy_batches(0.0), verbose=0)
    tuner = plateau_tuner(HeldValue(10))
    tuner.set_model(model)
    with pytest.raises(
        ValueError, match=r"^model; expected evaluate to give a loss, got \['own'\]"
    ):
        tuner.trials()


def test_on_a_plateau_the_best_trial_is_chosen_and_all_is_logged(tmp_path: Path) -> None:
    fidelity = HeldValue(10)
    model = small_model()
    history = model.fit(
        noisy_batches(0.0), epochs=4, verbose=0, callbacks=[plateau_tuner(fidelity, patience=2)]
    )
    assert fidelity.history == [5]
    assert model.history is history
    logged = history.history
    # An epoch to begin with, and two without improvement: the next one begins at 5.
    assert logged["pcr_fidelity"] == [10, 10, 10, 5]
    assert [seconds > 0 for seconds in logged["pcr_trial_s"]] == [False, False, True, False]
    assert math.isnan(logged["pcr_trial_loss_5"][1])
    assert logged["pcr_trial_loss_5"][2] < logged["pcr_trial_loss_10"][2]
    assert logged["pcr_trial_loss_5"][2] == logged["pcr_trial_loss_5"][3]


def test_epochs_without_the_monitored_quantity_are_left_out_with_one_warning() -> None:
    tuner = plateau_tuner(HeldValue(10), monitor="val_loss")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = (
            small_model()
            .fit(
                noisy_batches(0.0), validation_data=noisy_batches(0.0), validation_freq=2,
                epochs=6, verbose=0, callbacks=[tuner],
            )
            .history
        )  # fmt: skip
    ours = [str(one.message) for one in caught if "monitor" in str(one.message)]
    assert len(ours) == 1
    assert re.search(r"expected one of .*'loss'.*got 'val_loss'", ours[0])
    # The first value there is, and the second: no improvement by 100.
    assert [seconds > 0 for seconds in history["pcr_trial_s"]] == [False] * 3 + [True] + [False] * 2


@pytest.mark.parametrize(
    ("options", "more_is_better"),
    [
        ({}, False),
        ({"monitor": "val_loss"}, False),
        ({"monitor": "val_mean_squared_error"}, False),
        ({"monitor": "accuracy_loss"}, False),
        ({"monitor": "acc"}, True),
        ({"monitor": "top-1/acc.mean"}, True),
        ({"monitor": "val_accuracy"}, True),
        ({"monitor": "sparse_top_k_categorical_accuracy"}, True),
        ({"monitor": "val_auc_1"}, True),
        ({"monitor": "val_AUC"}, True),
        ({"monitor": "val_accuracy", "mode": "min"}, False),
        ({"monitor": "margin", "mode": "max"}, True),
    ],
)
def test_whether_more_is_better_follows_from_mode_or_else_from_the_name_monitored(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], more_is_better: bool
) -> None:
    tuner = plateau_tuner(HeldValue(10), min_delta=0.0, **options)
    monkeypatch.setattr(tuner, "trials", dict)
    has_tried = []
    for values in ((1.0, 2.0, 3.0), (3.0, 2.0, 1.0)):
        tuner.reset()
        logs = [{options.get("monitor", "loss"): value} for value in values]
        for epoch, logged in enumerate(logs):
            tuner.after_epoch(epoch, logged)
        has_tried.append(any(logged["pcr_trial_s"] > 0 for logged in logs))
    assert has_tried == [not more_is_better, more_is_better]


def test_a_metric_of_the_model_says_itself_whether_more_is_better() -> None:
    x = keras.Input([1])
    outputs = {name: keras.layers.Dense(1, "sigmoid", name=name)(x) for name in "ab"}
    model = keras.Model(x, outputs)
    metrics: dict[str, Any] = {
        "a": [keras.metrics.Recall(name="found"), keras.metrics.Poisson(name="acc")],
        "b": [keras.metrics.BinaryIoU(name="overlap"), "mse", lambda y, y_pred: y_pred],
    }
    model.compile("sgd", {"a": "mse", "b": "mse"}, metrics=metrics)
    labels = np.ones([2, 1])
    model.fit(np.ones([2, 1]), {"a": labels, "b": labels}, verbose=0)
    modes = {"val_a_found": "max", "a_acc": "min", "b_overlap": "max", "b_mse": "min"}
    assert {monitor: mode_of(monitor, model) for monitor in modes} == modes
    alone = keras.Sequential([keras.Input([1]), keras.layers.Dense(1, "sigmoid")])
    alone.compile("sgd", "mse", metrics=[keras.metrics.Precision(name="hits")])
    alone.fit(np.ones([2, 1]), labels, verbose=0)
    assert mode_of("val_hits", alone) == "max"


@pytest.mark.parametrize("monitor", ["val_f1", "miou", "false_positives_at_recall", "place"])
def test_a_monitor_that_may_be_better_either_way_asks_for_the_mode(monitor: str) -> None:
    logger = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update({monitor: 1.0} if epoch == 1 else {})
    )
    with (
        pytest.warns(UserWarning, match="epochs that do not log it are skipped"),
        pytest.raises(ValueError, match=f"^mode; expected 'min' or 'max' with monitor='{monitor}'"),
    ):
        small_model().fit(
            noisy_batches(0.0), epochs=2, verbose=0,
            callbacks=[logger, plateau_tuner(HeldValue(10), monitor=monitor)],
        )  # fmt: skip
    tuner = plateau_tuner(HeldValue(10), monitor=monitor, mode="max", min_delta=0.0)
    tuner.after_epoch(0, {monitor: 1.0})


def test_trial_data_that_are_no_data_set_are_named_before_the_first_trial() -> None:
    tuner = PlateauFidelity(
        HeldValue(10),
        trial_data=lambda groups: [groups] if groups == 2 else noisy_batches(0.0),
        validation_data=noisy_batches(0.0),
        candidates=(1, 2),
    )
    model = small_model()
    tuner.set_model(model)
    with pytest.raises(TypeError, match=r"trial_data; expected a tf.data.Dataset at 2 scan groups"):
        tuner.trials()
    assert not hasattr(model, "history")
