"""Exports a PCR data set: back to TFRecords of tf.train.Example, or to image files.

  pcr-export photos.pcr --output=records/
  pcr-export photos.pcr --output=photos/ --format=files --scan_groups=4

TFRecords hold every feature of every example, in the order of the data set, with the images at the
fidelity asked for. At full fidelity, the default, the coefficients of a JPEG are those of the
source; other images come back byte for byte. Files are named after their class and their own name
(image/class/text, or image/class/label, and image/filename), else numbered in the order of the data
set. Nothing is ever replaced. An export that was stopped goes on when the same command is given
again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags

from pcr_tf.cli.command import UsageError, as_usage_errors, define_worker_flags, run_command
from pcr_tf.convert import ConvertError, Export, ExportOptions, ExportSummary
from pcr_tf.convert.export.options import FORMATS
from pcr_tf.convert.job.progress import megabytes

NAME = "pcr-export"


def _define_flags() -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_string(
        "output", "", "folder to write to; new, empty, or this job's own", flag_values=values
    )
    flags.DEFINE_enum(
        "format",
        "tfrecord",
        list(FORMATS),
        "TFRecord files of tf.train.Example, or one file per image",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "scan_groups",
        None,
        "the fidelity, 1 to all scan groups; by default all",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "num_files", None, "number of TFRecord files; by default one per shard", flag_values=values
    )
    flags.DEFINE_string(
        "prefix",
        "examples",
        "how names of TFRecord files begin: <prefix>-00000-of-00010.tfrecord",
        flag_values=values,
    )
    flags.DEFINE_string(
        "class_feature",
        "image/class/text",
        "feature with the class's name, for the folder of a file; empty: none",
        flag_values=values,
    )
    flags.DEFINE_string(
        "label_feature",
        "image/class/label",
        "feature with the label, for the folder where there is no name; empty: none",
        flag_values=values,
    )
    flags.DEFINE_string(
        "name_feature",
        "image/filename",
        "feature with the file's name; empty: files are numbered",
        flag_values=values,
    )
    define_worker_flags(values)
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command on `argv` (None: the process's arguments); returns the exit status."""
    values = _define_flags()

    def body(positional: list[str]) -> int:
        if len(positional) != 1:
            raise UsageError(
                f"expected one folder or file, got {' '.join(positional) or 'nothing'}"
            )
        if not values.output:
            raise UsageError("--output; expected a folder, got nothing")
        return _export(positional[0], values)

    return run_command(NAME, __doc__ or "", values, body, argv, (ConvertError, OSError, ValueError))


def _export(path: str, values: flags.FlagValues) -> int:
    fields = ("output", "format", "scan_groups", "num_files", "prefix", "num_workers")
    features = ("class_feature", "label_feature", "name_feature")
    with as_usage_errors(ConvertError):
        options = ExportOptions(path, **{name: values[name].value for name in (*fields, *features)})
    export = Export(options)
    if export.may_lack_orientations:
        print(
            f"{NAME}: warning: {options.path}: a data set of format 1.0 holds the EXIF "
            "orientation of images at full fidelity only: images that are stored turned are "
            "exported without it; convert the data set again, or leave --scan_groups out",
            file=sys.stderr,
        )
    try:
        summary = export.run(quiet=values.quiet)
    except KeyboardInterrupt:
        print(f"{NAME}: stopped; the same command goes on from here", file=sys.stderr)
        raise
    print(_summary_text(options, summary))
    if summary.moved_label is not None:
        folder, label, position = summary.moved_label
        print(
            f"{NAME}: warning: {options.output}: folders sorted by name do not give the labels "
            f"back: {folder} has {label} and would get {position}; convert them with "
            f"--classes_from={options.path}, or with --classes and a name for each label from 0 "
            "on, also where no folder has it",
            file=sys.stderr,
        )
    return 0


def _summary_text(options: ExportOptions, summary: ExportSummary) -> str:
    lines = [
        f"examples    {summary.examples}, {summary.images} images",
        f"files       {summary.files}, {megabytes(summary.file_bytes)} in {options.output}",
    ]
    if summary.was_finished:
        lines.insert(0, f"{options.output} is finished: nothing to do")
    else:
        lines.append(f"time        {summary.elapsed_s:.1f} s")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
