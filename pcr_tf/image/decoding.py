"""decode_jpeg, and the arguments that every decoding op has."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from pcr_tf._arguments import as_bool, in_range, one_of
from pcr_tf._op_library import load_op_library

MAX_PIXELS = 2**29
"""Default bound on the width x height of an image: 23,170 x 23,170."""

MAX_SCANS = 1000
"""Default bound on the number of scans of an image; a PCR data set has a few tens at most."""

_DCT_METHODS = ("islow", "ifast", "float")


@dataclasses.dataclass(frozen=True)
class DecodeOptions:
    """How pixels are made of coefficients, and which images are refused.

    Attributes are those of the ops. `checked` makes one of the arguments of a public function.
    """

    dct_method: str
    fancy_upsampling: bool
    block_smoothing: bool
    honor_orientation: bool
    max_pixels: int
    max_scans: int

    @staticmethod
    def checked(
        dct_method: str,
        fancy_upsampling: bool,
        block_smoothing: bool,
        honor_orientation: bool,
        max_pixels: int,
        max_scans: int,
    ) -> DecodeOptions:
        """Options of arguments that are within their ranges.

        Raises:
          ValueError: for one that is not.
          TypeError: for one of another type.
        """
        return DecodeOptions(
            dct_method=one_of("dct_method", dct_method, _DCT_METHODS),
            fancy_upsampling=as_bool("fancy_upsampling", fancy_upsampling),
            block_smoothing=as_bool("block_smoothing", block_smoothing),
            honor_orientation=as_bool("honor_orientation", honor_orientation),
            max_pixels=in_range("max_pixels", max_pixels, 1),
            max_scans=in_range("max_scans", max_scans, 1),
        )

    def attributes(self) -> dict[str, Any]:
        """Keyword arguments of an op."""
        return dataclasses.asdict(self)


def as_contents(contents: Any) -> tf.Tensor:
    """A scalar or vector of strings.

    Raises:
      TypeError: for other types.
      ValueError: for other shapes.
    """
    try:
        tensor = tf.convert_to_tensor(contents)
    except (TypeError, ValueError):
        raise TypeError(
            f"contents; expected bytes or a tensor of tf.string, got {type(contents).__name__}"
        ) from None
    if tensor.dtype != tf.string:
        raise TypeError(f"contents; expected tf.string, got {tensor.dtype.name}")
    if tensor.shape.rank is not None and tensor.shape.rank > 1:
        raise ValueError(f"contents; expected a scalar or a vector, got shape {tensor.shape}")
    return tensor


def decode_jpeg(
    contents: tf.Tensor,
    channels: int = 0,
    *,
    dct_method: str = "islow",
    fancy_upsampling: bool = True,
    block_smoothing: bool = True,
    honor_orientation: bool = False,
    max_pixels: int = MAX_PIXELS,
    max_scans: int = MAX_SCANS,
    name: str | None = None,
) -> tf.Tensor:
    """The pixels of a JPEG, or of a batch of JPEGs of one size.

    Takes what `tf.io.decode_jpeg` takes, and gives the pixels that it gives with
    `dct_method="INTEGER_ACCURATE"`: greyscale, CMYK, YCCK and RGB-coded images and every chroma
    sampling, at full fidelity or with the first scans only. Images of a batch are decoded in
    parallel.

    Example:
      >>> serialized = next(iter(pcr_tf.data.PcrDataset("photos.pcr", scan_groups=2)))
      >>> features = {"image/encoded": tf.io.FixedLenFeature((), tf.string)}
      >>> jpeg = tf.io.parse_single_example(serialized, features)["image/encoded"]
      >>> image = pcr_tf.image.decode_jpeg(jpeg)
      >>> image.shape, image.dtype
      (TensorShape([48, 64, 3]), tf.uint8)
      >>> pcr_tf.image.decode_jpeg([jpeg, jpeg], channels=1).shape
      TensorShape([2, 48, 64, 1])

      A photograph that was taken with the camera held upright, and is stored turned:

      >>> import io, PIL.Image
      >>> exif, out = PIL.Image.Exif(), io.BytesIO()
      >>> exif[0x0112] = 6
      >>> PIL.Image.fromarray(image.numpy()).save(out, "JPEG", exif=exif)
      >>> turned = out.getvalue()
      >>> pcr_tf.image.decode_jpeg(turned).shape
      TensorShape([48, 64, 3])
      >>> pcr_tf.image.decode_jpeg(turned, honor_orientation=True).shape
      TensorShape([64, 48, 3])

    Args:
      contents: `tf.string`, [] or [B]: JPEGs.
      channels: 1: greyscale; 3: RGB; 0: 1 for a greyscale image, else 3.
      dct_method: inverse DCT. "islow": accurate integers; "ifast": less accurate ones, what
        `tf.io.decode_jpeg` does by default, and no faster on a processor with AVX2; "float".
      fancy_upsampling: interpolate subsampled chroma instead of repeating it.
      block_smoothing: smooth over block borders where a progressive image lacks scans. It takes
        about as long as all else at one or two scan groups, gives hardly anything
        (docs/DECODING.md), and does nothing to complete images. True makes pixels equal those of
        `tf.io.decode_jpeg`; the ops that crop have False.
      honor_orientation: turn the image upright, as its EXIF orientation says. False gives the image
        as it is stored, like `tf.io.decode_jpeg`. Where an image has no valid orientation, or only
        one in XMP, both give the same (docs/DECODING.md).
      max_pixels: bound on width x height, judged before anything is decoded or allocated.
      max_scans: bound on the number of scans, likewise.
      name: a name for the operation.

    Returns:
      `tf.uint8`, [height, width, channels] or [B, height, width, channels]; 0 to 255. With
      `honor_orientation`, height and width are those of the upright image.

    Raises:
      ValueError: for arguments outside of their ranges.
      TypeError: for arguments of other types.
      tf.errors.InvalidArgumentError: for an image that does not decode, ends before its end or
        exceeds a limit, and for images of different sizes in a batch. The message names the image
        by its place in the batch, and the reason.
    """
    options = DecodeOptions.checked(
        dct_method, fancy_upsampling, block_smoothing, honor_orientation, max_pixels, max_scans
    )
    channels = one_of("channels", channels, (0, 1, 3))
    return load_op_library().pcr_decode_jpeg(
        contents=as_contents(contents), channels=channels, name=name, **options.attributes()
    )
