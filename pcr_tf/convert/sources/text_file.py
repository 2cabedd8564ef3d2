"""Text files that users name: their encoding, and lists of names, one per line."""

from __future__ import annotations

import codecs
import hashlib
import io

from pcr_tf.convert.errors import ListingError
from pcr_tf.convert.sources import mat_file
from pcr_tf.format import filesystem


def read_names(path: str, encoding: str, *, any_bytes: bool = False) -> tuple[list[str], str]:
    """A list of names: the lines of a text, or the only cell array of strings of a .mat file.

    Every line up to the last name must hold one: positions in the list count.

    Args:
      any_bytes: whether bytes that are invalid in the encoding become surrogate escapes, as in
        file names.

    Returns:
      The names, and a digest that changes when the file's contents do.

    Raises:
      ListingError: the file is not such a list; the message names the line.
    """
    try:
        data = filesystem.read_bytes(path)
    except OSError as error:
        raise ListingError(f"{path}: cannot be read: {error.strerror}") from error
    if path.lower().endswith(".mat"):
        names = mat_file.cell_strings(path, data)
    else:
        text = io.StringIO(decoded(path, data, encoding, any_bytes=any_bytes), newline=None)
        names = [line.strip() for line in text]
        while names and not names[-1]:
            names.pop()
    if not names:
        raise ListingError(f"{path}: no names; expected one per line")
    if "" in names:
        raise ListingError(
            f"{path}: {name_place(path, names.index(''))}: no name; expected one per line, "
            "because positions count; remove the line, or give the class a name"
        )
    return names, hashlib.sha256(data).hexdigest()[:16]


def name_place(path: str, position: int) -> str:
    """Where the name at the 0-based `position` of `read_names` is."""
    return f"{'element' if path.lower().endswith('.mat') else 'line'} {position + 1}"


def decoded(path: str, data: bytes, encoding: str, *, any_bytes: bool = False) -> str:
    """The text of a file; `any_bytes` as for `read_names`.

    Raises:
      ListingError: it is not such a text; the message names the line.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and "16" not in encoding:
        raise ListingError(
            f"{path}: line 1: byte 0: a UTF-16 byte order mark; expected {encoding}; "
            "set `table_encoding=utf-16`"
        )
    if data.startswith(codecs.BOM_UTF8):
        data = data[len(codecs.BOM_UTF8) :]
    try:
        text = data.decode(encoding, errors="surrogateescape" if any_bytes else "strict")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ListingError(
            f"{path}: line {line}: byte {error.start}: expected {encoding}, got "
            f"{data[error.start]:#04x}; name the encoding, for example `table_encoding=latin-1`"
        ) from error
    zero = text.find("\0")
    if zero >= 0:
        line = text.count("\n", 0, zero) + 1
        raise ListingError(f"{path}: line {line}: a zero byte; expected text")
    return text.removeprefix("\ufeff")
