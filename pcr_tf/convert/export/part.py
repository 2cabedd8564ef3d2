"""Exports one part of a data set: consecutive examples, to one TFRecord file or to files."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import posixpath
from collections.abc import Iterator
from typing import Any, NamedTuple

from pcr_tf.convert.errors import ConvertError
from pcr_tf.convert.export.file_names import FileNames, add_label
from pcr_tf.convert.export.options import ExportOptions
from pcr_tf.convert.job.workers import Report
from pcr_tf.format import filesystem
from pcr_tf.format.example import bytes_features
from pcr_tf.format.reader import PcrReader
from pcr_tf.format.tfrecord import frame

STATE_FOLDER = ".pcr-export"


class RecordSlice(NamedTuple):
    """Examples [begin, end) of a record; `number` is that of its first example in the data set."""

    record: int
    number: int
    begin: int
    end: int


@dataclasses.dataclass(frozen=True)
class ExportPart:
    """What one worker does at a time. `name` is that of its file, or of its notes."""

    name: str
    slices: tuple[RecordSlice, ...]

    @property
    def examples(self) -> int:
        """Number of its examples."""
        return sum(part.end - part.begin for part in self.slices)


@dataclasses.dataclass(frozen=True)
class PartResult:
    """What a part became: `files` with `file_bytes` bytes in all.

    `image_names` are those of the files of images, relative to the output, with "/"; `labels` the
    label of the images in each folder, where they have one.
    """

    name: str
    examples: int
    images: int
    files: int
    file_bytes: int
    image_names: list[str] = dataclasses.field(default_factory=list)
    labels: dict[str, int] = dataclasses.field(default_factory=dict)

    @staticmethod
    def from_json(fields: dict[str, Any]) -> PartResult:
        """The inverse of `dataclasses.asdict`; TypeError where the fields are others."""
        return PartResult(**fields)


def export_part(
    part: ExportPart, options: ExportOptions, names: FileNames, progress: Report
) -> PartResult:
    """Writes a part. What is there already is kept if it is equal, and never replaced.

    Raises:
        ConvertError: the data set is damaged; a file is there with other contents; two images have
            one name, or two labels one folder; an example has several labels or classes.
        OSError: a file cannot be read or written; names it.
    """
    write = _write_tfrecord if options.format == "tfrecord" else _write_files
    try:
        return write(part, options, names, progress)
    except ValueError as error:
        raise ConvertError(f"{error}; see all faults with pcr-verify") from error


def _examples(part: ExportPart, options: ExportOptions) -> Iterator[tuple[int, bytes, list[bytes]]]:
    """(number in the data set, example, its images in the order of the image features)."""
    reader = PcrReader(options.path)
    features = reader.index.header.image_features
    for record, number, begin, end in part.slices:
        examples = reader.read_record(record, options.scan_groups)[begin:end]
        for position, example in enumerate(examples):
            images = bytes_features(example, features)
            yield number + position, example, [v for values in images.values() for v in values]


def _write_tfrecord(
    part: ExportPart, options: ExportOptions, names: FileNames, progress: Report
) -> PartResult:
    path = filesystem.join(options.output, part.name)
    temporary = _temporary_name(options, part.name)
    count = file_bytes = 0
    try:
        with contextlib.closing(filesystem.open_for_writing(temporary)) as file:
            for _, example, images in _examples(part, options):
                data = frame(example)
                file.write(data)
                count += len(images)
                file_bytes += len(data)
                progress(len(images), sum(map(len, images)), len(data))
            filesystem.make_durable(file, temporary)
    except OSError as error:
        if error.filename:
            raise  # A shard that cannot be read, say.
        raise filesystem.naming(error, path) from error
    _place(temporary, path)
    return PartResult(part.name, part.examples, count, 1, file_bytes)


def _write_files(
    part: ExportPart, options: ExportOptions, names: FileNames, progress: Report
) -> PartResult:
    count = file_bytes = 0
    made = set()
    image_names = []
    written: set[str] = set()
    labels: dict[str, int] = {}
    for number, example, images in _examples(part, options):
        relatives, label = names.of_images(example, number, images), names.label(example)
        for relative, image in zip(relatives, images, strict=True):
            check_is_first(relative, written)
            if label is not None:
                add_label(labels, posixpath.dirname(relative), label)
            path = filesystem.join(options.output, *relative.split("/"))
            folder = filesystem.dirname(path)
            if folder not in made:
                filesystem.makedirs(folder)
                made.add(folder)
            temporary = _temporary_name(options, "image")
            try:
                with contextlib.closing(filesystem.open_for_writing(temporary)) as file:
                    file.write(image)
            except OSError as error:
                raise filesystem.naming(error, path) from error
            _place(temporary, path)
            image_names.append(relative)
            count += 1
            file_bytes += len(image)
        progress(len(images), sum(map(len, images)), sum(map(len, images)))
    if not filesystem.is_remote(options.output):
        # All files of the part at once, before it is noted as finished: one by one takes longer.
        os.sync()
    return PartResult(part.name, part.examples, count, count, file_bytes, image_names, labels)


def check_is_first(relative: str, written: set[str]) -> None:
    """Notes in `written` that this export has an image called `relative`.

    Raises:
        ConvertError: another image has that name: of two equal ones, one would be lost.
    """
    if relative in written:
        raise ConvertError(
            f"{relative}: is the name that two examples have, and a file holds one; number them: "
            "`name_feature=`; name a new folder with `output`"
        )
    written.add(relative)


def _temporary_name(options: ExportOptions, name: str) -> str:
    return filesystem.temporary_name(filesystem.join(options.output, STATE_FOLDER, name))


def _place(temporary: str, path: str) -> None:
    if filesystem.rename_new(temporary, path):
        return
    # A job that was killed before it noted the part has left this; anything else stays as it is.
    if filesystem.is_dir(path) or not filesystem.same_contents(temporary, path):
        filesystem.remove(temporary)
        raise ConvertError(
            f"{path}: is there already, with other contents, and is not replaced; move it away, "
            "or, if two examples have this name, number the files: `name_feature=`"
        )
    filesystem.remove(temporary)
