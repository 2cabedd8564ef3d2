"""A table that names images, with the images in folders: HAM10000, CelebA, Stanford Cars."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from pcr_tf.convert.errors import ListingError, UnreadableItemError
from pcr_tf.convert.sources.base import Listing, Source, SourceItem
from pcr_tf.convert.sources.class_list import normalized
from pcr_tf.convert.sources.files.images import (
    ImageWalk,
    image_format,
    read_image,
    without_root,
)
from pcr_tf.convert.sources.numbers import canonical, column_type
from pcr_tf.convert.sources.options import SourceOptions
from pcr_tf.convert.sources.tables.labels import Labels, resolve_labels
from pcr_tf.convert.sources.tables.table_file import Row, Table, read_table
from pcr_tf.convert.sources.tables.table_images import Image, image_column, match_rows
from pcr_tf.format import filesystem
from pcr_tf.format.example import Values, encode_example


class TableSource(Source):
    """Images that the rows of a table name.

    An example holds image/encoded, image/filename (relative to its folder, with "/"), image/format
    (from the contents), where there is a label column image/class/label and image/class/text, and
    every column of the table under its own name: as int64, float or text, see `column_type`. A cell
    without a value gives no feature.
    """

    kind = "table"

    def __init__(self, roots: Sequence[str], image_feature: str, options: SourceOptions) -> None:
        """Names the folders of images; those below them are searched as well."""
        self.roots = tuple(root.rstrip("/") or "/" for root in roots)
        self.image_features = (image_feature,)
        self._options = options
        self._class_names: list[str] = []
        # Name and type of each column; a column without a name is no feature.
        self._columns: list[tuple[str, type]] = []
        self._split_position: int | None = None

    def list_items(self, *, skip_unreadable: bool) -> Listing:
        options = self._options
        table = read_table(
            options.table, options.table_format, options.table_encoding, options.table_columns
        )
        if options.split_column:
            self._split_position = table.column(options.split_column, "split_column")
        walk = ImageWalk(skip_unreadable, folders_are_classes=False)
        for root in self.roots:
            walk.add_root(root)
        name_at = image_column(table, walk, options)
        rows, unreadable = self._sound_rows(table, name_at, skip_unreadable)
        unreadable += walk.unreadable
        found = match_rows(table, rows, name_at, walk, options)
        pairs = found.pairs
        self._set_columns(table, rows)
        labels = self._labels(table, [row for row, _ in pairs])
        self._class_names = labels.class_names

        label_at = table.column(options.label_column, "label_column") if labels.label_of else 0
        items = []
        digest = hashlib.sha256()
        for row, (path, relative, size_bytes, modified_ns) in sorted(pairs, key=_by_name):
            label = labels.label_of.get(row.cells[label_at].strip(), -1)
            items.append(SourceItem(path, 0, size_bytes, label=label, detail="\0".join(row.cells)))
            digest.update(os.fsencode(f"{relative}\0{size_bytes}\0{modified_ns}\n"))
        digests = {
            filesystem.basename(table.path): f"{len(table.rows)} rows, {table.digest}",
            "images": f"{len(items)} files, {digest.hexdigest()[:16]}",
            **labels.digests,
        }
        return Listing(items, digests, labels.class_names, unreadable, found.ignored + walk.ignored)

    def read(self, item: SourceItem) -> bytes:
        image = read_image(item)
        features: dict[str, Values] = {
            self.image_features[0]: [image],
            "image/filename": [os.fsencode(self.key(item))],
            "image/format": [image_format(image).encode()],
        }
        if item.label >= 0:
            features["image/class/label"] = [item.label]
            features["image/class/text"] = [
                self._class_names[item.label].encode(errors="surrogateescape")
            ]
        for (name, kind), cell in zip(self._columns, item.detail.split("\0"), strict=True):
            if name and cell.strip():
                features[name] = [cell.encode() if kind is bytes else kind(cell)]
        return encode_example(features)

    def key(self, item: SourceItem) -> str:
        return without_root(item.path, self.roots)

    def split_key(self, item: SourceItem) -> str:
        if self._split_position is None:
            return self.key(item)
        cell = item.detail.split("\0")[self._split_position].strip()
        # Of two spellings of one patient each would go to a part of its own.
        return canonical(normalized(cell)) or self.key(item)

    def reencoded_features(self) -> dict[str, list[bytes]]:
        return {"image/format": [b"JPEG"]}

    def _sound_rows(
        self, table: Table, name_at: int, skip_unreadable: bool
    ) -> tuple[list[Row], list[tuple[str, str]]]:
        """Rows of the table's shape that have a label, where there is a label column."""
        label = self._options.label_column
        label_at = table.column(label, "label_column") if label else name_at
        empty_is_class = "" in self._options.class_list().label_of
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
        if not self._options.label_column:
            return Labels([], {}, {})
        position = table.column(self._options.label_column, "label_column")
        values: dict[str, str] = {}
        for row in rows:
            values.setdefault(row.cells[position].strip(), f"{table.path}: {row.place}")
        return resolve_labels(values, self._options)

    def _set_columns(self, table: Table, rows: list[Row]) -> None:
        reserved = {*self.image_features, "image/filename", "image/format"}
        reserved |= {"image/class/label", "image/class/text"}
        clash = next((name for name in table.columns if name in reserved), None)
        if clash is not None:
            raise ListingError(
                f"{table.path}: column {clash!r} has the name of a feature that is made; rename it"
            )
        self._columns = [
            (name, column_type({row.cells[position].strip() for row in rows} - {""}))
            for position, name in enumerate(table.columns)
        ]


def _by_name(pair: tuple[Row, Image]) -> bytes:
    return os.fsencode(pair[1][1])
