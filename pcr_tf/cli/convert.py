"""Converts labelled photographs to a PCR data set: one copy, readable at many fidelities.

  pcr-convert --input=photos/ --output=photos.pcr
  pcr-convert --flagfile=configs/imagenet.flags --input='train-*-of-01024' --output=imagenet.pcr

The input is a folder of class folders, or TFRecord files of tf.train.Example. It is only read,
never changed. A job that was stopped, by whatever, goes on when the same command is given again.
Images are re-coded losslessly; those that cannot be are kept byte for byte and named in
manifest.json.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from absl import flags

from pcr_tf.cli.command import UsageError, run_command, split_paths
from pcr_tf.convert import Conversion, ConvertError, ConvertOptions, ConvertSummary
from pcr_tf.convert.options import ON_UNREADABLE, ON_UNSUPPORTED
from pcr_tf.convert.progress import megabytes
from pcr_tf.convert.sources import KINDS
from pcr_tf.format import filesystem, scan_scripts

NAME = "pcr-convert"


def _define_flags() -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_multi_string(
        "input",
        [],
        "folder of class folders, or TFRecord files: paths and quoted patterns, separated by "
        "commas; may be repeated",
        flag_values=values,
    )
    flags.DEFINE_string(
        "output", "", "folder of the data set; new, empty, or this job's own", flag_values=values
    )
    flags.DEFINE_enum(
        "source",
        "auto",
        ["auto", *KINDS],
        "what the input is; auto looks at it",
        flag_values=values,
    )
    flags.DEFINE_list(
        "image_feature",
        ["image/encoded"],
        "key of the feature that holds the image; several, separated by commas, for several images "
        "per example",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "images_per_record",
        256,
        "examples per record, the unit of reading; 2 MB or more at the fidelity that is read suits "
        "object stores",
        flag_values=values,
    )
    flags.DEFINE_integer("num_workers", os.cpu_count() or 1, "worker processes", flag_values=values)
    flags.DEFINE_integer(
        "num_shards",
        None,
        "number of files; by default it follows from --shard_size_mib",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "shard_size_mib",
        128,
        "source MiB per file; small data sets get 8 files or one per record, so that workers share "
        "the work",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "shuffle", True, "shuffle all examples, over all files", flag_values=values
    )
    flags.DEFINE_integer(
        "shuffle_seed", 0, "the order follows from it and the names", flag_values=values
    )
    flags.DEFINE_string(
        "scan_script",
        scan_scripts.DEFAULT,
        f"a scan script of the package ({', '.join(scan_scripts.named_scripts())}), or a file in "
        "the form that jpegtran -scans reads",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "prove",
        True,
        "decode every stored image again and compare its coefficients with the source's; takes "
        "about a third more time",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "on_unsupported",
        "keep",
        list(ON_UNSUPPORTED),
        "what becomes of an image that cannot be re-coded losslessly (PNG, damaged JPEG, ...): "
        "keep it byte for byte, "
        "fail, skip its example, or encode it as JPEG, which loses information",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "encode_quality",
        95,
        "JPEG quality of --on_unsupported=encode, 1 to 100",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "on_unreadable",
        "fail",
        list(ON_UNREADABLE),
        "what becomes of what cannot be read (no permission, wrong checksum, no image feature): "
        "fail, or skip and name it",
        flag_values=values,
    )
    flags.DEFINE_string(
        "prefix", "shard", "how file names begin: <prefix>-00000-of-00010.pcr", flag_values=values
    )
    flags.DEFINE_integer(
        "profile_images",
        64,
        "images to measure the MS-SSIM of each fidelity on, for tuning; takes a few seconds and "
        "TensorFlow at the end; 0: none",
        flag_values=values,
    )
    flags.DEFINE_boolean("dry_run", False, "print the plan and stop", flag_values=values)
    flags.DEFINE_boolean("quiet", False, "show no progress", flag_values=values)
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command on `argv` (None: the process's arguments); returns the exit status."""
    values = _define_flags()

    def body(positional: list[str]) -> int:
        if positional:
            raise UsageError(
                f"unexpected argument {positional[0]!r}; name inputs with --input, and quote "
                "patterns"
            )
        if not values.input or not values.output:
            raise UsageError("--input and --output are needed")
        return _convert(values)

    return run_command(NAME, __doc__ or "", values, body, argv, (ConvertError, OSError, ValueError))


def _convert(values: flags.FlagValues) -> int:
    options = ConvertOptions(
        inputs=split_paths(values.input),
        output=values.output,
        source=values.source,
        image_features=tuple(values.image_feature),
        images_per_record=values.images_per_record,
        num_shards=values.num_shards,
        shard_size_mib=values.shard_size_mib,
        shuffle=values.shuffle,
        shuffle_seed=values.shuffle_seed,
        scan_script=values.scan_script,
        prove=values.prove,
        on_unsupported=values.on_unsupported,
        encode_quality=values.encode_quality,
        on_unreadable=values.on_unreadable,
        prefix=values.prefix,
        num_workers=values.num_workers,
        profile_images=values.profile_images,
    )
    conversion = Conversion(options)
    if values.dry_run:
        print(conversion.describe())
        return 0
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # The profile imports TensorFlow.
    try:
        summary = conversion.run(quiet=values.quiet)
    except KeyboardInterrupt:
        print(f"{NAME}: stopped; the same command goes on from here", file=sys.stderr)
        raise
    print(_summary_text(options, summary))
    return 0


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
    ]
    if summary.was_finished:
        lines.insert(0, f"{options.output} is finished: nothing to do")
    else:
        rate = summary.images / max(summary.elapsed_s, 1e-9)
        lines.append(f"rate        {rate:.1f} images/s, {summary.elapsed_s:.1f} s")
    if counts["opaque"] or counts["encoded"] or counts["skipped"]:
        lines.append(f"Each is named in {filesystem.join(options.output, 'manifest.json')}.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
