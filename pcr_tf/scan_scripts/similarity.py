"""MS-SSIM of many versions of one image, a state of a search each.

`tf.image.ssim_multiscale` has the same values and takes some 30 times as long for such: it does not
use that its window is separable, and a search compares some 1,200 versions of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# MS-SSIM's five scales, halving each time, must all hold its window of 11 pixels.
_SMALLEST_SIDE = 11 << 4
_LARGEST_SIDE = 224

_LUMA_OF_RGB = np.array([0.2989, 0.5870, 0.1140], np.float32)  # as tf.image.rgb_to_grayscale
_SCALE_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
# One half of the Gaussian window of 11 pixels, deviation 1.5, and its middle.
_HALF_WINDOW = np.exp(-((np.arange(-5, 1) / 1.5) ** 2) / 2)
_HALF_WINDOW = (_HALF_WINDOW / (2 * _HALF_WINDOW.sum() - 1)).astype(np.float32)


def ms_ssim_to_last(versions: Sequence[Any]) -> list[float] | None:
    """MS-SSIM of versions of one image to the last of them, on their luma.

    Args:
        versions: at least two, uint8 [height, width, 3] each, of one size. Of images with a side
            above 224 pixels the centre is compared, at its own scale.

    Returns:
        For each but the last, 0-1. None if they are too small for it: a side below 176 pixels.

    Example:
        >>> y, x = np.mgrid[0:192, 0:256].astype("float32")
        >>> waves = 127 + 100 * np.sin(x / 9) * np.cos(y / 7)
        >>> full = np.repeat(waves[..., None], 3, axis=2).astype("uint8")
        >>> half, same = ms_ssim_to_last([full // 2, full, full])
        >>> half < 0.95, same == 1.0
        (True, True)

    Source: Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality
    assessment", 2003.
    """
    height, width = versions[-1].shape[:2]
    if min(height, width) < _SMALLEST_SIDE:
        return None
    side_y, side_x = min(height, _LARGEST_SIDE), min(width, _LARGEST_SIDE)
    top, left = (height - side_y) // 2, (width - side_x) // 2
    centres = [np.asarray(one[top : top + side_y, left : left + side_x]) for one in versions]
    *lumas, reference = [centre.astype(np.float32) @ _LUMA_OF_RGB for centre in centres]
    pyramid = _pyramid(reference)
    blurred = [_blur(scale) for scale in pyramid]
    return [_ms_ssim(_pyramid(luma), pyramid, blurred) for luma in lumas]


def _pyramid(plane: Any) -> list[Any]:
    """A plane, float32 [height, width], at five scales; an odd last row or column counts twice."""
    scales = [plane]
    while len(scales) < len(_SCALE_EXPONENTS):
        plane = scales[-1]
        plane = np.pad(plane, [(0, side % 2) for side in plane.shape], mode="symmetric")
        rows = plane[0::2] + plane[1::2]
        scales.append((rows[:, 0::2] + rows[:, 1::2]) * np.float32(0.25))
    return scales


def _blur(plane: Any) -> Any:
    """Weighted means over the windows that lie in a plane: [height - 10, width - 10]."""
    for axis in (0, 1):
        lines = np.moveaxis(plane, axis, 0)
        valid = len(lines) - 10
        total = lines[5 : 5 + valid] * _HALF_WINDOW[5]
        for k in range(5):
            total += (lines[k : k + valid] + lines[10 - k : 10 - k + valid]) * _HALF_WINDOW[k]
        plane = np.moveaxis(total, 0, axis)
    return plane


def _ms_ssim(versions: list[Any], references: list[Any], blurred: list[Any]) -> float:
    """MS-SSIM of planes at five scales; `blurred` are the references'."""
    product = 1.0
    scales = zip(versions, references, blurred, _SCALE_EXPONENTS, strict=True)
    for scale, (version, reference, mean_reference, exponent) in enumerate(scales):
        mean = _blur(version)
        means, squares = 2 * mean * mean_reference, mean**2 + mean_reference**2
        structure = 2 * _blur(version * reference) - means + _C2
        structure /= _blur(version**2 + reference**2) - squares + _C2
        if scale == len(_SCALE_EXPONENTS) - 1:
            structure *= (means + _C1) / (squares + _C1)
        product *= max(float(structure.mean(dtype=np.float64)), 0.0) ** exponent
    return product
