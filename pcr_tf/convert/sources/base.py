"""What a kind of source gives a conversion job.

A `Source` says how its inputs are listed and read, and never changes. Listing it gives a `Listing`:
the items, and the `SourceContext` that reading any of them needs. A worker therefore needs the
source, the context and its own items, and nothing that another process has done before.
"""

from __future__ import annotations

import abc
import collections
import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from pcr_tf.convert.errors import ConvertError, ListingError, UnreadableItemError
from pcr_tf.convert.sources.options import SourceOptions
from pcr_tf.format import filesystem

# Features that sources of images add to the image.
_RESERVED_FEATURES = frozenset(
    (
        "image/filename",
        "image/format",
        "image/class/label",
        "image/class/text",
        "image/class/coarse_label",
        "image/class/coarse_text",
    )
)


class SourceItem(NamedTuple):
    """One example of a source, located but not read.

    Attributes:
      path: the file that holds it.
      offset: where its bytes begin in that file.
      size_bytes: the number of its bytes.
      ordinal: its position among the items of that file; -1 where the file is one item.
      label: its class, a position in `SourceContext.class_names`; -1 where the source has none.
      entry: its name inside that file; "" where it has none.
      detail: whatever else the source needs to read it, in a form of the source's own.
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

    def relabeled(self, labels: Sequence[int]) -> SourceItem:
        """The same item with label `labels[label]`; unchanged where it has none."""
        return self if self.label < 0 else self._replace(label=labels[self.label])


@dataclasses.dataclass(frozen=True)
class SourceContext:
    """What listing a source found out that reading its items needs.

    An immutable value that is sent to every worker: it never holds the items. Sources that need
    more than class names derive their own.

    Attributes:
      class_names: names of the classes in the order of their labels; empty without classes.
    """

    class_names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Listing:
    """All items of a source or of a part of it, in an order that depends only on names.

    Attributes:
      items: the items.
      digests: per group of items (a class folder, a TFRecord file) a text that changes when the
        group does.
      context: what reading the items needs.
      unreadable: (name, reason) of what could not be listed and was skipped.
      ignored: files and rows that are not part of the source: without an image's suffix, or
        without a counterpart.
      folders_without_images: folders that hold neither an image nor a folder, and so are not
        classes -> the number of other files in them.
      unlisted_folders: folders whose class is not in the given list of classes.
    """

    items: Sequence[SourceItem]
    digests: Mapping[str, str]
    context: SourceContext = SourceContext()
    unreadable: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    folders_without_images: Mapping[str, int] = dataclasses.field(default_factory=dict)
    unlisted_folders: tuple[str, ...] = ()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their labels."""
        return self.context.class_names

    def summary(self) -> ListingSummary:
        """The listing without its items."""
        counts = collections.Counter(item.label for item in self.items)
        return ListingSummary(
            num_items=len(self.items),
            source_bytes=sum(item.size_bytes for item in self.items),
            digests=self.digests,
            context=self.context,
            unreadable=self.unreadable,
            num_ignored=len(self.ignored),
            folders_without_images=self.folders_without_images,
            unlisted_folders=self.unlisted_folders,
            first_item=self.items[0].name if self.items else "",
            items_per_class=tuple(counts[label] for label in range(len(self.class_names))),
        )


@dataclasses.dataclass(frozen=True)
class ListingSummary:
    """A listing without its items: small, however many there are.

    Attributes:
      num_items: the number of items. source_bytes: the sum of their sizes.
      digests, context, unreadable, folders_without_images, unlisted_folders: as in `Listing`.
      num_ignored: the number of ignored files and rows.
      first_item: name of the first item; "" where there is none.
      items_per_class: the number of items of each class.
    """

    num_items: int = 0
    source_bytes: int = 0
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict)
    context: SourceContext = SourceContext()
    unreadable: tuple[tuple[str, str], ...] = ()
    num_ignored: int = 0
    folders_without_images: Mapping[str, int] = dataclasses.field(default_factory=dict)
    unlisted_folders: tuple[str, ...] = ()
    first_item: str = ""
    items_per_class: tuple[int, ...] = ()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their labels."""
        return self.context.class_names

    def classes_without_items(self, skipped: Sequence[int] = ()) -> list[str]:
        """Names of the classes that have no item; empty where the items have no labels at all.

        Args:
          skipped: labels of items that do not count.
        """
        if not any(self.items_per_class):
            return []
        remaining = collections.Counter(dict(enumerate(self.items_per_class)))
        remaining.subtract(skipped)
        return [name for label, name in enumerate(self.class_names) if not remaining[label]]

    def labels_in(self, whole: ListingSummary) -> list[int]:
        """For each class of this part, its label in the whole; -1 for a class that the whole does
        not have, because no image is in it."""
        labels = {name: label for label, name in enumerate(whole.class_names)}
        return [labels.get(name, -1) for name in self.class_names]


class UnreadableLog:
    """Applies the policy for what cannot be listed: raises, or takes note and goes on.

    Attributes:
      entries: (name, reason) of what was skipped.
    """

    def __init__(self, *, skip: bool) -> None:
        """Begins empty. `skip` tells whether `add` takes note instead of raising."""
        self.entries: list[tuple[str, str]] = []
        self._skip = skip

    def add(self, path: str, error: UnreadableItemError) -> None:
        """Skips something in the file `path`, which the entry names without its folder.

        Raises:
          UnreadableItemError: `error`, where nothing may be skipped.
        """
        if not self._skip:
            raise error
        name = error.name.replace(path, filesystem.basename(path))
        self.entries.append((name, error.why))


class Match(enum.IntEnum):
    """How sure a kind of source is that an input is of its kind."""

    NO = 0
    FALLBACK = 1  # What no other kind recognizes is taken for this one.
    LIKELY = 2
    CERTAIN = 3


class Source(abc.ABC):
    """Where examples come from.

    Instances are frozen dataclasses: small, picklable, and the same before and after listing.
    The classes are named in `pcr_tf.convert.sources.registry`.

    Attributes:
      kind: the value of `input_format` that names this class.
      image_features: keys of the features that hold images.
    """

    kind: ClassVar[str]
    image_features: tuple[str, ...]

    @classmethod
    @abc.abstractmethod
    def create(
        cls, inputs: Sequence[str], image_features: Sequence[str], options: SourceOptions
    ) -> Source:
        """The source over paths and globs `inputs`.

        Raises:
          ConvertError: it cannot be over these inputs, or lacks an option.
        """

    @classmethod
    def is_chosen_by(cls, options: SourceOptions) -> bool:
        """Whether an option says that the source is of this kind, whatever the inputs are."""
        del options
        return False

    @classmethod
    def match(cls, path: str, *, is_folder: bool) -> Match:
        """How well the input `path` fits this kind.

        Raises:
          ConvertError: it could be of this kind as well as of another; names both.
        """
        del path, is_folder
        return Match.NO

    @abc.abstractmethod
    def list_items(self, *, skip_unreadable: bool) -> Listing:
        """Lists the source.

        Args:
          skip_unreadable: whether to skip, and name, what cannot be listed.

        Raises:
          ListingError: the source is empty or not laid out as it should be.
          UnreadableItemError: something cannot be listed and `skip_unreadable` is False.
        """

    @abc.abstractmethod
    def key(self, item: SourceItem) -> str:
        """The item's name wherever the source is stored: for the shuffle and for manifests."""

    def split_key(self, item: SourceItem, context: SourceContext) -> str:
        """Decides the item's part where a job splits: items that share it stay together.

        Args:
          context: that of the listing with the item, be it of the source or of a part of it.
        """
        del context
        return self.key(item)

    @abc.abstractmethod
    def read(self, item: SourceItem, context: SourceContext) -> bytes:
        """The serialized ``tf.train.Example`` of `item`.

        Args:
          context: that of the listing of the whole source.

        Raises:
          UnreadableItemError: the item cannot be read, or is damaged.
        """

    def reencoded_features(self) -> dict[str, list[bytes]]:
        """Features that change when an image is encoded anew as JPEG."""
        return {}


class PartedSource(Source):
    """A source whose parts (files, class folders) can be listed separately, by several machines.

    The listing of the whole is the listings of its parts, one after another.
    """

    @abc.abstractmethod
    def part_names(self) -> list[str]:
        """The parts, in order, at the cost of at most one look at each.

        Raises:
          ListingError: nothing is there.
        """

    @abc.abstractmethod
    def list_part(self, part: str, *, skip_unreadable: bool) -> Listing:
        """Lists one part. Labels are positions in the class names of this part.

        Raises:
          UnreadableItemError: something cannot be listed and `skip_unreadable` is False.
        """

    @abc.abstractmethod
    def merge(self, parts: Sequence[ListingSummary]) -> ListingSummary:
        """The whole, with its context, from the summaries of all parts in order.

        Raises:
          ListingError: the source is empty or not laid out as it should be.
        """

    def list_items(self, *, skip_unreadable: bool) -> Listing:
        parts = [
            self.list_part(part, skip_unreadable=skip_unreadable) for part in self.part_names()
        ]
        summaries = [part.summary() for part in parts]
        whole = self.merge(summaries)
        return Listing(
            items=tuple(
                item.relabeled(labels)
                for part, summary in zip(parts, summaries, strict=True)
                for labels in [summary.labels_in(whole)]
                for item in part.items
            ),
            digests=whole.digests,
            context=whole.context,
            unreadable=whole.unreadable,
            ignored=tuple(path for part in parts for path in part.ignored),
            folders_without_images=whole.folders_without_images,
        )


def merge_summaries(
    parts: Sequence[ListingSummary], digests: Mapping[str, str], context: SourceContext
) -> ListingSummary:
    """The summary of a whole with these digests and this context; all else is added up."""
    whole = ListingSummary(
        num_items=sum(part.num_items for part in parts),
        source_bytes=sum(part.source_bytes for part in parts),
        digests=digests,
        context=context,
        unreadable=tuple(entry for part in parts for entry in part.unreadable),
        num_ignored=sum(part.num_ignored for part in parts),
        folders_without_images={
            folder: count for part in parts for folder, count in part.folders_without_images.items()
        },
        unlisted_folders=tuple(folder for part in parts for folder in part.unlisted_folders),
        first_item=next((part.first_item for part in parts if part.num_items), ""),
    )
    counts = [0] * len(context.class_names)
    for part in parts:
        for label, count in zip(part.labels_in(whole), part.items_per_class, strict=True):
            if label >= 0:
                counts[label] += count
    return dataclasses.replace(whole, items_per_class=tuple(counts))


def merge_file_summaries(
    parts: Sequence[ListingSummary],
    patterns: Sequence[str],
    noun: str,
    context: SourceContext = SourceContext(),
) -> ListingSummary:
    """The summary of a whole whose parts are files.

    Digests are by file name, or by path where names are not unique.

    Args:
      patterns: what named the files.
      noun: what they hold.

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
    whole = merge_summaries(parts, by_name, context)
    if not whole.num_items:
        why = "the files are empty" if parts else "no such file is there"
        if whole.unreadable:
            name, fault = whole.unreadable[0]
            more = len(whole.unreadable) - 1
            why = f"{name}: {fault}{f' ({more} more cannot be read)' if more else ''}"
        raise ListingError(f"{', '.join(patterns)}: no {noun}; {why}")
    return whole


def only_image_feature(kind: str, image_features: Sequence[str]) -> str:
    """The one image feature of a source that adds features of its own to the image.

    Raises:
      ConvertError: there are several, or the source makes a feature of that name.
    """
    if len(image_features) != 1:
        raise ConvertError(
            f"`image_features`: a source of kind {kind} has one image feature; got "
            f"{','.join(image_features)}"
        )
    (image_feature,) = image_features
    if image_feature in _RESERVED_FEATURES:
        raise ConvertError(
            f"`image_features`: a source of kind {kind} makes a feature {image_feature}; choose "
            "another name"
        )
    return image_feature
