"""What all callbacks that set a fidelity have in common: what they log, and how they resume."""

from __future__ import annotations

import math
import os
import threading
import time
import warnings
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from pcr_tf._arguments import as_fraction
from pcr_tf.data import ReadStatistics, read_statistics
from pcr_tf.format import open_dataset
from pcr_tf.keras.obedience import handle_name, obeys
from pcr_tf.keras.state_file import StateFile
from pcr_tf.tuning import FidelityHandle, FidelityValue, mean_scan_groups, mixture
from pcr_tf.tuning.value import as_candidates

PathLike = str | os.PathLike[str]

# The hooks that Keras may call asynchronously.
_BATCH_HOOKS = ("on_batch_end", "on_train_batch_end", "on_test_batch_end", "on_predict_batch_end")

# Callbacks by the handle that they set, of a fit() whose first epoch has not begun.
_setting: weakref.WeakValueDictionary[str, FidelityCallback] = weakref.WeakValueDictionary()


class DatasetFacts:
    """What a data set's index says: bytes for each fidelity, and images of a record."""

    def __init__(self, paths: PathLike | Sequence[PathLike]) -> None:
        """Reads the index of a folder, a file or a list of files; errors are `open_dataset`'s."""
        index = open_dataset(paths).index
        examples = max(1, index.num_examples)
        self.num_scan_groups = index.header.num_groups
        self.bytes_per_image = [
            index.prefix_bytes(groups) / examples for groups in range(1, self.num_scan_groups + 1)
        ]
        self.examples_per_record = examples / max(1, index.num_records)


class FidelityCallback(keras.callbacks.Callback):
    """The base of the callbacks that set a `pcr_tf.Fidelity`.

    At the end of each epoch it adds to the logs, which `History` keeps and, later in the list of
    callbacks, `CSVLogger` keeps and `TensorBoard` draws (as ``epoch_pcr_fidelity`` and so on):

    - ``pcr_fidelity``: scan groups in force at the end of the epoch; of a mixture, their mean;
    - ``pcr_wait_share``: share of the time, 0 to 1, in which the input pipeline was blocked for
      examples: near 1 where storage is the bottleneck;
    - ``pcr_bytes_per_image``, ``pcr_images_per_s``: of what was read, if `paths` was given; the
      former nan in an epoch that read nothing. An image stands for an example, however many images
      that has.

    They are of the process's PcrDatasets and of the training part of the epoch, up to its last
    batch: validation, and what callbacks read after that, is left out. A pipeline reads ahead, so
    what is prefetched counts for the epoch it was read in. Of two such callbacks the later one's
    numbers stay.

    It warns where another callback of the same `fit` sets the handle, and where the validation data
    obey it as well, since metrics at different fidelities say nothing of one another.

    A subclass calls `choose` from `before_epoch` or `after_epoch`, and gives what it has learned to
    `learned_state` and takes it back in `restore_learned_state`.
    """

    def __init__(
        self,
        fidelity: FidelityHandle,
        paths: PathLike | Sequence[PathLike] | None = None,
        *,
        candidates: Iterable[int] | None = None,
        mixture_probability: float = 1.0,
        state_path: PathLike | None = None,
    ) -> None:
        """Checks what callbacks have in common.

        Args:
          fidelity: the handle that the training data set was given.
          paths: the data set, as `PcrDataset` takes it, for its index. None: unknown.
          candidates: fidelities to choose from. None: all that the data set has.
          mixture_probability: probability with which a record is read at the chosen fidelity, at
            least that of an even mixture of the candidates, at most 1. The other candidates share
            the rest evenly.
          state_path: a JSON file, for this callback alone, that is written at the end of each epoch
            and read when `fit` begins at another epoch than 0, as it does with
            `keras.callbacks.BackupAndRestore` after an interruption. None: the callback then
            begins anew.

        Raises:
          TypeError, ValueError: for arguments out of range; also what opening `paths` raises. When
            training begins, ValueError for more scan groups than a data set with the handle has,
            for `paths` of fewer, and for a state file of two callbacks; OSError where that cannot
            be written.
        """
        super().__init__()
        if not callable(getattr(fidelity, "set", None)) or not hasattr(fidelity, "value"):
            raise TypeError(f"fidelity; expected a pcr_tf.Fidelity, got {fidelity!r}")
        self.fidelity = fidelity
        self.facts = None if paths is None else DatasetFacts(paths)
        self._num_scan_groups = None if self.facts is None else self.facts.num_scan_groups
        if candidates is None and self._num_scan_groups is not None:
            candidates = range(1, self._num_scan_groups + 1)
        listed = [] if candidates is None else as_candidates(candidates, self._num_scan_groups)
        self._mixture_probability = as_fraction(
            "mixture_probability", mixture_probability, zero=False
        )
        self.set_candidates(listed)
        self._chosen: int | None = None
        self._is_first_epoch = True
        self._has_seen_validation = False
        self._epoch_reads = ReadStopwatch()
        self._state_file = (
            None if state_path is None else StateFile(state_path, type(self).__name__)
        )

    @property
    def async_safe(self) -> bool:
        """Whether Keras may call the batch hooks from threads of its own, several at once and in
        any order, rather than wait for the device after each batch.

        Those of this class only take the time, so they may be called so. A subclass with batch
        hooks of its own is called in order on the thread of `fit`, unless it sets ``async_safe =
        True`` itself.
        """
        return self._has_batch_hooks_of(FidelityCallback)

    def _has_batch_hooks_of(self, owner: type[FidelityCallback]) -> bool:
        return all(getattr(type(self), hook) is getattr(owner, hook) for hook in _BATCH_HOOKS)

    # What a subclass may override.

    def reset(self) -> None:
        """Forgets what was learned: `fit` begins."""

    def before_epoch(self, epoch: int) -> None:
        """Called before an epoch's first batch."""

    def after_epoch(self, epoch: int, logs: dict[str, Any]) -> None:
        """Called at its end, validation included. What it adds to the logs is kept."""

    def learned_state(self) -> dict[str, Any]:
        """What was learned, of JSON's types."""
        return {}

    def restore_learned_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `learned_state` gave."""

    def check_scan_groups(self, num_scan_groups: int) -> None:
        """Raises ValueError where it may choose more scan groups than a data set has."""
        if self.candidates:
            as_candidates(self.candidates, num_scan_groups)

    # What a subclass calls.

    def known_facts(self) -> DatasetFacts:
        """The facts, of a callback that needs `paths`; TypeError where they are None."""
        if self.facts is None:
            raise TypeError("paths; expected the path of a data set, or several, got None")
        return self.facts

    def set_candidates(self, candidates: list[int]) -> None:
        """Sets what `choose` is for: ascending; empty where it is not known."""
        if self._mixture_probability * len(candidates) < 1 - 1e-9 and candidates:
            raise ValueError(
                f"mixture_probability; expected at least 1/{len(candidates)}, that of an even "
                f"mixture of the candidates {candidates}, got {self._mixture_probability}"
            )
        self.candidates = candidates

    @property
    def chosen(self) -> int:
        """The fidelity chosen last; before that, the handle's value, of a mixture its likeliest."""
        if self._chosen is None:
            value = self.fidelity.value
            if isinstance(value, Mapping):
                return max(value, key=lambda groups: (value[groups], groups))
            return int(value)
        return self._chosen

    def choose(self, scan_groups: int) -> None:
        """Sets the handle to a fidelity, or to the mixture with it."""
        self._chosen = int(scan_groups)
        self.fidelity.set(self.value_for(self._chosen))

    def value_for(self, scan_groups: int) -> FidelityValue:
        """What `choose` sets: a fidelity, or the mixture with it."""
        candidates = self.candidates or [scan_groups]
        return mixture(scan_groups, self._mixture_probability, candidates)

    # Keras's hooks.

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._chosen = None
        self._has_seen_validation = False
        self._is_first_epoch = True
        self._check_handle()
        self._claim_handle()
        if self._state_file is not None:
            self._state_file.claim()
        self.reset()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._release_handle()  # There may have been no epoch.
        if self._state_file is not None:
            self._state_file.release()  # There may have been no epoch.

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._is_first_epoch:
            self._is_first_epoch = False
            self._release_handle()
            # Not before: callbacks that load weights decide in on_train_begin where to go on.
            self._resume(epoch)
        self.before_epoch(epoch)
        self._epoch_reads = ReadStopwatch()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # At every one, since none says that it is the last. What follows it, validation with what
        # Keras reads to build it among that, is not training's.
        self._epoch_reads.mark()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._has_seen_validation:
            return
        self._has_seen_validation = True
        # Where fit() keeps what it validates with; elsewhere there is nothing to be known.
        epoch_iterator = getattr(self.model, "_eval_epoch_iterator", None)
        data = getattr(getattr(epoch_iterator, "data_adapter", None), "_dataset", None)
        if obeys(data, self.fidelity):
            warnings.warn(
                f"{type(self).__name__}: the validation data obey {self.fidelity!r}, the handle of "
                "the training data, so each epoch is validated at another fidelity; give "
                "validation_data scan_groups of its own, None for all"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        logs.update(self._measured())
        self.after_epoch(epoch, logs)
        if self._state_file is not None:
            state = {"chosen": self._chosen, "value": _for_json(self.fidelity.value)}
            self._state_file.write(epoch, {**state, "learned": self.learned_state()})

    def _check_handle(self) -> None:
        """What can be known of the handle's data sets before an epoch finds it out."""
        unknown = object()
        num_scan_groups = getattr(self.fidelity, "num_scan_groups", unknown)
        if num_scan_groups is None and getattr(self.fidelity, "path", None) is None:
            warnings.warn(
                f"{type(self).__name__}: no data set of this process was given {self.fidelity!r}, "
                "so nothing obeys it; give the training data set the same handle"
            )
        elif isinstance(num_scan_groups, int):
            self.check_scan_groups(num_scan_groups)
            if self.facts is not None and self.facts.num_scan_groups < num_scan_groups:
                raise ValueError(
                    f"paths; expected the data set that was given the Fidelity, of "
                    f"{num_scan_groups} scan groups, got one of {self.facts.num_scan_groups}"
                )

    def _claim_handle(self) -> None:
        name = handle_name(self.fidelity)
        other = _setting.get(name)
        if other is not None and other is not self:
            warnings.warn(
                f"{type(self).__name__}: {type(other).__name__} of the same fit sets "
                f"{self.fidelity!r} as well, so what either measures is not what it has chosen; "
                "take one of them"
            )
        _setting[name] = self

    def _release_handle(self) -> None:
        name = handle_name(self.fidelity)
        if _setting.get(name) is self:
            del _setting[name]

    def _resume(self, epoch: int) -> None:
        state = None if self._state_file is None else self._state_file.begin(epoch)
        if state is None:
            return
        self._chosen = state["chosen"]
        self.restore_learned_state(state["learned"])
        self.fidelity.set(_from_json(state["value"]))

    def _measured(self) -> dict[str, float]:
        used, seconds = self._epoch_reads.used, self._epoch_reads.seconds
        measured = {
            "pcr_fidelity": mean_scan_groups(self.fidelity.value),
            "pcr_wait_share": min(1.0, used.consumer_wait_s / seconds),
        }
        if self.facts is not None:
            # A read brings a record, whatever its fidelity; those that failed bring none.
            records = used.reads - used.retries - used.rereads - used.failures
            images = records * self.facts.examples_per_record
            measured["pcr_bytes_per_image"] = used.bytes / images if images > 0 else math.nan
            measured["pcr_images_per_s"] = images / seconds
        return measured


class ReadStopwatch:
    """What the process's PcrDatasets read from its making until `mark`, and how long that took."""

    def __init__(self) -> None:
        self._begin_s = time.perf_counter()
        self._before = read_statistics()
        self._lock = threading.Lock()
        self._marked: tuple[ReadStatistics, float] | None = None

    def mark(self) -> None:
        """Takes the numbers as they are now, in place of those of the last call. Thread-safe: of
        several threads the last one's numbers stay."""
        with self._lock:
            seconds = max(time.perf_counter() - self._begin_s, 1e-9)
            self._marked = (read_statistics() - self._before, seconds)

    @property
    def is_marked(self) -> bool:
        """Whether there are numbers."""
        return self._marked is not None

    @property
    def used(self) -> ReadStatistics:
        """What was read. Marks it if nothing else did."""
        return self._numbers()[0]

    @property
    def seconds(self) -> float:
        """How long it ran, above 0. Marks it if nothing else did."""
        return self._numbers()[1]

    def _numbers(self) -> tuple[ReadStatistics, float]:
        if self._marked is None:
            self.mark()
        assert self._marked is not None
        return self._marked


def _for_json(value: FidelityValue) -> Any:
    """A mixture as pairs: JSON has no integers as keys."""
    return sorted(value.items()) if isinstance(value, Mapping) else int(value)


def _from_json(value: Any) -> FidelityValue:
    return dict(value) if isinstance(value, list) else int(value)
