"""A fidelity handle for tests of what sets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class HeldValue:
    """A handle that no data set obeys: it keeps what it was told."""

    def __init__(self, value: int | Mapping[int, float]) -> None:
        self.value = value
        self.history: list[Any] = []

    def set(self, value: int | Mapping[int, float]) -> None:
        self.value = value
        self.history.append(value)
