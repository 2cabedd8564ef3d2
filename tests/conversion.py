"""Helpers for the tests of conversion: small photographs, folders, TFRecords, processes."""

from __future__ import annotations

import hashlib
import io
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from pcr_tf.convert import Conversion, ConvertOptions, ConvertSummary, SourceOptions
from pcr_tf.format import PcrReader
from pcr_tf.format.example import Values, bytes_features, encode_example, int_feature
from pcr_tf.format.tfrecord import frame
from tests.waiting import HANG_S

ROOT = Path(__file__).resolve().parent.parent


def picture(seed: int, width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """A smooth picture with some texture; another one for each seed."""
    rng = random.Random(seed)
    coarse = Image.frombytes("RGB", (6, 5), rng.randbytes(90)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    noise = Image.frombytes("L", (width, height), rng.randbytes(width * height)).convert("RGB")
    return Image.blend(coarse, noise, 0.1).convert(mode)


def jpeg(
    seed: int = 0, width: int = 64, height: int = 48, mode: str = "RGB", **options: Any
) -> bytes:
    """A baseline JPEG; `options` are those of Pillow's writer."""
    out = io.BytesIO()
    picture(seed, width, height, mode).save(out, "JPEG", **{"quality": 85, **options})
    return out.getvalue()


def resampled(jpeg: bytes, luma_sampling: int, height: int, width: int) -> bytes:
    """The same blocks as an image of another sampling, with as many blocks to a group of them."""
    sof = jpeg.index(b"\xff\xc0") + 4
    changed = bytearray(jpeg)
    changed[sof + 1 : sof + 5] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    changed[sof + 7] = luma_sampling
    return bytes(changed)


def of_adobe_transform(jpeg: bytes, transform: int) -> bytes:
    """The same components by another name: 0 is CMYK or RGB, 1 YCbCr, 2 YCCK."""
    changed = bytearray(jpeg)
    changed[jpeg.index(b"Adobe") + 11] = transform
    return bytes(changed)


def png(seed: int = 0) -> bytes:
    """A PNG file."""
    out = io.BytesIO()
    picture(seed).save(out, "PNG")
    return out.getvalue()


def make_class_folders(
    root: Path, classes: Sequence[str] = ("ant", "bee", "cat"), per_class: int = 7, width: int = 64
) -> Path:
    """`root`/<class>/<number>.jpg; returns `root`."""
    for position, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number in range(per_class):
            data = jpeg(100 * position + number, width)
            (root / name / f"{number:03d}.jpg").write_bytes(data)
    return root


def write_tfrecord(path: Path, examples: Sequence[bytes | Mapping[str, Values]]) -> Path:
    """Writes serialized examples, or the features of examples; returns `path`."""
    data = (e if isinstance(e, bytes) else encode_example(e) for e in examples)
    path.write_bytes(b"".join(map(frame, data)))
    return path


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below `folder`, hidden ones included, by relative name."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def command(name: str, *arguments: object) -> list[str]:
    """The command line of ``pcr-<name>``."""
    return [sys.executable, "-m", f"pcr_tf.cli.{name}", *map(str, arguments)]


def _heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(name: str, *arguments: object, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Starts ``pcr-<name>`` in a session of its own, with pipes for its output.

    Args:
        prefix: of the command line: a program that runs the rest of it.
    """
    return subprocess.Popen(
        [*prefix, *command(name, *arguments)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        # A shell that runs the tests in the background has them, and theirs, ignore Ctrl-C.
        preexec_fn=_heed_ctrl_c,
    )


def run(
    name: str, *arguments: object, prefix: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Runs ``pcr-<name>`` to its end; `prefix` as for `start`."""
    process = start(name, *arguments, prefix=prefix)
    stdout, stderr = process.communicate(timeout=HANG_S)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def convert(folder: Path | str, output: Path | str, **options: Any) -> ConvertSummary:
    """Converts in this process; `options` are those of the job."""
    options = {"examples_per_record": 4, "num_workers": 0, **options}
    job = ConvertOptions(inputs=(str(folder),), output=str(output), **options)
    return Conversion(job).run(quiet=True)


def convert_with(source: Path, output: Path, **source_options: Any) -> ConvertSummary:
    """Converts in this process, without the profile; `source_options` say how to read `source`."""
    job = ConvertOptions(
        inputs=(str(source),),
        output=str(output),
        num_workers=0,
        profile_images=0,
        source_options=SourceOptions(**source_options),
    )
    return Conversion(job).run(quiet=True)


def labels_by_name(output: Path) -> dict[str, tuple[int, str]]:
    """Label and class name of every example, by its file name."""
    labels = {}
    for example in PcrReader(output).examples(1):
        values = bytes_features(example, ["image/filename", "image/class/text"])
        (label,) = int_feature(example, "image/class/label")
        name = values["image/filename"][0].decode()
        labels[name] = (label, values["image/class/text"][0].decode())
    return labels
