"""What a conversion's output folder says about the job, which lets a killed job go on.

`state.json` says which job the output belongs to and stays. `<shard>.json` says what a finished
shard holds and goes when the manifest, which says the same, is written. A shard is finished when
its own file and its `<shard>.json` agree; everything else is done again.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from pcr_tf.convert.errors import ConvertError, some
from pcr_tf.convert.job.job_state import JobState
from pcr_tf.convert.job.options import ConvertOptions
from pcr_tf.convert.job.shard import ShardResult
from pcr_tf.format import filesystem
from pcr_tf.format.dataset_index import SHARD_SUFFIX, SIDE_INDEX_NAME, load_shard_index
from pcr_tf.format.manifest import MANIFEST_NAME
from pcr_tf.format.writer import created_by

STATE_FOLDER = ".pcr-convert"


def job_fingerprint(options: ConvertOptions, digests: Mapping[str, str]) -> dict[str, Any]:
    """Everything that the result depends on, as JSON values. `digests` are those of a listing."""
    packages = {}
    if options.on_unsupported == "encode":  # Other versions of Pillow may make other JPEGs.
        import PIL

        packages["Pillow"] = PIL.__version__
    return {
        "created_by": created_by(),
        "packages": packages,
        "flags": options.fingerprint(),
        "source": dict(sorted(digests.items(), key=lambda group: os.fsencode(group[0]))),
    }


class OutputState(JobState):
    """The state of one output folder."""

    def __init__(self, output: str) -> None:
        super().__init__(output, folder=STATE_FOLDER, verb="convert", noun="a conversion")

    def check_output(self, fingerprint: dict[str, Any], shard_names: list[str]) -> bool:
        """As `check`; and no shards but those of this job may be there.

        Raises:
            ConvertError: the output holds something else, or another job's result.
        """
        if not self.check(fingerprint):
            return False
        ours = {*shard_names, SIDE_INDEX_NAME}
        names = filesystem.listdir(self.output)
        foreign = [n for n in names if n.endswith(SHARD_SUFFIX) and n not in ours]
        if foreign:
            raise ConvertError(
                f"{self.output}: holds shards that are not this conversion's: {some(foreign)}; "
                "move them away"
            )
        return True

    def is_finished(self) -> bool:
        """Whether the manifest, which is written last, is there."""
        return filesystem.exists(filesystem.join(self.output, MANIFEST_NAME))

    def save(self, result: ShardResult) -> None:
        """Notes that a shard is finished."""
        self.save_part(result.name, dataclasses.asdict(result))

    def finished(self, shard_name: str) -> ShardResult | None:
        """What a shard holds, if it is finished."""
        fields = self.load_part(shard_name)
        try:
            result = ShardResult.from_json(fields or {})
            index = load_shard_index(filesystem.join(self.output, shard_name))
        except (OSError, ValueError, TypeError):
            return None
        found = (index.file_bytes, index.footer_checksum)
        return result if found == (result.file_bytes, result.footer_checksum) else None

    def end(self, shard_names: list[str]) -> None:
        """Removes what only a resumed job needs."""
        for name in shard_names:
            self.forget_part(name)
