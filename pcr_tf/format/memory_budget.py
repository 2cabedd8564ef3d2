"""`MemoryBudget`: how much memory the threads of a job hold together."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class MemoryBudget:
    """A number of bytes that threads share.

    Example:
        budget = MemoryBudget(1 << 30)
        with budget.hold(len_of_what_is_read):
            ...  # Read it, use it, drop it.
    """

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self._held_bytes = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def hold(self, size_bytes: int) -> Iterator[None]:
        """Waits until so many bytes are free, and holds them for the length of a ``with`` block.

        Who wants more than there are gets them when nobody else holds any. A thread that holds some
        must not ask for more.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: not self._held_bytes or self._held_bytes + size_bytes <= self._total_bytes
            )
            self._held_bytes += size_bytes
        try:
            yield
        finally:
            with self._changed:
                self._held_bytes -= size_bytes
                self._changed.notify_all()
