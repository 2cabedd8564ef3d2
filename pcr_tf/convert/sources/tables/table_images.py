"""Which image each row of a table names."""

from __future__ import annotations

import os
import posixpath
from typing import NamedTuple

from pcr_tf.convert.errors import ListingError
from pcr_tf.convert.sources.image_walk import ImageWalk
from pcr_tf.convert.sources.images import IMAGE_SUFFIXES
from pcr_tf.convert.sources.options import SourceOptions
from pcr_tf.convert.sources.tables.table_file import Row, Table
from pcr_tf.format import filesystem

_MAX_NAMED = 5

# Path, name relative to its root, size in bytes, ns of last change.
Image = tuple[str, str, int, int]


def image_column(table: Table, walk: ImageWalk, options: SourceOptions) -> int:
    """The position of the column that names the images.

    That is `options.image_column`, or else the only column that does. A column with image suffixes
    takes precedence over one that names images only once `options.image_extension` is added, such
    as an index of rows. A column without a name is an index. The label column names images only if
    its cells are file names, from which a pattern makes the label.

    Raises:
      ListingError: there is no such column, or there are several candidates.
    """
    if options.image_column:
        return table.column(options.image_column, "image_column")
    plain = {"", options.label_column, options.split_column}
    finder = _Finder(walk, options)
    row = next((n for n in table.columns if _has_image_suffix(n) and finder.find(n)), "")
    if row:
        raise ListingError(
            f"{table.path}: expected a header with the names of the columns, got the image {row!r}"
            "; name the columns with `table_columns`"
        )
    with_suffix, of_images, both, first = [], [], [], []
    for at, name in enumerate(table.columns):
        cells = {row.cells[at].strip() for row in table.rows if name}
        has_suffix = any(map(_has_image_suffix, cells))
        names_images = any(finder.find(finder.file_name(cell)) for cell in cells)
        both += [at] if has_suffix and names_images else []
        if name not in plain:
            first += [at]
            with_suffix += [at] if has_suffix else []
            of_images += [at] if names_images else []
    candidates = both or with_suffix or of_images or first[:1]
    if not candidates:
        raise ListingError(
            f"{table.path}: no column names the images; its columns are "
            f"{', '.join(map(repr, table.columns))}; add the name of that column to the "
            "header, or choose it with `image_column`"
        )
    if len(candidates) > 1:
        names = [table.columns[at] for at in candidates]
        raise ListingError(
            f"{table.path}: columns {', '.join(map(repr, names))} could all name the images; "
            "expected one; choose it with `image_column`"
        )
    return candidates[0]


class Matches(NamedTuple):
    """Rows with their images, and the names of rows and images that have no counterpart."""

    pairs: list[tuple[Row, Image]]
    ignored: list[str]


def match_rows(
    table: Table, rows: list[Row], name_at: int, walk: ImageWalk, options: SourceOptions
) -> Matches:
    """Finds the image of every row: by its name relative to the folder of the images, or by its
    file name alone where the table names no folder.

    Args:
      rows: the rows of `table` that count; images that other rows name are not strays.
      name_at: position of the column of names.

    Raises:
      ListingError: an image is named twice or exists twice, or a row or an image has no
        counterpart and `options.on_unmatched` does not ignore it.
    """
    finder = _Finder(walk, options)
    pairs: list[tuple[Row, Image]] = []
    missing: list[tuple[Row, str]] = []
    seen: dict[str, Row] = {}
    lost = {name for name, _ in walk.unreadable}
    for row in rows:
        name = finder.file_name(row.cells[name_at])
        images = finder.find(name)
        if len(images) > 1:
            raise ListingError(
                f"{table.path}: {row.place}: {name!r} is in two folders: {images[0][0]}, "
                f"{images[1][0]}; name one of them with `inputs`"
            )
        identity = images[0][0] if images else name
        if identity in seen:
            raise ListingError(
                f"{table.path}: {row.place}: names {name!r} again; {seen[identity].place} names it "
                "first; remove one"
            )
        seen[identity] = row
        if images:
            pairs.append((row, images[0]))
        elif name not in lost:
            missing.append((row, name))
    counted = {row.place for row in rows}
    others = [row for row in [*table.misshapen, *table.rows] if row.place not in counted]
    for row in others:
        for cell in row.cells:
            seen.update((path, row) for path, *_ in finder.find(finder.file_name(cell)))
    strays = [path for path in finder.paths() if path not in seen]
    if missing and options.on_unmatched not in ("ignore", "ignore_rows"):
        (row, name), more = missing[0], [row.place for row, _ in missing[1:]]
        raise ListingError(
            f"{table.path}: {row.place}: no image {name!r}{_more('rows', more)}; "
            f"{finder.hint(name)}; skip such rows with `on_unmatched=ignore_rows`"
        )
    if strays and options.on_unmatched not in ("ignore", "ignore_images"):
        raise ListingError(
            f"{strays[0]}: no row of {table.path} names it{_more('images', strays[1:])}; skip "
            "such images with `on_unmatched=ignore_images`"
        )
    if not pairs:
        hint = finder.hint(missing[0][1] if missing else "")
        raise ListingError(f"{table.path}: no row names an image; {hint}")
    return Matches(pairs, [f"{table.path}: {row.place}" for row, _ in missing] + strays)


class _Finder:
    """The images of a walk, by name."""

    def __init__(self, walk: ImageWalk, options: SourceOptions) -> None:
        self._extension = options.image_extension
        self._roots = walk.roots
        # The spellings that absolute paths may begin with, up to and including the slash.
        spelled = (
            [root]
            if filesystem.is_remote(root)
            else [os.path.abspath(root), os.path.realpath(root)]
            for root in walk.roots
        )
        self._absolute_roots = [f"{path.rstrip('/')}/" for paths in spelled for path in paths]
        self._by_name: dict[str, list[Image]] = {}
        self._by_file_name: dict[str, list[Image]] = {}
        for folder in walk.images.values():
            for image in folder:
                self._by_name.setdefault(image[1], []).append(image)
                file_name = filesystem.basename(image[1])
                self._by_file_name.setdefault(file_name, []).append(image)

    def file_name(self, cell: str) -> str:
        """The name of the image that a cell names."""
        name = self._below_root(cell.strip())
        return name if _has_image_suffix(name) else name + self._extension

    def _below_root(self, path: str) -> str:
        """An absolute path relative to the root that holds it; any other as it is, normalized."""
        if not _is_absolute(path):
            return posixpath.normpath(path)
        if not filesystem.is_remote(path):
            path = posixpath.normpath(path)
        for root in self._absolute_roots:
            if path.startswith(root):
                return path[len(root) :]
        return path

    def find(self, name: str) -> list[Image]:
        """The images of that name."""
        return self._by_name.get(name) or self._by_file_name.get(name, [])

    def paths(self) -> list[str]:
        """All images."""
        return [path for images in self._by_name.values() for path, *_ in images]

    def hint(self, name: str) -> str:
        """A hint: a file that differs from `name` only in its suffix, or any file."""
        if not self._by_name:
            return "there are no images"
        if "\\" in name:
            other = next(iter(self._by_name))
            return f"expected / between folders, as in {other!r}, and not a backslash"
        if _is_absolute(name):
            return (
                f"the path is absolute, and no folder of `inputs` ({', '.join(self._roots)}) holds "
                "it; name the folder that does, or use paths below it, or only names, in the table"
            )
        stem = os.path.splitext(name)[0] if self._extension else name
        for other in self._by_name:
            if os.path.splitext(filesystem.basename(other))[0] == stem:
                return f"{other!r} is there; see `image_extension`"
        for other in self._by_name:
            if name.endswith(f"/{other}"):
                return (
                    f"{other!r} is there; the table names images by their paths below `inputs`; "
                    "name the folder above it"
                )
        return f"{next(iter(self._by_name))!r} is there"


def _has_image_suffix(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _is_absolute(path: str) -> bool:
    """Whether a path of a table locates its file without any folder of images."""
    return path.startswith("/") or filesystem.is_remote(path)


def _more(what: str, others: list[str]) -> str:
    if not others:
        return ""
    named = ", ".join(others[:_MAX_NAMED]) + (", ..." if len(others) > _MAX_NAMED else "")
    return f" (one of {len(others) + 1} such {what}; then {named})"
