"""`FrameWalk`: what a check of the whole file sees and a reader of its records does not.

It goes over a file as a TFRecord reader does, holds no more than a piece of a frame, and checks
what docs/FORMAT.md leaves to such a check: every frame's CRCs, gaps, the header frame against index
and footer, and the contents checksum.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator
from typing import IO

from pcr_tf import _native
from pcr_tf.format import filesystem
from pcr_tf.format.tfrecord import FRAME_FOOTER, FRAME_HEADER

_FRAME_BYTES = FRAME_HEADER.size + FRAME_FOOTER.size  # a frame's bytes beside its data
_MAX_DATA_BYTES = 2**31 - 1
_AT_MOST = f"at most {_MAX_DATA_BYTES}"
_PIECE_BYTES = 1 << 20
# A header is a few KB; one beyond this is not parsed.
_MAX_HEADER_BYTES = 64 << 20
_FIRST_VERSION_WITH_GAPS = (1, 1)


@dataclasses.dataclass(frozen=True)
class _Frame:
    """A frame, and where the index has it."""

    name: str
    offset: int
    frame_bytes: int
    record: int | None = None


class FrameWalk:
    """One walk over a file whose tail is sound; iterate `faults` to its end.

    Attributes:
        damaged: records of which a frame is not what the index says: no use in reading them.
    """

    def __init__(self, path: str, index: _native.DatasetIndex, shard: _native.ShardIndex) -> None:
        self.damaged: set[int] = set()
        self._path = path
        self._index = index
        self._shard = shard
        # Of the stored checksums; None once one is not known.
        self._contents: int | None = 0

    def faults(self) -> Iterator[str]:
        """Every fault, as a line that names file, frame, byte and rule."""
        index, shard = self._index, self._shard
        first = index.record(0).offset if index.num_records else shard.index_offset
        with filesystem.open_file(self._path) as file:
            offset = yield from self._header(file, first)
            for frame in self._frames():
                yield from self._gap(file, offset, frame)
                yield from self._frame(file, frame)
                offset = frame.offset + frame.frame_bytes
        if self._contents not in (None, self._shard.contents_checksum):
            yield (
                f"{self._path}: footer: contents checksum; "
                f"expected {self._shard.contents_checksum:#010x}, got {self._contents:#010x}"
            )

    def _frames(self) -> Iterator[_Frame]:
        """All frames but header and footer, in order: opening the file saw to it."""
        for record in range(self._index.num_records):
            entry = self._index.record(record)
            offset = entry.offset
            for group, frame_bytes in enumerate(entry.frame_sizes):
                part = f"scan group {group}" if group else "metadata"
                yield _Frame(f"record {record}, {part}", offset, frame_bytes, record)
                offset += frame_bytes
        shard = self._shard
        yield _Frame("index", shard.index_offset, shard.index_frame_size)

    def _header(self, file: IO[bytes], end: int) -> Generator[str, None, int | None]:
        """Checks the header frame, which ends at or before `end`. Returns where; None: unknown."""
        frame_bytes, fault = self._length(file, "header", 0)
        if frame_bytes and frame_bytes > end:
            fault = self._fault("header", 0, "ends before the next frame", end, frame_bytes)
        if fault or not frame_bytes:
            self._contents = None
            yield fault
            return None
        header = _Frame("header", 0, frame_bytes)
        kept: list[bytes] | None = [] if frame_bytes <= _MAX_HEADER_BYTES else None
        fault = self._data(file, header, kept)
        if not fault and kept is None:
            fault = self._fault("header", 0, "bytes of a header", _MAX_HEADER_BYTES, frame_bytes)
        if fault:
            yield fault
        else:
            yield from self._contradictions(b"".join(kept or []))
        return frame_bytes

    def _contradictions(self, data: bytes) -> Iterator[str]:
        place = f"{self._path}: header, byte 0"
        try:
            self._shard.check_header(data)
        except ValueError as error:
            yield f"{place}: {error}"
            return
        header = self._shard.header
        try:
            script = _native.ScanScript(header.scan_script)
        except ValueError as error:
            yield f"{place}: {error}"
            return
        if script.scans_per_group != header.scans_per_group:
            yield (
                f"{place}: scans of the script in each scan group; "
                f"expected {header.scans_per_group}, got {script.scans_per_group}"
            )

    def _gap(self, file: IO[bytes], offset: int | None, frame: _Frame) -> Iterator[str]:
        """Checks the frames from `offset` on that lie before `frame`."""
        if offset is None or offset == frame.offset:
            return
        if self._shard.header.version < _FIRST_VERSION_WITH_GAPS:
            yield self._fault(
                frame.name,
                offset,
                "begins where the frame before it ends",
                offset,
                f"{frame.offset} in the index",
            )
        while offset < frame.offset:
            frame_bytes, fault = self._length(file, f"gap before {frame.name}", offset)
            left = frame.offset - offset
            if frame_bytes and frame_bytes > left:
                rule = "a gap consists of whole frames"
                fault = self._fault(f"gap before {frame.name}", offset, rule, left, frame_bytes)
            if fault or not frame_bytes:
                self._contents = None
                yield fault
                return
            there = _Frame(f"gap before {frame.name}", offset, frame_bytes)
            if fault := self._data(file, there):
                yield fault
            offset += frame_bytes

    def _frame(self, file: IO[bytes], frame: _Frame) -> Iterator[str]:
        frame_bytes, fault = self._length(file, frame.name, frame.offset)
        if frame_bytes and frame_bytes != frame.frame_bytes:
            rule = "bytes of the frame's data, as the index has it"
            expected, got = (size - _FRAME_BYTES for size in (frame.frame_bytes, frame_bytes))
            fault = self._fault(frame.name, frame.offset, rule, expected, got)
        wrong = self._data(file, frame)
        found = [said for said in (fault, wrong) if said]
        if found and frame.record is not None:
            self.damaged.add(frame.record)
        yield from found

    def _length(self, file: IO[bytes], name: str, offset: int) -> tuple[int | None, str]:
        """The frame size that the frame claims, and the fault, one of both."""
        file.seek(offset)
        begin = file.read(FRAME_HEADER.size)
        if len(begin) < FRAME_HEADER.size:
            return None, f"{self._path}: {name}, byte {offset}: the file ends inside the frame"
        length, stored = FRAME_HEADER.unpack(begin)
        computed = _native.masked_crc32c(begin[:8])
        if computed != stored:
            return None, self._checksum_fault(name, offset, "length", stored, computed)
        if length > _MAX_DATA_BYTES:
            return None, self._fault(name, offset, "length of a frame", _AT_MOST, length)
        return length + _FRAME_BYTES, ""

    def _data(self, file: IO[bytes], frame: _Frame, kept: list[bytes] | None = None) -> str:
        """Checks the data behind a frame's length, piece by piece; keeps it in `kept`."""
        file.seek(frame.offset + FRAME_HEADER.size)
        left = frame.frame_bytes - _FRAME_BYTES
        computed = 0
        while left and (piece := file.read(min(left, _PIECE_BYTES))):
            computed = _native.crc32c(piece, computed)
            left -= len(piece)
            if kept is not None:
                kept.append(piece)
        stored = file.read(FRAME_FOOTER.size)
        if left or len(stored) < FRAME_FOOTER.size:
            self._contents = None
            return (
                f"{self._path}: {frame.name}, byte {frame.offset}: the file ends inside the frame"
            )
        if self._contents is not None:
            self._contents = _native.crc32c(stored, self._contents)
        (masked,) = FRAME_FOOTER.unpack(stored)
        if masked == _masked(computed):
            return ""
        return self._checksum_fault(frame.name, frame.offset, "data", masked, _masked(computed))

    def _fault(self, name: str, offset: int, rule: str, expected: object, got: object) -> str:
        return f"{self._path}: {name}, byte {offset}: {rule}; expected {expected}, got {got}"

    def _checksum_fault(self, name: str, offset: int, part: str, stored: int, computed: int) -> str:
        rule = f"checksum of the frame's {part}"
        return self._fault(name, offset, rule, f"{stored:#010x}", f"{computed:#010x}")


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
