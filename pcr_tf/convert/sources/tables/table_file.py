"""Tables of names and values: CSV, whitespace-separated columns, and MATLAB's .mat files."""

from __future__ import annotations

import collections
import csv
import hashlib
import io
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from pcr_tf.convert.errors import ListingError
from pcr_tf.convert.sources import mat_file
from pcr_tf.convert.sources.text_file import decoded
from pcr_tf.format import filesystem
from pcr_tf.format.names import can_name_a_file

# Name of the column of image names, where a header leaves it out.
UNNAMED_FIRST_COLUMN = "image_id"

_MAX_CELL_BYTES = 1 << 20


class Row(NamedTuple):
    """One row: `place` is "line 7" of a text, "element 7" of an array."""

    place: str
    cells: list[str]


class Table(NamedTuple):
    """The contents of a table's file.

    Attributes:
      path: its file.
      columns: names of the columns.
      rows: the rows with a cell for each column.
      misshapen: the rows with more or fewer cells.
      digest: changes when the file's contents do.
    """

    path: str
    columns: list[str]
    rows: list[Row]
    misshapen: list[Row]
    digest: str

    def column(self, name: str, flag: str) -> int:
        """The position of column `name`.

        Raises:
          ListingError: there is none; the message names the option `flag`, which asked for it.
        """
        if name not in self.columns:
            raise ListingError(
                f"{self.path}: no column {name!r}; expected one of {', '.join(self.columns)}; "
                f"name it with `{flag}`"
            )
        return self.columns.index(name)


def read_table(path: str, kind: str, encoding: str, columns: tuple[str, ...]) -> Table:
    """Reads a table.

    A text may begin with a byte order mark, and its lines may end in CR LF; empty lines are
    skipped. A whitespace-separated table may have a first line with the number of rows, and a
    header that does not name the first column.

    Args:
      kind: "auto", "csv", "tsv", "whitespace" or "mat"; "auto" goes by the file's suffix.
      encoding: of a text.
      columns: names of the columns, for a text without a header.

    Raises:
      ListingError: the file is not such a table; the message names the line.
    """
    try:
        data = filesystem.read_bytes(path)
    except OSError as error:
        raise ListingError(f"{path}: cannot be read: {error.strerror}") from error
    if kind == "auto":
        suffix = path.lower().rpartition(".")[2]
        kind = suffix if suffix in ("csv", "tsv", "mat") else "whitespace"
    if kind == "mat":
        header, cells = mat_file.struct_array(path, data)
        rows = [Row(f"element {number}", row) for number, row in enumerate(cells, 1)]
    else:
        text = decoded(path, data, encoding)
        if kind == "whitespace":
            header, rows = _by_whitespace(path, text, list(columns))
        else:
            header, rows = _by_commas(path, text, list(columns), "\t" if kind == "tsv" else ",")
    if not rows:
        raise ListingError(f"{path}: no rows; expected a header and a row for each image")
    _check_header(path, header)
    _check_locale(path, rows)
    complete = [row for row in rows if len(row.cells) == len(header)]
    misshapen = [row for row in rows if len(row.cells) != len(header)]
    return Table(path, header, complete, misshapen, hashlib.sha256(data).hexdigest()[:16])


def _check_locale(path: str, rows: list[Row]) -> None:
    """Refuses text that cannot name a file under this locale: no row would find its image."""
    for row in rows:
        if not all(map(can_name_a_file, row.cells)):
            raise ListingError(
                f"{path}: {row.place}: expected ASCII, the only text that can name files under "
                "this locale; set PYTHONUTF8=1"
            )


def _by_commas(
    path: str, text: str, header: list[str], delimiter: str
) -> tuple[list[str], list[Row]]:
    rows = []
    for place, cells in _csv_rows(path, text, delimiter):
        if header:
            rows.append(Row(place, cells))
        else:
            header = [name.strip() for name in cells]
            _check_delimiter(path, place, header, delimiter)
    return header, rows


def _check_delimiter(path: str, place: str, header: list[str], delimiter: str) -> None:
    remedies = {
        ";": "save it with commas",
        "\t": "set `table_format=tsv`",
        ",": "set `table_format=csv`",
    }
    for other, remedy in remedies.items():
        if len(header) == 1 and other != delimiter and other in header[0]:
            raise ListingError(
                f"{path}: {place}: expected columns separated by {delimiter!r}, got {other!r} in "
                f"{header[0]!r}; {remedy}"
            )


def _csv_rows(path: str, text: str, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(_MAX_CELL_BYTES)
    # strict: a stray quote would otherwise swallow the rows after it.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield Row(f"line {line}", _shared(cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ListingError(f"{path}: line {line}: not valid CSV: {error}") from error


def _by_whitespace(path: str, text: str, header: list[str]) -> tuple[list[str], list[Row]]:
    lines = io.StringIO(text, newline=None)
    rows = [Row(f"line {n}", _shared(line.split())) for n, line in enumerate(lines, 1)]
    rows = [row for row in rows if row.cells]
    count = None
    if rows and re.fullmatch(r"\d{1,12}", " ".join(rows[0].cells)):
        (first, *rows) = rows
        count = int(first.cells[0])
    if rows and not header:
        (names, *rows) = rows
        header = names.cells
        # The most frequent length decides, not that of a row that was cut short.
        lengths = collections.Counter(len(row.cells) for row in rows)
        if rows and lengths.most_common(1)[0][0] == len(header) + 1:
            header = [UNNAMED_FIRST_COLUMN, *header]
    if count is not None and count != len(rows):
        raise ListingError(
            f"{path}: {first.place}: expected {count} rows, as it says, got {len(rows)}; is the "
            "file cut short? Correct the line, or remove it"
        )
    return header, rows


def _shared(cells: list[str]) -> list[str]:
    """The same cells, each value once in memory: most columns repeat a few values."""
    return [sys.intern(cell) for cell in cells]


def _check_header(path: str, header: list[str]) -> None:
    # A column without a name is an index, as pandas writes it, and not a feature.
    named = [name for name in header if name]
    duplicate = next((name for name in named if named.count(name) > 1), None)
    if duplicate is not None:
        raise ListingError(f"{path}: two columns are called {duplicate!r}; rename one")
    if not named:
        raise ListingError(f"{path}: no column has a name; name them with `table_columns`")
