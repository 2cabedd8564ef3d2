"""Keras callbacks in a real fit()."""

from __future__ import annotations

from pathlib import Path

import keras
import tensorflow as tf

from pcr_tf.data import PcrDataset
from pcr_tf.format import open_dataset
from pcr_tf.keras import ReadStatisticsLogger
from tests.small_dataset import make_dataset


def test_each_epochs_reads_are_in_the_history_and_in_tensorboard(tmp_path: Path) -> None:
    folder = tmp_path / "photos.pcr"
    make_dataset(folder, 12, examples_per_record=3, num_shards=2)

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        length = tf.cast(tf.strings.length(serialized), tf.float32)
        return tf.reshape(length, [1]), tf.zeros([1])

    model = keras.Sequential([keras.layers.Input([1]), keras.layers.Dense(1)])
    model.compile(loss="mse", optimizer="sgd")
    history = model.fit(
        PcrDataset(folder, 2).map(parse).batch(4),
        epochs=2,
        verbose=0,
        callbacks=[ReadStatisticsLogger(), keras.callbacks.TensorBoard(str(tmp_path / "logs"))],
    ).history
    index = open_dataset(folder).index
    assert history["pcr_bytes"] == [index.prefix_bytes(2)] * 2
    assert history["pcr_reads"] == [index.num_records] * 2
    assert history["pcr_retries"] == [0, 0]
    assert all(wait > 0 for wait in history["pcr_read_wait_ms"])
    (events,) = (tmp_path / "logs" / "train").glob("events.*")
    assert b"epoch_pcr_bytes" in events.read_bytes()
