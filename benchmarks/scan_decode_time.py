r"""Fits what decoding a scan costs: the constants of pcr_tf/scan_scripts/scan_costs.py.

    python -m benchmarks.scan_decode_time [--images=/my/folder] [--num_images=48]

Prefixes of the package's scripts, cut after every scan, are decoded by one thread. Their processor
times are fitted by a constant, ns per byte and ns per block, the last two for first scans and for
refinements.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from absl import app, flags

from benchmarks import inputs, measure
from pcr_tf import _native
from pcr_tf.format import scan_scripts
from pcr_tf.image import decode_jpeg
from pcr_tf.scan_scripts.measure import prefixes
from pcr_tf.scan_scripts.scan_costs import blocks_by_component

_NUM_IMAGES = flags.DEFINE_integer("num_images", 48, "Photographs to decode.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Repetitions of each decoding.", lower_bound=1)

_TERMS = (
    "first scan, ns per byte",
    "first scan, ns per block",
    "refinement, ns per byte",
    "refinement, ns per block",
)


def _scans(text: str) -> list[tuple[list[int], bool]]:
    """Of each scan of a script: its components, and whether it is a refinement."""
    lines = (line.partition("#")[0] for line in text.splitlines())
    entries = " ".join(lines).split(";")[:-1]
    parts = (entry.split(":") for entry in entries)
    return [
        ([int(c) for c in components.split(",")], int(rest.split(",")[1]) > 0)
        for components, rest in parts
    ]


def _without_groups(text: str) -> str:
    """The script with every scan a group of its own."""
    return "\n".join(line for line in text.splitlines() if line.strip("# ") != "group")


def _decode_ns(jpeg: bytes) -> float:
    times = []
    for _ in range(_ROUNDS.value):
        begin = time.process_time_ns()
        decode_jpeg(jpeg, channels=3, block_smoothing=False)
        times.append(time.process_time_ns() - begin)
    return float(np.median(times))


def _rows(image: bytes, texts: Sequence[str]) -> tuple[list[list[float]], list[float]]:
    """Of each prefix of an image: its bytes and blocks by kind of scan, and its decoding time."""
    blocks = blocks_by_component(image)
    features, times = [], []
    for text in texts:
        script = _native.ScanScript(_without_groups(text))
        coded = _native.transcode(image, script, prove=False)
        so_far = np.zeros(4)
        scans = zip(_scans(text), coded.group_sizes, prefixes(coded), strict=True)
        for (components, refines), size, jpeg in scans:
            scanned = sum(blocks[c] for c in components)
            so_far[2 * refines :][:2] += size, scanned
            features.append([*so_far, sum(blocks)])
            times.append(_decode_ns(jpeg))
    return features, times


def main(argv: list[str]) -> None:
    """Measures, prints the fit and writes scan_decode_time.json."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    photographs = inputs.photographs()
    step = max(1, len(photographs.files) // _NUM_IMAGES.value)
    texts = [path.read_text() for path in scan_scripts.named_scripts().values()]
    features, times = [], []
    for path in photographs.files[::step][: _NUM_IMAGES.value]:
        of_image = _rows(path.read_bytes(), texts)
        features += of_image[0]
        times += of_image[1]
    matrix, measured = np.array(features), np.array(times)
    fit, *_ = np.linalg.lstsq(matrix, measured, rcond=None)
    error = matrix @ fit - measured
    explained = float(1 - error.var() / measured.var())
    print(f"{photographs.origin}: {len(times)} prefixes, {explained:.1%} of the variance explained")
    values = dict(zip((*_TERMS, "other work, ns per block"), map(float, fit), strict=True))
    print(measure.table(["", "fitted"], [[name, f"{v:.1f}"] for name, v in values.items()]))
    result = {"photographs": photographs.origin, "explained": explained, "fit": values}
    print(measure.write_json(inputs.OUTPUT_DIR.value, "scan_decode_time", result))


if __name__ == "__main__":
    app.run(main)
