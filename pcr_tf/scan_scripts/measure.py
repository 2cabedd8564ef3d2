"""What each scan group of a script costs and keeps, measured on images."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pcr_tf import _native
from pcr_tf.image import MeanMsSsim, compared_luma, compared_part, decode_jpeg

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
        uint8 [2, height, width].
    """
    planes = np.moveaxis(np.asarray(rgb, np.float32) @ _CHROMA_OF_RGB.T, 2, 0) + 128
    return np.clip(np.rint(planes), 0, 255).astype(np.uint8)


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
    similarities = _Similarities()
    for image in images:
        versions = {}
        for name, script in parsed.items():
            coded = _native.transcode(image, script, prove=False)
            totals[name] += np.cumsum(coded.group_sizes)
            versions[name] = prefixes(coded)
        similarities.add([decode(v) for of_script in versions.values() for v in of_script])
        on_progress(1)
    times = {name: np.zeros((rounds, script.num_groups)) for name, script in parsed.items()}
    for round_number in range(rounds):
        for image in images:
            for name, script in parsed.items():
                versions_of_one = prefixes(_native.transcode(image, script, prove=False))
                times[name][round_number] += [_decode_s(version) for version in versions_of_one]
            on_progress(1)
    source_bytes = sum(map(len, images))
    luma, colour = similarities.by_script({n: script.num_groups for n, script in parsed.items()})
    return [
        ScriptFigures(
            name,
            script.text,
            [
                GroupFigures(
                    scan_groups=g + 1,
                    bytes_per_image=float(totals[name][g]) / len(images),
                    source_share=float(totals[name][g]) / source_bytes,
                    ms_ssim=luma[name][g],
                    ms_ssim_chroma=colour[name][g],
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


class _Similarities:
    """MS-SSIM of all versions of images, of all scripts, to the full images; by plane."""

    def __init__(self) -> None:
        self._luma, self._cb, self._cr = MeanMsSsim(), MeanMsSsim(), MeanMsSsim()

    def add(self, versions: Sequence[Any]) -> None:
        """Takes all versions of an image; the last is the full one."""
        versions = [*versions, versions[-1]]
        self._luma.add([compared_luma(image) for image in versions])
        planes = [chroma(image) for image in versions]
        if (planes[-1] == 128).all():
            return  # A grey image.
        for plane, mean in enumerate((self._cb, self._cr)):
            mean.add([compared_part(both[plane]) for both in planes])

    def by_script(
        self, num_groups: Mapping[str, int]
    ) -> tuple[dict[str, list[float | None]], dict[str, list[float | None]]]:
        """Of luma, and of chroma, by name of the script, the means at fidelity 1, 2, ..."""
        of_planes = [mean.result() for mean in (self._cb, self._cr)]
        chroma_means = None
        if of_planes[0] is not None and of_planes[1] is not None:
            chroma_means = [(cb + cr) / 2 for cb, cr in zip(*of_planes, strict=True)]
        return _split(self._luma.result(), num_groups), _split(chroma_means, num_groups)


def _split(
    values: Sequence[float] | None, num_groups: Mapping[str, int]
) -> dict[str, list[float | None]]:
    by_script: dict[str, list[float | None]] = {}
    at = 0
    for name, groups in num_groups.items():
        of_script = [None] * groups if values is None else values[at : at + groups]
        by_script[name] = list(of_script)
        at += groups
    return by_script


def _decode_s(jpeg: bytes) -> float:
    begin = time.process_time()
    decode_jpeg(jpeg, channels=3, block_smoothing=False)
    return time.process_time() - begin
