"""A fidelity for each epoch, decided beforehand."""

from __future__ import annotations

from collections.abc import Mapping

from pcr_tf._arguments import in_range
from pcr_tf.tuning.value import FidelityValue, as_fidelity_value


class EpochSchedule:
    """Values that hold from an epoch on.

    Example:
      >>> schedule = EpochSchedule({0: 10, 5: 2, 80: {2: 0.5, 10: 0.5}})
      >>> [schedule.value_at(epoch) for epoch in (0, 4, 5, 90)]
      [10, 10, 2, {2: 0.5, 10: 0.5}]
    """

    def __init__(
        self, values: Mapping[int, FidelityValue], num_scan_groups: int | None = None
    ) -> None:
        """Checks a schedule.

        Args:
          values: from the first epoch of each value, from 0, to the value: scan groups, or a
            mixture. Epoch 0 must have one.
          num_scan_groups: the data set's. None: not known, up to 100.

        Raises:
          TypeError: for arguments of other types.
          ValueError: for epochs and values out of range, and none for epoch 0.
        """
        if not isinstance(values, Mapping):
            raise TypeError(f"schedule; expected a dict from epochs to fidelities, got {values!r}")
        self._values = {
            in_range("schedule: epoch", epoch, 0): as_fidelity_value(
                f"schedule: value from epoch {epoch} on", value, num_scan_groups
            )
            for epoch, value in values.items()
        }
        if 0 not in self._values:
            raise ValueError(
                f"schedule; expected a value for epoch 0, got epochs {sorted(self._values)}"
            )

    def value_at(self, epoch: int) -> int | dict[int, float]:
        """The value of the last entry that has begun by an epoch."""
        return self._values[max(begin for begin in self._values if begin <= epoch)]
