"""Puts what PcrDatasets read in each epoch among the metrics that Keras keeps and draws."""

from __future__ import annotations

from typing import Any

import keras

from pcr_tf.data import read_statistics


class ReadStatisticsLogger(keras.callbacks.Callback):
    """Adds to each epoch's logs what the process's PcrDatasets read in it.

    Put it before other callbacks in the list: `keras.callbacks.TensorBoard` then draws these as
    scalars (``epoch_pcr_bytes``), and `History` and `CSVLogger` keep them:

    - ``pcr_bytes``, ``pcr_reads``, ``pcr_retries``: counts of the epoch, validation included;
    - ``pcr_read_wait_ms``: mean wait for a range read, milliseconds;
    - ``pcr_input_wait_s``: seconds that the pipeline was blocked for examples.

    A pipeline reads ahead, so what it has prefetched counts for the epoch it was read in.

    Example:
        model.fit(dataset, callbacks=[ReadStatisticsLogger(), keras.callbacks.TensorBoard("logs")])
    """

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._before = read_statistics()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        now = read_statistics()
        used = now - self._before
        self._before = now
        if logs is not None:
            logs["pcr_bytes"] = float(used.bytes)
            logs["pcr_reads"] = float(used.reads)
            logs["pcr_retries"] = float(used.retries)
            logs["pcr_read_wait_ms"] = 1000.0 * used.mean_wait_s
            logs["pcr_input_wait_s"] = used.consumer_wait_s
