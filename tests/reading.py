"""What tests of readers compare of an example."""

from __future__ import annotations

import tensorflow as tf


def label_of(serialized: tf.Tensor) -> int:
    example = tf.train.Example.FromString(serialized.numpy())
    return example.features.feature["image/class/label"].int64_list.value[0]


def image_of(serialized: tf.Tensor) -> bytes:
    example = tf.train.Example.FromString(serialized.numpy())
    return example.features.feature["image/encoded"].bytes_list.value[0]


def labels(dataset: tf.data.Dataset) -> list[int]:
    return [label_of(serialized) for serialized in dataset]
