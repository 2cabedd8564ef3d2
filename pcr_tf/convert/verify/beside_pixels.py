"""What a JPEG holds beside its pixels, told without the transcoder's own walk over the markers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_SOI, _EOI, _COM, _TEM = 0xD8, 0xD9, 0xFE, 0x01
_APPS = range(0xE0, 0xF0)
# JFIF and Adobe.
_OF_THE_CODING = frozenset({(0xE0, b"JFIF\0"), (0xEE, b"Adobe")})
# A marker, behind whatever fills the space before it; not a stuffed byte, not a restart.
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")


class BesidePixels(NamedTuple):
    """The bytes of a JPEG that full fidelity returns beside its coefficients (FORMAT.md, 10).

    Attributes:
        segments: APPn and COM, each whole, in their order, but JFIF and Adobe segments first, as
            they are in a stored image.
        trailing: what follows the end of the image.
    """

    segments: list[bytes]
    trailing: bytes

    def difference(self, source: BesidePixels) -> str:
        """What differs between a stored image and its source; "" where nothing does."""
        if self.segments != source.segments:
            return f"segments beside the pixels; {_difference(self.segments, source.segments)}"
        if self.trailing != source.trailing:
            expected, got = len(source.trailing), len(self.trailing)
            return (
                f"behind the end of the image; expected {expected} bytes, got "
                f"{'others' if expected == got else got}"
            )
        return ""


def beside_pixels(jpeg: bytes) -> BesidePixels:
    """Walks a JPEG that libjpeg has decoded; of a damaged one, takes what is found."""
    coding: list[bytes] = []
    others: list[bytes] = []
    trailing = b""
    at = 2
    while match := _MARKER.search(jpeg, at):
        marker, at = match[1][0], match.end()
        if marker == _EOI:
            trailing = jpeg[at:]
            break
        if marker in (_SOI, _TEM):
            continue
        at += max(int.from_bytes(jpeg[at : at + 2], "big"), 2)
        segment = jpeg[match.start() : at]
        if (marker, segment[4:9]) in _OF_THE_CODING:
            coding.append(segment)
        elif marker in _APPS or marker == _COM:
            others.append(segment)
    coding.sort(key=lambda segment: segment[1])
    return BesidePixels(coding + others, trailing)


def _difference(stored: Sequence[bytes], source: Sequence[bytes]) -> str:
    expected, got = _shown(source), _shown(stored)
    return f"expected {expected}, got {'others of these sizes' if expected == got else got}"


def _shown(segments: Sequence[bytes]) -> str:
    """Segments by name and size."""
    names = (
        "COM" if segment[1] == _COM else f"APP{segment[1] - _APPS.start}" for segment in segments
    )
    sized = (f"{name} of {len(s)} bytes" for name, s in zip(names, segments, strict=True))
    return ", ".join(sized) or "none"
