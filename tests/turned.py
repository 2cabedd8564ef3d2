"""Photographs that are stored turned, and say so in their EXIF."""

from __future__ import annotations

import io

from PIL import Image

from tests import reference_writer as writer

# What turns an upright picture into the one that is stored.
_STORED_BY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def turned_jpeg(orientation: int, *, exif: int | None = None) -> bytes:
    """A JPEG of 64 x 48 pixels, bright in its top left corner once it is upright.

    Args:
      orientation: how it is stored, 1 to 8.
      exif: the orientation that its EXIF names, beside a description; None for the same one, 0 for
        no EXIF.
    """
    upright = Image.new("RGB", (64, 48), (40, 60, 80))
    upright.paste((250, 240, 230), (0, 0, 24, 16))
    stored = upright.transpose(_STORED_BY[orientation]) if orientation > 1 else upright
    out = io.BytesIO()
    named = orientation if exif is None else exif
    if named:
        tags = Image.Exif()
        tags[0x010E] = "a picture that is not upright"
        tags[0x0112] = named
        stored.save(out, "JPEG", quality=90, exif=tags)
    else:
        stored.save(out, "JPEG", quality=90)
    return out.getvalue()


def brightest_corner(image: Image.Image) -> tuple[int, int]:
    """The corner that is brightest, as (x, y) in 0, 1."""
    grey = image.convert("L")
    corners = [(x, y) for x in (0, 1) for y in (0, 1)]
    return max(
        corners,
        key=lambda at: grey.getpixel((at[0] * (grey.width - 1), at[1] * (grey.height - 1))),  # type: ignore[arg-type, return-value]
    )


def with_segment(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF segment in front that holds an orientation alone."""
    return jpeg[:2] + writer.orientation_segment(orientation) + jpeg[2:]
