"""Image files: the suffixes that name them, the formats that their first bytes show."""

from __future__ import annotations

from pcr_tf.convert.errors import UnreadableItemError
from pcr_tf.convert.sources.base import SourceItem
from pcr_tf.format import filesystem

# Suffixes of files that count as images. Their contents decide later what can be transcoded.
IMAGE_SUFFIXES = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".gif",
        ".bmp",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".heic",
        ".avif",
        ".jp2",
        ".jxl",
    )
)

_MAGICS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
)


def image_format(image: bytes) -> str:
    """JPEG, PNG, GIF, BMP, WEBP or "" (unknown), by the first bytes and not by the file's name."""
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return "WEBP"
    return next((name for magic, name in _MAGICS if image.startswith(magic)), "")


def read_image(item: SourceItem) -> bytes:
    """The bytes of an item that is a file of its own.

    Raises:
      UnreadableItemError: the file cannot be read.
    """
    try:
        return filesystem.read_bytes(item.path)
    except OSError as error:
        raise UnreadableItemError(item.name, f"cannot be read: {error.strerror}") from error
