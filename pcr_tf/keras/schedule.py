"""A fidelity for each epoch, decided beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pcr_tf.keras.fidelity_callback import FidelityCallback, PathLike
from pcr_tf.tuning import EpochSchedule, FidelityHandle, FidelityValue


class FidelitySchedule(FidelityCallback):
    """Sets the fidelity by epoch, as `keras.callbacks.LearningRateScheduler` sets the rate.

    What it logs is in `FidelityCallback`. A schedule by epoch alone needs no state to resume; a
    function that goes by the value in force does.

    Example:
        FidelitySchedule(fidelity, schedule={0: 10, 5: 2, 80: 10})
        FidelitySchedule(fidelity, schedule={0: pcr_tf.tuning.mixture(2, 0.8, range(1, 11))})
        FidelitySchedule(fidelity, schedule=lambda epoch, value: 10 if epoch % 10 == 0 else 2)
    """

    def __init__(
        self,
        fidelity: FidelityHandle,
        paths: PathLike | Sequence[PathLike] | None = None,
        *,
        schedule: Mapping[int, FidelityValue] | Callable[[int, FidelityValue], FidelityValue],
        state_path: PathLike | None = None,
    ) -> None:
        """Checks the schedule.

        Args:
          fidelity: the handle that the training data set was given.
          paths: the data set, for what is logged of its images. None: unknown.
          schedule: a dict from the first epoch of each value to the value, with one for epoch 0; or
            a function from an epoch, from 0, and the value in force to the value. Values are scan
            groups, or mixtures of them: {scan groups: probability}.
          state_path: see `FidelityCallback`.

        Raises:
          TypeError, ValueError: for arguments out of range.
        """
        super().__init__(fidelity, paths, state_path=state_path)
        self._schedule = schedule
        self._value_at: Callable[[int, FidelityValue], FidelityValue]
        if callable(schedule):
            self._value_at = schedule
        else:
            by_epoch = EpochSchedule(schedule, self._num_scan_groups)
            self._value_at = lambda epoch, _: by_epoch.value_at(epoch)

    def check_scan_groups(self, num_scan_groups: int) -> None:
        if not callable(self._schedule):
            EpochSchedule(self._schedule, num_scan_groups)

    def before_epoch(self, epoch: int) -> None:
        self.fidelity.set(self._value_at(epoch, self.fidelity.value))
