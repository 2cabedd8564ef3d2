"""MS-SSIM of versions of images: the means of TensorFlow's values."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pcr_tf.image import MeanMsSsim, compared_luma, decode_jpeg
from tests.small_dataset import draw_jpeg


def _versions(number: int, width: int, height: int) -> list[tf.Tensor]:
    """A photograph with less and less noise, last without."""
    full = decode_jpeg(draw_jpeg(number, width, height), channels=3)
    noise = np.random.default_rng(number).normal(0, 1, full.shape)
    noisy = [np.clip(full + deviation * noise, 0, 255) for deviation in (80, 20, 5)]
    return [*(tf.constant(image, tf.uint8) for image in noisy), full]


def test_ms_ssim_of_many_images_is_the_mean_of_what_tensorflow_says_of_each() -> None:
    images = [
        [compared_luma(version) for version in _versions(number, 177 + number, 176 + 2 * number)]
        for number in range(7)
        for _ in range(3)
    ]
    of_each = []
    for versions in images:
        luma = tf.stack(versions)[..., tf.newaxis]
        references = tf.repeat(luma[-1:], 3, axis=0)
        of_each.append(tf.image.ssim_multiscale(luma[:-1], references, 255.0).numpy())
    mean = MeanMsSsim()
    assert all(mean.add(versions) for versions in images)
    got = mean.result()
    assert got is not None
    assert got == pytest.approx(np.mean(of_each, axis=0).tolist(), abs=1e-5)
    assert got[0] < got[1] < got[2] < 1


def test_the_middle_of_an_image_is_compared_at_its_own_scale() -> None:
    image = _versions(1, 300, 260)[-1]
    luma = compared_luma(image)
    assert luma.shape == (224, 224)
    np.testing.assert_array_equal(luma, compared_luma(image[18:242, 38:262]))


def test_an_image_that_is_too_small_has_nothing_to_compare() -> None:
    assert compared_luma(_versions(1, 300, 175)[-1]) is None
    mean = MeanMsSsim()
    assert not mean.add([None, None])
    assert mean.result() is None
