"""Rebuilds the side index of a folder of PCR files, and the shard table of its manifest.

  pcr-index photos.pcr/

For when shards were added, removed, replaced or copied. The shards themselves are only read. Says
which shards the manifest had and are not there, and which it did not have: the labels of those are
only right if they were converted with the same classes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags

from pcr_tf.cli.command import UsageError, run_command
from pcr_tf.convert.job.manifest import rebuild_index
from pcr_tf.format import filesystem
from pcr_tf.format.dataset_index import SIDE_INDEX_NAME

NAME = "pcr-index"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command on `argv` (None: the process's arguments); returns the exit status."""

    def body(positional: list[str]) -> int:
        if len(positional) != 1 or not filesystem.is_dir(positional[0]):
            raise UsageError(f"expected one folder, got {' '.join(positional) or 'nothing'}")
        rebuilt = rebuild_index(positional[0])
        index = rebuilt.index
        for remark in rebuilt.remarks:
            print(f"{NAME}: warning: {remark}", file=sys.stderr)
        print(
            f"{filesystem.join(positional[0], SIDE_INDEX_NAME)}: {index.num_shards} shards, "
            f"{index.num_records} records, {index.num_examples} examples"
            f"; manifest.json {'updated' if rebuilt.has_manifest else 'is not there'}"
        )
        return 0

    return run_command(NAME, __doc__ or "", flags.FlagValues(), body, argv)


if __name__ == "__main__":
    sys.exit(main())
