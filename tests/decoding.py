"""JPEGs of many kinds, TensorFlow's own pixels of them, and the windows that crops show."""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from pcr_tf import _native
from pcr_tf.format.scan_scripts import load_scan_script
from pcr_tf.image import (
    decode_and_random_crop_resize,
)
from tests.conversion import resampled


def encode(pixels: np.ndarray, mode: str | None = None, **options: Any) -> bytes:
    """A JPEG by Pillow."""
    out = io.BytesIO()
    Image.fromarray(pixels, mode).save(out, "JPEG", **{"quality": 90, **options})
    return out.getvalue()


def textured(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Waves and noise: something for every frequency."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (4 + c) + seed) + np.cos(y / (6 + c)) for c in range(channels)]
    pixels = 128 + 45 * np.stack(waves, axis=-1) + random.normal(0, 10, (height, width, channels))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def prefix(jpeg: bytes, scans: int) -> bytes:
    """The progressive form of a JPEG by the standard script, with its first scans only."""
    coded = _native.transcode(jpeg, _native.ScanScript(load_scan_script("standard")))
    assert coded.coding == "progressive", coded.detail
    return coded.scans[: sum(coded.group_sizes[:scans])] + b"\xff\xd9"


def oracle(jpeg: bytes, channels: int = 0, **options: Any) -> np.ndarray:
    return tf.io.decode_jpeg(
        jpeg, channels, **{"dct_method": "INTEGER_ACCURATE", **options}
    ).numpy()


def in_tf_data(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of tensors gives inside of tf.data."""
    dataset = tf.data.Dataset.from_tensors(arguments).map(function, num_parallel_calls=2)
    return next(iter(dataset))


JPEGS = {
    "baseline 4:4:4": encode(textured(61, 83), subsampling=0),
    "baseline 4:2:2": encode(textured(61, 83), subsampling=1),
    "baseline 4:2:0": encode(textured(61, 83), subsampling=2),
    "4:4:0": resampled(encode(textured(61, 83), subsampling=1), 0x12, 125, 47),
    "4:1:1": resampled(encode(textured(61, 83), subsampling=2), 0x41, 31, 190),
    "progressive": encode(textured(61, 83), progressive=True),
    "restart intervals": encode(textured(61, 83), restart_marker_blocks=3),
    "greyscale": encode(textured(61, 83, 1)[..., 0]),
    "CMYK": encode(textured(61, 83, 4), "CMYK"),
    "RGB-coded": encode(textured(61, 83), keep_rgb=True),
    "one pixel": encode(textured(1, 1)),
    "one row": encode(textured(1, 40)),
}


# The window of a crop, as a black box: a gradient tells where each output pixel comes from.


@dataclasses.dataclass(frozen=True)
class Window:
    """A crop in pixels, and whether it was flipped."""

    x: int
    y: int
    width: int
    height: int
    flipped: bool


@functools.cache
def gradient_jpeg(height: int, width: int, axis: int) -> bytes:
    """Greyscale, growing from top to bottom (axis 0) or from left to right (axis 1)."""
    length = (height, width)[axis]
    ramp = np.rint(np.linspace(16, 240, length)).astype(np.uint8)
    pixels = np.broadcast_to(np.expand_dims(ramp, 1 - axis), (height, width))
    return encode(np.ascontiguousarray(pixels), quality=100)


def resampled_line(line: np.ndarray, begin: int, length: int, size: int) -> np.ndarray:
    """A part of a line, resized bilinearly with pixel centres at half-integers."""
    places = (np.arange(size) + 0.5) * length / size - 0.5
    return np.interp(places, np.arange(length), line[begin : begin + length])


def part_of(values: np.ndarray, line: np.ndarray) -> tuple[int, int]:
    """Which part of a growing line was resized to values: its begin and length."""
    inner = np.interp(values[4:-4], np.linspace(16, 240, len(line)), np.arange(len(line)) + 0.5)
    slope, offset = np.polyfit(np.arange(4, len(values) - 4) + 0.5, inner, 1)
    begin, length = round(offset), round(slope * len(values))
    closest = np.inf
    for radius in (1, 4):
        for candidate in itertools.product(
            range(max(0, begin - radius), begin + radius + 1),
            range(max(1, length - radius), length + radius + 1),
        ):
            if sum(candidate) <= len(line):
                error = np.abs(resampled_line(line, *candidate, len(values)) - values).max()
                if error < 0.02:
                    return candidate
                closest = min(closest, error)
    raise AssertionError(f"no window gives these pixels; the closest is {closest} off")


def random_windows(height: int, width: int, seeds: np.ndarray, **options: Any) -> list[Window]:
    """The windows that crops of images of a size show, by seed."""
    crops_by_axis, lines = [], []
    for axis in (0, 1):
        jpeg = gradient_jpeg(height, width, axis)
        crops = decode_and_random_crop_resize(
            tf.repeat(jpeg, len(seeds)),
            (64, 96),
            seeds,
            channels=1,
            dtype=tf.float32,
            dct_scaling=False,
            **options,
        )
        crops_by_axis.append(crops.numpy()[..., 0])
        lines.append(oracle(jpeg).astype(float)[..., 0].take(0, axis=1 - axis))
    windows = []
    for down, across in zip(*crops_by_axis, strict=True):
        row = across[0]
        flipped = row[-1] < row[0]
        y, window_height = part_of(down[:, 0], lines[0])
        x, window_width = part_of(row[::-1] if flipped else row, lines[1])
        windows.append(Window(x, y, window_width, window_height, bool(flipped)))
    return windows


def photographs(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "imagenet-sample").rglob("*.JPEG"))]
