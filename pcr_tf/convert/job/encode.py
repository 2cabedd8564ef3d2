"""The lossy policy: images that cannot be transcoded are encoded anew as JPEG."""

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
      frames: the number of frames or pages of the image; the first one was taken.
      turned: the EXIF orientation that was undone, 2 to 8; 1 if the image was not turned.
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
      positions: ordinals of the images to encode, counted across the features.
      quality: JPEG quality, 1 to 100. upright: see `encode_jpeg`.
      other_features: features that change with an image; see `Source.reencoded_features`.

    Returns:
      The example, and the images that were encoded, by their ordinals.
    """
    changed: dict[str, list[bytes]] = {}
    encoded = {}
    owners = [(feature, n) for feature, values in images.items() for n in range(len(values))]
    for position in positions:
        feature, number = owners[position]
        image = encode_jpeg(images[feature][number], quality, upright=upright)
        if image is not None:
            changed.setdefault(feature, list(images[feature]))[number] = image.jpeg
            encoded[position] = image
    if not changed:
        return example, {}
    return with_features(example, {**other_features, **changed}), encoded


def encode_jpeg(image: bytes, quality: int, *, upright: bool = False) -> EncodedImage | None:
    """An image of any format that Pillow reads, as a baseline JPEG. None if Pillow cannot read it,
    or a JPEG cannot hold it: samples of 32 bits have no defined range to scale from.

    Lossy. The first frame of an animation is taken; see `flattened` for transparency and for
    16 bits. EXIF, with the orientation, and the ICC profile are kept, so the pixels of a photograph
    in a wide colour space stay as they are. A PNG's gAMA and cHRM are ignored, as
    ``tf.io.decode_png`` ignores them.

    Args:
      upright: whether to turn the picture by its EXIF orientation, and to drop the orientation.
        Pillow turns a TIFF in either case.
    """
    from PIL import Image

    from pcr_tf.convert.job.flatten import flattened  # NumPy, which few conversions need

    out = io.BytesIO()
    try:
        with Image.open(io.BytesIO(image)) as opened:
            picture = flattened(opened, image)
            orientation = _orientation(opened)
            metadata = _metadata(opened, picture.mode, orientation, upright)
            frames = _frames(opened)
        if upright:
            picture = _turned(picture, orientation)
        # A side of a JPEG has 16 bits, and Pillow's writer refuses larger pictures.
        picture.save(out, "JPEG", quality=quality, **metadata)
    except Exception:  # Pillow's decoders raise anything: struct.error, SyntaxError, ...
        return None
    return EncodedImage(out.getvalue(), frames, orientation if upright else 1)


def _frames(opened: Any) -> int:
    # The other images of an MPO are views of the same scene, like a thumbnail.
    if opened.format in ("JPEG", "MPO"):
        return 1
    try:
        return int(getattr(opened, "n_frames", 1))
    except Exception:  # The file may be damaged after the first frame.
        return 1


def _orientation(opened: Any) -> int:
    """The EXIF orientation of a decoded image: some formats have EXIF at the end."""
    try:
        orientation = opened.getexif().get(_ORIENTATION, 1)
    except Exception:  # EXIF that cannot be parsed is copied as it is.
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


def _exif_orientation(exif: bytes) -> int:
    """The orientation that readers of a JPEG take from EXIF."""
    parameters = _EXIF_MARK + exif.removeprefix(_EXIF_MARK)
    length = len(parameters) + 2
    if length >= 1 << 16:
        return 1
    return _native.exif_orientation(b"\xff\xd8\xff\xe1" + length.to_bytes(2, "big") + parameters)


def _metadata(opened: Any, mode: str, orientation: int, upright: bool) -> dict[str, bytes]:
    """EXIF and ICC profile of a decoded image, for Pillow's writer of a JPEG of `mode`."""
    from PIL import Image

    metadata = {key: opened.info[key] for key in ("exif", "icc_profile") if opened.info.get(key)}
    if orientation != 1 and (
        upright or _exif_orientation(metadata.get("exif", b"")) != orientation
    ):
        exif = opened.getexif() if "exif" in metadata else Image.Exif()
        if upright:
            exif.pop(_ORIENTATION, None)
        else:  # The image states it in another form: XMP, a PNG text chunk, a 32-bit number.
            exif[_ORIENTATION] = orientation
        metadata["exif"] = exif.tobytes() if len(exif) else b""
    if metadata.get("exif"):  # WebP does not put a JPEG segment's mark before it.
        metadata["exif"] = _EXIF_MARK + metadata["exif"].removeprefix(_EXIF_MARK)
    else:
        metadata.pop("exif", None)
    # No reader of the source could apply a profile of another colour space.
    if metadata.get("icc_profile", b"")[16:20] != _ICC_SPACES[mode]:
        metadata.pop("icc_profile", None)
    return metadata
