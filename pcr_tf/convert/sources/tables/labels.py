"""How values of a label column become classes.

A value goes through three steps, each of them optional:

1. `label_names`, a list of names: the value is a position in it, counted from `first_label`. By
   default that is 0, and 0 must then be among the values.
2. `label_pattern`, a regular expression: the class is what it matches, or what its group holds;
   `label_otherwise` is the class of what it does not match.
3. `classes`: the classes in the order of their labels, perhaps under other names.

Without `classes`, the order is that of the list of names, or else that of the values: numeric if
all are numbers, bytewise if none is. Labels count from 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from pcr_tf.convert.errors import ListingError, shown
from pcr_tf.convert.sources.class_list import twins
from pcr_tf.convert.sources.numbers import number_of
from pcr_tf.convert.sources.options import SourceOptions
from pcr_tf.convert.sources.text_file import name_place, read_names
from pcr_tf.format import filesystem
from pcr_tf.format.names import local_name, name_bytes


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
      ListingError: a value has no class, a name occurs twice in the list of names and no pattern
        groups the names, or the values have no order (see `_in_order`); names the place.
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
        name = _named(value, place, names, options) if names else value
        class_name = _matched(name, options)
        if class_name is None:
            raise ListingError(
                f"{place}: `label_pattern={options.label_pattern}` does not match {shown(name)}; "
                "widen it, or name the class of all others with `label_otherwise`"
            )
        class_of[value] = class_name
    if names:
        _check_first_label(values, options)
    if options.classes:
        return _listed(values, class_of, options, digests)
    if names:
        matched = (_matched(name, options) for name in names)
        order = list(dict.fromkeys(name for name in matched if name is not None))
    else:
        places: dict[str, str] = {}
        for value, name in class_of.items():
            places.setdefault(name, values[value])
        order = _in_order(places)
    positions = {name: label for label, name in enumerate(order)}
    return Labels(order, {value: positions[name] for value, name in class_of.items()}, digests)


def _check_distinct(names: list[str], path: str) -> None:
    """One class for two positions would shift the labels after it: ImageNet has two cranes."""
    first: dict[str, int] = {}
    for position, name in enumerate(names):
        if name in first:
            raise ListingError(
                f"{path}: {name_place(path, position)}: {name!r} again; "
                f"{name_place(path, first[name])} has it first; distinguish them, for example "
                "'crane (bird)' and 'crane (machine)', or make them one class with "
                "`label_pattern='.*'`"
            )
        first[name] = position


def _check_first_label(values: Mapping[str, str], options: SourceOptions) -> None:
    """Refuses to guess whether positions in the list of names count from 0 or from 1.

    Positions that count from 1 also fit a list that counts from 0 if the last class does not occur,
    and every name would be off by one.
    """
    numbers = {value: number_of(value) or 0 for value in values}
    if options.first_label is not None or min(numbers.values(), default=0) == 0:
        return
    least = min(values, key=lambda value: numbers[value])
    raise ListingError(
        f"{values[least]}: positions in {options.label_names}; expected 0 among them, or "
        f"`first_label`, got {shown(least)} as the least; give `first_label=0` or "
        "`first_label=1`"
    )


def _named(value: str, place: str, names: list[str], options: SourceOptions) -> str:
    first_label = options.first_label or 0
    last = first_label + len(names) - 1
    # Also 7.0, which pandas makes of 7 in a column with missing values.
    number = number_of(value)
    if number is None or not first_label <= number <= last or number != int(number):
        raise ListingError(
            f"{place}: expected a position in {options.label_names}, {first_label} to "
            f"{last}, got {shown(value)}; see `first_label`, where it begins to count"
        )
    return names[int(number) - first_label]


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
    classes = options.class_list()
    label_of = {}
    for value, name in class_of.items():
        label = classes.label_of.get(local_name(name))
        if label is None:
            raise ListingError(f"{values[value]}: {classes.unlisted(name)}")
        label_of[value] = label
    return Labels(list(classes.names), label_of, digests)


def _in_order(places: Mapping[str, str]) -> list[str]:
    """The names of classes, in the order of their labels.

    Args:
      places: name -> where it was first seen.

    Raises:
      ListingError: a name stands for a missing value, only some are numbers, two are the same
        number, or two look the same.
    """
    remedy = "list the classes with `classes`, in the order of their labels"
    for name, place in places.items():
        if re.fullmatch("[-+]?nan", name, re.ASCII | re.IGNORECASE):
            raise ListingError(
                f"{place}: expected a label, got {shown(name)}, which stands for a missing one; "
                f"remove the row, or {remedy}"
            )
    numbers = {
        name: number for name in places for number in [number_of(name)] if number is not None
    }
    if not numbers:
        pair = twins(places)
        if pair is not None:
            first, second = pair
            raise ListingError(
                f"{places[second]}: expected one spelling of each label, got {second!a} beside "
                f"{first!a} of {places[first].rpartition(': ')[2]}, which look the same; write "
                f"both alike, or, if they are two classes, {remedy}"
            )
        return sorted(places, key=name_bytes)
    texts = [name for name in places if name not in numbers]
    if texts:
        odd, usual = next(iter(numbers)), texts[0]
        kinds = ["text", "a number"]
        if len(texts) < len(numbers):
            odd, usual = usual, odd
            kinds.reverse()
        raise ListingError(
            f"{places[odd]}: expected {kinds[0]}, as {shown(usual)} of "
            f"{places[usual].rpartition(': ')[2]}, got {shown(odd)}, {kinds[1]}: numbers and "
            f"texts together have no order; correct it, or {remedy}"
        )
    names_by_number: dict[Decimal, str] = {}
    for name, number in numbers.items():
        other = names_by_number.setdefault(number, name)
        if other != name:
            raise ListingError(
                f"{places[name]}: expected one spelling of each number, got {shown(name)} beside "
                f"{shown(other)} of {places[other].rpartition(': ')[2]}; write both alike, or, "
                f"if they are two classes, {remedy}"
            )
    return sorted(numbers, key=numbers.__getitem__)
