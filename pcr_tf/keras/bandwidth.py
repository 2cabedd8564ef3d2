"""The highest fidelity that storage can feed while training runs."""

from __future__ import annotations

import inspect
import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pcr_tf._arguments import in_range
from pcr_tf.keras.fidelity_callback import FidelityCallback, PathLike, ReadStopwatch
from pcr_tf.tuning import BandwidthPolicy, FidelityHandle, ReadWindow, mean_over_fidelities

_POLICY_OPTIONS = [
    name
    for name, parameter in inspect.signature(BandwidthPolicy).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
]


class BandwidthFidelity(FidelityCallback):
    """Follows what storage gives: down while training waits for it, up while it does not.

    `pcr_tf.tuning.BandwidthPolicy` decides, from windows of training: bytes read, and the time for
    which the input pipeline was blocked. A window ends every `every_batches` batches and at the end
    of the epoch; the time until an epoch's first batch, in which buffers fill, is in none.

    It begins at the candidate nearest to the handle's value. It knows nothing of accuracy: give it
    as candidates the fidelities that the task tolerates.

    Beside what `FidelityCallback` says, it logs ``pcr_bandwidth``, storage's bytes/s as known, and
    ``pcr_demand``, the images/s that decoding and the model take; nan while they are not known.

    Example:
        tuner = BandwidthFidelity(fidelity, "photos.pcr", candidates=(2, 5, 10))
        model.fit(train, callbacks=[tuner])
    """

    def __init__(
        self,
        fidelity: FidelityHandle,
        paths: PathLike | Sequence[PathLike],
        *,
        candidates: Iterable[int] | None = None,
        every_batches: int | None = None,
        mixture_probability: float = 1.0,
        state_path: PathLike | None = None,
        **policy_options: Any,
    ) -> None:
        """Checks the arguments.

        Args:
          fidelity: the handle that the training data set was given.
          paths: the data set.
          candidates: fidelities to choose from. None: all.
          every_batches: batches of a window, at least 1. None: an epoch.
          mixture_probability: see `FidelityCallback`.
          state_path: see `FidelityCallback`.
          **policy_options: further arguments of `pcr_tf.tuning.BandwidthPolicy`: `starved_above`,
            `fed_below`, `headroom`, `patience`, `retry_windows`, `reads_in_flight`.

        Raises:
          TypeError, ValueError: for arguments out of range.
        """
        unknown = sorted(set(policy_options) - set(_POLICY_OPTIONS))
        if unknown:
            raise TypeError(
                f"{type(self).__name__}; expected as further arguments "
                f"{', '.join(_POLICY_OPTIONS)}, got {unknown[0]!r}"
            )
        super().__init__(
            fidelity,
            paths,
            candidates=candidates,
            mixture_probability=mixture_probability,
            state_path=state_path,
        )
        if every_batches is not None:
            every_batches = in_range("every_batches", every_batches, 1)
        self._every_batches = every_batches
        facts = self.known_facts()
        # What each fidelity costs as it will be set: with its mixture.
        sizes = [
            mean_over_fidelities(self.value_for(groups), facts.bytes_per_image)
            for groups in range(1, facts.num_scan_groups + 1)
        ]
        self.policy = BandwidthPolicy(sizes, self.candidates, **policy_options)
        self._lock = threading.Lock()
        self._window: ReadStopwatch | None = None
        self._window_batch = -1

    @property
    def async_safe(self) -> bool:
        # The batch hook holds a lock, and takes batches in any order. Those of a subclass may not.
        return self._has_batch_hooks_of(BandwidthFidelity)

    def reset(self) -> None:
        self.policy.reset()

    def before_epoch(self, epoch: int) -> None:
        self._window = None
        if self._chosen is None:
            begun = self.chosen
            self.choose(min(self.candidates, key=lambda groups: (abs(groups - begun), -groups)))

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_train_batch_end(batch, logs)
        window = self._window
        if window is not None:
            window.mark()  # Now: others hold the lock while they set the handle.
        with self._lock:
            if self._window is None:
                self._begin_window(batch)
            elif (
                self._every_batches is not None
                and batch - self._window_batch >= self._every_batches
            ):
                self._end_window()
                self._begin_window(batch)

    def after_epoch(self, epoch: int, logs: dict[str, Any]) -> None:
        with self._lock:
            if self._window is not None and self._window.is_marked:
                self._end_window()
        logs["pcr_bandwidth"] = _or_nan(self.policy.bandwidth)
        logs["pcr_demand"] = _or_nan(self.policy.demand)

    def learned_state(self) -> dict[str, Any]:
        return self.policy.state()

    def restore_learned_state(self, state: Mapping[str, Any]) -> None:
        self.policy.restore(state)

    def _begin_window(self, batch: int) -> None:
        self._window, self._window_batch = ReadStopwatch(), batch

    def _end_window(self) -> None:
        assert self._window is not None
        used = self._window.used
        window = ReadWindow(
            seconds=self._window.seconds,
            bytes=used.bytes,
            reads=used.reads,
            read_wait_s=used.wait_s,
            input_wait_s=used.consumer_wait_s,
        )
        self._window = None
        bytes_per_image = mean_over_fidelities(
            self.fidelity.value, self.known_facts().bytes_per_image
        )
        chosen = self.policy.update(window, self.chosen, bytes_per_image)
        if chosen != self.chosen:
            self.choose(chosen)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
