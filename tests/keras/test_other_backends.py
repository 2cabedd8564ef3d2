"""Keras's other backend, and the README's example."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import pytest

from tests.keras.training import (
    NUM_IMAGES,
)
from tools import native


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs jax: pip install jax")
def test_callbacks_and_data_sets_serve_keras_on_jax(photos: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.keras.programs.on_jax", str(photos)],
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
    outputs = keras.layers.Dense(NUM_IMAGES)(keras.layers.GlobalAveragePooling2D()(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    names: dict[str, Any] = {"model": model}
    exec(example.replace("epochs=90", "epochs=7"), names)
    logged = model.history.history
    assert logged["pcr_fidelity"][0] == 10
    assert [seconds > 0 for seconds in logged["pcr_probe_s"]].index(True) == 5
    assert logged["pcr_fidelity"][5] == names["fidelity"].value
