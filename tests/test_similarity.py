"""MS-SSIM: the values of TensorFlow's, in a fraction of its time."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pcr_tf.image import decode_jpeg, ms_ssim_to_last
from tests.small_dataset import draw_jpeg


def _versions(width: int, height: int) -> list[tf.Tensor]:
    """A photograph with more and more noise, last without."""
    full = decode_jpeg(draw_jpeg(1, width, height), channels=3)
    random = np.random.default_rng(0)
    noise = random.normal(0, 1, full.shape)
    noisy = [np.clip(full + deviation * noise, 0, 255) for deviation in (80, 20, 5)]
    return [*(tf.constant(image, tf.uint8) for image in noisy), full]


@pytest.mark.parametrize(("width", "height"), [(224, 224), (176, 176), (177, 201), (223, 190)])
def test_ms_ssim_is_that_of_tensorflow(width: int, height: int) -> None:
    versions = _versions(width, height)
    luma = tf.image.rgb_to_grayscale(tf.cast(tf.stack(versions), tf.float32))
    wanted = tf.image.ssim_multiscale(luma[:-1], tf.repeat(luma[-1:], 3, axis=0), 255.0)
    got = ms_ssim_to_last(versions)
    assert got is not None
    assert got == pytest.approx(wanted.numpy().tolist(), abs=1e-4)
    assert got[0] < got[1] < got[2] < 1


def test_the_centre_of_a_large_image_is_compared() -> None:
    versions = _versions(300, 260)
    centres = [version[18:242, 38:262] for version in versions]
    assert ms_ssim_to_last(versions) == ms_ssim_to_last(centres)


def test_an_image_that_is_too_small_has_no_ms_ssim() -> None:
    assert ms_ssim_to_last(_versions(300, 175)) is None
