"""What a job reports about its classes, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pcr_tf.convert.errors import shown, some
from pcr_tf.convert.sources.numbers import number_of
from pcr_tf.format.names import name_bytes

# What programs (R, spreadsheets, databases) write for a missing value. It may be a name as well.
_OFTEN_NO_VALUE = frozenset({"NA", "<NA>", "N/A", "#N/A", "None", "NULL", "null", "?"})


def class_lines(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How many classes there are, the labels of the first and the last, and any surprises, as pairs
    of a heading and a text.

    Args:
      manifest: that of the data set; only `source`, `flags` and `class_names` are used.
    """
    names, source, flags = manifest["class_names"], manifest["source"], manifest["flags"]
    if not names:
        return [("classes", f"none: {_why_none(source['kind'], flags)}")]
    ends = [0] if len(names) == 1 else [0, len(names) - 1]
    labels = ", ".join(f"label {label} is {shown(names[label])}" for label in ends)
    lines = [("classes", f"{len(names)}: {labels}")]
    without_image = source.get("classes_without_image", [])
    if without_image:
        which = some([shown(name) for name in without_image])
        lines.append(
            ("no image", f"{_of(without_image, 'class', 'classes')}: {which}; labels stay")
        )
    numbers = [number_of(name) for name in names]
    others = [label for label, number in enumerate(numbers) if number != label]
    if others and None not in numbers:
        which = some([f"{shown(names[label])} has label {label}" for label in others])
        lines.append(
            ("labels", f"count the classes and differ from the numbers in their names: {which}")
        )
    alike = _alike(names)
    if alike:
        pairs = some([f"{shown(first)} and {shown(second)}" for first, second in alike])
        lines.append(("alike", f"classes that differ only in the case of letters: {pairs}"))
    absent = [shown(name) for name in names if name in _OFTEN_NO_VALUE]
    if absent:
        text = f"{some(absent)} is a class; if it stands for a missing value, remove its rows"
        lines.append(("missing", text))
    folders = source.get("folders_without_image", [])
    if folders:
        which = some([shown(name) for name in folders])
        effect = "not in the list of classes"
        if "classes" not in flags:
            effect = "labels count the other folders"
            first = min(map(name_bytes, folders))
            after = next((n for n, name in enumerate(names) if name_bytes(name) > first), None)
            if after is not None:
                effect += f": {shown(names[after])} has label {after}"
        noun = _of(folders, "folder", "folders")
        lines.append(("no class", f"{noun} without an image: {which}; {effect}"))
    return lines


def _alike(names: Sequence[str]) -> list[tuple[str, str]]:
    """Names of several letters, each with an earlier one that differs only in their case."""
    first: dict[str, str] = {}
    pairs = ((first.setdefault(name.casefold(), name), name) for name in names if len(name) > 1)
    return [(earlier, name) for earlier, name in pairs if earlier != name]


def _why_none(kind: str, flags: Mapping[str, Any]) -> str:
    if kind == "table":
        return "without `label_column` no column is a label; each is a feature of its own name"
    if kind == "class_folders":
        return "the images are not in class folders"
    return "labels pass through as they are"


def _of(things: Sequence[str], noun: str, nouns: str) -> str:
    return f"{len(things)} {noun if len(things) == 1 else nouns}"
