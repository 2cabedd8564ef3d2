"""A plain writer of PCR files for tests: what docs/FORMAT.md says, in Python.

It needs neither the native module nor real JPEG: the scan bytes of an image are
whatever a test gives. `expected_example` says what a reader must return, from
the same values and without a file between.
"""

from __future__ import annotations

import dataclasses
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from pcr_tf.format import reference
from pcr_tf.format.reference import Coding, Kind, encode_field, encode_varint

SOI = b"\xff\xd8"
EOI = b"\xff\xd9"


def orientation_segment(orientation: int) -> bytes:
    """An APP1 Exif segment that says nothing but an orientation: big-endian, one entry in IFD 0."""
    ifd = struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + struct.pack(">2sHI", b"MM", 42, 8) + ifd
    return b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif


# A valid script whose last band is cut so that it has `groups` scans or more.
_DC = "0,1,2: 0-0, 0, 0;"


def script_of(groups: int) -> str:
    """A valid scan script of `groups` groups, 1 to 64."""
    if groups == 1:
        return f"# group\n{_DC} 0: 1-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0;\n"
    chroma = "1: 1-63, 0, 0; 2: 1-63, 0, 0;"
    lines = [f"# group\n{_DC} {chroma}\n"]
    for k in range(1, groups):
        end = 63 if k == groups - 1 else k
        lines.append(f"# group\n0: {k}-{end}, 0, 0;\n")
    return "".join(lines)


@dataclasses.dataclass(frozen=True)
class Image:
    """An image as a record stores it.

    Attributes:
      scans: scan bytes of each group; of an opaque image, the first is the image.
      orientation: the EXIF orientation in `ancillary`, 2 to 8; 0: none, or upright.
    """

    scans: tuple[bytes, ...]
    coding: Coding = Coding.PROGRESSIVE
    ancillary: bytes = b""
    ancillary_offset: int = 2
    trailing: bytes = b""
    orientation: int = 0

    @classmethod
    def opaque(cls, data: bytes, groups: int) -> Image:
        return cls((data,) + (b"",) * (groups - 1), Coding.OPAQUE, ancillary_offset=0)

    def at(self, scan_groups: int) -> bytes:
        """The image's bytes at a fidelity."""
        stored = b"".join(self.scans[:scan_groups])
        if self.coding == Coding.OPAQUE:
            return stored
        o = self.ancillary_offset
        if scan_groups < len(self.scans):
            segment = orientation_segment(self.orientation) if self.orientation else b""
            return stored[:o] + segment + stored[o:] + EOI
        return stored[:o] + self.ancillary + stored[o:] + EOI + self.trailing


@dataclasses.dataclass(frozen=True)
class Example:
    """A serialized tf.train.Example without its images, and the images by feature key."""

    stored: bytes = b""
    images: Mapping[str, Sequence[Image]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Layout:
    """What the header of a shard says."""

    scans_per_group: tuple[int, ...]
    image_features: tuple[str, ...] = ("image",)
    scan_script: str = ""
    created_by: str = "reference writer"
    deflate: Callable[[bytes], bytes] = zlib.compress
    version: tuple[int, int] = (1, 1)
    flags: int = 0

    @classmethod
    def of(cls, groups: int, image_features: Iterable[str] = ("image",)) -> Layout:
        script = script_of(groups)
        scans = reference.parse_scan_script(script).scans_per_group
        return cls(scans, tuple(image_features), script)

    @property
    def groups(self) -> int:
        return len(self.scans_per_group)


def expected_example(example: Example, layout: Layout, scan_groups: int) -> bytes:
    """What a reader must return for an example at a fidelity."""
    images = [
        bytes_feature(key, [image.at(scan_groups) for image in example.images[key]])
        for key in layout.image_features
        if example.images.get(key)
    ]
    return example.stored + (serialize(images) if images else b"")


# --- features and frames -----------------------------------------------------


def bytes_feature(key: str, values: Sequence[bytes]) -> bytes:
    """A map entry of tf.train.Features."""
    return _feature(key, Kind.BYTES, b"".join(encode_field(1, value) for value in values))


def int_feature(key: str, values: Sequence[int]) -> bytes:
    """A map entry of tf.train.Features, packed."""
    packed = b"".join(map(encode_varint, values))
    return _feature(key, Kind.INT, encode_field(1, packed) if values else b"")


def _feature(key: str, kind: Kind, values: bytes) -> bytes:
    return encode_field(1, key.encode()) + encode_field(2, encode_field(kind, values))


def serialize(entries: Iterable[bytes]) -> bytes:
    """A tf.train.Example of map entries, in the order given."""
    return encode_field(1, b"".join(encode_field(1, entry) for entry in entries))


def frame(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    crc = struct.pack("<I", reference.masked_crc32c(data))
    return length + struct.pack("<I", reference.masked_crc32c(length)) + data + crc


def checksum_of(framed: bytes) -> int:
    (checksum,) = struct.unpack("<I", framed[-4:])
    return int(checksum)


def reserialize(data: bytes) -> bytes:
    """The same tf.train.Example in a form no PCR writer uses, but protobuf accepts.

    Features come last first, in two `features` messages, int lists unpacked, lengths in
    longer varints than needed; beside them stand features and fields nobody knows, and
    an older value of each key, which the later one replaces.
    """

    def long_field(number: int, contents: bytes) -> bytes:
        size = encode_varint(len(contents))
        return encode_varint(number << 3 | 2) + size[:-1] + bytes([size[-1] | 0x80, 0]) + contents

    unknown_fields = b"\xf8\x07\x01" + b"\xfd\x07abcd" + b"\xf9\x07abcdefgh"
    entries = []
    for key, feature in reversed(list(reference.parse_features(data).items())):
        name = long_field(1, key)
        stale = encode_field(2, encode_field(Kind.FLOAT, b"\x0a\x04\0\0\x80\x3f"))
        if feature.kind == Kind.INT:
            values = b"".join(b"\x08" + encode_varint(v) for v in feature.int_values())
        else:
            values = b"".join(long_field(1, v) for v in feature.bytes_values())
        entries.append(long_field(1, name + stale))
        entries.append(long_field(1, long_field(2, long_field(feature.kind, values)) + name))
    middle = len(entries) // 2
    unknown = encode_field(1, bytes_feature("somebody/else", [b"value"]))
    return (
        unknown_fields
        + long_field(1, b"".join(entries[:middle]) + unknown)
        + long_field(1, unknown_fields + b"".join(entries[middle:]))
    )


# --- files -------------------------------------------------------------------


def header_features(kind: str, layout: Layout) -> list[bytes]:
    return [
        bytes_feature("pcr/frame", [kind.encode()]),
        int_feature("pcr/version", layout.version),
        int_feature("pcr/flags", [layout.flags]),
        int_feature("pcr/num_groups", [layout.groups]),
        int_feature("pcr/scans_per_group", layout.scans_per_group),
        bytes_feature("pcr/scan_script", [layout.scan_script.encode()]),
        bytes_feature("pcr/image_features", [key.encode() for key in layout.image_features]),
        bytes_feature("pcr/created_by", [layout.created_by.encode()]),
    ]


def record_frames(examples: Sequence[Example], layout: Layout, ordinal: int) -> list[bytes]:
    """The metadata frame and the scan-group frames of a record."""
    lists = [example.images.get(key, ()) for example in examples for key in layout.image_features]
    images = [image for images in lists for image in images]
    ancillary = b"".join(image.ancillary + image.trailing for image in images)
    stream = layout.deflate(ancillary) if ancillary else b""
    groups = []
    for g in range(1, layout.groups + 1):
        features = [
            bytes_feature("pcr/frame", [b"scan_group"]),
            int_feature("pcr/record", [ordinal]),
            int_feature("pcr/group", [g]),
            bytes_feature("pcr/data", [b"".join(image.scans[g - 1] for image in images)]),
        ]
        if g == layout.groups:
            features.append(bytes_feature("pcr/ancillary", [stream]))
        groups.append(frame(serialize(features)))
    sizes = [len(image.scans[g]) for g in range(layout.groups) for image in images]
    metadata = [
        bytes_feature("pcr/frame", [b"metadata"]),
        int_feature("pcr/record", [ordinal]),
        bytes_feature("pcr/examples", [example.stored for example in examples]),
        int_feature("pcr/image_counts", [len(images) for images in lists]),
        int_feature("pcr/codings", [image.coding for image in images]),
        int_feature("pcr/slice_sizes", sizes),
        int_feature("pcr/ancillary_offsets", [image.ancillary_offset for image in images]),
        int_feature("pcr/ancillary_sizes", [len(image.ancillary) for image in images]),
        int_feature("pcr/trailing_sizes", [len(image.trailing) for image in images]),
        int_feature("pcr/group_checksums", list(map(checksum_of, groups))),
    ]
    if layout.version >= (1, 1):
        metadata.append(int_feature("pcr/orientations", [image.orientation for image in images]))
    return [frame(serialize(metadata)), *groups]


def index_features(records: Sequence[reference.RecordEntry]) -> list[bytes]:
    return [
        int_feature("pcr/record_offsets", [record.offset for record in records]),
        int_feature("pcr/frame_sizes", [size for r in records for size in r.frame_sizes]),
        int_feature("pcr/example_counts", [record.num_examples for record in records]),
        int_feature("pcr/metadata_checksums", [record.metadata_checksum for record in records]),
    ]


@dataclasses.dataclass(frozen=True)
class FooterFields:
    """The 64 bytes of `pcr/footer`."""

    index_offset: int
    index_size: int
    num_records: int
    num_examples: int
    contents_checksum: int
    index_checksum: int
    magic: bytes = b"\x89PCR\r\n\x1a\n"
    version: tuple[int, int] = (1, 1)
    flags: int = 0
    reserved: int = 0

    def frame(self) -> bytes:
        fields = struct.pack(
            "<8sHHIQQQQIIQ",
            self.magic,
            *self.version,
            self.flags,
            self.index_offset,
            self.index_size,
            self.num_records,
            self.num_examples,
            self.contents_checksum,
            self.index_checksum,
            self.reserved,
        )
        return frame(
            serialize(
                [bytes_feature("pcr/frame", [b"footer"]), bytes_feature("pcr/footer", [fields])]
            )
        )


def build_shard(
    records: Sequence[Sequence[Example]],
    layout: Layout,
    gaps: Mapping[int, Sequence[bytes]] | None = None,
) -> bytes:
    """The bytes of a PCR file.

    Args:
      records: the examples of each record.
      layout: its header.
      gaps: frames that stand before record r, which writers of versions 1.0 and 1.1 do not make.
    """
    frames = [frame(serialize(header_features("header", layout)))]
    entries = []
    for ordinal, examples in enumerate(records):
        frames += (gaps or {}).get(ordinal, ())
        made = record_frames(examples, layout, ordinal)
        entries.append(
            reference.RecordEntry(
                ordinal,
                sum(map(len, frames)),
                tuple(map(len, made)),
                len(examples),
                checksum_of(made[0]),
            )
        )
        frames += made
    index_offset = sum(map(len, frames))
    index = frame(serialize(header_features("index", layout) + index_features(entries)))
    frames.append(index)
    contents = b"".join(framed[-4:] for framed in frames)
    footer = FooterFields(
        index_offset,
        len(index),
        len(entries),
        sum(entry.num_examples for entry in entries),
        reference.crc32c(contents),
        checksum_of(index),
        version=layout.version,
        flags=layout.flags,
    )
    return b"".join(frames) + footer.frame()


def build_side_index(shards: Sequence[tuple[str, bytes]], layout: Layout) -> bytes:
    """The bytes of the side index of shards (name, contents)."""
    indexes = [reference.read_index(data, name)[0] for name, data in shards]
    return frame(
        serialize(
            [
                *header_features("dataset_index", layout),
                bytes_feature("pcr/shard_names", [os.fsencode(name) for name, _ in shards]),
                int_feature("pcr/shard_sizes", [len(data) for _, data in shards]),
                int_feature("pcr/footer_checksums", [checksum_of(data) for _, data in shards]),
                int_feature("pcr/shard_records", [len(index.records) for index in indexes]),
                *index_features([record for index in indexes for record in index.records]),
            ]
        )
    )
