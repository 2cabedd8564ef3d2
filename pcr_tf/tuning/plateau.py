"""When a loss has stopped falling, and what trials at several fidelities then say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pcr_tf._arguments import as_number, in_range, one_of


class PlateauDetector:
    """Tells when a quantity has not improved for some epochs.

    Example:
      >>> detector = PlateauDetector(patience=2)
      >>> [detector.update(loss) for loss in (1.0, 0.5, 0.5, 0.5, 0.5)]
      [False, False, False, True, False]
    """

    def __init__(
        self, patience: int, min_delta: float = 1e-4, mode: str = "min", cooldown: int = 0
    ) -> None:
        """Begins with no best value.

        Args:
          patience: epochs without improvement that make a plateau, at least 1.
          min_delta: what counts as improvement, at least 0.
          mode: "min" where less is better, "max" where more is.
          cooldown: epochs after a plateau that are not counted, at least 0.

        Raises:
          TypeError, ValueError: for arguments out of range.
        """
        self._patience = in_range("patience", patience, 1)
        self._min_delta = as_number("min_delta", min_delta, 0)
        self._sign = 1.0 if one_of("mode", mode, ("min", "max")) == "min" else -1.0
        self._cooldown = in_range("cooldown", cooldown, 0)
        self.reset()

    def reset(self) -> None:
        """Forgets the best value and the epochs counted."""
        self._best = math.inf
        self._epochs_without = 0
        self._cooldown_left = 0

    def update(self, value: float) -> bool:
        """Takes an epoch's value; whether it completes a plateau, after which a new count begins.

        What follows may be measured at another fidelity, so the best value is forgotten then. A
        value that is not a number is no improvement.
        """
        signed = self._sign * float(value)
        if signed < self._best - self._min_delta:
            self._best = signed
            self._epochs_without = 0
            self._cooldown_left = max(0, self._cooldown_left - 1)
            return False
        if self._cooldown_left > 0:
            self._cooldown_left -= 1
            return False
        self._epochs_without += 1
        if self._epochs_without < self._patience:
            return False
        self.reset()
        self._cooldown_left = self._cooldown
        return True

    def state(self) -> dict[str, Any]:
        """What `restore` takes, of JSON's types."""
        return {
            "best": None if math.isinf(self._best) else self._best,
            "epochs_without": self._epochs_without,
            "cooldown_left": self._cooldown_left,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state` was taken."""
        self._best = math.inf if state["best"] is None else float(state["best"])
        self._epochs_without = int(state["epochs_without"])
        self._cooldown_left = int(state["cooldown_left"])


def best_trial(losses: Mapping[int, float], tolerance: float = 0.0) -> int | None:
    """The lowest fidelity whose trial ended within a tolerance of the best one.

    Args:
      losses: at the end of the trial at each fidelity. Those that are not finite have failed.
      tolerance: share of the best loss's magnitude by which a lower fidelity may be worse.

    Returns:
      None where all have failed.

    Example:
      >>> best_trial({1: 0.93, 2: 0.81, 10: 0.80}), best_trial({1: 0.93, 2: 0.81, 10: 0.80}, 0.02)
      (10, 2)
    """
    finite = {groups: loss for groups, loss in losses.items() if math.isfinite(loss)}
    if not finite:
        return None
    best = min(finite.values())
    return min(groups for groups, loss in finite.items() if loss <= best + tolerance * abs(best))
