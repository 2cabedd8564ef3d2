"""Proves a PCR data set against its manifest, and against the source that it was made of.

  pcr-verify photos.pcr
  pcr-verify photos.pcr --source=photos/
  pcr-verify val.pcr --same_classes_as=train.pcr
  pcr-verify photos.pcr --source=photos/ --table=labels.csv

Checked are: that the shards are those of manifest.json, with their sizes, checksums and counts;
every checksum; that every image decodes at every fidelity; the side index. With --source: that
every image has the coefficients of its source, its EXIF, ICC profile, comments and other such
segments, and what follows its end, or its bytes where it was kept as it came; that every other
feature is equal; and that nothing is missing or too many. The flags of the conversion are in the
manifest, but for the places of files: name a table, a list of label names or a folder of
TensorFlow Datasets here too. With --same_classes_as: that another data set gives the same classes
the same labels, as a model that sees both needs it. Every fault is printed, one a line; the exit
status is 1 if there is one.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence

from absl import flags

from pcr_tf.cli.command import UsageError, define_worker_flags, run_command, split_paths
from pcr_tf.convert import ConvertError, Verification
from pcr_tf.convert.verify.same_classes import class_faults
from pcr_tf.format import filesystem

NAME = "pcr-verify"


def _define_flags() -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_multi_string(
        "source",
        [],
        "what the data set was made of, as it was given to pcr-convert --input: paths and quoted "
        "patterns, separated by commas; may be repeated",
        flag_values=values,
    )
    for name in ("table", "label_names", "tfds_data_dir"):
        flags.DEFINE_string(
            name, "", f"with --source: as it was given to pcr-convert --{name}", flag_values=values
        )
    flags.DEFINE_string(
        "same_classes_as",
        "",
        "another data set, which must have the same classes in the same order",
        flag_values=values,
    )
    define_worker_flags(values)
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command on `argv` (None: the process's arguments); returns the exit status."""
    values = _define_flags()

    def body(positional: list[str]) -> int:
        if len(positional) != 1 or not filesystem.is_dir(positional[0]):
            raise UsageError(f"expected one folder, got {' '.join(positional) or 'nothing'}")
        if values.num_workers < 0:
            raise UsageError(f"--num_workers: expected at least 0, got {values.num_workers}")
        # As of a shell's variable that is not set: "no faults" would be taken for a comparison.
        if values["same_classes_as"].present and not values.same_classes_as:
            raise UsageError("--same_classes_as: expected a data set, got nothing")
        return _verify(positional[0], values)

    return run_command(NAME, __doc__ or "", values, body, argv, (ConvertError, OSError, ValueError))


def _verify(folder: str, values: flags.FlagValues) -> int:
    verification = Verification(
        folder,
        sources=split_paths(values.source),
        places={
            name: values[name].value
            for name in ("table", "label_names", "tfds_data_dir")
            if values[name].value
        },
        num_workers=values.num_workers,
        quiet=values.quiet,
    )
    faults = 0
    other = values.same_classes_as
    of_classes = class_faults(folder, other) if other else []
    for fault in itertools.chain(of_classes, verification.faults()):
        faults += 1
        print(fault, flush=True)
    counts, dataset = verification.manifest["counts"], verification.manifest["dataset"]
    against = f" and {', '.join(values.source)}" if values.source else ""
    against += f", and its classes against {other}" if other else ""
    print(
        f"{folder}: {dataset['shards']} shards, {dataset['records']} records, {counts['images']} "
        f"images checked against the manifest{against}: {faults or 'no'} faults"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
