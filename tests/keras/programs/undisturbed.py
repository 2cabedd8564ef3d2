"""A fit() with probes, one with trials and one without train alike. Deterministic ops cannot be
switched off again, hence a process of its own."""

from __future__ import annotations

import pathlib
import sys

import keras
import tensorflow as tf

from tests.held_value import HeldValue
from tests.keras import training as t

tf.config.experimental.enable_op_determinism()
photos = pathlib.Path(sys.argv[1])
weights = []
for tuner in (
    None,
    t.gradient_tuner(photos, num_batches=2, first_probe_epoch=0, every_epochs=1),
    t.plateau_tuner(HeldValue(10)),
):
    keras.utils.set_random_seed(3)
    model = t.small_model()
    model.fit(t.noisy_batches(0.0), epochs=3, verbose=0, callbacks=[tuner] if tuner else [])
    weights.append(t.model_state(model))
assert weights[1] == weights[0], "probes"
assert weights[2] == weights[0], "trials"
print("done")
