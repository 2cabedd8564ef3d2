"""How much of images a fidelity keeps: multi-scale structural similarity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# MS-SSIM's five scales, halving each time, must all hold its window of 11 pixels.
_SMALLEST_SIDE = 11 << 4
_LARGEST_SIDE = 224

# tf.image filters many channels in little more time than one, so images are its channels.
_IMAGES_AT_ONCE = 16
_VERSIONS_AT_ONCE = 8


def compared_part(image: Any) -> Any:
    """The middle of an image, at its own scale, which MS-SSIM is computed on.

    Args:
        image: [height, width, ...].

    Returns:
        [min(height, 224), min(width, 224), ...]; None if a side is shorter than 176, which MS-SSIM
        needs.
    """
    height, width = image.shape[:2]
    if min(height, width) < _SMALLEST_SIDE:
        return None
    side_y, side_x = min(height, _LARGEST_SIDE), min(width, _LARGEST_SIDE)
    top, left = (height - side_y) // 2, (width - side_x) // 2
    return image[top : top + side_y, left : left + side_x]


def compared_luma(image: Any) -> Any:
    """The luma of the compared part of an image.

    Args:
        image: uint8 [height, width, 3].

    Returns:
        float32 NumPy array, 0-255; None if the image is too small.
    """
    part = compared_part(image)
    if part is None:
        return None
    return tf.image.rgb_to_grayscale(tf.cast(part, tf.float32))[..., 0].numpy()


class MeanMsSsim:
    """MS-SSIM of versions of images to the last version of each, mean over the images.

    Example:
        >>> import numpy as np, tensorflow as tf
        >>> y, x = np.mgrid[0:192, 0:256].astype("float32")
        >>> waves = 127 + 100 * np.sin(x / 9) * np.cos(y / 7)
        >>> jpeg = tf.io.encode_jpeg(np.repeat(waves[..., None], 3, axis=2).astype("uint8"))
        >>> full = pcr_tf.image.decode_jpeg(jpeg, channels=3)
        >>> mean = pcr_tf.image.MeanMsSsim()
        >>> mean.add([pcr_tf.image.compared_luma(image) for image in (full // 2, full, full)])
        True
        >>> half, same = mean.result()
        >>> half < 0.95, round(same, 4)
        (True, 1.0)

    Source: Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality
    assessment", 2003, as `tf.image.ssim_multiscale` computes it.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, ...], list[Sequence[Any]]] = {}
        self._sums: Any = 0.0
        self._images = 0

    def add(self, versions: Sequence[Any]) -> bool:
        """Takes an image into the mean.

        Args:
            versions: of the image, two or more, as many as of the images before: one plane of each,
                [height, width], 0-255, as `compared_part` cuts them; or None, if it is too small.

        Returns:
            Whether it was taken: not if it is too small.
        """
        if versions[-1] is None:
            return False
        of_one_shape = self._waiting.setdefault(tuple(versions[-1].shape), [])
        of_one_shape.append(versions)
        if len(of_one_shape) == _IMAGES_AT_ONCE:
            self._compare(of_one_shape)
        return True

    def result(self) -> list[float] | None:
        """For each version but the last, 0-1; None where no image was taken."""
        for of_one_shape in self._waiting.values():
            if of_one_shape:
                self._compare(of_one_shape)
        return (self._sums / self._images).tolist() if self._images else None

    def _compare(self, images: list[Sequence[Any]]) -> None:
        """Adds up and forgets images of one shape."""
        reference = _as_channels([versions[-1] for versions in images])
        means = []
        for begin in range(0, len(images[0]) - 1, _VERSIONS_AT_ONCE):
            end = min(begin + _VERSIONS_AT_ONCE, len(images[0]) - 1)
            some = [_as_channels([versions[v] for versions in images]) for v in range(begin, end)]
            values = _ms_ssim(np.stack(some), np.stack([reference] * len(some))).numpy()
            means.append(np.minimum(values, 1.0))  # Of equal images it may be a little above.
        self._sums += len(images) * np.concatenate(means).astype(np.float64)
        self._images += len(images)
        images.clear()


def _as_channels(planes: Sequence[Any]) -> Any:
    return np.stack(planes, axis=-1).astype(np.float32)


@tf.function(input_signature=[tf.TensorSpec([None] * 4, tf.float32)] * 2)
def _ms_ssim(versions: Any, references: Any) -> Any:
    """[V] from [V, height, width, images]: tf.image takes the mean over channels."""
    return tf.image.ssim_multiscale(versions, references, 255.0)
