"""The options of an export: one value type, checked once."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from pcr_tf.convert.errors import ConvertError, check_at_least, check_choice, check_prefix

FORMATS = ("tfrecord", "files")

# Options that do not change what is written.
_FREE = frozenset({"path", "output", "num_workers"})


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """What an export does. Construction checks every field and raises ConvertError.

    Attributes:
        path: a PCR file or a folder of them. output: a new or empty folder.
        format: "tfrecord" or "files".
        scan_groups: the fidelity, at least 1; None for all scan groups.
        num_files: number of TFRecord files, at least 1; None for one per shard.
        prefix: how the names of TFRecord files begin.
        class_feature, label_feature, name_feature: keys of the features that files are named
            after (`FileNames`); empty: not looked at.
        num_workers: processes; 0 exports in the calling process.
    """

    path: str
    output: str
    format: str = "tfrecord"
    scan_groups: int | None = None
    num_files: int | None = None
    prefix: str = "examples"
    class_feature: str = "image/class/text"
    label_feature: str = "image/class/label"
    name_feature: str = "image/filename"
    num_workers: int = dataclasses.field(default_factory=lambda: os.cpu_count() or 1)

    def __post_init__(self) -> None:
        check_choice("format", self.format, FORMATS)
        check_at_least("num_workers", self.num_workers, 0)
        check_prefix(self.prefix)
        if self.scan_groups is not None:
            check_at_least("scan_groups", self.scan_groups, 1)
        if self.num_files is not None:
            check_at_least("num_files", self.num_files, 1)
            if self.format != "tfrecord":
                raise ConvertError("`num_files`: is for `format=tfrecord`; files are one per image")
        if not self.path or not self.output:
            raise ConvertError("an export needs a data set, `path`, and a folder, `output`")

    def fingerprint(self) -> dict[str, Any]:
        """The options that the result depends on, as JSON values."""
        fields = dataclasses.asdict(self)
        return {name: value for name, value in fields.items() if name not in _FREE}
