"""The two shapes of MATLAB's .mat files that data sets of photographs come in.

Files of version 5 to 7 are read: a header of 128 bytes and data elements, perhaps deflated. Written
here, without SciPy, so that a damaged file ends in an error that names the byte.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from pcr_tf.convert.errors import ListingError

_HEADER_BYTES = 128
_MAX_INFLATED_BYTES = 1 << 30
_MAX_DEPTH = 16

_MATRIX, _COMPRESSED = 14, 15
# Type of a data element -> struct's letter.
_NUMBERS = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 9: "d", 12: "q", 13: "Q"}
_CODECS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}

_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMERIC_CLASSES = range(6, 16)
_COMPLEX_FLAG = 0x800


class _Array(NamedTuple):
    """A variable, cell or field.

    `values` are texts (of characters: its rows), numbers, arrays (of a cell), or rows of arrays in
    the order of `names` (of a struct). Of every other kind there are none.
    """

    kind: str
    dimensions: tuple[int, ...]
    values: list[object]
    names: tuple[str, ...] = ()

    def text(self) -> str | None:
        """One number or one row of characters as text, "" for an empty array, else None."""
        if self.kind not in ("number", "char"):
            return None
        if not self.values:
            return ""
        if len(self.values) != 1:
            return None
        (value,) = self.values
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        return str(value)

    def __str__(self) -> str:
        fields = f" with {', '.join(self.names)}" if self.names else ""
        return f"{' x '.join(map(str, self.dimensions))} {self.kind}{fields}"


class _FormatError(Exception):
    """The bytes are no sound element; the message says where, within its outermost element."""


def struct_array(path: str, data: bytes) -> tuple[list[str], list[list[str]]]:
    """The only struct array of a .mat file, as a table.

    Fields that hold neither one number nor one text in any element are left out.

    Returns:
        Names of the fields; per element their values as text.

    Raises:
        ListingError: the file is damaged, or holds no such array, or several.
    """
    variables = _variables(path, data)
    found = [array for array in variables.values() if array.kind == "struct" and array.values]
    if len(found) != 1:
        raise ListingError(
            f"{path}: expected one struct array, as `annotations` of Stanford Cars, got "
            f"{_described(variables)}"
        )
    rows = [[_field_text(value) for value in row] for row in _rows(found[0])]
    kept = [at for at in range(len(found[0].names)) if any(row[at] is not None for row in rows)]
    table = []
    for number, row in enumerate(rows, 1):
        cells = []
        for at in kept:
            text = row[at]
            if text is None:
                raise ListingError(
                    f"{path}: element {number}: field {found[0].names[at]!r}: expected a number or "
                    f"a text, got {next(_rows(found[0], number - 1))[at]}"
                )
            cells.append(text)
        table.append(cells)
    return [found[0].names[at] for at in kept], table


def cell_strings(path: str, data: bytes) -> list[str]:
    """The only cell array of strings of a .mat file.

    Raises:
        ListingError: the file is damaged, or holds no such array, or several.
    """
    variables = _variables(path, data)
    found = []
    for array in variables.values():
        if array.kind == "cell" and array.values:
            texts = [_field_text(value) for value in array.values]
            strings = [text for text in texts if text is not None]
            if len(strings) == len(texts):
                found.append(strings)
    if len(found) != 1:
        raise ListingError(
            f"{path}: expected one cell array of strings, as `class_names` of Stanford Cars, got "
            f"{_described(variables)}"
        )
    return found[0]


def _field_text(value: object) -> str | None:
    return value.text() if isinstance(value, _Array) else None


def _rows(array: _Array, first: int = 0) -> Iterator[list[object]]:
    for row in array.values[first:]:
        assert isinstance(row, list)
        yield row


def _described(variables: dict[str, _Array]) -> str:
    return "; ".join(f"{name}: {array}" for name, array in variables.items()) or "no variables"


def _variables(path: str, data: bytes) -> dict[str, _Array]:
    """All variables of a file, by name."""
    version, mark = data[124:126], data[126:128]
    if data.startswith(b"MATLAB 7.3") or (version, mark) == (b"\0\2", b"IM"):
        raise ListingError(
            f"{path}: a .mat file of version 7.3; save it with -v7, or export it as CSV"
        )
    order = {b"IM": "<", b"MI": ">"}.get(mark)
    if order is None or version != struct.pack(f"{order}H", 0x0100):
        raise ListingError(
            f"{path}: byte 124: not a .mat file of version 5 to 7; expected 00 01 49 4d, got "
            f"{(version + mark).hex(' ') or 'nothing'}; export the table as CSV"
        )
    found = {}
    at = _HEADER_BYTES
    while at < len(data):
        try:
            kind, contents, end = _Elements(data, order, at).next()
            if kind == _COMPRESSED:
                kind, contents, _ = _Elements(_inflated(contents), order, 0).next()
            if kind == _MATRIX:
                name, array = _matrix(contents, order, 0)
                found[name] = array
        except _FormatError as error:
            raise ListingError(f"{path}: byte {at}: not sound: {error}") from error
        at = end
    return found


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(data, _MAX_INFLATED_BYTES)
    except zlib.error as error:
        raise _FormatError(f"cannot be inflated: {error}") from error
    if not inflater.eof:
        raise _FormatError("the deflated data do not end")
    return inflated


class _Elements:
    """The data elements that stand one behind the other in `data`."""

    def __init__(self, data: bytes, order: str, at: int = 0) -> None:
        self._data = data
        self._order = order
        self._at = at

    def next(self) -> tuple[int, bytes, int]:
        """Type and contents of the next element, and where the one behind it begins."""
        tag = self._data[self._at : self._at + 8]
        if len(tag) < 8:
            raise _FormatError(f"ends inside the tag of an element, {len(tag)} of 8 bytes")
        kind, size = struct.unpack(f"{self._order}II", tag)
        begin = self._at + 8
        if kind >> 16:  # A small element: size and type share a word, the next holds the data.
            kind, size, begin = kind & 0xFFFF, kind >> 16, self._at + 4
            if size > 4:
                raise _FormatError(f"a small element of {size} bytes; expected at most 4")
        end = begin + size
        if end > len(self._data):
            raise _FormatError(f"an element of {size} bytes; {len(self._data) - begin} are left")
        # All but deflated elements fill up 8 bytes.
        self._at = end if kind == _COMPRESSED else self._at + -(-(end - self._at) // 8) * 8
        return kind, self._data[begin:end], self._at

    def numbers(self) -> list[object]:
        """The numbers that the next element holds."""
        kind, contents, _ = self.next()
        layout = self._order + _NUMBERS.get(kind, "x")
        if kind not in _NUMBERS or len(contents) % struct.calcsize(layout):
            raise _FormatError(f"{len(contents)} bytes of type {kind} where numbers are expected")
        return [number for (number,) in struct.iter_unpack(layout, contents)]

    def characters(self) -> str:
        """The characters that the next element holds."""
        kind, contents, _ = self.next()
        codec = _CODECS.get(kind)
        if codec is None:
            raise _FormatError(f"data of type {kind} where characters are expected")
        if codec.startswith("utf-") and codec != "utf-8":
            codec += "-le" if self._order == "<" else "-be"
        try:
            return contents.decode(codec)
        except UnicodeDecodeError as error:
            raise _FormatError(f"characters that are not {codec}") from error


def _matrix(data: bytes, order: str, depth: int) -> tuple[str, _Array]:
    """Name and contents of an array element."""
    if not data:
        return "", _Array("number", (0, 0), [])
    if depth > _MAX_DEPTH:
        raise _FormatError(f"arrays in arrays, more than {_MAX_DEPTH} deep")
    elements = _Elements(data, order)
    flags = elements.numbers()
    dimensions = tuple(size for size in elements.numbers() if isinstance(size, int))
    name = elements.characters()
    if not flags or not isinstance(flags[0], int) or min(dimensions, default=-1) < 0:
        raise _FormatError(f"array {name!r}: flags {flags}, dimensions {dimensions}")
    array_class, count = flags[0] & 0xFF, math.prod(dimensions)
    if array_class in (_CELL, _STRUCT) and count > len(data):
        raise _FormatError(f"array {name!r}: {count} elements in {len(data)} bytes")
    if array_class == _CELL:
        values: list[object] = [_nested(elements, order, depth) for _ in range(count)]
        return name, _Array("cell", dimensions, values)
    if array_class == _STRUCT:
        return name, _struct(elements, order, depth, dimensions)
    if array_class == _CHAR:
        text = elements.characters()
        if len(text) != count or (count and len(dimensions) != 2):
            raise _FormatError(f"array {name!r}: {len(text)} characters; expected {dimensions}")
        rows = dimensions[0] if count else 0
        return name, _Array("char", dimensions, [text[row::rows] for row in range(rows)])
    if array_class in _NUMERIC_CLASSES and not flags[0] & _COMPLEX_FLAG:
        numbers = elements.numbers()
        if len(numbers) != count:
            raise _FormatError(f"array {name!r}: {len(numbers)} numbers; expected {dimensions}")
        return name, _Array("number", dimensions, numbers)
    return name, _Array(f"array of class {array_class}", dimensions, [])


def _nested(elements: _Elements, order: str, depth: int) -> _Array:
    kind, contents, _ = elements.next()
    if kind != _MATRIX:
        raise _FormatError(f"data of type {kind} where an array is expected")
    return _matrix(contents, order, depth + 1)[1]


def _struct(elements: _Elements, order: str, depth: int, dimensions: tuple[int, ...]) -> _Array:
    length = (elements.numbers() or [0])[0]
    text = elements.characters()
    if not isinstance(length, int) or length < 1 or len(text) % length:
        raise _FormatError(f"{len(text)} bytes of field names, {length!r} for each")
    names = [text[at : at + length].partition("\0")[0] for at in range(0, len(text), length)]
    rows: list[object] = [
        [_nested(elements, order, depth) for _ in names] for _ in range(math.prod(dimensions))
    ]
    return _Array("struct", dimensions, rows, tuple(names))
