"""MS-SSIM beside TensorFlow's."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pcr_tf.image import ms_ssim_to_last


def _centre(image: np.ndarray) -> tf.Tensor:
    height, width = image.shape[:2]
    side_y, side_x = min(height, 224), min(width, 224)
    top, left = (height - side_y) // 2, (width - side_x) // 2
    centre = image[None, top : top + side_y, left : left + side_x]
    return tf.image.rgb_to_grayscale(tf.cast(centre, tf.float32))


@pytest.mark.parametrize("size", [(176, 176), (224, 224), (301, 177), (189, 640)])
def test_similarity_is_that_of_tensorflow(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    clouds = np.cumsum(np.cumsum(rng.normal(size=(*size, 3)), axis=0), axis=1)
    clouds = 255 * (clouds - clouds.min()) / np.ptp(clouds)
    noise = rng.normal(size=clouds.shape)
    versions = [
        np.clip(clouds + strength * noise, 0, 255).astype(np.uint8)
        for strength in (60, 20, 5, 1, 0)
    ]
    versions.insert(0, 255 - versions[-1])  # Negative structure counts as none.
    expected = [
        float(tf.image.ssim_multiscale(_centre(version), _centre(versions[-1]), 255.0)[0])
        for version in versions[:-1]
    ]
    assert ms_ssim_to_last(versions) == pytest.approx(expected, abs=1e-5)


def test_an_image_is_like_itself_exactly() -> None:
    image = np.random.default_rng(3).integers(0, 256, (200, 300, 3), np.uint8)
    assert ms_ssim_to_last([image, tf.constant(image), image]) == [1.0, 1.0]


def test_too_small_an_image_has_no_similarity() -> None:
    image = np.zeros((175, 300, 3), np.uint8)
    assert ms_ssim_to_last([image, image]) is None
