"""How much of an image a fidelity keeps: multi-scale structural similarity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

# MS-SSIM's five scales, halving each time, must all hold its window of 11 pixels.
_SMALLEST_SIDE = 11 << 4
_LARGEST_SIDE = 224


@tf.function(
    input_signature=[tf.TensorSpec([None] * 3 + [1], tf.float32)] * 2  # two batches of luma
)
def _ms_ssim(versions: Any, references: Any) -> Any:
    return tf.image.ssim_multiscale(versions, references, 255.0)


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
        >>> half < 0.95, same == 1.0
        (True, True)

    Source: Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality
    assessment", 2003, as `tf.image.ssim_multiscale` computes it.
    """
    height, width = versions[-1].shape[:2]
    if min(height, width) < _SMALLEST_SIDE:
        return None
    side_y, side_x = min(height, _LARGEST_SIDE), min(width, _LARGEST_SIDE)
    top, left = (height - side_y) // 2, (width - side_x) // 2
    centres = tf.stack([one[top : top + side_y, left : left + side_x] for one in versions])
    luma = tf.image.rgb_to_grayscale(tf.cast(centres, tf.float32))
    references = tf.repeat(luma[-1:], len(versions) - 1, axis=0)
    return [float(value) for value in _ms_ssim(luma[:-1], references)]
