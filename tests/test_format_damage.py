"""What the native reader says of damaged files: a named error, or exactly the right examples.

The files are made by the reference writer, so that they are small and every
byte's place is known. A reader of a data set reads the index and then prefixes:
so damage outside of both does not concern it, and damage inside is always found.
"""

from __future__ import annotations

import itertools
import resource
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from pcr_tf import _native
from pcr_tf.format import reference
from pcr_tf.format.tfrecord import FRAME_FOOTER, FRAME_HEADER
from tests import reference_writer as writer
from tests.damage import ShardEditor, Values
from tests.native_reader import native_examples, open_index, outcome, read_record
from tests.reference_writer import Example, Image, Layout

GROUPS = 3
NAME = "photos/a.pcr"
LAYOUT = Layout.of(GROUPS, ["left", "right"])
LABEL = writer.serialize([writer.int_feature("label", [3])])
RECORDS = [
    [
        Example(LABEL, {"left": [Image((b"\xff\xd8DC", b"low", b"high"), trailing=b"tail")]}),
        Example(b"", {"right": [Image.opaque(b"PNG", GROUPS)]}),
    ],
    [Example(LABEL, {"left": [Image((b"\xff\xd8DC", b"", b"AC"), ancillary=b"exif")]})],
]
SOUND = writer.build_shard(RECORDS, LAYOUT)
FRAMES = ShardEditor(SOUND).frames()
INDEX = open_index(SOUND, NAME)


def expected_record(r: int, scan_groups: int) -> list[bytes]:
    return [writer.expected_example(example, LAYOUT, scan_groups) for example in RECORDS[r]]


def expected(scan_groups: int) -> list[bytes]:
    return expected_record(0, scan_groups) + expected_record(1, scan_groups)


def index_values(key: str) -> list[int]:
    """The values of an int feature of the sound file's index."""
    return [value for value in FRAMES[-2].features[key] if isinstance(value, int)]


def damage_found(data: bytes, scan_groups: int = GROUPS) -> str:
    """The text of the DATA_LOSS with which the native reader refuses a file."""
    with pytest.raises(_native.DataLossError) as caught:
        native_examples(data, scan_groups, NAME)
    text = str(caught.value)
    assert text.startswith(f"{NAME}: ")
    return text


def mistake_found(data: bytes) -> str:
    """The text of the INVALID_ARGUMENT with which the native reader refuses a file."""
    with pytest.raises(ValueError, match=NAME) as caught:
        native_examples(data, 1, NAME)
    assert not isinstance(caught.value, _native.DataLossError)
    return str(caught.value)


def places_of(record: int, group: int | None) -> tuple[str, ...]:
    """What an error in a frame of a record must name."""
    return (NAME, f"record {record}", *([] if group is None else [f"scan group {group}"]), "byte ")


# --- cut and flipped ---------------------------------------------------------


def boundary_classes() -> list[int]:
    """Each frame's begin, inside and end of its length, its CRCs and its data."""
    offsets = set()
    for frame in FRAMES:
        fields = [0, 8, 12, frame.size - 4, frame.size]
        middles = [(a + b) // 2 for a, b in itertools.pairwise(fields)]
        offsets |= {frame.offset + place for place in [*fields, *middles, 1, frame.size - 1]}
    return sorted(offsets - {len(SOUND)})


@pytest.mark.parametrize("size", boundary_classes())
def test_a_shard_cut_short_is_no_shard(size: int) -> None:
    cut = ShardEditor(SOUND).truncate_at(size).data
    text = damage_found(cut)
    assert "cut short" in text


@pytest.mark.parametrize("size", boundary_classes())
def test_a_cut_behind_the_index_loses_the_records_after_it_and_no_others(size: int) -> None:
    cut = ShardEditor(SOUND).truncate_at(size).data
    for r, g in itertools.product(range(2), range(1, GROUPS + 1)):
        _, offset, length = INDEX.prefix(r, g)
        if offset + length <= size:
            assert read_record(INDEX, cut, r, g) == expected_record(r, g)
        else:
            with pytest.raises(_native.DataLossError, match=rf"{NAME}: record {r}"):
                read_record(INDEX, cut, r, g)


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_in_a_prefix_is_found_and_no_other_is_noticed(bit: int) -> None:
    ranges = {(r, g): INDEX.prefix(r, g)[1:] for r in range(2) for g in range(1, GROUPS + 1)}
    for byte in range(len(SOUND)):
        damaged = ShardEditor(SOUND).flip(byte, bit).data
        for (r, g), (offset, length) in ranges.items():
            prefix = damaged[offset : offset + length]
            if offset <= byte < offset + length:
                with pytest.raises(_native.DataLossError) as caught:
                    _native.parse_record(INDEX, r, g, prefix)
                (i,) = [i for i, f in enumerate(FRAMES) if f.offset <= byte < f.end]
                group = FRAMES[i].features.get("pcr/group", [None])[0]
                for place in places_of(r, group):  # type: ignore[arg-type]
                    assert place in str(caught.value)
            else:
                assert _native.parse_record(INDEX, r, g, prefix) == expected_record(r, g)


@pytest.mark.parametrize("bit", [0, 7])
def test_every_flipped_bit_of_a_file_is_an_error_or_harmless(bit: int) -> None:
    for byte in range(len(SOUND)):
        damaged = ShardEditor(SOUND).flip(byte, bit).data
        in_tail = byte >= FRAMES[-2].offset
        for g in range(1, GROUPS + 1):
            result = outcome(native_examples, damaged, g, NAME)
            if result.code:
                assert result.code == reference.DATA_LOSS
                assert result.text.startswith(f"{NAME}: ")
                assert "byte " in result.text
            else:
                assert not in_tail
                assert list(result.examples) == expected(g)


def test_a_byte_after_the_footer_is_found() -> None:
    assert "not a PCR file" in damage_found(ShardEditor(SOUND).append(b"\0").data)


def test_a_stock_tfrecord_file_is_no_pcr_file() -> None:
    assert "not a PCR file" in damage_found(writer.frame(LABEL) * 20)


@pytest.mark.parametrize("size", [0, 1, 126])
def test_a_file_shorter_than_a_footer_is_no_pcr_file(size: int) -> None:
    assert "not a PCR file" in damage_found(bytes(size))


# --- versions and the footer -------------------------------------------------


@pytest.mark.parametrize("major", [0, 2, 65535])
def test_an_unknown_major_version_names_itself_and_the_remedy(major: int) -> None:
    text = mistake_found(ShardEditor(SOUND).set_version(major, 4).data)
    assert "version" in text
    assert f"got {major}.4" in text
    assert "; " in text.partition("got")[2]


def test_an_unknown_major_version_of_the_index_alone_is_refused() -> None:
    editor = ShardEditor(SOUND).rewrite("index", {"pcr/version": [2, 0]}).refoot()
    assert "got 2.0" in mistake_found(editor.data)


@pytest.mark.parametrize("bit", [0, 15, 31])
def test_any_set_flag_is_refused(bit: int) -> None:
    assert "flags" in mistake_found(ShardEditor(SOUND).set_flags(1 << bit).data)


@pytest.mark.parametrize("flags", [1 << 40, -1])
def test_flags_that_only_the_index_can_hold_are_refused(flags: int) -> None:
    editor = ShardEditor(SOUND).rewrite("index", {"pcr/flags": [flags]}).refoot()
    assert "flags" in mistake_found(editor.data)


@pytest.mark.parametrize("groups", [0, 101, 2**63 - 1])
def test_a_number_of_groups_outside_1_to_100_is_refused(groups: int) -> None:
    editor = ShardEditor(SOUND).rewrite("index", {"pcr/num_groups": [groups]}).refoot()
    assert f"got {groups}" in mistake_found(editor.data)


def test_a_later_minor_version_is_read() -> None:
    assert native_examples(ShardEditor(SOUND).set_version(1, 9).data, 2) == expected(2)


def test_the_reserved_bytes_of_the_footer_are_ignored() -> None:
    damaged = ShardEditor(SOUND).set_footer(reserved=2**64 - 1).data
    assert native_examples(damaged, 2) == expected(2)


FOOTERS: dict[str, dict[str, object]] = {
    "magic": {"magic": b"\x89PCR\n\r\x1a\n"},
    "an index offset of 2^64-1": {"index_offset": 2**64 - 1},
    "an index offset of 0": {"index_offset": 0},
    "an index size of 2^64-1": {"index_size": 2**64 - 1},
    "offset and size that overflow to the right sum": {
        "index_offset": 2**64 - 1,
        "index_size": len(SOUND) - 127 + 1,
    },
    "the index at the last record": {
        "index_offset": FRAMES[-3].offset,
        "index_size": FRAMES[-2].end - FRAMES[-3].offset,
    },
    "the header as index": {"index_offset": 0, "index_size": FRAMES[-2].end},
    "2^64-1 records": {"num_records": 2**64 - 1},
    "a record less": {"num_records": 1},
    "an example more": {"num_examples": 4},
    "another index checksum": {"index_checksum": 1},
}


@pytest.mark.parametrize("what", FOOTERS)
def test_a_footer_that_contradicts_its_file_is_found(what: str) -> None:
    damage_found(ShardEditor(SOUND).set_footer(**FOOTERS[what]).data)


# --- index -------------------------------------------------------------------

Change = Callable[[list[Any]], Sequence[Any]]
INDEXES: dict[str, tuple[str, Change]] = {
    "offsets that overlap": ("pcr/record_offsets", lambda v: [v[0], v[1] - 1]),
    "records out of order": ("pcr/record_offsets", lambda v: [v[1], v[0]]),
    "an offset past the file": ("pcr/record_offsets", lambda v: [v[0], 1 << 40]),
    "an offset of 2^63-1": ("pcr/record_offsets", lambda v: [v[0], 2**63 - 1]),
    "a negative offset": ("pcr/record_offsets", lambda v: [-1, v[1]]),
    "a frame size of 0": ("pcr/frame_sizes", lambda v: [0, *v[1:]]),
    "a frame size of 15": ("pcr/frame_sizes", lambda v: [15, *v[1:]]),
    "a frame size of 2^31+16": ("pcr/frame_sizes", lambda v: [*v[:-1], 2**31 + 16]),
    "a frame size of 2^63-1": ("pcr/frame_sizes", lambda v: [*v[:-1], 2**63 - 1]),
    "frame sizes that overflow": ("pcr/frame_sizes", lambda v: [2**63 - 1] * len(v)),
    "a frame size less": ("pcr/frame_sizes", lambda v: v[:-1]),
    "no examples": ("pcr/example_counts", lambda v: [0, 3]),
    "2^63-1 examples": ("pcr/example_counts", lambda v: [2**63 - 1, 1]),
    "example counts that overflow": ("pcr/example_counts", lambda v: [2**62] * 2),
    "a checksum less": ("pcr/metadata_checksums", lambda v: v[:1]),
    "a checksum of 33 bits": ("pcr/metadata_checksums", lambda v: [v[0] + (1 << 32), v[1]]),
    "a group without scans": ("pcr/scans_per_group", lambda v: [0, *v[1:]]),
    "scans of fewer groups": ("pcr/scans_per_group", lambda v: v[:-1]),
    "an image feature twice": ("pcr/image_features", lambda v: [v[0], v[0]]),
    "an empty image feature": ("pcr/image_features", lambda v: [v[0], b""]),
    "no image features": ("pcr/image_features", lambda v: []),
}


@pytest.mark.parametrize("what", INDEXES)
def test_an_index_that_contradicts_itself_is_found(what: str) -> None:
    key, change = INDEXES[what]
    editor = ShardEditor(SOUND)
    values = list(editor.frame("index").features[key])
    text = damage_found(editor.rewrite("index", {key: change(values)}).refoot().data)
    assert "index at byte" in text or "index, byte" in text


def test_frame_sizes_that_lead_to_other_frames_are_found() -> None:
    sizes = index_values("pcr/frame_sizes")
    sizes[1], sizes[2] = sizes[1] + 1, sizes[2] - 1
    editor = ShardEditor(SOUND).rewrite("index", {"pcr/frame_sizes": sizes}).refoot()
    text = damage_found(editor.data)
    for place in places_of(0, 1):
        assert place in text


# --- records -----------------------------------------------------------------

METADATA: dict[str, dict[str, Values | None]] = {
    "another record": {"pcr/record": [1]},
    "another kind": {"pcr/frame": [b"scan_group"]},
    "an image count less": {"pcr/image_counts": [1, 0, 0]},
    "an image more": {"pcr/image_counts": [1, 0, 0, 2]},
    "an image less": {"pcr/image_counts": [1, 0, 0, 0]},
    "an image count of 2^63-1": {"pcr/image_counts": [1, 0, 0, 2**63 - 1]},
    "image counts that overflow": {"pcr/image_counts": [2**62, 2**62, 2**62, 2**62 + 2]},
    "a negative image count": {"pcr/image_counts": [3, -1, 0, 0]},
    "an unknown coding": {"pcr/codings": [0, 2]},
    "a coding of 2^32": {"pcr/codings": [0, 2**32]},
    "a slice size of 2^63-1": {"pcr/slice_sizes": [2**63 - 1, 3, 3, 0, 8, 0]},
    "slice sizes that overflow": {"pcr/slice_sizes": [2**63 - 1, 2**63 - 1, 3, 0, 8, 0]},
    "a slice size of another group": {"pcr/slice_sizes": [4, 3, 3, 0, 2**63 - 1, 0]},
    "an opaque image with a second slice": {"pcr/slice_sizes": [4, 3, 2, 1, 8, 0]},
    "an opaque image with ancillary bytes": {"pcr/ancillary_sizes": [0, 1]},
    "an opaque image with trailing bytes": {"pcr/trailing_sizes": [4, 1]},
    "ancillary bytes that no frame holds": {"pcr/ancillary_sizes": [2**31, 0]},
    "ancillary and trailing bytes that no frame holds": {
        "pcr/ancillary_sizes": [2**30, 0],
        "pcr/trailing_sizes": [2**30, 0],
    },
    "ancillary and trailing bytes that overflow": {
        "pcr/ancillary_sizes": [2**63 - 1, 0],
        "pcr/trailing_sizes": [2**63 - 1, 0],
    },
    "an ancillary offset before the end of SOI": {"pcr/ancillary_offsets": [1, 0]},
    "an ancillary offset past group 1": {"pcr/ancillary_offsets": [5, 0]},
    "a group checksum less": {"pcr/group_checksums": [1, 2]},
    "a group checksum of 33 bits": {"pcr/group_checksums": [1, 2, 1 << 32]},
    "no codings": {"pcr/codings": None},
    "codings of bytes": {"pcr/codings": [b"\0", b"\1"]},
}


@pytest.mark.parametrize("what", METADATA)
def test_metadata_that_contradict_themselves_are_found_at_every_fidelity(what: str) -> None:
    editor = ShardEditor(SOUND).rewrite("metadata", METADATA[what], record=0)
    editor.reindex(group_checksums="pcr/group_checksums" not in METADATA[what])
    for g in range(1, GROUPS + 1):
        text = damage_found(editor.data, g)
        for place in (NAME, "record 0", f"byte {FRAMES[1].offset}"):
            assert place in text


def test_slice_sizes_of_another_sum_are_found() -> None:
    editor = ShardEditor(SOUND)
    editor.rewrite("metadata", {"pcr/slice_sizes": [5, 3, 3, 0, 8, 0]}, record=0).reindex()
    text = damage_found(editor.data, 1)
    for place in (*places_of(0, 1), "expected 8, got 7"):
        assert place in text


def test_slice_sizes_whose_sum_wraps_round_are_found() -> None:
    """65,536 images of 2**48 bytes: their sum is 0 modulo 2**64."""
    many = 1 << 16
    image = Image.opaque(b"", groups=1)
    shard = writer.build_shard([[Example(b"", {"image": [image] * many})]], Layout.of(1))
    editor = ShardEditor(shard).rewrite("metadata", {"pcr/slice_sizes": [1 << 48] * many})
    assert "record 0" in damage_found(editor.reindex().data, 1)


GROUP_FRAMES: dict[str, dict[str, Values | None]] = {
    "another record": {"pcr/record": [1]},
    "another group": {"pcr/group": [1]},
    "a group of 2^63-1": {"pcr/group": [2**63 - 1]},
    "another kind": {"pcr/frame": [b"metadata"]},
    "fewer data": {"pcr/data": [b"lo"]},
    "more data": {"pcr/data": [b"lower"]},
    "no data": {"pcr/data": None},
    "data twice": {"pcr/data": [b"low", b"low"]},
}


@pytest.mark.parametrize("what", GROUP_FRAMES)
def test_a_group_frame_that_contradicts_the_metadata_is_found(what: str) -> None:
    editor = ShardEditor(SOUND)
    editor.rewrite("scan_group", GROUP_FRAMES[what], record=0, group=2).reindex()
    assert native_examples(editor.data, 1, NAME) == expected(1)
    text = damage_found(editor.data, 2)
    for place in places_of(0, 2):
        assert place in text


STREAM = zlib.compress(b"tail")
ANCILLARY: dict[str, list[bytes] | None] = {
    "no stream": None,
    "no value": [],
    "two values": [STREAM, STREAM],
    "an empty stream": [b""],
    "a stream cut short": [STREAM[:-1]],
    "a stream cut to its head": [STREAM[:2]],
    "bytes behind the stream": [STREAM + b"x"],
    "no zlib stream": [b"tail"],
    "a wrong checksum": [STREAM[:-1] + bytes([STREAM[-1] ^ 1])],
    "a stream of fewer bytes": [zlib.compress(b"tai")],
    "a stream of more bytes": [zlib.compress(b"tails")],
    "a stream of many more bytes": [zlib.compress(bytes(1 << 20))],
}


@pytest.mark.parametrize("what", ANCILLARY)
def test_a_damaged_ancillary_stream_is_found_at_full_fidelity_only(what: str) -> None:
    editor = ShardEditor(SOUND)
    editor.rewrite("scan_group", {"pcr/ancillary": ANCILLARY[what]}, record=0, group=3).reindex()
    for g in range(1, GROUPS):
        assert native_examples(editor.data, g, NAME) == expected(g)
    text = damage_found(editor.data, GROUPS)
    for place in places_of(0, 3):
        assert place in text


def test_an_ancillary_stream_that_claims_more_than_it_can_hold_costs_no_memory() -> None:
    editor = ShardEditor(SOUND)
    editor.rewrite("metadata", {"pcr/trailing_sizes": [2**31 - 1, 0]}, record=0).reindex()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "got 2147483647" in damage_found(editor.data, GROUPS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20


def test_an_ancillary_stream_where_there_is_nothing_to_hold_is_found() -> None:
    sound = writer.build_shard(
        [[Example(LABEL, {"image": [Image.opaque(b"PNG", 2)]})]], Layout.of(2)
    )
    editor = ShardEditor(sound)
    assert editor.frame("scan_group", 0, 2).features["pcr/ancillary"] == [b""]
    editor.rewrite("scan_group", {"pcr/ancillary": [zlib.compress(b"")]}, record=0, group=2)
    for place in places_of(0, 2)[:-1]:
        assert place in damage_found(editor.reindex().data, 2)


def test_group_frames_in_another_order_are_found() -> None:
    editor = ShardEditor(SOUND)
    first, second = (editor.find("scan_group", record=0, group=g) for g in (1, 2))
    low, high = editor.frame_data(first), editor.frame_data(second)
    editor.replace_frame_data(first, high).replace_frame_data(second, low).reindex()
    text = damage_found(editor.data, 1)
    for place in places_of(0, 1):
        assert place in text


def test_a_group_frame_of_another_conversion_is_found() -> None:
    editor = ShardEditor(SOUND)
    editor.rewrite("scan_group", {"pcr/data": [b"LOW"]}, record=0, group=2)
    editor.reindex(group_checksums=False)
    text = damage_found(editor.data, 2)
    for place in places_of(0, 2):
        assert place in text


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**64 - 16, 2**31, 10_000])
@pytest.mark.parametrize("group", [0, 1, 3])
def test_a_hostile_length_of_a_frame_is_found(length: int, group: int) -> None:
    editor = ShardEditor(SOUND)
    i = editor.find("metadata", record=1) + group
    text = damage_found(editor.set_length(i, length).data)
    for place in places_of(1, group or None):
        assert place in text
    assert f"byte {FRAMES[i].offset}" in text
    overhead_bytes = FRAME_HEADER.size + FRAME_FOOTER.size
    # Of a length that a frame may have, the frame's size is named: it is not what the index has.
    assert f"got {length}" in text or f"got {length + overhead_bytes}" in text


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**31])
def test_a_hostile_length_of_the_index_is_found(length: int) -> None:
    editor = ShardEditor(SOUND)
    text = damage_found(editor.set_length(editor.find("index"), length).data)
    assert f"got {length}" in text


HOSTILE_EXAMPLES = {
    "a length past the end": b"\x0a\x7f",
    "a length of 2^63": b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    "an endless varint": b"\x08" + b"\xff" * 11,
    "field number 0": b"\x02\x00",
    "a tag of more than 32 bits": b"\x88\x80\x80\x80\x80\x01\x00",
    "an unknown wire type": b"\x0f",
    "a group": b"\x0b\x0c",
    "nothing": b"",
}


@pytest.mark.parametrize("what", HOSTILE_EXAMPLES)
def test_a_frame_that_is_no_example_is_found(what: str) -> None:
    editor = ShardEditor(SOUND)
    editor.replace_frame_data(editor.find("metadata", record=0), HOSTILE_EXAMPLES[what]).reindex()
    assert f"byte {FRAMES[1].offset}" in damage_found(editor.data)


# --- the data set ------------------------------------------------------------


def side_index(features: Mapping[str, Values | None]) -> ShardEditor:
    editor = ShardEditor(writer.build_side_index([("a.pcr", SOUND)], LAYOUT))
    return editor.rewrite("dataset_index", features) if features else editor


def parse_side_index(data: bytes) -> _native.DatasetIndex:
    return _native.DatasetIndex.from_bytes("photos/dataset.pcr-index", data)


def test_a_side_index_of_another_conversion_is_found_by_the_first_read() -> None:
    checksums = index_values("pcr/metadata_checksums")
    damaged = side_index({"pcr/metadata_checksums": [checksums[0] ^ 1, checksums[1]]}).data
    index = parse_side_index(damaged)
    with pytest.raises(_native.DataLossError, match=r"a\.pcr: record 0.*different conversions"):
        read_record(index, SOUND, 0, 1)
    assert read_record(index, SOUND, 1, 1) == expected_record(1, 1)


@pytest.mark.parametrize("shift", [-1, 1, 16])
def test_a_side_index_with_other_offsets_is_found_by_the_first_read(shift: int) -> None:
    offsets = index_values("pcr/record_offsets")
    damaged = side_index({"pcr/record_offsets": [offsets[0] + min(shift, 0), offsets[1] + shift]})
    index = parse_side_index(damaged.data)
    with pytest.raises(_native.DataLossError, match=r"a\.pcr: record 1"):
        read_record(index, SOUND, 1, 1)


def test_a_side_index_names_size_and_footer_checksum_of_its_shard() -> None:
    sound, damaged = (
        parse_side_index(side_index(features).data)
        for features in ({}, {"pcr/shard_sizes": [10_000], "pcr/footer_checksums": [7]})
    )
    assert sound.shard(0)[:3] == ("a.pcr", len(SOUND), FRAMES[-1].checksum)
    assert damaged.shard(0)[:3] == ("a.pcr", 10_000, 7)


SIDE_INDEXES: dict[str, dict[str, Values | None]] = {
    "a record past the shard's end": {"pcr/shard_sizes": [FRAMES[-3].end - 1]},
    "a shard of size 0": {"pcr/shard_sizes": [0]},
    "a shard of negative size": {"pcr/shard_sizes": [-1]},
    "a size more": {"pcr/shard_sizes": [len(SOUND), 1]},
    "a record more": {"pcr/shard_records": [3]},
    "a record less": {"pcr/shard_records": [1]},
    "2^63-1 records": {"pcr/shard_records": [2**63 - 1]},
    "a footer checksum of 33 bits": {"pcr/footer_checksums": [1 << 32]},
    "no footer checksum": {"pcr/footer_checksums": None},
    "a name more": {"pcr/shard_names": [b"a.pcr", b"b.pcr"]},
    "an empty name": {"pcr/shard_names": [b""]},
    "an absolute name": {"pcr/shard_names": [b"/etc/passwd"]},
    "a name that leads up": {"pcr/shard_names": [b"../a.pcr"]},
    "a name that leads down and up": {"pcr/shard_names": [b"x/../../a.pcr"]},
    "a name on another file system": {"pcr/shard_names": [b"gs://bucket/a.pcr"]},
    "another kind": {"pcr/frame": [b"index"]},
}


@pytest.mark.parametrize("what", SIDE_INDEXES)
def test_a_side_index_that_contradicts_itself_is_found(what: str) -> None:
    with pytest.raises(_native.DataLossError, match=r"^photos/dataset\.pcr-index: "):
        parse_side_index(side_index(SIDE_INDEXES[what]).data)


@pytest.mark.parametrize("bit", [0, 7])
def test_every_flipped_bit_of_a_side_index_is_found(bit: int) -> None:
    sound = side_index({}).data
    for byte in range(len(sound)):
        with pytest.raises(_native.DataLossError, match=r"^photos/dataset\.pcr-index: .*byte"):
            parse_side_index(ShardEditor(sound).flip(byte, bit).data)


def test_every_cut_of_a_side_index_is_found() -> None:
    sound = side_index({}).data
    for size in range(len(sound)):
        with pytest.raises(_native.DataLossError, match=r"^photos/dataset\.pcr-index: "):
            parse_side_index(sound[:size])
    with pytest.raises(_native.DataLossError, match=r"^photos/dataset\.pcr-index: "):
        parse_side_index(sound + b"\0")


def test_a_side_index_of_an_unknown_major_version_is_the_callers_mistake() -> None:
    damaged = side_index({"pcr/version": [2, 0]}).data
    with pytest.raises(ValueError, match=r"^photos/dataset\.pcr-index: .*got 2\.0") as caught:
        parse_side_index(damaged)
    assert not isinstance(caught.value, _native.DataLossError)


def test_shards_of_different_scripts_are_both_named() -> None:
    other = writer.build_shard([], Layout.of(GROUPS + 1, ["left", "right"]))
    shards = [
        (name, _native.ShardIndex.from_tail(name, data, len(data)))
        for name, data in (("a.pcr", SOUND), ("b.pcr", other))
    ]
    with pytest.raises(ValueError, match=r"a\.pcr and b\.pcr: "):
        _native.DatasetIndex.from_shards(shards)  # type: ignore[arg-type]


@pytest.mark.parametrize("scan_groups", [-1, 0, GROUPS + 1, 11])
def test_a_fidelity_outside_the_groups_is_the_callers_mistake(scan_groups: int) -> None:
    prefix = SOUND[FRAMES[1].offset : FRAMES[4].end]
    for call in (
        lambda: INDEX.prefix(0, scan_groups),
        lambda: INDEX.prefix_bytes(scan_groups),
        lambda: _native.parse_record(INDEX, 0, scan_groups, prefix),
    ):
        with pytest.raises(ValueError, match=f"expected 1 to 3, got {scan_groups}") as caught:
            call()
        assert not isinstance(caught.value, _native.DataLossError)
