"""What the scans of a space cost, and what its states keep, measured once on images.

Two facts make a search cheap. The bytes of a scan depend on its components, its coefficients, Ah
and Al only: each has Huffman tables of its own, and which coefficients a refinement finds known
follows from Ah. And the pixels of a plane depend on that component's state only. So a few scripts
that meet every scan and every state tell the size and the similarity of every script of the space
at every fidelity.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pcr_tf import _native
from pcr_tf.image import MeanMsSsim, compared_part
from pcr_tf.scan_scripts.measure import chroma, decode, prefixes
from pcr_tf.scan_scripts.space import (
    DC_REFINEMENT,
    Scan,
    ScanSpace,
    State,
    Step,
    covering_paths,
    first_dc,
    scans_of,
    script_text,
    whole_ac,
)

PLANE_WEIGHTS = (6 / 8, 1 / 8, 1 / 8)
"""Weights of Y, Cb and Cr in a loss: those of the usual mean over planes in video coding (Ohm et
al., "Comparison of the coding efficiency of video coding standards", 2012)."""

DC_LEVELS = (1, 0)
"""Al of the first scan."""

# Processor time of decoding a scan: ns per byte, and ns per block of its components. Constants, so
# that a search has the same result on every machine: what counts is how they compare.
# `python -m benchmarks.scan_decode_time` fits them anew.
_FIRST_SCAN_NS = (12.0, 5.0)
_REFINEMENT_NS = (20.0, 20.0)


@dataclasses.dataclass(frozen=True)
class ScanCosts:
    """A space, measured. All values are means over images.

    Attributes:
        space: that was measured.
        source_bytes: of an image.
        scan_bytes: of each scan; that of the DC's first scan has what stands before it, too.
        scan_decode_ms: processor time of decoding each scan, as the constants of this module
            have it; what decoding takes besides its scans is not in it.
        losses: [component][Al of the DC][state of the component]: 1 - MS-SSIM of its plane to that
            of the full image, 0-1.
    """

    space: ScanSpace
    source_bytes: float
    scan_bytes: dict[Scan, float]
    scan_decode_ms: dict[Scan, float]
    losses: tuple[dict[int, dict[State, float]], ...]

    def loss(self, dc: int, states: Sequence[State]) -> float:
        """The loss of the planes together, 0-1.

        Args:
            dc: Al of the DC.
            states: of the three components.
        """
        return sum(
            weight * of_component[dc][state]
            for weight, of_component, state in zip(PLANE_WEIGHTS, self.losses, states, strict=True)
        )


def measure_costs(
    images: Sequence[bytes],
    space: ScanSpace | None = None,
    *,
    on_progress: Callable[[int], None] = lambda images: None,
) -> ScanCosts:
    """Measures a space on images.

    Args:
        images: JPEGs that can be re-coded. At least one must be in colour, and large enough for
            MS-SSIM: no side below 176 pixels.
        space: None: the default one, which takes some 8 s for each image.
        on_progress: called with 1 after each image.

    Raises:
        ValueError: no image is in colour and large enough.
    """
    totals = _Totals(space or ScanSpace())
    for image in images:
        totals.add(image)
        on_progress(1)
    return totals.means()


class _Totals:
    """Sums over images."""

    def __init__(self, space: ScanSpace) -> None:
        self._space = space
        self._luma_paths = covering_paths(space.luma)
        self._chroma_paths = covering_paths(space.chroma)
        self._images = self._source_bytes = 0
        self._scan_bytes: dict[Scan, int] = {}
        self._scan_decode_ns: dict[Scan, float] = {}
        self._states: dict[tuple[int, int], list[State]] = {}  # by component, Al of the DC
        self._similarities: dict[tuple[int, int], MeanMsSsim] = {}  # likewise

    def add(self, image: bytes) -> None:
        """Measures all scans and all states of one image."""
        self._images += 1
        self._source_bytes += len(image)
        sizes: dict[Scan, int] = {}
        full = decode(image)
        grey = (chroma(full) == 128).all()
        for dc in DC_LEVELS:
            scripts = [_luma_script(self._space, dc, path) for path in self._luma_paths]
            versions = _versions(image, scripts, sizes)
            planes = {s: decode(jpeg, channels=1)[..., 0] for s, jpeg in versions.items()}
            self._compare(0, dc, planes, decode(image, channels=1)[..., 0])
            scripts = [_chroma_script(self._space, dc, path) for path in self._chroma_paths]
            versions = _versions(image, scripts, sizes)
            if grey:
                continue
            coloured = {state: chroma(decode(jpeg)) for state, jpeg in versions.items()}
            for plane, component in enumerate((1, 2)):
                planes = {state: both[plane] for state, both in coloured.items()}
                self._compare(component, dc, planes, chroma(full)[plane])
        blocks = blocks_by_component(image)
        for scan, size in sizes.items():
            per_byte, per_block = _REFINEMENT_NS if scan.ah else _FIRST_SCAN_NS
            scanned = sum(blocks[component] for component in scan.components)
            ns = per_byte * size + per_block * scanned
            self._scan_bytes[scan] = self._scan_bytes.get(scan, 0) + size
            self._scan_decode_ns[scan] = self._scan_decode_ns.get(scan, 0) + ns

    def _compare(self, component: int, dc: int, planes: Mapping[State, Any], full: Any) -> None:
        """Takes a component's plane, uint8 [height, width], in its states."""
        key = (component, dc)
        states = self._states.setdefault(key, list(planes))
        mean = self._similarities.setdefault(key, MeanMsSsim())
        mean.add([compared_part(plane) for plane in (*(planes[state] for state in states), full)])

    def means(self) -> ScanCosts:
        """What was added, per image."""
        losses: tuple[dict[int, dict[State, float]], ...] = ({}, {}, {})
        for (component, dc), states in self._states.items():
            similarities = self._similarities[component, dc].result()
            if similarities is not None:
                of_states = zip(states, similarities, strict=True)
                losses[component][dc] = {state: 1 - value for state, value in of_states}
        if not all(losses):
            raise ValueError(
                "the search needs an image in colour with no side below 176 pixels; got "
                f"{self._images} images, none of them such a one"
            )
        return ScanCosts(
            space=self._space,
            source_bytes=self._source_bytes / self._images,
            scan_bytes={scan: n / self._images for scan, n in self._scan_bytes.items()},
            scan_decode_ms={s: ns / self._images / 1e6 for s, ns in self._scan_decode_ns.items()},
            losses=losses,
        )


# A script as (scan, the state of the measured component after it; None: not measured).
_Script = list[tuple[Scan, State | None]]


def _luma_script(space: ScanSpace, dc: int, path: Sequence[Step]) -> _Script:
    states = (step.after for step in path)
    return [
        (first_dc(dc), space.luma.nothing),
        *zip(scans_of(0, path), states, strict=True),
        *((whole_ac(component), None) for component in (1, 2)),
        *_last_dc(dc),
    ]


def _chroma_script(space: ScanSpace, dc: int, path: Sequence[Step]) -> _Script:
    """Luma first: colours on wrong luma would be clipped. Then Cb and Cr in turn."""
    script = [(first_dc(dc), None), (whole_ac(0), space.chroma.nothing)]
    for cb, cr, step in zip(scans_of(1, path), scans_of(2, path), path, strict=True):
        script += [(cb, None), (cr, step.after)]
    return [*script, *_last_dc(dc)]


def _last_dc(dc: int) -> _Script:
    return [(DC_REFINEMENT, None)] if dc else []


def _versions(
    image: bytes, scripts: Sequence[_Script], sizes: dict[Scan, int]
) -> dict[State, bytes]:
    """A JPEG for each state that scripts pass through, and the bytes of their scans in `sizes`."""
    versions: dict[State, bytes] = {}
    for script in scripts:
        scans, states = zip(*script, strict=True)
        if sizes.keys() >= set(scans) and versions.keys() >= {*states} - {None}:
            continue
        parsed = _native.ScanScript(script_text([[scan] for scan in scans]))
        coded = _native.transcode(image, parsed, prove=False)
        sizes.update(zip(scans, coded.group_sizes, strict=True))
        for state, version in zip(states, prefixes(coded), strict=True):
            if state is not None:
                versions.setdefault(state, version)
    return versions


def blocks_by_component(image: bytes) -> list[int]:
    """Number of blocks of each component; 0 for one of the three that an image has not."""
    from PIL import Image

    opened: Any = Image.open(io.BytesIO(image))
    with opened:
        width, height = opened.size
        factors = [(h, v) for _, h, v, _ in opened.layer]
    widest, highest = (max(column) for column in zip(*factors, strict=True))
    blocks = [-(-width * h // (8 * widest)) * -(-height * v // (8 * highest)) for h, v in factors]
    return blocks + [0] * (3 - len(blocks))
