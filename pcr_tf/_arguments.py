"""Checks of arguments that name the argument, what was expected and what was received."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MAX_INT64 = 2**63 - 1
MAX_SCAN_GROUPS = 100  # the format's

_PROBABILITY_TOLERANCE = 1e-6  # the op's


def as_int(name: str, value: Any) -> int:
    """An integer; a bool is none.

    Raises:
      TypeError: for anything else.
    """
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        return int(value.__index__())
    except (TypeError, AttributeError):
        raise TypeError(f"{name}; expected an integer, got {value!r}") from None


def in_range(name: str, value: Any, low: int, high: int | None = None) -> int:
    """An integer of low to high, or of at least low.

    Raises:
      TypeError: for what is no integer.
      ValueError: for one outside of the range.
    """
    number = as_int(name, value)
    if high is None and number > MAX_INT64:
        raise ValueError(f"{name}; expected at least {low}, at most {MAX_INT64}, got {number}")
    if number < low or (high is not None and number > high):
        limits = f"at least {low}" if high is None else f"{low} to {high}"
        raise ValueError(f"{name}; expected {limits}, got {number}")
    return number


def as_mixture(name: str, value: Any, max_scan_groups: int | None = None) -> dict[int, float]:
    """A fidelity as a mixture, ascending: scan groups -> the probability of reading a record at it.
    Scan groups alone are a mixture of one.

    Args:
      max_scan_groups: the most that are allowed. None: the format's limit.

    Raises:
      TypeError: for anything else.
      ValueError: for numbers out of range, and probabilities that do not sum to 1 within 1e-6.
    """
    limit = max_scan_groups or MAX_SCAN_GROUPS
    if not isinstance(value, Mapping):
        if not hasattr(value, "__index__"):
            raise TypeError(f"{name}; expected an integer or a mixture (a dict), got {value!r}")
        return {in_range(name, value, 1, limit): 1.0}
    if not value:
        raise ValueError(
            f"{name}; expected a mixture of at least one number of scan groups, got {{}}"
        )
    probabilities = {
        in_range(f"{name}: scan groups", groups, 1, limit): as_fraction(
            f"{name}: probability of {groups} scan groups", probability, zero=False
        )
        for groups, probability in value.items()
    }
    total = sum(probabilities.values())
    if not abs(total - 1) <= _PROBABILITY_TOLERANCE:
        raise ValueError(
            f"{name}; expected probabilities that sum to 1, got {value!r}, which sum to {total!r}"
        )
    return dict(sorted(probabilities.items()))


def as_bool(name: str, value: Any) -> bool:
    """True or False.

    Raises:
      TypeError: for anything else.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}; expected True or False, got {value!r}")
    return bool(value)


def one_of(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """The value, which is one of the choices.

    Raises:
      ValueError: if it is not.
    """
    # An unhashable or foreign value is compared, not looked up.
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        expected = ", ".join(repr(choice) for choice in choices[:-1])
        raise ValueError(f"{name}; expected {expected} or {choices[-1]!r}, got {value!r}")
    return value


def as_floats(name: str, value: Any, lengths: Sequence[int]) -> list[float]:
    """Finite numbers, as many as one of the lengths.

    Raises:
      TypeError: for what is no sequence of numbers.
      ValueError: for another length, or numbers that are not finite.
    """
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        numbers = [float(number) for number in value]
    except (TypeError, ValueError):
        raise TypeError(f"{name}; expected a sequence of numbers, got {value!r}") from None
    if len(numbers) not in lengths:
        expected = " or ".join(map(str, lengths))
        raise ValueError(f"{name}; expected {expected} numbers, got {value!r}")
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{name}; expected finite numbers, got {value!r}")
    return numbers


def as_fraction(name: str, value: Any, *, zero: bool) -> float:
    """A number of 0 to 1; with `zero` False, above 0.

    Raises:
      TypeError: for what is no number.
      ValueError: for one outside of the range.
    """
    try:
        if isinstance(value, (bool, np.bool_, str, bytes)):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}; expected a number, got {value!r}") from None
    if not 0 <= number <= 1 or (number == 0 and not zero):
        expected = "0 to 1" if zero else "a number above 0, at most 1"
        raise ValueError(f"{name}; expected {expected}, got {value!r}")
    return number


def as_number(name: str, value: Any, low: float) -> float:
    """A finite number of at least `low`.

    Raises:
      TypeError: for what is no number.
      ValueError: for one below.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}; expected a number, got {value!r}") from None
    if not (math.isfinite(number) and number >= low):
        raise ValueError(f"{name}; expected at least {low}, got {value!r}")
    return number
