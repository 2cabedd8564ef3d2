r"""Measures the conversion job beside the bare libjpeg transcode on the same cores.

    python -m benchmarks.conversion [--images=/my/folder] [--num_workers=2]

The baseline is a C++ program of a page (bare_transcode.cc) that reads each file and re-codes it in
memory, in as many processes as the job has workers; it is compiled on the spot. The job is timed as
a whole, as its users see it: start of Python, listing, reading, transcoding, writing, side index;
but for the profile of the fidelities, which takes the same few seconds for every data set.
"""

from __future__ import annotations

from absl import app, flags

from benchmarks import conversion_runs, inputs, measure

_COPIES = flags.DEFINE_integer(
    "copies",
    4,
    "Times each photograph is converted, so that a run is not all start-up.",
    lower_bound=1,
)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each case.", lower_bound=1)


def main(argv: list[str]) -> None:
    """Measures, prints the table and writes conversion.json."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    photographs = inputs.linked_copies(inputs.photographs(), _COPIES.value)
    program = conversion_runs.compile_bare_transcode()
    workers = inputs.NUM_WORKERS.value
    bare = "bare libjpeg transcode"
    values = measure.interleave(
        {
            bare: lambda: conversion_runs.bare_images_per_s(program, photographs, workers),
            "pcr-convert --noprove": lambda: conversion_runs.job_images_per_s(
                photographs, workers, "--noprove"
            ),
            "pcr-convert --prove": lambda: conversion_runs.job_images_per_s(
                photographs, workers, "--prove"
            ),
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
    print(f"{photographs.origin}: {len(photographs.files)} images, {workers} workers")
    print(measure.table(["", "images/s", "ratio to bare"], rows))
    result = {
        "photographs": photographs.origin,
        "images": len(photographs.files),
        "num_workers": workers,
        "images_per_s": summaries,
        "ratio_to_bare": ratios,
    }
    print(measure.write_json(inputs.OUTPUT_DIR.value, "conversion", result))


if __name__ == "__main__":
    app.run(main)
