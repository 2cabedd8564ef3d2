"""honor_orientation: photographs that are stored turned, held to Pillow and plain TensorFlow."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from pcr_tf.data import Fidelity, PcrDataset, image_batches
from pcr_tf.format import PcrWriter, open_dataset
from pcr_tf.format.example import encode_example
from pcr_tf.image import (
    decode_and_center_crop_resize,
    decode_and_random_crop_resize,
    decode_jpeg,
)
from tests.conversion import ROOT
from tests.decoding import (
    JPEGS,
    Window,
    encode,
    in_tf_data,
    oracle,
    photographs,
    prefix,
    random_windows,
    textured,
)

ORIENTATION_TAG = 0x0112
ORIENTATIONS = range(1, 9)
TRANSPOSED = frozenset({5, 6, 7, 8})
HEIGHT, WIDTH = 150, 200  # upright
SEEDS = np.stack([np.arange(12), 100 - np.arange(12)], axis=1)
DTYPES = (tf.uint8, tf.float32, tf.bfloat16)


def exif_segment(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    return app1(exif.tobytes())


def app1(parameters: bytes) -> bytes:
    return b"\xff\xe1" + (len(parameters) + 2).to_bytes(2, "big") + parameters


def in_front(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def oriented(jpeg: bytes, orientation: int) -> bytes:
    """The same photograph, of which EXIF says how it was held."""
    return in_front(jpeg, exif_segment(orientation))


def transposed(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Upright, by Pillow; pixels are [height, width, channels] of any type."""
    # Pillow has no images of several floats, so that it turns the places of pixels.
    places = np.arange(pixels.shape[0] * pixels.shape[1], dtype=np.int32)
    image = Image.fromarray(places.reshape(pixels.shape[:2]), "I")
    image.getexif()[ORIENTATION_TAG] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    return pixels.reshape(-1, pixels.shape[2])[upright]


def stored_jpeg(
    orientation: int, height: int = HEIGHT, width: int = WIDTH, **options: Any
) -> bytes:
    """A photograph that is height x width when upright, and stored turned."""
    size = (width, height) if orientation in TRANSPOSED else (height, width)
    return oriented(encode(textured(*size), **{"quality": 95, **options}), orientation)


def coded_turned(upright: np.ndarray, orientation: int) -> bytes:
    """A JPEG, nearly lossless, of pixels that are stored turned."""
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    stored = transposed(upright, inverse)
    return oriented(encode(stored, quality=97, subsampling=0), orientation)


# decode_jpeg


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", JPEGS)
def test_decoded_pixels_are_those_that_pillow_turns_upright(kind: str, orientation: int) -> None:
    jpeg = oriented(JPEGS[kind], orientation)
    for channels in (0, 1, 3):
        try:
            stored = oracle(jpeg, channels)
        except tf.errors.InvalidArgumentError:
            continue
        decode = functools.partial(decode_jpeg, channels=channels, honor_orientation=True)
        expected = transposed(stored, orientation)
        np.testing.assert_array_equal(decode(jpeg), expected)
        np.testing.assert_array_equal(in_tf_data(decode, jpeg), expected)
        # The default, as tf.io.decode_jpeg.
        np.testing.assert_array_equal(decode_jpeg(jpeg, channels), stored)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_pillow_decodes_the_same_photograph_upright(orientation: int, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(stored_jpeg(orientation, subsampling=0))
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image)).astype(int)
    upright = decode_jpeg(path.read_bytes(), honor_orientation=True).numpy().astype(int)
    assert upright.shape == expected.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(upright - expected).max() <= 1


@pytest.mark.parametrize("scans", range(1, 11))
def test_a_prefix_that_has_exif_is_turned_at_every_fidelity(scans: int) -> None:
    for orientation, kind in itertools.product(ORIENTATIONS, ("baseline 4:2:0", "greyscale")):
        jpeg = oriented(prefix(JPEGS[kind], scans), orientation)
        expected = transposed(decode_jpeg(jpeg).numpy(), orientation)
        np.testing.assert_array_equal(decode_jpeg(jpeg, honor_orientation=True), expected)


def test_images_of_a_batch_may_be_stored_turned_if_they_are_upright_of_one_size() -> None:
    jpegs = [stored_jpeg(orientation) for orientation in ORIENTATIONS]
    batch = decode_jpeg(jpegs, honor_orientation=True)
    assert batch.shape == (8, HEIGHT, WIDTH, 3)
    for image, jpeg, orientation in zip(batch, jpegs, ORIENTATIONS, strict=True):
        np.testing.assert_array_equal(image, transposed(oracle(jpeg), orientation))
    alike = encode(textured(HEIGHT, WIDTH))
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"contents\[1\].*\[150, 200, 3\] as contents\[0\], got \[200, 150, 3\]",
    ):
        decode_jpeg([alike, oriented(alike, 6)], honor_orientation=True)


XMP = b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation='6'/>"


@pytest.mark.parametrize(
    ("segments", "orientation"),
    [
        ([], 1),
        ([exif_segment(0)], 1),
        ([exif_segment(9)], 1),
        ([app1(b"Exif\0\0")], 1),
        ([app1(b"Exif\0\0MM\0*\xff\xff\xff\xff")], 1),
        ([app1(XMP)], 1),
        ([app1(XMP), exif_segment(8)], 8),
        ([exif_segment(3), exif_segment(8)], 3),
    ],
)
def test_an_orientation_that_is_missing_or_malformed_is_upright(
    segments: list[bytes], orientation: int
) -> None:
    jpeg = in_front(JPEGS["baseline 4:4:4"], *segments)
    expected = transposed(oracle(jpeg), orientation)
    np.testing.assert_array_equal(decode_jpeg(jpeg, honor_orientation=True), expected)
    size = expected.shape[:2]
    crop = decode_and_center_crop_resize(jpeg, size, crop_fraction=1, honor_orientation=True)
    np.testing.assert_array_equal(crop, expected)


# Crops


def assert_nearly_equal(crop: Any, expected: np.ndarray, dtype: Any, case: Any) -> None:
    """To the float32 result, up to the rounding of a type and that of interpolation."""
    assert crop.dtype == dtype
    rounding = {tf.uint8: 0.5, tf.float32: 0, tf.bfloat16: 0.5}[dtype]
    error = np.abs(tf.cast(crop, tf.float32).numpy() - expected).max()
    assert error < rounding + 0.05, (case, error)


def cropped(
    pixels: np.ndarray, window: Window, size: tuple[int, int], *, antialias: bool = False
) -> np.ndarray:
    """Slice, resize and flip by plain TensorFlow."""
    part = pixels[window.y : window.y + window.height, window.x : window.x + window.width]
    resized = tf.image.resize(part, size, antialias=antialias).numpy()
    return resized[:, ::-1] if window.flipped else resized


@functools.cache
def windows() -> list[Window]:
    """Those of SEEDS in upright coordinates, found by crops of upright photographs."""
    return random_windows(HEIGHT, WIDTH, SEEDS)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_random_crop_equals_decode_turn_slice_resize_and_flip(
    orientation: int, channels: int, dtype: Any
) -> None:
    assert len({window.flipped for window in windows()}) == 2
    for subsampling, antialias in ((0, False), (2, True)):
        jpeg = stored_jpeg(orientation, subsampling=subsampling)
        upright = transposed(oracle(jpeg, channels), orientation)
        for size in ((40, 60), (180, 190), (7, 300)):
            crops = decode_and_random_crop_resize(
                tf.repeat(jpeg, len(SEEDS)),
                size,
                SEEDS,
                channels=channels,
                dtype=dtype,
                antialias=antialias,
                dct_scaling=False,
                honor_orientation=True,
            )
            for crop, window in zip(crops, windows(), strict=True):
                expected = cropped(upright, window, size, antialias=antialias)
                assert_nearly_equal(crop, expected, dtype, (size, window))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_windows_of_every_parity_are_mapped_to_the_stored_image(orientation: int) -> None:
    # 4:2:0 of odd sides: the chroma of a window's border is interpolated over it.
    height, width = 91, 113
    seeds = np.stack([np.arange(160), np.full(160, 3)], axis=1)
    found = random_windows(height, width, seeds)
    parities = {(w.x % 2, w.y % 2, w.width % 2, w.height % 2, w.flipped) for w in found}
    assert len(parities) == 32
    jpeg = stored_jpeg(orientation, height, width, subsampling=2)
    upright = transposed(oracle(jpeg), orientation)
    crops = decode_and_random_crop_resize(
        tf.repeat(jpeg, len(seeds)),
        (24, 31),
        seeds,
        dtype=tf.float32,
        dct_scaling=False,
        honor_orientation=True,
    )
    for crop, window in zip(crops, found, strict=True):
        assert_nearly_equal(crop, cropped(upright, window, (24, 31)), tf.float32, window)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_one_image_in_tf_data_has_the_crop_that_it_has_in_a_batch(orientation: int) -> None:
    jpeg = stored_jpeg(orientation)
    decode = functools.partial(decode_and_random_crop_resize, size=(40, 50), honor_orientation=True)
    batch = decode([jpeg] * len(SEEDS), seed=SEEDS)
    for seed, crop in zip(SEEDS, batch, strict=True):
        np.testing.assert_array_equal(decode(jpeg, seed=seed), crop)
        np.testing.assert_array_equal(
            in_tf_data(lambda one, seed=seed: decode(one, seed=seed), jpeg), crop
        )


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_center_crop_equals_decode_turn_slice_and_resize(
    orientation: int, channels: int, dtype: Any
) -> None:
    jpeg = stored_jpeg(orientation)
    upright = transposed(oracle(jpeg, channels), orientation)
    for size, fraction in itertools.product(((64, 64), (40, 90), (90, 40)), (1.0, 0.875, 0.3)):
        scale = fraction * min(WIDTH / size[1], HEIGHT / size[0])
        width, height = int(scale * size[1] + 1e-6), int(scale * size[0] + 1e-6)
        window = Window((WIDTH - width + 1) // 2, (HEIGHT - height + 1) // 2, width, height, False)
        decode = functools.partial(
            decode_and_center_crop_resize,
            size=size,
            crop_fraction=fraction,
            channels=channels,
            dtype=dtype,
            dct_scaling=False,
            honor_orientation=True,
        )
        expected = cropped(upright, window, size)
        assert_nearly_equal(decode(jpeg), expected, dtype, window)
        assert_nearly_equal(in_tf_data(decode, jpeg), expected, dtype, window)


def interpolated(
    pixels: np.ndarray,
    begin: tuple[float, float],
    length: tuple[float, float],
    size: tuple[int, int],
) -> np.ndarray:
    """A window of fractional bounds, resized bilinearly; begin, length and size are (y, x)."""
    for axis in (0, 1):
        places = begin[axis] + (np.arange(size[axis]) + 0.5) * length[axis] / size[axis] - 0.5
        first, last = np.floor(begin[axis]), np.ceil(begin[axis] + length[axis]) - 1
        places = np.clip(places, first, last)
        low = np.floor(places).astype(int)
        high = np.minimum(low + 1, int(last))
        share = np.expand_dims(places - low, tuple({0, 1, 2} - {axis}))
        pixels = pixels.take(low, axis) * (1 - share) + pixels.take(high, axis) * share
    return pixels


# Along which axes of the upright image the stored one runs backwards.
BACKWARDS_DOWN = frozenset({3, 4, 7, 8})
BACKWARDS_ACROSS = frozenset({2, 3, 6, 7})


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_shrunk_crop_equals_decode_shrunk_turn_and_resize(
    orientation: int, channels: int, dtype: Any
) -> None:
    # No multiples of 8: the last pixels of the shrunk image lie partly outside of the photograph,
    # and come first where it is stored backwards.
    height, width, size = 301, 403, (37, 45)
    jpeg = stored_jpeg(orientation, height, width, subsampling=0)
    crops = decode_and_random_crop_resize(
        tf.repeat(jpeg, len(SEEDS)),
        size,
        SEEDS,
        area_range=(0.1, 1),
        channels=channels,
        dtype=dtype,
        honor_orientation=True,
    )
    ratios = set()
    found = random_windows(height, width, SEEDS, area_range=(0.1, 1))
    for crop, window in zip(crops, found, strict=True):
        ratio = 1
        while ratio < 8 and min(window.height / size[0], window.width / size[1]) >= 2 * ratio:
            ratio *= 2
        ratios.add(ratio)
        shrunk = transposed(oracle(jpeg, channels, ratio=ratio), orientation).astype(float)
        y, x = window.y / ratio, window.x / ratio
        if orientation in BACKWARDS_DOWN:
            y += shrunk.shape[0] - height / ratio
        if orientation in BACKWARDS_ACROSS:
            x += shrunk.shape[1] - width / ratio
        expected = interpolated(shrunk, (y, x), (window.height / ratio, window.width / ratio), size)
        expected = expected[:, ::-1] if window.flipped else expected
        assert_nearly_equal(crop, expected, dtype, (ratio, window))
    assert ratios >= {2, 4}


@pytest.mark.parametrize("flip_probability", [0, 1])
@pytest.mark.parametrize("dct_scaling", [True, False])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_turning_a_crop_of_the_whole_image_is_cropping_the_turned_one(
    orientation: int, dct_scaling: bool, flip_probability: int
) -> None:
    size = (31, 47)
    turned_size = size[::-1] if orientation in TRANSPOSED else size
    for (scans, dtype), channels in itertools.product(zip((2, 5, 10), DTYPES, strict=True), (1, 3)):
        options = {"channels": channels, "dtype": dtype, "dct_scaling": dct_scaling}
        plain = prefix(encode(textured(301, 403)), scans)
        whole = decode_and_random_crop_resize(
            plain, turned_size, (1, 2), area_range=(1, 1), flip_probability=0, **options
        )
        expected = transposed(whole.numpy(), orientation)
        crop = decode_and_random_crop_resize(
            oriented(plain, orientation),
            size,
            (1, 2),
            area_range=(1, 1),
            flip_probability=flip_probability,
            honor_orientation=True,
            **options,
        ).numpy()
        np.testing.assert_array_equal(crop[:, ::-1] if flip_probability else crop, expected)


@pytest.mark.parametrize("dct_scaling", [True, False])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_photograph_stored_turned_has_the_crops_of_the_same_one_stored_upright(
    orientation: int, dct_scaling: bool
) -> None:
    # Coded after turning, so that levels differ by rounding alone.
    pixels = textured(304, 400)
    upright, turned = coded_turned(pixels, 1), coded_turned(pixels, orientation)
    decode = functools.partial(
        decode_and_random_crop_resize, size=(40, 48), dtype=tf.float32, dct_scaling=dct_scaling
    )
    for seed in SEEDS:
        expected = decode(upright, seed=seed).numpy()
        crop = decode(turned, seed=seed, honor_orientation=True).numpy()
        shifted = np.abs(expected[:, 1:] - expected[:, :-1]).mean()
        assert np.abs(crop - expected).mean() < min(2, shifted / 4)


@pytest.mark.parametrize(
    "decode",
    [
        lambda jpeg, **options: decode_and_random_crop_resize(jpeg, 40, (1, 2), **options),
        lambda jpeg, **options: decode_and_center_crop_resize(jpeg, 40, **options),
    ],
)
def test_without_it_a_crop_takes_the_image_as_it_is_stored(decode: Callable[..., Any]) -> None:
    plain = encode(textured(HEIGHT, WIDTH))
    for orientation in ORIENTATIONS:
        np.testing.assert_array_equal(decode(oriented(plain, orientation)), decode(plain))
    np.testing.assert_array_equal(decode(plain, honor_orientation=True), decode(plain))


def test_shapes_inside_a_tf_function_are_as_without_it() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def trace(jpegs: tf.Tensor) -> tf.Tensor:
        images = decode_jpeg(jpegs, 3, honor_orientation=True)
        assert images.shape.as_list() == [None, None, None, 3]
        crops = decode_and_center_crop_resize(jpegs, (8, 9), honor_orientation=True)
        assert crops.shape.as_list() == [None, 8, 9, 3]
        return tf.shape(images)

    jpegs = [stored_jpeg(6), stored_jpeg(1)]
    assert trace(jpegs).numpy().tolist() == [2, HEIGHT, WIDTH, 3]


def test_a_broken_image_is_marked_whatever_its_orientation() -> None:
    jpeg = stored_jpeg(6)
    images, decoded = decode_and_center_crop_resize(
        [jpeg, jpeg[: len(jpeg) // 2], jpeg[:40]], 16, on_error="mark", honor_orientation=True
    )
    assert decoded.numpy().tolist() == [True, False, False]
    assert not images[1:].numpy().any()
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"contents: .*EOI"):
        decode_jpeg(jpeg[: len(jpeg) // 2], honor_orientation=True)


# image_batches


@pytest.fixture(scope="module")
def turned_photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One photograph of each orientation, which is its label."""
    path = tmp_path_factory.mktemp("turned") / "turned.pcr"
    with PcrWriter(path, examples_per_record=3) as writer:
        for orientation in ORIENTATIONS:
            jpeg = stored_jpeg(orientation)
            writer.write(encode_example({"image/encoded": [jpeg], "label": [orientation]}))
    return path


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_image_batches_are_of_upright_photographs(turned_photographs: Path, on_error: str) -> None:
    batches = image_batches(
        turned_photographs,
        (HEIGHT, WIDTH),
        3,
        label="label",
        training=False,
        crop_fraction=1.0,
        honor_orientation=True,
        on_error=on_error,
    )
    seen = []
    for images, labels in batches:
        for image, label in zip(images, labels.numpy(), strict=True):
            upright = transposed(oracle(stored_jpeg(label)), label)
            np.testing.assert_array_equal(image, upright)
            seen.append(label)
    assert seen == list(ORIENTATIONS)


@pytest.mark.parametrize("scan_groups", range(1, 11))
def test_image_batches_are_upright_at_every_fidelity(
    turned_photographs: Path, scan_groups: int
) -> None:
    (images, *_) = image_batches(
        turned_photographs,
        (HEIGHT, WIDTH),
        8,
        scan_groups=scan_groups,
        training=False,
        crop_fraction=1.0,
        honor_orientation=True,
    )
    features = {"image/encoded": tf.io.FixedLenFeature((), tf.string)}
    for image, orientation, serialized in zip(
        images, ORIENTATIONS, PcrDataset(turned_photographs, scan_groups), strict=True
    ):
        jpeg = tf.io.parse_single_example(serialized, features)["image/encoded"]
        stored = decode_jpeg(jpeg, block_smoothing=False).numpy()
        assert stored.shape[:2] == (
            (WIDTH, HEIGHT) if orientation in TRANSPOSED else (HEIGHT, WIDTH)
        )
        np.testing.assert_array_equal(image, transposed(stored, orientation))


def test_photographs_stored_turned_train_like_the_same_ones_stored_upright(
    tmp_path: Path,
) -> None:
    paths = tmp_path / "turned.pcr", tmp_path / "upright.pcr"
    with PcrWriter(paths[0]) as turned, PcrWriter(paths[1]) as upright:
        for orientation in ORIENTATIONS:
            pixels = textured(HEIGHT, WIDTH, seed=orientation)
            for writer, jpeg in (
                (turned, coded_turned(pixels, orientation)),
                (upright, coded_turned(pixels, 1)),
            ):
                writer.write(encode_example({"image/encoded": [jpeg], "label": [orientation]}))
    options = {"label": "label", "seed": 4, "shuffle": False, "dtype": tf.float32, "epochs": 2}
    batches = [
        list(image_batches(path, (40, 60), 5, honor_orientation=True, **options)) for path in paths
    ]
    for (images, labels), (expected, same_labels) in zip(*batches, strict=True):
        np.testing.assert_array_equal(labels, same_labels)
        assert np.abs(images - expected).mean(axis=(1, 2, 3)).max() < 3
    (crops, labels), *_ = image_batches(paths[0], (40, 60), 5, **options)
    expected = batches[1][0][0]
    error = np.abs(crops - expected).mean(axis=(1, 2, 3))
    assert [bool(off > 10) for off in error] == [label != 1 for label in labels.numpy()]


# Photographs


def test_photographs_of_any_orientation_equal_those_that_pillow_turns(test_images: Path) -> None:
    for number, jpeg in enumerate(photographs(test_images)[::12]):
        try:
            stored = oracle(jpeg, 3)
        except tf.errors.InvalidArgumentError:
            continue
        orientation = 1 + number % 8
        turned = oriented(jpeg, orientation)
        upright = transposed(stored, orientation)
        np.testing.assert_array_equal(decode_jpeg(turned, 3, honor_orientation=True), upright)
        seed = (number, 5)
        (window,) = random_windows(upright.shape[0], upright.shape[1], np.array([seed]))
        crop = decode_and_random_crop_resize(
            turned, (96, 128), seed, dtype=tf.float32, dct_scaling=False, honor_orientation=True
        )
        assert_nearly_equal(crop, cropped(upright, window, (96, 128)), tf.float32, window)


def test_a_data_set_of_format_1_0_is_refused_below_full_fidelity_with_the_remedy() -> None:
    old = ROOT / "tests" / "golden" / "v1" / "valid" / "two_records.pcr"
    for fidelity in (1, Fidelity(1)):
        with pytest.raises(ValueError, match=r"honor_orientation; .*convert the data set again"):
            image_batches(old, 8, 1, scan_groups=fidelity, honor_orientation=True)
        image_batches(old, 8, 1, scan_groups=fidelity)
    all_groups = open_dataset(old).index.header.num_groups
    for full in (None, all_groups):
        image_batches(old, 8, 1, scan_groups=full, honor_orientation=True)


@pytest.mark.parametrize("where", ["function", "nested", "tensor"])
def test_a_data_set_of_format_1_0_is_refused_inside_functions_too(where: str) -> None:
    old = ROOT / "tests" / "golden" / "v1" / "valid" / "colour_kinds.pcr"

    def images(scan_groups: Any) -> tf.data.Dataset:
        return image_batches(
            old, 8, 1, scan_groups=scan_groups, training=False, honor_orientation=True
        )

    def count(scan_groups: Any) -> int:
        if where == "nested":
            nested = tf.data.Dataset.range(1).flat_map(lambda _: images(scan_groups))
        elif where == "tensor":
            given = tf.data.Dataset.from_tensors(tf.constant(scan_groups))
            nested = given.flat_map(images)
        else:
            traced = tf.function(lambda: images(scan_groups).reduce(0, lambda n, _: n + 1))
            return int(traced())
        return sum(1 for _ in nested)

    all_groups = open_dataset(old).index.header.num_groups
    with pytest.raises(tf.errors.InvalidArgumentError, match="convert the data set again"):
        count(1)
    assert count(all_groups) == 8
