"""Fidelity: how many scan groups to read, as a handle that data sets obey while they run."""

from __future__ import annotations

import itertools
import os
import secrets
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from pcr_tf._arguments import as_mixture
from pcr_tf._op_library import load_op_library
from pcr_tf.format import filesystem

_MAX_POLL_INTERVAL_S = 86400.0

_FIRST_LINE = "pcr-fidelity 1"
_LAST_LINE = "end"

# Names the handles of this process. Random, unlike the names of data sets: a worker process that
# has handles of its own must not take one of them for another process's.
_process_name = secrets.token_hex(8)
_ordinals = itertools.count()

# Files are written one at a time: the temporary name is the process's.
_write_lock = threading.Lock()

FidelityValue = int | Mapping[int, float]


class Fidelity(tf.train.experimental.PythonState):
    """A fidelity, or a mixture of several, that can be changed while data sets read at it.

    Given to `PcrDataset` or `image_batches` as `scan_groups`, to any number of them. After `set`,
    the records requested next are read at the new value. Those that are read or wait still come at
    the old one, as many as the data set's `reads_in_flight` (by default up to 96 for object stores,
    one for each core, 2 to 8, for local paths), and so does what buffers behind the data set hold:
    behind `.cache()` or `.snapshot()`, all later epochs come at the fidelities of the first.
    Nothing is built or traced anew, so it works in the middle of an epoch, in `fit()` (call `set`
    in a callback) and for data sets inside of `tf.function`.

    A mixture gives each record the fidelity that a hash of the data set's seed, the epoch and the
    record draws (docs/ORDER.md), so at a given value the same data are read at any number of reads
    in flight, and after a restart.

    An iterator that is restored from a checkpoint obeys what the handle says now; the records that
    the saved one had requested keep their fidelity. The handle itself can be saved too, and is then
    set when it is restored: `tf.train.Checkpoint(iterator=iterator, fidelity=fidelity)`.

    The value lives in this process. Data sets that other processes read, such as workers of the
    tf.data service, refuse it: give them a handle with a file.

    Example:
      >>> fidelity = pcr_tf.Fidelity(10)
      >>> dataset = pcr_tf.data.PcrDataset("photos.pcr", fidelity, shuffle=True, seed=7).repeat()
      >>> iterator = iter(dataset)
      >>> example = next(iterator)
      >>> fidelity.set(2)
      >>> fidelity.set({2: 0.8, 10: 0.2})
      >>> fidelity.value
      {2: 0.8, 10: 0.2}
    """

    def __init__(
        self,
        value: FidelityValue | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        poll_interval_s: float = 2.0,
    ) -> None:
        """Makes a handle.

        Args:
          value: scan groups, 1 to 100; or a mixture: for each of some numbers of scan groups, the
            probability with which a record is read at it. Probabilities are above 0 and sum to 1,
            but for rounding (1e-6). With `path`, None: what the file says.
          path: a file that holds the value, in any file system that TensorFlow knows and all
            processes that read reach: `set` writes it, readers look at it. It replaces the file in
            one step, so none sees half of it. Handles, of any process, with one path are one.
          poll_interval_s: seconds for which a reader goes by what it saw in the file before it
            looks again, 0.01 to 86400. Readers look when they read, at no request per record; a
            look that fails leaves the last value in force. This process sees its own `set` at once.

        Raises:
          ValueError: for numbers and probabilities out of range, no value and no path, or a file
            that holds something else.
          TypeError: for arguments of other types.
          OSError: if the file cannot be written, or read.
        """
        super().__init__()
        self._path = None if path is None else _absolute(path)
        self._name = self._path or f"{_process_name}-{next(_ordinals)}"
        self._poll_ms = 0 if path is None else round(1000 * _as_interval(poll_interval_s))
        if value is not None:
            self.set(value)
        elif self._path is None:
            raise ValueError("value; expected scan groups or a mixture of them, got None")
        else:
            self._set_here(filesystem.read_bytes(self._path))

    def set(self, value: FidelityValue) -> None:
        """Changes what is read from now on. From any thread.

        Args:
          value: scan groups, or a mixture: as when the handle is made.

        Raises:
          ValueError: for numbers and probabilities out of range, and more scan groups than one of
            the data sets has that this process has made with this handle and still holds. A data
            set made later raises `tf.errors.InvalidArgumentError`; one of another process reads
            all the scan groups it has, and warns.
          TypeError: for another type.
          RuntimeError: while a `tf.function` is traced.
          OSError: if the file cannot be written; the value then stays what it was.
        """
        if not tf.executing_eagerly():
            raise RuntimeError(
                "Fidelity.set; expected a call while Python runs, got one in a graph, which would "
                "take effect once, when the graph is made: call it outside of tf.function, for "
                "example in a Keras callback, or by tf.py_function"
            )
        probabilities = as_mixture("value", value)
        text = _as_text(probabilities)
        dataset, num_scan_groups = self._smallest_dataset()
        if num_scan_groups is not None and max(probabilities) > num_scan_groups:
            raise ValueError(
                f"value; expected at most the {num_scan_groups} scan groups of {dataset}, a data "
                f"set with this Fidelity, got {value!r}"
            )
        if self._path is None:
            self._set_here(text)
            return
        with _write_lock:
            filesystem.write_atomic(self._path, text)
            self._set_here(text)

    @property
    def value(self) -> int | dict[int, float]:
        """What is read now: scan groups, or a mixture of at least two, ascending.

        With a file, as a reader sees it: from the file, if the last look is `poll_interval_s` ago.
        """
        probabilities = _from_text(self._text())
        return next(iter(probabilities)) if len(probabilities) == 1 else probabilities

    @property
    def num_scan_groups(self) -> int | None:
        """The most that `set` takes: the least number of scan groups that a data set has which this
        process has made with this handle and still holds. None: there is no such data set."""
        return self._smallest_dataset()[1]

    @property
    def path(self) -> str | None:
        """The file that holds the value; None: it is in this process."""
        return self._path

    def op_inputs(self) -> dict[str, Any]:
        """The inputs of the op PcrDataset that name this handle."""
        # As bytes: a name that is not UTF-8 has no other form that TensorFlow takes.
        return {"fidelity": os.fsencode(self._name), "fidelity_poll_ms": self._poll_ms}

    def serialize(self) -> str:
        """For `tf.train.Checkpoint`: the value as a text."""
        return self._text()

    def deserialize(self, string_value: str) -> None:
        """For `tf.train.Checkpoint`: sets the value that was saved."""
        self.set(_from_text(tf.compat.as_str(string_value)))

    def __repr__(self) -> str:
        path = "" if self._path is None else f", path={self._path!r}"
        return f"Fidelity({self.value!r}{path})"

    def _set_here(self, text: bytes) -> None:
        try:
            load_op_library().pcr_set_fidelity(value=text, **self.op_inputs())
        except tf.errors.InvalidArgumentError as error:  # only of a file that others wrote
            raise ValueError(f"{self._path}: {error.message}") from None

    def _text(self) -> str:
        with tf.init_scope():  # also where a tf.function is traced
            value = load_op_library().pcr_fidelity(**self.op_inputs())
            return str(tf.compat.as_str(value.numpy()))

    def _smallest_dataset(self) -> tuple[str, int | None]:
        """The data set with the fewest scan groups, and their number."""
        with tf.init_scope():
            bound = load_op_library().pcr_fidelity_bound(**self.op_inputs())
            return os.fsdecode(bound.dataset.numpy()), int(bound.num_scan_groups) or None


def _absolute(path: str | os.PathLike[str]) -> str:
    """A path that is the same in processes with another working folder."""
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise TypeError(f"path; expected the path of a file, got {path!r}")
    name = os.fspath(path)
    if not name:
        raise ValueError("path; expected the path of a file, got ''")
    return name if filesystem.is_remote(name) else os.path.abspath(name)


def _as_interval(value: Any) -> float:
    try:
        if isinstance(value, (bool, np.bool_, str, bytes)):
            raise TypeError
        seconds = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"poll_interval_s; expected a number of seconds, got {value!r}") from None
    if not 0.01 <= seconds <= _MAX_POLL_INTERVAL_S:
        raise ValueError(f"poll_interval_s; expected 0.01 to 86400 seconds, got {value!r}")
    return seconds


def _as_text(probabilities: Mapping[int, float]) -> bytes:
    """A mixture as ops/format/fidelity_mixture.h describes it."""
    lines = [f"{scan_groups} {probability!r}" for scan_groups, probability in probabilities.items()]
    return "\n".join([_FIRST_LINE, *lines, _LAST_LINE, ""]).encode()


def _from_text(text: str) -> dict[int, float]:
    """The mixture of a text that the op or `_as_text` made."""
    fields = [line.split() for line in text.splitlines()[1:-1]]
    return {int(scan_groups): float(probability) for scan_groups, probability in fields}
