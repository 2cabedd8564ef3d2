"""Shows what a PCR file or data set holds; pcr-verify checks it.

  pcr-inspect photos.pcr/
  pcr-inspect --records photos.pcr/shard-00000-of-00008.pcr

Shows what each fidelity costs. Reads the index and the metadata of the records, no image.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from pcr_tf.cli.command import UsageError, run_command
from pcr_tf.format.names import to_json
from pcr_tf.format.summary import DatasetSummary, summarize

NAME = "pcr-inspect"


def _define_flags() -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_boolean("records", False, "list every record", flag_values=values)
    flags.DEFINE_boolean("json", False, "print JSON", flag_values=values)
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command on `argv` (None: the process's arguments); returns the exit status."""
    values = _define_flags()

    def body(positional: list[str]) -> int:
        if not positional:
            raise UsageError("expected a file or folder")
        return _show(positional, values)

    return run_command(NAME, __doc__ or "", values, body, argv)


def _show(paths: list[str], values: flags.FlagValues) -> int:
    summary = summarize(paths[0] if len(paths) == 1 else paths, records=values.records)
    if values.json:
        _print_json(dataclasses.asdict(summary))
    else:
        print(_text(summary))
    return 0


def _print_json(value: Any) -> None:
    print(to_json(value).decode(), end="")


def _text(summary: DatasetSummary) -> str:
    lines = [
        f"{summary.path}: PCR {summary.version}, made by {summary.created_by}",
        f"image features  {', '.join(summary.image_features)}",
        f"shards          {summary.num_shards}, {summary.file_bytes} bytes"
        f"{', with side index' if summary.side_index else ''}",
        f"records         {summary.num_records}, {summary.num_examples} examples, {summary.images} "
        "images, "
        f"{summary.opaque} kept as they came, {summary.turned} turned (EXIF orientation)",
        f"metadata        {summary.metadata_bytes} bytes, in fidelity 1 below",
        "",
        "fidelity  scans         bytes   share  cumulative  bytes/image",
    ]
    lines += [
        f"{group.scan_groups:8d}  {group.scans:5d}  {group.group_bytes:12d}  {group.share:5.1%}  "
        f"{group.cumulative_share:10.1%}  {group.mean_bytes_per_image:11.0f}"
        for group in summary.groups
    ]
    lines += ["", "     bytes  records  footer    shard"]
    lines += [
        f"{shard.file_bytes:10d}  {shard.records:7d}  {shard.footer_checksum}  {shard.name}"
        for shard in summary.shards
    ]
    if summary.records:
        lines += [
            "",
            "record      offset  examples  images  opaque  metadata  bytes at fidelity 1, 2, ...  "
            "shard",
        ]
        lines += [
            f"{r.record:6d}  {r.offset:10d}  {r.examples:8d}  {r.images:6d}  {r.opaque:6d}  "
            f"{r.metadata_bytes:8d}  {' '.join(map(str, r.prefix_bytes))}  {r.shard}"
            for r in summary.records
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
