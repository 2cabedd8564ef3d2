"""The list of classes that a user gives with `classes` or `classes_from`.

An entry is the name of a class, or ``value=name``: what the source calls the class, and the name
that it gets. An = that is part of the value is written ==.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from pcr_tf.convert.errors import ConvertError, shown
from pcr_tf.convert.sources.numbers import number_of
from pcr_tf.convert.sources.text_file import read_names
from pcr_tf.format import filesystem
from pcr_tf.format.manifest import MANIFEST_NAME, class_names, read_manifest

_ENTRY = re.compile(r"\A((?:[^=]|==)*)(=?)(.*)\Z", re.DOTALL)


class ClassList:
    """The classes of a source, in the order of their labels. False if none are given.

    Attributes:
      names: names of the classes.
      label_of: what the source calls a class -> its label.
    """

    def __init__(self, entries: Sequence[str]) -> None:
        """Parses `entries`.

        Raises:
          ConvertError: a name or a value occurs twice, or a name is empty.
        """
        pairs = [_value_and_name(entry) for entry in entries]
        self.names = tuple(name for _, name in pairs)
        self.label_of = {value: label for label, (value, _) in enumerate(pairs)}
        values: set[str] = set()
        names: set[str] = set()
        for entry, (value, name) in zip(entries, pairs, strict=True):
            if not name:
                raise ConvertError(f"`classes`; expected a name for each class, got {shown(entry)}")
            if value in values or name in names:
                twice = value if value in values else name
                raise ConvertError(
                    f"`classes`; expected distinct names, got {shown(twice)} twice; remove one"
                )
            values.add(value)
            names.add(name)

    def __bool__(self) -> bool:
        return bool(self.names)

    def unlisted(self, value: str) -> str:
        """The message about a class that is not in the list."""
        listed = list(map(shown, self.label_of))
        if len(listed) > 5:
            listed = [*listed[:2], "...", listed[-1]]
        number, normal = number_of(value), normalized(value)
        same_number = next(
            (v for v in self.label_of if number is not None and number_of(v) == number), None
        )
        look_alike = next((v for v in self.label_of if normalized(v) == normal), None)
        hint = "; add it to the list, or remove what belongs to it"
        if same_number is not None:
            hint = (
                f"; {shown(same_number)} is, the same number written differently; write both alike"
            )
        elif value in self.names:
            source = next(v for v, label in self.label_of.items() if self.names[label] == value)
            hint = (
                f"; the list gives that name to {shown(source)}; list only the names in `classes`"
            )
        elif look_alike is not None:
            hint = f"; {look_alike!a} is, which looks the same; write both alike"
        if "=" in value:
            hint += "; an = in a name is written == there"
        return (
            f"class {shown(value)} is none of the {len(self.names)} of `classes` or `classes_from` "
            f"({', '.join(listed)}){hint}"
        )


def class_entries(classes: Sequence[str], classes_from: str, encoding: str) -> tuple[str, ...]:
    """The entries that the options name: `classes` themselves, the lines of the file that
    ``("@FILE",)`` names, or the classes of the data set `classes_from`.

    Args:
      encoding: of the file's text; "" for UTF-8 that may hold any other byte, as file names may.

    Raises:
      ConvertError: both are given, the file is not a list, or the data set has no classes.
    """
    if classes and classes_from:
        raise ConvertError("`classes`, `classes_from`; expected one of them, got both")
    if classes_from:
        return _of_data_set(classes_from)
    if len(classes) != 1:
        return tuple(classes)
    (entry,) = classes
    if entry == "@":
        raise ConvertError("`classes=@`; expected the name of a file after @, got nothing")
    if entry.startswith("@"):
        names, _ = read_names(entry[1:], encoding or "utf-8", any_bytes=not encoding)
        if len(names) == 1 and names[0].startswith("@"):
            raise ConvertError(f"`classes={entry}`; expected names, got only {names[0]!r}")
        return tuple(names)
    if "." in entry and filesystem.exists(entry) and not filesystem.is_dir(entry):
        raise ConvertError(
            f"`classes={entry}`; expected names, got that of a file; to take its lines, write "
            f"`classes=@{entry}`"
        )
    return (entry,)


def _of_data_set(folder: str) -> tuple[str, ...]:
    try:
        names = class_names(folder)
        flags = (read_manifest(folder) or {}).get("flags", {})
    except OSError as error:
        raise ConvertError(
            f"`classes_from={folder}`: cannot be read: {error.strerror or error}"
        ) from error
    except ValueError as error:
        raise ConvertError(f"`classes_from`: {error}") from error
    if not names:
        raise ConvertError(
            f"`classes_from={folder}`: {filesystem.join(folder, MANIFEST_NAME)} names no classes; "
            "expected a data set of class folders or of a table with `label_column`; name them "
            "with `classes`"
        )
    # The list of that job also says what its source called the classes.
    entries = flags.get("classes") if isinstance(flags, Mapping) else None
    if entries and list(ClassList(entries).names) == names:
        return tuple(entries)
    return tuple(name.replace("=", "==") for name in names)


def _value_and_name(entry: str) -> tuple[str, str]:
    ((escaped, equals, name),) = _ENTRY.findall(entry)
    value = escaped.replace("==", "=")
    return value, name if equals else value


def normalized(name: str) -> str:
    """One spelling for names that look the same: Unicode writes many accented letters in two ways,
    of which some systems choose one for file names, and has invisible characters.
    """
    visible = (c for c in unicodedata.normalize("NFC", name) if unicodedata.category(c) != "Cf")
    return " ".join("".join(visible).split())


def twins(names: Iterable[str]) -> tuple[str, str] | None:
    """Two different names that look the same; None if there are none."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(normalized(name), name)
        if other != name:
            return other, name
    return None
