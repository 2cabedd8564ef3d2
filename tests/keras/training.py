"""Models, data and tuners for tests of callbacks in a real fit()."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pcr_tf.data import ReadStatistics, image_batches
from pcr_tf.keras import (
    GradientSimilarityFidelity,
    PlateauFidelity,
)
from tests.held_value import HeldValue

NUM_IMAGES = 24


def photo_batches(photos: Path, scan_groups: Any, training: bool = True) -> Any:
    return image_batches(
        photos, 16, 8, scan_groups=scan_groups, label="image/class/label", training=training,
        seed=1, dtype=tf.float32,
    )  # fmt: skip


def small_model(*, classes: int = NUM_IMAGES) -> Any:
    """With all that a forward pass in training changes: statistics, seeds, losses of layers."""
    model = keras.Sequential(
        [
            keras.layers.Input([16, 16, 3]),
            keras.layers.Rescaling(1 / 128, -1),
            keras.layers.Conv2D(4, 3, kernel_regularizer=keras.regularizers.L2(1e-3)),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.ActivityRegularization(l2=1e-4, dtype="float32"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(classes, dtype="float32"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def model_state(model: Any) -> list[bytes]:
    """Every variable of a model and its optimizer, bit for bit."""
    variables = [*model.variables, *model.metrics_variables, *model.optimizer.variables]
    return [np.asarray(keras.ops.convert_to_tensor(v)).tobytes() for v in variables]


def seed_variables(model: Any) -> list[Any]:
    return [variable for variable in model.variables if "seed" in variable.path]


def noisy_batches(scale: float, *, batches: int = 3, seed: int = 0) -> Any:
    """Batches of labelled noise images, with further noise of a scale."""
    random = np.random.default_rng(seed)
    x = random.uniform(0, 255, (8 * batches, 16, 16, 3)).astype(np.float32)
    y = random.integers(0, NUM_IMAGES, 8 * batches)
    other = np.random.default_rng(99).normal(0, 1, x.shape).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices((x + scale * other, y)).batch(8)


def lower_is_noisier(groups: int) -> Any:
    return noisy_batches(300.0 / groups**3 if groups < 10 else 0.0)


def noisy_trial_data(groups: int) -> Any:
    """At fidelity 5 the labels can be learned; else they are wrong."""
    return (
        noisy_batches(0.0)
        .map(lambda x, y: (x, y if groups == 5 else (y + 7) % NUM_IMAGES))
        .repeat()
    )


def plateau_tuner(fidelity: Any, **options: Any) -> PlateauFidelity:
    defaults: dict[str, Any] = {
        "candidates": (1, 5, 10), "patience": 1, "min_delta": 100.0, "trial_batches": 6,
    }  # fmt: skip
    return PlateauFidelity(
        fidelity,
        trial_data=noisy_trial_data,
        validation_data=noisy_batches(0.0),
        **{**defaults, **options},
    )


def gradient_tuner(photos: Path, **options: Any) -> GradientSimilarityFidelity:
    options = {"candidates": (1, 2, 5), **options}
    return GradientSimilarityFidelity(HeldValue(1), photos, probe_data=lower_is_noisier, **options)


class FakeReads:
    """A stopwatch over storage of 1e6 bytes/s and a consumer of so many images/s."""

    bytes_per_image: list[float]
    fidelity: HeldValue
    demand = 0.0
    is_marked = True

    def mark(self) -> None:
        pass

    @property
    def seconds(self) -> float:
        return 10.0

    @property
    def used(self) -> ReadStatistics:
        size = self.bytes_per_image[int(self.fidelity.value) - 1]  # type: ignore[arg-type]
        rate = min(self.demand, 1e6 / size)
        wait_s = 9.0 if rate < self.demand else 0.1
        return ReadStatistics(
            reads=10, bytes=int(rate * size * 10), lookups=0, retries=0, rereads=0, failures=0,
            wait_s=20.0, max_wait_s=1.0, consumer_wait_s=wait_s, wait_counts=(),
        )  # fmt: skip
