"""Which batch hooks Keras calls from threads of its own."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pcr_tf.keras import BandwidthFidelity, FidelityCallback, FidelitySchedule
from tests.held_value import HeldValue
from tests.small_dataset import make_dataset


class _RecordingHandle(HeldValue):
    """Knows on which threads it was set."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.threads: set[threading.Thread] = set()

    def set(self, value: Any) -> None:
        self.threads.add(threading.current_thread())
        super().set(value)


class _Choosing(FidelityCallback):
    """Sets the handle after each batch, in a hook that knows of no threads."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_train_batch_end(batch, logs)
        self.choose(batch % 10 + 1)


class _ChoosingAnywhere(_Choosing):
    async_safe = True


class _Storage(BandwidthFidelity):
    """Decides at each batch that another fidelity is due."""

    def _end_window(self) -> None:
        self._window = None
        self.choose(self.chosen % 10 + 1)


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the backends that Keras takes for thread-safe, JAX for example."""
    monkeypatch.setattr("keras.src.backend.IS_THREAD_SAFE", True)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("async") / "photos.pcr"
    make_dataset(path, 6)
    return path


def _fit(*callbacks: FidelityCallback) -> None:
    model = keras.Sequential([keras.layers.Input([2]), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    data = np.ones((24, 2)), np.ones((24, 1))
    model.fit(*data, batch_size=1, epochs=2, verbose=0, callbacks=list(callbacks))


def _is_async(callback: FidelityCallback) -> bool:
    """Whether Keras runs the batch hooks of a fit with this callback in threads."""
    hooks = keras.callbacks.CallbackList([callback])
    return bool(hooks._async_train)


def test_a_callback_that_only_measures_does_not_make_training_wait_for_the_device() -> None:
    assert _is_async(FidelitySchedule(HeldValue(1), schedule={0: 1}))


def test_a_subclass_with_a_batch_hook_is_called_on_the_thread_of_fit() -> None:
    handle = _RecordingHandle(1)
    callback = _Choosing(handle)
    assert not _is_async(callback)
    _fit(callback)
    assert handle.threads == {threading.main_thread()}
    assert handle.history == [batch % 10 + 1 for batch in range(24)] * 2


class _StorageWithAHook(_Storage):
    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.choose(1)


def test_any_batch_hook_of_a_subclass_is_called_on_the_thread_of_fit(photos: Path) -> None:
    callback = _StorageWithAHook(HeldValue(10), photos)
    hooks = keras.callbacks.CallbackList([callback])
    assert not hooks._async_train
    assert not hooks._async_predict


def test_a_subclass_that_says_it_is_safe_is_called_from_other_threads() -> None:
    handle = _RecordingHandle(1)
    callback = _ChoosingAnywhere(handle)
    assert _is_async(callback)
    _fit(callback)
    assert threading.main_thread() not in handle.threads
    assert sorted(handle.history) == sorted([batch % 10 + 1 for batch in range(24)] * 2)


def test_bandwidth_is_followed_from_other_threads(photos: Path) -> None:
    handle = _RecordingHandle(10)
    callback = _Storage(handle, photos, every_batches=1)
    assert _is_async(callback)
    _fit(callback)
    assert handle.threads - {threading.main_thread()}
    # A window begins at the first batch of an epoch and ends at each later one, in any order.
    assert 2 <= len(handle.history) <= 2 * 24
