"""The lowest fidelity whose gradient points where that of all scan groups does."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import pcr_tf
from pcr_tf.format import open_dataset
from pcr_tf.keras import (
    GradientSimilarityFidelity,
)
from pcr_tf.keras.gradients import GradientMeter, cosine_similarity
from pcr_tf.tuning import mixture
from tests.held_value import HeldValue
from tests.keras.training import (
    NUM_IMAGES,
    gradient_tuner,
    lower_is_noisier,
    model_state,
    noisy_batches,
    photo_batches,
    seed_variables,
    small_model,
)


def test_the_gradient_is_that_of_a_plain_tape(photos: Path) -> None:
    model = keras.Sequential([keras.layers.Input([16, 16, 3]), keras.layers.Flatten()])
    model.add(keras.layers.Dense(NUM_IMAGES, kernel_regularizer=keras.regularizers.L2(0.1)))
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    total = [0.0, 0.0]
    for x, y in noisy_batches(0.0):
        with tf.GradientTape() as tape:
            loss = model.loss(y, model(x)) + sum(model.losses)
        gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
        total = [a + b for a, b in zip(total, gradients, strict=True)]
    measured, labels = GradientMeter(model).sum_over(noisy_batches(0.0), 3)
    for ours, expected in zip(measured, total, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)
    assert np.concatenate(labels).tolist() == [int(y) for _, y in noisy_batches(0.0).unbatch()]


def test_cosine_similarity_is_that_of_the_flattened_vectors() -> None:
    a, b = [tf.constant([1.0, 0.0]), tf.constant([[2.0]])], [tf.constant([1.0, 1.0]), tf.ones([1])]
    assert cosine_similarity(a, b) == pytest.approx(3 / math.sqrt(5 * 3))
    assert cosine_similarity(a, a) == pytest.approx(1.0)
    assert math.isnan(cosine_similarity(a, [tf.zeros([2]), tf.zeros([1])]))
    assert math.isnan(cosine_similarity(a, [tf.constant([math.inf, 0.0]), tf.zeros([1])]))


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_probe_leaves_model_optimizer_statistics_and_seeds_bit_for_bit(
    photos: Path, policy: str
) -> None:
    keras.config.set_dtype_policy(policy)
    model = small_model()
    model.fit(noisy_batches(0.0), verbose=0)
    assert seed_variables(model)
    tuner = GradientSimilarityFidelity(
        HeldValue(10), photos, probe_data=lower_is_noisier, candidates=(1, 2, 5), num_batches=3
    )
    tuner.set_model(model)
    before = model_state(model)
    first, second = tuner.measure(), tuner.measure()
    assert model_state(model) == before
    assert first is not None
    assert first == pytest.approx(second)  # The same seeds: Dropout takes the same units.
    assert all(-1 <= similarity <= 1.000001 for similarity in first.values())


def test_the_lowest_fidelity_with_a_similar_gradient_is_chosen(photos: Path) -> None:
    fidelity = HeldValue(10)
    tuner = GradientSimilarityFidelity(
        fidelity, photos, probe_data=lower_is_noisier, first_probe_epoch=1, every_epochs=2,
        num_batches=3, mixture_probability=0.7, candidates=(1, 2, 5),
    )  # fmt: skip
    history = small_model().fit(noisy_batches(0.0), epochs=4, verbose=0, callbacks=[tuner]).history
    similarities = {g: history[f"pcr_similarity_{g}"] for g in (1, 2, 5)}
    assert all(math.isnan(values[0]) for values in similarities.values())
    for epoch in (1, 3):
        passing = [g for g, values in similarities.items() if values[epoch] >= 0.8]
        assert fidelity.history[epoch // 2] == mixture(min([*passing, 10]), 0.7, (1, 2, 5, 10))
    assert similarities[5][1] == similarities[5][2]
    assert similarities[5][3] > similarities[1][3]
    assert [seconds > 0 for seconds in history["pcr_probe_s"]] == [False, True, False, True]


def test_a_fit_that_ends_before_the_first_probe_warns(photos: Path) -> None:
    with pytest.warns(UserWarning, match=r"epoch 1 and had no probe, so .* stayed 1; .* epoch 5,"):
        small_model().fit(
            noisy_batches(0.0), epochs=2, verbose=0, callbacks=[gradient_tuner(photos)]
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*had no probe")
        tuner = gradient_tuner(photos, first_probe_epoch=1, num_batches=1)
        small_model().fit(noisy_batches(0.0), epochs=2, verbose=0, callbacks=[tuner])


def test_a_fit_for_each_epoch_warns_of_no_probe_only_until_there_was_one(photos: Path) -> None:
    tuner = gradient_tuner(photos, first_probe_epoch=1, num_batches=1)
    model = small_model()
    with pytest.warns(UserWarning, match="epoch 0 and had no probe"):
        model.fit(noisy_batches(0.0), epochs=1, verbose=0, callbacks=[tuner])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*had no probe")
        for epoch in (1, 2):
            model.fit(
                noisy_batches(0.0),
                initial_epoch=epoch,
                epochs=epoch + 1,
                verbose=0,
                callbacks=[tuner],
            )


def test_what_a_probe_reads_does_not_count_for_the_epoch(photos: Path) -> None:
    tuner = GradientSimilarityFidelity(
        HeldValue(1),
        photos,
        probe_data=lambda groups: photo_batches(photos, groups, training=False),
        candidates=(1, 2, 5),
        first_probe_epoch=0,
        num_batches=3,
    )
    history = small_model().fit(photo_batches(photos, 1), verbose=0, callbacks=[tuner]).history
    assert 0 < history["pcr_similarity_5"][0] <= 1.000001
    expected = open_dataset(photos).index.prefix_bytes(1) / NUM_IMAGES
    assert history["pcr_bytes_per_image"] == pytest.approx([expected])


def test_a_probe_that_keeps_its_batches_reads_them_once(photos: Path) -> None:
    asked = []

    def probe(groups: int) -> Any:
        asked.append(groups)
        return photo_batches(photos, groups, training=False)

    model = small_model()
    tuner, other = (
        GradientSimilarityFidelity(
            HeldValue(10),
            photos,
            probe_data=probe,
            candidates=(1, 2, 5),
            num_batches=3,
            keep_batches=keep,
        )
        for keep in (True, False)
    )
    for one in (tuner, other):
        one.set_model(model)
    first = tuner.measure()
    assert asked == [10, 1, 2, 5]
    before = pcr_tf.data.read_statistics().bytes
    assert tuner.measure() == pytest.approx(first)
    assert asked == [10, 1, 2, 5]
    assert pcr_tf.data.read_statistics().bytes == before
    assert other.measure() == pytest.approx(first)


def test_kept_batches_are_those_that_came_when_a_probe_fills_the_same_arrays_anew(
    photos: Path,
) -> None:
    def refilled(groups: int) -> Iterator[Any]:
        x, y = np.empty((8, 16, 16, 3), np.float32), np.empty(8, np.int64)
        for images, labels in lower_is_noisier(groups).as_numpy_iterator():
            x[:], y[:] = images, labels
            yield x, y

    model = small_model()
    kept, read = (
        GradientSimilarityFidelity(
            HeldValue(10),
            photos,
            probe_data=refilled,
            candidates=(1, 2, 5),
            num_batches=3,
            keep_batches=keep,
        )
        for keep in (True, False)
    )
    for one in (kept, read):
        one.set_model(model)
    expected = read.measure()
    assert kept.measure() == pytest.approx(expected)
    assert kept.measure() == pytest.approx(expected)


def test_a_probe_with_other_examples_at_another_fidelity_is_refused(photos: Path) -> None:
    tuner = GradientSimilarityFidelity(
        HeldValue(10),
        photos,
        probe_data=lambda groups: noisy_batches(0.0, seed=groups),
        candidates=(1, 2, 5),
        first_probe_epoch=0,
        num_batches=1,
    )
    with pytest.raises(ValueError, match="expected the examples of full fidelity at 1 scan groups"):
        small_model().fit(noisy_batches(0.0), verbose=0, callbacks=[tuner])


def test_other_examples_are_seen_when_a_probe_fills_the_same_arrays_anew(photos: Path) -> None:
    x, y = np.empty((8, 16, 16, 3), np.float32), np.empty(8, np.int64)

    def refilled(groups: int) -> Iterator[Any]:
        for images, labels in noisy_batches(0.0, seed=groups).as_numpy_iterator():
            x[:], y[:] = images, labels
            yield x, y

    tuner = GradientSimilarityFidelity(
        HeldValue(10), photos, probe_data=refilled, candidates=(1, 2, 5), num_batches=2
    )
    tuner.set_model(small_model())
    with pytest.raises(ValueError, match="expected the examples of full fidelity at 1 scan groups"):
        tuner.measure()


def test_a_probe_without_batches_is_refused(photos: Path) -> None:
    tuner = GradientSimilarityFidelity(
        HeldValue(10),
        photos,
        probe_data=lambda groups: noisy_batches(0.0).take(0),
        candidates=(1, 2, 5),
        first_probe_epoch=0,
    )
    with pytest.raises(ValueError, match="probe_data; expected at least one batch, got none"):
        small_model().fit(noisy_batches(0.0), verbose=0, callbacks=[tuner])


def test_a_probe_that_ignores_its_argument_warns(photos: Path) -> None:
    tuner = GradientSimilarityFidelity(
        HeldValue(10),
        photos,
        probe_data=lambda groups: noisy_batches(0.0),
        candidates=(1, 2, 5),
        first_probe_epoch=0,
        num_batches=2,
    )
    with pytest.warns(
        UserWarning, match="expected probe_data to give its argument to the data set"
    ):
        small_model().fit(noisy_batches(0.0), verbose=0, callbacks=[tuner])


def test_a_probe_without_labels_and_a_model_without_loss_or_weights_are_named(
    photos: Path,
) -> None:
    tuner = GradientSimilarityFidelity(
        HeldValue(10),
        photos,
        probe_data=lambda groups: noisy_batches(0.0).map(lambda x, y: x),
        candidates=(1, 2, 5),
        num_batches=1,
    )
    tuner.set_model(small_model())
    with pytest.raises(ValueError, match="probe_data; expected batches with labels"):
        tuner.measure()
    tuner = gradient_tuner(photos, num_batches=1)
    model = keras.Sequential([keras.Input([16, 16, 3]), keras.layers.Flatten()])
    model.add(keras.layers.Dense(NUM_IMAGES))
    model.compile("sgd")
    tuner.set_model(model)
    with pytest.raises(ValueError, match=r"compiled with a loss, got none.*argument loss"):
        tuner.measure()
    model.trainable = False
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match="model; expected at least one trainable variable"):
        tuner.measure()


def test_after_a_new_compile_a_probe_uses_the_new_loss(photos: Path) -> None:
    model = small_model()
    tuner = gradient_tuner(photos, num_batches=1)
    tuner.set_model(model)
    first = tuner.measure()
    model.compile("sgd", lambda _, y_pred: keras.ops.mean(y_pred**2))
    second = tuner.measure()
    fresh = gradient_tuner(photos, num_batches=1)
    fresh.set_model(model)
    assert second == pytest.approx(fresh.measure())
    assert second != pytest.approx(first)


def test_a_gradient_that_is_not_finite_warns_and_changes_nothing(photos: Path) -> None:
    fidelity = HeldValue(10)
    tuner = GradientSimilarityFidelity(
        fidelity,
        photos,
        probe_data=lambda groups: noisy_batches(0.0).map(lambda x, y: (x * math.nan, y)),
        candidates=(1, 2, 5),
        first_probe_epoch=0,
        num_batches=1,
    )
    with pytest.warns(UserWarning, match="gradient at full fidelity is zero or not finite"):
        small_model().fit(noisy_batches(0.0), verbose=0, callbacks=[tuner])
    assert fidelity.history == []


class OldCustomLoss(keras.Model):
    """As written before compute_loss was told of training; the loss tracks a metric."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(NUM_IMAGES)
        self.tracker = keras.metrics.Mean(name="own")

    def call(self, x: Any) -> Any:
        return self.dense(keras.ops.reshape(x, [-1, 16 * 16 * 3]) / 255)

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        loss = keras.ops.mean((y_pred - keras.ops.one_hot(y, NUM_IMAGES)) ** 2)
        self.tracker.update_state(loss)
        return loss


def test_a_models_own_compute_loss_is_used_and_its_metrics_are_untouched(photos: Path) -> None:
    model = OldCustomLoss()
    model.compile(optimizer="sgd")
    model.fit(noisy_batches(0.0), verbose=0)
    before = model_state(model)
    gradient, _ = GradientMeter(model).sum_over(noisy_batches(0.0), 1)
    assert model_state(model) == before
    own, _ = GradientMeter(
        model, lambda x, y, y_pred, _: model.compute_loss(x, y, y_pred, None)
    ).sum_over(noisy_batches(0.0), 1)
    assert cosine_similarity(gradient, own) == pytest.approx(1.0)
    other, _ = GradientMeter(
        model,
        lambda x, y, y_pred, _: -keras.ops.mean((y_pred - keras.ops.one_hot(y, NUM_IMAGES)) ** 2),
    ).sum_over(noisy_batches(0.0), 1)
    assert cosine_similarity(gradient, other) == pytest.approx(-1.0)


def test_sample_weights_and_several_outputs_count(photos: Path) -> None:
    x = keras.Input([4])
    model = keras.Model(x, {name: keras.layers.Dense(1, name=name)(x) for name in "ab"})
    model.compile(loss={"a": "mse", "b": "mae"}, optimizer="adam")
    inputs, labels = np.ones((8, 4), np.float32), {"a": np.ones((8, 1)), "b": np.ones((8, 1))}
    weights = {"a": np.zeros(8, np.float32), "b": np.ones(8, np.float32)}
    data = tf.data.Dataset.from_tensors((inputs, labels, weights))
    gradient, found = GradientMeter(model).sum_over(data, 1)
    assert len(found) == 2
    names = [variable.path for variable in model.trainable_variables]
    norms = {name: float(tf.norm(g)) for name, g in zip(names, gradient, strict=True)}
    assert [name for name, norm in norms.items() if norm > 0] == ["b/kernel", "b/bias"]


def test_frozen_layers_have_no_part_in_the_gradient() -> None:
    model = small_model()
    model.layers[1].trainable = False
    model.compile(loss=model.loss, optimizer="sgd")
    gradient, _ = GradientMeter(model).sum_over(noisy_batches(0.0), 1)
    assert len(gradient) == len(model.trainable_variables) == 4
