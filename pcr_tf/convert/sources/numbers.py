"""Numbers in texts, and which of them an int64 or a 32-bit float feature can hold."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Set
from decimal import Decimal

_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
# A number as a label may be written, leading zeros included. Texts like 1_0 and 1,000, and digits
# other than ASCII's, are not numbers. A longer exponent belongs to an identifier.
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,6})?")

# Numbers with more digits, like 1e999999, keep their spelling.
_CANONICAL_DIGITS_MAX = 400

# Sign and digits of the longest int64. Python refuses to convert texts of thousands of digits.
_INT64_CHARACTERS = 20
# Up to here 32 bits hold every whole number.
_WHOLE_FLOAT32_MAX = 2.0**24
_FLOAT32_MIN_NORMAL = 2.0**-126


def number_of(text: str) -> Decimal | None:
    """The exact number, of any size, that a text stands for; None if it is not a number."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def canonical(text: str) -> str:
    """One spelling of a number: "7" for "7.0", "07", "+7" and "7e0". Other texts stay."""
    number = number_of(text)
    if number is None or abs(number.adjusted()) > _CANONICAL_DIGITS_MAX:
        return text
    whole, _, fraction = f"{number:f}".partition(".")
    sign = "-" if whole.startswith("-") and number else ""
    fraction = fraction.rstrip("0")
    return f"{sign}{whole.lstrip('-0') or '0'}{'.' if fraction else ''}{fraction}"


def int64_of(text: str) -> int | None:
    """The int64 that a text of digits stands for; None if it is out of range."""
    value = int(text) if len(text) <= _INT64_CHARACTERS else None
    return value if value is not None and -(2**63) <= value < 2**63 else None


def is_float32(value: float) -> bool:
    """Whether a 32-bit float can hold `value`: exactly, or rounded like a measurement.

    A measurement is at most 2**24 in size, so that its integer part is kept, and not so small that
    it loses digits or becomes 0. Larger values, like a time in seconds since 1970, must be exact.
    Infinity, which Python makes of too large a number, is refused.
    """
    if _FLOAT32_MIN_NORMAL <= abs(value) <= _WHOLE_FLOAT32_MAX:
        return True
    try:
        return math.isfinite(value) and struct.unpack("<f", struct.pack("<f", value))[0] == value
    except OverflowError:
        return False


def float32_of(text: str) -> float | None:
    """The number that a decimal text stands for; None if no 32-bit float can hold it.

    See `is_float32`. A number so small that 64 bits hold it as 0 is refused: it is not 0.
    """
    value = float(text)
    if value == 0 and text.lower().partition("e")[0].strip("+-.0"):
        return None
    return value if is_float32(value) else None


def column_type(values: Set[str]) -> type:
    """int, float or bytes: the narrowest type that holds every value of a column as it is written.

    Args:
      values: the distinct values, without the empty one.
    """
    whole = {value: int64_of(value) for value in values if _WHOLE.fullmatch(value)}
    if not values or None in whole.values():
        return bytes
    if len(whole) == len(values):
        return int
    decimal = all(_DECIMAL.fullmatch(v) and float32_of(v) is not None for v in values)
    return float if decimal else bytes
