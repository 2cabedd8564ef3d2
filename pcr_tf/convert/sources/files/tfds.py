"""Data sets that TensorFlow Datasets has prepared, with their images as they are stored."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from pcr_tf.convert.errors import ConvertError, ListingError, UnreadableItemError
from pcr_tf.convert.sources.base import Listing, Source, SourceItem
from pcr_tf.convert.sources.files.tfrecord import TfRecordSource
from pcr_tf.convert.sources.options import SourceOptions
from pcr_tf.format import filesystem

_MAX_OPEN_FILES = 64


class TfdsSource(Source):
    """The examples of a builder of TensorFlow Datasets, as they are in its files: images are the
    bytes that ``tfds.decode.SkipDecoding`` gives, and every feature keeps its name and value.

    The builder's own code is needed for the listing only. Files of TFRecords are read as such;
    array_record files are read through their library.
    """

    kind = "tfds"

    def __init__(
        self, builders: Sequence[str], image_features: Sequence[str], options: SourceOptions
    ) -> None:
        """Names one builder, or the folder in which one has been prepared.

        Raises:
            ConvertError: several are named.
        """
        if len(builders) != 1:
            raise ConvertError(f"{', '.join(builders)}: expected one builder as --input")
        self._builder_name = builders[0]
        self._options = options
        self._is_array_record = False
        self._records = TfRecordSource((), image_features)
        self._readers: dict[str, Any] = {}
        self.image_features = tuple(image_features)

    def list_items(self, *, skip_unreadable: bool) -> Listing:
        builder = self._builder()
        features = builder.info.features
        images = [name for name in features if type(features[name]).__name__ == "Image"]
        unknown = [name for name in self.image_features if name not in images]
        if unknown:
            raise ListingError(
                f"{self._builder_name}: no image feature {unknown[0]!r}; its images are "
                f"{', '.join(images) or 'none'}; name them with --image_feature"
            )
        classes = [f for f in features.values() if type(f).__name__ == "ClassLabel"]
        class_names = list(classes[0].names or []) if len(classes) == 1 else []
        file_format = builder.info.file_format.name.lower()
        if file_format not in ("tfrecord", "array_record"):
            raise ListingError(
                f"{self._builder_name}: its files are {file_format}; expected tfrecord or "
                "array_record; prepare it with file_format='array_record'"
            )
        self._is_array_record = file_format == "array_record"
        listing = Listing([], {}, class_names)
        for instruction in self._instructions(builder):
            path = str(instruction.filename)
            part = slice(instruction.skip, instruction.skip + instruction.take)
            if self._is_array_record:
                items, digest = self._array_items(path)
                name, unreadable = filesystem.basename(path), []
            else:
                found = TfRecordSource((path,), self.image_features).list_items(
                    skip_unreadable=skip_unreadable
                )
                items, unreadable = found.items, found.unreadable
                ((name, digest),) = found.digests.items()
            # A fault in the file says the same.
            if len(items) != instruction.examples_in_shard and not unreadable:
                why = f"expected {instruction.examples_in_shard} records, as the builder says, got "
                why += f"{len(items)}; prepare it anew"
                fault = UnreadableItemError(path, why)
                listing.leave_out(path, fault, skip_unreadable=skip_unreadable)
            listing.unreadable += unreadable
            listing.digests[name] = f"{digest}, [{part.start}:{part.stop}]"
            listing.items += items[part]
        if not listing.items:
            raise ListingError(f"{self._builder_name}: split {self._options.tfds_split} is empty")
        return listing

    def read(self, item: SourceItem) -> bytes:
        if not self._is_array_record:
            return self._records.read(item)
        try:
            (data,) = self._reader(item.path).read([item.ordinal])
        except Exception as error:  # Its library raises what it meets.
            raise UnreadableItemError(item.name, f"cannot be read: {error}") from error
        return bytes(data)

    def key(self, item: SourceItem) -> str:
        return self._records.key(item)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_readers": {}}

    def _builder(self) -> Any:
        try:
            import tensorflow_datasets as tfds
        except ImportError as error:
            raise ConvertError(
                f"--source=tfds needs TensorFlow Datasets: {error}; install pcr-tf[tfds]"
            ) from error
        name, data_dir = self._builder_name, self._options.tfds_data_dir or None
        try:
            if filesystem.exists(filesystem.join(name, "dataset_info.json")):
                return tfds.builder_from_directory(name)
            builder = tfds.builder(name, data_dir=data_dir)
        except Exception as error:  # Builders raise whatever their code meets.
            why = str(error).partition("\n")[0]
            raise ListingError(f"{name}: no builder, and not the folder of one: {why}") from error
        if not filesystem.exists(os.fspath(builder.data_dir)):
            raise ListingError(
                f"{name}: not prepared in {builder.data_dir}; run `tfds build {name}`, or name "
                "the folder with --tfds_data_dir"
            )
        return builder

    def _instructions(self, builder: Any) -> Iterator[Any]:
        split = self._options.tfds_split
        try:
            yield from builder.info.splits[split].file_instructions
        except (KeyError, ValueError, AssertionError) as error:
            raise ListingError(
                f"{self._builder_name}: no split {split!r}; expected one of "
                f"{', '.join(builder.info.splits)}, or a slice as train[:80%]: {error}"
            ) from error

    def _array_items(self, path: str) -> tuple[list[SourceItem], str]:
        try:
            status = filesystem.status(path)
            count = self._reader(path).num_records()
        except Exception as error:  # Its library raises what it meets.
            raise UnreadableItemError(path, f"cannot be read: {error}") from error
        # The library says where no record is: sizes are their mean.
        size_bytes = status.size_bytes // max(count, 1)
        items = [SourceItem(path, 0, size_bytes, number) for number in range(count)]
        return items, f"{count} records, {status.size_bytes} bytes, {status.modified_ns}"

    def _reader(self, path: str) -> Any:
        if path not in self._readers:
            from array_record.python.array_record_module import ArrayRecordReader

            if len(self._readers) == _MAX_OPEN_FILES:
                self._readers.pop(next(iter(self._readers))).close()
            self._readers[path] = ArrayRecordReader(path)
        return self._readers[path]
