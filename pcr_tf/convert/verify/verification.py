"""`Verification`: proves a data set against its manifest, and against its source."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
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
        path: str,
        *,
        sources: Sequence[str] = (),
        places: Mapping[str, str] | None = None,
        num_workers: int = 1,
        quiet: bool = False,
        log: TextIO | None = None,
    ) -> None:
        """Reads the manifest, if there is one.

        Args:
            path: the folder of a data set, or one of its files.
            sources: folders, files and globs that it was made of; none: it is not compared.
            places: files of the source that the manifest does not name, where it has them: "table",
                "label_names", "tfds_data_dir", as in `SourceOptions`.
            num_workers: processes; 0 checks in the calling process.
            quiet: whether to show no progress. log: where to show it; standard error by default.

        Raises:
            ConvertError: there is no shard; or `sources` are given, and there is no manifest, which
                says how they were converted.
            ValueError: the manifest is damaged, or of another version.
        """
        is_folder = filesystem.is_dir(path)
        self.manifest = read_manifest(path) if is_folder else None
        if self.manifest is None and sources:
            raise ConvertError(
                f"{path}: {MANIFEST_NAME}; expected one beside the shards, which says how the "
                "source was converted, got none; leave the source out to check the data set alone"
            )
        self._checks = [ShardCheck(path, path)]
        if is_folder:
            self._checks = [
                ShardCheck(name, filesystem.join(path, name)) for name in shard_names(path)
            ]
            if not self._checks and self.manifest is None:
                raise ConvertError(no_shards(path))
        self._is_folder = is_folder
        self._folder = path
        self._sources = sources
        self._places = dict(places or {})
        self._num_workers = num_workers
        self._quiet = quiet
        self._log = log
        self.num_records = 0  # checked so far

    @property
    def levels(self) -> list[str]:
        """What `faults` checks, as texts."""
        levels = ["structure, checksums and images"]
        if self.manifest is not None:
            levels.append(MANIFEST_NAME)
        if self._sources:
            levels.append(f"source {', '.join(self._sources)}")
        return levels

    @property
    def num_shards(self) -> int:
        """How many shards there are to check."""
        return len(self._checks)

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

            assert self.manifest is not None
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
        manifest = self.manifest
        try:
            for fault in [] if manifest is None else self._manifest_faults(manifest):
                reported.add(fault)
                yield fault
            num_records = None if manifest is None else int(manifest["dataset"]["records"])
        except (KeyError, TypeError, AttributeError) as error:
            yield f"{self._manifest_path()}: damaged: {error!r}"
            return
        # Where shards are fewer than workers, these decode in threads.
        num_threads = max(1, self._num_workers // max(1, len(self._checks)))
        with contextlib.ExitStack() as stack:
            display = self._display(stack, "checking shards", num_records, "records")

            def on_progress(records: int, *others: int) -> None:
                self.num_records += records
                display.update(records, *others)

            for faults in run_jobs(
                functools.partial(check_shard, num_threads=num_threads),
                self._checks,
                num_workers=self._num_workers,
                on_progress=on_progress,
            ):
                reported.update(faults)
                yield from faults
        for fault in folder_faults(self._folder) if self._is_folder else []:
            if fault not in reported:
                reported.add(fault)
                yield fault
        if not reported and manifest is not None:
            yield from self._count_faults(manifest)

    def _manifest_faults(self, manifest: dict[str, Any]) -> Iterator[str]:
        """Where shards are not those that the manifest names."""
        there = {local_name(shard["name"]): shard for shard in manifest["shards"]}
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
        names = manifest["class_names"]
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

    def _count_faults(self, manifest: dict[str, Any]) -> Iterator[str]:
        """Where totals of the manifest are not those of the shards, which are sound."""
        found = shard_table(index_from_shards(self._folder))["dataset"]
        summary = summarize(self._folder)
        found |= {"images": summary.images, "opaque": summary.opaque}
        for key, value in found.items():
            part = "counts" if key in ("images", "opaque") else "dataset"
            wanted = manifest[part].get(key)
            if value != wanted:
                yield f"{self._manifest_path()}: {part}.{key}; expected {value}, got {wanted}"

    def _manifest_path(self) -> str:
        return filesystem.join(self._folder, MANIFEST_NAME)

    def _display(
        self, stack: contextlib.ExitStack, what: str, items: int | None, unit: str
    ) -> ProgressDisplay:
        if not self._quiet:
            amount = unit if items is None else f"{items} {unit}"
            print(f"{what}: {amount}", file=self._log or sys.stderr)
        return stack.enter_context(
            ProgressDisplay(items or 0, self._log, quiet=self._quiet, unit=unit)
        )


def check_shard(job: ShardCheck, progress: Report, num_threads: int = 1) -> list[str]:
    """The faults of one shard by itself."""
    size = filesystem.size(job.path)
    reported = 0

    def on_progress(records: int) -> None:
        nonlocal reported
        for _ in range(records):
            progress(1, size - reported, 0)
            reported = size

    return list(verify_shard(job.path, num_threads=num_threads, on_progress=on_progress))
