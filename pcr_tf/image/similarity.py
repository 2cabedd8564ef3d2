"""How much of an image a fidelity keeps: multi-scale structural similarity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

# MS-SSIM's five scales, halving each time, must all hold its window of 11 pixels.
_SMALLEST_SIDE = 11 << 4
_LARGEST_SIDE = 224


# Weights of the scales, and constants of the index for samples of 0 to 255.
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_WINDOW, _SIGMA = 11, 1.5


def _window_matrix(side: Any) -> Any:
    """[side - 10, side]: multiplication by it weighs by the Gaussian window along one axis."""
    weights = tf.nn.softmax(-(((tf.range(_WINDOW, dtype=tf.float32) - 5.0) / _SIGMA) ** 2) / 2)
    shift = tf.range(side)[tf.newaxis] - tf.range(side - _WINDOW + 1)[:, tf.newaxis]
    inside = (shift >= 0) & (shift < _WINDOW)
    return tf.where(inside, tf.gather(weights, tf.clip_by_value(shift, 0, _WINDOW - 1)), 0.0)


def _halved(images: Any) -> Any:
    """Means of 2 x 2 samples; an odd last row or column is doubled first."""
    odd = tf.shape(images)[1:] % 2
    padded = tf.pad(images, [[0, 0], [0, odd[0]], [0, odd[1]]], "SYMMETRIC")
    return tf.nn.avg_pool2d(padded[..., tf.newaxis], 2, 2, "VALID")[..., 0]


@tf.function(
    input_signature=[tf.TensorSpec([None] * 3, tf.float32)] * 2  # two batches of luma
)
def _ms_ssim(versions: Any, references: Any) -> Any:
    # The window is separable, so products with band matrices do what a convolution of 11 x 11
    # does, about twenty times as fast on a processor.
    result = 1.0
    for scale, weight in enumerate(_WEIGHTS):
        if scale:
            versions, references = _halved(versions), _halved(references)
        rows, columns = _window_matrix(tf.shape(versions)[1]), _window_matrix(tf.shape(versions)[2])
        x, y, product, squares = (
            rows @ image @ tf.transpose(columns)
            for image in (versions, references, versions * references, versions**2 + references**2)
        )
        contrast = (2 * (product - x * y) + _C2) / (squares - (x**2 + y**2) + _C2)
        if scale == len(_WEIGHTS) - 1:
            contrast *= (2 * x * y + _C1) / (x**2 + y**2 + _C1)
        result *= tf.nn.relu(tf.reduce_mean(contrast, [1, 2])) ** weight
    return result


def compared_part(image: Any) -> Any:
    """The part of an image [height, width, channels] that `ms_ssim_to_last` compares: its centre,
    of at most 224 x 224 pixels.
    """
    height, width = image.shape[:2]
    side_y, side_x = min(height, _LARGEST_SIDE), min(width, _LARGEST_SIDE)
    top, left = (height - side_y) // 2, (width - side_x) // 2
    return image[top : top + side_y, left : left + side_x]


def ms_ssim_to_last(versions: Sequence[Any]) -> list[float] | None:
    """MS-SSIM of versions of one image to the last of them, on their luma.

    Args:
        versions: at least two, uint8 [height, width, 3] each, of one size. Of images with a side
            above 224 pixels the centre is compared, at its own scale.

    Returns:
        For each but the last, 0-1. None if they are too small for it: a side below 176 pixels.

    Example:
        >>> import numpy as np, tensorflow as tf
        >>> y, x = np.mgrid[0:192, 0:256].astype("float32")
        >>> waves = 127 + 100 * np.sin(x / 9) * np.cos(y / 7)
        >>> jpeg = tf.io.encode_jpeg(np.repeat(waves[..., None], 3, axis=2).astype("uint8"))
        >>> full = pcr_tf.image.decode_jpeg(jpeg, channels=3)
        >>> half, same = pcr_tf.image.ms_ssim_to_last([full // 2, full, full])
        >>> half < 0.95, same > 0.9999
        (True, True)

    Source: Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality
    assessment", 2003. The values are those of `tf.image.ssim_multiscale`.
    """
    height, width = versions[-1].shape[:2]
    if min(height, width) < _SMALLEST_SIDE:
        return None
    centres = tf.stack([compared_part(version) for version in versions])
    luma = tf.image.rgb_to_grayscale(tf.cast(centres, tf.float32))[..., 0]
    references = tf.repeat(luma[-1:], len(versions) - 1, axis=0)
    return [float(value) for value in _ms_ssim(luma[:-1], references)]
