"""Tar shards in the layout of WebDataset: members that share a key are one example."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pcr_tf.convert.errors import ConvertError, ListingError, UnreadableItemError
from pcr_tf.convert.sources.base import (
    Listing,
    ListingSummary,
    Match,
    PartedSource,
    SourceContext,
    SourceItem,
    UnreadableLog,
    merge_file_summaries,
    only_image_feature,
)
from pcr_tf.convert.sources.class_list import ClassList
from pcr_tf.convert.sources.image_walk import holds_folders_of_images
from pcr_tf.convert.sources.images import IMAGE_SUFFIXES, image_format
from pcr_tf.convert.sources.inputs import expand_to_files, unreadable_file
from pcr_tf.convert.sources.numbers import float32_of, int64_of, is_float32
from pcr_tf.convert.sources.options import SourceOptions
from pcr_tf.convert.sources.webdataset.tar_keys import Member, TarKeys, scan
from pcr_tf.format import filesystem
from pcr_tf.format.example import Values, encode_example

_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")

# Headers and padding between two members, with room for long names.
_MAX_GAP_BYTES = 4096


@dataclasses.dataclass(frozen=True)
class WebDatasetSource(PartedSource):
    """Examples of tar files whose members are called ``<key>.<extension>``.

    The key is the member's name up to the first dot after its last "/"; the members of a key need
    not be adjacent. An example holds image/encoded, image/filename (the member's name),
    image/format (from the contents), and the other members of its key:

    - ``cls``: image/class/label, the integer that it holds; where a list of classes is given, the
      position in it of the text that it holds, and image/class/text, its name;
    - ``json``: its bytes as json, and each field of the object that is a number, a text, or a list
      of these, as json/<field>;
    - all others: their bytes, under the extension.

    Attributes:
      patterns: tar files, folders of them, and globs.
      image_extension: which member is the image, without its dot; "" for the only one that has the
        suffix of an image.
      classes: all classes, in the order of their labels; empty: labels stay as they are.
    """

    kind = "webdataset"

    patterns: tuple[str, ...]
    image_features: tuple[str, ...]
    image_extension: str
    classes: ClassList

    @classmethod
    def create(
        cls, inputs: Sequence[str], image_features: Sequence[str], options: SourceOptions
    ) -> WebDatasetSource:
        image_feature = only_image_feature(cls.kind, image_features)
        extension = options.image_extension.removeprefix(".").lower()
        return cls(tuple(inputs), (image_feature,), extension, options.class_list())

    @classmethod
    def match(cls, path: str, *, is_folder: bool) -> Match:
        if not is_folder:
            return Match.CERTAIN if _is_tar(path) else Match.NO
        if not _holds_tar_files(path):
            return Match.NO
        if holds_folders_of_images(path):
            raise ConvertError(
                f"{path}: holds tar files and folders of images; choose with "
                "`input_format=webdataset` or `input_format=class_folders`"
            )
        return Match.CERTAIN

    def part_names(self) -> list[str]:
        """The files."""
        return expand_to_files(self.patterns, _is_tar)

    def list_part(self, part: str, *, skip_unreadable: bool) -> Listing:
        items: list[SourceItem] = []
        ignored: list[str] = []
        unreadable = UnreadableLog(skip=skip_unreadable)
        digest = hashlib.sha256()
        fault: UnreadableItemError | None
        try:
            tar = scan(part, self._is_image)
            modified_ns = filesystem.status(part).modified_ns
        except OSError as error:
            fault = unreadable_file(part, error)
        else:
            items += self._items(tar, unreadable)
            ignored += [f"{part}: {name}" for name in tar.ignored]
            fault = tar.fault
        if fault is not None:
            unreadable.add(part, fault)
            modified_ns = 0
        for item in items:
            digest.update(f"{item.entry}\0{item.detail}\n".encode(errors="surrogateescape"))
        digest.update(b"%d" % modified_ns)
        return Listing(
            items=tuple(items),
            digests={part: f"{len(items)} keys, {digest.hexdigest()[:16]}"},
            unreadable=tuple(unreadable.entries),
            ignored=tuple(ignored),
        )

    def merge(self, parts: Sequence[ListingSummary]) -> ListingSummary:
        # Reading the members tells which classes have images: until then each has none.
        context = SourceContext(tuple(self.classes.names))
        return merge_file_summaries(parts, self.patterns, "keys", context)

    def read(self, item: SourceItem, context: SourceContext) -> bytes:
        del context
        members = _members(item)
        try:
            parts = _read(item, members)
        except OSError as error:
            raise UnreadableItemError(item.name, f"cannot be read: {error.strerror}") from error
        for member in members:
            if len(parts[member.extension]) != member.size_bytes:
                raise UnreadableItemError(
                    item.name, f"the file ends inside member .{member.extension}; has it changed?"
                )
        extension = self._image_of(item.path, item.entry, members).extension
        image = parts.pop(extension)
        features: dict[str, Values] = {
            self.image_features[0]: [image],
            "image/filename": [f"{item.entry}.{extension}".encode(errors="surrogateescape")],
            "image/format": [image_format(image).encode()],
        }
        if self.classes and "cls" not in parts:
            raise UnreadableItemError(
                item.name, "no .cls; expected one that holds the name of a class"
            )
        for name, contents in parts.items():
            new_features = (
                self._label(item.name, contents)
                if name == "cls"
                else _features(item.name, name, contents)
            )
            for key, values in new_features.items():
                if key in features:
                    raise UnreadableItemError(
                        item.name,
                        f"member .{name}: makes a feature {key!r}, which exists already; choose "
                        "another `image_features`, or rename the member",
                    )
                features[key] = values
        return encode_example(features)

    def key(self, item: SourceItem) -> str:
        return f"{filesystem.basename(item.path)}: {item.entry}"

    def split_key(self, item: SourceItem, context: SourceContext) -> str:
        del context
        return item.entry  # Stays the same when the keys are packed into other shards.

    def reencoded_features(self) -> dict[str, list[bytes]]:
        return {"image/format": [b"JPEG"]}

    def _items(self, tar: TarKeys, unreadable: UnreadableLog) -> Iterator[SourceItem]:
        path = tar.path
        for key, by_extension in tar.keys.items():
            members = list(by_extension.values())
            try:
                if key in tar.broken:
                    raise UnreadableItemError(f"{path}: {key}", tar.broken[key])
                self._image_of(path, key, members)
            except UnreadableItemError as error:
                unreadable.add(path, error)
                continue
            offset = min(member.offset for member in members)
            size_bytes = sum(member.size_bytes for member in members)
            detail = json.dumps(members, separators=(",", ":"))
            yield SourceItem(path, offset, size_bytes, entry=key, detail=detail)

    def _label(self, item: str, contents: bytes) -> dict[str, Values]:
        text = contents.strip()
        if not self.classes:
            if not re.fullmatch(rb"-?\d{1,18}", text):
                raise UnreadableItemError(
                    item,
                    f".cls: expected an integer, got {text[:40].decode(errors='replace')!r}; "
                    "for names of classes, list them with `classes`",
                )
            return {"image/class/label": [int(text)]}
        value = os.fsdecode(text)  # The form in which the list holds it.
        if value not in self.classes.label_of:
            raise ListingError(f"{item}: .cls: {self.classes.unlisted(value)}")
        label = self.classes.label_of[value]
        name = self.classes.names[label].encode(errors="surrogateescape")
        return {"image/class/label": [label], "image/class/text": [name]}

    def _is_image(self, extension: str) -> bool:
        wanted = self.image_extension
        return extension == wanted if wanted else f".{extension}" in IMAGE_SUFFIXES

    def _image_of(self, path: str, key: str, members: list[Member]) -> Member:
        wanted = self.image_extension
        images = [member for member in members if self._is_image(member.extension)]
        if len(images) == 1:
            return images[0]
        names = ", ".join(f".{member.extension}" for member in members)
        if images:
            why = f"several images: {names}; choose one with `image_extension`"
        else:
            expected = f".{wanted}" if wanted else "one of .jpg, .jpeg, .png, ..."
            why = f"no image; expected {expected}, got {names}"
        raise UnreadableItemError(f"{path}: {key}", why)


def _members(item: SourceItem) -> list[Member]:
    return [Member(*fields) for fields in json.loads(item.detail)]


def _read(item: SourceItem, members: list[Member]) -> dict[str, bytes]:
    """Contents by extension, read in one request where the members are adjacent."""
    span = max(member.offset + member.size_bytes for member in members) - item.offset
    if span > item.size_bytes + _MAX_GAP_BYTES * len(members):
        return {m.extension: filesystem.read_range(item.path, *m[1:]) for m in members}
    data = memoryview(filesystem.read_range(item.path, item.offset, span))
    return {m.extension: bytes(data[m.offset - item.offset :][: m.size_bytes]) for m in members}


def _features(item: str, extension: str, contents: bytes) -> dict[str, Values]:
    if extension == "json":
        return {"json": [contents], **_json_features(item, contents)}
    return {extension: [contents]}


def _json_features(item: str, contents: bytes) -> dict[str, Values]:
    try:
        fields = json.loads(
            contents, object_pairs_hook=_distinct, parse_int=int64_of, parse_float=float32_of
        )
    except (ValueError, RecursionError) as error:
        raise UnreadableItemError(item, f".json: not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise UnreadableItemError(
            item, f".json: expected an object, got {type(fields).__name__} {contents[:40]!r}"
        )
    features = {_utf8(f"json/{name}").decode(): _values(value) for name, value in fields.items()}
    return {name: values for name, values in features.items() if values}


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a name that occurs twice Python would silently take the last value."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"name {next(n for n in names if names.count(n) > 1)!r:.40} twice")
    return fields


def _utf8(text: str) -> bytes:
    return text.encode(errors="replace")  # JSON may hold half a surrogate pair.


def _values(value: Any) -> Values:
    """The values of a feature that hold a JSON value; empty where it is nested, mixed or null. A
    number that no feature can hold has been parsed as null.
    """
    values = value if isinstance(value, list) else [value]
    if all(isinstance(v, str) for v in values):
        return [_utf8(v) for v in values]
    if all(isinstance(v, int) for v in values):
        return [int(v) for v in values]
    if all(isinstance(v, float) or (isinstance(v, int) and is_float32(v)) for v in values):
        return [float(v) for v in values]
    return []


def _holds_tar_files(folder: str) -> bool:
    """Whether a folder holds tar files."""
    names = filesystem.listdir(folder)
    return any(_is_tar(name) for name in names if not name.startswith("."))


def _is_tar(name: str) -> bool:
    return name.lower().endswith(_TAR_SUFFIXES)
