"""Who checks what: each rule of docs/FORMAT.md, a file that breaks it, and the reader that says so.

A rule is checked as early as its bytes are there: when the tail is opened, when a prefix is read,
or by a check of the whole file. Both implementations take the same one, and both checks of the
whole file, `reference.read_shard` and `verify_dataset`, find everything.
"""

from __future__ import annotations

import dataclasses
import pathlib
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from pcr_tf import _native
from pcr_tf.format import reference
from pcr_tf.format.reference import encode_field, encode_varint
from pcr_tf.format.verify import verify_dataset
from tests import reference_writer as writer
from tests.damage import ShardEditor
from tests.golden.v1.valid_files import THREE_GROUPS
from tests.golden.v1_1 import files
from tests.native_reader import native_examples, open_index, outcome, reference_examples

Damage = Callable[[ShardEditor], ShardEditor]
NAME = "a.pcr"
GROUPS = 3
# Who finds it. OPEN and READ: readers of records, and so everyone.
OPEN, READ, WHOLE = "when the tail is opened", "when the prefix is read", "by a whole-file check"
NOBODY = "by nobody: it is for writers, or a thing that readers must accept"

MAX_INT = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule and a file that breaks it.

    Attributes:
      section: of docs/FORMAT.md.
      found: by whom.
      place: with what the message begins behind the file's name.
      fidelity: the lowest at which the prefix holds the fault.
      base: the golden file of version 1.1 that was sound before.
    """

    section: int
    text: str
    damage: Damage
    found: str
    place: str = ""
    fidelity: int = 1
    base: str = files.MADE_FROM


# --- damages -----------------------------------------------------------------


def _flip(kind: str, place: int, record: int | None = None, group: int | None = None) -> Damage:
    def damage(editor: ShardEditor) -> ShardEditor:
        frame = editor.frame(kind, record, group)
        return editor.flip((frame.offset if place >= 0 else frame.end) + place)

    return damage


def _metadata(**changes: Any) -> Damage:
    features = {f"pcr/{key}": values for key, values in changes.items()}
    return lambda editor: editor.rewrite("metadata", features, record=1).reindex()


def _edit_metadata(key: str, change: Callable[[list[Any]], Any]) -> Damage:
    def damage(editor: ShardEditor) -> ShardEditor:
        values = list(editor.frame("metadata", 1).features[f"pcr/{key}"])
        return editor.rewrite("metadata", {f"pcr/{key}": change(values)}, record=1).reindex()

    return damage


def _group(group: int, **changes: Any) -> Damage:
    features = {f"pcr/{key}": values for key, values in changes.items()}
    return lambda editor: editor.rewrite("scan_group", features, record=1, group=group).reindex()


def _stream(change: Callable[[bytes], bytes]) -> Damage:
    def damage(editor: ShardEditor) -> ShardEditor:
        (stream,) = editor.frame("scan_group", 1, GROUPS).features["pcr/ancillary"]
        assert isinstance(stream, bytes)
        return _group(GROUPS, ancillary=[change(stream)])(editor)

    return damage


def _index(**changes: Callable[[list[Any]], Any]) -> Damage:
    def damage(editor: ShardEditor) -> ShardEditor:
        there = editor.frame("index").features
        changed = {f"pcr/{key}": f(list(there[f"pcr/{key}"])) for key, f in changes.items()}
        return editor.rewrite("index", changed).refoot()

    return damage


def _index_without(key: str) -> Damage:
    return lambda editor: editor.rewrite("index", {f"pcr/{key}": None}).refoot()


def _header(**changes: Any) -> Damage:
    features = {f"pcr/{key}": values for key, values in changes.items()}
    return lambda editor: editor.rewrite("header", features).reindex()


def _both_headers(**changes: Any) -> Damage:
    features = {f"pcr/{key}": values for key, values in changes.items()}

    def damage(editor: ShardEditor) -> ShardEditor:
        return editor.rewrite("header", features).rewrite("index", features).reindex()

    return damage


def _footer(**fields: Any) -> Damage:
    return lambda editor: editor.set_footer(**fields)


def _wire(data: bytes) -> Damage:
    """Appends fields to the data of record 1's metadata."""

    def damage(editor: ShardEditor) -> ShardEditor:
        i = editor.find("metadata", 1)
        return editor.replace_frame_data(i, editor.frame_data(i) + data).reindex()

    return damage


def _swap_groups(editor: ShardEditor) -> ShardEditor:
    first, second = (editor.find("scan_group", 1, group) for group in (1, 2))
    one, two = editor.frame_data(first), editor.frame_data(second)
    return editor.replace_frame_data(second, one).replace_frame_data(first, two).reindex()


def _other_group(editor: ShardEditor) -> ShardEditor:
    (data,) = editor.frame("scan_group", 1, 2).features["pcr/data"]
    assert isinstance(data, bytes)
    editor.rewrite("scan_group", {"pcr/data": [data[::-1]]}, record=1, group=2)
    return editor.reindex(group_checksums=False)


def _bytes_in_a_gap(editor: ShardEditor) -> ShardEditor:
    at = editor.frames()[1].offset
    editor.data = editor.data[:at] + b"between" + editor.data[at:]
    index = at + len(b"between")
    offsets = [index, index + _bytes_of_record_0(editor, index)]
    return _shifted_index(editor, len(b"between"), offsets)


def _bytes_of_record_0(editor: ShardEditor, offset: int) -> int:
    """Bytes of record 0, which begins at `offset`."""
    size = 0
    for _ in range(GROUPS + 1):
        frame = reference.read_frame(editor.data, offset + size, reference.Place(NAME, byte=0))
        size += frame.size
    return size


def _shifted_index(editor: ShardEditor, shift: int, offsets: list[int]) -> ShardEditor:
    """The index, of a file whose frames cannot be walked, with other offsets."""
    begin = len(editor.data) - reference.FOOTER_FRAME_BYTES
    sound = ShardEditor(files.read(f"valid/{files.MADE_FROM}"))
    footer = sound.footer_fields()
    tail = ShardEditor(editor.data[begin - footer.index_size :])
    frames = tail.rewrite("index", {"pcr/record_offsets": offsets}).frames()
    checksums = [frame.checksum for frame in sound.frames()[:-2]]
    made = dataclasses.replace(
        footer,
        index_offset=begin - footer.index_size,
        index_size=frames[0].size,
        index_checksum=frames[0].checksum,
        contents_checksum=reference.crc32c(
            b"".join(value.to_bytes(4, "little") for value in [*checksums, frames[0].checksum])
        ),
    )
    index = tail.data[: frames[0].end]
    editor.data = editor.data[: begin - footer.index_size] + index + made.frame()
    return editor


def _begins_in_the_header(editor: ShardEditor) -> ShardEditor:
    """Moves record 0 into the header: the frame before it is as long as half of the header."""
    header = editor.frames()[0]
    half = header.size // 2
    return _index(record_offsets=lambda v: [v[0] - half, *v[1:]])(editor)


def _as_1_0(editor: ShardEditor) -> ShardEditor:
    for kind in ("header", "index"):
        editor.rewrite(kind, {"pcr/version": [1, 0]})
    return editor.set_footer(version=(1, 0)).refoot()


def _an_example_less(editor: ShardEditor) -> ShardEditor:
    """Record 1 has one example, and the index has three as before."""
    _metadata(examples=[b""], image_counts=[4])(editor)
    _index(example_counts=lambda v: [v[0], 3])(editor)
    return editor.set_footer(num_examples=11)


def _same(editor: ShardEditor) -> ShardEditor:
    return editor


# The feature pcr/codings once more, of which the last counts, with no list in it.
_WITHOUT_LIST = encode_field(1, encode_field(1, encode_field(1, b"pcr/codings") + b"\x12\0"))
METADATA = "record 1, metadata"
ONE, TWO, LAST = (f"record 1, scan group {group}" for group in (1, 2, 3))
HEADER = "header, byte 0: "
INDEX = "index at byte "
FOOTER = "footer at byte "

RULES = [
    Rule(2, "the checksum of a length", _flip("scan_group", 3, 1, 2), READ, TWO, 2),
    Rule(2, "the checksum of data in a record", _flip("metadata", 40, 1), READ, METADATA),
    Rule(2, "the checksum of data in the header", _flip("header", 40), WHOLE, HEADER),
    Rule(2, "the checksum of data in the index", _flip("index", 40), OPEN, "index: byte "),
    Rule(2, "the checksum of the footer", _flip("footer", -9), OPEN, "no footer: byte "),
    Rule(2, "a length below 2^31", _index(frame_sizes=lambda v: [2**31 + 16, *v[1:]]), OPEN, INDEX),
    Rule(2, "nothing after the last frame", lambda e: e.append(b"\0"), OPEN, "no footer: byte "),
    Rule(2, "nothing between frames", _bytes_in_a_gap, WHOLE, "gap before record 0, metadata"),
    Rule(3, "no feature is missing in a record", _metadata(codings=None), READ, METADATA),
    Rule(3, "no feature is missing in the header", _header(created_by=None), WHOLE, HEADER),
    Rule(3, "no feature is missing in the index", _index_without("created_by"), OPEN, INDEX),
    Rule(3, "no feature has another kind of list", _metadata(codings=[b"0"]), READ, METADATA),
    Rule(3, "no feature is without a list", _wire(_WITHOUT_LIST), READ, METADATA),
    Rule(3, "frames hold an Example", _wire(b"\x0a\x7fshort"), READ, METADATA),
    Rule(3, "no groups of protobuf", _wire(b"\x0b\x0c"), READ, METADATA),
    Rule(3, "no tags above 32 bits", _wire(encode_varint(1 << 32 | 8) + b"\0"), READ, METADATA),
    Rule(3, "unknown features are ignored", _metadata(later=[1, 2]), NOBODY),
    Rule(3, "other serializations are accepted", _wire(b"\xf8\x07\x01"), NOBODY),
    Rule(3, "the script is UTF-8", _both_headers(scan_script=[b"\xff"]), OPEN, INDEX),
    Rule(3, "keys are UTF-8", _both_headers(image_features=[b"\xc3"]), OPEN, INDEX),
    Rule(3, "created_by is UTF-8", _both_headers(created_by=[b"\xed\xa0\x80"]), OPEN, INDEX),
    Rule(4, "the footer is the last 127 bytes", lambda e: e.truncate_at(99), OPEN, "a PCR file "),
    Rule(5, "the kind of the header", _header(frame=[b"metadata"]), WHOLE, HEADER),
    Rule(5, "the major version", lambda e: e.set_version(2), OPEN, FOOTER),
    Rule(5, "the major version of the index", _index(version=lambda _: [2, 0]), OPEN, INDEX),
    Rule(5, "the major version of the header", _header(version=[2, 0]), WHOLE, HEADER),
    Rule(5, "no flag is set", _both_headers(flags=[1 << 40]), OPEN, INDEX),
    Rule(5, "a group or more", _index(num_groups=lambda _: [0]), OPEN, INDEX),
    Rule(5, "100 groups or fewer", _index(num_groups=lambda _: [101]), OPEN, INDEX),
    Rule(5, "scans in each group", _both_headers(scans_per_group=[1, 1, 0]), OPEN, INDEX),
    Rule(5, "G counts of scans", _both_headers(scans_per_group=[1, 1]), OPEN, INDEX),
    Rule(5, "image features", _both_headers(image_features=[]), OPEN, INDEX),
    Rule(5, "distinct keys", _both_headers(image_features=[b"a", b"a"]), OPEN, INDEX),
    Rule(5, "no empty key", _both_headers(image_features=[b""]), OPEN, INDEX),
    Rule(5, "the header's script is the index's", _header(scan_script=[b"0"]), WHOLE, HEADER),
    Rule(6, "the kind of the metadata", _metadata(frame=[b"header"]), READ, METADATA),
    Rule(6, "the record of the metadata", _metadata(record=[0]), READ, METADATA),
    Rule(6, "an example or more", _metadata(examples=[]), READ, METADATA),
    Rule(6, "N F counts of images", _metadata(image_counts=[1, 1, 2, 0]), READ, METADATA),
    Rule(6, "counts add up to M", _metadata(image_counts=[1, 1, 1]), READ, METADATA),
    Rule(6, "no negative count", _metadata(image_counts=[-1, 1, 4]), READ, METADATA),
    Rule(6, "codings are known", _metadata(codings=[2, 0, 0, 0]), READ, METADATA),
    Rule(6, "G M slices", _edit_metadata("slice_sizes", lambda v: v[1:]), READ, METADATA),
    Rule(
        6,
        "slices fit, in groups that are not read, too",
        _edit_metadata("slice_sizes", lambda v: [*v[:-1], MAX_INT]),
        READ,
        METADATA,
    ),
    Rule(6, "M offsets", _edit_metadata("ancillary_offsets", lambda v: v[1:]), READ, METADATA),
    Rule(
        6, "M ancillary sizes", _edit_metadata("ancillary_sizes", lambda v: v * 2), READ, METADATA
    ),
    Rule(6, "M trailing sizes", _metadata(trailing_sizes=[0]), READ, METADATA),
    Rule(
        6,
        "group checksums are below 2^32",
        lambda e: e.rewrite("metadata", {"pcr/group_checksums": [2**32] * 3}, record=1).reindex(
            group_checksums=False
        ),
        READ,
        METADATA,
    ),
    Rule(6, "orientations are 0 or 2 to 8", _metadata(orientations=[0, 0, 1, 0]), READ, METADATA),
    Rule(6, "M orientations", _metadata(orientations=[0]), READ, METADATA),
    Rule(6, "orientations are ints", _metadata(orientations=[b"6"]), READ, METADATA),
    Rule(6, "an opaque image has none", _metadata(orientations=[6, 0, 6, 0]), READ, METADATA),
    Rule(6, "nor has one without EXIF", _metadata(orientations=[0, 6, 6, 0]), READ, METADATA),
    Rule(6, "the kind of a group", _group(2, frame=[b"index"]), READ, TWO, 2),
    Rule(6, "the record of a group", _group(2, record=[0]), READ, TWO, 2),
    Rule(6, "the number of a group", _swap_groups, READ, "record 1, "),
    Rule(6, "the size of a group's data", _group(2, data=[b"longer" * 99]), READ, TWO, 2),
    Rule(6, "an ancillary stream in group G", _group(3, ancillary=None), READ, LAST, 3),
    Rule(6, "one in another group is ignored", _group(1, ancillary=[b"?"]), NOBODY),
    Rule(6, "a zlib stream", _stream(lambda s: b"?" + s[1:]), READ, LAST, 3),
    Rule(6, "a whole stream", _stream(lambda s: s[:-1]), READ, LAST, 3),
    Rule(6, "nothing behind the stream", _stream(lambda s: s + b"?"), READ, LAST, 3),
    Rule(6, "a stream of that size", _stream(lambda _: zlib.compress(bytes(9))), READ, LAST, 3),
    Rule(
        6,
        "no stream where it holds nothing",
        lambda e: e.rewrite(
            "scan_group", {"pcr/ancillary": [zlib.compress(b"")]}, record=0, group=2
        ).reindex(),
        READ,
        "record 0, scan group 2, byte ",
        2,
        "without_ancillary.pcr",
    ),
    Rule(6, "1032 times a stream", _metadata(trailing_sizes=[0, 1 << 30, 0, 0]), READ, LAST, 3),
    Rule(6, "2^31 - 1 bytes", _metadata(trailing_sizes=[0, 1 << 31, 0, 0]), READ, METADATA),
    Rule(7, "records apart", _index(record_offsets=lambda v: [v[0], v[1] - 1]), OPEN, INDEX),
    Rule(7, "records in order", _index(record_offsets=lambda v: v[::-1]), OPEN, INDEX),
    Rule(7, "records before the index", _index(record_offsets=lambda v: [v[0], MAX_INT]), OPEN),
    Rule(7, "frames of 16 bytes", _index(frame_sizes=lambda v: [15, *v[1:]]), OPEN, INDEX),
    Rule(7, "R (G + 1) frame sizes", _index(frame_sizes=lambda v: v[1:]), OPEN, INDEX),
    Rule(7, "R example counts", _index(example_counts=lambda v: v[1:]), OPEN, INDEX),
    Rule(7, "examples in a record", _index(example_counts=lambda v: [0, v[0] + v[1]]), OPEN, INDEX),
    Rule(7, "checksums", _index(metadata_checksums=lambda v: [v[0], v[1] + 2**32]), OPEN, INDEX),
    Rule(7, "gaps are accepted", _same, NOBODY, base="gaps.pcr"),
    Rule(7, "no gaps in 1.0", _as_1_0, WHOLE, "record 0, metadata, byte ", base="gaps.pcr"),
    Rule(
        7,
        "gaps are whole frames",
        lambda e: e.flip(e.frames()[1].offset),
        WHOLE,
        "gap before record 0, metadata, byte ",
        base="gaps.pcr",
    ),
    Rule(7, "no record in the header", _begins_in_the_header, READ, "record 0, metadata"),
    Rule(8, "the magic", _footer(magic=b"\x89PNG\r\n\x1a\n"), OPEN, FOOTER),
    Rule(8, "flags", _footer(flags=1), OPEN, FOOTER),
    Rule(8, "the index ends at the footer", _footer(index_offset=16), OPEN, FOOTER),
    Rule(8, "the index's checksum", _footer(index_checksum=1), OPEN, INDEX),
    Rule(8, "the number of records", _footer(num_records=3), OPEN, INDEX),
    Rule(8, "the number of examples", _footer(num_examples=3), OPEN, INDEX),
    Rule(8, "reserved bytes are ignored", _footer(reserved=2**64 - 1), NOBODY),
    Rule(8, "the footer's version is the index's", _footer(version=(1, 2)), WHOLE, HEADER),
    Rule(8, "the header's version is the index's", _header(version=[1, 2]), WHOLE, HEADER),
    Rule(8, "the contents checksum", _footer(contents_checksum=1), WHOLE, "footer: contents"),
    Rule(
        9,
        "the metadata are the index's",
        _index(metadata_checksums=lambda v: [v[0], v[1] ^ 1]),
        READ,
        METADATA,
    ),
    Rule(9, "the groups are the metadata's", _other_group, READ, TWO, 2),
    Rule(
        9,
        "examples as the index has them",
        _an_example_less,
        READ,
        METADATA,
    ),
    Rule(10, "an opaque image is slice 1", _metadata(codings=[1, 1, 0, 0]), READ, METADATA),
    Rule(10, "an offset from 2", _metadata(ancillary_offsets=[0, 1, 2, 2]), READ, METADATA),
    Rule(10, "an offset in slice 1", _metadata(ancillary_offsets=[0, 99999, 2, 2]), READ, METADATA),
    Rule(10, "that of an opaque one", _metadata(ancillary_offsets=[9, 2, 2, 2]), NOBODY),
    Rule(10, "SOI", files.no_soi, READ, ONE),
    Rule(12, "the script is valid", _both_headers(scan_script=[b"0: 0-0, 0, 0;"]), WHOLE, HEADER),
    Rule(12, "scans as in the script", _both_headers(scans_per_group=[2, 1, 2]), WHOLE, HEADER),
]


def made(rule: Rule) -> bytes:
    return rule.damage(ShardEditor(files.read(f"valid/{rule.base}"))).data


def opens(data: bytes, scan_groups: int, name: str) -> list[bytes]:
    open_index(data, name)
    return []


def reference_opens(data: bytes, scan_groups: int, name: str) -> list[bytes]:
    reference.read_index(data, name)
    return []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.section}: {rule.text}")
def test_a_rule_is_checked_by_those_who_have_its_bytes(rule: Rule, tmp_path: pathlib.Path) -> None:
    data = made(rule)
    for read in (opens, reference_opens):
        assert bool(outcome(read, data, 1, NAME).code) == (rule.found == OPEN)
    for read in (native_examples, reference_examples):
        groups = reference.read_index(data, NAME)[0].header.num_groups if rule.found != OPEN else 1
        for g in range(1, groups + 1):
            refused = rule.found == OPEN or (rule.found == READ and g >= rule.fidelity)
            found = outcome(read, data, g, NAME)
            assert bool(found.code) == refused, found.text
            if refused:
                assert found.text.startswith(f"{NAME}: ")
                if read is native_examples:
                    assert found.text.startswith(f"{NAME}: {rule.place}"), found.text

    whole = outcome(lambda d, g, n: reference.read_shard(d, n).examples(g), data, 1, NAME)
    assert bool(whole.code) == (rule.found != NOBODY), whole.text
    path = tmp_path / NAME
    path.write_bytes(data)
    faults = [fault for fault in verify_dataset(path) if ": decodes at " not in fault]
    assert bool(faults) == (rule.found != NOBODY), faults
    if faults:
        assert any(fault.startswith(f"{path}: {rule.place}") for fault in faults), faults


def test_every_section_that_binds_readers_has_rules() -> None:
    assert {rule.section for rule in RULES} == {*range(2, 13)} - {11}


# --- 11. Side index ----------------------------------------------------------

SHARDS = [(name, files.read(f"valid/{files.MADE_FROM}")) for name in ("a.pcr", "b/c.pcr")]
SIDE = writer.build_side_index(
    SHARDS,
    dataclasses.replace(
        writer.Layout((1, 1, 3), ("image",), THREE_GROUPS), created_by=files.CREATED_BY
    ),
)
SIDE_RULES: dict[str, dict[str, list[Any]]] = {
    "a name that is empty": {"shard_names": [b"", b"b"]},
    "a name that is absolute": {"shard_names": [b"/a", b"b"]},
    "a name that leads up": {"shard_names": [b"a", b"x/../../b"]},
    "a name with NUL": {"shard_names": [b"a\0", b"b"]},
    "a name with a scheme": {"shard_names": [b"s3://a", b"b"]},
    "names as sizes": {"shard_names": [b"a"]},
    "a negative size": {"shard_sizes": [-1, 9]},
    "a size below its records": {"shard_sizes": [400, 99999]},
    "a footer checksum of 33 bits": {"footer_checksums": [2**32, 1]},
    "more records than there are": {"shard_records": [2, 3]},
    "fewer records than there are": {"shard_records": [2, 1]},
    "a metadata checksum of 33 bits": {"metadata_checksums": [1, 2, 3, 2**32]},
    "another kind": {"frame": [b"index"]},
    "another major version": {"version": [2, 0]},
    "a script that is not UTF-8": {"scan_script": [b"\xff"]},
}


def side_outcomes(data: bytes) -> list[str]:
    """The codes of both implementations."""

    def natively(data: bytes, scan_groups: int, name: str) -> list[bytes]:
        _native.DatasetIndex.from_bytes(name, data)
        return []

    def plainly(data: bytes, scan_groups: int, name: str) -> list[bytes]:
        reference.read_side_index(data, name)
        return []

    return [outcome(parse, data, 1, NAME).code for parse in (natively, plainly)]


def test_a_sound_side_index_is_read() -> None:
    assert side_outcomes(SIDE) == ["", ""]


@pytest.mark.parametrize("what", SIDE_RULES)
def test_a_side_index_that_breaks_a_rule_is_refused_by_both(what: str) -> None:
    changes = {f"pcr/{key}": values for key, values in SIDE_RULES[what].items()}
    first, second = side_outcomes(ShardEditor(SIDE).rewrite("dataset_index", changes).data)
    assert first == second != ""


def test_names_of_shards_are_bytes_and_need_not_be_utf8() -> None:
    names = {"pcr/shard_names": [b"photos-\xff.pcr", "ü.pcr".encode("latin-1")]}
    assert side_outcomes(ShardEditor(SIDE).rewrite("dataset_index", names).data) == ["", ""]
