"""How far a conversion is: a bar in a terminal, a line every ten seconds in a log."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

LOG_INTERVAL_S = 10.0


def megabytes(size_bytes: float) -> str:
    """A size for people, in powers of ten."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:.1f} {unit}"
    return f"{size_bytes:.0f} B"


def duration(seconds: float) -> str:
    """A time for people: the two largest units."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if minutes < 60:
        return f"{minutes} min"
    return (
        f"{minutes // 60} h {minutes % 60} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
    )


class ProgressDisplay:
    """Shows images, rate, bytes in and bytes out on a stream; a context manager."""

    def __init__(
        self,
        total_items: int,
        stream: TextIO | None = None,
        *,
        quiet: bool = False,
        unit: str = "img",
    ) -> None:
        """Shows nothing yet.

        Args:
            unit: what is counted per second, as it is shown.
        """
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._unit = unit
        self._total = total_items
        self._items = self._images = self._source_bytes = self._stored_bytes = 0
        self._begun = self._logged = time.monotonic()
        self._bar: Any = None
        if not quiet and self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total_items, unit=unit, file=self._stream, dynamic_ncols=True)

    def update(self, items: int, images: int, source_bytes: int, stored_bytes: int) -> None:
        """Adds what has been done since the last call."""
        self._items += items
        self._images += images
        self._source_bytes += source_bytes
        self._stored_bytes += stored_bytes
        if self._bar is not None:
            self._bar.set_postfix_str(self._bytes_text(), refresh=False)
            self._bar.update(items)
        elif not self._quiet and time.monotonic() - self._logged >= LOG_INTERVAL_S:
            self._logged = time.monotonic()
            self._log()

    @property
    def images_per_second(self) -> float:
        """Images since the display was made, per second."""
        return self._images / max(time.monotonic() - self._begun, 1e-9)

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def _bytes_text(self) -> str:
        out = f", out {megabytes(self._stored_bytes)}" if self._stored_bytes else ""
        return f"in {megabytes(self._source_bytes)}{out}"

    def _log(self) -> None:
        share = 100 * self._items / self._total if self._total else 100.0
        self._stream.write(
            f"{self._items} of {self._total} ({share:.1f}%), "
            f"{self.images_per_second:.1f} {self._unit}/s, {self._bytes_text()}\n"
        )
        self._stream.flush()
