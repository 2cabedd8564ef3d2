"""Converts labelled photographs to a PCR data set: one copy, readable at many fidelities.

  pcr-convert --input=photos/ --output=photos.pcr
  pcr-convert --flagfile=configs/imagenet.flags --input='train-*-of-01024' --output=imagenet.pcr
  pcr-convert --table=labels.csv --label_column=class --input=photos/ --output=photos.pcr

The input is a folder of class folders, TFRecord files of tf.train.Example, a table with folders of
images, tar shards of WebDataset, or a builder of TensorFlow Datasets. It is only read, never
changed. A job that was stopped, by whatever, goes on when the same command is given again.
Images are re-coded losslessly; those that cannot be are kept byte for byte and named in
manifest.json.

Flags for well-known data sets come with the package; --flagfile=configs/NAME.flags finds them from
any folder. NAME is one of celebahq_smile, class_folders, ham10000, imagenet, stanford_cars,
stanford_cars_is_corvette, stanford_cars_make, webdataset.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from pcr_tf.cli.command import FlagLog, UsageError, as_flags, run_command
from pcr_tf.cli.convert_flags import (
    SECTIONS,
    define_flags,
    to_options,
    with_flag_files_of_the_package,
)
from pcr_tf.convert import (
    Conversion,
    ConvertError,
    ConvertOptions,
    ConvertSummary,
    split_conversions,
)
from pcr_tf.convert.job.class_text import class_lines
from pcr_tf.convert.job.progress import duration, megabytes
from pcr_tf.convert.job.remarks import remarks, turned_images
from pcr_tf.format import filesystem

NAME = "pcr-convert"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command on `argv` (None: the process's arguments); returns the exit status."""
    values = define_flags()

    def body(positional: list[str]) -> int:
        if positional:
            raise UsageError(
                f"unexpected argument {positional[0]!r}; name inputs with --input, and quote "
                "patterns"
            )
        if not values.input or not values.output:
            raise UsageError("--input and --output are needed")
        return _convert(values)

    errors = (ConvertError, OSError, ValueError)
    arguments = with_flag_files_of_the_package(sys.argv[1:] if argv is None else argv)
    return run_command(NAME, __doc__ or "", values, body, arguments, errors, SECTIONS)


def _convert(values: flags.FlagValues) -> int:
    options = to_options(values)
    jobs = split_conversions(options)
    if values.dry_run:
        print(as_flags("\n\n".join(_plan_text(job) for job in jobs), values))
        return 0
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # The profile imports TensorFlow.
    manifests = {}
    for job in jobs:
        if options.split:
            print(f"{job.options.part}:", flush=True)
        try:
            summary = job.run(quiet=values.quiet, log=FlagLog(values))
        except KeyboardInterrupt:
            print(f"{NAME}: stopped; the same command goes on from here", file=sys.stderr)
            raise
        print(as_flags(_summary_text(job.options, summary), values), flush=True)
        manifests[job.options.output] = summary.manifest
    return exit_status(values, NAME, manifests)


def exit_status(
    values: flags.FlagValues, name: str, manifests: Mapping[str, dict[str, Any]]
) -> int:
    """0, or 1 where a data set that command `name` made is empty, with a message.

    Args:
      manifests: of the data sets, by their folders.
    """
    empty = [output for output, found in manifests.items() if not found["counts"]["images"]]
    for output in empty:
        why = "".join(
            f", as {entry['name']}: {entry['reason']}: {entry['detail']}"
            for entry in manifests[output]["skipped"][:1]
        )
        message = f"{name}: {output}: holds no image: every item was skipped{why}"
        print(as_flags(message, values), file=sys.stderr)
    return 1 if empty else 0


def _plan_text(job: Conversion) -> str:
    lines = [f"{job.options.part}:"] if job.options.part else []
    lines.append(job.describe())
    if not job.is_finished():
        found = job.estimate()
        lines += [
            f"sample      {found.sampled_items} items, {megabytes(found.sampled_bytes)}, in "
            f"{found.sample_s:.1f} s; {found.opaque} kept as is, {found.encoded} encoded, "
            f"{found.skipped} skipped",
            f"size        about {megabytes(found.output_bytes)} "
            f"({100 * found.stored_share:.1f}% of the source)",
            f"time        about {duration(found.remaining_s)} with --num_workers="
            f"{job.options.num_workers}, each at the speed of the sample"
            f"{'; the profile comes on top' if job.options.profile_images else ''}",
        ]
    return "\n".join(lines)


def _summary_text(options: ConvertOptions, summary: ConvertSummary) -> str:
    manifest = summary.manifest
    counts, dataset, size = manifest["counts"], manifest["dataset"], manifest["bytes"]
    share = 100 * dataset["shard_bytes"] / max(size["source_images"], 1)
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts["opaque_reasons"].items())
    lines = [
        f"images      {counts['images']} in {dataset['records']} records, {dataset['shards']} "
        "shards",
        f"bytes       {megabytes(size['source_images'])} of images became "
        f"{megabytes(dataset['shard_bytes'])} ({share:.1f}%)",
        f"kept as is  {counts['opaque']}{f' ({reasons})' if reasons else ''}",
        f"encoded     {counts['encoded']}",
        f"skipped     {counts['skipped']}",
        *(f"{heading:<12}{text}" for heading, text in class_lines(manifest)),
        *(f"note        {text}" for text in remarks(manifest)),
    ]
    if summary.was_finished:
        lines.insert(0, f"{options.output} is finished: nothing to do")
    else:
        rate = summary.images / max(summary.convert_s, 1e-9)
        lines.append(f"rate        {rate:.1f} images/s, {summary.convert_s:.1f} s")
        if manifest["profile"]:
            measured = manifest["profile"]["images"]
            lines.append(f"profile     of {measured} images, {summary.profile_s:.1f} s more")
    if text := turned_images(manifest):
        lines.append(f"warning     {text}")
    if counts["opaque"] or counts["encoded"] or counts["skipped"]:
        where = filesystem.join(options.output, "manifest.json")
        lines.append(f"What is kept as is, encoded or skipped is named in {where}.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
