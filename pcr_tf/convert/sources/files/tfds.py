"""Data sets that TensorFlow Datasets has prepared, with their images as they are stored."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

from pcr_tf.convert.errors import ConvertError, ListingError, UnreadableItemError
from pcr_tf.convert.sources.base import (
    Listing,
    Source,
    SourceContext,
    SourceItem,
    UnreadableLog,
)
from pcr_tf.convert.sources.files.tfrecord import TfRecordSource, read_record, record_key
from pcr_tf.convert.sources.options import SourceOptions
from pcr_tf.format import filesystem

_MAX_OPEN_FILES = 64


@dataclasses.dataclass(frozen=True)
class TfdsContext(SourceContext):
    """What reading a builder's examples needs.

    Attributes:
      is_array_record: whether its files are array_record files, or else TFRecord files.
    """

    is_array_record: bool = False


class _OpenFiles:
    """The array_record files that this process has open: a cache, empty in every copy.

    Their library is imported on demand.
    """

    def __init__(self) -> None:
        self._readers: dict[str, Any] = {}

    def __reduce__(self) -> tuple[type[_OpenFiles], tuple[()]]:
        return _OpenFiles, ()

    def reader(self, path: str) -> Any:
        if path not in self._readers:
            from array_record.python.array_record_module import ArrayRecordReader

            if len(self._readers) == _MAX_OPEN_FILES:
                self._readers.pop(next(iter(self._readers))).close()
            self._readers[path] = ArrayRecordReader(path)
        return self._readers[path]


@dataclasses.dataclass(frozen=True)
class TfdsSource(Source):
    """The examples of a builder of TensorFlow Datasets, as they are in its files: images are the
    bytes that ``tfds.decode.SkipDecoding`` gives, and every feature keeps its name and value.

    Only listing needs the builder's own code. TFRecord files are read as such; array_record files
    are read through their library.

    Attributes:
      builder_name: the builder, or the folder in which one has been prepared.
    """

    kind = "tfds"

    builder_name: str
    image_features: tuple[str, ...]
    options: SourceOptions
    _open_files: _OpenFiles = dataclasses.field(
        default_factory=_OpenFiles, init=False, repr=False, compare=False
    )

    @classmethod
    def create(
        cls, inputs: Sequence[str], image_features: Sequence[str], options: SourceOptions
    ) -> TfdsSource:
        if len(inputs) != 1:
            raise ConvertError(f"`inputs`; expected one builder, got {', '.join(inputs)}")
        return cls(inputs[0], tuple(image_features), options)

    def list_items(self, *, skip_unreadable: bool) -> Listing:
        builder = self._builder()
        features = builder.info.features
        images = [name for name in features if type(features[name]).__name__ == "Image"]
        unknown = [name for name in self.image_features if name not in images]
        if unknown:
            raise ListingError(
                f"{self.builder_name}: no image feature {unknown[0]!r}; its images are "
                f"{', '.join(images) or 'none'}; name them with `image_features`"
            )
        classes = [f for f in features.values() if type(f).__name__ == "ClassLabel"]
        class_names = tuple(classes[0].names or ()) if len(classes) == 1 else ()
        file_format = builder.info.file_format.name.lower()
        if file_format not in ("tfrecord", "array_record"):
            raise ListingError(
                f"{self.builder_name}: its files are {file_format}; expected tfrecord or "
                "array_record; prepare it with file_format='array_record'"
            )
        is_array_record = file_format == "array_record"
        items: list[SourceItem] = []
        digests: dict[str, str] = {}
        unreadable = UnreadableLog(skip=skip_unreadable)
        for instruction in self._instructions(builder):
            path = str(instruction.filename)
            part = slice(instruction.skip, instruction.skip + instruction.take)
            records: Sequence[SourceItem]
            damaged: Sequence[tuple[str, str]] = ()
            if is_array_record:
                records, digest = self._array_items(path)
                name = filesystem.basename(path)
            else:
                listing = TfRecordSource((path,), self.image_features).list_items(
                    skip_unreadable=skip_unreadable
                )
                records, damaged = listing.items, listing.unreadable
                ((name, digest),) = listing.digests.items()
            # Damage explains a wrong count.
            if len(records) != instruction.examples_in_shard and not damaged:
                why = f"expected {instruction.examples_in_shard} records, as the builder says, got "
                why += f"{len(records)}; prepare it anew"
                unreadable.add(path, UnreadableItemError(path, why))
            unreadable.entries += damaged
            digests[name] = f"{digest}, [{part.start}:{part.stop}]"
            items += records[part]
        if not items:
            raise ListingError(f"{self.builder_name}: split {self.options.tfds_split} is empty")
        context = TfdsContext(class_names, is_array_record)
        return Listing(tuple(items), digests, context, tuple(unreadable.entries))

    def read(self, item: SourceItem, context: SourceContext) -> bytes:
        assert isinstance(context, TfdsContext)
        if not context.is_array_record:
            return read_record(item)
        try:
            (data,) = self._open_files.reader(item.path).read([item.ordinal])
        except Exception as error:  # Its library raises exceptions of many types.
            raise UnreadableItemError(item.name, f"cannot be read: {error}") from error
        return bytes(data)

    def key(self, item: SourceItem) -> str:
        return record_key(item)

    def _builder(self) -> Any:
        try:
            import tensorflow_datasets as tfds
        except ImportError as error:
            raise ConvertError(
                f"`input_format=tfds`: requires TensorFlow Datasets: {error}; install pcr-tf[tfds]"
            ) from error
        name, data_dir = self.builder_name, self.options.tfds_data_dir or None
        try:
            if filesystem.exists(filesystem.join(name, "dataset_info.json")):
                return tfds.builder_from_directory(name)
            builder = tfds.builder(name, data_dir=data_dir)
        except Exception as error:  # Builders raise exceptions of any type.
            why = str(error).partition("\n")[0]
            raise ListingError(f"{name}: neither a builder nor the folder of one: {why}") from error
        if not filesystem.exists(os.fspath(builder.data_dir)):
            raise ListingError(
                f"{name}: not prepared in {builder.data_dir}; run `tfds build {name}`, or name "
                "the folder with `tfds_data_dir`"
            )
        return builder

    def _instructions(self, builder: Any) -> Iterator[Any]:
        split = self.options.tfds_split
        try:
            yield from builder.info.splits[split].file_instructions
        except (KeyError, ValueError, AssertionError) as error:
            raise ListingError(
                f"{self.builder_name}: no split {split!r}; expected one of "
                f"{', '.join(builder.info.splits)}, or a slice like train[:80%]: {error}"
            ) from error

    def _array_items(self, path: str) -> tuple[list[SourceItem], str]:
        try:
            status = filesystem.status(path)
            count = self._open_files.reader(path).num_records()
        except Exception as error:  # Its library raises exceptions of many types.
            raise UnreadableItemError(path, f"cannot be read: {error}") from error
        # The library does not tell where records are: each item gets their mean size.
        size_bytes = status.size_bytes // max(count, 1)
        items = [SourceItem(path, 0, size_bytes, number) for number in range(count)]
        return items, f"{count} records, {status.size_bytes} bytes, {status.modified_ns}"
