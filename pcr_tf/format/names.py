"""Names of files, as Python has them and as files hold them.

Python decodes names with the file system's encoding, which the locale chooses: UTF-8, or ASCII
under ``LC_ALL=C`` with ``PYTHONUTF8=0``. Bytes that it lacks become surrogates (PEP 383). Files
hold UTF-8, so that a data set does not depend on the locale it was made under.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def name_bytes(name: str) -> bytes:
    """The bytes of a name, or the UTF-8 of other text.

    Example:
        >>> name_bytes("bad\\udcff"), name_bytes("\\u00fc"), name_bytes("\\udcc3\\udcbc")
        (b'bad\\xff', b'\\xc3\\xbc', b'\\xc3\\xbc')
    """
    return name.encode("utf-8", "surrogateescape")


def stored_name(name: str) -> str:
    """A name as files hold it: equal under every locale. What is not UTF-8 stays a surrogate."""
    try:
        return name_bytes(name).decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # Surrogates of another kind, which no name of a file has.
        return name


def local_name(name: str) -> str:
    """The inverse of `stored_name` for this process: a name that the operating system knows."""
    return os.fsdecode(name_bytes(name))


def is_utf8(name: str) -> bool:
    """Whether the bytes of a name are UTF-8."""
    try:
        name_bytes(name).decode()
    except UnicodeError:
        return False
    return True


def can_name_a_file(text: str) -> bool:
    """Whether text from elsewhere, as a table, may name a file under this process's locale."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def to_json(value: Any) -> bytes:
    """A value as indented JSON, with every text as `stored_name` has it."""
    return json.dumps(_stored(value), indent=1).encode() + b"\n"


def _stored(value: Any) -> Any:
    if isinstance(value, str):
        return stored_name(value)
    if isinstance(value, dict):
        return {_stored(key): _stored(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_stored(item) for item in value]
    return value


def check_locale() -> None:
    """Refuses a locale under which names would be taken for others than they are.

    Raises:
        OSError: the file system's encoding is neither UTF-8 nor ASCII.
    """
    encoding = sys.getfilesystemencoding().lower().replace("_", "-")
    if encoding not in ("utf-8", "utf8", "ascii", "us-ascii"):
        raise OSError(
            f"names of files; expected UTF-8, got {encoding} by the locale; set PYTHONUTF8=1"
        )
