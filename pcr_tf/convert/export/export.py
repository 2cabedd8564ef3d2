"""`Export`: a PCR data set back to TFRecords of ``tf.train.Example``, or to files."""

from __future__ import annotations

import bisect
import dataclasses
import functools
import itertools
import os
import sys
import time
from typing import Any, NamedTuple, TextIO

from pcr_tf.convert.errors import ConvertError
from pcr_tf.convert.export.file_names import FileNames, add_label
from pcr_tf.convert.export.options import ExportOptions
from pcr_tf.convert.export.part import (
    STATE_FOLDER,
    ExportPart,
    PartResult,
    RecordSlice,
    check_is_first,
    export_part,
)
from pcr_tf.convert.job.job_state import JobState, check_output_is_outside
from pcr_tf.convert.job.progress import ProgressDisplay
from pcr_tf.convert.job.workers import check_can_start_workers, run_jobs
from pcr_tf.format import filesystem
from pcr_tf.format.dataset_index import open_dataset
from pcr_tf.format.manifest import read_manifest
from pcr_tf.format.writer import created_by


class MovedLabel(NamedTuple):
    """A folder that a conversion of the export would give another label.

    Attributes:
        folder: its name; label: the label of its images.
        position: its place among the folders sorted by name, from 0: the label that it would get.
    """

    folder: str
    label: int
    position: int


@dataclasses.dataclass(frozen=True)
class ExportSummary:
    """What an export has made.

    Attributes:
        examples, images: how many there are; files, file_bytes: what holds them.
        resumed_parts: parts that an earlier run had finished, of num_parts.
        elapsed_s: time of this run.
        moved_label: the first folder that a conversion would give another label; None: there is
            none.
    """

    examples: int
    images: int
    files: int
    file_bytes: int
    num_parts: int
    resumed_parts: int
    elapsed_s: float
    moved_label: MovedLabel | None = None

    @property
    def was_finished(self) -> bool:
        """Whether nothing was left to do."""
        return self.resumed_parts == self.num_parts


class Export:
    """One export, planned but not begun.

    Examples come in the order of the data set: that of its records, through all files in the
    order of their names. Every feature comes back as it went in; images are JPEGs at the fidelity
    asked for, and at full fidelity their coefficients are those of the source. Images that were
    kept byte for byte come back byte for byte at every fidelity.

    Attributes:
        may_lack_orientations: whether images that have an EXIF orientation come without it, as
            below full fidelity of a data set of format 1.0.

    Example:
        options = ExportOptions("photos.pcr", "records", scan_groups=2)
        summary = Export(options).run()
    """

    def __init__(self, options: ExportOptions) -> None:
        """Opens the data set and plans; writes nothing.

        Raises:
            ConvertError: an option does not fit the data set, or the output is inside it.
            OSError: the data set cannot be read. ValueError: it is none, or its index is damaged.
        """
        self.options = options
        opened = open_dataset(options.path)
        if opened.folder is not None:
            check_output_is_outside(options.output, [opened.folder])
        index = opened.index
        groups = index.header.num_groups
        if options.scan_groups is not None and options.scan_groups > groups:
            raise ConvertError(
                f"`scan_groups`; expected 1 to {groups}, the scan groups of {options.path}; "
                f"got {options.scan_groups}"
            )
        # Format 1.0 holds the orientation of images at full fidelity only.
        below_full = options.scan_groups not in (None, groups)
        self.may_lack_orientations = below_full and index.header.version < (1, 1)
        counts = [index.record(record).num_examples for record in range(index.num_records)]
        self._starts = list(itertools.accumulate(counts, initial=0))
        shards = [index.shard(number) for number in range(index.num_shards)]
        if options.num_files is None:
            bounds = [self._starts[first] for *_, first, _ in shards] + [self._starts[-1]]
        else:
            files = options.num_files
            bounds = [self._starts[-1] * number // files for number in range(files + 1)]
        self.parts = [
            ExportPart(self._part_name(number, len(bounds) - 1), self._slices(begin, end))
            for number, (begin, end) in enumerate(itertools.pairwise(bounds))
        ]
        manifest = read_manifest(opened.folder) if opened.folder is not None else None
        self._names = FileNames(
            options.class_feature,
            options.label_feature,
            options.name_feature,
            tuple((manifest or {}).get("class_names", ())),
            digits=max(6, len(str(self._starts[-1]))),
        )
        # Folder of images, relative to the output -> names in it. Each is listed once.
        self._listed: dict[str, frozenset[str]] = {}
        self._state = JobState(options.output, folder=STATE_FOLDER, verb="export", noun="an export")
        self._fingerprint = {
            "created_by": created_by(),
            "flags": options.fingerprint(),
            "source": {
                filesystem.basename(name): f"{size} bytes, footer checksum {checksum:08x}"
                for name, size, checksum, *_ in shards
            },
        }

    @property
    def num_examples(self) -> int:
        """Number of examples of the data set."""
        return self._starts[-1]

    def run(self, *, quiet: bool = False, log: TextIO | None = None) -> ExportSummary:
        """Writes every part that is not finished.

        Worker processes start with the spawn method: a program that calls this keeps its own entry
        point under ``if __name__ == "__main__"``.

        Args:
            quiet: whether to show no progress. log: where to show it; standard error by default.

        Raises:
            ConvertError: the output is not this job's, the data set is damaged, two images have one
                name, two labels one folder, or an example several labels.
            OSError: a file cannot be read or written; names it.
            KeyboardInterrupt: passed on once the workers are stopped. The job can be resumed.
        """
        check_can_start_workers(self.options.num_workers)
        begun = time.monotonic()
        state = self._state
        state.check(self._fingerprint)
        state.make_folder()
        with state.lock():
            state.check(self._fingerprint)
            state.begin(self._fingerprint)
            self._listed.clear()
            results = {part.name: self._finished(part) for part in self.parts}
            self._listed.clear()
            waiting = [part for part in self.parts if results[part.name] is None]
            resumed = len(self.parts) - len(waiting)
            if resumed and waiting and not quiet:
                print(
                    f"resuming: {resumed} of {len(self.parts)} parts are finished",
                    file=log or sys.stderr,
                )
            examples = sum(part.examples for part in waiting)
            labels: dict[str, int] = {}
            written: set[str] = set()
            for finished in results.values():
                _add_names(labels, written, finished)
            try:
                with ProgressDisplay(examples, log, quiet=quiet) as display:
                    for result in run_jobs(
                        functools.partial(export_part, options=self.options, names=self._names),
                        waiting,
                        num_workers=self.options.num_workers,
                        on_progress=display.update,
                    ):
                        _add_names(labels, written, result)
                        state.save_part(result.name, dataclasses.asdict(result))
                        results[result.name] = result
            except BaseException:
                state.remove_temporaries()
                raise
        done = [result for result in results.values() if result is not None]
        return ExportSummary(
            examples=sum(result.examples for result in done),
            images=sum(result.images for result in done),
            files=sum(result.files for result in done),
            file_bytes=sum(result.file_bytes for result in done),
            num_parts=len(self.parts),
            resumed_parts=resumed,
            elapsed_s=time.monotonic() - begun,
            moved_label=_moved_label(labels),
        )

    def _part_name(self, number: int, parts: int) -> str:
        suffix = f"{number:05d}-of-{parts:05d}"
        if self.options.format == "tfrecord":
            return f"{self.options.prefix}-{suffix}.tfrecord"
        return f"part-{suffix}"

    def _slices(self, begin: int, end: int) -> tuple[RecordSlice, ...]:
        """The examples [begin, end) of the data set, record by record."""
        slices = []
        while begin < end:
            record = bisect.bisect_right(self._starts, begin) - 1
            first = self._starts[record]
            stop = min(end, self._starts[record + 1])
            slices.append(RecordSlice(record, begin, begin - first, stop - first))
            begin = stop
        return tuple(slices)

    def _finished(self, part: ExportPart) -> PartResult | None:
        fields: dict[str, Any] | None = self._state.load_part(part.name)
        try:
            result = PartResult.from_json(fields or {})
            if self.options.format == "tfrecord":
                path = filesystem.join(self.options.output, part.name)
                if filesystem.size(path) != result.file_bytes:
                    return None
            elif len(result.image_names) != result.files or not self._are_there(result):
                return None
        except (OSError, TypeError):
            return None
        return result

    def _are_there(self, part: PartResult) -> bool:
        for name in part.image_names:
            folder, _, file_name = name.rpartition("/")
            if folder not in self._listed:
                path = filesystem.join(self.options.output, *folder.split("/"))
                there = filesystem.listdir(path) if filesystem.is_dir(path) else []
                self._listed[folder] = frozenset(there)
            if file_name not in self._listed[folder]:
                return False
        return True


def _add_names(labels: dict[str, int], written: set[str], part: PartResult | None) -> None:
    if part is None:
        return
    for folder, label in part.labels.items():
        add_label(labels, folder, label)
    for name in part.image_names:
        check_is_first(name, written)


def _moved_label(labels: dict[str, int]) -> MovedLabel | None:
    for position, folder in enumerate(sorted(labels, key=os.fsencode)):
        if labels[folder] != position:
            return MovedLabel(folder, labels[folder], position)
    return None
