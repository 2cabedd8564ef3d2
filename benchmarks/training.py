"""Trains a small Keras model on a PCR data set, at one fidelity after the other, with `fit`.

The model looks at crops of 128 x 128 pixels, a tenth of the image, and has an output for each label
level. It is small enough for two processor cores, and it sees fine texture: beside the pixels it is
given their local contrast, in which faint texture is as strong as edges are.
"""

from __future__ import annotations

import dataclasses
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from benchmarks import measure
from pcr_tf.data import PcrDataset, image_batches
from pcr_tf.format.dataset_index import open_dataset

_CROP = 128
_BATCH = 32


@dataclasses.dataclass(frozen=True)
class LabelLevel:
    """One of the labels that an example carries.

    Attributes:
        name: as the table shows it.
        feature: key of its int64 feature.
        classes: how many there are.
    """

    name: str
    feature: str
    classes: int


@dataclasses.dataclass(frozen=True)
class Split:
    """Files to train on and files to validate on: each file of a data set is in one of the two."""

    training: tuple[str, ...]
    validation: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Trained:
    """What one training came to.

    Attributes:
        scan_groups: fidelity at which it read.
        bytes_read: by all epochs.
        seconds: of fit, validation apart.
        accuracy: by label level, on the validation files at the same fidelity, 0-1.
        accuracy_at_full: the same model on the validation files at full fidelity.
    """

    scan_groups: int
    bytes_read: int
    seconds: float
    accuracy: dict[str, float]
    accuracy_at_full: dict[str, float]


def label_levels(class_names: Sequence[str]) -> list[LabelLevel]:
    """The label levels of a data set converted from class folders.

    Args:
        class_names: of the manifest: folder names; those of nested folders hold a "/".

    Example:
        >>> [level.name for level in label_levels(["fruit/apple", "fruit/pear", "shore/sand"])]
        ['coarse', 'fine']
        >>> [level.name for level in label_levels(["apple", "pear"])]
        ['class']
    """
    coarse = {name.split("/")[0] for name in class_names}
    if not any("/" in name for name in class_names):
        return [LabelLevel("class", "image/class/label", len(class_names))]
    return [
        LabelLevel("coarse", "image/class/coarse_label", len(coarse)),
        LabelLevel("fine", "image/class/label", len(class_names)),
    ]


def split_files(dataset: pathlib.Path) -> Split:
    """Every fourth file is for validation.

    Raises:
        ValueError: the data set has one file only.
    """
    paths = open_dataset(dataset).paths
    if len(paths) < 2:
        raise ValueError(f"{dataset}: number of shards; expected at least 2, got {len(paths)}")
    validation = tuple(paths[1::4])
    return Split(tuple(path for path in paths if path not in validation), validation)


def prefix_bytes(files: Sequence[str], scan_groups: int) -> int:
    """Bytes that one pass over some files reads."""
    return open_dataset(list(files)).index.prefix_bytes(scan_groups)


def _batches(
    files: Sequence[str], scan_groups: int, levels: Sequence[LabelLevel], *, training: bool
) -> Any:
    """Endless batches: in random order for training, pass after pass in order for validation.

    Elements are (uint8 [batch, 128, 128, 3], {level: int64 [batch]}).
    """
    features = {level.feature: tf.io.FixedLenFeature((), tf.int64) for level in levels}
    # A tenth of the area, in about its own proportions: for images of some 400 pixels, the crop is
    # at their own scale. Not flipped: a direction of the texture may be what is to be learned.
    crop: dict[str, Any] = {"crop_fraction": 0.35}
    if training:
        crop = {
            "area_range": (0.09, 0.12),
            "aspect_ratio_range": (1.0, 1.0),
            "flip_probability": 0.0,
            "shuffle_buffer": 128,
        }
    batches = image_batches(
        list(files),
        _CROP,
        _BATCH,
        scan_groups=scan_groups,
        label=features,
        training=training,
        epochs=None if training else 1,
        seed=0,
        # A file that nothing can decode was kept as it is by the conversion; it must not end the
        # demo.
        on_error="skip",
        **crop,
    )
    batches = batches.map(
        lambda images, labels: (images, {level.name: labels[level.feature] for level in levels})
    )
    # Without end, since fewer than the cardinality may be left: the number of steps ends it.
    return batches if training else batches.repeat()


def _model(levels: Sequence[LabelLevel]) -> Any:
    layers = keras.layers
    image = keras.Input((_CROP, _CROP, 3), dtype="uint8")
    pixels = layers.Rescaling(1 / 127.5, -1.0)(image)
    around = layers.AveragePooling2D(5, strides=1, padding="same")(pixels)
    contrast = layers.Rescaling(12.0)(layers.Subtract()([pixels, around]))
    x = layers.Concatenate()([pixels, layers.Activation("tanh")(contrast)])
    for filters, kernel in ((16, 5), (32, 3), (48, 3)):
        x = layers.Conv2D(filters, kernel, strides=2, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(
        image, {level.name: layers.Dense(level.classes, name=level.name)(x) for level in levels}
    )
    model.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss={
            level.name: keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            for level in levels
        },
        metrics={level.name: ["accuracy"] for level in levels},
    )
    return model


def _steps(files: Sequence[str], scan_groups: int) -> int:
    """Batches in one pass: the data set knows its exact length."""
    return -(-int(PcrDataset(list(files), scan_groups).cardinality()) // _BATCH)


def _accuracies(
    model: Any, files: Sequence[str], scan_groups: int, levels: Sequence[LabelLevel]
) -> dict[str, float]:
    """Share of right answers on some files at a fidelity, by label level."""
    data = _batches(files, scan_groups, levels, training=False)
    steps = _steps(files, scan_groups)
    values = model.evaluate(data, steps=steps, verbose=0, return_dict=True)
    # Where there are several outputs, Keras puts their name before that of the metric.
    return {
        level.name: float(values.get(f"{level.name}_accuracy", values.get("accuracy")))
        for level in levels
    }


def train(
    dataset: pathlib.Path,
    scan_groups: int,
    levels: Sequence[LabelLevel],
    *,
    epochs: int,
    verbose: int = 2,
) -> Trained:
    """Trains the model from the same start at one fidelity.

    Args:
        dataset: folder of a data set with at least two shards.
        scan_groups: fidelity to read at.
        levels: labels to learn.
        epochs: passes over the training files.
        verbose: as for `keras.Model.fit`.
    """
    split = split_files(dataset)
    full = open_dataset(dataset).index.header.num_groups
    keras.utils.set_random_seed(0)
    model = _model(levels)
    begin = time.perf_counter()
    model.fit(
        _batches(split.training, scan_groups, levels, training=True),
        epochs=epochs,
        steps_per_epoch=_steps(split.training, scan_groups),
        shuffle=False,  # The data set shuffles itself.
        verbose=verbose,
    )
    seconds = time.perf_counter() - begin
    at_same, at_full = (
        _accuracies(model, split.validation, g, levels) for g in (scan_groups, full)
    )
    bytes_read = epochs * prefix_bytes(split.training, scan_groups)
    return Trained(scan_groups, bytes_read, seconds, at_same, at_full)


def training_table(rows: Sequence[Trained], levels: Sequence[LabelLevel]) -> str:
    """The rows as text."""
    header = ["scan groups", "MB read", "fit s"]
    header += [f"{level.name} accuracy (of {level.classes})" for level in levels]
    header += [f"{level.name}, validated at full" for level in levels]
    return measure.table(
        header,
        [
            [
                str(row.scan_groups),
                f"{row.bytes_read / 1e6:.1f}",
                f"{row.seconds:.1f}",
                *(f"{row.accuracy[level.name]:.3f}" for level in levels),
                *(f"{row.accuracy_at_full[level.name]:.3f}" for level in levels),
            ]
            for row in rows
        ],
    )
