"""How much of images a fidelity keeps: multi-scale structural similarity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

# MS-SSIM's five scales, halving each time, must all hold its window of 11 pixels.
COMPARED_SIDE = 11 << 4

# tf.image filters many channels in little more time than one, so images are its channels.
_IMAGES_AT_ONCE = 16


def compared_luma(image: Any) -> Any:
    """What `mean_ms_ssim` compares of an image: the luma of its middle, at its own scale.

    Args:
        image: uint8 [height, width, 3].

    Returns:
        float32 [176, 176], 0-255; None if a side of the image is shorter than that.
    """
    height, width = image.shape[:2]
    if min(height, width) < COMPARED_SIDE:
        return None
    top, left = (height - COMPARED_SIDE) // 2, (width - COMPARED_SIDE) // 2
    middle = image[top : top + COMPARED_SIDE, left : left + COMPARED_SIDE]
    return tf.image.rgb_to_grayscale(tf.cast(middle, tf.float32))[..., 0]


def mean_ms_ssim(images: Sequence[Sequence[Any]]) -> list[float]:
    """MS-SSIM of versions of images to the last version of each, mean over the images.

    Args:
        images: at least one; of each, as many versions, at least two: float32 [176, 176], 0-255, as
            `compared_luma` gives them.

    Returns:
        For each version but the last, 0-1.

    Example:
        >>> import numpy as np, tensorflow as tf
        >>> y, x = np.mgrid[0:192, 0:256].astype("float32")
        >>> waves = 127 + 100 * np.sin(x / 9) * np.cos(y / 7)
        >>> jpeg = tf.io.encode_jpeg(np.repeat(waves[..., None], 3, axis=2).astype("uint8"))
        >>> full = pcr_tf.image.decode_jpeg(jpeg, channels=3)
        >>> versions = [pcr_tf.image.compared_luma(image) for image in (full // 2, full, full)]
        >>> half, same = pcr_tf.image.mean_ms_ssim([versions])
        >>> half < 0.95, round(same, 4)
        (True, 1.0)

    Source: Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality
    assessment", 2003, as `tf.image.ssim_multiscale` computes it.
    """
    sums = tf.zeros([len(images[0]) - 1])
    for begin in range(0, len(images), _IMAGES_AT_ONCE):
        some = images[begin : begin + _IMAGES_AT_ONCE]
        stacked = tf.stack([tf.stack(versions) for versions in some], axis=-1)
        sums += len(some) * _ms_ssim(stacked[:-1], tf.repeat(stacked[-1:], len(sums), axis=0))
    return [float(value) / len(images) for value in sums]


@tf.function
def _ms_ssim(versions: Any, references: Any) -> Any:
    """[V] from two float32 [V, 176, 176, images]: tf.image takes the mean over channels."""
    return tf.image.ssim_multiscale(versions, references, 255.0)
