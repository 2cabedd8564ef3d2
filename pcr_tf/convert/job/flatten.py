"""Makes pictures fit into a JPEG: 8 bits per sample, no transparency.

Transparent pixels are composited on white. Samples of 16 bits are scaled to 8 and rounded; those of
TIFF with associated alpha or CMYK are truncated, as Pillow reads them.
"""

from __future__ import annotations

import io
import re
import sys
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

_MAX_16_BITS = 0xFFFF
_TIFF_BITS, _TIFF_PHOTOMETRIC = 258, 262  # tags
_WHITE_IS_ZERO = 0

# Offsets of the bit depth and the colour type in a PNG; the CRC follows at 29.
_PNG_DEPTH, _PNG_COLOUR = 24, 25
_RGB_ALPHA = 6

_Samples = npt.NDArray[Any]  # 16-bit samples


def flattened(opened: Any, image: bytes) -> Any:
    """A picture of mode L, RGB or CMYK, from `opened`, which Pillow opened from the bytes `image`.

    Raises:
      ValueError: the samples have 32 bits, and so no defined range.
    """
    from PIL import Image

    # Pillow's PGM and PNG have at most 16 bits, whatever their mode.
    is_16_bit = opened.mode == "I" and opened.format in ("PNG", "PPM")
    if opened.mode == "F" or (opened.mode == "I" and not is_16_bit):
        raise ValueError(f"samples of 32 bits: mode {opened.mode}")
    if opened.mode.startswith("I;16") or is_16_bit:
        return Image.fromarray(_of_16_bits(_grey(opened), opened.info.get("transparency")))
    if (samples := _wide_samples(opened, image)) is not None:
        return Image.fromarray(_of_16_bits(samples, opened.info.get("transparency")))
    if opened.mode in ("LA", "La"):
        return _on_white(opened.convert("LA"), "L")
    has_palette_with_alpha = opened.mode == "P" and (
        "transparency" in opened.info or opened.palette.mode == "RGBA"
    )
    if opened.mode in ("PA", "RGBA", "RGBa") or has_palette_with_alpha:
        return _on_white(opened.convert("RGBA"), "RGB")
    if opened.mode in ("1", "L", "RGB"):
        picture = opened.convert("L" if opened.mode == "1" else opened.mode)
        return _key_on_white(picture, opened.info.get("transparency"), _depth(opened, image))
    return opened.copy() if opened.mode == "CMYK" else opened.convert("RGB")


def _on_white(picture: Any, mode: str) -> Any:
    """A picture with alpha, composited on white."""
    from PIL import Image

    white = Image.new(mode, picture.size, "white")
    white.paste(picture.convert(mode), mask=picture.getchannel("A"))
    return white


def _depth(opened: Any, image: bytes) -> int:
    """Bits per sample in the file."""
    return image[_PNG_DEPTH] if opened.format == "PNG" else 8


def _key_on_white(picture: Any, key: Any, depth: int) -> Any:
    """An 8-bit picture, with white for the pixels of the transparent colour `key`; None for no key.

    A key is given in the file's samples, which have `depth` bits.
    """
    from PIL import Image

    if key is None:
        return picture
    highest = (1 << depth) - 1
    pixels = np.array(picture)
    wanted = np.bitwise_and(key, highest) * 255 // highest
    matches = pixels == wanted
    pixels[matches.all(axis=2) if pixels.ndim == 3 else matches] = 255
    return Image.fromarray(pixels)


def _of_16_bits(samples: _Samples, key: Any) -> npt.NDArray[np.uint8]:
    """Pixels of 1 to 4 samples, composited on white and scaled to 8 bits. The last of 2 or 4
    samples is alpha."""
    wide: npt.NDArray[Any] = samples.astype(np.uint32)
    if wide.shape[2] in (2, 4):
        alpha = wide[:, :, -1:]
        wide = (wide[:, :, :-1] * alpha + _MAX_16_BITS // 2) // _MAX_16_BITS
        wide += _MAX_16_BITS - alpha
    elif key is not None:
        wide[(wide == np.asarray(key)).all(axis=2)] = _MAX_16_BITS
    rounded = ((wide + 128) // 257).astype(np.uint8)
    return rounded[:, :, 0] if rounded.shape[2] == 1 else rounded


def _grey(opened: Any) -> _Samples:
    """A grey picture of more than 8 bits as pixels of one sample, 65535 for white."""
    samples = np.asarray(opened.convert("I"), np.int64)[:, :, np.newaxis]
    if opened.format == "TIFF":
        bits = opened.tag_v2.get(_TIFF_BITS, (16,))[0]
        highest = (1 << bits) - 1
        samples = (samples * _MAX_16_BITS + highest // 2) // highest
        if opened.tag_v2.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
            samples = _MAX_16_BITS - samples
    return samples.astype(np.uint16)


def _wide_samples(opened: Any, image: bytes) -> _Samples | None:
    """RGB, RGBA or grey with alpha of 16 bits; None for other pictures.

    Pillow has no such modes and keeps only the high byte of each sample. So the file is read a
    second time, for the low bytes.
    """
    from PIL import Image

    mode = _raw_mode(opened)
    if mode == "LA;16B" and opened.format == "PNG":
        # Four bytes per pixel, like 8-bit RGBA.
        header = bytearray(image[:_PNG_DEPTH] + bytes((8, _RGB_ALPHA)) + image[_PNG_COLOUR + 1 :])
        header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
        with Image.open(io.BytesIO(header)) as as_rgba:
            high_first = np.asarray(as_rgba).astype(np.uint16)
        opened.load()
        return high_first[:, :, ::2] << 8 | high_first[:, :, 1::2]
    match = re.fullmatch(r"(RGB|RGBA|RGBX);16([LBN])", mode)
    if match is None:
        return None
    native = "L" if sys.byteorder == "little" else "B"
    order = match[2].replace("N", native)
    swapped = f"{match[1]};16{'B' if order == 'L' else 'L'}"
    with Image.open(io.BytesIO(image)) as again:
        tiles: list[Any] = [(*t[:3], _with_raw_mode(t[3], swapped)) for t in again.tile]
        again.tile = tiles
        low = np.asarray(again).astype(np.uint16)
    return np.asarray(opened).astype(np.uint16) << 8 | low


def _raw_mode(opened: Any) -> str:
    """The layout of the samples in the file, by its name in Pillow's decoders; or ""."""
    tiles = getattr(opened, "tile", ())
    arguments = tiles[0][3] if tiles else ""
    if isinstance(arguments, (tuple, list)):
        arguments = arguments[0] if arguments else ""
    return arguments if isinstance(arguments, str) else ""


def _with_raw_mode(arguments: Any, mode: str) -> Any:
    return mode if isinstance(arguments, str) else (mode, *arguments[1:])
