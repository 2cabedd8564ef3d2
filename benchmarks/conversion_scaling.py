r"""Measures what a second worker brings the conversion job, and what it brings libjpeg alone.

    python -m benchmarks.conversion_scaling [--images=/my/folder] [--copies=8] [--workers=2]

The job is timed as a whole, as its users see it, with its default flags but for the profile of the
fidelities and for smaller records: the work is cut into shards of whole records, and with few of
them one worker waits for the other at the end, which a data set of a million images does not show.

The same ratio of the bare transcode (bare_transcode.cc) says what the cores of the machine give:
two threads of one core, or a clock that steps down under load, give less than 2.
"""

from __future__ import annotations

import functools

from absl import app, flags

from benchmarks import conversion_runs, inputs, measure

_COPIES = flags.DEFINE_integer(
    "copies",
    8,
    "Times each photograph is converted, so that a run is not all start-up.",
    lower_bound=1,
)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each case.", lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", 2, "Workers that are compared with one.", lower_bound=2)
_IMAGES_PER_RECORD = flags.DEFINE_integer("examples_per_record", 64, "Of the job.", lower_bound=1)


def main(argv: list[str]) -> None:
    """Measures, prints the table and writes conversion_scaling.json."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    photographs = inputs.linked_copies(inputs.photographs(), _COPIES.value)
    program = conversion_runs.compile_bare_transcode()
    records = f"--examples_per_record={_IMAGES_PER_RECORD.value}"
    many = _WORKERS.value
    rates = {
        "pcr-convert": lambda n: conversion_runs.job_images_per_s(photographs, n, records),
        "bare libjpeg transcode": lambda n: conversion_runs.bare_images_per_s(
            program, photographs, n
        ),
    }
    values = measure.interleave(
        {
            f"{name}, {n}": functools.partial(rate, n)
            for name, rate in rates.items()
            for n in (1, many)
        },
        rounds=_ROUNDS.value,
        warmup_rounds=0,
    )
    summaries = {name: measure.summarise(rates) for name, rates in values.items()}
    scaling = {
        name: measure.ratio(values[f"{name}, {many}"], values[f"{name}, 1"]) for name in rates
    }
    rows = [
        [
            name,
            f"{summaries[f'{name}, 1'].median:.1f}",
            f"{summaries[f'{name}, {many}'].median:.1f}",
            str(ratio),
        ]
        for name, ratio in scaling.items()
    ]
    print(f"{photographs.origin}: {len(photographs.files)} images, images/s by processes")
    print(measure.table(["", "1", str(many), "ratio"], rows))
    result = {
        "photographs": photographs.origin,
        "images": len(photographs.files),
        "examples_per_record": _IMAGES_PER_RECORD.value,
        "workers": many,
        "images_per_s": summaries,
        "ratio_to_one_worker": scaling,
    }
    print(measure.write_json(inputs.OUTPUT_DIR.value, "conversion_scaling", result))


if __name__ == "__main__":
    app.run(main)
