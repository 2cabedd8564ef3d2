"""A small language for damaging PCR files.

A `ShardEditor` holds the bytes of a file. Its methods damage them and return
the editor, so that a test reads as one sentence:

    ShardEditor(shard).flip(100, bit=3).save(path)
    ShardEditor(shard).rewrite("metadata", {"pcr/slice_sizes": [1, 2]}, record=0).reindex()

`rewrite` fixes the frame's own CRCs and touches nothing else; `reindex` then
makes metadata, index and footer agree with the frames, so that the one thing
wrong is what the test wanted wrong.
"""

from __future__ import annotations

import dataclasses
import pathlib
import struct
from collections.abc import Mapping, Sequence

from pcr_tf.format import reference
from pcr_tf.format.reference import Kind
from tests import reference_writer as writer

Values = Sequence[int] | Sequence[bytes]


@dataclasses.dataclass(frozen=True)
class FrameInfo:
    """A frame of a file: where it lies and what it says of itself.

    Attributes:
      kind: the value of `pcr/frame`; empty if there is none.
      features: every other feature, parsed.
    """

    offset: int
    size: int
    checksum: int
    kind: str
    features: Mapping[str, list[int] | list[bytes]]

    @property
    def end(self) -> int:
        return self.offset + self.size


def _values(feature: reference.Feature) -> list[int] | list[bytes]:
    return feature.int_values() if feature.kind == Kind.INT else feature.bytes_values()


def _parse(data: bytes) -> tuple[str, dict[str, list[int] | list[bytes]]]:
    try:
        parsed = reference.parse_features(data)
        features = {_text(key): _values(feature) for key, feature in parsed.items()}
    except reference.WireError:
        return "", {}
    kind = features.pop("pcr/frame", [])
    return (_text(kind[0]) if kind and isinstance(kind[0], bytes) else ""), features


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


class ShardEditor:
    """The bytes of a PCR file, or of a side index, under the knife."""

    def __init__(self, source: bytes | pathlib.Path):
        self.data = source if isinstance(source, bytes) else source.read_bytes()
        self._frames: list[FrameInfo] = []
        self._frames_of: bytes | None = None  # the data that `_frames` describe

    def save(self, path: pathlib.Path) -> pathlib.Path:
        path.write_bytes(self.data)
        return path

    # --- bytes ---------------------------------------------------------------

    def flip(self, byte: int, bit: int = 0) -> ShardEditor:
        """Flips one bit."""
        damaged = bytearray(self.data)
        damaged[byte] ^= 1 << bit
        self.data = bytes(damaged)
        return self

    def truncate_at(self, byte: int) -> ShardEditor:
        """Cuts the file before byte `byte`."""
        self.data = self.data[:byte]
        return self

    def append(self, data: bytes) -> ShardEditor:
        self.data += data
        return self

    def overwrite(self, byte: int, data: bytes) -> ShardEditor:
        self.data = self.data[:byte] + data + self.data[byte + len(data) :]
        return self

    # --- frames --------------------------------------------------------------

    def frames(self) -> list[FrameInfo]:
        """All frames. Their lengths and checksums must be right."""
        # Python parses slowly, and a test asks often.
        if self._frames_of is self.data:
            return self._frames
        found = []
        position = 0
        while position < len(self.data):
            frame = reference.read_frame(
                self.data, position, reference.Place("ShardEditor", byte=position)
            )
            kind, features = _parse(frame.data)
            found.append(FrameInfo(position, frame.size, frame.checksum, kind, features))
            position += frame.size
        self._frames_of, self._frames = self.data, found
        return found

    def find(self, kind: str, record: int | None = None, group: int | None = None) -> int:
        """The position in `frames()` of the first frame of a kind, record and group."""
        for i, frame in enumerate(self.frames()):
            there = frame.features
            if (
                frame.kind == kind
                and (record is None or there.get("pcr/record") == [record])
                and (group is None or there.get("pcr/group") == [group])
            ):
                return i
        raise LookupError(f"no frame {kind}, record {record}, group {group}")

    def frame(self, kind: str, record: int | None = None, group: int | None = None) -> FrameInfo:
        return self.frames()[self.find(kind, record, group)]

    def frame_data(self, i: int) -> bytes:
        frame = self.frames()[i]
        return self.data[frame.offset + 12 : frame.end - 4]

    def replace_frame_data(self, i: int, data: bytes) -> ShardEditor:
        """Puts other data into frame i, with the right length and CRCs."""
        frame = self.frames()[i]
        self.data = self.data[: frame.offset] + writer.frame(data) + self.data[frame.end :]
        return self

    def insert_frame(self, i: int, framed: bytes) -> ShardEditor:
        """Puts a frame, with its length and CRCs, before frame i."""
        at = self.frames()[i].offset
        self.data = self.data[:at] + framed + self.data[at:]
        return self

    def rewrite_frame(self, i: int, features: Mapping[str, Values | None]) -> ShardEditor:
        """Sets features of frame i, fixing its CRCs; None takes a feature away."""
        parsed = reference.parse_features(self.frame_data(i))
        entries = []
        changes = dict(features)
        for key, feature in parsed.items():
            name = key.decode()
            values = changes.pop(name, _values(feature))
            if values is not None:
                entries.append(_entry(name, values, feature.kind))
        entries += [
            _entry(name, values, Kind.NONE)
            for name, values in changes.items()
            if values is not None
        ]
        return self.replace_frame_data(i, writer.serialize(entries))

    def rewrite(
        self,
        kind: str,
        features: Mapping[str, Values | None],
        record: int | None = None,
        group: int | None = None,
    ) -> ShardEditor:
        """`rewrite_frame` of `find(kind, record, group)`."""
        return self.rewrite_frame(self.find(kind, record, group), features)

    def set_length(self, i: int, length: int) -> ShardEditor:
        """Makes frame i claim another length, with a right CRC of that length."""
        field = struct.pack("<Q", length)
        crc = struct.pack("<I", reference.masked_crc32c(field))
        return self.overwrite(self.frames()[i].offset, field + crc)

    # --- what a whole file says of itself ------------------------------------

    def set_footer(self, **fields: object) -> ShardEditor:
        """Sets fields of the footer by the names of `FooterFields`, fixing its CRCs."""
        footer = dataclasses.replace(self.footer_fields(), **fields)  # type: ignore[arg-type]
        start = len(self.data) - reference.FOOTER_FRAME_BYTES
        return self.truncate_at(start).append(footer.frame())

    def footer_fields(self) -> writer.FooterFields:
        """What the footer says."""
        (fields,) = self.frames()[-1].features["pcr/footer"]
        assert isinstance(fields, bytes)
        magic, major, minor, flags, offset, size, records, examples, contents, index, reserved = (
            struct.unpack("<8sHHIQQQQIIQ", fields)
        )
        version = (major, minor)
        return writer.FooterFields(
            offset, size, records, examples, contents, index, magic, version, flags, reserved
        )

    def set_version(self, major: int, minor: int = 0) -> ShardEditor:
        """Writes a version into header, index and footer; the rest is as it was."""
        self.rewrite("header", {"pcr/version": [major, minor]})
        self.rewrite("index", {"pcr/version": [major, minor]})
        return self.set_footer(version=(major, minor)).reindex()

    def set_flags(self, flags: int) -> ShardEditor:
        """Writes flags into header, index and footer; the rest is as it was."""
        self.rewrite("header", {"pcr/flags": [flags]}).rewrite("index", {"pcr/flags": [flags]})
        return self.set_footer(flags=flags).reindex()

    def reindex(self, group_checksums: bool = True) -> ShardEditor:
        """Makes metadata (its group checksums), index and footer agree with the frames.

        Frames are told apart by position, so that their contents may be anything; a
        metadata frame that lists no examples keeps the count of the index.
        """
        if group_checksums:
            for metadata, groups in self._record_frames():
                checksums = [self.frames()[g].checksum for g in groups]
                there = self.frames()[metadata].features.get("pcr/group_checksums")
                if there not in (None, checksums):
                    self.rewrite_frame(metadata, {"pcr/group_checksums": checksums})
        frames = self.frames()
        old_counts = frames[-2].features["pcr/example_counts"]
        records = []
        for ordinal, (metadata, groups) in enumerate(self._record_frames()):
            head = frames[metadata]
            count = len(head.features.get("pcr/examples", [])) or int(old_counts[ordinal])
            sizes = tuple(frames[i].size for i in (metadata, *groups))
            records.append(reference.RecordEntry(ordinal, head.offset, sizes, count, head.checksum))
        self.rewrite_frame(
            len(frames) - 2,
            {
                "pcr/record_offsets": [record.offset for record in records],
                "pcr/frame_sizes": [size for record in records for size in record.frame_sizes],
                "pcr/example_counts": [record.num_examples for record in records],
                "pcr/metadata_checksums": [record.metadata_checksum for record in records],
            },
        )
        num_examples = sum(record.num_examples for record in records)
        return self.set_footer(num_records=len(records), num_examples=num_examples).refoot()

    def refoot(self) -> ShardEditor:
        """Makes the footer agree with the frames, and leaves the index as it is."""
        *frames, index, _ = self.frames()
        contents = [struct.pack("<I", frame.checksum) for frame in [*frames, index]]
        return self.set_footer(
            index_offset=index.offset,
            index_size=index.size,
            contents_checksum=reference.crc32c(b"".join(contents)),
            index_checksum=index.checksum,
        )

    def _record_frames(self) -> list[tuple[int, range]]:
        """The positions of each record's metadata frame and of its scan-group frames."""
        frames = self.frames()
        (num_groups,) = frames[-2].features["pcr/num_groups"]
        width = int(num_groups) + 1
        begins = range(1, len(frames) - 2, width)
        return [(begin, range(begin + 1, begin + width)) for begin in begins]


def _entry(name: str, values: Values, kind: Kind) -> bytes:
    ints = [value for value in values if isinstance(value, int)]
    if ints or (kind == Kind.INT and not values):
        return writer.int_feature(name, ints)
    return writer.bytes_feature(name, [value for value in values if isinstance(value, bytes)])
