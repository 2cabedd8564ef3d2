"""The callbacks that choose the fidelity, in a real fit()."""

from __future__ import annotations

import importlib.util
import io
import json
import math
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import pcr_tf
from pcr_tf.data import ReadStatistics, image_batches
from pcr_tf.format import PcrWriter, open_dataset, write_side_index
from pcr_tf.format.example import encode_example
from pcr_tf.keras import (
    BandwidthFidelity,
    FidelitySchedule,
    GradientSimilarityFidelity,
    MsSsimFidelity,
    PlateauFidelity,
)
from pcr_tf.keras.gradients import GradientMeter, cosine_similarity
from pcr_tf.keras.metric_direction import mode_of
from pcr_tf.keras.state_file import StateFile
from pcr_tf.tuning import mean_scan_groups, mixture
from tests.held_value import HeldValue
from tests.small_dataset import draw_jpeg, make_dataset
from tools import native

_IMAGES = 24


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuning") / "photos.pcr"
    make_dataset(folder, _IMAGES, examples_per_record=4, num_shards=2)
    return folder


@pytest.fixture(autouse=True)
def _fixed_seed() -> Iterator[None]:
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


def _batches(photos: Path, scan_groups: Any, training: bool = True) -> Any:
    return image_batches(
        photos, 16, 8, scan_groups=scan_groups, label="image/class/label", training=training,
        seed=1, dtype=tf.float32,
    )  # fmt: skip


def _model(*, classes: int = _IMAGES) -> Any:
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


def _state(model: Any) -> list[bytes]:
    """Every variable of a model and its optimizer, bit for bit."""
    variables = [*model.variables, *model.metrics_variables, *model.optimizer.variables]
    return [np.asarray(keras.ops.convert_to_tensor(v)).tobytes() for v in variables]


def _seed_variables(model: Any) -> list[Any]:
    return [variable for variable in model.variables if "seed" in variable.path]


# Schedules, and what is logged


def test_a_schedule_is_in_the_history_and_in_tensorboard(photos: Path, tmp_path: Path) -> None:
    fidelity = pcr_tf.Fidelity(10)
    schedule: dict[int, Any] = {0: 10, 1: 2, 3: {1: 0.5, 5: 0.5}}
    history = (
        _model()
        .fit(
            _batches(photos, fidelity),
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
    expected = [index.prefix_bytes(g) / _IMAGES for g in groups]
    assert history["pcr_bytes_per_image"][:3] == pytest.approx(expected)
    (events,) = (tmp_path / "logs" / "train").glob("events.*")
    for key in ("fidelity", "bytes_per_image", "images_per_s", "wait_share"):
        assert f"epoch_pcr_{key}".encode() in events.read_bytes()


def test_validation_at_full_fidelity_does_not_count_as_training(photos: Path) -> None:
    history = (
        _model()
        .fit(
            _batches(photos, 1),
            validation_data=_batches(photos, None, training=False),
            epochs=2,
            verbose=0,
            callbacks=[FidelitySchedule(HeldValue(1), schedule={0: 1}, paths=photos)],
        )
        .history
    )
    expected = open_dataset(photos).index.prefix_bytes(1) / _IMAGES
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
    model = _model()
    full = _batches(photos, None, training=False)
    before = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda _, logs: model.evaluate(full, verbose=0)
    )
    after = FidelitySchedule(HeldValue(1), schedule={0: 1}, paths=photos)
    history = model.fit(_batches(photos, 1), epochs=2, verbose=0, callbacks=[before, after]).history
    expected = open_dataset(photos).index.prefix_bytes(1) / _IMAGES
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
        _model().fit(
            _noisy(0.0), initial_epoch=initial_epoch, epochs=epochs, verbose=0, callbacks=[schedule]
        )
        return fidelity.history

    assert run(0, 3) == [9, 8, 7]
    assert run(2, 4) == [8, 7, 6]  # The first is what the state file says.


def test_more_scan_groups_than_the_handles_data_set_has_are_found_when_training_begins(
    photos: Path,
) -> None:
    fidelity = pcr_tf.Fidelity(2)
    data = _batches(photos, fidelity)
    for callback in (
        FidelitySchedule(fidelity, schedule={0: 2, 50: 11}),
        FidelitySchedule(fidelity, schedule={0: 2, 50: {2: 0.5, 11: 0.5}}),
        _plateau(fidelity, candidates=(1, 11)),
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
    model = _model()
    for callback in (
        BandwidthFidelity(HeldValue(10), photos),
        _gradient(photos),
        _plateau(HeldValue(10)),
        FidelitySchedule(HeldValue(1), schedule={0: 1}),
    ):
        model.evaluate(_noisy(0.0, batches=1), verbose=0, callbacks=[callback])
        logs: dict[str, Any] = {"loss": 1.0}
        callback.on_epoch_begin(0)
        callback.on_train_batch_end(0, {})
        callback.on_epoch_end(0, logs)
        assert logs["pcr_fidelity"] >= 1


def test_without_the_data_set_nothing_is_said_of_images(photos: Path) -> None:
    history = (
        _model()
        .fit(
            _batches(photos, 1),
            verbose=0,
            callbacks=[FidelitySchedule(HeldValue(1), schedule={0: 1})],
        )
        .history
    )
    assert {"pcr_fidelity", "pcr_wait_share"} <= history.keys()
    assert not {"pcr_bytes_per_image", "pcr_images_per_s"} & history.keys()


# MS-SSIM


@pytest.fixture(scope="module")
def large_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images that are large enough for MS-SSIM, and one that is not."""
    folder = tmp_path_factory.mktemp("large") / "photos.pcr"
    folder.mkdir()
    with PcrWriter(folder / "shard-00000-of-00001.pcr", examples_per_record=2) as writer:
        for ordinal, side in enumerate((180, 200, 40)):
            random = np.random.default_rng(ordinal)
            y, x = np.mgrid[0:side, 0:side]
            waves = 128 + 60 * np.sin(x / 7 + ordinal) * np.cos(y / 5)
            pixels = waves[..., None] + random.normal(0, 20, (side, side, 3))
            out = io.BytesIO()
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
            example: dict[str, Any] = {
                "image/encoded": [out.getvalue()],
                "image/class/label": [ordinal],
            }
            writer.write(encode_example(example))
    write_side_index(folder)
    return folder


def _with_profile(photos: Path, folder: Path, profile: Any) -> Path:
    folder.mkdir()
    for path in photos.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "manifest.json").write_text(json.dumps({"manifest_version": 1, "profile": profile}))
    return folder


def test_the_lowest_fidelity_that_passes_the_manifests_profile_is_chosen(
    photos: Path, tmp_path: Path
) -> None:
    values = [0.8, 0.9, 0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 1.0]
    folder = _with_profile(photos, tmp_path / "profiled.pcr", {"ms_ssim": values})
    fidelity = HeldValue(10)
    tuner = MsSsimFidelity(fidelity, folder, threshold=0.95)
    history = _model().fit(_batches(folder, 4), epochs=2, verbose=0, callbacks=[tuner]).history
    assert history["pcr_fidelity"] == [4, 4]
    assert fidelity.history == [4]
    assert tuner.ms_ssim == values


def test_without_a_profile_ms_ssim_is_measured_on_a_sample(large_photos: Path) -> None:
    tuner = MsSsimFidelity(HeldValue(10), large_photos, threshold=0.9)
    # Scans of chroma leave luma as it is but for rounding, so not every step goes up.
    steps = np.diff(tuner.ms_ssim)
    assert np.all(steps > -1e-3)
    assert tuner.ms_ssim[0] < 0.95
    assert tuner.ms_ssim[-1] == 1.0


def test_where_no_candidate_passes_the_highest_is_chosen(large_photos: Path) -> None:
    fidelity = HeldValue(10)
    tuner = MsSsimFidelity(
        fidelity, large_photos, threshold=1.0, candidates=(1, 2), mixture_probability=0.75
    )
    tuner.on_train_begin()
    tuner.on_epoch_begin(0)
    assert fidelity.value == {1: 0.25, 2: 0.75}


def test_images_too_small_for_ms_ssim_are_named(photos: Path) -> None:
    with pytest.raises(ValueError, match="MS-SSIM; expected an image with sides of at least 176"):
        MsSsimFidelity(HeldValue(10), photos, threshold=0.9)


@pytest.mark.parametrize("profile", [{"ms_ssim": [0.5, 1.0]}, {"ms_ssim": "x"}, {}, 7])
def test_a_profile_of_another_shape_is_named(photos: Path, tmp_path: Path, profile: Any) -> None:
    folder = _with_profile(photos, tmp_path / "profiled.pcr", profile)
    with pytest.raises(ValueError, match=r"profiled\.pcr.*profile"):
        MsSsimFidelity(HeldValue(10), folder, threshold=0.9)


# Gradients


def _noisy(scale: float, *, batches: int = 3, seed: int = 0) -> Any:
    """Batches of labelled noise images, with further noise of a scale."""
    random = np.random.default_rng(seed)
    x = random.uniform(0, 255, (8 * batches, 16, 16, 3)).astype(np.float32)
    y = random.integers(0, _IMAGES, 8 * batches)
    other = np.random.default_rng(99).normal(0, 1, x.shape).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices((x + scale * other, y)).batch(8)


def _lower_is_noisier(groups: int) -> Any:
    return _noisy(300.0 / groups**3 if groups < 10 else 0.0)


def test_the_gradient_is_that_of_a_plain_tape(photos: Path) -> None:
    model = keras.Sequential([keras.layers.Input([16, 16, 3]), keras.layers.Flatten()])
    model.add(keras.layers.Dense(_IMAGES, kernel_regularizer=keras.regularizers.L2(0.1)))
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    total = [0.0, 0.0]
    for x, y in _noisy(0.0):
        with tf.GradientTape() as tape:
            loss = model.loss(y, model(x)) + sum(model.losses)
        gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
        total = [a + b for a, b in zip(total, gradients, strict=True)]
    measured, labels = GradientMeter(model).sum_over(_noisy(0.0), 3)
    for ours, expected in zip(measured, total, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)
    assert np.concatenate(labels).tolist() == [int(y) for _, y in _noisy(0.0).unbatch()]


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
    model = _model()
    model.fit(_noisy(0.0), verbose=0)
    assert _seed_variables(model)
    tuner = GradientSimilarityFidelity(
        HeldValue(10), photos, probe_data=_lower_is_noisier, candidates=(1, 2, 5), num_batches=3
    )
    tuner.set_model(model)
    before = _state(model)
    first, second = tuner.measure(), tuner.measure()
    assert _state(model) == before
    assert first is not None
    assert first == pytest.approx(second)  # The same seeds: Dropout takes the same units.
    assert all(-1 <= similarity <= 1.000001 for similarity in first.values())


def test_the_lowest_fidelity_with_a_similar_gradient_is_chosen(photos: Path) -> None:
    fidelity = HeldValue(10)
    tuner = GradientSimilarityFidelity(
        fidelity, photos, probe_data=_lower_is_noisier, first_probe_epoch=1, every_epochs=2,
        num_batches=3, mixture_probability=0.7, candidates=(1, 2, 5),
    )  # fmt: skip
    history = _model().fit(_noisy(0.0), epochs=4, verbose=0, callbacks=[tuner]).history
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
        _model().fit(_noisy(0.0), epochs=2, verbose=0, callbacks=[_gradient(photos)])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*had no probe")
        tuner = _gradient(photos, first_probe_epoch=1, num_batches=1)
        _model().fit(_noisy(0.0), epochs=2, verbose=0, callbacks=[tuner])


def test_a_fit_for_each_epoch_warns_of_no_probe_only_until_there_was_one(photos: Path) -> None:
    tuner = _gradient(photos, first_probe_epoch=1, num_batches=1)
    model = _model()
    with pytest.warns(UserWarning, match="epoch 0 and had no probe"):
        model.fit(_noisy(0.0), epochs=1, verbose=0, callbacks=[tuner])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*had no probe")
        for epoch in (1, 2):
            model.fit(
                _noisy(0.0), initial_epoch=epoch, epochs=epoch + 1, verbose=0, callbacks=[tuner]
            )


def test_what_a_probe_reads_does_not_count_for_the_epoch(photos: Path) -> None:
    tuner = GradientSimilarityFidelity(
        HeldValue(1),
        photos,
        probe_data=lambda groups: _batches(photos, groups, training=False),
        candidates=(1, 2, 5),
        first_probe_epoch=0,
        num_batches=3,
    )
    history = _model().fit(_batches(photos, 1), verbose=0, callbacks=[tuner]).history
    assert 0 < history["pcr_similarity_5"][0] <= 1.000001
    expected = open_dataset(photos).index.prefix_bytes(1) / _IMAGES
    assert history["pcr_bytes_per_image"] == pytest.approx([expected])


def test_a_probe_that_keeps_its_batches_reads_them_once(photos: Path) -> None:
    asked = []

    def probe(groups: int) -> Any:
        asked.append(groups)
        return _batches(photos, groups, training=False)

    model = _model()
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
        for images, labels in _lower_is_noisier(groups).as_numpy_iterator():
            x[:], y[:] = images, labels
            yield x, y

    model = _model()
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
        probe_data=lambda groups: _noisy(0.0, seed=groups),
        candidates=(1, 2, 5),
        first_probe_epoch=0,
        num_batches=1,
    )
    with pytest.raises(ValueError, match="expected the examples of full fidelity at 1 scan groups"):
        _model().fit(_noisy(0.0), verbose=0, callbacks=[tuner])


def test_other_examples_are_seen_when_a_probe_fills_the_same_arrays_anew(photos: Path) -> None:
    x, y = np.empty((8, 16, 16, 3), np.float32), np.empty(8, np.int64)

    def refilled(groups: int) -> Iterator[Any]:
        for images, labels in _noisy(0.0, seed=groups).as_numpy_iterator():
            x[:], y[:] = images, labels
            yield x, y

    tuner = GradientSimilarityFidelity(
        HeldValue(10), photos, probe_data=refilled, candidates=(1, 2, 5), num_batches=2
    )
    tuner.set_model(_model())
    with pytest.raises(ValueError, match="expected the examples of full fidelity at 1 scan groups"):
        tuner.measure()


def test_a_probe_without_batches_is_refused(photos: Path) -> None:
    tuner = GradientSimilarityFidelity(
        HeldValue(10),
        photos,
        probe_data=lambda groups: _noisy(0.0).take(0),
        candidates=(1, 2, 5),
        first_probe_epoch=0,
    )
    with pytest.raises(ValueError, match="probe_data; expected at least one batch, got none"):
        _model().fit(_noisy(0.0), verbose=0, callbacks=[tuner])


def test_a_probe_that_ignores_its_argument_warns(photos: Path) -> None:
    tuner = GradientSimilarityFidelity(
        HeldValue(10),
        photos,
        probe_data=lambda groups: _noisy(0.0),
        candidates=(1, 2, 5),
        first_probe_epoch=0,
        num_batches=2,
    )
    with pytest.warns(
        UserWarning, match="expected probe_data to give its argument to the data set"
    ):
        _model().fit(_noisy(0.0), verbose=0, callbacks=[tuner])


def test_a_probe_without_labels_and_a_model_without_loss_or_weights_are_named(
    photos: Path,
) -> None:
    tuner = GradientSimilarityFidelity(
        HeldValue(10),
        photos,
        probe_data=lambda groups: _noisy(0.0).map(lambda x, y: x),
        candidates=(1, 2, 5),
        num_batches=1,
    )
    tuner.set_model(_model())
    with pytest.raises(ValueError, match="probe_data; expected batches with labels"):
        tuner.measure()
    tuner = _gradient(photos, num_batches=1)
    model = keras.Sequential([keras.Input([16, 16, 3]), keras.layers.Flatten()])
    model.add(keras.layers.Dense(_IMAGES))
    model.compile("sgd")
    tuner.set_model(model)
    with pytest.raises(ValueError, match=r"compiled with a loss, got none.*argument loss"):
        tuner.measure()
    model.trainable = False
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match="model; expected at least one trainable variable"):
        tuner.measure()


def test_after_a_new_compile_a_probe_uses_the_new_loss(photos: Path) -> None:
    model = _model()
    tuner = _gradient(photos, num_batches=1)
    tuner.set_model(model)
    first = tuner.measure()
    model.compile("sgd", lambda _, y_pred: keras.ops.mean(y_pred**2))
    second = tuner.measure()
    fresh = _gradient(photos, num_batches=1)
    fresh.set_model(model)
    assert second == pytest.approx(fresh.measure())
    assert second != pytest.approx(first)


def test_a_gradient_that_is_not_finite_warns_and_changes_nothing(photos: Path) -> None:
    fidelity = HeldValue(10)
    tuner = GradientSimilarityFidelity(
        fidelity,
        photos,
        probe_data=lambda groups: _noisy(0.0).map(lambda x, y: (x * math.nan, y)),
        candidates=(1, 2, 5),
        first_probe_epoch=0,
        num_batches=1,
    )
    with pytest.warns(UserWarning, match="gradient at full fidelity is zero or not finite"):
        _model().fit(_noisy(0.0), verbose=0, callbacks=[tuner])
    assert fidelity.history == []


class OldCustomLoss(keras.Model):
    """As written before compute_loss was told of training; the loss tracks a metric."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(_IMAGES)
        self.tracker = keras.metrics.Mean(name="own")

    def call(self, x: Any) -> Any:
        return self.dense(keras.ops.reshape(x, [-1, 16 * 16 * 3]) / 255)

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        loss = keras.ops.mean((y_pred - keras.ops.one_hot(y, _IMAGES)) ** 2)
        self.tracker.update_state(loss)
        return loss


def test_a_models_own_compute_loss_is_used_and_its_metrics_are_untouched(photos: Path) -> None:
    model = OldCustomLoss()
    model.compile(optimizer="sgd")
    model.fit(_noisy(0.0), verbose=0)
    before = _state(model)
    gradient, _ = GradientMeter(model).sum_over(_noisy(0.0), 1)
    assert _state(model) == before
    own, _ = GradientMeter(
        model, lambda x, y, y_pred, _: model.compute_loss(x, y, y_pred, None)
    ).sum_over(_noisy(0.0), 1)
    assert cosine_similarity(gradient, own) == pytest.approx(1.0)
    other, _ = GradientMeter(
        model,
        lambda x, y, y_pred, _: -keras.ops.mean((y_pred - keras.ops.one_hot(y, _IMAGES)) ** 2),
    ).sum_over(_noisy(0.0), 1)
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
    model = _model()
    model.layers[1].trainable = False
    model.compile(loss=model.loss, optimizer="sgd")
    gradient, _ = GradientMeter(model).sum_over(_noisy(0.0), 1)
    assert len(gradient) == len(model.trainable_variables) == 4


# Plateaus


def _trial_data(groups: int) -> Any:
    """At fidelity 5 the labels can be learned; else they are wrong."""
    return _noisy(0.0).map(lambda x, y: (x, y if groups == 5 else (y + 7) % _IMAGES)).repeat()


def _plateau(fidelity: Any, **options: Any) -> PlateauFidelity:
    defaults: dict[str, Any] = {
        "candidates": (1, 5, 10), "patience": 1, "min_delta": 100.0, "trial_batches": 6,
    }  # fmt: skip
    return PlateauFidelity(
        fidelity, trial_data=_trial_data, validation_data=_noisy(0.0), **{**defaults, **options}
    )


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_trials_leave_the_model_bit_for_bit(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    model = _model()
    history = model.fit(_noisy(0.0), verbose=0)
    tuner = _plateau(HeldValue(10))
    tuner.set_model(model)
    before = _state(model)
    model.stop_training = True
    losses = tuner.trials()
    assert _state(model) == before
    assert model.history is history
    assert model.stop_training
    assert min(losses, key=lambda groups: losses[groups]) == 5


def test_a_trial_that_fails_leaves_the_model_as_it_was() -> None:
    model = _model()
    model.fit(_noisy(0.0), verbose=0)
    tuner = PlateauFidelity(
        HeldValue(10),
        trial_data=lambda groups: _noisy(0.0),
        validation_data=iter([]),
        candidates=(1,),
        trial_batches=1,
    )
    tuner.set_model(model)
    before = _state(model)
    with pytest.raises(Exception, match=r"."):
        tuner.trials()
    assert _state(model) == before


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
    model.fit(_noisy(0.0), verbose=0)
    tuner = _plateau(HeldValue(10))
    tuner.set_model(model)
    with pytest.raises(
        ValueError, match=r"^model; expected evaluate to give a loss, got \['own'\]"
    ):
        tuner.trials()


def test_on_a_plateau_the_best_trial_is_chosen_and_all_is_logged(tmp_path: Path) -> None:
    fidelity = HeldValue(10)
    model = _model()
    history = model.fit(
        _noisy(0.0), epochs=4, verbose=0, callbacks=[_plateau(fidelity, patience=2)]
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
    tuner = _plateau(HeldValue(10), monitor="val_loss")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = (
            _model()
            .fit(
                _noisy(0.0), validation_data=_noisy(0.0), validation_freq=2, epochs=6, verbose=0,
                callbacks=[tuner],
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
    tuner = _plateau(HeldValue(10), min_delta=0.0, **options)
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
        pytest.warns(UserWarning, match="epochs without it are left out"),
        pytest.raises(ValueError, match=f"^mode; expected 'min' or 'max' with monitor='{monitor}'"),
    ):
        _model().fit(
            _noisy(0.0), epochs=2, verbose=0,
            callbacks=[logger, _plateau(HeldValue(10), monitor=monitor)],
        )  # fmt: skip
    tuner = _plateau(HeldValue(10), monitor=monitor, mode="max", min_delta=0.0)
    tuner.after_epoch(0, {monitor: 1.0})


def test_trial_data_that_are_no_data_set_are_named_before_the_first_trial() -> None:
    tuner = PlateauFidelity(
        HeldValue(10),
        trial_data=lambda groups: [groups] if groups == 2 else _noisy(0.0),
        validation_data=_noisy(0.0),
        candidates=(1, 2),
    )
    model = _model()
    tuner.set_model(model)
    with pytest.raises(TypeError, match=r"trial_data; expected a tf.data.Dataset at 2 scan groups"):
        tuner.trials()
    assert not hasattr(model, "history")


# Probes and trials leave no trace

# In a process of its own: deterministic ops cannot be switched off again.
_UNDISTURBED = """
import pathlib, sys
import keras
import tensorflow as tf
from tests import test_tuning_keras as t

tf.config.experimental.enable_op_determinism()
photos = pathlib.Path(sys.argv[1])
weights = []
for tuner in (
    None,
    t._gradient(photos, num_batches=2, first_probe_epoch=0, every_epochs=1),
    t._plateau(t.HeldValue(10)),
):
    keras.utils.set_random_seed(3)
    model = t._model()
    model.fit(t._noisy(0.0), epochs=3, verbose=0, callbacks=[tuner] if tuner else [])
    weights.append(t._state(model))
assert weights[1] == weights[0], "probes"
assert weights[2] == weights[0], "trials"
print("done")
"""


def test_a_fit_with_probes_or_trials_trains_exactly_as_one_without(photos: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _UNDISTURBED, str(photos)],
        cwd=native.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


# Bandwidth


class _FakeReads:
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


@pytest.fixture
def fake_reads(photos: Path, monkeypatch: pytest.MonkeyPatch) -> type[_FakeReads]:
    index = open_dataset(photos).index
    _FakeReads.bytes_per_image = [index.prefix_bytes(g) / _IMAGES for g in range(1, 11)]
    _FakeReads.fidelity = HeldValue(10)
    monkeypatch.setattr("pcr_tf.keras.bandwidth.ReadStopwatch", _FakeReads)
    return _FakeReads


@pytest.mark.parametrize("every_batches", [None, 2])
def test_training_that_waits_for_storage_goes_down_to_what_storage_feeds(
    photos: Path, fake_reads: type[_FakeReads], every_batches: int | None
) -> None:
    # Between what storage gives at 3 and at 4, less the headroom of 15%.
    fake_reads.demand = 1e6 / fake_reads.bytes_per_image[2] / 1.2
    tuner = BandwidthFidelity(
        fake_reads.fidelity, photos, every_batches=every_batches, patience=1, headroom=0.15
    )
    history = _model().fit(_noisy(0.0, batches=9), epochs=12, verbose=0, callbacks=[tuner]).history
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
        _model().fit(_batches(photos, 10).repeat(3), epochs=2, verbose=0, callbacks=[tuner]).history
    )
    assert {"pcr_bandwidth", "pcr_demand", "pcr_wait_share"} <= history.keys()
    assert all(1 <= value <= 10 for value in history["pcr_fidelity"])


# Resuming


def test_states_are_found_by_epoch(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "state.json"
    states = StateFile(path, "Tuner")
    assert states.begin(0) is None
    for epoch in range(4):
        states.write(epoch, {"after": epoch})
    assert StateFile(path, "Tuner").begin(3) == {"after": 2}
    assert StateFile(path, "Tuner").begin(9) == {"after": 3}
    assert StateFile(path, "Tuner").begin(0) is None
    again = StateFile(path, "Tuner")
    again.begin(2)
    again.write(2, {"after": "another run's"})
    assert StateFile(path, "Tuner").begin(9) == {"after": "another run's"}


def test_a_file_that_is_not_the_callbacks_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    StateFile(path, "Tuner").write(0, {})
    with pytest.raises(ValueError, match=r"state\.json: version and callback; expected .*Other"):
        StateFile(path, "Other").begin(1)
    path.write_text("[1]")
    with pytest.raises(ValueError, match=r"state\.json: not the state of a callback"):
        StateFile(path, "Tuner").begin(1)


def test_a_state_file_that_cannot_be_written_is_found_before_an_epoch_is_trained(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    tuner = _plateau(HeldValue(10), state_path=tmp_path / "file" / "state.json")
    tuner.on_train_begin()
    with pytest.raises(OSError, match=r"file"):
        tuner.on_epoch_begin(0)


def test_beginning_an_earlier_epoch_keeps_the_states_until_one_is_written(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    states = StateFile(path, "Tuner")
    for epoch in range(3):
        states.write(epoch, {"after": epoch})
    assert StateFile(path, "Tuner").begin(0) is None
    assert StateFile(path, "Tuner").begin(9) == {"after": 2}


def test_a_state_file_of_two_callbacks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.json"

    def tuner() -> PlateauFidelity:
        return _plateau(HeldValue(10), state_path=path)

    callbacks = [tuner(), tuner()]
    with pytest.raises(ValueError, match=r"state_path; expected a file for each callback.*for two"):
        _model().fit(_noisy(0.0), verbose=0, callbacks=callbacks)
    # One after the other they may have it, also where the first had no epoch.
    first, second = callbacks
    _model().fit(_noisy(0.0), epochs=0, verbose=0, callbacks=[first])
    _model().fit(_noisy(0.0), verbose=0, callbacks=[second])
    first.on_train_begin()
    first.on_train_begin()


# Three tuners, each with a handle, in one fit(); killed before the end of epoch `kill_at`.
_RESUMED = """
import json, os, pathlib, signal, sys
import keras
import tensorflow as tf
from tests import test_tuning_keras as t
from pcr_tf import keras as pk

folder, photos, kill_at = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
index = t.open_dataset(photos).index
t._FakeReads.bytes_per_image = [index.prefix_bytes(g) / t._IMAGES for g in range(1, 11)]
t._FakeReads.fidelity = t.HeldValue(10)
t._FakeReads.demand = 1e6 / t._FakeReads.bytes_per_image[4] / 1.2
pk.bandwidth.ReadStopwatch = t._FakeReads
gradient, plateau = t.pcr_tf.Fidelity(10), t.HeldValue(10)
tf.config.experimental.enable_op_determinism()

class Recorder(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        values = [gradient.value, plateau.value, t._FakeReads.fidelity.value]
        with open(folder / "values.jsonl", "a") as out:
            out.write(json.dumps([epoch, values, bandwidth.policy.state()]) + "\\n")

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations.numpy() == kill_at * 3 + 2:
            os.kill(os.getpid(), signal.SIGKILL)

keras.utils.set_random_seed(7)
bandwidth = pk.BandwidthFidelity(
    t._FakeReads.fidelity, photos, patience=2, state_path=folder / "bandwidth.json")
model = t._model()
model.fit(
    t._noisy(0.0), epochs=8, verbose=0,
    callbacks=[
        pk.GradientSimilarityFidelity(
            gradient, photos, probe_data=t._lower_is_noisier, first_probe_epoch=2, every_epochs=3,
            candidates=(1, 2, 5), num_batches=2, threshold=0.5, mixture_probability=0.8,
            state_path=folder / "gradient.json"),
        t._plateau(plateau, patience=3, state_path=folder / "plateau.json"),
        bandwidth,
        keras.callbacks.BackupAndRestore(str(folder / "backup")),
        Recorder(),
    ])
print("done")
"""


def test_after_a_kill_tuners_go_on_as_if_there_had_been_none(photos: Path, tmp_path: Path) -> None:
    def run(folder: Path, kill_at: int) -> int:
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-c", _RESUMED, str(folder), str(photos), str(kill_at)]
        done = subprocess.run(command, cwd=native.ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == -9 or done.stdout == "done\n", done.stderr
        return done.returncode

    def values(folder: Path) -> list[Any]:
        lines = (folder / "values.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    assert run(tmp_path / "whole", -1) == 0
    whole = values(tmp_path / "whole")
    assert len({json.dumps(line[1]) for line in whole}) > 3  # Each of the tuners did something.

    assert run(tmp_path / "killed", 5) == -9
    before = values(tmp_path / "killed")
    assert before == whole[:6]
    assert run(tmp_path / "killed", -1) == 0
    assert values(tmp_path / "killed")[6:] == whole[5:]


def test_without_a_state_file_training_that_goes_on_begins_to_measure_anew(photos: Path) -> None:
    fidelity = HeldValue(3)
    tuner = BandwidthFidelity(fidelity, photos)
    _model().fit(_noisy(0.0), initial_epoch=2, epochs=3, verbose=0, callbacks=[tuner])
    assert fidelity.history == [3]
    assert tuner.policy.state()["retry_after"] == 20


def test_trials_work_in_training_that_was_restored(tmp_path: Path) -> None:
    for epochs in (2, 4):
        fidelity = HeldValue(10)
        backup = keras.callbacks.BackupAndRestore(str(tmp_path / "b"), delete_checkpoint=False)
        _model().fit(_noisy(0.0), epochs=epochs, verbose=0, callbacks=[backup, _plateau(fidelity)])
        assert fidelity.history == [5]


# Arguments

_SEVEN: Any = 7
_NONE: Any = None


def _gradient(photos: Path, **options: Any) -> GradientSimilarityFidelity:
    options = {"candidates": (1, 2, 5), **options}
    return GradientSimilarityFidelity(HeldValue(1), photos, probe_data=_lower_is_noisier, **options)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (
            lambda p: FidelitySchedule(_SEVEN, schedule={0: 1}),
            TypeError,
            "fidelity; expected a pcr_tf.Fidelity",
        ),
        (
            lambda p: FidelitySchedule(HeldValue(1), schedule={2: 1}),
            ValueError,
            "a value for epoch 0",
        ),
        (
            lambda p: MsSsimFidelity(HeldValue(1), p, threshold=1.5),
            ValueError,
            "threshold; expected a num",
        ),
        (
            lambda p: MsSsimFidelity(HeldValue(1), p, threshold=0.5, candidates=[11]),
            ValueError,
            "candidates; expected 1 to 10, got 11",
        ),
        (
            lambda p: MsSsimFidelity(HeldValue(1), p, threshold=0.5, mixture_probability=0),
            ValueError,
            "mixture_probability; expected a number above 0",
        ),
        (lambda p: MsSsimFidelity(HeldValue(1), p / "no", threshold=0.5), FileNotFoundError, "no"),
        (lambda p: _gradient(p, threshold=2), ValueError, "threshold; expected -1 to 1"),
        (lambda p: _gradient(p, every_epochs=0), ValueError, "every_epochs; expected at least 1"),
        (
            lambda p: _gradient(p, first_probe_epoch=-1),
            ValueError,
            "first_probe_epoch; expected at least 0",
        ),
        (lambda p: _gradient(p, num_batches=0), ValueError, "num_batches; expected at least 1"),
        (lambda p: _gradient(p, candidates=[0]), ValueError, "candidates; expected 1 to 10,"),
        (lambda p: _gradient(p, candidates=5), TypeError, "candidates; expected scan groups"),
        (lambda p: _gradient(p, candidates=()), ValueError, "candidates; expected at least one"),
        (
            lambda p: _gradient(p, mixture_probability=0.2),
            ValueError,
            "mixture_probability; .* 1/4, that of an even mixture",
        ),
        (
            lambda p: BandwidthFidelity(
                HeldValue(1), p, candidates=(1, 2), mixture_probability=0.49
            ),
            ValueError,
            "mixture_probability; expected at least 1/2, that of an even .* got 0.49",
        ),
        (
            lambda p: FidelitySchedule(HeldValue(1), schedule={0: 1, 9: 11}, paths=p),
            ValueError,
            "value from epoch 9 on; expected 1 to 10, got 11",
        ),
        (
            lambda p: _plateau(HeldValue(1), candidates=(1, 11), paths=p),
            ValueError,
            "candidates; expected 1 to 10, got 11",
        ),
        (lambda p: BandwidthFidelity(HeldValue(1), _NONE), TypeError, "paths; expected the path"),
        (
            lambda p: MsSsimFidelity(HeldValue(1), _NONE, threshold=0.5),
            TypeError,
            "paths; expected the path",
        ),
        (
            lambda p: GradientSimilarityFidelity(
                HeldValue(1), _NONE, probe_data=_lower_is_noisier, candidates=(1, 2, 5)
            ),
            TypeError,
            "paths; expected the path",
        ),
        (
            lambda p: _plateau(HeldValue(1), state_path=5),
            TypeError,
            "state_path; expected the path of a file, got 5",
        ),
        (
            lambda p: _plateau(HeldValue(1), state_path=""),
            ValueError,
            "state_path; expected the path of a file, got ''",
        ),
        (
            lambda p: GradientSimilarityFidelity(HeldValue(1), p, probe_data=None),  # type: ignore[arg-type]
            TypeError,
            "probe_data; expected a function",
        ),
        (lambda p: _plateau(HeldValue(1), candidates=[]), ValueError, "candidates; expected at"),
        (lambda p: _plateau(HeldValue(1), mode="up"), ValueError, "mode; expected 'auto', 'min'"),
        (lambda p: _plateau(HeldValue(1), patience=0), ValueError, "patience; expected at least 1"),
        (lambda p: _plateau(HeldValue(1), tolerance=-1), ValueError, "tolerance; expected at lea"),
        (lambda p: _plateau(HeldValue(1), trial_batches=0), ValueError, "trial_batches; expected"),
        (
            lambda p: PlateauFidelity(
                HeldValue(1), trial_data=_trial_data, validation_data=None, candidates=[1]
            ),
            TypeError,
            "validation_data; expected what evaluate takes",
        ),
        (
            lambda p: BandwidthFidelity(HeldValue(1), p, every_batches=0),
            ValueError,
            "every_batches; expected at least 1",
        ),
        (
            lambda p: BandwidthFidelity(HeldValue(1), p, headroom=-1),
            ValueError,
            "headroom; expected at least 0",
        ),
        (lambda p: BandwidthFidelity(HeldValue(1), p, speed=1), TypeError, "BandwidthF.*speed"),
    ],
)
def test_arguments_are_checked_when_a_callback_is_made(
    photos: Path, make: Callable[[Path], Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        make(photos)


# Other backends, and the README


_ON_JAX = """
import pathlib, sys
import keras
import pcr_tf
from tests import test_tuning_keras as t

assert keras.backend.backend() == "jax"
photos = pathlib.Path(sys.argv[1])
scheduled, tried, fed = pcr_tf.Fidelity(10), t.HeldValue(10), t.HeldValue(10)
model = t._model()
callbacks = [
    pcr_tf.keras.FidelitySchedule(scheduled, photos, schedule={0: 10, 1: {1: 0.5, 5: 0.5}}),
    pcr_tf.keras.BandwidthFidelity(fed, photos, every_batches=1),
    t._plateau(tried),
]
data = t._batches(photos, scheduled)
history = model.fit(data, epochs=3, verbose=0, callbacks=callbacks).history
assert tried.history == [5], tried.history
assert all(loss == loss for loss in history["loss"])

# Trials leave no trace: as without them.
results = []
for extra in ([], [t._plateau(t.HeldValue(10))]):
    keras.utils.set_random_seed(5)
    model = t._model()
    model.fit(t._noisy(0.0), epochs=3, verbose=0, callbacks=extra)
    results.append(t._state(model))
assert results[0] == results[1]

try:
    pcr_tf.keras.GradientSimilarityFidelity(scheduled, photos, probe_data=t._lower_is_noisier)
except RuntimeError as error:
    assert "expected Keras's backend to be tensorflow, got jax" in str(error)
    print("done")
"""


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs jax: pip install jax")
def test_callbacks_and_data_sets_serve_keras_on_jax(photos: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ON_JAX, str(photos)],
        cwd=native.ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_the_readmes_tuner_runs(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (native.ROOT / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", readme, re.S)
    (example,) = (block for block in blocks if "pcr_tf.keras" in block)
    monkeypatch.chdir(photos.parent)
    inputs = keras.Input([224, 224, 3])
    outputs = keras.layers.Dense(_IMAGES)(keras.layers.GlobalAveragePooling2D()(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    names: dict[str, Any] = {"model": model}
    exec(example.replace("epochs=90", "epochs=7"), names)
    logged = model.history.history
    assert logged["pcr_fidelity"][0] == 10
    assert [seconds > 0 for seconds in logged["pcr_probe_s"]].index(True) == 5
    assert logged["pcr_fidelity"][5] == names["fidelity"].value


# Data that must not obey the handle


@pytest.mark.parametrize("through_a_file", [False, True])
def test_validation_data_that_obey_the_handle_warn(
    photos: Path, tmp_path: Path, through_a_file: bool
) -> None:
    path = tmp_path / "fidelity" if through_a_file else None
    fidelity = pcr_tf.Fidelity(10, path=path)
    same = pcr_tf.Fidelity(path=path) if path else fidelity
    validation = _batches(photos, same, training=False).take(1).prefetch(1)
    schedule = FidelitySchedule(fidelity, schedule={0: 10, 1: 2})
    with pytest.warns(UserWarning, match="FidelitySchedule: the validation data obey Fidelity"):
        _model().fit(
            _batches(photos, fidelity).take(1), epochs=2, verbose=0, callbacks=[schedule],
            validation_data=validation,
        )  # fmt: skip


def test_validation_data_of_another_fidelity_do_not_warn(photos: Path) -> None:
    fidelity = pcr_tf.Fidelity(10)
    other = pcr_tf.Fidelity(10)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".* obey ")
        for scan_groups in (None, other):
            _model().fit(
                _batches(photos, fidelity).take(1), verbose=0,
                callbacks=[FidelitySchedule(fidelity, schedule={0: 2})],
                validation_data=_batches(photos, scan_groups, training=False).take(1),
            )  # fmt: skip
    assert other.value == 10


def test_a_plateau_is_not_judged_by_data_that_obey_the_handle(photos: Path) -> None:
    fidelity = pcr_tf.Fidelity(10)
    obedient = _batches(photos, fidelity, training=False)
    with pytest.raises(ValueError, match="validation_data; expected a fidelity of its own"):
        PlateauFidelity(
            fidelity,
            trial_data=lambda g: _batches(photos, g),
            validation_data=obedient,
            candidates=(1, 10),
        )


def test_trials_on_data_that_do_not_heed_their_fidelity_are_refused_or_warn(photos: Path) -> None:
    fidelity = pcr_tf.Fidelity(10)
    model = _model()
    model.fit(_batches(photos, fidelity).take(1), verbose=0)
    validation = _batches(photos, None, training=False).take(1)

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
        plateau(lambda groups: _batches(photos, fidelity)).trials()
    heedless = plateau(lambda groups: _batches(photos, 5))
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
        probe_data=lambda groups: _batches(photos, fidelity, training=False),
        candidates=(1, 2, 5),
        keep_batches=keep_batches,
    )
    model = _model()
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
    train = _batches(photos, fidelity)
    with pytest.raises(ValueError, match="paths; expected the data set that was given the Fidel"):
        _model().fit(
            train, verbose=0, callbacks=[FidelitySchedule(fidelity, schedule={0: 2}, paths=path)]
        )


def test_two_callbacks_that_set_one_handle_warn(photos: Path) -> None:
    fidelity = pcr_tf.Fidelity(10)
    train = _batches(photos, fidelity)
    callbacks = [
        FidelitySchedule(fidelity, schedule={0: 2}),
        _plateau(fidelity, candidates=(1, 10)),
    ]
    with pytest.warns(UserWarning, match="PlateauFidelity: FidelitySchedule .* sets Fidelity"):
        _model().fit(train.take(1), verbose=0, callbacks=callbacks)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".* sets ")
        for callback in callbacks:  # One after the other, also where a fit ends by an exception.
            with pytest.raises(ZeroDivisionError):
                _model().fit(
                    train.take(1), verbose=0,
                    callbacks=[callback, keras.callbacks.LambdaCallback(
                        on_epoch_begin=lambda epoch, logs: 1 // epoch)],
                )  # fmt: skip
        other = pcr_tf.Fidelity(10)
        both = [FidelitySchedule(one, schedule={0: 2}) for one in (fidelity, other)]
        obedient = _batches(photos, other)
        _model().fit(train.take(1), verbose=0, callbacks=both)
        del obedient
