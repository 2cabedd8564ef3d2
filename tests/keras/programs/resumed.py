"""Three tuners, each with a handle, in one fit(); killed before the end of epoch `kill_at`."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import sys

import keras
import tensorflow as tf

import pcr_tf
from pcr_tf import keras as pk
from pcr_tf.format import open_dataset
from tests.held_value import HeldValue
from tests.keras import training as t

folder, photos, kill_at = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
index = open_dataset(photos).index
t.FakeReads.bytes_per_image = [index.prefix_bytes(g) / t.NUM_IMAGES for g in range(1, 11)]
t.FakeReads.fidelity = HeldValue(10)
t.FakeReads.demand = 1e6 / t.FakeReads.bytes_per_image[4] / 1.2
pk.bandwidth.ReadStopwatch = t.FakeReads  # type: ignore[misc,assignment]
gradient, plateau = pcr_tf.Fidelity(10), HeldValue(10)
tf.config.experimental.enable_op_determinism()


class Recorder(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        values = [gradient.value, plateau.value, t.FakeReads.fidelity.value]
        with open(folder / "values.jsonl", "a") as out:
            out.write(json.dumps([epoch, values, bandwidth.policy.state()]) + "\n")

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations.numpy() == kill_at * 3 + 2:
            os.kill(os.getpid(), signal.SIGKILL)


keras.utils.set_random_seed(7)
bandwidth = pk.BandwidthFidelity(
    t.FakeReads.fidelity, photos, patience=2, state_path=folder / "bandwidth.json"
)
model = t.small_model()
model.fit(
    t.noisy_batches(0.0),
    epochs=8,
    verbose=0,
    callbacks=[
        pk.GradientSimilarityFidelity(
            gradient,
            photos,
            probe_data=t.lower_is_noisier,
            first_probe_epoch=2,
            every_epochs=3,
            candidates=(1, 2, 5),
            num_batches=2,
            threshold=0.5,
            mixture_probability=0.8,
            state_path=folder / "gradient.json",
        ),
        t.plateau_tuner(plateau, patience=3, state_path=folder / "plateau.json"),
        bandwidth,
        keras.callbacks.BackupAndRestore(str(folder / "backup")),
        Recorder(),
    ],
)
print("done")
