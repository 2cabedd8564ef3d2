"""Compares stored examples with those of the source: features, and images without loss."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pcr_tf import _native
from pcr_tf.convert.errors import UnreadableItemError
from pcr_tf.convert.job.encode import encode_images
from pcr_tf.convert.job.options import ConvertOptions
from pcr_tf.convert.job.workers import Report
from pcr_tf.convert.sources import Source, SourceContext, SourceItem
from pcr_tf.convert.verify.beside_pixels import beside_pixels
from pcr_tf.format.example import bytes_features, feature_messages, feature_values
from pcr_tf.format.names import stored_name
from pcr_tf.format.reader import PcrReader

_MAX_SHOWN = 80  # characters of a value in a message


class StoredExample(NamedTuple):
    """Where an example is: a global record, and the example's ordinal in it."""

    record: int
    example: int


class Pair(NamedTuple):
    """A stored example and the item that it should have been made of."""

    stored: StoredExample
    item: SourceItem


@dataclasses.dataclass(frozen=True)
class CompareJob:
    """Pairs to compare, in the order of the records.

    Attributes:
        all_differences: whether all differences of a pair are wanted, or the first one.
    """

    name: str
    pairs: Sequence[Pair]
    all_differences: bool


@dataclasses.dataclass(frozen=True)
class SignatureJob:
    """Stored examples and items whose signatures are wanted; examples in the order of records."""

    name: str
    stored: Sequence[StoredExample]
    items: Sequence[SourceItem]


@dataclasses.dataclass(frozen=True)
class Signature:
    """Digests of an example's features without images, and of its images' coefficients."""

    features: bytes
    images: bytes


@dataclasses.dataclass(frozen=True)
class SourceReader:
    """Reads examples of a source as the conversion gave them to the writer.

    Attributes:
        encoded: keys of the items with images that the conversion encoded anew.
    """

    source: Source
    context: SourceContext
    options: ConvertOptions
    encoded: frozenset[str]

    def read(self, item: SourceItem) -> bytes:
        """The example of an item.

        Raises:
            UnreadableItemError: it cannot be read.
        """
        example = self.source.read(item, self.context)
        if stored_name(self.source.key(item)) not in self.encoded:
            return example
        try:
            images = bytes_features(example, self.options.image_features)
        except ValueError as error:
            raise UnreadableItemError(item.name, str(error)) from error
        script = _native.ScanScript(self.options.scan_script or "")
        values = [value for feature in images.values() for value in feature]
        opaque = [
            position
            for position, image in enumerate(values)
            if _native.transcode(image, script, prove=self.options.prove).coding == "opaque"
        ]
        changed, _ = encode_images(
            example,
            images,
            opaque,
            quality=self.options.encode_quality,
            upright=self.options.encode_upright,
            other_features=self.source.reencoded_features(),
        )
        return changed


def compare_pairs(
    job: CompareJob, folder: str, source: SourceReader, progress: Report
) -> dict[int, list[str]]:
    """The differences of the pairs that differ, by their positions.

    Raises:
        ValueError: a record is damaged. OSError: it cannot be read.
    """
    stored = _StoredExamples(folder)
    found: dict[int, list[str]] = {}
    for position, pair in enumerate(job.pairs):
        example, codings = stored.read(pair.stored)
        try:
            wanted = source.read(pair.item)
        except UnreadableItemError as error:
            lines = [f"the source cannot be read: {error}"]
        else:
            every = differences(example, codings, wanted, stored.reader.index.header)
            lines = list(every if job.all_differences else itertools.islice(every, 1))
        if lines:
            found[position] = lines
        progress(1, len(example), 0)
    return found


def signatures(
    job: SignatureJob, folder: str, source: SourceReader, progress: Report
) -> tuple[list[Signature], list[Signature | None]]:
    """Signatures of the stored examples and of the items; None for an item that is unreadable.

    They tell which example was made of which item. Whether it is equal is for `compare_pairs` to
    say, which does not trust the transcoder.
    """
    stored = _StoredExamples(folder)
    header = stored.reader.index.header
    script = _native.ScanScript(header.scan_script)
    of_stored = []
    for place in job.stored:
        example, _ = stored.read(place)
        of_stored.append(_signature(example, header.image_features, script))
        progress(1, len(example), 0)
    of_items: list[Signature | None] = []
    for item in job.items:
        try:
            example = source.read(item)
            of_items.append(_signature(example, header.image_features, script))
        except (UnreadableItemError, ValueError):
            of_items.append(None)
        progress(1, item.size_bytes, 0)
    return of_stored, of_items


class _StoredExamples:
    """Examples at full fidelity, with the record read last kept."""

    def __init__(self, folder: str) -> None:
        self.reader = PcrReader(folder)
        self._record = -1
        self._examples: list[bytes] = []
        self._codings: list[list[str]] = []

    def read(self, place: StoredExample) -> tuple[bytes, list[str]]:
        """The example, and the codings of its images in the order of the image features."""
        if place.record != self._record:
            index, groups = self.reader.index, self.reader.num_groups
            prefix = self.reader.read_prefix(place.record)
            self._examples = _native.parse_record(index, place.record, groups, prefix)
            self._codings = [[] for _ in self._examples]
            for example, _, coding, _ in _native.record_images(index, place.record, groups, prefix):
                self._codings[example].append(coding)
            self._record = place.record
        return self._examples[place.example], self._codings[place.example]


def differences(
    stored: bytes, codings: Sequence[str], source: bytes, header: _native.Header
) -> Iterator[str]:
    """What differs between a stored example, at full fidelity, and its source.

    Args:
        codings: "progressive" or "opaque", of each image in the order of the image features.
    """
    image_features = header.image_features
    try:
        ours, theirs = feature_messages(stored), feature_messages(source)
        our_images = bytes_features(stored, image_features)
        their_images = bytes_features(source, image_features)
    except ValueError as error:
        yield f"the source: {error}"
        return
    for key in sorted({*ours, *theirs} - set(image_features)):
        if key not in ours:
            yield f"feature {key!r}: is missing; expected {_shown(theirs[key])}"
        elif key not in theirs:
            yield f"feature {key!r}: is not in the source; got {_shown(ours[key])}"
        elif ours[key] != theirs[key]:
            yield f"feature {key!r}: expected {_shown(theirs[key])}, got {_shown(ours[key])}"
    rest = iter(codings)
    for key in image_features:
        got, wanted = our_images.get(key, []), their_images.get(key, [])
        if len(got) != len(wanted):
            yield f"image feature {key!r}: expected {len(wanted)} images, got {len(got)}"
        for position, image in enumerate(got):
            coding = next(rest)
            if position >= len(wanted) or image == wanted[position]:
                continue
            said = (
                "bytes differ from the source's"
                if coding == "opaque"
                else _image_difference(image, wanted[position])
            )
            if said:
                yield f"image feature {key!r}, image {position}: {said}"


def _image_difference(stored: bytes, source: bytes) -> str:
    """What a re-coded image does not have of its source; "" where it has all."""
    coefficients = _native.same_coefficients(stored, source)
    return coefficients or beside_pixels(stored).difference(beside_pixels(source))


def _shown(feature: bytes) -> str:
    values = feature_values(feature)
    text = repr(values[0] if len(values) == 1 else values)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."


def _signature(
    example: bytes, image_features: Sequence[str], script: _native.ScanScript
) -> Signature:
    features, images = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
    messages: Mapping[str, bytes] = feature_messages(example)
    for key in sorted(set(messages) - set(image_features)):
        for part in (key.encode(errors="surrogateescape"), messages[key]):
            features.update(b"%d:" % len(part) + part)
    for key, values in bytes_features(example, image_features).items():
        for image in values:
            scans = _native.transcode(image, script, prove=False).scans
            images.update(key.encode() + b"%d:" % len(scans) + scans)
    return Signature(features.digest(), images.digest())
