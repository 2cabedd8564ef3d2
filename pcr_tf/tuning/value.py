"""What a policy decides: scan groups, or a mixture of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from pcr_tf._arguments import MAX_SCAN_GROUPS, as_fraction, as_mixture, in_range

FidelityValue = int | Mapping[int, float]


class FidelityHandle(Protocol):
    """What the callbacks need of a `pcr_tf.Fidelity`."""

    def set(self, value: FidelityValue) -> None:
        """Changes what is read from now on."""

    @property
    def value(self) -> FidelityValue:
        """What is read now."""


def as_fidelity_value(
    name: str, value: Any, num_scan_groups: int | None = None
) -> int | dict[int, float]:
    """Scan groups of 1 to `num_scan_groups`, or a mixture of several; errors are `as_mixture`'s."""
    probabilities = as_mixture(name, value, num_scan_groups)
    return probabilities if isinstance(value, Mapping) else next(iter(probabilities))


def as_candidates(candidates: Iterable[int], num_scan_groups: int | None = None) -> list[int]:
    """Fidelities to choose from, ascending, each once.

    Raises:
      TypeError: for what is no sequence of integers.
      ValueError: for none, and for numbers outside of 1 to `num_scan_groups`.
    """
    try:
        listed = list(candidates)
    except TypeError:
        raise TypeError(f"candidates; expected scan groups, got {candidates!r}") from None
    if not listed:
        raise ValueError("candidates; expected at least one number of scan groups, got none")
    high = num_scan_groups or MAX_SCAN_GROUPS
    return sorted({in_range("candidates", groups, 1, high) for groups in listed})


def mixture(
    scan_groups: int, probability: float, candidates: Iterable[int]
) -> int | dict[int, float]:
    """Most records at one fidelity, the others spread evenly over the other candidates.

    Args:
      scan_groups: the chosen fidelity.
      probability: that with which a record is read at it, above 0, at most 1.
      candidates: all fidelities to take part; the chosen one may be among them.

    Returns:
      What `pcr_tf.Fidelity.set` takes: the number alone where nothing is left to spread.

    Raises:
      TypeError, ValueError: for arguments out of range.

    Example:
      >>> mixture(2, 0.5, [1, 2, 5, 10])
      {1: 0.16666666666666666, 2: 0.5, 5: 0.16666666666666666, 10: 0.16666666666666666}
      >>> mixture(2, 1.0, [1, 2, 5, 10])
      2
    """
    scan_groups = in_range("scan_groups", scan_groups, 1, MAX_SCAN_GROUPS)
    probability = as_fraction("probability", probability, zero=False)
    others = [groups for groups in as_candidates(candidates) if groups != scan_groups]
    if probability == 1 or not others:
        return scan_groups
    rest = {groups: (1 - probability) / len(others) for groups in others}
    return dict(sorted({**rest, scan_groups: probability}.items()))


def mean_scan_groups(value: FidelityValue) -> float:
    """Mean scan groups over records.

    Example:
      >>> mean_scan_groups({2: 0.75, 10: 0.25})
      4.0
    """
    if isinstance(value, Mapping):
        return float(sum(groups * probability for groups, probability in value.items()))
    return float(value)


def mean_over_fidelities(value: FidelityValue, per_fidelity: Sequence[float]) -> float:
    """Mean over records of what a table gives for fidelity 1, 2, ...

    Example:
      >>> mean_over_fidelities({1: 0.5, 3: 0.5}, [10.0, 20.0, 40.0])
      25.0
    """
    if isinstance(value, Mapping):
        return float(
            sum(per_fidelity[groups - 1] * probability for groups, probability in value.items())
        )
    return float(per_fidelity[value - 1])
