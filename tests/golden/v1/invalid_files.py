"""The invalid golden files of format version 1: what is wrong with each, and the error."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from pcr_tf.format import reference
from tests import reference_writer as writer
from tests.damage import ShardEditor
from tests.golden.v1.valid_files import SIDE_INDEX, example, read

Damage = Callable[[ShardEditor], ShardEditor]
DATA_LOSS, INVALID_ARGUMENT = reference.DATA_LOSS, reference.INVALID_ARGUMENT


@dataclasses.dataclass(frozen=True)
class Invalid:
    """A file that readers must refuse.

    Attributes:
      words: what the error's text must hold, whoever wrote it.
      from_scan_groups: the lowest fidelity that meets the damage: a reader of prefixes
        reads lower ones rightly. None: only a check of the whole file meets it.
      damage: what was done to valid/two_records.pcr.
    """

    name: str
    why: str
    code: str
    words: tuple[str, ...]
    damage: Damage
    from_scan_groups: int | None = 1


def _flip(kind: str, place: int, record: int | None = None, group: int | None = None) -> Damage:
    """Flips a bit of a frame: at `place`, from its end if negative."""

    def damage(editor: ShardEditor) -> ShardEditor:
        frame = editor.frame(kind, record, group)
        return editor.flip((frame.offset if place >= 0 else frame.end) + place, 4)

    return damage


def _metadata(**changes: Any) -> Damage:
    """Sets features of record 0's metadata; everything else then agrees with them."""
    features = {f"pcr/{key}": values for key, values in changes.items()}
    return lambda editor: editor.rewrite("metadata", features, record=0).reindex()


def _group(**changes: Any) -> Damage:
    """Sets features of record 0's scan group 2; everything else then agrees with them."""
    features = {f"pcr/{key}": values for key, values in changes.items()}
    return lambda editor: editor.rewrite("scan_group", features, record=0, group=2).reindex()


def _index(**changes: Callable[[list[Any]], Any]) -> Damage:
    """Changes features of the index; the footer then agrees with it."""

    def damage(editor: ShardEditor) -> ShardEditor:
        there = editor.frame("index").features
        changed = {f"pcr/{key}": f(list(there[f"pcr/{key}"])) for key, f in changes.items()}
        return editor.rewrite("index", changed).refoot()

    return damage


def _cut(kind: str, inside: int, record: int | None = None) -> Damage:
    return lambda editor: editor.truncate_at(editor.frame(kind, record).offset + inside)


def _other_group(editor: ShardEditor) -> ShardEditor:
    (data,) = editor.frame("scan_group", 0, 3).features["pcr/data"]
    assert isinstance(data, bytes)
    editor.rewrite("scan_group", {"pcr/data": [data[::-1]]}, record=0, group=3)
    return editor.reindex(group_checksums=False)


def _without_ancillary(editor: ShardEditor) -> ShardEditor:
    return editor.rewrite("scan_group", {"pcr/ancillary": None}, record=0, group=3).reindex()


def _no_example(editor: ShardEditor) -> ShardEditor:
    return editor.replace_frame_data(editor.find("metadata", 1), b"\x0a\x7fshort").reindex()


def _stock_tfrecord(editor: ShardEditor) -> ShardEditor:
    editor.data = b"".join(writer.frame(example(n)) for n in range(9))
    return editor


def _hostile_length(editor: ShardEditor) -> ShardEditor:
    return editor.set_length(editor.find("scan_group", 1, 2), 2**63)


MAX_INT = 2**63 - 1
METADATA_0 = ("record 0", "byte ")
GROUP_2 = ("record 0", "scan group 2", "byte ")
NO_FOOTER = ("byte", "not a PCR file")

INVALID = [
    # Flipped and cut.
    Invalid(
        "flipped_bit_in_metadata.pcr",
        "a bit of record 0's metadata",
        DATA_LOSS,
        (*METADATA_0, "checksum"),
        _flip("metadata", 40, 0),
    ),
    Invalid(
        "flipped_bit_in_group.pcr",
        "a bit of record 1's scan group 2: found from fidelity 2",
        DATA_LOSS,
        ("record 1", "scan group 2", "byte ", "checksum"),
        _flip("scan_group", -9, 1, 2),
        from_scan_groups=2,
    ),
    Invalid(
        "flipped_bit_in_length.pcr",
        "a bit of the length of a frame",
        DATA_LOSS,
        ("record 0", "scan group 1", "byte ", "checksum"),
        _flip("scan_group", 1, 0, 1),
    ),
    Invalid(
        "flipped_bit_in_header.pcr",
        "a bit of the header, which a reader of index and prefixes never sees",
        DATA_LOSS,
        ("byte 0", "checksum"),
        _flip("header", 40),
        from_scan_groups=None,
    ),
    Invalid(
        "flipped_bit_in_index.pcr",
        "a bit of the index",
        DATA_LOSS,
        ("byte ", "checksum"),
        _flip("index", 40),
    ),
    Invalid("flipped_bit_in_footer.pcr", "", DATA_LOSS, NO_FOOTER, _flip("footer", -9)),
    Invalid("no_bytes.pcr", "a file of 0 bytes", DATA_LOSS, NO_FOOTER, lambda e: e.truncate_at(0)),
    Invalid("cut_in_footer.pcr", "cut short by a byte", DATA_LOSS, NO_FOOTER, _cut("footer", 126)),
    Invalid("cut_in_index.pcr", "cut in the index", DATA_LOSS, NO_FOOTER, _cut("index", 30)),
    Invalid("cut_in_record.pcr", "cut in record 1", DATA_LOSS, NO_FOOTER, _cut("metadata", 30, 1)),
    Invalid("cut_after_records.pcr", "no index, no footer", DATA_LOSS, NO_FOOTER, _cut("index", 0)),
    Invalid("byte_too_many.pcr", "", DATA_LOSS, NO_FOOTER, lambda e: e.append(b"\n")),
    Invalid(
        "stock_tfrecord.pcr", "a TFRecord file, not PCR", DATA_LOSS, NO_FOOTER, _stock_tfrecord
    ),
    # Versions.
    Invalid(
        "major_version_2.pcr",
        "an unknown major version",
        INVALID_ARGUMENT,
        ("version", "got 2.0"),
        lambda editor: editor.set_version(2),
    ),
    Invalid(
        "flag_set.pcr",
        "a reserved flag is set",
        INVALID_ARGUMENT,
        ("flag",),
        lambda editor: editor.set_flags(1 << 31),
    ),
    Invalid(
        "groups_101.pcr",
        "more scan groups than there may be",
        INVALID_ARGUMENT,
        ("1 to 100", "got 101"),
        _index(num_groups=lambda _: [101]),
    ),
    # Footer.
    Invalid(
        "wrong_magic.pcr",
        "a footer of something else",
        DATA_LOSS,
        ("byte ", "magic"),
        lambda editor: editor.set_footer(magic=b"\x89PNG\r\n\x1a\n"),
    ),
    Invalid(
        "index_offset_wraps.pcr",
        "index offset and size whose sum is right modulo 2^64",
        DATA_LOSS,
        ("byte ", str(2**64 - 1)),
        lambda editor: editor.set_footer(
            index_offset=2**64 - 1, index_size=len(editor.data) - 127 + 1
        ),
    ),
    Invalid(
        "records_miscounted.pcr",
        "the footer counts a record more than the index",
        DATA_LOSS,
        ("expected 3, got 2",),
        lambda editor: editor.set_footer(num_records=3),
    ),
    Invalid(
        "examples_miscounted.pcr",
        "the footer counts an example more than the index",
        DATA_LOSS,
        ("expected 4, got 3",),
        lambda editor: editor.set_footer(num_examples=4),
    ),
    Invalid(
        "contents_checksum.pcr",
        "the footer names other contents, which only a check of the whole file finds",
        DATA_LOSS,
        ("contents checksum",),
        lambda editor: editor.set_footer(contents_checksum=1),
        from_scan_groups=None,
    ),
    # Index.
    Invalid(
        "records_overlap.pcr",
        "record 1 begins in record 0",
        DATA_LOSS,
        ("record 1",),
        _index(record_offsets=lambda v: [v[0], v[1] - 1]),
    ),
    Invalid(
        "record_past_the_end.pcr",
        "record 1 lies behind the file",
        DATA_LOSS,
        ("record 1",),
        _index(record_offsets=lambda v: [v[0], MAX_INT]),
    ),
    Invalid(
        "frame_sizes_overflow.pcr",
        "frame sizes whose sum wraps round",
        DATA_LOSS,
        ("record 0",),
        _index(frame_sizes=lambda v: [MAX_INT] * len(v)),
    ),
    Invalid(
        "frame_size_15.pcr",
        "a frame smaller than a frame without data",
        DATA_LOSS,
        ("record 0", "got 15"),
        _index(frame_sizes=lambda v: [15, *v[1:]]),
    ),
    Invalid(
        "index_of_another_file.pcr",
        "the checksum of record 1's metadata is not the index's",
        DATA_LOSS,
        ("record 1", "byte ", "different conversions"),
        _index(metadata_checksums=lambda v: [v[0], v[1] ^ 1]),
    ),
    # Records.
    Invalid(
        "group_of_another_file.pcr",
        "record 0's scan group 3 is intact, but not the one that the metadata name",
        DATA_LOSS,
        ("record 0", "scan group 3", "byte ", "checksum"),
        _other_group,
        from_scan_groups=3,
    ),
    Invalid(
        "hostile_length.pcr",
        "a frame that claims 2^63 bytes, under a right checksum",
        DATA_LOSS,
        ("record 1", "scan group 2", "byte ", str(2**63)),
        _hostile_length,
        from_scan_groups=2,
    ),
    Invalid("not_an_example.pcr", "a frame of other data", DATA_LOSS, ("record 1",), _no_example),
    Invalid("wrong_record.pcr", "", DATA_LOSS, (*METADATA_0, "got 1"), _metadata(record=[1])),
    Invalid("wrong_group.pcr", "", DATA_LOSS, (*GROUP_2, "got 3"), _group(group=[3]), 2),
    Invalid("wrong_frame.pcr", "", DATA_LOSS, (*GROUP_2, "got index"), _group(frame=[b"index"]), 2),
    Invalid(
        "missing_feature.pcr", "", DATA_LOSS, (*METADATA_0, "pcr/codings"), _metadata(codings=None)
    ),
    Invalid(
        "feature_of_another_type.pcr",
        "pcr/codings as bytes",
        DATA_LOSS,
        (*METADATA_0, "pcr/codings"),
        _metadata(codings=[b"\0", b"\1"]),
    ),
    Invalid(
        "unknown_coding.pcr",
        "coding 2",
        DATA_LOSS,
        (*METADATA_0, "got 2"),
        _metadata(codings=[0, 2]),
    ),
    Invalid(
        "image_counts_overflow.pcr",
        "counts whose sum is right modulo 2^64 only",
        DATA_LOSS,
        METADATA_0,
        _metadata(image_counts=[MAX_INT, MAX_INT]),
    ),
    Invalid(
        "slice_sizes_overflow.pcr",
        "slice sizes far beyond the frames of their groups",
        DATA_LOSS,
        METADATA_0,
        _metadata(slice_sizes=[MAX_INT] * 6),
    ),
    Invalid(
        "slice_sizes_of_another_sum.pcr",
        "slices that do not fill their group",
        DATA_LOSS,
        ("record 0", "scan group 1", "byte ", "expected 13"),
        _metadata(slice_sizes=[1, 12, 0, 0, 0, 0], ancillary_offsets=[0, 0], codings=[1, 1]),
    ),
    Invalid(
        "ancillary_offset_0.pcr",
        "an ancillary offset before the end of SOI",
        DATA_LOSS,
        (*METADATA_0, "got 0"),
        _metadata(ancillary_offsets=[0, 0]),
    ),
    Invalid(
        "trailing_size_too_large.pcr",
        "more trailing bytes than a frame may hold",
        DATA_LOSS,
        METADATA_0,
        _metadata(trailing_sizes=[MAX_INT, 0]),
    ),
    Invalid(
        "ancillary_bomb.pcr",
        "more trailing bytes than the ancillary stream can hold",
        DATA_LOSS,
        ("record 0", "scan group 3", "byte "),
        _metadata(trailing_sizes=[2**31 - 1, 0]),
        from_scan_groups=3,
    ),
    Invalid(
        "ancillary_stream_missing.pcr",
        "a last group without an ancillary stream",
        DATA_LOSS,
        ("record 0", "scan group 3", "byte "),
        _without_ancillary,
        from_scan_groups=3,
    ),
]


@dataclasses.dataclass(frozen=True)
class InvalidSideIndex:
    """A side index that readers must refuse, by itself or at the first read of a shard.

    Attributes:
      changes: what was done to valid/dataset/dataset.pcr-index.
      found_by_read: whether it is sound by itself, and disagrees with a shard.
    """

    name: str
    why: str
    words: tuple[str, ...]
    changes: dict[str, Any]
    found_by_read: bool = False


INVALID_SIDE_INDEXES = [
    InvalidSideIndex(
        "of_other_shards.pcr-index",
        "made for another conversion of the shards",
        ("a.pcr: record 0", "byte ", "different conversions", "side index"),
        {"pcr/metadata_checksums": [1, 2, 3]},
        found_by_read=True,
    ),
    InvalidSideIndex(
        "name_leads_up.pcr-index",
        "a shard outside of the folder",
        ("../b.pcr",),
        {"pcr/shard_names": [b"a.pcr", b"../b.pcr"]},
    ),
    InvalidSideIndex(
        "record_past_its_shard.pcr-index",
        "a shard too small for its records",
        ("a.pcr", "record 0"),
        {"pcr/shard_sizes": [400, 10_000]},
    ),
    InvalidSideIndex(
        "records_miscounted.pcr-index",
        "shards of more records than are listed",
        ("expected 3",),
        {"pcr/shard_records": [2, 0]},
    ),
]


def damaged_files() -> dict[str, bytes]:
    """The invalid files, from the valid ones on disk."""
    sound = read("valid/two_records.pcr")
    side = read(f"valid/dataset/{SIDE_INDEX}")
    files = {f"invalid/{case.name}": case.damage(ShardEditor(sound)).data for case in INVALID}
    for side_case in INVALID_SIDE_INDEXES:
        editor = ShardEditor(side).rewrite("dataset_index", side_case.changes)
        files[f"invalid/{side_case.name}"] = editor.data
    return files
