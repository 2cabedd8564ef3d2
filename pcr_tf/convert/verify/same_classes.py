"""Whether two data sets give the same classes the same labels, as one model needs it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from pcr_tf.convert.errors import shown, some
from pcr_tf.format import filesystem
from pcr_tf.format.manifest import MANIFEST_NAME, class_names

REMEDY = "convert one of them anew with `classes_from` of the other, or both with `classes`"


def class_faults(folder: str, other: str) -> list[str]:
    """How the classes of `folder` differ from those of `other`: a line, or none.

    Raises:
        ValueError: one of them is no data set, or has no manifest. OSError: it cannot be read.
    """
    here, there = class_names(folder), class_names(other)
    for place, names in ((folder, here), (other, there)):
        if not names:
            return [
                f"{filesystem.join(place, MANIFEST_NAME)}: class_names; expected names to compare, "
                "got none: its labels pass through as they are, or it has none"
            ]
    if here == there:
        return []
    pairs = list(itertools.zip_longest(here, there))
    labels = [label for label, (one, two) in enumerate(pairs) if one != two]
    one, two = (_named(name) for name in pairs[labels[0]])
    parts = [
        f"{filesystem.join(folder, MANIFEST_NAME)}: class_names; expected those of {other}, where "
        f"label {labels[0]} is {two}, got {one}; {len(labels)} of {len(pairs)} labels differ"
    ]
    parts += _only("here", here, there) + _only("there", there, here)
    return ["; ".join([*parts, REMEDY])]


def _only(where: str, names: Sequence[str], others: Sequence[str]) -> list[str]:
    known = set(others)
    only = [shown(name) for name in names if name not in known]
    return [f"{len(only)} only {where}: {some(only)}"] if only else []


def _named(name: str | None) -> str:
    return "no class" if name is None else shown(name)
