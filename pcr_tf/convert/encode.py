"""The lossy policy: images that cannot be re-coded losslessly, encoded anew as JPEG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from pcr_tf.format.example import with_features

_EXIF_MARK = b"Exif\0\0"

# Mode of a JPEG -> the colour space that its ICC profile names in its header.
_ICC_SPACES = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}


def encode_images(
    example: bytes,
    images: Mapping[str, list[bytes]],
    positions: Sequence[int],
    *,
    quality: int,
    other_features: Mapping[str, list[bytes]],
) -> tuple[bytes, list[int]]:
    """The example with some of its images encoded anew; what Pillow cannot read or write stays.

    Args:
        images: all its images, by feature, in the order of the image features.
        positions: ordinals of the images to encode, counted through the features.
        quality: JPEG quality, 1 to 100.
        other_features: features that change with an image: `Source.reencoded_features`.

    Returns:
        The example, and the ordinals of the images that were encoded.
    """
    changed: dict[str, list[bytes]] = {}
    encoded = []
    owners = [(feature, n) for feature, values in images.items() for n in range(len(values))]
    for position in positions:
        feature, number = owners[position]
        jpeg = encode_jpeg(images[feature][number], quality)
        if jpeg is not None:
            changed.setdefault(feature, list(images[feature]))[number] = jpeg
            encoded.append(position)
    if not changed:
        return example, []
    return with_features(example, {**other_features, **changed}), encoded


def encode_jpeg(image: bytes, quality: int) -> bytes | None:
    """An image of any format that Pillow reads, as a baseline JPEG; None where Pillow cannot read
    it, or a JPEG cannot hold it: samples of 32 bits have no range of their own to scale from.

    Lossy. The first frame of an animation is taken; transparency is laid on white; samples of 16
    bits are scaled to 8. EXIF, with the orientation, and the ICC profile stay.
    """
    from PIL import Image

    out = io.BytesIO()
    try:
        with Image.open(io.BytesIO(image)) as opened:
            picture = _without_alpha(opened)
            about = _about(opened, picture.mode)
        # JPEG has 16 bits for a side, and Pillow's writer refuses what is larger.
        picture.save(out, "JPEG", quality=quality, **about)
    except Exception:  # Pillow's decoders raise whatever comes: struct.error, SyntaxError, ...
        return None
    return out.getvalue()


def _without_alpha(picture: Any) -> Any:
    from PIL import Image

    if picture.mode in ("L", "RGB", "CMYK"):
        picture.load()
        return picture.copy()
    # Pillow's PGM and PNG have at most 16 bits, whatever their mode.
    is_16_bit = picture.mode == "I" and picture.format in ("PNG", "PPM")
    if picture.mode == "F" or (picture.mode == "I" and not is_16_bit):
        raise ValueError(f"samples of 32 bits: mode {picture.mode}")
    if picture.mode.startswith("I;16") or is_16_bit:
        return picture.convert("I").point(lambda value: value / 257).convert("L")
    if picture.mode == "1":
        return picture.convert("L")
    if "A" in picture.mode or "transparency" in picture.info:
        coloured = picture.convert("RGBA")
        white = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, coloured).convert("RGB")
    return picture.convert("RGB")


def _about(opened: Any, mode: str) -> dict[str, bytes]:
    """EXIF and ICC profile of an image that has been decoded, for a JPEG of `mode`."""
    about = {key: opened.info[key] for key in ("exif", "icc_profile") if opened.info.get(key)}
    if "exif" in about:  # WebP has none of a JPEG segment's mark before it.
        about["exif"] = _EXIF_MARK + about["exif"].removeprefix(_EXIF_MARK)
    # Of a grey picture with alpha, for one, that is laid on white in colour.
    if about.get("icc_profile", b"")[16:20] != _ICC_SPACES[mode]:
        about.pop("icc_profile", None)
    return about
