"""Memory that the workers of a conversion share: large images wait for each other."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
from collections.abc import Iterator
from pathlib import Path

from pcr_tf.convert.errors import ConvertError

# Of each block of 8 x 8 samples: 128 bytes of coefficients of the source, and of the proof 128 and
# 8 of marks. The encoder's tokens, up to 96, are gone by then.
_BYTES_PER_BLOCK = 264
# Images with fewer bits of data than blocks are refused before memory is spent, but for these
# (ops/jpeg/syntax/limits.h).
_FREE_BLOCKS = 1 << 18
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
# Of cgroups 2 and 1. Without a limit they hold "max" or a huge number.
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_SOFS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class MemoryBudget:
    """Bytes that the worker processes of one job share.

    A worker holds what an image needs while it codes it. Who waits is next: no later image, however
    small, gets in before it. An image that needs more than all there is waits until it is alone.
    So the budget decides when an image is coded, and never how.

    Example:
        >>> budget = MemoryBudget(1 << 30)
        >>> with budget.hold(200 << 20):
        ...     pass  # here 200 MiB less are free
    """

    def __init__(self, total_bytes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._total_bytes = total_bytes
        self._free_bytes = context.Value("q", total_bytes, lock=False)
        self._turn = context.Lock()
        self._changed = context.Condition()

    @contextlib.contextmanager
    def hold(self, needed_bytes: int) -> Iterator[None]:
        """Waits until so much is free, and holds it meanwhile. Not reentrant."""
        held = min(needed_bytes, self._total_bytes)
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self._free_bytes.value >= held)
            self._free_bytes.value -= held
        try:
            yield
        finally:
            with self._changed:
                self._free_bytes.value += held
                self._changed.notify_all()


def coding_bytes(image: bytes) -> int:
    """About the most memory that re-coding and proving an image takes, by its header. Beside its
    own bytes nothing, where it is none that is re-coded.
    """
    frame = _frame_header(image)
    blocks = min(_blocks(frame), max(_FREE_BLOCKS, 8 * len(image)))
    return _BYTES_PER_BLOCK * blocks + 2 * len(image)


def parse_bytes(text: str) -> int:
    """The number of bytes that "8G", "1.5GiB", "500 MB" or "1000000" stands for; units are powers
    of 1024.

    Raises:
        ConvertError: it is no such text, or 0.

    Example:
        >>> parse_bytes("1.5G")
        1610612736
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    number = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if number < 1:
        raise ConvertError(
            f"`max_memory_bytes`; expected bytes with a unit, as 8G or 500M, got {text!r}"
        )
    return number


def default_max_memory_bytes() -> int:
    """Half of the memory that this machine, or the container, has."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(Path(path).read_text()))
    return min(limits) // 2


def _frame_header(image: bytes) -> bytes:
    """The parameters of the first SOFn, or b""."""
    at = 2 if image.startswith(b"\xff\xd8") else len(image)
    while at + 4 <= len(image) and image[at] == 0xFF:
        marker = image[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        size = int.from_bytes(image[at + 2 : at + 4], "big")
        if marker in _SOFS:
            return image[at + 4 : at + 2 + size]
        if marker == 0xDA:
            break
        at += 2 + size
    return b""


def _blocks(frame: bytes) -> int:
    """Blocks of all components, those that fill up MCUs included."""
    if len(frame) < 6:
        return 0
    height = int.from_bytes(frame[1:3], "big")
    width = int.from_bytes(frame[3:5], "big")
    factors = [(both >> 4, both & 15) for both in frame[7::3]]
    max_h = max((h for h, _ in factors), default=0)
    max_v = max((v for _, v in factors), default=0)
    if not max_h or not max_v:
        return 0
    mcus = -(-width // (8 * max_h)) * -(-height // (8 * max_v))
    return mcus * sum(h * v for h, v in factors)
