"""Errors that the user of a job can act on: one line each, with place and remedy."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence

from pcr_tf.format.names import is_utf8

_MAX_NAMED = 5


class ConvertError(Exception):
    """The job cannot start or go on; the message says where, why and what to do."""


class ListingError(ConvertError):
    """A source could not be listed as it is laid out."""


class UnreadableItemError(ConvertError):
    """One item of a source could not be read.

    Attributes:
        name: the item, as messages and the manifest name it; why: the cause.
    """

    def __init__(self, name: str, why: str) -> None:
        super().__init__(name, why)
        self.name = name
        self.why = why

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


class UnsupportedImageError(ConvertError):
    """An image cannot be re-coded losslessly, and the policy is to fail."""


@contextlib.contextmanager
def remedy_of_unreadable() -> Iterator[None]:
    """Adds to an UnreadableItemError which policy would let the job go on."""
    try:
        yield
    except UnreadableItemError as error:
        remedy = "leave such items out with `on_unreadable=skip`"
        raise UnreadableItemError(error.name, f"{error.why}; {remedy}") from error


def check_at_least(flag: str, value: int, least: int) -> None:
    """Raises ConvertError if the value of a flag is too small."""
    if value < least:
        raise ConvertError(f"`{flag}`; expected at least {least}, got {value}")


def check_choice(flag: str, value: str, choices: Collection[str]) -> None:
    """Raises ConvertError if the value of a flag is none of `choices`."""
    if value not in choices:
        raise ConvertError(f"`{flag}`; expected one of {', '.join(choices)}, got {value!r}")


def check_prefix(prefix: str) -> None:
    """Raises ConvertError if names of visible files in one folder cannot begin with `prefix`."""
    if not prefix or "/" in prefix or prefix.startswith("."):
        raise ConvertError(f"`prefix`; expected the beginning of a file name, got {prefix!r}")
    if not is_utf8(prefix):
        raise ConvertError(
            f"`prefix`; expected UTF-8, since the side index holds names in it, got {prefix!r}"
        )


def shown(text: str) -> str:
    """A text of a source as messages quote it: of a long one, how it begins."""
    return repr(text if len(text) <= 60 else f"{text[:40]}...")


def some(names: Sequence[str], separator: str = ", ") -> str:
    """The first of `names`, and how many more there are."""
    more = len(names) - _MAX_NAMED
    return separator.join(names[:_MAX_NAMED]) + (f"{separator}and {more} more" if more > 0 else "")
