"""How values of a label column become classes.

A value goes through three steps, each of them optional:

1. `label_names`, a list of names: the value is a position in it, counted from `first_label`.
2. `label_pattern`, a regular expression: the class is what it finds, or what its group holds;
   `label_otherwise` is the class of what it does not fit.
3. `classes`: the classes in the order of their labels, perhaps under other names.

Without `classes`, the order is that of the list of names, or else of the values: by number where
all are whole numbers of 64 bits, bytewise otherwise. Labels count from 0.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from pcr_tf.convert.errors import ListingError
from pcr_tf.convert.sources.numbers import column_type
from pcr_tf.convert.sources.options import SourceOptions
from pcr_tf.convert.sources.table_file import name_place, read_names
from pcr_tf.format import filesystem


class Labels(NamedTuple):
    """The classes of a source.

    Attributes:
        class_names: in the order of their labels.
        label_of: value of the label column -> label.
        digests: as in `Listing`, of the files that were read for it.
    """

    class_names: list[str]
    label_of: dict[str, int]
    digests: dict[str, str]


def resolve_labels(values: Mapping[str, str], options: SourceOptions) -> Labels:
    """Gives every value of the label column its class.

    Args:
        values: distinct value -> where it was first seen, for messages.

    Raises:
        ListingError: a value has no class, or a name stands twice in the list of names and no
            pattern groups its names; names the place.
    """
    names: list[str] = []
    digests = {}
    if options.label_names:
        names, digest = read_names(options.label_names, options.table_encoding)
        digests[filesystem.basename(options.label_names)] = f"{len(names)} names, {digest}"
        if not options.label_pattern:
            _check_distinct(names, options.label_names)
    class_of = {}
    for value, place in values.items():
        name = _named(value, place, names, options)
        found = _matched(name, options)
        if found is None:
            raise ListingError(
                f"{place}: --label_pattern={options.label_pattern} does not fit {name!r}; widen "
                "it, or name the class of all others with --label_otherwise"
            )
        class_of[value] = found
    if options.classes:
        return _listed(values, class_of, options, digests)
    if names:
        matched = (_matched(name, options) for name in names)
        order = list(dict.fromkeys(name for name in matched if name is not None))
    else:
        order = _sorted(set(class_of.values()))
    positions = {name: label for label, name in enumerate(order)}
    return Labels(order, {value: positions[name] for value, name in class_of.items()}, digests)


def _check_distinct(names: list[str], path: str) -> None:
    """One class for two positions would shift the labels behind it: ImageNet has two cranes."""
    first: dict[str, int] = {}
    for position, name in enumerate(names):
        if name in first:
            raise ListingError(
                f"{path}: {name_place(path, position)}: {name!r} again; "
                f"{name_place(path, first[name])} has it first; tell them apart, as 'crane (bird)' "
                "and 'crane (machine)', or make one class of them with --label_pattern='.*'"
            )
        first[name] = position


def _named(value: str, place: str, names: list[str], options: SourceOptions) -> str:
    if not names:
        return value
    last = options.first_label + len(names) - 1
    number = int(value) if re.fullmatch(r"-?\d{1,9}", value) else None
    if number is None or not options.first_label <= number <= last:
        raise ListingError(
            f"{place}: expected a position in {options.label_names}, {options.first_label} to "
            f"{last}, got {value!r}; --first_label says from where it counts"
        )
    return names[number - options.first_label]


def _matched(name: str, options: SourceOptions) -> str | None:
    if not options.label_pattern:
        return name
    match = re.search(options.label_pattern, name)
    if match is None or match[match.re.groups] is None:
        return options.label_otherwise or None
    return str(match[match.re.groups])


def _listed(
    values: Mapping[str, str],
    class_of: dict[str, str],
    options: SourceOptions,
    digests: dict[str, str],
) -> Labels:
    pairs = options.class_pairs()
    positions = {value: label for label, (value, _) in enumerate(pairs)}
    for value, name in class_of.items():
        if name not in positions:
            raise ListingError(
                f"{values[value]}: label {name!r} is none of --classes="
                f"{','.join(options.classes)}; add it"
            )
    label_of = {value: positions[name] for value, name in class_of.items()}
    return Labels([name for _, name in pairs], label_of, digests)


def _sorted(names: set[str]) -> list[str]:
    if column_type(names) is int:
        return sorted(names, key=int)
    return sorted(names, key=os.fsencode)
