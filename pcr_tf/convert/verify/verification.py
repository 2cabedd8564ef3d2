"""`Verification`: proves a data set against its manifest, and against its source."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from pcr_tf._native import DatasetIndex
from pcr_tf.convert.errors import ConvertError
from pcr_tf.convert.job.manifest import shard_table
from pcr_tf.convert.job.progress import ProgressDisplay
from pcr_tf.convert.job.workers import OnProgress, Report, run_jobs
from pcr_tf.convert.verify.source import SourceProof
from pcr_tf.format import filesystem
from pcr_tf.format.dataset_index import (
    index_from_shards,
    load_shard_index,
    no_shards,
    shard_names,
)
from pcr_tf.format.manifest import MANIFEST_NAME, read_manifest
from pcr_tf.format.names import local_name, stored_name
from pcr_tf.format.summary import summarize
from pcr_tf.format.verify import folder_faults, verify_shard


@dataclasses.dataclass(frozen=True)
class ShardCheck:
    """One shard to be checked by itself."""

    name: str
    path: str


class Verification:
    """One data set, to be proved.

    Example:
        for fault in Verification("photos.pcr", sources=["photos/"]).faults():
            print(fault)
    """

    def __init__(
        self,
        folder: str,
        *,
        sources: Sequence[str] = (),
        places: Mapping[str, str] | None = None,
        num_workers: int = 1,
        quiet: bool = False,
        log: TextIO | None = None,
    ) -> None:
        """Reads the manifest.

        Args:
            folder: of the data set.
            sources: folders, files and globs that it was made of; none: it is not compared.
            places: files of the source that the manifest does not name, where it has them: "table",
                "label_names", "tfds_data_dir", as in `SourceOptions`.
            num_workers: processes; 0 checks in the calling process.
            quiet: whether to show no progress. log: where to show it; standard error by default.

        Raises:
            ConvertError: there is no manifest, or no shard.
            ValueError: the manifest is damaged, or of another version.
        """
        manifest = read_manifest(folder)
        if manifest is None:
            if not shard_names(folder):
                raise ConvertError(no_shards(folder))
            raise ConvertError(
                f"{filesystem.join(folder, MANIFEST_NAME)}: is not there; a data set without one "
                "is checked by pcr-inspect --verify"
            )
        self.manifest = manifest
        self._folder = folder
        self._sources = sources
        self._places = dict(places or {})
        self._num_workers = num_workers
        self._quiet = quiet
        self._log = log

    def faults(self) -> Iterator[str]:
        """Every fault, as a line that names file, record, example and feature.

        The data set is compared with its source only where nothing else is wrong.

        Raises:
            ConvertError: the source cannot be listed, or a worker died.
            OSError: a file cannot be read.
        """
        found = False
        for fault in self._own_faults():
            found = True
            yield fault
        if not self._sources:
            return
        if found:
            yield f"{self._folder}: not compared with the source, for it is damaged"
            return
        with contextlib.ExitStack() as stack:

            def begin(what: str, items: int) -> OnProgress:
                stack.close()  # The display of what went before.
                return self._display(stack, what, items, "examples").update

            proof = SourceProof(
                self._folder,
                self.manifest,
                self._sources,
                places=self._places,
                num_workers=self._num_workers,
            )
            yield from proof.faults(begin)

    def _own_faults(self) -> Iterator[str]:
        reported = set()
        try:
            for fault in self._manifest_faults():
                reported.add(fault)
                yield fault
        except (KeyError, TypeError, AttributeError) as error:
            yield f"{self._manifest_path()}: damaged: {error!r}"
            return
        checks = [
            ShardCheck(name, filesystem.join(self._folder, name))
            for name in shard_names(self._folder)
        ]
        records = self.manifest["dataset"]["records"]
        with contextlib.ExitStack() as stack:
            display = self._display(stack, "checking shards", records, "records")
            for faults in run_jobs(
                check_shard, checks, num_workers=self._num_workers, on_progress=display.update
            ):
                reported.update(faults)
                yield from faults
        for fault in folder_faults(self._folder):
            if fault not in reported:
                reported.add(fault)
                yield fault
        if not reported:
            yield from self._count_faults()

    def _manifest_faults(self) -> Iterator[str]:
        """Where shards are not those that the manifest names."""
        there = {local_name(shard["name"]): shard for shard in self.manifest["shards"]}
        here = set(shard_names(self._folder))
        for name in sorted({*there, *here}):
            path = filesystem.join(self._folder, name)
            if name not in here:
                yield f"{path}: in the manifest but not in the folder"
            elif name not in there:
                yield f"{path}: not in the manifest"
            elif (size := filesystem.size(path)) != there[name]["bytes"]:
                yield (
                    f"{path}: size in bytes; expected {there[name]['bytes']} by the manifest, "
                    f"got {size}"
                )
            else:
                yield from self._shard_faults(path, there[name])
        names = self.manifest["class_names"]
        if len(set(names)) != len(names):
            yield f"{self._manifest_path()}: class_names; expected distinct names, got {names}"

    def _shard_faults(self, path: str, wanted: dict[str, Any]) -> Iterator[str]:
        try:
            index = DatasetIndex.from_shards([(wanted["name"], load_shard_index(path))])
        except ValueError:
            return  # The check of the shard itself says what is wrong.
        (found,) = shard_table(index)["shards"]
        for key, value in found.items():
            if (stored_name(value) if key == "name" else value) != wanted[key]:
                yield f"{path}: {key}; expected {wanted[key]} by the manifest, got {value}"

    def _count_faults(self) -> Iterator[str]:
        """Where totals of the manifest are not those of the shards, which are sound."""
        found = shard_table(index_from_shards(self._folder))["dataset"]
        summary = summarize(self._folder)
        found |= {"images": summary.images, "opaque": summary.opaque}
        for key, value in found.items():
            part = "counts" if key in ("images", "opaque") else "dataset"
            wanted = self.manifest[part].get(key)
            if value != wanted:
                yield f"{self._manifest_path()}: {part}.{key}; expected {value}, got {wanted}"

    def _manifest_path(self) -> str:
        return filesystem.join(self._folder, MANIFEST_NAME)

    def _display(
        self, stack: contextlib.ExitStack, what: str, items: int, unit: str
    ) -> ProgressDisplay:
        if not self._quiet:
            print(f"{what}: {items} {unit}", file=self._log or sys.stderr)
        return stack.enter_context(ProgressDisplay(items, self._log, quiet=self._quiet, unit=unit))


def check_shard(job: ShardCheck, progress: Report) -> list[str]:
    """The faults of one shard by itself."""
    size = filesystem.size(job.path)
    reported = 0

    def on_progress(records: int) -> None:
        nonlocal reported
        for _ in range(records):
            progress(1, size - reported, 0)
            reported = size

    return list(verify_shard(job.path, on_progress=on_progress))
