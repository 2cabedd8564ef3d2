r"""Draws a labelled set of JPEG images that have the statistics of photographs.

    python -m benchmarks.drawn_photographs --output_dir=build/photographs

The set has two label levels, written as nested class folders `<scene>/<weave>/`:

- the *scene* (coarse) is the large layout and the hue: it survives strong compression;
- the *weave* (fine) is the direction of a faint luma texture with a period of about 3 pixels: it
  lives in the high DCT coefficients, so the first scans of a progressive JPEG do not hold it.

An image is a dead-leaves picture (occluding shapes with radii distributed as r^-3, which gives
edges and a power spectrum that falls with a power of the frequency, as that of photographs does),
shaded smoothly, covered with 1/f noise, partly out of focus, with the weave and sensor noise on
top. Sizes, quality, chroma subsampling and the share of greyscale files follow those of ImageNet:
4:4:4 at quality 96, some 4:2:0, a few without colour; about 110 KB each.

Every image is a function of (seed, scene, weave, number) alone: the set is the same with any number
of workers, and a drawing that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import io
import json
import math
import multiprocessing
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
from absl import app, flags

# float32 throughout; images are [height, width] or [height, width, 3], 0-255.
FloatArray = npt.NDArray[Any]

# Goes up whenever the pixels of a set with the same settings change: a cached set is then refused.
RECIPE = 1

# (width, height) in pixels, with ImageNet's usual ones.
_SIZES = ((500, 375), (500, 375), (500, 333), (375, 500), (400, 400), (480, 360))


@dataclasses.dataclass(frozen=True)
class Scene:
    """What a coarse class looks like: the colours and the shapes of its leaves."""

    leaf_hue: float  # mean hue of the leaves, in turns, 0-1
    sky_hue: float  # hue of the background's top, in turns
    ground_hue: float  # hue of its bottom
    horizon: float  # where the two meet, as a share of the height from the top
    aspect: float  # mean width / height of a leaf
    roundness: float  # exponent of the superellipse: 2 is an ellipse, 8 is nearly a rectangle
    tilt: float  # spread of the leaves' rotation, in radians
    radii: tuple[float, float]  # smallest and largest leaf, in pixels
    coverage: float  # total area of the leaves / area of the image


SCENES = {
    "canopy": Scene(0.29, 0.55, 0.33, 0.3, 1.8, 2.0, 3.0, (5.0, 70.0), 1.5),
    "orchard": Scene(0.02, 0.25, 0.30, 0.5, 1.0, 2.2, 3.0, (9.0, 110.0), 1.4),
    "shore": Scene(0.11, 0.58, 0.10, 0.45, 4.0, 2.0, 0.06, (5.0, 60.0), 1.0),
    "towers": Scene(0.75, 0.60, 0.80, 0.7, 0.35, 8.0, 0.03, (6.0, 100.0), 1.4),
}

# Fine class: direction of the weave's wave vector, in degrees.
WEAVES = {"level": 90.0, "rising": 45.0, "upright": 0.0, "falling": 135.0}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What determines the files of a drawn set (byte for byte, given one NumPy and Pillow).

    Attributes:
        images_per_class: at least 1; there are 16 classes.
        seed: at least 0.
        recipe: version of this program's drawing.
    """

    images_per_class: int = 64
    seed: int = 0
    recipe: int = RECIPE

    def __post_init__(self) -> None:
        if self.images_per_class < 1:
            raise ValueError(f"images_per_class: expected at least 1, got {self.images_per_class}")

    @property
    def num_images(self) -> int:
        """Images in the whole set."""
        return self.images_per_class * len(SCENES) * len(WEAVES)


def _frequencies(shape: tuple[int, int]) -> FloatArray:
    """Spatial frequencies of rfft2, in cycles per pixel: [height, width // 2 + 1]."""
    vertical = np.fft.fftfreq(shape[0])[:, np.newaxis]
    horizontal = np.fft.rfftfreq(shape[1])[np.newaxis, :]
    return np.hypot(vertical, horizontal).astype(np.float32)


def _blur_gain(frequency: FloatArray, sigma_pixels: float) -> FloatArray:
    return np.exp(-2.0 * (math.pi * sigma_pixels * frequency) ** 2)


def _cloud(
    rng: np.random.Generator, frequency: FloatArray, shape: tuple[int, int], slope: float
) -> FloatArray:
    """Gaussian noise whose amplitude falls as 1/f^slope, with mean 0 and standard deviation 1."""
    real, imaginary = rng.standard_normal((2, *frequency.shape), dtype=np.float32)
    gain = np.where(frequency > 0, np.maximum(frequency, 1e-6) ** -slope, 0.0)
    field = np.fft.irfft2((real + 1j * imaginary) * gain, s=shape).astype(np.float32)
    return field / field.std()


def _rgb(hue: FloatArray, saturation: FloatArray, value: FloatArray) -> FloatArray:
    """Colours of arrays of equal shape: hue in turns (periodic), saturation 0-1, value 0-255."""
    sector = (np.asarray(hue)[..., np.newaxis] * 6.0 + np.array([0.0, 4.0, 2.0])) % 6.0
    pure = np.clip(np.abs(sector - 3.0) - 1.0, 0.0, 1.0)
    grey = 1.0 - saturation[..., np.newaxis] * (1.0 - pure)
    return (value[..., np.newaxis] * grey).astype(np.float32)


def _leaf_map(
    rng: np.random.Generator, scene: Scene, shape: tuple[int, int]
) -> tuple[npt.NDArray[np.int32], int]:
    """The leaf on top of each pixel, [height, width], 0 for the background; and their number."""
    height, width = shape
    smallest, largest = scene.radii
    on_top = np.zeros(shape, np.int32)
    painted, leaf = 0.0, 0
    while painted < scene.coverage * height * width:
        leaf += 1
        # Inverse of the distribution function of a density proportional to r^-3.
        radius = (smallest**-2 - rng.random() * (smallest**-2 - largest**-2)) ** -0.5
        aspect = scene.aspect * math.exp(0.25 * rng.standard_normal())
        semi_x, semi_y = radius * math.sqrt(aspect), radius / math.sqrt(aspect)
        angle = scene.tilt * (rng.random() - 0.5)
        centre_x, centre_y = rng.random() * width, rng.random() * height
        painted += math.pi * radius**2
        reach_x = int(semi_x * abs(math.cos(angle)) + semi_y * abs(math.sin(angle))) + 1
        reach_y = int(semi_y * abs(math.cos(angle)) + semi_x * abs(math.sin(angle))) + 1
        left, right = max(0, int(centre_x) - reach_x), min(width, int(centre_x) + reach_x + 1)
        top, bottom = max(0, int(centre_y) - reach_y), min(height, int(centre_y) + reach_y + 1)
        x = np.arange(left, right, dtype=np.float32)[np.newaxis, :] - centre_x
        y = np.arange(top, bottom, dtype=np.float32)[:, np.newaxis] - centre_y
        along = np.abs(x * math.cos(angle) + y * math.sin(angle)) / semi_x
        across = np.abs(y * math.cos(angle) - x * math.sin(angle)) / semi_y
        inside = along**scene.roundness + across**scene.roundness < 1.0
        on_top[top:bottom, left:right][inside] = leaf
    return on_top, leaf


def draw(scene: Scene, weave_degrees: float, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Draws one image.

    Args:
      scene: the coarse class.
      weave_degrees: the fine class: direction of the weave's wave vector.
      rng: every choice comes from it, the image's size included.

    Returns:
      uint8 [height, width, 3], RGB.

    Example:
      >>> draw(SCENES['shore'], WEAVES['rising'], np.random.default_rng(0)).shape
      (360, 480, 3)
    """
    width, height = _SIZES[rng.integers(len(_SIZES))]
    shape = (height, width)
    frequency = _frequencies(shape)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)

    # The background: two hues that meet at a horizon which is soft and not quite straight.
    relief = _cloud(rng, frequency, shape, 1.6)
    ground = 1.0 / (1.0 + np.exp(-(y / height - scene.horizon + 0.04 * relief) * 30.0))
    sky_colour, ground_colour = _rgb(
        np.array([scene.sky_hue, scene.ground_hue]) + 0.02 * rng.standard_normal(2),
        rng.uniform(0.25, 0.5, 2),
        rng.uniform([150.0, 70.0], [220.0, 150.0]),
    )
    image = sky_colour + (ground_colour - sky_colour) * ground[..., np.newaxis]

    # Each leaf has a colour, a shading gradient and a contrast, looked up per pixel.
    on_top, leaves = _leaf_map(rng, scene, shape)
    colour = _rgb(
        scene.leaf_hue + 0.035 * rng.standard_normal(leaves + 1),
        rng.uniform(0.2, 0.6, leaves + 1),
        rng.uniform(30, 235, leaves + 1),
    )
    slope = (0.25 * rng.standard_normal((2, leaves + 1))).astype(np.float32)
    contrast = rng.uniform(2.0, 10.0, leaves + 1).astype(np.float32)
    covered = on_top > 0
    image[covered] = colour[on_top[covered]]
    shading = slope[0][on_top] * (x - width / 2) + slope[1][on_top] * (y - height / 2)
    shading += contrast[on_top] * _cloud(rng, frequency, shape, 1.0) + 8.0 * relief
    image *= (1.0 + np.clip(shading, -90.0, 90.0) / 128.0)[..., np.newaxis]
    # Pigment: colour varies at small scale too, less than light does.
    for channel in range(3):
        image[..., channel] += 2.5 * _cloud(rng, frequency, shape, 0.9)

    # The lens: sharp where the depth map says so, out of focus elsewhere.
    lens, defocus = _blur_gain(frequency, 0.45), _blur_gain(frequency, rng.uniform(0.8, 2.0))
    depth = 1.0 / (
        1.0 + np.exp(-4.0 * (_cloud(rng, frequency, shape, 1.8) + rng.uniform(0.0, 1.6)))
    )
    for channel in range(3):
        spectrum = np.fft.rfft2(image[..., channel])
        sharp = np.fft.irfft2(spectrum * lens, s=shape)
        image[..., channel] = sharp + (np.fft.irfft2(spectrum * defocus, s=shape) - sharp) * (
            1.0 - depth
        )

    # The weave bends a little and comes and goes, so that no single coefficient gives it away.
    angle = math.radians(weave_degrees + 4.0 * rng.standard_normal())
    phase = (
        2.0
        * math.pi
        * ((x * math.cos(angle) + y * math.sin(angle)) / rng.uniform(2.7, 3.3) + rng.random())
    )
    strength = np.clip(5.5 + 2.0 * relief, 2.0, 10.0)
    # The sensor: shot noise grows with the light, and is independent per channel.
    sigma = math.exp(0.6 * rng.standard_normal()) * np.sqrt(
        0.4 + 0.007 * np.clip(image, 0.0, 255.0)
    )
    image += (strength * np.sin(phase + relief))[..., np.newaxis]
    image += sigma * rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(image + 0.5, 0.0, 255.0).astype(np.uint8)


def encode(pixels: npt.NDArray[np.uint8], rng: np.random.Generator) -> bytes:
    """Encodes an image as a JPEG: 4:4:4 at quality 96; one in five 4:2:0, one in forty grey."""
    image = PIL.Image.fromarray(pixels)
    kind = rng.random()
    if kind < 0.025:
        image = image.convert("L")
    out = io.BytesIO()
    if 0.025 <= kind < 0.225:
        image.save(out, "JPEG", quality=int(rng.integers(93, 97)), subsampling="4:2:0")
    else:
        image.save(out, "JPEG", quality=96, subsampling="4:4:4")
    return out.getvalue()


@dataclasses.dataclass(frozen=True)
class _Task:
    path: pathlib.Path
    scene: str
    weave: str
    seed: tuple[int, ...]


def _tasks(folder: pathlib.Path, settings: Settings) -> Iterator[_Task]:
    for scene_index, scene in enumerate(SCENES):
        for weave_index, weave in enumerate(WEAVES):
            for number in range(settings.images_per_class):
                name = f"{scene}-{weave}-{number:04d}.jpg"
                seed = (settings.seed, scene_index, weave_index, number)
                yield _Task(folder / scene / weave / name, scene, weave, seed)


def _draw_file(task: _Task) -> None:
    rng = np.random.default_rng(task.seed)
    data = encode(draw(SCENES[task.scene], WEAVES[task.weave], rng), rng)
    # A file that has its final name is complete: an interrupted drawing goes on behind it.
    temporary = task.path.with_suffix(".partial")
    temporary.write_bytes(data)
    temporary.replace(task.path)


@contextlib.contextmanager
def _kept_heap() -> Iterator[None]:
    """Child processes keep freed memory: else a fifth of their time goes to getting pages anew."""
    wanted = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 27)}
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def draw_set(
    folder: str | os.PathLike[str],
    settings: Settings,
    *,
    num_workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Draws the images of a set that are not there yet.

    Args:
      folder: where the class folders go. What is in it is recorded beside it, in `<folder>.json`.
      settings: what to draw.
      num_workers: processes to draw with.
      progress: called with (images done, images to draw) from time to time.

    Returns:
      The number of images drawn by this call; 0 if the set was complete.

    Raises:
      ValueError: the folder holds a set with other settings.
    """
    folder = pathlib.Path(folder)
    record = folder.with_name(folder.name + ".json")
    wanted = dataclasses.asdict(settings)
    if record.exists():
        found = json.loads(record.read_text())
        if found != wanted:
            raise ValueError(
                f"{record}: the folder must hold a set with these settings; expected {wanted}, "
                f"got {found}; choose another folder, or delete this one and its .json"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise ValueError(
            f"{folder}: a folder that is not empty must have been made by this program; expected "
            f"{record}, got no such file; choose another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(wanted, indent=2) + "\n")
    tasks = [task for task in _tasks(folder, settings) if not task.path.exists()]
    for parent in {task.path.parent for task in tasks}:
        parent.mkdir(parents=True, exist_ok=True)
    if not tasks:
        return 0
    # Spawned, not forked: the caller may have threads (TensorFlow's, for one).
    context = multiprocessing.get_context("spawn")
    with (
        _kept_heap(),
        concurrent.futures.ProcessPoolExecutor(num_workers, mp_context=context) as pool,
    ):
        for done, _ in enumerate(pool.map(_draw_file, tasks, chunksize=8), start=1):
            if progress is not None:
                progress(done, len(tasks))
    return len(tasks)


def _define_flags() -> None:
    flags.DEFINE_string("output_dir", "build/photographs", "Folder for the class folders.")
    flags.DEFINE_integer(
        "images_per_class",
        Settings.images_per_class,
        f"Images in each of the {len(SCENES) * len(WEAVES)} classes.",
        lower_bound=1,
    )
    flags.DEFINE_integer("seed", Settings.seed, "Equal seeds give equal images.", lower_bound=0)
    flags.DEFINE_integer("num_workers", os.cpu_count(), "Processes to draw with.", lower_bound=1)


def main(argv: list[str]) -> None:
    """Draws the set that the flags ask for and prints what is in the folder."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    values = flags.FLAGS
    settings = Settings(values.images_per_class, values.seed)
    drawn = draw_set(values.output_dir, settings, num_workers=values.num_workers)
    sizes = [path.stat().st_size for path in pathlib.Path(values.output_dir).glob("*/*/*.jpg")]
    mean_kb = sum(sizes) / len(sizes) / 1000
    print(f"{values.output_dir}: {len(sizes)} images, {mean_kb:.1f} KB each; {drawn} drawn now")


if __name__ == "__main__":
    _define_flags()
    app.run(main)
