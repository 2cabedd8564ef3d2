"""Errors of a conversion that its user can act on: one line each, with place and remedy."""

from __future__ import annotations


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
