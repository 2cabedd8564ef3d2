"""A table that names images, with the images in folders: HAM10000, CelebA, Stanford Cars."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence

from pcr_tf.convert.errors import ConvertError, ListingError, UnreadableItemError
from pcr_tf.convert.sources.base import (
    Listing,
    Source,
    SourceContext,
    SourceItem,
    only_image_feature,
)
from pcr_tf.convert.sources.class_list import normalized
from pcr_tf.convert.sources.image_walk import ImageWalk, without_root
from pcr_tf.convert.sources.images import image_format, read_image
from pcr_tf.convert.sources.inputs import expand_to_roots
from pcr_tf.convert.sources.numbers import canonical, column_type
from pcr_tf.convert.sources.options import SourceOptions
from pcr_tf.convert.sources.tables.labels import Labels, resolve_labels
from pcr_tf.convert.sources.tables.table_file import Row, Table, read_table
from pcr_tf.convert.sources.tables.table_images import Image, image_column, match_rows
from pcr_tf.format import filesystem
from pcr_tf.format.example import Values, encode_example


@dataclasses.dataclass(frozen=True)
class TableContext(SourceContext):
    """What reading the images of a table needs; an item holds the cells of its own row.

    Attributes:
      columns: name and type of each column; a column without a name is not a feature.
      split_position: the column that decides the part of a split; None for the image's name.
    """

    columns: tuple[tuple[str, type], ...] = ()
    split_position: int | None = None


@dataclasses.dataclass(frozen=True)
class TableSource(Source):
    """Images that the rows of a table name.

    An example holds image/encoded, image/filename (relative to its folder, with "/"), image/format
    (from the contents), where there is a label column image/class/label and image/class/text, and
    every column of the table under its own name: as int64, float or text, see `column_type`. A cell
    without a value gives no feature.

    Attributes:
      roots: the folders of images; those below them are searched as well.
    """

    kind = "table"

    roots: tuple[str, ...]
    image_features: tuple[str, ...]
    options: SourceOptions

    @classmethod
    def create(
        cls, inputs: Sequence[str], image_features: Sequence[str], options: SourceOptions
    ) -> TableSource:
        image_feature = only_image_feature(cls.kind, image_features)
        if not options.table:
            raise ConvertError("no table; name its file with `table`")
        roots = expand_to_roots(inputs)
        return cls(roots, (image_feature,), options)

    @classmethod
    def is_chosen_by(cls, options: SourceOptions) -> bool:
        return bool(options.table)

    def list_items(self, *, skip_unreadable: bool) -> Listing:
        options = self.options
        table = read_table(
            options.table, options.table_format, options.table_encoding, options.table_columns
        )
        split_position = None
        if options.split_column:
            split_position = table.column(options.split_column, "split_column")
        walk = ImageWalk(skip_unreadable, folders_are_classes=False)
        for root in self.roots:
            walk.add_root(root)
        name_at = image_column(table, walk, options)
        rows, unreadable = self._usable_rows(table, name_at, skip_unreadable)
        unreadable += walk.unreadable
        matches = match_rows(table, rows, name_at, walk, options)
        columns = self._typed_columns(table, rows)
        labels = self._labels(table, [row for row, _ in matches.pairs])

        label_at = table.column(options.label_column, "label_column") if labels.label_of else 0
        items = []
        digest = hashlib.sha256()
        for row, (path, relative, size_bytes, modified_ns) in sorted(matches.pairs, key=_by_name):
            label = labels.label_of.get(row.cells[label_at].strip(), -1)
            items.append(SourceItem(path, 0, size_bytes, label=label, detail="\0".join(row.cells)))
            digest.update(os.fsencode(f"{relative}\0{size_bytes}\0{modified_ns}\n"))
        digests = {
            filesystem.basename(table.path): f"{len(table.rows)} rows, {table.digest}",
            "images": f"{len(items)} files, {digest.hexdigest()[:16]}",
            **labels.digests,
        }
        return Listing(
            items=tuple(items),
            digests=digests,
            context=TableContext(tuple(labels.class_names), columns, split_position),
            unreadable=tuple(unreadable),
            ignored=(*matches.ignored, *walk.ignored),
        )

    def read(self, item: SourceItem, context: SourceContext) -> bytes:
        assert isinstance(context, TableContext)
        image = read_image(item)
        features: dict[str, Values] = {
            self.image_features[0]: [image],
            "image/filename": [os.fsencode(self.key(item))],
            "image/format": [image_format(image).encode()],
        }
        if item.label >= 0:
            features["image/class/label"] = [item.label]
            name = context.class_names[item.label]
            features["image/class/text"] = [name.encode(errors="surrogateescape")]
        for (name, kind), cell in zip(context.columns, item.detail.split("\0"), strict=True):
            if name and cell.strip():
                features[name] = [cell.encode() if kind is bytes else kind(cell)]
        return encode_example(features)

    def key(self, item: SourceItem) -> str:
        return without_root(item.path, self.roots)

    def split_key(self, item: SourceItem, context: SourceContext) -> str:
        assert isinstance(context, TableContext)
        if context.split_position is None:
            return self.key(item)
        cell = item.detail.split("\0")[context.split_position].strip()
        # Two spellings of one patient would otherwise go to different parts.
        return canonical(normalized(cell)) or self.key(item)

    def reencoded_features(self) -> dict[str, list[bytes]]:
        return {"image/format": [b"JPEG"]}

    def _usable_rows(
        self, table: Table, name_at: int, skip_unreadable: bool
    ) -> tuple[list[Row], list[tuple[str, str]]]:
        """Complete rows that have an image and, where there is a label column, a label; and (name,
        reason) of the others."""
        label = self.options.label_column
        label_at = table.column(label, "label_column") if label else name_at
        empty_is_class = "" in self.options.class_list().label_of
        faults = [
            (row, f"expected {len(table.columns)} values, got {len(row.cells)}")
            for row in table.misshapen
        ]
        rows = []
        for row in table.rows:
            if not row.cells[name_at].strip():
                faults.append((row, f"no image in column {table.columns[name_at]!r}"))
            elif not row.cells[label_at].strip() and not empty_is_class:
                faults.append((row, f"no label in column {label!r}"))
            else:
                rows.append(row)
        if faults and not skip_unreadable:
            raise UnreadableItemError(f"{table.path}: {faults[0][0].place}", faults[0][1])
        return rows, [
            (f"{filesystem.basename(table.path)}: {row.place}", why) for row, why in faults
        ]

    def _labels(self, table: Table, rows: list[Row]) -> Labels:
        if not self.options.label_column:
            return Labels([], {}, {})
        position = table.column(self.options.label_column, "label_column")
        values: dict[str, str] = {}
        for row in rows:
            values.setdefault(row.cells[position].strip(), f"{table.path}: {row.place}")
        return resolve_labels(values, self.options)

    def _typed_columns(self, table: Table, rows: list[Row]) -> tuple[tuple[str, type], ...]:
        reserved = {*self.image_features, "image/filename", "image/format"}
        reserved |= {"image/class/label", "image/class/text"}
        clash = next((name for name in table.columns if name in reserved), None)
        if clash is not None:
            raise ListingError(
                f"{table.path}: column {clash!r} has the name of a feature that the source makes; "
                "rename it"
            )
        return tuple(
            (name, column_type({row.cells[position].strip() for row in rows} - {""}))
            for position, name in enumerate(table.columns)
        )


def _by_name(pair: tuple[Row, Image]) -> bytes:
    return os.fsencode(pair[1][1])
