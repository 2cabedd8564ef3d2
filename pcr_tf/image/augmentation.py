"""Crop, resize, flip and normalise while decoding: the fused op, for training and evaluation."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from pcr_tf._arguments import as_bool, as_floats, as_fraction, in_range, one_of
from pcr_tf._op_library import load_op_library
from pcr_tf.image.decoding import MAX_PIXELS, MAX_SCANS, DecodeOptions, as_contents

_MAX_SIDE = 1 << 14
_MAX_ATTEMPTS = 1_000_000
_MAX_ASPECT_RATIO = 1e4
_DTYPES = (tf.uint8, tf.float32, tf.bfloat16)


def decode_and_random_crop_resize(
    contents: tf.Tensor,
    size: int | Sequence[int],
    seed: Sequence[int] | tf.Tensor,
    *,
    area_range: Sequence[float] = (0.08, 1.0),
    aspect_ratio_range: Sequence[float] = (3 / 4, 4 / 3),
    max_attempts: int = 100,
    flip_probability: float = 0.5,
    channels: int = 3,
    mean: Sequence[float] | None = None,
    stddev: Sequence[float] | None = None,
    dtype: Any = tf.uint8,
    antialias: bool = False,
    dct_scaling: bool = True,
    dct_method: str = "islow",
    fancy_upsampling: bool = True,
    block_smoothing: bool = False,
    honor_orientation: bool = False,
    max_pixels: int = MAX_PIXELS,
    max_scans: int = MAX_SCANS,
    on_error: str = "raise",
    names: tf.Tensor | None = None,
    name: str | None = None,
) -> Any:
    """A random crop of each JPEG, resized, perhaps flipped, perhaps normalised, in one pass.

    The windows have the distribution of `tf.image.sample_distorted_bounding_box` with a box of the
    whole image. Only the rows and columns that a window needs are decoded, and where a window is at
    least twice the output, the image is decoded at a half, a quarter or an eighth of its size.

    The seed alone decides on window and flip: an image has the same pixels for the same seed in
    any batch, at any parallelism and in any process.

    Example:
      >>> serialized = next(iter(pcr_tf.data.PcrDataset("photos.pcr", scan_groups=2)))
      >>> features = {"image/encoded": tf.io.FixedLenFeature((), tf.string)}
      >>> jpeg = tf.io.parse_single_example(serialized, features)["image/encoded"]
      >>> image = pcr_tf.image.decode_and_random_crop_resize(jpeg, 32, seed=(7, 0))
      >>> image.shape, image.dtype
      (TensorShape([32, 32, 3]), tf.uint8)
      >>> images = pcr_tf.image.decode_and_random_crop_resize(
      ...     [jpeg, jpeg], (24, 32), seed=[(7, 0), (7, 1)], dtype=tf.float32,
      ...     mean=(123.7, 116.3, 103.5), stddev=(58.4, 57.1, 57.4))
      >>> images.shape
      TensorShape([2, 24, 32, 3])

    Args:
      contents: `tf.string`, [] or [B]: JPEGs, full or prefixes of their scans.
      size: of the output in pixels: a side, or (height, width); 1 to 16,384.
      seed: integers, [2] or [B, 2]: for each image what its window and flip are drawn from.
        `tf.random.experimental.stateless_split(seed, B)` makes B of one.
      area_range: least and largest area of a window, as shares of the image's; above 0, at most 1.
      aspect_ratio_range: least and largest width / height of a window, 0.0001 to 10,000.
      max_attempts: draws after which, where no window of these ranges fits, the whole image is
        taken; 1 to 1,000,000.
      flip_probability: of a flip left to right, 0 to 1.
      channels: 3: RGB; 1: greyscale.
      mean: for each channel on the scale 0 to 255: the output is (pixel - mean) / stddev. None: 0.
        Numbers for pixels of 0 to 1, such as (0.485, 0.456, 0.406), warn: multiply them by 255.
      stddev: for each channel, above 0, on the same scale. None: 1.
      dtype: `tf.uint8` (rounded, and not to be normalised), `tf.float32` or `tf.bfloat16`. Without
        mean and stddev all of them are on the scale 0 to 255.
      antialias: as in `tf.image.resize`, which this equals with method "bilinear": pixel centres
        are at half-integers.
      dct_scaling: False decodes at full size always, so that the result is that of decoding,
        slicing and `tf.image.resize`. True is faster for large windows, and less aliased where
        `antialias` is False.
      dct_method: as in `decode_jpeg`.
      fancy_upsampling: as in `decode_jpeg`.
      block_smoothing: as in `decode_jpeg`, whose default is True: there pixels equal those of
        `tf.io.decode_jpeg`. Here it is False: at low fidelities smoothing takes as long as all
        else, and what it brings to a picture is hardly to be measured (docs/DECODING.md).
      honor_orientation: turn the image upright, as its EXIF orientation says, before all else: the
        window and the flip are those of the upright image. False, the default, takes the image as
        it is stored (docs/DECODING.md).
      max_pixels: as in `decode_jpeg`.
      max_scans: as in `decode_jpeg`.
      on_error: "raise": an image that does not decode raises; "mark": it is counted
        (`decode_errors`), its pixels are 0, and its place in `decoded` is False.
      names: `tf.string` of the shape of contents: what messages call the images, such as the `name`
        of `PcrDataset(provenance=True)`. The log names the first ten broken ones that are marked.
      name: a name for the operation.

    Returns:
      The images, of `dtype`, [height, width, channels] or [B, height, width, channels]. With
      `on_error="mark"`, the pair (images, decoded), where decoded is `tf.bool`, [] or [B].

    Raises:
      ValueError: for arguments outside of their ranges, or a seed of another shape.
      TypeError: for arguments of other types.
      tf.errors.InvalidArgumentError: for an image that does not decode, as in `decode_jpeg`.
    """
    tensor = as_contents(contents)
    window: dict[str, Any] = {
        "area_range": _as_text(_ordered("area_range", area_range, 1e-9, 1.0)),
        "aspect_ratio_range": _as_text(
            _ordered(
                "aspect_ratio_range", aspect_ratio_range, 1 / _MAX_ASPECT_RATIO, _MAX_ASPECT_RATIO
            )
        ),
        "max_attempts": in_range("max_attempts", max_attempts, 1, _MAX_ATTEMPTS),
        "flip_probability": repr(as_fraction("flip_probability", flip_probability, zero=True)),
    }
    output = _OutputOptions.checked(
        size, channels, mean, stddev, dtype, antialias, dct_scaling, on_error
    )
    decode = DecodeOptions.checked(
        dct_method, fancy_upsampling, block_smoothing, honor_orientation, max_pixels, max_scans
    )
    return _decode_crop_resize(
        tensor, _as_seeds(seed, tensor.shape), names, "random", window, output, decode, name
    )


def decode_and_center_crop_resize(
    contents: tf.Tensor,
    size: int | Sequence[int],
    *,
    crop_fraction: float = 0.875,
    channels: int = 3,
    mean: Sequence[float] | None = None,
    stddev: Sequence[float] | None = None,
    dtype: Any = tf.uint8,
    antialias: bool = False,
    dct_scaling: bool = True,
    dct_method: str = "islow",
    fancy_upsampling: bool = True,
    block_smoothing: bool = False,
    honor_orientation: bool = False,
    max_pixels: int = MAX_PIXELS,
    max_scans: int = MAX_SCANS,
    on_error: str = "raise",
    names: tf.Tensor | None = None,
    name: str | None = None,
) -> Any:
    """The middle of each JPEG, resized and perhaps normalised, in one pass: for evaluation.

    The window is the largest one of the output's aspect ratio, times `crop_fraction`, in the middle
    of the image: for a square output, `crop_fraction` of the shorter side.

    Example:
      >>> serialized = next(iter(pcr_tf.data.PcrDataset("photos.pcr")))
      >>> features = {"image/encoded": tf.io.FixedLenFeature((), tf.string)}
      >>> jpeg = tf.io.parse_single_example(serialized, features)["image/encoded"]
      >>> pcr_tf.image.decode_and_center_crop_resize(jpeg, 32, dtype=tf.bfloat16).shape
      TensorShape([32, 32, 3])
      >>> images, decoded = pcr_tf.image.decode_and_center_crop_resize(
      ...     [jpeg, b"no JPEG"], 32, on_error="mark")
      >>> decoded.numpy().tolist(), int(tf.reduce_sum(tf.cast(images[1], tf.int32)))
      ([True, False], 0)

    Args:
      contents: `tf.string`, [] or [B]: JPEGs, full or prefixes of their scans.
      size: of the output in pixels: a side, or (height, width); 1 to 16,384.
      crop_fraction: above 0, at most 1.
      channels: as in `decode_and_random_crop_resize`, like all that follow.
      mean: for each channel on the scale 0 to 255.
      stddev: for each channel, above 0.
      dtype: `tf.uint8`, `tf.float32` or `tf.bfloat16`.
      antialias: as in `tf.image.resize`.
      dct_scaling: decode large images at a half, a quarter or an eighth of their size.
      dct_method: as in `decode_jpeg`.
      fancy_upsampling: as in `decode_jpeg`.
      block_smoothing: as in `decode_jpeg`, whose default is True: there pixels equal those of
        `tf.io.decode_jpeg`. Here it is False: at low fidelities smoothing takes as long as all
        else, and what it brings to a picture is hardly to be measured (docs/DECODING.md).
      honor_orientation: as in `decode_and_random_crop_resize`.
      max_pixels: as in `decode_jpeg`.
      max_scans: as in `decode_jpeg`.
      on_error: "raise" or "mark".
      names: what messages call the images.
      name: a name for the operation.

    Returns:
      The images, of `dtype`, [height, width, channels] or [B, height, width, channels]. With
      `on_error="mark"`, the pair (images, decoded), where decoded is `tf.bool`, [] or [B].

    Raises:
      ValueError: for arguments outside of their ranges.
      TypeError: for arguments of other types.
      tf.errors.InvalidArgumentError: for an image that does not decode, as in `decode_jpeg`.
    """
    tensor = as_contents(contents)
    window = {"crop_fraction": repr(as_fraction("crop_fraction", crop_fraction, zero=False))}
    output = _OutputOptions.checked(
        size, channels, mean, stddev, dtype, antialias, dct_scaling, on_error
    )
    decode = DecodeOptions.checked(
        dct_method, fancy_upsampling, block_smoothing, honor_orientation, max_pixels, max_scans
    )
    any_seed = tf.constant([0, 0], tf.int64)
    return _decode_crop_resize(tensor, any_seed, names, "center", window, output, decode, name)


def decode_errors() -> int:
    """How many broken images `on_error="mark"`, or `"skip"` of a pipeline, has met so far.

    Counted over the whole process, and there under the name /pcr_tf/decode_errors for TensorFlow's
    monitoring too. An image is counted each time it is decoded.

    Example:
      >>> before = pcr_tf.image.decode_errors()
      >>> _ = pcr_tf.image.decode_and_center_crop_resize(b"no JPEG", 32, on_error="mark")
      >>> pcr_tf.image.decode_errors() - before
      1
    """
    with tf.init_scope():
        return int(load_op_library().pcr_decode_errors())


@dataclasses.dataclass(frozen=True)
class _OutputOptions:
    """What an output looks like, and what becomes of broken images."""

    size: tuple[int, int]
    channels: int
    mean: list[float]
    stddev: list[float]
    T: Any
    antialias: bool
    dct_scaling: bool
    on_error: str

    @staticmethod
    def checked(
        size: int | Sequence[int],
        channels: int,
        mean: Sequence[float] | None,
        stddev: Sequence[float] | None,
        dtype: Any,
        antialias: bool,
        dct_scaling: bool,
        on_error: str,
    ) -> _OutputOptions:
        channels = one_of("channels", channels, (1, 3))
        dtype = _as_dtype(dtype)
        means = [0.0] * channels if mean is None else as_floats("mean", mean, [channels])
        stddevs = [1.0] * channels if stddev is None else as_floats("stddev", stddev, [channels])
        if min(stddevs) <= 0:
            raise ValueError(f"stddev; expected numbers above 0, got {stddev!r}")
        if mean is None and stddev is None:
            means, stddevs = [], []
        elif dtype == tf.uint8:
            raise ValueError(
                "dtype; expected tf.float32 or tf.bfloat16 with mean or stddev, got tf.uint8"
            )
        # What libraries with pixels of 0 to 1 write down: (0.485, 0.456, 0.406).
        if (stddev is not None and max(stddevs) < 1) or 0 < max(means, default=0) <= 1:
            warnings.warn(
                "mean and stddev; expected numbers on the scale of the pixels, 0 to 255, got "
                f"mean={mean!r}, stddev={stddev!r}; multiply those of pixels of 0 to 1 by 255",
                stacklevel=4,
            )
        return _OutputOptions(
            size=_as_size(size),
            channels=channels,
            mean=means,
            stddev=stddevs,
            T=dtype,
            antialias=as_bool("antialias", antialias),
            dct_scaling=as_bool("dct_scaling", dct_scaling),
            on_error=one_of("on_error", on_error, ("raise", "mark")),
        )

    def attributes(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**values, "mean": _as_text(self.mean), "stddev": _as_text(self.stddev)}


def _decode_crop_resize(
    contents: tf.Tensor,
    seed: tf.Tensor,
    names: tf.Tensor | None,
    mode: str,
    window: dict[str, Any],
    output: _OutputOptions,
    decode: DecodeOptions,
    name: str | None,
) -> Any:
    crops = load_op_library().pcr_decode_crop_resize(
        contents=contents,
        seed=seed,
        names=_as_names(names, contents.shape),
        mode=mode,
        name=name,
        **window,
        **output.attributes(),
        **decode.attributes(),
    )
    return (crops.image, crops.decoded) if output.on_error == "mark" else crops.image


def _as_names(names: tf.Tensor | None, contents_shape: tf.TensorShape) -> tf.Tensor:
    """`tf.string` of the contents' shape, or without values."""
    if names is None:
        return tf.constant([], tf.string)
    try:
        tensor = tf.convert_to_tensor(names, tf.string)
    except (TypeError, ValueError):
        raise TypeError(f"names; expected tf.string, got {names!r}") from None
    if not tensor.shape.is_compatible_with(contents_shape):
        raise ValueError(f"shape of names; expected {contents_shape}, got {tensor.shape}")
    return tensor


def _as_size(size: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) of a side or of both.

    Raises:
      TypeError: for what is no integer and no sequence.
      ValueError: for another number of them, or sides outside of 1 to 16,384.
    """
    if isinstance(size, (str, bytes)) or not isinstance(size, Iterable):
        side = in_range("size", size, 1, _MAX_SIDE)
        return side, side
    sides = [in_range("size", side, 1, _MAX_SIDE) for side in size]
    if len(sides) != 2:
        raise ValueError(f"size; expected a side or (height, width), got {size!r}")
    return sides[0], sides[1]


def _as_dtype(dtype: Any) -> Any:
    try:
        known = tf.as_dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype; expected a type of TensorFlow, got {dtype!r}") from None
    if known not in _DTYPES:
        names = "tf.uint8, tf.float32 or tf.bfloat16"
        raise ValueError(f"dtype; expected {names}, got tf.{known.name}")
    return known


def _as_text(numbers: Iterable[float]) -> list[str]:
    """The numbers as attributes of the op hold them: in full, as no float attribute could."""
    return [repr(number) for number in numbers]


def _ordered(name: str, values: Sequence[float], low: float, high: float) -> list[float]:
    """Two numbers in ascending order, both within low and high."""
    first, last = as_floats(name, values, [2])
    if not low <= first <= last <= high:
        limits = f"two numbers in ascending order, {low:g} to {high:g}"
        raise ValueError(f"{name}; expected {limits}, got {values!r}")
    return [first, last]


def _as_seeds(seed: Sequence[int] | tf.Tensor, contents_shape: tf.TensorShape) -> tf.Tensor:
    """int64 of the contents' shape + [2]."""
    try:
        tensor = tf.convert_to_tensor(seed, None if tf.is_tensor(seed) else tf.int64)
    except (TypeError, ValueError):
        raise TypeError(f"seed; expected integers, got {seed!r}") from None
    if not tensor.dtype.is_integer:
        raise TypeError(f"seed; expected integers, got {tensor.dtype.name}")
    expected = contents_shape.concatenate([2])
    if not tensor.shape.is_compatible_with(expected):
        raise ValueError(f"shape of seed; expected {expected}, got {tensor.shape}")
    return tf.cast(tensor, tf.int64)
