"""A slow, plain reader of PCR files, laid out in the order of docs/FORMAT.md.

It is the oracle for the native reader and a second reading of the
specification: standard library only, no TensorFlow, no native module, and no
attempt at speed. It holds a whole file in memory and checks all that the
specification demands. Programs read data sets with `pcr_tf.data`; this module
is for tests, for people who port the format, and for a look at a broken file.

    shard = read_shard(pathlib.Path("photos-00000.pcr").read_bytes(), "photos-00000.pcr")
    for example in shard.examples(scan_groups=2):   # serialized tf.train.Example
        ...

Every refusal is a `FormatError`, which says where, by which rule, what was
expected and what was there.
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
import os
import pathlib
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn, TypeVar

DATA_LOSS = "DATA_LOSS"
INVALID_ARGUMENT = "INVALID_ARGUMENT"


class FormatError(ValueError):
    """Bytes that are not what docs/FORMAT.md demands, or a call it does not allow.

    Attributes:
      code: `DATA_LOSS` for damage, `INVALID_ARGUMENT` for a mistake of the caller
        or a version that this reader does not know.
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


@dataclasses.dataclass(frozen=True)
class Place:
    """Where in which file; the front part of every error's text."""

    file: str
    record: int | None = None
    scan_group: int | None = None
    byte: int | None = None

    def __str__(self) -> str:
        parts = []
        if self.record is not None:
            parts.append(f"record {self.record}")
        if self.scan_group is not None:
            parts.append(f"scan group {self.scan_group}")
        if self.byte is not None:
            parts.append(f"byte {self.byte}")
        return f"{self.file}: {', '.join(parts)}" if parts else self.file

    def at(self, byte: int) -> Place:
        return dataclasses.replace(self, byte=byte)

    def fail(
        self, rule: str, expected: object, got: object, remedy: str = "", code: str = DATA_LOSS
    ) -> NoReturn:
        """Raises the FormatError `<place>: <rule>; expected <expected>, got <got>[; <remedy>]`."""
        text = f"{self}: {rule}; expected {expected}, got {got}"
        raise FormatError(code, f"{text}; {remedy}" if remedy else text)

    def require_equal(self, rule: str, expected: object, got: object, remedy: str = "") -> None:
        if expected != got:
            self.fail(rule, expected, got, remedy)


# --- 2. Frames ---------------------------------------------------------------

LENGTH_BYTES = 8
CHECKSUM_BYTES = 4
# What a frame adds to its data.
FRAME_OVERHEAD_BYTES = LENGTH_BYTES + CHECKSUM_BYTES + CHECKSUM_BYTES
# protobuf's limit for a message.
MAX_FRAME_DATA_BYTES = 2**31 - 1


def _crc32c_table() -> list[int]:
    reflected_polynomial = 0x82F63B78
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (reflected_polynomial if crc & 1 else 0)
        table.append(crc)
    return table


_CRC32C_TABLE = _crc32c_table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of `data`, in [0, 2**32)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC32C_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """The masked CRC-32C that frames store."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@dataclasses.dataclass(frozen=True)
class Frame:
    """A frame whose two CRCs are right.

    Attributes:
      offset: of its first byte in the file.
      data: without length and CRCs.
      checksum: the stored, masked CRC-32C of `data`.
    """

    offset: int
    data: bytes
    checksum: int

    @property
    def size(self) -> int:
        return len(self.data) + FRAME_OVERHEAD_BYTES


def read_frame(data: bytes, start: int, place: Place) -> Frame:
    """Reads the frame at data[start:]; `place.byte` is its offset in the file."""
    assert place.byte is not None
    left = len(data) - start
    if left < FRAME_OVERHEAD_BYTES:
        place.fail("a frame is cut short", f"at least {FRAME_OVERHEAD_BYTES} bytes", left)
    length, length_checksum = struct.unpack_from("<QI", data, start)
    place.require_equal(
        "the checksum of a frame's length is wrong",
        f"{masked_crc32c(data[start : start + LENGTH_BYTES]):#010x}",
        f"{length_checksum:#010x}",
    )
    if length > MAX_FRAME_DATA_BYTES:
        place.fail("a frame is too large", f"a length of at most {MAX_FRAME_DATA_BYTES}", length)
    if length > left - FRAME_OVERHEAD_BYTES:
        place.fail(
            "a frame reaches past the end",
            f"a length of at most {left - FRAME_OVERHEAD_BYTES}",
            length,
        )
    data_start = start + LENGTH_BYTES + CHECKSUM_BYTES
    contents = data[data_start : data_start + length]
    (checksum,) = struct.unpack_from("<I", data, data_start + length)
    place.require_equal(
        "the checksum of a frame's data is wrong",
        f"{masked_crc32c(contents):#010x}",
        f"{checksum:#010x}",
    )
    return Frame(place.byte, contents, checksum)


# --- 3. Feature encoding -----------------------------------------------------

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_MAX_FIELD_NUMBER = (1 << 29) - 1


class WireError(Exception):
    """Bytes that are not a serialized protobuf message: (what, position)."""


def _read_varint(data: bytes, start: int) -> tuple[int, int]:
    value = 0
    for i in range(_MAX_VARINT_BYTES):
        if start + i >= len(data):
            raise WireError("a varint is cut short", start)
        byte = data[start + i]
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, start + i + 1
    raise WireError(f"a varint has more than {_MAX_VARINT_BYTES} bytes", start)


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yields (field number, wire type, value) of each field of a message."""
    position = 0
    while position < len(data):
        start = position
        tag, position = _read_varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if not 1 <= number <= _MAX_FIELD_NUMBER:
            raise WireError(f"field number {number} is out of range", start)
        value: int | bytes = b""
        if wire_type == _VARINT:
            value, position = _read_varint(data, position)
        elif wire_type == _BYTES:
            size, position = _read_varint(data, position)
            if size > len(data) - position:
                raise WireError(f"a field of {size} bytes is cut short", start)
            value, position = data[position : position + size], position + size
        elif wire_type in (_FIXED64, _FIXED32):
            size = 8 if wire_type == _FIXED64 else 4
            if size > len(data) - position:
                raise WireError("a fixed-width field is cut short", start)
            value, position = data[position : position + size], position + size
        else:
            # 3 and 4 are groups, which no field of these messages ever was.
            raise WireError(f"wire type {wire_type} has no place here", start)
        yield number, wire_type, value


def _submessages(data: bytes, wanted: int) -> Iterator[bytes]:
    # A known number with another wire type is an unknown field to protobuf.
    for number, wire_type, value in _fields(data):
        if number == wanted and wire_type == _BYTES:
            assert isinstance(value, bytes)
            yield value


def _int64(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _int64_list(data: bytes) -> list[int]:
    values = []
    for number, wire_type, value in _fields(data):
        if number != 1:
            continue
        if wire_type == _VARINT:
            assert isinstance(value, int)
            values.append(_int64(value))
        elif wire_type == _BYTES:
            assert isinstance(value, bytes)
            position = 0
            while position < len(value):
                item, position = _read_varint(value, position)
                values.append(_int64(item))
    return values


class Kind(enum.IntEnum):
    """The field of tf.train.Feature that is set."""

    NONE = 0
    BYTES = 1
    FLOAT = 2
    INT = 3


@dataclasses.dataclass
class Feature:
    """A feature whose list is not parsed yet: unknown features never are.

    Attributes:
      lists: the serialized list, in the parts that protobuf would merge.
    """

    kind: Kind = Kind.NONE
    lists: list[bytes] = dataclasses.field(default_factory=list)

    def bytes_values(self) -> list[bytes]:
        return [value for part in self.lists for value in _submessages(part, 1)]

    def int_values(self) -> list[int]:
        return [value for part in self.lists for value in _int64_list(part)]


def _merge_feature(feature: Feature, data: bytes) -> None:
    for number, wire_type, value in _fields(data):
        if wire_type != _BYTES or number not in (Kind.BYTES, Kind.FLOAT, Kind.INT):
            continue
        assert isinstance(value, bytes)
        if feature.kind != number:
            # Setting one member of a oneof clears the others; the same one merges.
            feature.kind, feature.lists = Kind(number), []
        feature.lists.append(value)


def parse_features(data: bytes) -> dict[bytes, Feature]:
    """Parses a serialized tf.train.Example, lists excepted. Raises WireError."""
    features: dict[bytes, Feature] = {}
    for feature_map in _submessages(data, 1):
        for entry in _submessages(feature_map, 1):
            key, feature = b"", Feature()
            for number, wire_type, value in _fields(entry):
                if wire_type != _BYTES:
                    continue
                assert isinstance(value, bytes)
                if number == 1:
                    key = value
                elif number == 2:
                    _merge_feature(feature, value)
            features[key] = feature
    return features


def encode_varint(value: int) -> bytes:
    """The shortest varint of an int64."""
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_field(number: int, contents: bytes) -> bytes:
    """A length-delimited field."""
    return encode_varint(number << 3 | _BYTES) + encode_varint(len(contents)) + contents


def encode_bytes_features(features: Sequence[tuple[bytes, Sequence[bytes]]]) -> bytes:
    """A tf.train.Example of bytes lists, in the order given; empty without features."""
    entries = b""
    for key, values in features:
        bytes_list = b"".join(encode_field(1, value) for value in values)
        feature = encode_field(Kind.BYTES, bytes_list)
        entries += encode_field(1, encode_field(1, key) + encode_field(2, feature))
    return encode_field(1, entries) if features else b""


_Value = TypeVar("_Value", int, bytes)


class _Features:
    """The features of one frame, with errors that name the frame's place."""

    def __init__(self, frame: Frame, place: Place):
        self.place = place
        try:
            self._features = parse_features(frame.data)
        except WireError as error:
            self._fail_wire("the frame", error)

    def _fail_wire(self, what: str, error: WireError) -> NoReturn:
        message, position = error.args
        self.place.fail(
            f"{what} is not part of a serialized tf.train.Example",
            "protobuf wire format",
            f"{message} (byte {position} of the message)",
        )

    def _get(self, key: str, kind: Kind) -> Feature:
        feature = self._features.get(key.encode())
        if feature is None:
            self.place.fail(f"{key} is missing", "the feature", "none")
        if feature.kind != kind:
            self.place.fail(f"{key} has the wrong type", kind.name, feature.kind.name)
        return feature

    def has(self, key: str) -> bool:
        return key.encode() in self._features

    def _require_count(self, key: str, count: int | None, values: list[_Value]) -> list[_Value]:
        if count is not None and count != len(values):
            self.place.fail(f"{key} has the wrong number of values", count, len(values))
        return values

    def bytes_list(self, key: str, count: int | None = None) -> list[bytes]:
        feature = self._get(key, Kind.BYTES)
        try:
            return self._require_count(key, count, feature.bytes_values())
        except WireError as error:
            self._fail_wire(key, error)

    def int_list(self, key: str, count: int | None = None) -> list[int]:
        feature = self._get(key, Kind.INT)
        try:
            return self._require_count(key, count, feature.int_values())
        except WireError as error:
            self._fail_wire(key, error)

    def sizes(self, key: str, count: int | None = None) -> list[int]:
        values = self.int_list(key, count)
        for value in values:
            if value < 0:
                self.place.fail(f"{key} holds a negative value", "at least 0", value)
        return values

    def checksums(self, key: str, count: int | None = None) -> list[int]:
        values = self.int_list(key, count)
        for value in values:
            if value >> 32:
                self.place.fail(f"{key} holds a value that is no checksum", "32 bits", value)
        return values

    def one_int(self, key: str) -> int:
        return self.int_list(key, 1)[0]

    def one_bytes(self, key: str) -> bytes:
        return self.bytes_list(key, 1)[0]

    def require_frame(self, kind: str) -> None:
        self.place.require_equal(
            "pcr/frame names another kind of frame", kind, _text(self.one_bytes("pcr/frame"))
        )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _require_utf8(key: str, data: bytes, place: Place) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        place.fail(f"{key} is not text", "UTF-8", ascii(data[:64])[2:-1])


# --- 5. Header frame ---------------------------------------------------------

MAJOR_VERSION = 1
MAX_GROUPS = 100


@dataclasses.dataclass(frozen=True)
class Header:
    """What the header, index and side-index frames say in common."""

    version: tuple[int, int]
    scans_per_group: tuple[int, ...]
    scan_script: str
    image_features: tuple[bytes, ...]
    created_by: str

    @property
    def num_groups(self) -> int:
        return len(self.scans_per_group)

    def difference(self, other: Header) -> str:
        """Names the first feature that shards of one data set must share and these do not."""
        for field in ("scans_per_group", "scan_script", "image_features"):
            if getattr(self, field) != getattr(other, field):
                return f"pcr/{field}"
        return ""


def _require_version(major: int, flags: int, place: Place, minor: int) -> None:
    if major != MAJOR_VERSION:
        place.fail(
            "this reader does not know the format's major version",
            MAJOR_VERSION,
            f"{major}.{minor}",
            "read the file with the version of pcr_tf that wrote it, or a later one",
            INVALID_ARGUMENT,
        )
    if flags:
        place.fail(
            f"a flag is set that this reader does not know (version {major}.{minor})",
            "flags 0",
            f"{flags:#x}",
            "read the file with a later version of pcr_tf",
            INVALID_ARGUMENT,
        )


def _parse_header(features: _Features, kind: str) -> Header:
    place = features.place
    features.require_frame(kind)
    # The version comes first: nothing else has a meaning under another one.
    major, minor = features.sizes("pcr/version", 2)
    _require_version(major, features.one_int("pcr/flags") & 0xFFFFFFFFFFFFFFFF, place, minor)
    num_groups = features.one_int("pcr/num_groups")
    if not 1 <= num_groups <= MAX_GROUPS:
        place.fail(
            f"pcr/num_groups is out of range (version {major}.{minor})",
            f"1 to {MAX_GROUPS}",
            num_groups,
            "convert the data set again",
            INVALID_ARGUMENT,
        )
    scans_per_group = features.int_list("pcr/scans_per_group", num_groups)
    for scans in scans_per_group:
        if scans < 1:
            place.fail("pcr/scans_per_group holds a group without scans", "at least 1", scans)
    script = _require_utf8("pcr/scan_script", features.one_bytes("pcr/scan_script"), place)
    image_features = features.bytes_list("pcr/image_features")
    if not image_features:
        place.fail("pcr/image_features has no values", "at least 1", 0)
    if b"" in image_features:
        place.fail("pcr/image_features holds an empty key", "a key", "''")
    if len(set(image_features)) != len(image_features):
        place.fail(
            "pcr/image_features holds a key twice",
            "distinct keys",
            ", ".join(map(_text, image_features)),
        )
    for key in image_features:
        _require_utf8("pcr/image_features", key, place)
    created_by = _require_utf8("pcr/created_by", features.one_bytes("pcr/created_by"), place)
    return Header((major, minor), tuple(scans_per_group), script, tuple(image_features), created_by)


# --- 6. Records --------------------------------------------------------------


class Coding(enum.IntEnum):
    PROGRESSIVE = 0
    OPAQUE = 1


@dataclasses.dataclass(frozen=True)
class ImageEntry:
    """What the metadata frame says of one image.

    Attributes:
      example, feature: positions in `pcr/examples` and `pcr/image_features`.
      slice_sizes: bytes of each of the G slices.
      orientation: the EXIF orientation, 2 to 8; 0: none, or upright.
    """

    example: int
    feature: int
    coding: Coding
    slice_sizes: tuple[int, ...]
    ancillary_offset: int
    ancillary_size: int
    trailing_size: int
    orientation: int = 0

    def check(self, place: Place, m: int) -> None:
        """Checks that the sizes of image m fit together (section 10)."""
        where = f"image {m} of the record"
        if self.orientation not in (0, *range(2, 9)):
            place.fail(f"{where} has an unknown orientation", "0 or 2 to 8", self.orientation)
        if self.coding == Coding.OPAQUE or not self.ancillary_size:
            rule = f"{where} is opaque or has no ancillary bytes, and so no orientation"
            place.require_equal(rule, 0, self.orientation)
        if self.coding == Coding.OPAQUE:
            rest = sum(self.slice_sizes[1:]) + self.ancillary_size + self.trailing_size
            place.require_equal(f"{where} is opaque and has bytes outside slice 1", 0, rest)
            return
        if not 2 <= self.ancillary_offset <= self.slice_sizes[0]:
            place.fail(
                f"{where} has an ancillary offset outside its slice of group 1",
                f"2 to {self.slice_sizes[0]}",
                self.ancillary_offset,
            )


@dataclasses.dataclass(frozen=True)
class Metadata:
    examples: tuple[bytes, ...]
    images: tuple[ImageEntry, ...]
    group_checksums: tuple[int, ...]

    def slice_sizes(self, group: int) -> list[int]:
        return [image.slice_sizes[group - 1] for image in self.images]

    def ancillary_sizes(self) -> list[int]:
        """Of the ancillary and trailing bytes of each image, in the order of the stream."""
        return [
            size for image in self.images for size in (image.ancillary_size, image.trailing_size)
        ]


def _parse_metadata(features: _Features, header: Header, entry: RecordEntry) -> Metadata:
    place = features.place
    features.require_frame("metadata")
    place.require_equal(
        "pcr/record is another record", entry.ordinal, features.one_int("pcr/record")
    )
    examples = features.bytes_list("pcr/examples", entry.num_examples)
    num_features = len(header.image_features)
    image_counts = features.sizes("pcr/image_counts", len(examples) * num_features)
    num_images = sum(image_counts)
    codings = features.int_list("pcr/codings")
    # Compared before anything is built: a hostile count is only a number here.
    place.require_equal(
        "pcr/codings and pcr/image_counts count the images differently", num_images, len(codings)
    )
    slice_sizes = features.sizes("pcr/slice_sizes", header.num_groups * num_images)
    # Of the groups that are not read too: so no size can be larger than the file.
    for group in range(1, header.num_groups + 1):
        group_bytes = sum(slice_sizes[(group - 1) * num_images : group * num_images])
        if group_bytes > entry.frame_sizes[group]:
            place.fail(
                f"the slices of scan group {group} do not fit in its frame",
                f"at most {entry.frame_sizes[group]} bytes",
                group_bytes,
            )
    ancillary_offsets = features.sizes("pcr/ancillary_offsets", num_images)
    ancillary_sizes = features.sizes("pcr/ancillary_sizes", num_images)
    trailing_sizes = features.sizes("pcr/trailing_sizes", num_images)
    orientations = [0] * num_images
    if features.has("pcr/orientations"):
        orientations = features.sizes("pcr/orientations", num_images)
    owners = [divmod(i, num_features) for i, n in enumerate(image_counts) for _ in range(n)]
    images = []
    for m, (example, feature) in enumerate(owners):
        if codings[m] not in list(Coding):
            place.fail(f"image {m} of the record has an unknown coding", "0 or 1", codings[m])
        image = ImageEntry(
            example,
            feature,
            Coding(codings[m]),
            tuple(slice_sizes[m::num_images]),
            ancillary_offsets[m],
            ancillary_sizes[m],
            trailing_sizes[m],
            orientations[m],
        )
        image.check(place, m)
        images.append(image)
    ancillary_bytes = sum(ancillary_sizes) + sum(trailing_sizes)
    if ancillary_bytes > MAX_FRAME_DATA_BYTES:
        place.fail(
            "the ancillary and trailing bytes of the record are too many",
            f"at most {MAX_FRAME_DATA_BYTES}",
            ancillary_bytes,
        )
    group_checksums = features.checksums("pcr/group_checksums", header.num_groups)
    return Metadata(tuple(examples), tuple(images), tuple(group_checksums))


def _parse_group(features: _Features, sizes: list[int], ordinal: int, group: int) -> list[bytes]:
    place = features.place
    features.require_frame("scan_group")
    place.require_equal("pcr/record is another record", ordinal, features.one_int("pcr/record"))
    place.require_equal("pcr/group is another scan group", group, features.one_int("pcr/group"))
    data = features.one_bytes("pcr/data")
    place.require_equal(
        "pcr/data and pcr/slice_sizes differ in size", f"{sum(sizes)} bytes", f"{len(data)} bytes"
    )
    return _split(data, sizes)


def _check_starts(metadata: Metadata, slices: Sequence[bytes], place: Place) -> None:
    for m, (image, start) in enumerate(zip(metadata.images, slices, strict=True)):
        if image.coding == Coding.PROGRESSIVE and start[:2] != SOI:
            place.fail(
                f"slice 1 of progressive image {m} begins with SOI", SOI.hex(), start[:2].hex()
            )


def _split(data: bytes, sizes: list[int]) -> list[bytes]:
    ends = list(itertools.accumulate(sizes))
    return [data[end - size : end] for end, size in zip(ends, sizes, strict=True)]


# Deflate's densest code is 258 bytes in two bits.
MAX_EXPANSION = 1032


def _parse_ancillary(features: _Features, sizes: list[int]) -> tuple[bytes, list[bytes]]:
    """The ancillary stream of the last scan-group frame, and the parts it holds."""
    place = features.place
    stream = features.one_bytes("pcr/ancillary")
    size = sum(sizes)
    if size == 0:
        place.require_equal("pcr/ancillary is of a record that has none", 0, len(stream))
        return stream, _split(b"", sizes)
    most = MAX_EXPANSION * len(stream)
    if size > most:
        place.fail("pcr/ancillary is too short for what it holds", f"at most {most} bytes", size)
    inflater = zlib.decompressobj()
    try:
        # One byte more than it may hold shows one that holds more.
        data = inflater.decompress(stream, size + 1)
    except zlib.error as error:
        place.fail("pcr/ancillary is not a zlib stream", "a whole one", str(error))
    place.require_equal("pcr/ancillary and the sizes of its parts differ", size, len(data))
    if not inflater.eof or inflater.unused_data:
        place.fail("pcr/ancillary is not one whole zlib stream", f"{len(stream)} bytes", "others")
    return stream, _split(data, sizes)


# --- 7. Index frame ----------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class RecordEntry:
    """What the index says of one record.

    Attributes:
      ordinal: in its file, from 0.
      offset: of its metadata frame in the file.
      frame_sizes: of the metadata frame, then of scan groups 1..G.
    """

    ordinal: int
    offset: int
    frame_sizes: tuple[int, ...]
    num_examples: int
    metadata_checksum: int

    @property
    def end(self) -> int:
        return self.offset + sum(self.frame_sizes)


@dataclasses.dataclass(frozen=True)
class Index:
    header: Header
    records: tuple[RecordEntry, ...]

    @property
    def num_examples(self) -> int:
        return sum(record.num_examples for record in self.records)


def _parse_records(
    features: _Features, header: Header, counts: Sequence[int]
) -> list[tuple[RecordEntry, ...]]:
    """The record entries of shards with `counts` records each, one tuple per shard."""
    total = sum(counts)
    offsets = features.sizes("pcr/record_offsets", total)
    width = header.num_groups + 1
    frame_sizes = features.sizes("pcr/frame_sizes", total * width)
    example_counts = features.sizes("pcr/example_counts", total)
    checksums = features.checksums("pcr/metadata_checksums", total)
    shards, r = [], 0
    for count in counts:
        entries = []
        for ordinal in range(count):
            sizes = tuple(frame_sizes[r * width : (r + 1) * width])
            entries.append(RecordEntry(ordinal, offsets[r], sizes, example_counts[r], checksums[r]))
            r += 1
        shards.append(tuple(entries))
    return shards


def _check_records(records: Sequence[RecordEntry], begin: int, end: int, place: Place) -> None:
    """Checks that the records lie in order and apart in [begin, end) of their file."""
    for record in records:
        here = dataclasses.replace(place, record=record.ordinal)
        for size in record.frame_sizes:
            most = MAX_FRAME_DATA_BYTES + FRAME_OVERHEAD_BYTES
            if not FRAME_OVERHEAD_BYTES <= size <= most:
                here.fail(
                    "pcr/frame_sizes holds a size that no frame has",
                    f"{FRAME_OVERHEAD_BYTES} to {most}",
                    size,
                )
        if record.num_examples < 1:
            here.fail("a record holds no examples", "at least 1", record.num_examples)
        if record.offset < begin:
            here.fail(
                "a record begins before the end of what comes before it",
                f"an offset of at least {begin}",
                record.offset,
            )
        if record.end > end:
            here.fail("a record reaches past the end of the records", f"at most {end}", record.end)
        begin = record.end


# --- 8. Footer frame ---------------------------------------------------------

MAGIC = b"\x89PCR\r\n\x1a\n"
_FOOTER = struct.Struct("<8sHHIQQQQIIQ")
_FOOTER_DATA_PREFIX = (
    b"\x0a\x6d\x0a\x17\x0a\x09pcr/frame\x12\x0a\x0a\x08\x0a\x06footer"
    b"\x0a\x52\x0a\x0apcr/footer\x12\x44\x0a\x42\x0a\x40"
)
FOOTER_FRAME_BYTES = FRAME_OVERHEAD_BYTES + len(_FOOTER_DATA_PREFIX) + _FOOTER.size


@dataclasses.dataclass(frozen=True)
class Footer:
    """The 64 bytes of section 8, and `checksum`, that of the footer frame itself."""

    version: tuple[int, int]
    index_offset: int
    index_size: int
    num_records: int
    num_examples: int
    contents_checksum: int
    index_checksum: int
    checksum: int


def read_footer(data: bytes, name: str) -> Footer:
    """Reads the footer frame, the last 127 bytes of a file."""
    start = len(data) - FOOTER_FRAME_BYTES
    remedy = "the file is cut short, or it is not a PCR file"
    if start < 0:
        Place(name).fail(
            "the file is too short for a footer",
            f"at least {FOOTER_FRAME_BYTES} bytes",
            len(data),
            remedy,
        )
    place = Place(name, byte=start)
    try:
        frame = read_frame(data, start, place)
    except FormatError as error:
        raise FormatError(error.code, f"{error}; {remedy}") from None
    place.require_equal(
        "the file does not end with a footer frame", FOOTER_FRAME_BYTES, frame.size, remedy
    )
    fixed = frame.data[: len(_FOOTER_DATA_PREFIX)]
    place.require_equal("the footer frame is not one", _FOOTER_DATA_PREFIX, fixed, remedy)
    magic, major, minor, flags, *rest = _FOOTER.unpack(frame.data[len(_FOOTER_DATA_PREFIX) :])
    place.require_equal("the footer's magic is wrong", MAGIC.hex(" "), magic.hex(" "), remedy)
    _require_version(major, flags, place, minor)
    offset, size, num_records, num_examples, contents_checksum, index_checksum, _ = rest
    if offset + size != start:
        rule = "the index frame does not end at the footer frame"
        place.fail(rule, start, f"{offset} + {size}")
    return Footer(
        (major, minor),
        offset,
        size,
        num_records,
        num_examples,
        contents_checksum,
        index_checksum,
        frame.checksum,
    )


# --- 4. File layout (what sections 5 to 8 add up to) -------------------------


def _read_index(data: bytes, name: str, footer: Footer) -> Index:
    place = Place(name, byte=footer.index_offset)
    frame = read_frame(data, footer.index_offset, place)
    place.require_equal("the index frame has another size", footer.index_size, frame.size)
    place.require_equal(
        "the index frame's checksum is not the footer's",
        f"{footer.index_checksum:#010x}",
        f"{frame.checksum:#010x}",
    )
    features = _Features(frame, place)
    header = _parse_header(features, "index")
    # The lists are bounded by the file's size; the footer's count is not.
    place.require_equal(
        "pcr/record_offsets and the footer count the records differently",
        footer.num_records,
        len(features.int_list("pcr/record_offsets")),
    )
    (records,) = _parse_records(features, header, [footer.num_records])
    _check_records(records, 0, footer.index_offset, place)
    index = Index(header, records)
    place.require_equal(
        "index and footer count the examples differently", footer.num_examples, index.num_examples
    )
    return index


def _check_frames(data: bytes, name: str, index: Index, footer: Footer) -> None:
    """Walks all frames before the footer: they fill the file, and their checksums are right."""
    boundaries, checksums, position = set(), b"", 0
    while position < len(data) - FOOTER_FRAME_BYTES:
        frame = read_frame(data, position, Place(name, byte=position))
        boundaries.add(position)
        checksums += struct.pack("<I", frame.checksum)
        position += frame.size
    Place(name, byte=position).require_equal(
        "a frame reaches into the footer frame", len(data) - FOOTER_FRAME_BYTES, position
    )
    for record in index.records:
        if record.offset not in boundaries:
            Place(name, record.ordinal, byte=record.offset).fail(
                "a record does not begin at a frame", "the offset of a frame", record.offset
            )
    Place(name, byte=position).require_equal(
        "the footer's contents checksum is wrong",
        f"{footer.contents_checksum:#010x}",
        f"{crc32c(checksums):#010x}",
        "the footer belongs to other contents",
    )


# --- 9. Reading a prefix -----------------------------------------------------


def _require_scan_groups(header: Header, scan_groups: int, name: str) -> None:
    if not 1 <= scan_groups <= header.num_groups:
        Place(name).fail(
            "scan_groups is out of range",
            f"1 to {header.num_groups}",
            scan_groups,
            "choose a number of scan groups that the data set has",
            INVALID_ARGUMENT,
        )


def prefix_range(
    index: Index, record: int, scan_groups: int, name: str = "index"
) -> tuple[int, int]:
    """The (offset, size) of the one range that holds a record at a fidelity."""
    _require_scan_groups(index.header, scan_groups, name)
    entry = index.records[record]
    return entry.offset, sum(entry.frame_sizes[: scan_groups + 1])


@dataclasses.dataclass(frozen=True)
class Record:
    """A record at some fidelity.

    Attributes:
      slices: [group][image], of the scan groups that were read.
      ancillary_stream: `pcr/ancillary` of the last group; empty below full fidelity.
      ancillary: [image], ancillary and trailing bytes; none below full fidelity.
    """

    header: Header
    metadata: Metadata
    slices: tuple[tuple[bytes, ...], ...]
    ancillary_stream: bytes
    ancillary: tuple[tuple[bytes, bytes], ...]


def parse_prefix(
    prefix: bytes, header: Header, entry: RecordEntry, scan_groups: int, name: str
) -> Record:
    """Parses and checks the prefix of a record at a fidelity.

    Args:
      prefix: the bytes of `prefix_range`, and no others.
      header: of the record's index.
      entry: of the record.
      scan_groups: 1 to `header.num_groups`.
      name: of the file, for errors.

    Raises:
      FormatError: DATA_LOSS if the prefix is damaged or belongs to another index.
    """
    _require_scan_groups(header, scan_groups, name)
    metadata: Metadata | None = None
    slices = []
    stream = b""
    ancillary: list[bytes] = []
    start = 0
    for group in range(scan_groups + 1):
        place = Place(name, entry.ordinal, group or None, entry.offset + start)
        size = entry.frame_sizes[group]
        if size > len(prefix) - start:
            place.fail("a record is cut short", f"{size} bytes", len(prefix) - start)
        frame = read_frame(prefix[start : start + size], 0, place)
        place.require_equal("a frame's size is not the index's", size, frame.size)
        if metadata is None:
            place.require_equal(
                "the metadata frame is intact but its checksum is not the index's",
                f"{entry.metadata_checksum:#010x}",
                f"{frame.checksum:#010x}",
                "index and shard are of different conversions: make the side index again",
            )
            metadata = _parse_metadata(_Features(frame, place), header, entry)
        else:
            place.require_equal(
                "the scan-group frame is intact but its checksum is not the metadata frame's",
                f"{metadata.group_checksums[group - 1]:#010x}",
                f"{frame.checksum:#010x}",
            )
            sizes = metadata.slice_sizes(group)
            features = _Features(frame, place)
            slices.append(tuple(_parse_group(features, sizes, entry.ordinal, group)))
            if group == 1:
                _check_starts(metadata, slices[0], place)
            if group == header.num_groups:
                stream, ancillary = _parse_ancillary(features, metadata.ancillary_sizes())
        start += size
    assert metadata is not None
    if start != len(prefix):
        Place(name, entry.ordinal).fail("a prefix has the wrong size", start, len(prefix))
    parts = tuple(zip(ancillary[::2], ancillary[1::2], strict=True))
    return Record(header, metadata, tuple(slices), stream, parts)


# --- 10. Reassembly ----------------------------------------------------------

SOI = b"\xff\xd8"
EOI = b"\xff\xd9"


def orientation_segment(orientation: int) -> bytes:
    """The 36 bytes that give an image its orientation below full fidelity."""
    return (
        bytes.fromhex("ffe1 0022 457869660000 4d4d002a00000008 0001 0112 0003 00000001 00")
        + bytes([orientation])
        + bytes(2 + 4)
    )


def reassemble_image(record: Record, m: int, scan_groups: int) -> bytes:
    """Image m of a record at a fidelity of at most that of `record`."""
    image = record.metadata.images[m]
    if image.coding == Coding.OPAQUE:
        return record.slices[0][m]
    scans = b"".join(record.slices[group][m] for group in range(scan_groups))
    o = image.ancillary_offset
    if scan_groups < record.header.num_groups:
        segment = orientation_segment(image.orientation) if image.orientation else b""
        return scans[:o] + segment + scans[o:] + EOI
    ancillary, trailing = record.ancillary[m]
    return scans[:o] + ancillary + scans[o:] + EOI + trailing


def reassemble_example(record: Record, n: int, scan_groups: int) -> bytes:
    """Example n of a record, serialized, with its images at a fidelity."""
    images: dict[int, list[bytes]] = {}
    for m, image in enumerate(record.metadata.images):
        if image.example == n:
            images.setdefault(image.feature, []).append(reassemble_image(record, m, scan_groups))
    keys = record.header.image_features
    return record.metadata.examples[n] + encode_bytes_features(
        [(keys[feature], values) for feature, values in images.items()]
    )


@dataclasses.dataclass(frozen=True)
class ReferenceShard:
    """A PCR file that was read and checked from its first byte to its last."""

    name: str
    size_bytes: int
    header: Header
    index: Index
    footer: Footer
    records: tuple[Record, ...]

    def example(self, record: int, n: int, scan_groups: int) -> bytes:
        """Example n of a record, a serialized tf.train.Example, at a fidelity.

        Raises:
          FormatError: INVALID_ARGUMENT if `scan_groups` is not in 1..G.
        """
        _require_scan_groups(self.header, scan_groups, self.name)
        return reassemble_example(self.records[record], n, scan_groups)

    def examples(self, scan_groups: int) -> list[bytes]:
        """All examples of the file, in order, at a fidelity. Raises as `example` does."""
        _require_scan_groups(self.header, scan_groups, self.name)
        return [
            reassemble_example(record, n, scan_groups)
            for record in self.records
            for n in range(len(record.metadata.examples))
        ]

    def images(self, record: int, scan_groups: int) -> list[tuple[int, bytes, Coding, bytes]]:
        """The images of a record as (example, feature key, coding, bytes). Raises as `example`."""
        _require_scan_groups(self.header, scan_groups, self.name)
        there = self.records[record]
        return [
            (
                image.example,
                self.header.image_features[image.feature],
                image.coding,
                reassemble_image(there, m, scan_groups),
            )
            for m, image in enumerate(there.metadata.images)
        ]


def _check_script(header: Header, place: Place) -> None:
    """Checks that the script is valid, and of as many scans as the header says."""
    try:
        script = parse_scan_script(header.scan_script)
    except FormatError as error:
        place.fail("pcr/scan_script is not valid", "a script of section 12", error)
    place.require_equal(
        "pcr/scans_per_group and pcr/scan_script differ",
        list(script.scans_per_group),
        list(header.scans_per_group),
    )


FIRST_VERSION_WITH_GAPS = (1, 1)


def _check_no_gaps(records: Sequence[RecordEntry], begin: int, end: int, place: Place) -> None:
    """Checks that the records fill [begin, end) of their file."""
    rule = "in a file of version 1.0 a frame begins where the one before it ends"
    for record in records:
        here = dataclasses.replace(place, record=record.ordinal)
        here.require_equal(rule, begin, record.offset)
        begin = record.end
    place.require_equal(rule, begin, end)


def read_index(data: bytes, name: str) -> tuple[Index, Footer]:
    """Reads index and footer only, as a reader does that then reads prefixes."""
    footer = read_footer(data, name)
    return _read_index(data, name, footer), footer


def read_shard(data: bytes, name: str) -> ReferenceShard:
    """Reads a whole PCR file and checks everything in it.

    Args:
      data: the bytes of the file.
      name: of the file, for errors.

    Raises:
      FormatError: with the code that section 13 gives for what was found.

    Example:
      read_shard(path.read_bytes(), path.name).examples(scan_groups=1)
    """
    index, footer = read_index(data, name)
    place = Place(name, byte=0)
    header_frame = read_frame(data, 0, place)
    header = _parse_header(_Features(header_frame, place), "header")
    place.require_equal("header and index differ", header, index.header)
    place.require_equal("header and footer differ in version", header.version, footer.version)
    _check_script(header, place)
    _check_records(index.records, header_frame.size, footer.index_offset, Place(name))
    if header.version < FIRST_VERSION_WITH_GAPS:
        _check_no_gaps(index.records, header_frame.size, footer.index_offset, Place(name))
    records = tuple(
        parse_prefix(data[entry.offset : entry.end], index.header, entry, header.num_groups, name)
        for entry in index.records
    )
    _check_frames(data, name, index, footer)
    return ReferenceShard(name, len(data), header, index, footer, records)


# --- 11. Data set ------------------------------------------------------------

SIDE_INDEX_NAME = "dataset.pcr-index"
SHARD_SUFFIX = ".pcr"


@dataclasses.dataclass(frozen=True)
class ShardEntry:
    """What the side index says of one shard."""

    name: str
    size_bytes: int
    footer_checksum: int
    records: tuple[RecordEntry, ...]


@dataclasses.dataclass(frozen=True)
class SideIndex:
    header: Header
    shards: tuple[ShardEntry, ...]

    def shard_index(self, s: int) -> Index:
        """The index of shard s, as `prefix_range` takes it."""
        return Index(self.header, self.shards[s].records)


def read_side_index(data: bytes, name: str = SIDE_INDEX_NAME) -> SideIndex:
    """Parses and checks the bytes of a side index. Raises FormatError."""
    place = Place(name, byte=0)
    frame = read_frame(data, 0, place)
    place.require_equal("a side index is one frame and nothing more", len(data), frame.size)
    features = _Features(frame, place)
    header = _parse_header(features, "dataset_index")
    names = features.bytes_list("pcr/shard_names")
    for key in names:
        leads_out = key.startswith(b"/") or b".." in key.split(b"/") or b"://" in key
        if not key or leads_out or b"\0" in key:
            place.fail(
                "pcr/shard_names leads out of the folder of the side index",
                "a relative file name without ..",
                repr(_text(key)),
            )
    sizes = features.sizes("pcr/shard_sizes", len(names))
    checksums = features.checksums("pcr/footer_checksums", len(names))
    counts = features.sizes("pcr/shard_records", len(names))
    place.require_equal(
        "pcr/record_offsets and pcr/shard_records count the records differently",
        len(features.int_list("pcr/record_offsets")),
        sum(counts),
    )
    shards = []
    for s, records in enumerate(_parse_records(features, header, counts)):
        shard_name = os.fsdecode(names[s])
        _check_records(records, 0, sizes[s], Place(f"{name}: shard {shard_name}"))
        shards.append(ShardEntry(shard_name, sizes[s], checksums[s], records))
    return SideIndex(header, tuple(shards))


def check_side_index(side: SideIndex, shards: Sequence[ReferenceShard]) -> None:
    """Checks that a side index says of each shard what the shard says of itself.

    Raises:
      FormatError: DATA_LOSS naming the first shard that differs, and the remedy.
    """
    remedy = "make the side index again"
    lowest = min((shard.header.version for shard in shards), default=side.header.version)
    Place(SIDE_INDEX_NAME).require_equal(
        "the side index names another version than the lowest of its shards",
        lowest,
        side.header.version,
        remedy,
    )
    for entry, shard in zip(side.shards, shards, strict=True):
        place = Place(shard.name)
        place.require_equal(
            "the side index names another file size", entry.size_bytes, shard.size_bytes, remedy
        )
        place.require_equal(
            "the side index names another footer checksum",
            f"{entry.footer_checksum:#010x}",
            f"{shard.footer.checksum:#010x}",
            remedy,
        )
        place.require_equal(
            "the side index lists other records", entry.records, shard.index.records, remedy
        )


def read_data_set(folder: pathlib.Path) -> list[ReferenceShard]:
    """Reads all shards of a folder, in the order of the global ordinal of their records.

    Raises:
      FormatError: INVALID_ARGUMENT if there is no shard or if two shards differ in a
        feature that the shards of a data set share; otherwise as `read_shard`.
      FileNotFoundError: a shard that the side index names is not there.
    """
    side_path = folder / SIDE_INDEX_NAME
    side = read_side_index(side_path.read_bytes(), str(side_path)) if side_path.exists() else None
    if side is not None:
        paths = [folder / entry.name for entry in side.shards]
    else:
        found = [name for name in os.listdir(folder) if name.endswith(SHARD_SUFFIX)]
        shown = (name for name in found if not name.startswith("."))
        paths = [folder / name for name in sorted(shown, key=os.fsencode)]
    if not paths:
        Place(str(folder)).fail(
            "a data set has no shards", "at least 1 file *.pcr", 0, code=INVALID_ARGUMENT
        )
    shards = [read_shard(path.read_bytes(), str(path)) for path in paths]
    first_name = str(side_path) if side is not None else shards[0].name
    first_header = side.header if side is not None else shards[0].header
    for shard in shards:
        difference = first_header.difference(shard.header)
        if difference:
            Place(shard.name).fail(
                f"shards of one data set must agree in {difference}",
                f"that of {first_name}",
                "another",
                "convert them in one run, or keep them in two folders",
                INVALID_ARGUMENT,
            )
    if side is not None:
        check_side_index(side, shards)
    return shards


# --- 12. Scan scripts and scan groups ----------------------------------------

SCRIPT_COMPONENTS = 3
MAX_COMPONENTS_IN_SCAN = 4
MAX_BLOCKS_IN_MCU = 10
MAX_POINT_TRANSFORM = 10
LAST_COEFFICIENT = 63


@dataclasses.dataclass(frozen=True)
class Scan:
    """One scan: its components, its band ss..se and its point transforms ah, al."""

    components: tuple[int, ...]
    ss: int
    se: int
    ah: int
    al: int

    def __str__(self) -> str:
        components = ",".join(map(str, self.components))
        return f"{components}: {self.ss}-{self.se}, {self.ah}, {self.al}"


@dataclasses.dataclass(frozen=True)
class ScanScript:
    """A valid and complete progression; `groups[g - 1]` holds the scans of group g."""

    groups: tuple[tuple[Scan, ...], ...]

    @property
    def scans_per_group(self) -> tuple[int, ...]:
        return tuple(map(len, self.groups))

    def adapt(self, sampling: Sequence[tuple[int, int]]) -> list[list[Scan]]:
        """The scans of each group for an image.

        Args:
          sampling: (horizontal, vertical) sampling factors of its components.
        """
        extra = list(range(SCRIPT_COMPONENTS, len(sampling)))

        def expand(scan: Scan) -> list[Scan]:
            present = [c for c in scan.components if c < len(sampling)]
            last = SCRIPT_COMPONENTS - 1
            if last in present and len(present) > 1:
                present += extra
            scans = [tuple(present)] if present else []
            if present == [last]:
                scans += [(c,) for c in extra]
            result: list[Scan] = []
            for components in scans:
                blocks = sum(sampling[c][0] * sampling[c][1] for c in components)
                # A scan of one component is not interleaved: its MCU is one block.
                interleaved = len(components) > 1
                too_many = len(components) > MAX_COMPONENTS_IN_SCAN
                split = interleaved and (too_many or blocks > MAX_BLOCKS_IN_MCU)
                parts = [(c,) for c in components] if split else [components]
                result += [dataclasses.replace(scan, components=part) for part in parts]
            return result

        return [[part for scan in group for part in expand(scan)] for group in self.groups]


_BLANKS = " \t\r\n\f\v"
_GROUP_LINE = re.compile(r"\s*#\s*group\s*", re.ASCII)
# Numbers with white space and at most one `,` or `-` between two of them.
_NUMBERS = r"[0-9]{1,4}(?:\s*[,\-\s]\s*[0-9]{1,4})"
_ENTRY = re.compile(rf"\s*({_NUMBERS}*)\s*:\s*({_NUMBERS}{{3}})\s*", re.ASCII)

_ScriptError = Callable[[int, str, object, object], NoReturn]


@dataclasses.dataclass
class _Entry:
    """Text between two `;`, the line it begins on, and whether it begins a group."""

    text: str
    line: int
    begins_group: bool


def _script_entries(text: str, fail: _ScriptError) -> list[_Entry]:
    entries: list[_Entry] = []
    current: _Entry | None = None
    group_line = 0  # of a `# group` whose first scan is still to come; 0: none
    for number, line in enumerate(text.split("\n"), 1):
        if _GROUP_LINE.fullmatch(line):
            if group_line:
                fail(group_line, "a scan group holds no scans", "at least 1", 0)
            group_line = number
            continue
        pieces = line.partition("#")[0].split(";")
        for i, piece in enumerate(pieces):
            if piece.strip(_BLANKS) and current is None:
                current = _Entry("", number, group_line > 0)
                group_line = 0
            if current is not None:
                current.text += piece + " "
            if i < len(pieces) - 1:
                if current is None:
                    fail(number, "`;` ends a scan", "a scan", "none")
                entries.append(current)
                current = None
    if current is not None:
        entries.append(current)
    if group_line:
        fail(group_line, "a scan group holds no scans", "at least 1", 0)
    if not entries:
        fail(1, "a scan script holds no scans", "at least 1", 0)
    if not any(entry.begins_group for entry in entries):
        for entry in entries:
            entry.begins_group = True
    entries[0].begins_group = True
    return entries


def parse_scan_script(text: str, name: str = "scan script") -> ScanScript:
    """Parses a scan script and checks that it is a valid, complete progression.

    Args:
      text: entries `components: Ss-Se, Ah, Al` separated by `;`, `#` comments, and
        `# group` lines.
      name: for errors.

    Raises:
      FormatError: INVALID_ARGUMENT, naming the line and the rule.

    Example:
      parse_scan_script("0,1,2: 0-0,0,0; 0: 1-63,0,0; 1: 1-63,0,0; 2: 1-63,0,0;")
    """

    def fail(line: int, rule: str, expected: object, got: object) -> NoReturn:
        Place(f"{name}, line {line}").fail(rule, expected, got, code=INVALID_ARGUMENT)

    entries = _script_entries(text, fail)
    scans: list[Scan] = []
    groups: list[list[Scan]] = []
    for entry in entries:
        match = _ENTRY.fullmatch(entry.text)
        if match is None:
            got = repr(" ".join(entry.text.split()))
            fail(entry.line, "not a scan", "components: Ss-Se, Ah, Al", got)
        components, band = ([int(n) for n in re.findall("[0-9]+", m)] for m in match.groups())
        scan = Scan(tuple(components), *band)
        if entry.begins_group:
            groups.append([])
        groups[-1].append(scan)
        scans.append(scan)
    if len(groups) > MAX_GROUPS:
        fail(entries[-1].line, "too many scan groups", f"at most {MAX_GROUPS}", len(groups))
    _check_progression(scans, [entry.line for entry in entries], fail)
    return ScanScript(tuple(map(tuple, groups)))


def _check_progression(scans: list[Scan], lines: list[int], fail: _ScriptError) -> None:
    not_sent = -1
    sent = [[not_sent] * (LAST_COEFFICIENT + 1) for _ in range(SCRIPT_COMPONENTS)]
    if scans[0].ss != 0 or 0 not in scans[0].components:
        fail(lines[0], "the first scan must hold the DC of component 0", "0...: 0-0", scans[0])
    for scan, line in zip(scans, lines, strict=True):
        for c in scan.components:
            if c >= SCRIPT_COMPONENTS:
                fail(line, "a component does not exist", f"0 to {SCRIPT_COMPONENTS - 1}", c)
        if any(a >= b for a, b in itertools.pairwise(scan.components)):
            fail(line, "components must ascend", "ascending components", scan)
        if scan.ss == 0 and scan.se != 0:
            fail(line, "a DC scan holds DC only", "Se 0", scan.se)
        if scan.ss > scan.se or scan.se > LAST_COEFFICIENT:
            fail(line, "a band must lie in 1..63", "1 <= Ss <= Se <= 63", scan)
        if scan.ss > 0 and len(scan.components) != 1:
            fail(line, "an AC scan names one component", 1, len(scan.components))
        if scan.al > MAX_POINT_TRANSFORM:
            fail(line, "Al is out of range", f"0 to {MAX_POINT_TRANSFORM}", scan.al)
        for c in scan.components:
            if scan.ss > 0 and sent[c][0] == not_sent:
                fail(line, f"the DC of component {c} must come before its AC", "DC", scan)
            for k in range(scan.ss, scan.se + 1):
                previous = sent[c][k]
                if previous == not_sent:
                    if scan.ah != 0:
                        fail(line, f"coefficient {k} of component {c} is new", "Ah 0", scan.ah)
                elif scan.ah != previous or scan.al != previous - 1:
                    fail(
                        line,
                        f"coefficient {k} of component {c} must be refined by one bit",
                        f"Ah {previous}, Al {previous - 1}",
                        f"Ah {scan.ah}, Al {scan.al}",
                    )
                sent[c][k] = scan.al
    for c, coefficients in enumerate(sent):
        for k, al in enumerate(coefficients):
            if al != 0:
                got = "never sent" if al == not_sent else f"Al {al}"
                fail(lines[-1], f"coefficient {k} of component {c} is not complete", "Al 0", got)
