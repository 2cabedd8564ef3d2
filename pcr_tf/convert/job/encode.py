"""The lossy policy: images that cannot be re-coded losslessly, encoded anew as JPEG."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

from pcr_tf import _native
from pcr_tf.format.example import with_features

_EXIF_MARK = b"Exif\0\0"
_ORIENTATION = 0x0112  # tag of EXIF

# Mode of a JPEG -> the colour space that its ICC profile names in its header.
_ICC_SPACES = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}


@dataclasses.dataclass(frozen=True)
class EncodedImage:
    """An image encoded anew.

    Attributes:
      jpeg: a baseline JPEG.
      frames: frames or pages that the image had; the first one was taken.
      turned: the EXIF orientation that it was turned by, 2 to 8; 1 where it was not.
    """

    jpeg: bytes
    frames: int = 1
    turned: int = 1


def encode_images(
    example: bytes,
    images: Mapping[str, list[bytes]],
    positions: Sequence[int],
    *,
    quality: int,
    upright: bool,
    other_features: Mapping[str, list[bytes]],
) -> tuple[bytes, dict[int, EncodedImage]]:
    """The example with some of its images encoded anew; what Pillow cannot read or write stays.

    Args:
      images: all its images, by feature, in the order of the image features.
      positions: ordinals of the images to encode, counted through the features.
      quality: JPEG quality, 1 to 100. upright: see `encode_jpeg`.
      other_features: features that change with an image: `Source.reencoded_features`.

    Returns:
      The example, and the images that were encoded, by their ordinals.
    """
    changed: dict[str, list[bytes]] = {}
    encoded = {}
    owners = [(feature, n) for feature, values in images.items() for n in range(len(values))]
    for position in positions:
        feature, number = owners[position]
        made = encode_jpeg(images[feature][number], quality, upright=upright)
        if made is not None:
            changed.setdefault(feature, list(images[feature]))[number] = made.jpeg
            encoded[position] = made
    if not changed:
        return example, {}
    return with_features(example, {**other_features, **changed}), encoded


def encode_jpeg(image: bytes, quality: int, *, upright: bool = False) -> EncodedImage | None:
    """An image of any format that Pillow reads, as a baseline JPEG; None where Pillow cannot read
    it, or a JPEG cannot hold it: samples of 32 bits have no range of their own to scale from.

    Lossy. The first frame of an animation is taken; `flattened` says what becomes of transparency
    and of 16 bits. EXIF, with the orientation, and the ICC profile stay. The pixels of a
    photograph in a wide colour space therefore stay as they are. A PNG's gAMA and cHRM are not
    heeded, as ``tf.io.decode_png`` does not heed them.

    Args:
      upright: whether to turn the picture by its EXIF orientation, and to drop the orientation.
        A TIFF is turned in either case, by Pillow.
    """
    from PIL import Image

    from pcr_tf.convert.job.flatten import flattened  # NumPy, which few conversions need

    out = io.BytesIO()
    try:
        with Image.open(io.BytesIO(image)) as opened:
            picture = flattened(opened, image)
            orientation = _orientation(opened)
            about = _about(opened, picture.mode, orientation, upright)
            frames = _frames(opened)
        if upright:
            picture = _turned(picture, orientation)
        # JPEG has 16 bits for a side, and Pillow's writer refuses what is larger.
        picture.save(out, "JPEG", quality=quality, **about)
    except Exception:  # Pillow's decoders raise whatever comes: struct.error, SyntaxError, ...
        return None
    return EncodedImage(out.getvalue(), frames, orientation if upright else 1)


def _frames(opened: Any) -> int:
    # The further images of an MPO are views of the same scene, as a thumbnail is.
    if opened.format in ("JPEG", "MPO"):
        return 1
    try:
        return int(getattr(opened, "n_frames", 1))
    except Exception:  # Behind the first frame the file may be damaged.
        return 1


def _orientation(opened: Any) -> int:
    """The EXIF orientation of an image that has been decoded: some formats have EXIF at the end."""
    try:
        orientation = opened.getexif().get(_ORIENTATION, 1)
    except Exception:  # What cannot be parsed is carried over as it is.
        return 1
    return int(orientation) if orientation in range(1, 9) else 1


def _turned(picture: Any, orientation: int) -> Any:
    from PIL import Image

    methods = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    return picture if orientation == 1 else picture.transpose(methods[orientation])


def _told_by(exif: bytes) -> int:
    """The orientation that readers of a JPEG take from EXIF."""
    parameters = _EXIF_MARK + exif.removeprefix(_EXIF_MARK)
    length = len(parameters) + 2
    if length >= 1 << 16:
        return 1
    return _native.exif_orientation(b"\xff\xd8\xff\xe1" + length.to_bytes(2, "big") + parameters)


def _about(opened: Any, mode: str, orientation: int, upright: bool) -> dict[str, bytes]:
    """EXIF and ICC profile of an image that has been decoded, for a JPEG of `mode`."""
    from PIL import Image

    about = {key: opened.info[key] for key in ("exif", "icc_profile") if opened.info.get(key)}
    if orientation != 1 and (upright or _told_by(about.get("exif", b"")) != orientation):
        exif = opened.getexif() if "exif" in about else Image.Exif()
        if upright:
            exif.pop(_ORIENTATION, None)
        else:  # The image has it in another form: XMP, a text of a PNG, a number of 32 bits.
            exif[_ORIENTATION] = orientation
        about["exif"] = exif.tobytes() if len(exif) else b""
    if about.get("exif"):  # WebP has none of a JPEG segment's mark before it.
        about["exif"] = _EXIF_MARK + about["exif"].removeprefix(_EXIF_MARK)
    else:
        about.pop("exif", None)
    # A profile of another colour space is one that no reader of the source could apply.
    if about.get("icc_profile", b"")[16:20] != _ICC_SPACES[mode]:
        about.pop("icc_profile", None)
    return about
