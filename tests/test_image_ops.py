"""The ops on images, each held to plain TensorFlow, eagerly and inside tf.data."""

from __future__ import annotations

import functools
import inspect
import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tensorflow as tf

from pcr_tf import _native, _op_signatures
from pcr_tf._op_library import load_op_library
from pcr_tf.format.scan_scripts import load_scan_script
from pcr_tf.image import (
    decode_and_center_crop_resize,
    decode_and_random_crop_resize,
    decode_errors,
    decode_jpeg,
)
from tests.decoding import (
    JPEGS,
    Window,
    encode,
    gradient_jpeg,
    in_tf_data,
    oracle,
    photographs,
    prefix,
    random_windows,
    resampled_line,
    textured,
)
from tests.small_dataset import draw_jpeg

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STDDEV = (58.395, 57.12, 57.375)


# decode_jpeg


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("channels", [0, 1, 3])
def test_pixels_equal_those_of_tensorflow(kind: str, channels: int) -> None:
    jpeg = JPEGS[kind]
    decode = functools.partial(decode_jpeg, channels=channels)
    try:
        expected = oracle(jpeg, channels)
    except tf.errors.InvalidArgumentError:
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode(jpeg)
        return
    np.testing.assert_array_equal(decode(jpeg), expected)
    np.testing.assert_array_equal(in_tf_data(decode, jpeg), expected)


@pytest.mark.parametrize("dct_method", ["islow", "ifast"])
@pytest.mark.parametrize("fancy_upsampling", [True, False])
def test_the_dct_method_and_upsampling_are_those_of_tensorflow(
    dct_method: str, fancy_upsampling: bool
) -> None:
    jpeg = JPEGS["baseline 4:2:0"]
    image = decode_jpeg(jpeg, dct_method=dct_method, fancy_upsampling=fancy_upsampling)
    expected = oracle(
        jpeg,
        dct_method={"islow": "INTEGER_ACCURATE", "ifast": "INTEGER_FAST"}[dct_method],
        fancy_upscaling=fancy_upsampling,
    )
    np.testing.assert_array_equal(image, expected)


def test_the_floating_point_dct_is_within_one_level_of_the_accurate_one() -> None:
    jpeg = JPEGS["baseline 4:4:4"]
    image = decode_jpeg(jpeg, dct_method="float").numpy().astype(int)
    assert np.abs(image - oracle(jpeg)).max() <= 2
    assert np.abs(image - oracle(jpeg)).mean() < 0.1


@pytest.mark.parametrize("kind", ["baseline 4:4:4", "baseline 4:2:0", "greyscale"])
@pytest.mark.parametrize("scans", range(1, 11))
def test_pixels_at_each_fidelity_equal_those_of_tensorflow(kind: str, scans: int) -> None:
    # Both smooth, but by rules that are the decoder's version's: those of TensorFlow's libjpeg
    # may differ in the components that lack scans, so that equality is asked of complete ones.
    jpeg = prefix(JPEGS[kind], scans)
    image = decode_jpeg(jpeg).numpy().astype(int)
    expected = oracle(jpeg).astype(int)
    assert image.shape == expected.shape
    if scans == 10:
        np.testing.assert_array_equal(image, expected)
    else:
        assert np.abs(image - expected).mean() < 4


def test_without_smoothing_an_image_of_one_scan_has_flat_blocks() -> None:
    jpeg = prefix(JPEGS["baseline 4:4:4"], 1)
    flat = decode_jpeg(jpeg, block_smoothing=False).numpy()[:56, :80]
    blocks = flat.reshape(7, 8, 10, 8, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    smooth = decode_jpeg(jpeg).numpy()[:56, :80].reshape(7, 8, 10, 8, 3)
    assert not (smooth == smooth[:, :1, :, :1]).all()


def test_a_batch_is_its_images() -> None:
    jpegs = [encode(textured(40, 56, seed=seed)) for seed in range(9)]
    batch = decode_jpeg(jpegs)
    assert batch.shape == (9, 40, 56, 3)
    for image, jpeg in zip(batch, jpegs, strict=True):
        np.testing.assert_array_equal(image, oracle(jpeg))
    assert in_tf_data(decode_jpeg, tf.constant(jpegs)).shape == batch.shape


def test_an_empty_batch_has_no_images() -> None:
    assert decode_jpeg(tf.constant([], tf.string), channels=3).shape == (0, 0, 0, 3)
    empty = tf.constant([], tf.string)
    seeds = tf.zeros([0, 2], tf.int64)
    assert decode_and_random_crop_resize(empty, 8, seeds).shape == (0, 8, 8, 3)


def test_images_of_two_sizes_in_a_batch_are_refused_by_both_sizes() -> None:
    jpegs = [encode(textured(40, 56)), encode(textured(40, 57))]
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"contents\[1\].*\[40, 56, 3\].*\[40, 57, 3\]"
    ):
        decode_jpeg(jpegs)


# Crops


def cropped_by_tensorflow(
    jpeg: bytes, window: Window, size: tuple[int, int], *, antialias: bool = False
) -> np.ndarray:
    """Decode, slice, resize and flip, float32."""
    image = oracle(jpeg, 3)[window.y : window.y + window.height, window.x : window.x + window.width]
    resized = tf.image.resize(image, size, antialias=antialias).numpy()
    return resized[:, ::-1] if window.flipped else resized


HEIGHT, WIDTH = 150, 200
PHOTO = encode(textured(HEIGHT, WIDTH), subsampling=0, quality=95)
SEEDS = np.stack([np.arange(12), 100 - np.arange(12)], axis=1)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [(40, 60), (180, 190), (7, 300)])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_random_crop_equals_decode_slice_resize_and_flip(
    size: tuple[int, int], antialias: bool, subsampling: int
) -> None:
    jpeg = encode(textured(HEIGHT, WIDTH), subsampling=subsampling, quality=95)
    windows = random_windows(HEIGHT, WIDTH, SEEDS)
    assert len({window.flipped for window in windows}) == 2
    for seed, window in zip(SEEDS, windows, strict=True):
        decode = functools.partial(
            decode_and_random_crop_resize,
            size=size,
            seed=seed,
            dtype=tf.float32,
            dct_scaling=False,
            antialias=antialias,
        )
        expected = cropped_by_tensorflow(jpeg, window, size, antialias=antialias)
        for crop in (decode(jpeg), in_tf_data(decode, jpeg)):
            error = np.abs(crop - expected)
            assert error.max() < 0.05, (window, error.max())


@pytest.mark.parametrize("size", [(64, 64), (40, 90), (90, 40)])
@pytest.mark.parametrize("crop_fraction", [1.0, 0.875, 0.3])
def test_a_center_crop_equals_decode_slice_and_resize(
    size: tuple[int, int], crop_fraction: float
) -> None:
    scale = crop_fraction * min(WIDTH / size[1], HEIGHT / size[0])
    width, height = int(scale * size[1] + 1e-6), int(scale * size[0] + 1e-6)
    window = Window((WIDTH - width + 1) // 2, (HEIGHT - height + 1) // 2, width, height, False)
    decode = functools.partial(
        decode_and_center_crop_resize,
        size=size,
        crop_fraction=crop_fraction,
        dtype=tf.float32,
        dct_scaling=False,
    )
    expected = cropped_by_tensorflow(PHOTO, window, size)
    np.testing.assert_allclose(decode(PHOTO), expected, atol=0.05)
    np.testing.assert_allclose(in_tf_data(decode, PHOTO), expected, atol=0.05)


def test_dct_scaling_shows_the_same_window_with_less_detail() -> None:
    size = (32, 32)
    for seed in SEEDS:
        crops = [
            decode_and_random_crop_resize(
                PHOTO, size, seed, dtype=tf.float32, dct_scaling=scaling, antialias=True
            ).numpy()
            for scaling in (False, True)
        ]
        # A window that is off by a pixel of the output differs by three times as much.
        shifted = np.abs(crops[0][:, 1:] - crops[0][:, :-1]).mean()
        assert np.abs(crops[0] - crops[1]).mean() < min(4, shifted / 2)


def test_dct_scaling_of_a_gradient_keeps_its_place() -> None:
    jpeg = gradient_jpeg(640, 800, axis=1)
    for seed in SEEDS:
        full, scaled = (
            decode_and_random_crop_resize(
                jpeg, 64, seed, area_range=(0.5, 1), dtype=tf.float32, dct_scaling=scaling
            ).numpy()
            for scaling in (False, True)
        )
        assert np.abs(full - scaled).max() < 1.5


@pytest.mark.parametrize("channels", [1, 3])
def test_normalisation_equals_that_of_plain_ops(channels: int) -> None:
    mean, stddev = IMAGENET_MEAN[:channels], IMAGENET_STDDEV[:channels]
    decode = functools.partial(
        decode_and_random_crop_resize, PHOTO, 50, (1, 2), channels=channels, dtype=tf.float32
    )
    plain = decode().numpy()
    np.testing.assert_allclose(
        decode(mean=mean, stddev=stddev), (plain - mean) / stddev, rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(decode(mean=mean), plain - mean, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(decode(stddev=stddev), plain / stddev, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"mean": (0.485, 0.456, 0.406), "stddev": (0.229, 0.224, 0.225)},
        {"stddev": (0.5, 0.5, 0.5)},
        {"mean": (0.5, 0.5, 0.5)},
    ],
)
def test_mean_and_stddev_of_pixels_of_0_to_1_warn(options: dict[str, Any]) -> None:
    with pytest.warns(UserWarning, match=r"on the scale of the pixels, 0 to 255.* by 255"):
        decode_and_center_crop_resize(draw_jpeg(0), 8, dtype=tf.float32, **options)


def test_mean_and_stddev_on_the_scale_of_the_pixels_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for options in (
            {"mean": IMAGENET_MEAN, "stddev": IMAGENET_STDDEV},
            {"mean": (0, 0, 0), "stddev": (255, 255, 255)},
            {"mean": (127.5,) * 3, "stddev": (127.5,) * 3},
            {"mean": (0, 0, 0), "stddev": (1, 1, 1)},
        ):
            decode_and_center_crop_resize(draw_jpeg(0), 8, dtype=tf.float32, **options)


def test_uint8_is_the_rounded_float_and_bfloat16_its_nearest() -> None:
    decode = functools.partial(decode_and_random_crop_resize, PHOTO, 50, (3, 4))
    exact = decode(dtype=tf.float32).numpy()
    rounded = decode(dtype=tf.uint8)
    assert rounded.dtype == tf.uint8
    assert np.abs(rounded.numpy() - exact).max() <= 0.5 + 1e-3
    brain = decode(dtype=tf.bfloat16)
    assert brain.dtype == tf.bfloat16
    np.testing.assert_array_equal(brain, tf.cast(exact, tf.bfloat16))


@pytest.mark.parametrize("kind", JPEGS)
def test_crops_of_every_kind_of_jpeg_equal_those_of_tensorflow(kind: str) -> None:
    jpeg = JPEGS[kind]
    try:
        image = oracle(jpeg, 3)
    except tf.errors.InvalidArgumentError:
        pytest.skip("tf.io.decode_jpeg refuses to make RGB of it")
    height, width = image.shape[:2]
    crop = decode_and_center_crop_resize(
        jpeg, (height, width), crop_fraction=1.0, dtype=tf.float32, dct_scaling=False
    )
    np.testing.assert_allclose(crop, image, atol=0.05)
    if kind == "CMYK":  # Neither makes greyscale of it.
        return
    grey = decode_and_center_crop_resize(
        jpeg, (height, width), crop_fraction=1.0, channels=1, dct_scaling=False
    )
    np.testing.assert_array_equal(grey, oracle(jpeg, 1))


def test_cmyk_to_greyscale_is_refused_with_a_remedy() -> None:
    message = "channels of a CMYK or YCCK image; expected 3, got 1; decode it to RGB"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode_and_center_crop_resize(JPEGS["CMYK"], 24, channels=1)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode_jpeg(JPEGS["CMYK"], 1)


@pytest.mark.parametrize("block_smoothing", [True, False])
@pytest.mark.parametrize("scans", [1, 2, 5, 10])
def test_a_crop_of_a_prefix_is_the_crop_of_its_pixels(scans: int, block_smoothing: bool) -> None:
    jpeg = prefix(PHOTO, scans)
    whole = decode_jpeg(jpeg, 3, block_smoothing=block_smoothing).numpy()
    for seed, window in zip(SEEDS[:4], random_windows(HEIGHT, WIDTH, SEEDS[:4]), strict=True):
        crop = decode_and_random_crop_resize(
            jpeg,
            (40, 40),
            seed,
            dtype=tf.float32,
            dct_scaling=False,
            block_smoothing=block_smoothing,
        )
        part = whole[window.y : window.y + window.height, window.x : window.x + window.width]
        expected = tf.image.resize(part, (40, 40)).numpy()
        expected = expected[:, ::-1] if window.flipped else expected
        np.testing.assert_allclose(crop, expected, atol=0.05)


# The distribution of random windows.


def test_windows_have_the_distribution_of_sample_distorted_bounding_box() -> None:
    number = 1500
    seeds = np.stack([np.arange(number), np.full(number, 7)], axis=1)
    ours = random_windows(120, 160, seeds)

    def sample(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            (120, 160, 3),
            tf.zeros([1, 0, 4]),
            seed,
            min_object_covered=0.0,
            aspect_ratio_range=(3 / 4, 4 / 3),
            area_range=(0.08, 1.0),
            max_attempts=100,
            use_image_if_no_bounding_boxes=True,
        )
        return begin, size

    boxes = tf.data.Dataset.from_tensor_slices(seeds).map(sample).as_numpy_iterator()
    theirs = [Window(begin[1], begin[0], size[1], size[0], False) for begin, size in boxes]
    measures: dict[str, Callable[[Window], float]] = {
        "area": lambda w: w.width * w.height / (120 * 160),
        "aspect ratio": lambda w: w.width / w.height,
        "x": lambda w: w.x / max(1, 160 - w.width),
        "y": lambda w: w.y / max(1, 120 - w.height),
    }
    for name, measure in measures.items():
        one, other = (np.sort([measure(w) for w in windows]) for windows in (ours, theirs))
        # Kolmogorov-Smirnov: two samples of one distribution differ by more once in 10,000 times;
        # the seeds are fixed.
        points = np.concatenate([one, other])
        distance = np.abs(
            np.searchsorted(one, points, "right") - np.searchsorted(other, points, "right")
        ).max()
        assert distance / number < 2.23 * np.sqrt(2 / number), name
    areas = [measures["area"](w) for w in ours]
    ratios = [measures["aspect ratio"](w) for w in ours]
    assert 0.07 < min(areas) < 0.1
    assert max(areas) <= 1
    assert 0.72 < min(ratios) < 0.78
    assert 1.3 < max(ratios) < 1.37
    assert abs(np.mean([w.flipped for w in ours]) - 0.5) < 0.04


def test_area_aspect_ratio_and_flip_probability_are_those_asked_for() -> None:
    seeds = np.stack([np.arange(200), np.arange(200)], axis=1)
    windows = random_windows(
        200, 200, seeds, area_range=(0.25, 0.36), aspect_ratio_range=(1, 1), flip_probability=0
    )
    assert {w.width for w in windows} == set(range(100, 121))
    assert all(abs(w.width - w.height) <= 1 for w in windows)
    assert not any(w.flipped for w in windows)
    flipped = random_windows(200, 200, seeds[:20], flip_probability=1)
    assert all(w.flipped for w in flipped)


def test_where_no_window_fits_the_whole_image_is_taken() -> None:
    windows = random_windows(
        100, 100, SEEDS[:3], area_range=(0.9, 1), aspect_ratio_range=(3, 3), flip_probability=0
    )
    assert set(windows) == {Window(0, 0, 100, 100, False)}


# Numbers are doubles: what is written acts, not the nearest float32.


def test_a_crop_fraction_acts_as_the_number_that_was_written() -> None:
    jpeg = gradient_jpeg(200, 200, axis=1)
    line = oracle(jpeg).astype(float)[0, :, 0]
    for percent in range(1, 101):
        crop = decode_and_center_crop_resize(
            jpeg,
            100,
            crop_fraction=percent / 100,
            channels=1,
            dtype=tf.float32,
            dct_scaling=False,
        )
        width = 2 * percent
        expected = resampled_line(line, (200 - width + 1) // 2, width, 100)
        np.testing.assert_allclose(crop[0, :, 0], expected, atol=0.02, err_msg=f"{percent} %")


@pytest.mark.parametrize("side", [51, 60, 64, 70, 77, 80, 83, 90, 95, 99])
def test_an_area_that_is_asked_for_exactly_is_found(side: int) -> None:
    area = side * side / 10_000
    windows = random_windows(
        100, 100, SEEDS[:4], area_range=(area, area), aspect_ratio_range=(1, 1), flip_probability=0
    )
    assert {(w.width, w.height) for w in windows} == {(side, side)}


def test_an_aspect_ratio_acts_as_the_number_that_was_written() -> None:
    # 105 rows of 0.7 are 73.5 columns, which round to 74; of the nearest float32 they are 73.
    windows = random_windows(
        105, 80, SEEDS[:3], area_range=(0.92, 0.93), aspect_ratio_range=(0.7, 0.7)
    )
    assert {(w.width, w.height) for w in windows} == {(74, 105)}


def test_a_flip_probability_acts_as_the_number_that_was_written() -> None:
    # This seed draws 11744051 / 2^24, which is below 0.7 and no less than the nearest float32.
    seed, drawn = (6_679_744, 0), 11744051 / 2**24
    assert float(np.float32(0.7)) == drawn < 0.7
    crop = functools.partial(
        decode_and_random_crop_resize, PHOTO, (HEIGHT, WIDTH), seed, area_range=(1, 1)
    )
    assert not np.array_equal(crop(flip_probability=0.7), crop(flip_probability=0))
    np.testing.assert_array_equal(crop(flip_probability=drawn), crop(flip_probability=0))


@pytest.mark.parametrize(
    ("mean", "stddev"),
    [
        (IMAGENET_MEAN, IMAGENET_STDDEV),
        ((123.7, 116.3, 103.5), (58.4, 57.1, 57.4)),
        ((125.3, 122.95, 113.87), (63.0, 62.09, 66.7)),
        ((0.1, 127.5, 255 / 3), (0.3, 127.5, 1 / 255)),
    ],
)
def test_mean_and_stddev_act_as_the_numbers_that_were_written(
    mean: tuple[float, ...], stddev: tuple[float, ...]
) -> None:
    black = encode(np.zeros([16, 16, 3], np.uint8))
    crop = decode_and_center_crop_resize(black, 8, dtype=tf.float32, mean=mean, stddev=stddev)
    np.testing.assert_array_equal(crop[0, 0], np.float32(-np.array(mean) / np.array(stddev)))


@pytest.mark.parametrize(
    ("argument", "numbers"), [("mean", (0, 0, 1e39)), ("stddev", (1, 1, 1e-46))]
)
def test_a_normalisation_that_float32_cannot_hold_is_refused_by_its_number(
    argument: str, numbers: tuple[float, ...]
) -> None:
    decode: Any = functools.partial(decode_and_center_crop_resize, PHOTO, 8, dtype=tf.float32)
    match = f"{argument}; expected .*float32.*, got " + re.escape(f"{numbers[2]:g}")
    with pytest.raises(tf.errors.InvalidArgumentError, match=match):
        decode(**{argument: numbers})


# Seeds


def test_the_seed_alone_decides_in_a_batch_or_alone_at_any_parallelism() -> None:
    jpegs = [draw_jpeg(n) for n in range(12)]
    alone = np.stack(
        [
            decode_and_random_crop_resize(jpeg, 24, seed)
            for jpeg, seed in zip(jpegs, SEEDS, strict=True)
        ]
    )
    np.testing.assert_array_equal(decode_and_random_crop_resize(jpegs, 24, SEEDS), alone)
    examples = tf.data.Dataset.from_tensor_slices((jpegs, SEEDS))

    def crop(jpeg: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return decode_and_random_crop_resize(jpeg, 24, seed)

    for calls in (None, 1, 3, tf.data.AUTOTUNE):
        images = list(examples.map(crop, num_parallel_calls=calls).as_numpy_iterator())
        np.testing.assert_array_equal(np.stack(images), alone)
    batches = examples.batch(5).map(crop, num_parallel_calls=2).unbatch()
    np.testing.assert_array_equal(np.stack(list(batches.as_numpy_iterator())), alone)


def test_both_numbers_of_a_seed_count_in_all_their_bits() -> None:
    seeds = [(0, 0), (1, 0), (0, 1), (2**40, 0), (0, 2**40), (-1, 0), (0, -1), (-(2**63), 0)]
    crops = {decode_and_random_crop_resize(PHOTO, 24, seed).numpy().tobytes() for seed in seeds}
    assert len(crops) == len(seeds)


def test_a_center_crop_is_always_the_same() -> None:
    first, second = (decode_and_center_crop_resize(PHOTO, 24).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)


# Shapes


def test_shapes_are_static_inside_a_tf_function() -> None:
    shapes: list[Any] = []

    @tf.function(
        input_signature=[
            tf.TensorSpec([], tf.string),
            tf.TensorSpec([None], tf.string),
            tf.TensorSpec([4], tf.string),
            tf.TensorSpec([4, 2], tf.int64),
        ]
    )
    def trace(one: tf.Tensor, some: tf.Tensor, four: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        shapes.append(decode_jpeg(one, 3).shape.as_list())
        shapes.append(decode_jpeg(some, 1).shape.as_list())
        shapes.append(decode_and_center_crop_resize(one, 16).shape.as_list())
        shapes.append(decode_and_center_crop_resize(some, (8, 9)).shape.as_list())
        images, decoded = decode_and_random_crop_resize(
            four, (8, 9), seeds, channels=1, on_error="mark"
        )
        shapes.extend([images.shape.as_list(), decoded.shape.as_list()])
        return tf.shape(images)

    jpegs = tf.repeat(PHOTO, 4)
    assert trace(PHOTO, jpegs, jpegs, SEEDS[:4]).numpy().tolist() == [4, 8, 9, 1]
    assert shapes == [
        [None, None, 3],
        [None, None, None, 1],
        [16, 16, 3],
        [None, 8, 9, 3],
        [4, 8, 9, 1],
        [4],
    ]


def test_a_compiled_function_takes_the_images_of_a_data_set() -> None:
    @tf.function(jit_compile=True)
    def mean(images: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.cast(images, tf.float32))

    jpegs = tf.data.Dataset.from_tensor_slices([draw_jpeg(n) for n in range(8)]).batch(
        4, drop_remainder=True
    )
    for images in jpegs.map(lambda batch: decode_and_center_crop_resize(batch, 24)):
        np.testing.assert_allclose(mean(images), images.numpy().mean(), rtol=1e-5)


# Bad input


def header(width: int, height: int, scans: int = 1) -> bytes:
    """A progressive greyscale JPEG of that many empty DC scans."""
    sof = b"\xff\xc2\x00\x0b\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big")
    sof += b"\x01\x01\x11\x00"
    dqt = b"\xff\xdb\x00\x43\x00" + bytes([1]) * 64
    dht = b"\xff\xc4\x00\x14\x00" + bytes([1] + [0] * 15) + b"\x00"
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00" + b"\x00"
    return b"\xff\xd8" + dqt + sof + dht + scan * scans + b"\xff\xd9"


BROKEN = {
    "no bytes": b"",
    "no JPEG": b"GIF89a not a JPEG",
    "RIFF, cut short": b"RIFF",
    "cut in the header": PHOTO[:100],
    "cut in the data": PHOTO[: len(PHOTO) // 2],
    "60,000 x 60,000": header(60_000, 60_000),
    "10,000 scans": header(64, 64, scans=10_000),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_image_is_refused_by_its_place_and_the_reason(kind: str) -> None:
    jpeg = BROKEN[kind]
    limits = {"60,000 x 60,000": "pixels", "10,000 scans": "scans"}
    match = rf"contents: .*{limits.get(kind, '')}"
    for decode in (
        decode_jpeg,
        lambda one: decode_and_center_crop_resize(one, 16),
        lambda one: decode_and_random_crop_resize(one, 16, (1, 2)),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=match):
            decode(jpeg)
        with pytest.raises(tf.errors.InvalidArgumentError, match=match):
            in_tf_data(decode, jpeg)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"contents\[1\]: "):
        decode_and_center_crop_resize([PHOTO, jpeg, PHOTO], 16)


def test_messages_have_the_names_of_images() -> None:
    names = ["a.pcr: record 0, example 4", "a.pcr: record 7, example 2"]
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"contents\[1\]: {names[1]}: .*SOI"):
        decode_and_center_crop_resize([PHOTO, b"no JPEG"], 16, names=names)
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"contents: {names[0]}: .*SOI"):
        decode_and_random_crop_resize(b"no JPEG", 16, (1, 2), names=names[0])
    _, decoded = decode_and_center_crop_resize(
        [PHOTO, b"no JPEG"], 16, names=names, on_error="mark"
    )
    assert decoded.numpy().tolist() == [True, False]


def test_names_of_another_shape_or_type_are_refused() -> None:
    with pytest.raises(ValueError, match="shape of names; expected"):
        decode_and_center_crop_resize([PHOTO, PHOTO], 16, names=["a"])
    with pytest.raises(TypeError, match=r"names; expected tf\.string"):
        decode_and_center_crop_resize(PHOTO, 16, names=3)


def test_decompression_bombs_cost_no_memory() -> None:
    process = psutil.Process()
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_jpeg(header(100, 100, scans=2_000))
    before = process.memory_info().rss
    bombs = [header(65_500, 65_500), header(60_000, 60_000), header(500, 500, scans=10_000)]
    for bomb in bombs * 20:
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode_jpeg(bomb, 3)
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode_and_random_crop_resize(bomb, 224, (1, 2))
    assert process.memory_info().rss - before < 32 << 20


def segment(code: int, parameters: bytes) -> bytes:
    return bytes([0xFF, code]) + (2 + len(parameters)).to_bytes(2, "big") + parameters


def huge(code: int, ids: Sequence[int], scan: bytes, in_scan: Sequence[int]) -> bytes:
    """65,500 x 8,190 pixels of three components, of which a scan has a few bytes."""
    components = b"".join(bytes([one, 0x11, 0]) for one in ids)
    sof = b"\x08" + (8190).to_bytes(2, "big") + (65500).to_bytes(2, "big") + b"\x03" + components
    sos = bytes([len(in_scan)]) + b"".join(bytes([one, 0]) for one in in_scan) + b"\0\0\0"
    dqt = segment(0xDB, b"\0" + bytes([1]) * 64)
    dht = segment(0xC4, b"\0" + bytes([1] + [0] * 15) + b"\0")
    return b"\xff\xd8" + dqt + dht + segment(code, sof) + segment(0xDA, sos) + scan + b"\xff\xd9"


# Bombs of every kind, decoded in a process of its own; prints by how many KiB its peak of memory
# grew. (ru_maxrss is no less than the parent's.)
MEMORY_OF_BOMBS = """
import pickle, re, sys
import tensorflow as tf
from pcr_tf.image import decode_and_center_crop_resize, decode_jpeg

def peak_kib():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])

sound, bombs = pickle.load(sys.stdin.buffer)
decode_and_center_crop_resize([sound] * 4, 64, on_error="mark")
before = peak_kib()
for bomb in bombs:
    _, decoded = decode_and_center_crop_resize([bomb], 64, on_error="mark")
    assert not decoded.numpy().any()
    try:
        decode_jpeg(bomb)
        sys.exit("decoded")
    except tf.errors.InvalidArgumentError:
        pass
print(peak_kib() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_what_a_header_claims_costs_no_memory_in_any_coding() -> None:
    bombs = [
        huge(0xCA, (0, 0, 0), b"", (0, 0, 0)),  # arithmetic, progressive
        huge(0xC9, (1, 2, 3), b"", (1, 2, 3)),  # arithmetic, sequential
        huge(0xC2, (0, 0, 0), b"", (0, 0, 0)),
        huge(0xC2, (1, 2, 3), bytes(1 << 16), (1,)),  # two components without a scan
        huge(0xC0, (1, 2, 3), b"", (1,)),
    ]
    run = subprocess.run(
        [sys.executable, "-c", MEMORY_OF_BOMBS],
        input=pickle.dumps((PHOTO, bombs)),
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()[-2000:]
    assert int(run.stdout) < 32 << 10


# So many segments that a list of them does not fit into what memory the process may have.
OUT_OF_MEMORY = """
import resource, sys
import numpy as np
import psutil
from pcr_tf.image import decode_and_center_crop_resize
sound = sys.stdin.buffer.read()
decode_and_center_crop_resize([sound, sound, sound, sound], 64, on_error="mark")
crowd = b"\\xff\\xd8" + b"\\xff\\xfe\\x00\\x02" * (32 << 20)
contents = np.array([sound, crowd, sound], object)
limit = psutil.Process().memory_info().vms + (600 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
images, decoded = decode_and_center_crop_resize(contents, 64, on_error="mark")
print(decoded.numpy().tolist(), bool((images[0] == images[2]).numpy().all()))
try:
    decode_and_center_crop_resize(contents, 64)
except Exception as error:
    print(str(error)[:300])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the address space")
def test_an_image_for_which_memory_runs_out_is_marked_like_a_broken_one() -> None:
    run = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY], input=PHOTO, capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr.decode()[-2000:]
    marks, error = run.stdout.decode().splitlines()
    assert marks == "[True, False, True] True"
    assert "contents[1]: out of memory" in error


def test_a_blank_image_decodes_at_every_fidelity_of_every_script() -> None:
    blank = encode(np.full((2000, 3000, 3), 255, np.uint8))
    for script in ("standard", "compact", "early_detail", "fast_decode", "no_refinement"):
        coded = _native.transcode(blank, _native.ScanScript(load_scan_script(script)))
        assert coded.coding == "progressive", coded.detail
        for groups in range(1, len(coded.group_sizes) + 1):
            jpeg = coded.scans[: sum(coded.group_sizes[:groups])] + b"\xff\xd9"
            crop = decode_and_center_crop_resize(jpeg, 16)
            assert crop.numpy().min() == 255, (script, groups)


# Verdicts beside those of tf.io.decode_jpeg


def marker_walk(jpeg: bytes) -> list[tuple[int, int]]:
    """(marker, offset) of the segments in front of the first scan's data."""
    found, at = [], 2
    while True:
        found.append((jpeg[at + 1], at))
        if jpeg[at + 1] == 0xDA:
            return found
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")


def before(jpeg: bytes, code: int, bytes_: bytes) -> bytes:
    at = dict(marker_walk(jpeg))[code]
    return jpeg[:at] + bytes_ + jpeg[at:]


def behind_data(jpeg: bytes, bytes_: bytes) -> bytes:
    return jpeg[:-2] + bytes_ + jpeg[-2:]


def copy_of(jpeg: bytes, code: int) -> bytes:
    at = dict(marker_walk(jpeg))[code]
    return jpeg[at : at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")]


def with_restart_replaced(jpeg: bytes, number: int, code: int) -> bytes:
    return jpeg.replace(bytes([0xFF, 0xD0 + number]), bytes([0xFF, code]), 1)


BASE = JPEGS["baseline 4:2:0"]
RESTARTS = encode(textured(61, 83), restart_marker_blocks=3)
SCANS_WITH_RESTARTS = encode(textured(61, 83), progressive=True, restart_marker_blocks=3)
# The last restart of the first scan.
LAST_RESTART = max(
    SCANS_WITH_RESTARTS.rindex(bytes([0xFF, code]), 0, SCANS_WITH_RESTARTS.index(b"\xff\xc4", 1000))
    for code in range(0xD0, 0xD8)
)

# Of files at the border: whether they are taken, by both.
SAME_VERDICTS: dict[str, tuple[bytes, bool]] = {
    "undefined marker in place of a restart": (with_restart_replaced(RESTARTS, 2, 0x02), True),
    "undefined marker within an interval": (
        RESTARTS.replace(b"\xff\xd3", b"\xff\x80\x12\xff\xd3", 1),
        True,
    ),
    "undefined marker in place of the last restart of a scan": (
        SCANS_WITH_RESTARTS[: LAST_RESTART + 1] + b"\x80" + SCANS_WITH_RESTARTS[LAST_RESTART + 2 :],
        True,
    ),
    "undefined marker behind the last restart": (RESTARTS[:-4] + b"\xff\x80\xff\xd9", False),
    "undefined marker without restarts": (BASE[:-200] + b"\xff\x80" + BASE[-200:], False),
    "APP3 of length 0": (before(BASE, 0xDB, b"\xff\xe3\0\0"), True),
    "APP1 of length 1": (before(BASE, 0xDB, b"\xff\xe1\0\1"), True),
    "COM of length 0": (before(BASE, 0xDB, b"\xff\xfe\0\0"), True),
    "DHT of length 0": (before(BASE, 0xDB, b"\xff\xc4\0\0"), False),
    "DQT of length 1": (before(BASE, 0xDB, b"\xff\xdb\0\1"), False),
    "DHT of length 0 between scans": (
        JPEGS["progressive"].replace(b"\xff\xda", b"\xff\xc4\0\0\xff\xda", 1),
        False,
    ),
    "no EOI": (BASE[:-2], False),
    "second SOF behind the data": (behind_data(BASE, copy_of(BASE, 0xC0)), False),
    "second SOF in front": (before(BASE, 0xDA, copy_of(BASE, 0xC0)), False),
    "second scan": (behind_data(BASE, copy_of(BASE, 0xDA)), False),
    "bad DHT behind the data": (behind_data(BASE, segment(0xC4, b"bad")), False),
    "good DHT behind the data": (behind_data(BASE, copy_of(BASE, 0xC4)), True),
    "bad DQT behind the data": (behind_data(BASE, segment(0xDB, b"\x09")), False),
    "unknown segment behind the data": (behind_data(BASE, segment(0xF3, b"")), False),
    "comment behind the data": (behind_data(BASE, segment(0xFE, b"x")), True),
    "SOI without a marker behind it": (b"\xff\xd8\0" + BASE[2:], False),
    "bytes behind EOI": (BASE + b"\xff\xd8\0", True),
    "damaged data": (BASE[: len(BASE) * 3 // 4] + b"\xff\xd9", True),
    "no data": (BASE[: dict(marker_walk(BASE))[0xDA] + 14] + b"\xff\xd9", True),
}
# Taken by tf.io.decode_jpeg, refused here: what docs/DECODING.md lists.
REFUSED_HERE: dict[str, bytes] = {
    "ff ff in place of EOI": JPEGS["greyscale"][:-2] + b"\xff\xff",
    "segment behind the data that reaches past the end": BASE[:-2] + b"\xff\xc4\x01\0",
}


@pytest.mark.parametrize("kind", SAME_VERDICTS)
def test_a_file_at_the_border_is_taken_or_refused_as_by_tensorflow(kind: str) -> None:
    jpeg, taken = SAME_VERDICTS[kind]
    if not taken:
        for decode in (oracle, decode_jpeg, lambda one: decode_and_center_crop_resize(one, 8)):
            with pytest.raises(tf.errors.InvalidArgumentError):
                decode(jpeg)
        return
    np.testing.assert_array_equal(decode_jpeg(jpeg), oracle(jpeg))
    _, decoded = decode_and_center_crop_resize(jpeg, 8, on_error="mark")
    assert decoded.numpy()


@pytest.mark.parametrize("kind", REFUSED_HERE)
def test_a_file_that_tensorflow_alone_takes_is_one_that_the_docs_list(kind: str) -> None:
    assert oracle(REFUSED_HERE[kind]).shape[:2] == (61, 83)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_jpeg(REFUSED_HERE[kind])


def test_the_limits_are_arguments_of_the_ops() -> None:
    assert decode_jpeg(PHOTO, max_pixels=HEIGHT * WIDTH).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"29,?999"):
        decode_jpeg(PHOTO, max_pixels=HEIGHT * WIDTH - 1)
    progressive = prefix(PHOTO, 5)
    assert decode_jpeg(progressive, max_scans=5).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"scans.*4"):
        decode_jpeg(progressive, max_scans=4)


def test_a_marked_image_is_zeros_and_counted() -> None:
    before = decode_errors()
    images, decoded = decode_and_random_crop_resize(
        [PHOTO, *BROKEN.values(), PHOTO],
        24,
        np.zeros([len(BROKEN) + 2, 2], np.int64),
        on_error="mark",
    )
    assert decoded.numpy().tolist() == [True, *[False] * len(BROKEN), True]
    np.testing.assert_array_equal(images[0], images[-1])
    assert not images[1:-1].numpy().any()
    assert decode_errors() - before == len(BROKEN)


def test_a_truncated_file_is_an_error_wherever_the_crop_lies() -> None:
    cut = PHOTO[: len(PHOTO) * 9 // 10]
    for seed in SEEDS:
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode_and_random_crop_resize(cut, 16, seed, area_range=(0.08, 0.1))


# What arguments are refused.

REFUSED: dict[str, list[Any]] = {
    "size": [0, (10,), (10, 0), (1, 2, 3), 20_000, -1],
    "seed": [(1,), (1, 2, 3), [[1, 2]]],
    "area_range": [(0, 1), (0.5, 0.4), (0.1, 1.1), (0.1,), (0.1, float("nan"))],
    "aspect_ratio_range": [(0, 1), (2, 1), (1, 1e9)],
    "max_attempts": [0],
    "flip_probability": [-0.1, 1.1, float("nan")],
    "channels": [0, 2, 4, "3"],
    "mean": [(1, 2), (1, 2, float("inf"))],
    "stddev": [(0, 1, 1), (1, -1, 1)],
    "dtype": [tf.int32, tf.float64],
    "dct_method": ["fast", None],
    "max_pixels": [0],
    "max_scans": [0],
    "on_error": ["skip", None],
}
REFUSED_TYPES: dict[str, list[Any]] = {
    "size": [2.5, "224", True],
    "seed": [(1.5, 2.5), "seed"],
    "area_range": [0.5, "ab"],
    "flip_probability": ["often"],
    "mean": [1.0, "abc"],
    "dtype": ["pixels"],
    "antialias": [1],
    "dct_scaling": ["yes"],
    "fancy_upsampling": [None],
    "block_smoothing": [0],
    "honor_orientation": [1],
    "max_pixels": [1.5],
}


def refusals(values: dict[str, list[Any]]) -> Iterator[Any]:
    for argument, choices in values.items():
        yield from (pytest.param(argument, value, id=f"{argument}={value}") for value in choices)


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        *(pytest.param(*one.values, ValueError, id=one.id) for one in refusals(REFUSED)),
        *(pytest.param(*one.values, TypeError, id=one.id) for one in refusals(REFUSED_TYPES)),
    ],
)
def test_an_argument_that_is_refused_is_named_with_what_was_expected(
    argument: str, value: Any, error: type[Exception]
) -> None:
    arguments: dict[str, Any] = {"size": 16, "seed": (1, 2), "dtype": tf.float32, argument: value}
    with pytest.raises(error, match=f"{argument}; expected .*, got "):
        decode_and_random_crop_resize(PHOTO, **arguments)


def test_contents_that_are_no_strings_are_refused() -> None:
    with pytest.raises(TypeError, match=r"contents; expected tf.string, got int32"):
        decode_jpeg(tf.constant(3))
    with pytest.raises(ValueError, match=r"contents; expected a scalar or a vector"):
        decode_jpeg(tf.constant([[b""]]))
    with pytest.raises(ValueError, match=r"dtype; expected tf\.float32 or tf\.bfloat16"):
        decode_and_center_crop_resize(PHOTO, 16, mean=(1, 1, 1))


# Photographs


def test_crops_of_photographs_equal_those_of_tensorflow(test_images: Path) -> None:
    for number, jpeg in enumerate(photographs(test_images)[::10]):
        try:
            height, width = oracle(jpeg, 3).shape[:2]
        except tf.errors.InvalidArgumentError:
            continue
        seed = (number, number + 1)
        (window,) = random_windows(height, width, np.array([seed]))
        crop = decode_and_random_crop_resize(
            jpeg, (224, 224), seed, dtype=tf.float32, dct_scaling=False
        )
        expected = cropped_by_tensorflow(jpeg, window, (224, 224))
        np.testing.assert_allclose(crop, expected, atol=0.05, err_msg=str(window))


def test_odd_jpegs_decode_or_are_refused_as_by_tensorflow(test_images: Path) -> None:
    folder = test_images / "odd-jpeg" / "valid"
    if not folder.is_dir():
        pytest.skip(f"needs JPEG files of all kinds in {folder}")
    differ = []
    for path in sorted(folder.rglob("*.j*g"))[:150]:
        jpeg = path.read_bytes()
        try:
            image: np.ndarray | None = decode_jpeg(jpeg).numpy()
        except tf.errors.InvalidArgumentError:
            image = None
        try:
            expected: np.ndarray | None = oracle(jpeg)
        except tf.errors.InvalidArgumentError:
            expected = None
        if (image is None) != (expected is None):
            differ.append(f"{path.name}: refused by {'us' if image is None else 'TensorFlow'}")
        elif image is not None and expected is not None and not np.array_equal(image, expected):
            differ.append(f"{path.name}: other pixels")
    assert not differ


def test_random_mutations_of_photographs_decode_or_are_refused(test_images: Path) -> None:
    random = np.random.default_rng(0)
    mutated = []
    for jpeg in photographs(test_images)[:300]:
        changed = bytearray(jpeg)
        # Half of them in the first part, where the segments are.
        for _ in range(random.integers(1, 6)):
            end = len(changed) if random.random() < 0.5 else min(len(changed), 700)
            changed[random.integers(0, end)] = random.integers(0, 256)
        mutated.append(bytes(changed))
    seeds = np.stack([np.arange(len(mutated)), np.zeros(len(mutated))], axis=1).astype(np.int64)
    images, decoded = decode_and_random_crop_resize(
        mutated, 64, seeds, on_error="mark", max_pixels=1 << 24
    )
    assert images.shape == (len(mutated), 64, 64, 3)
    assert 0 < decoded.numpy().sum() < len(mutated)
    for jpeg in mutated[::6]:
        try:
            image = decode_jpeg(jpeg, max_pixels=1 << 24)
        except tf.errors.InvalidArgumentError:
            continue
        assert image.shape.rank == 3


# The typed face of the ops.


@pytest.mark.parametrize(
    "op", [name for name in vars(_op_signatures.PcrOps) if name.startswith("pcr_")]
)
def test_the_declared_signature_of_an_op_is_that_of_the_loaded_one(op: str) -> None:
    declared = inspect.signature(getattr(_op_signatures.PcrOps, op)).parameters.values()
    loaded = inspect.signature(getattr(load_op_library(), op)).parameters.values()
    assert [p.name for p in declared] == [p.name for p in loaded]
    for one, other in zip(declared, loaded, strict=True):
        assert one.kind == other.kind
        if one.default is not ...:
            assert one.default == other.default, one.name
        else:
            assert other.default is not other.empty, one.name


def test_every_op_of_the_library_is_declared() -> None:
    ops = {
        name
        for name, function in vars(load_op_library()).items()
        if name.startswith("pcr_") and not name.endswith("_eager_fallback") and callable(function)
    }
    declared = {name for name in vars(_op_signatures.PcrOps) if name.startswith("pcr_")}
    assert declared == ops


def test_the_fields_of_decoded_crops_are_those_of_the_op() -> None:
    crops = load_op_library().pcr_decode_crop_resize(
        contents=PHOTO,
        seed=[0, 0],
        names=[],
        size=[8, 8],
        mode="center",
        block_smoothing=False,
        max_pixels=1 << 20,
        max_scans=10,
    )
    assert crops._fields == _op_signatures.DecodedCrops._fields


def test_defaults_are_those_of_the_interface() -> None:
    for function in (decode_and_random_crop_resize, decode_and_center_crop_resize, decode_jpeg):
        parameters = inspect.signature(function).parameters
        assert parameters["dct_method"].default == "islow"
        assert parameters["max_pixels"].default == 2**29
        assert parameters["max_scans"].default == 1000
        # As tf.io.decode_jpeg, which ignores EXIF.
        assert parameters["honor_orientation"].default is False
        # decode_jpeg is the equal of tf.io.decode_jpeg; the others leave out what brings nothing.
        assert parameters["block_smoothing"].default is (function is decode_jpeg)
    random, center = (
        inspect.signature(f).parameters
        for f in (decode_and_random_crop_resize, decode_and_center_crop_resize)
    )
    shared = set(random) & set(center)
    assert all(random[name].default == center[name].default for name in shared)
    assert set(center) - shared == {"crop_fraction"}
    assert set(random) - shared == {
        "seed",
        "area_range",
        "aspect_ratio_range",
        "max_attempts",
        "flip_probability",
    }
