"""Checks a PCR data set, or one of its files.

  pcr-verify photos.pcr
  pcr-verify photos.pcr --source=photos/
  pcr-verify photos.pcr --source=photos/ --table=labels.csv
  pcr-verify val.pcr --same_classes_as=train.pcr
  pcr-verify photos.pcr/shard-00000-of-00008.pcr

What is checked, and what that proves:

  structure    Always. Every checksum of every frame; that header, index, footer, metadata and scan
               groups agree; that every image decodes at every fidelity; the side index. Proves that
               readers get what was written.
  manifest     Where the folder has a manifest.json. That the shards are those that the conversion
               wrote, with their sizes, checksums and counts. Proves that none is missing or of
               another conversion.
  source       With --source. That every image has the coefficients of its source, its EXIF, ICC
               profile, comments and what follows its end, or its bytes where it was kept as it
               came; that every other feature is equal; that nothing is missing or too many. Proves
               that the conversion lost nothing.
  classes      With --same_classes_as. That another data set gives the same classes the same labels.

The flags of the conversion are in the manifest, but not the places of files: name a table, a list
of label names or a folder of TensorFlow Datasets here too. Every fault is printed, one a line. The
last line says what was checked. The exit status is 1 if there is a fault.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence

from absl import flags

from pcr_tf.cli.command import (
    UsageError,
    as_flags,
    define_worker_flags,
    run_command,
    split_paths,
)
from pcr_tf.convert import ConvertError, Verification
from pcr_tf.convert.verify.same_classes import class_faults
from pcr_tf.format.names import to_json

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
    flags.DEFINE_boolean(
        "json", False, "print one JSON object: path, levels, records, faults", flag_values=values
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
        if values.num_workers < 0:
            raise UsageError(f"--num_workers; expected at least 0, got {values.num_workers}")
        # As of a shell's variable that is not set: "no faults" would be taken for a comparison.
        if values["same_classes_as"].present and not values.same_classes_as:
            raise UsageError("--same_classes_as; expected a data set, got nothing")
        if values["source"].present and not all(values.source):
            raise UsageError("--source; expected what the data set was made of, got nothing")
        return _verify(positional[0], values)

    return run_command(NAME, __doc__ or "", values, body, argv, (ConvertError, OSError, ValueError))


def _verify(path: str, values: flags.FlagValues) -> int:
    verification = Verification(
        path,
        sources=split_paths(values.source),
        places={
            name: values[name].value
            for name in ("table", "label_names", "tfds_data_dir")
            if values[name].value
        },
        num_workers=values.num_workers,
        quiet=values.quiet,
    )
    other = values.same_classes_as
    levels = [*verification.levels, *([f"classes of {other}"] if other else [])]
    of_classes = class_faults(path, other) if other else []
    faults = []
    for fault in itertools.chain(of_classes, verification.faults()):
        faults.append(as_flags(fault, values))
        if not values.json:
            print(faults[-1], flush=True)
    records = verification.num_records
    if values.json:
        fields = {"path": path, "levels": levels, "records": records, "faults": faults}
        print(to_json(fields).decode(), end="")
    else:
        without = "" if verification.manifest else ", without a manifest"
        print(
            f"{path}: {verification.num_shards} shards, {records} records{without}; checked: "
            f"{'; '.join(levels)}: {len(faults) or 'no'} faults"
        )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
