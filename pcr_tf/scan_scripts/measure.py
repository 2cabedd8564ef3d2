"""What each scan group of a script costs and keeps, measured on images."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pcr_tf import _native
from pcr_tf.image import decode_jpeg
from pcr_tf.scan_scripts.similarity import ms_ssim_to_last

_END_OF_IMAGE = b"\xff\xd9"
# Rows: Cb and Cr of RGB (JFIF 1.02).
_CHROMA_OF_RGB = np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)


@dataclasses.dataclass(frozen=True)
class GroupFigures:
    """A script at one fidelity.

    Attributes:
        scan_groups: the fidelity.
        bytes_per_image: of the scans of groups 1 to `scan_groups`, mean; metadata of records and
            ancillary segments are not among them.
        source_share: the same as a share of the source's bytes.
        ms_ssim: multi-scale structural similarity of luma to the full image, 0-1, mean; None where
            no image is large enough for it (176 pixels).
        ms_ssim_chroma: the same of Cb and Cr; None where no image is large enough or has colour.
        decode_ms: processor time of decoding an image to RGB, mean over images, median of rounds.
    """

    scan_groups: int
    bytes_per_image: float
    source_share: float
    ms_ssim: float | None
    ms_ssim_chroma: float | None
    decode_ms: float


@dataclasses.dataclass(frozen=True)
class ScriptFigures:
    """A script at all its fidelities, the lowest first."""

    name: str
    text: str
    groups: list[GroupFigures]


def prefixes(coded: _native.CodedImage) -> list[bytes]:
    """The image at fidelity 1, 2, ..., G, without ancillary segments (docs/FORMAT.md, section 10).

    Returns:
        G JPEGs.
    """
    ends = np.cumsum(coded.group_sizes).tolist()
    return [coded.scans[:end] + _END_OF_IMAGE for end in ends]


def chroma(rgb: Any) -> Any:
    """Cb and Cr of an image.

    Args:
        rgb: uint8 [height, width, 3].

    Returns:
        uint8 [2, height, width, 3]: each plane three times, as `ms_ssim_to_last` takes images.
    """
    planes = np.moveaxis(np.asarray(rgb, np.float32) @ _CHROMA_OF_RGB.T, 2, 0) + 128
    planes = np.clip(np.rint(planes), 0, 255).astype(np.uint8)[..., None]
    return np.broadcast_to(planes, (*planes.shape[:3], 3))


def decode(jpeg: bytes, channels: int = 3) -> Any:
    """uint8 [height, width, channels], without block smoothing, as training decodes."""
    return decode_jpeg(jpeg, channels=channels, block_smoothing=False).numpy()


def measure_scripts(
    images: Sequence[bytes],
    scripts: Mapping[str, str],
    *,
    rounds: int = 3,
    on_progress: Callable[[int], None] = lambda images: None,
) -> list[ScriptFigures]:
    """Measures scripts beside each other.

    Args:
        images: JPEGs that can be re-coded.
        scripts: texts by name.
        rounds: how often each image is decoded at each fidelity, at least 1. Every round decodes an
            image at the fidelities of all scripts before it goes to the next image.
        on_progress: called with 1 after each image, once for size and similarity and once for each
            round of decoding.

    Raises:
        ValueError: a script is not valid; names script and line. Or there is no image.

    Example:
        measure_scripts(sample.images, {"standard": load_scan_script("standard")})
    """
    if not images or rounds < 1:
        raise ValueError(f"expected images and at least 1 round; got {len(images)}, {rounds}")
    parsed = {name: parse_script(name, text) for name, text in scripts.items()}
    totals = {name: np.zeros(script.num_groups) for name, script in parsed.items()}
    luma: dict[str, list[list[float]]] = {name: [] for name in parsed}
    colour: dict[str, list[list[float]]] = {name: [] for name in parsed}
    for image in images:
        versions = {}
        for name, script in parsed.items():
            coded = _native.transcode(image, script, prove=False)
            totals[name] += np.cumsum(coded.group_sizes)
            versions[name] = prefixes(coded)
        _add_similarities(versions, luma, colour)
        on_progress(1)
    times = {name: np.zeros((rounds, script.num_groups)) for name, script in parsed.items()}
    for round_number in range(rounds):
        for image in images:
            for name, script in parsed.items():
                versions_of_one = prefixes(_native.transcode(image, script, prove=False))
                times[name][round_number] += [_decode_s(version) for version in versions_of_one]
            on_progress(1)
    source_bytes = sum(map(len, images))
    return [
        ScriptFigures(
            name,
            script.text,
            [
                GroupFigures(
                    scan_groups=g + 1,
                    bytes_per_image=float(totals[name][g]) / len(images),
                    source_share=float(totals[name][g]) / source_bytes,
                    ms_ssim=_mean(luma[name], g),
                    ms_ssim_chroma=_mean(colour[name], g),
                    decode_ms=1000 * float(np.median(times[name][:, g])) / len(images),
                )
                for g in range(script.num_groups)
            ],
        )
        for name, script in parsed.items()
    ]


def parse_script(name: str, text: str) -> _native.ScanScript:
    """The script, or a ValueError that names it and its line in error."""
    try:
        return _native.ScanScript(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _mean(values: list[list[float]], group: int) -> float | None:
    return statistics.fmean(row[group] for row in values) if values else None


def _add_similarities(
    versions: Mapping[str, list[bytes]],
    luma: dict[str, list[list[float]]],
    colour: dict[str, list[list[float]]],
) -> None:
    """Appends the similarities of one image's versions to what its scripts have so far."""
    pixels = [decode(version) for of_script in versions.values() for version in of_script]
    similarities = ms_ssim_to_last([*pixels, pixels[-1]])
    if similarities is None:
        return
    _append_by_script(versions, similarities, luma)
    planes = [chroma(image) for image in pixels]
    if (planes[-1] == 128).all():
        return  # A grey image.
    of_plane = [ms_ssim_to_last([image[p] for image in [*planes, planes[-1]]]) for p in (0, 1)]
    means = [(cb + cr) / 2 for cb, cr in zip(of_plane[0] or [], of_plane[1] or [], strict=True)]
    _append_by_script(versions, means, colour)


def _append_by_script(
    versions: Mapping[str, list[bytes]], values: list[float], to: dict[str, list[list[float]]]
) -> None:
    at = 0
    for name, of_script in versions.items():
        to[name].append(values[at : at + len(of_script)])
        at += len(of_script)


def _decode_s(jpeg: bytes) -> float:
    begin = time.process_time()
    decode_jpeg(jpeg, channels=3, block_smoothing=False)
    return time.process_time() - begin
