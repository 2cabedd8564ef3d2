"""Callbacks and data sets in a fit() on JAX."""

from __future__ import annotations

import pathlib
import sys

import keras
import pytest

import pcr_tf
from tests.held_value import HeldValue
from tests.keras import training as t

assert keras.backend.backend() == "jax"
photos = pathlib.Path(sys.argv[1])
scheduled, tried, fed = pcr_tf.Fidelity(10), HeldValue(10), HeldValue(10)
model = t.small_model()
callbacks = [
    pcr_tf.keras.FidelitySchedule(scheduled, photos, schedule={0: 10, 1: {1: 0.5, 5: 0.5}}),
    pcr_tf.keras.BandwidthFidelity(fed, photos, every_batches=1),
    t.plateau_tuner(tried),
]
data = t.photo_batches(photos, scheduled)
history = model.fit(data, epochs=3, verbose=0, callbacks=callbacks).history
assert tried.history == [5], tried.history
assert all(loss == loss for loss in history["loss"])

# Trials leave no trace: as without them.
results = []
for extra in ([], [t.plateau_tuner(HeldValue(10))]):
    keras.utils.set_random_seed(5)
    model = t.small_model()
    model.fit(t.noisy_batches(0.0), epochs=3, verbose=0, callbacks=extra)
    results.append(t.model_state(model))
assert results[0] == results[1]

with pytest.raises(RuntimeError, match="expected Keras's backend to be tensorflow, got jax"):
    pcr_tf.keras.GradientSimilarityFidelity(scheduled, photos, probe_data=t.lower_is_noisier)
print("done")
