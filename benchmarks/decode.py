r"""Measures decoding alone, per fidelity, beside tf.io.decode_jpeg, Pillow and simplejpeg.

    python -m benchmarks.decode [--images=/my/folder] [--scan_groups=1,2,5,10]

Four tables: images/s of one thread from bytes in memory to pixels, of the original files and of
the prefixes of each fidelity; what block smoothing costs in time and gives in similarity to the
full image; images/s on several threads inside of tf.data; and how much memory decoding takes at
most, each decoder in a process of its own.

Every decoder computes accurate integer DCTs and interpolates chroma, but for Pillow, which has no
say in it and does the same. Images that one of them refuses are left out.
"""

from __future__ import annotations

import functools
import io
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import simplejpeg
import tensorflow as tf
from absl import app, flags
from PIL import Image

import pcr_tf
from benchmarks import inputs, measure
from pcr_tf.format import PcrReader
from pcr_tf.format.example import bytes_features

_SCAN_GROUPS = flags.DEFINE_list("scan_groups", ["1", "2", "5", "10"], "Fidelities to measure.")
_NUM_IMAGES = flags.DEFINE_integer(
    "num_images", 100, "Images of a measurement, at most.", lower_bound=1
)
_SIMILARITY_IMAGES = flags.DEFINE_integer(
    "similarity_images", 40, "Images to compute similarities on, at most.", lower_bound=1
)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Measurements of each case.", lower_bound=1)
_PEAK_OF = flags.DEFINE_string(
    "peak_of", None, "Only decode with this decoder, and print the memory taken, in bytes."
)

_IMAGES_PER_RECORD = 64
_ORIGINAL = "original files"
_PCR_TF = "pcr_tf"
_NO_SMOOTHING = "pcr_tf, no smoothing"


def _with_pillow(jpeg: bytes) -> Any:
    with Image.open(io.BytesIO(jpeg)) as image:
        return np.asarray(image.convert("RGB"))


# Each takes a JPEG and gives uint8 [height, width, 3].
_DECODERS: dict[str, Callable[[bytes], Any]] = {
    _PCR_TF: functools.partial(pcr_tf.image.decode_jpeg, channels=3),
    _NO_SMOOTHING: functools.partial(pcr_tf.image.decode_jpeg, channels=3, block_smoothing=False),
    "tf.io.decode_jpeg": functools.partial(
        tf.io.decode_jpeg, channels=3, dct_method="INTEGER_ACCURATE"
    ),
    "Pillow": _with_pillow,
    "simplejpeg": functools.partial(simplejpeg.decode_jpeg, strict=False),
}
_IN_TF_DATA = (_PCR_TF, "tf.io.decode_jpeg")


def _jpegs(photographs: inputs.Photographs) -> dict[str, list[bytes]]:
    """The first images that all decoders take: original files and prefixes, by what they are."""
    folder = inputs.pcr_dataset(
        photographs, copies=1, num_shards=1, examples_per_record=_IMAGES_PER_RECORD
    )
    versions = {_ORIGINAL: (path.read_bytes() for path in photographs.files)}
    reader = PcrReader(folder)
    for groups in map(int, _SCAN_GROUPS.value):
        versions[f"{groups} scan groups"] = (
            bytes_features(example, ["image/encoded"])["image/encoded"][0]
            for example in reader.examples(groups)
        )
    kept: dict[str, list[bytes]] = {name: [] for name in versions}
    for images in zip(*versions.values(), strict=True):
        if len(kept[_ORIGINAL]) == _NUM_IMAGES.value:
            break
        if all(_decodes(decode, images[0]) for decode in _DECODERS.values()):
            for name, image in zip(kept, images, strict=True):
                kept[name].append(image)
    return kept


def _decodes(decode: Callable[[bytes], Any], jpeg: bytes) -> bool:
    try:
        decode(jpeg)
    except (tf.errors.InvalidArgumentError, ValueError, OSError):
        return False
    return True


def _images_per_s(decode: Callable[[bytes], Any], jpegs: Sequence[bytes]) -> float:
    begin = time.perf_counter()
    for jpeg in jpegs:
        decode(jpeg)
    return len(jpegs) / (time.perf_counter() - begin)


def _measured(
    cases: Mapping[str, Callable[[], float]],
) -> dict[str, list[float]]:
    return measure.interleave(cases, rounds=_ROUNDS.value)


def _one_thread(jpegs: Mapping[str, Sequence[bytes]]) -> dict[str, dict[str, list[float]]]:
    """Images/s, by version and decoder."""
    return {
        version: _measured(
            {
                name: functools.partial(_images_per_s, decode, images)
                for name, decode in _DECODERS.items()
            }
        )
        for version, images in jpegs.items()
    }


def _print_one_thread(rates: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    rows = []
    for version, by_decoder in rates.items():
        medians = {name: statistics.median(values) for name, values in by_decoder.items()}
        rows.append([version, *(f"{median:,.0f}" for median in medians.values())])
        rows[-1].append(str(measure.ratio(by_decoder[_PCR_TF], by_decoder["tf.io.decode_jpeg"])))
    print("\nOne thread, images/s")
    print(measure.table(["", *_DECODERS, "pcr_tf / tf.io"], rows))


def _psnr(image: np.ndarray, full: np.ndarray) -> float:
    """In dB; infinite for equal images."""
    error = np.mean((image.astype(np.float64) - full) ** 2)
    return float(10 * np.log10(255**2 / error)) if error > 0 else math.inf


def _mean(values: Sequence[float]) -> float | None:
    """None where there is none that is finite."""
    mean = statistics.fmean(values) if values else math.inf
    return mean if math.isfinite(mean) else None


def _smoothing(
    jpegs: Mapping[str, Sequence[bytes]], rates: Mapping[str, Mapping[str, Sequence[float]]]
) -> dict[str, dict[str, Any]]:
    """By fidelity, what smoothing costs and gives; the last fidelity is the reference."""
    fidelities = [version for version in jpegs if version != _ORIGINAL]
    full = fidelities[-1]
    result: dict[str, dict[str, Any]] = {}
    for version in fidelities:
        time_ratio = measure.ratio(rates[version][_NO_SMOOTHING], rates[version][_PCR_TF])
        psnr: dict[str, list[float]] = {_PCR_TF: [], _NO_SMOOTHING: []}
        mean = pcr_tf.image.MeanMsSsim()
        images = list(zip(jpegs[version], jpegs[full], strict=True))[: _SIMILARITY_IMAGES.value]
        for jpeg, full_jpeg in images:
            reference = _DECODERS[_PCR_TF](full_jpeg).numpy()
            versions = {name: _DECODERS[name](jpeg).numpy() for name in psnr}
            for name, pixels in versions.items():
                psnr[name].append(_psnr(pixels, reference))
            mean.add([pcr_tf.image.compared_luma(one) for one in (*versions.values(), reference)])
        similarities: list[float] | list[None] = mean.result() or [None] * len(psnr)
        result[version] = {
            "time_with / time_without": time_ratio,
            "psnr_db": {name: _mean(values) for name, values in psnr.items()},
            "ms_ssim": dict(zip(psnr, similarities, strict=True)),
        }
    return result


def _print_smoothing(result: Mapping[str, Mapping[str, Any]]) -> None:
    rows = []
    for version, one in result.items():
        cells = [version, str(one["time_with / time_without"])]
        for measured, form in (("psnr_db", ".2f"), ("ms_ssim", ".4f")):
            cells += [
                "-" if value is None else format(value, form) for value in one[measured].values()
            ]
        rows.append(cells)
    header = ["", "time with / without", "PSNR with", "without", "MS-SSIM with", "without"]
    print("\nBlock smoothing, against the full image")
    print(measure.table(header, rows))


def _in_tf_data_images_per_s(name: str, jpegs: Sequence[bytes], threads: int) -> float:
    dataset = tf.data.Dataset.from_tensor_slices(list(jpegs))
    # One number of each image's pixels is kept, so that batching does not count.
    dataset = dataset.map(lambda jpeg: _DECODERS[name](jpeg)[0, 0, 0], num_parallel_calls=threads)
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    options.threading.max_intra_op_parallelism = 1
    drained = measure.drain(dataset.with_options(options), lambda _: 1)
    return drained.examples / drained.wall_s


def _threads(jpegs: Mapping[str, Sequence[bytes]]) -> dict[str, dict[str, list[float]]]:
    """Images/s, by version, decoder and number of threads."""
    cores = len(os.sched_getaffinity(0))
    counts = sorted({1, cores} | {1 << n for n in range(1, 8) if 1 << n <= cores})
    versions = list(jpegs)
    return {
        version: _measured(
            {
                f"{name}, {threads} threads": functools.partial(
                    _in_tf_data_images_per_s, name, jpegs[version], threads
                )
                for name in _IN_TF_DATA
                for threads in counts
            }
        )
        for version in (versions[0], versions[-1])
    }


def _print_threads(rates: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    rows = []
    for version, by_case in rates.items():
        for case, values in by_case.items():
            one = by_case[f"{case.rsplit(', ', 1)[0]}, 1 threads"]
            median = f"{statistics.median(values):,.0f}"
            rows.append([f"{version}, {case}", median, str(measure.ratio(values, one))])
    print("\nInside of tf.data")
    print(measure.table(["", "images/s", "ratio to 1 thread"], rows))


def _peak_folder() -> pathlib.Path:
    return pathlib.Path(inputs.OUTPUT_DIR.value) / "decode-images"


def _peak_bytes(decode: Callable[[bytes], Any], jpegs: Sequence[bytes]) -> int:
    """How much larger than before this process ever is while it decodes."""
    # The smallest image first: what a first call loads is none of the decoder's work.
    decode(min(jpegs, key=len))
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    before = _memory_bytes("VmRSS")
    for jpeg in jpegs:
        decode(jpeg)
    return _memory_bytes("VmHWM") - before


def _memory_bytes(field: str) -> int:
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) << 10
    raise RuntimeError(f"/proc/self/status: expected {field}, got none")


def _peaks(jpegs: Sequence[bytes]) -> dict[str, int]:
    """Bytes by decoder, each in a process of its own."""
    folder = _peak_folder()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, jpeg in enumerate(jpegs):
        (folder / f"{number:06d}.jpg").write_bytes(jpeg)
    peaks = {}
    for name in _DECODERS:
        command = [sys.executable, "-m", "benchmarks.decode", *sys.argv[1:], f"--peak_of={name}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: status {done.returncode}\n{done.stderr}")
        peaks[name] = int(done.stdout.splitlines()[-1])
    return peaks


def _largest(jpegs: Sequence[bytes]) -> int:
    """Bytes of the pixels of the largest image."""
    return max(int(np.prod(tf.io.extract_jpeg_shape(jpeg)[:2])) * 3 for jpeg in jpegs)


def main(argv: list[str]) -> None:
    """Measures, prints the tables and writes decode.json."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    if _PEAK_OF.value is not None:
        files = sorted(_peak_folder().iterdir())
        print(_peak_bytes(_DECODERS[_PEAK_OF.value], [path.read_bytes() for path in files]))
        return
    photographs = inputs.photographs()
    jpegs = _jpegs(photographs)
    full = list(jpegs)[-1]
    print(f"{photographs.origin}: {len(jpegs[full])} images")
    one_thread = _one_thread(jpegs)
    _print_one_thread(one_thread)
    smoothing = _smoothing(jpegs, one_thread)
    _print_smoothing(smoothing)
    threads = _threads(jpegs)
    _print_threads(threads)
    peaks = _peaks(jpegs[full])
    print(f"\nMemory, {full}; the largest image has {_largest(jpegs[full]) / 1e6:.1f} MB of pixels")
    rows = [[name, f"{num_bytes / 1e6:.1f}"] for name, num_bytes in peaks.items()]
    print(measure.table(["", "peak, MB"], rows))
    result = {
        "photographs": photographs.origin,
        "images": len(jpegs[full]),
        "one_thread_images_per_s": {
            version: {name: measure.summarise(values) for name, values in by_decoder.items()}
            for version, by_decoder in one_thread.items()
        },
        "block_smoothing": smoothing,
        "in_tf_data_images_per_s": {
            version: {name: measure.summarise(values) for name, values in by_case.items()}
            for version, by_case in threads.items()
        },
        "largest_image_bytes": _largest(jpegs[full]),
        "peak_bytes": peaks,
    }
    print(measure.write_json(pathlib.Path(inputs.OUTPUT_DIR.value), "decode", result))


if __name__ == "__main__":
    app.run(main)
