r"""Measures the conversion job beside `jpegtran` run per file, as people make JPEG progressive.

    python -m benchmarks.jpegtran [--images=/my/folder] [--num_workers=2]

The baseline is a pool of as many threads as the job has workers, each of which runs
`jpegtran -progressive -optimize -copy all` on one file after the other and writes a file: it starts
a process for every image, which weighs the more the smaller the images are. So thumbnails, made of
the same photographs, are measured as well. The job is timed as a whole, but for the profile.
"""

from __future__ import annotations

import concurrent.futures
import functools
import io
import pathlib
import shutil
import subprocess
import time
from collections.abc import Sequence

from absl import app, flags
from PIL import Image

from benchmarks import conversion_runs, inputs, measure

_COPIES = flags.DEFINE_integer(
    "copies",
    8,
    "Times each photograph is converted, so that a run is not all start-up.",
    lower_bound=1,
)
_THUMBNAIL_COPIES = flags.DEFINE_integer(
    "thumbnail_copies", 16, "Times each thumbnail is converted.", lower_bound=1
)
_THUMBNAIL_BYTES = flags.DEFINE_integer(
    "thumbnail_bytes", 10_000, "Mean size of a thumbnail.", lower_bound=1_000
)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each case.", lower_bound=1)

_PROGRAM = "jpegtran"
_THUMBNAIL_QUALITY = 85
# The mean size of so many thumbnails tells how large all must be.
_SIZED_THUMBNAILS = 50
_BASELINE = "jpegtran per file"


def _thumbnail(path: pathlib.Path, side: int) -> bytes:
    """JPEG of an image whose longer side is `side` pixels, or as long as it was if that is less."""
    with Image.open(path) as image:
        image.draft(None, (side, side))
        small = image if image.mode in ("L", "RGB") else image.convert("RGB")
        small.thumbnail((side, side))
        out = io.BytesIO()
        small.save(out, "JPEG", quality=_THUMBNAIL_QUALITY)
    return out.getvalue()


def _side_of_mean(paths: Sequence[pathlib.Path], mean_bytes: int) -> int:
    """The longest side in pixels at which the thumbnails are no larger than that on average."""
    low, high = 16, 1024
    while high - low > 1:
        side = (low + high) // 2
        total = sum(len(_thumbnail(path, side)) for path in paths)
        low, high = (side, high) if total <= mean_bytes * len(paths) else (low, side)
    return low


def _thumbnails(source: inputs.Photographs) -> inputs.Photographs:
    """A thumbnail of each photograph in its class folder, made unless the folder is there."""
    name = f"thumbnails-{source.key}-{_THUMBNAIL_BYTES.value}"
    folder = pathlib.Path(inputs.OUTPUT_DIR.value) / name
    if not folder.exists():
        sized = source.files[:: max(1, len(source.files) // _SIZED_THUMBNAILS)]
        side = _side_of_mean(sized, _THUMBNAIL_BYTES.value)
        temporary = folder.with_name(folder.name + ".partial")
        shutil.rmtree(temporary, ignore_errors=True)
        for path in source.files:
            made = temporary / path.relative_to(source.folder)
            made.parent.mkdir(parents=True, exist_ok=True)
            made.write_bytes(_thumbnail(path, side))
        temporary.rename(folder)
    files = tuple(folder / path.relative_to(source.folder) for path in source.files)
    return inputs.Photographs(folder, files, f"thumbnails of {source.origin}")


def _jpegtran_images_per_s(photographs: inputs.Photographs, num_workers: int) -> float:
    output = pathlib.Path(inputs.OUTPUT_DIR.value) / "jpegtran"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)

    def run(number: int, path: pathlib.Path) -> None:
        command = [_PROGRAM, "-progressive", "-optimize", "-copy", "all"]
        command += ["-outfile", str(output / f"{number:07d}.jpg"), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 2):  # 2: it has warned, and written the file.
            raise RuntimeError(f"{path}: {_PROGRAM}: {done.stderr.strip()}")

    begin = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(num_workers) as pool:
        for _ in pool.map(run, range(len(photographs.files)), photographs.files):
            pass
    seconds = time.perf_counter() - begin
    shutil.rmtree(output)
    return len(photographs.files) / seconds


def _measured(photographs: inputs.Photographs) -> dict[str, object]:
    """Measures the cases on one set of images, and prints the table."""
    workers = inputs.NUM_WORKERS.value
    values = measure.interleave(
        {
            _BASELINE: functools.partial(_jpegtran_images_per_s, photographs, workers),
            **{
                f"pcr-convert {flag}": functools.partial(
                    conversion_runs.job_images_per_s, photographs, workers, flag
                )
                for flag in ("--noprove", "--prove")
            },
        },
        rounds=_ROUNDS.value,
        warmup_rounds=0,
    )
    summaries = {name: measure.summarise(rates) for name, rates in values.items()}
    ratios = {
        name: measure.ratio(rates, values[_BASELINE])
        for name, rates in values.items()
        if name != _BASELINE
    }
    rows = [
        [name, f"{summary.median:.1f}", str(ratios.get(name, 1))]
        for name, summary in summaries.items()
    ]
    mean_bytes = photographs.source_bytes / len(photographs.files)
    print(f"{photographs.origin}: {len(photographs.files)} images, mean {mean_bytes / 1e3:.1f} KB")
    print(measure.table(["", "images/s", "ratio to jpegtran"], rows), end="\n\n")
    return {
        "origin": photographs.origin,
        "images": len(photographs.files),
        "mean_bytes": mean_bytes,
        "images_per_s": summaries,
        "ratio_to_jpegtran": ratios,
    }


def main(argv: list[str]) -> None:
    """Measures, prints the tables and writes jpegtran.json."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    if shutil.which(_PROGRAM) is None:
        raise app.UsageError(f"needs {_PROGRAM}: apt-get install libjpeg-turbo-progs")
    source = inputs.photographs()
    result = {
        "num_workers": inputs.NUM_WORKERS.value,
        "photographs": _measured(inputs.linked_copies(source, _COPIES.value)),
        "thumbnails": _measured(inputs.linked_copies(_thumbnails(source), _THUMBNAIL_COPIES.value)),
    }
    print(measure.write_json(inputs.OUTPUT_DIR.value, "jpegtran", result))


if __name__ == "__main__":
    app.run(main)
