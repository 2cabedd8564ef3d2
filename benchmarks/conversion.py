r"""Measures the conversion job beside the bare libjpeg transcode on the same cores.

    python -m benchmarks.conversion [--images=/my/folder] [--num_workers=2]

The baseline is a C++ program of a page (bare_transcode.cc) that reads each file and re-codes it in
memory, in as many processes as the job has workers; it is compiled on the spot. The job is timed as
a whole, as its users see it: start of Python, listing, reading, transcoding, writing, side index;
but for the profile of the fidelities, which takes the same few seconds for every data set.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import time

from absl import app, flags

from benchmarks import inputs, measure

_COPIES = flags.DEFINE_integer(
    "copies",
    4,
    "Times each photograph is converted, so that a run is not all start-up.",
    lower_bound=1,
)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each case.", lower_bound=1)
_CXX = flags.DEFINE_string(
    "cxx", "g++", "C++ compiler for the baseline; it needs libjpeg's headers."
)


def _compile_baseline() -> pathlib.Path:
    source = pathlib.Path(__file__).with_name("bare_transcode.cc")
    program = pathlib.Path(inputs.OUTPUT_DIR.value) / "bare_transcode"
    program.parent.mkdir(parents=True, exist_ok=True)
    command = [_CXX.value, "-std=c++17", "-O2", "-o", str(program), str(source), "-ljpeg"]
    subprocess.run(command, check=True)
    return program


def _bare_images_per_s(program: pathlib.Path, photographs: inputs.Photographs) -> float:
    done = subprocess.run(
        [str(program.resolve()), str(inputs.NUM_WORKERS.value)],
        input="".join(f"{path}\n" for path in photographs.files),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program}: exit status {done.returncode}: {done.stderr.strip()}")
    images, seconds = done.stdout.split()
    return int(images) / float(seconds)


def _job_images_per_s(photographs: inputs.Photographs, *, prove: bool) -> float:
    output = pathlib.Path(inputs.OUTPUT_DIR.value) / "conversion.pcr"
    shutil.rmtree(output, ignore_errors=True)
    begin = time.perf_counter()
    inputs.convert(
        [photographs.folder],
        output,
        f"--num_workers={inputs.NUM_WORKERS.value}",
        "--prove" if prove else "--noprove",
        "--quiet",
    )
    seconds = time.perf_counter() - begin
    shutil.rmtree(output)
    return len(photographs.files) / seconds


def main(argv: list[str]) -> None:
    """Measures, prints the table and writes conversion.json."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    photographs = inputs.linked_copies(inputs.photographs(), _COPIES.value)
    program = _compile_baseline()
    bare = "bare libjpeg transcode"
    values = measure.interleave(
        {
            bare: lambda: _bare_images_per_s(program, photographs),
            "pcr-convert --noprove": lambda: _job_images_per_s(photographs, prove=False),
            "pcr-convert --prove": lambda: _job_images_per_s(photographs, prove=True),
        },
        rounds=_ROUNDS.value,
        warmup_rounds=0,
    )
    summaries = {name: measure.summarise(rates) for name, rates in values.items()}
    ratios = {name: measure.ratio(rates, values[bare]) for name, rates in values.items()}
    rows = [
        [name, f"{summary.median:.1f}", str(ratios[name]) if name != bare else "1"]
        for name, summary in summaries.items()
    ]
    print(
        f"{photographs.origin}: {len(photographs.files)} images, {inputs.NUM_WORKERS.value} workers"
    )
    print(measure.table(["", "images/s", "ratio to bare"], rows))
    result = {
        "photographs": photographs.origin,
        "images": len(photographs.files),
        "num_workers": inputs.NUM_WORKERS.value,
        "images_per_s": summaries,
        "ratio_to_bare": ratios,
    }
    print(measure.write_json(inputs.OUTPUT_DIR.value, "conversion", result))


if __name__ == "__main__":
    app.run(main)
