"""What every kind of source gives a conversion job."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from pcr_tf.convert.errors import ListingError
from pcr_tf.format import filesystem


class SourceItem(NamedTuple):
    """One example of a source, located but not read.

    Attributes:
        path: the file that holds it.
        offset: where its bytes begin in that file.
        size_bytes: how many there are.
        ordinal: its position among the items of that file; -1 where a file is one item.
        label: ordinal of its class in `Listing.class_names`; -1 where the source has no classes.
        entry: its name inside that file; "" where it has none.
        detail: what else the source needs to make the example; its own business.
    """

    path: str
    offset: int
    size_bytes: int
    ordinal: int = -1
    label: int = -1
    entry: str = ""
    detail: str = ""

    @property
    def name(self) -> str:
        """The item as messages name it."""
        if self.entry:
            return f"{self.path}: {self.entry}"
        return self.path if self.ordinal < 0 else f"{self.path}: record {self.ordinal}"


@dataclasses.dataclass
class Listing:
    """All items of a source, in an order that depends on names alone.

    Attributes:
        digests: per group of items (a class folder, a TFRecord file) a text that changes when the
            group does.
        class_names: names of the classes, in the order of their labels; empty where the source
            has none.
        unreadable: (name, why) of what could not be listed and was left out, by policy.
        ignored: files and rows that are no part of the source: without the suffix of an image, or
            without their counterpart.
    """

    items: list[SourceItem]
    digests: dict[str, str]
    class_names: list[str] = dataclasses.field(default_factory=list)
    unreadable: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    ignored: list[str] = dataclasses.field(default_factory=list)


class Source(abc.ABC):
    """Where examples come from. Instances are small and picklable: workers get a copy.

    `list_items` comes first: what it learns (the class names) may be needed by the other methods.

    Attributes:
        kind: the value of --source that names this class.
        image_features: keys of the features that hold images.
    """

    kind: ClassVar[str]
    image_features: tuple[str, ...]

    @abc.abstractmethod
    def list_items(self, *, skip_unreadable: bool) -> Listing:
        """Lists the source.

        Args:
            skip_unreadable: whether to leave out, and name, what cannot be listed.

        Raises:
            ListingError: the source is empty or not laid out as it should be.
            UnreadableItemError: something cannot be listed and `skip_unreadable` is False.
        """

    @abc.abstractmethod
    def key(self, item: SourceItem) -> str:
        """The item's name, wherever the source stands: for the shuffle and for manifests."""

    def split_key(self, item: SourceItem) -> str:
        """What decides the item's part where a job splits: items that share it stay together."""
        return self.key(item)

    @abc.abstractmethod
    def read(self, item: SourceItem) -> bytes:
        """The serialized ``tf.train.Example`` of `item`.

        Raises:
            UnreadableItemError: the item cannot be read, or is damaged.
        """

    def reencoded_features(self) -> dict[str, list[bytes]]:
        """Features that change when an image is encoded anew as JPEG."""
        return {}


def expand_patterns(patterns: Sequence[str]) -> list[str]:
    """The files that paths and globs name, each once; those of one glob sorted bytewise.

    Raises:
        ListingError: a pattern matches nothing.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        literal = filesystem.exists(pattern)
        paths = [pattern] if literal else filesystem.glob(pattern)
        if not paths:
            braces = "; braces are a shell's: leave them unquoted, or use * and ?"
            raise ListingError(
                f"{pattern}: no such file or folder, and no file matches it as a pattern"
                f"{braces if '{' in pattern else ''}"
            )
        found.update(dict.fromkeys(paths))
    return list(found)
