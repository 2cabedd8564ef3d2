"""Fidelity handles for tests of what sets them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pcr_tf

_package: Any = pcr_tf  # Its type is not known where there is no handle.
HAS_FIDELITY = hasattr(_package, "Fidelity")


class HeldValue:
    """A handle that no data set obeys: it keeps what it was told."""

    def __init__(self, value: int | Mapping[int, float]) -> None:
        self.value = value
        self.history: list[Any] = []

    def set(self, value: int | Mapping[int, float]) -> None:
        self.value = value
        self.history.append(value)


def make_fidelity(value: int | Mapping[int, float]) -> Any:
    """A `pcr_tf.Fidelity`, or a stand-in where there is none."""
    return _package.Fidelity(value) if HAS_FIDELITY else HeldValue(value)


def scan_groups_of(fidelity: Any) -> Any:
    """What a data set is to be given: the handle, or all scan groups in place of a stand-in."""
    return fidelity if HAS_FIDELITY else None
