"""What every kind of source gives a conversion job."""

from __future__ import annotations

import abc
import collections
import dataclasses
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from pcr_tf.convert.errors import ListingError, UnreadableItemError
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
        without_image: folders that hold neither an image nor a folder, and are no classes -> how
            many other files they hold.
        unlisted: folders whose class is not in the list that was given.
    """

    items: list[SourceItem]
    digests: dict[str, str]
    class_names: list[str] = dataclasses.field(default_factory=list)
    unreadable: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    ignored: list[str] = dataclasses.field(default_factory=list)
    without_image: dict[str, int] = dataclasses.field(default_factory=dict)
    unlisted: list[str] = dataclasses.field(default_factory=list)

    def leave_out(self, path: str, fault: UnreadableItemError, *, skip_unreadable: bool) -> None:
        """Names the fault of something in the file `path` in `unreadable`.

        Raises:
            UnreadableItemError: the fault, unless `skip_unreadable`.
        """
        if not skip_unreadable:
            raise fault
        name = fault.name.replace(path, filesystem.basename(path))
        self.unreadable.append((name, fault.why))

    def summary(self) -> ListingSummary:
        """What there is to say of the listing without its items."""
        return ListingSummary(
            num_items=len(self.items),
            source_bytes=sum(item.size_bytes for item in self.items),
            digests=self.digests,
            class_names=self.class_names,
            unreadable=self.unreadable,
            num_ignored=len(self.ignored),
            without_image=self.without_image,
            unlisted=self.unlisted,
            first_item=self.items[0].name if self.items else "",
            class_items=self._class_items(),
        )

    def _class_items(self) -> list[int]:
        counts = collections.Counter(item.label for item in self.items)
        return [counts[label] for label in range(len(self.class_names))]


@dataclasses.dataclass
class ListingSummary:
    """A listing without its items: small however many they are.

    Attributes:
        num_items, source_bytes: how many items there are, and their sizes added up.
        digests, class_names, unreadable, without_image, unlisted: as in `Listing`.
        num_ignored: how many are ignored.
        first_item: name of the first item; "" where there is none.
        class_items: how many items each class has.
    """

    num_items: int = 0
    source_bytes: int = 0
    digests: dict[str, str] = dataclasses.field(default_factory=dict)
    class_names: list[str] = dataclasses.field(default_factory=list)
    unreadable: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    num_ignored: int = 0
    without_image: dict[str, int] = dataclasses.field(default_factory=dict)
    unlisted: list[str] = dataclasses.field(default_factory=list)
    first_item: str = ""
    class_items: list[int] = dataclasses.field(default_factory=list)

    def classes_without_item(self, skipped: Sequence[int] = ()) -> list[str]:
        """Names of the classes that no item is of; none where the items have no labels at all.

        Args:
            skipped: the labels of items that do not count.
        """
        if not any(self.class_items):
            return []
        left = collections.Counter(dict(enumerate(self.class_items)))
        left.subtract(skipped)
        return [name for label, name in enumerate(self.class_names) if not left[label]]

    def new_labels(self, whole: ListingSummary) -> list[int]:
        """The labels in `whole` of the classes of this part of it; -1 for one that, without an
        image, is none there."""
        labels = {name: label for label, name in enumerate(whole.class_names)}
        return [labels.get(name, -1) for name in self.class_names]


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


class PartedSource(Source):
    """A source in parts (files, class folders) that can be listed apart, by several machines.

    The listing of the whole is that of its parts, one behind the other.
    """

    @abc.abstractmethod
    def part_names(self) -> list[str]:
        """The parts, in order, at the cost of one look at each at most.

        Raises:
            ListingError: nothing is there.
        """

    @abc.abstractmethod
    def list_part(self, part: str, *, skip_unreadable: bool) -> Listing:
        """Lists one part. Labels are ordinals in the class names of this part.

        Raises:
            UnreadableItemError: something cannot be listed and `skip_unreadable` is False.
        """

    @abc.abstractmethod
    def unite(self, parts: Sequence[ListingSummary]) -> ListingSummary:
        """The whole, from all its parts in order. Other methods may need what it learns.

        Raises:
            ListingError: the source is empty or not laid out as it should be.
        """

    def list_items(self, *, skip_unreadable: bool) -> Listing:
        parts = [
            self.list_part(part, skip_unreadable=skip_unreadable) for part in self.part_names()
        ]
        whole = self.unite([part.summary() for part in parts])
        items = [
            with_label(item, labels)
            for part in parts
            for labels in [part.summary().new_labels(whole)]
            for item in part.items
        ]
        ignored = [path for part in parts for path in part.ignored]
        return Listing(
            items,
            whole.digests,
            whole.class_names,
            whole.unreadable,
            ignored,
            whole.without_image,
        )


def with_label(item: SourceItem, labels: Sequence[int]) -> SourceItem:
    """An item of a part, with its label in the whole: see `ListingSummary.new_labels`."""
    return item if item.label < 0 else item._replace(label=labels[item.label])


def added_up(
    parts: Sequence[ListingSummary], digests: dict[str, str], class_names: Sequence[str] = ()
) -> ListingSummary:
    """The whole of `parts`, but for what is given."""
    whole = ListingSummary(
        num_items=sum(part.num_items for part in parts),
        source_bytes=sum(part.source_bytes for part in parts),
        digests=digests,
        class_names=list(class_names),
        unreadable=[entry for part in parts for entry in part.unreadable],
        num_ignored=sum(part.num_ignored for part in parts),
        without_image={f: count for part in parts for f, count in part.without_image.items()},
        unlisted=[folder for part in parts for folder in part.unlisted],
        first_item=next((part.first_item for part in parts if part.num_items), ""),
        class_items=[0] * len(class_names),
    )
    for part in parts:
        for label, count in zip(part.new_labels(whole), part.class_items, strict=True):
            if label >= 0:
                whole.class_items[label] += count
    return whole


def united_files(
    parts: Sequence[ListingSummary], patterns: Sequence[str], noun: str
) -> ListingSummary:
    """The whole of parts that are files: digests by name, or by path where names are not unique.

    Args:
        patterns: what the files were named by. noun: what they hold.

    Raises:
        ListingError: they hold nothing.
    """
    digests = {path: digest for part in parts for path, digest in part.digests.items()}
    names = collections.Counter(
        filesystem.basename(path) for part in parts for path in part.digests
    )
    by_name = {
        name if names[name] == 1 else path: digest
        for path, digest in digests.items()
        for name in [filesystem.basename(path)]
    }
    whole = added_up(parts, by_name)
    if not whole.num_items:
        why = "the files are empty" if parts else "no such file is there"
        if whole.unreadable:
            name, fault = whole.unreadable[0]
            more = len(whole.unreadable) - 1
            why = f"{name}: {fault}{f' ({more} more cannot be read)' if more else ''}"
        raise ListingError(f"{', '.join(patterns)}: no {noun}; {why}")
    return whole
