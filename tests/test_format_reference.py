"""The reference reader against files from the reference writer: no native module, no JPEG."""

from __future__ import annotations

import dataclasses
import pathlib
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from pcr_tf.format import open_dataset, reference, write_side_index
from pcr_tf.format.reference import FormatError, Scan, parse_scan_script, read_shard
from pcr_tf.format.verify import verify_dataset
from tests import reference_writer as writer
from tests.damage import ShardEditor, Values
from tests.reference_writer import Example, Image, Layout, build_shard, expected_example

LABEL = writer.serialize([writer.int_feature("label", [3])])


def image(seed: int, groups: int, **kwargs: Any) -> Image:
    """An image whose slices tell from which image and group they came."""
    scans = [bytes([seed, g]) * (seed + g) for g in range(1, groups + 1)]
    return Image((writer.SOI + scans[0], *scans[1:]), **kwargs)


def mixed_records(groups: int) -> list[list[Example]]:
    """Two records with every kind of image, of the features `left` and `right`."""
    plain = Example(LABEL, {"left": [image(1, groups)], "right": [image(2, groups)]})
    several = Example(b"", {"left": [image(3, groups), image(4, groups)]})
    none = Example(writer.serialize([writer.bytes_feature("left", [])]), {})
    kept = Image.opaque(b"\x89PNG, whole", groups)
    wordy = image(
        5, groups, ancillary=b"\xff\xe1\x00\x04ab", ancillary_offset=3, trailing=b"garbage"
    )
    return [[plain, several], [none, Example(LABEL, {"right": [kept, wordy]})]]


def check_round_trip(records: list[list[Example]], layout: Layout) -> reference.ReferenceShard:
    shard = read_shard(build_shard(records, layout), "a.pcr")
    for g in range(1, layout.groups + 1):
        expected = [expected_example(example, layout, g) for each in records for example in each]
        assert shard.examples(g) == expected
    return shard


# --- round trips -------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 2, 3, 10, 64])
def test_examples_of_several_image_features_return_at_every_fidelity(groups: int) -> None:
    check_round_trip(mixed_records(groups), Layout.of(groups, ["left", "right"]))


def test_a_file_without_records_is_valid() -> None:
    shard = check_round_trip([], Layout.of(3))
    assert shard.records == ()
    assert shard.examples(2) == []


def test_a_record_without_images_is_valid() -> None:
    check_round_trip([[Example(LABEL), Example(b"")]], Layout.of(4))


def test_a_record_of_a_thousand_examples_keeps_their_order() -> None:
    groups = 2
    examples = [
        Example(
            writer.serialize([writer.int_feature("id", [n])]),
            {"image": [image(n % 7 + 1, groups)] * (n % 3)},
        )
        for n in range(1000)
    ]
    check_round_trip([examples], Layout.of(groups))


def test_images_are_listed_with_example_feature_and_coding() -> None:
    layout = Layout.of(3, ["left", "right"])
    shard = read_shard(build_shard(mixed_records(3), layout), "a.pcr")
    listed = shard.images(1, 1)
    assert [(n, key, coding.name) for n, key, coding, _ in listed] == [
        (1, b"right", "OPAQUE"),
        (1, b"right", "PROGRESSIVE"),
    ]
    assert listed[0][3] == b"\x89PNG, whole"
    assert listed[1][3] == writer.SOI + b"\x05\x01" * 6 + writer.EOI


def test_ancillary_and_trailing_bytes_return_at_full_fidelity_only() -> None:
    layout = Layout.of(2)
    wordy = Image((b"\xff\xd8SCAN1", b"SCAN2"), ancillary=b"<exif>", trailing=b"tail")
    shard = read_shard(build_shard([[Example(b"", {"image": [wordy]})]], layout), "a.pcr")
    assert shard.images(0, 1)[0][3] == b"\xff\xd8SCAN1\xff\xd9"
    assert shard.images(0, 2)[0][3] == b"\xff\xd8<exif>SCAN1SCAN2\xff\xd9tail"


def test_an_opaque_image_is_whole_at_every_fidelity() -> None:
    layout = Layout.of(3)
    records = [[Example(b"", {"image": [Image.opaque(b"anything", 3)]})]]
    shard = read_shard(build_shard(records, layout), "a.pcr")
    assert {shard.images(0, g)[0][3] for g in (1, 2, 3)} == {b"anything"}


def test_an_empty_opaque_image_is_valid() -> None:
    check_round_trip([[Example(b"", {"image": [Image.opaque(b"", 2)]})]], Layout.of(2))


def test_an_empty_group_of_an_image_is_valid() -> None:
    grey = Image((writer.SOI + b"DC", b"", b""), trailing=b"tail")
    check_round_trip([[Example(LABEL, {"image": [grey]})]], Layout.of(3))


def test_any_valid_serialization_of_the_frames_is_accepted() -> None:
    layout = Layout.of(3, ["left", "right"])
    records = mixed_records(3)
    editor = ShardEditor(build_shard(records, layout))

    def turn_about(kind: str) -> None:
        for i, frame in enumerate(editor.frames()):
            if frame.kind == kind:
                editor.replace_frame_data(i, writer.reserialize(editor.frame_data(i)))

    # What `reindex` rewrites is turned about after it.
    turn_about("header")
    turn_about("scan_group")
    editor.reindex()
    turn_about("metadata")
    editor.reindex(group_checksums=False)
    turn_about("index")
    shard = read_shard(editor.refoot().data, "a.pcr")
    for g in (1, 2, 3):
        expected = [expected_example(example, layout, g) for each in records for example in each]
        assert shard.examples(g) == expected


def test_a_later_minor_version_with_unknown_features_and_gaps_is_read() -> None:
    layout = dataclasses.replace(Layout.of(2, ["left", "right"]), version=(1, 7))
    records = mixed_records(2)
    gap = writer.frame(writer.serialize([writer.bytes_feature("pcr/frame", [b"padding"])]))
    data = build_shard(records, layout, gaps={0: [gap], 1: [gap, gap]})
    shard = read_shard(data, "a.pcr")
    assert shard.header.version == (1, 7)
    assert shard.example(0, 0, 2) == expected_example(records[0][0], layout, 2)


# --- a prefix ----------------------------------------------------------------


def test_a_prefix_is_one_range_and_is_enough() -> None:
    layout = Layout.of(3, ["left", "right"])
    records = mixed_records(3)
    data = build_shard(records, layout)
    index, _ = reference.read_index(data, "a.pcr")
    for r, examples in enumerate(records):
        for g in (1, 2, 3):
            offset, size = reference.prefix_range(index, r, g)
            prefix = data[offset : offset + size]
            record = reference.parse_prefix(prefix, index.header, index.records[r], g, "a.pcr")
            for n, example in enumerate(examples):
                expected = expected_example(example, layout, g)
                assert reference.reassemble_example(record, n, g) == expected


@pytest.mark.parametrize("scan_groups", [-1, 0, 4, 11])
def test_a_fidelity_outside_the_groups_is_the_callers_mistake(scan_groups: int) -> None:
    shard = read_shard(build_shard([[Example()]], Layout.of(3)), "a.pcr")
    with pytest.raises(FormatError, match=rf"expected 1 to 3, got {scan_groups}") as caught:
        shard.examples(scan_groups)
    assert caught.value.code == "INVALID_ARGUMENT"


# --- layout in bytes ---------------------------------------------------------


def test_the_footer_frame_is_127_bytes_and_laid_out_as_written_down() -> None:
    data = build_shard([[Example(LABEL, {"image": [image(1, 2)]})]], Layout.of(2))
    assert reference.FOOTER_FRAME_BYTES == 127
    footer = data[-127:]
    assert footer[:8] == struct.pack("<Q", 111)
    fixed = bytes.fromhex("0a6d0a170a09") + b"pcr/frame" + bytes.fromhex("120a0a080a06")
    fixed += b"footer" + bytes.fromhex("0a520a0a") + b"pcr/footer" + bytes.fromhex("12440a420a40")
    assert footer[12 : 12 + len(fixed)] == fixed
    assert footer[12 + len(fixed) :][:8] == bytes.fromhex("895043520d0a1a0a")


def test_crc32c_gives_the_published_check_values() -> None:
    assert reference.crc32c(b"123456789") == 0xE3069283
    assert reference.crc32c(bytes(32)) == 0x8A9136AA
    assert reference.crc32c(b"\xff" * 32) == 0x62A8AB43


def test_a_stock_tfrecorddataset_walks_the_file_and_every_frame_is_an_example(
    tmp_path: pathlib.Path,
) -> None:
    tf = pytest.importorskip("tensorflow")
    layout = Layout.of(2, ["left", "right"])
    records = mixed_records(2)
    path = tmp_path / "a.pcr"
    path.write_bytes(build_shard(records, layout))
    frames = [
        tf.train.Example.FromString(frame).features.feature
        for frame in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]
    kinds = [frame["pcr/frame"].bytes_list.value[0].decode() for frame in frames]
    record = ["metadata", "scan_group", "scan_group"]
    assert kinds == ["header", *record, *record, "index", "footer"]
    assert list(frames[0]["pcr/version"].int64_list.value) == [1, 1]
    assert frames[0]["pcr/scan_script"].bytes_list.value[0].decode() == layout.scan_script
    stored = [example.stored for example in records[0]]
    assert list(frames[1]["pcr/examples"].bytes_list.value) == stored
    assert list(frames[-2]["pcr/example_counts"].int64_list.value) == [2, 2]


def test_stored_example_and_images_concatenate_to_one_example() -> None:
    tf = pytest.importorskip("tensorflow")
    layout = Layout.of(2, ["left", "right"])
    records = mixed_records(2)
    shard = read_shard(build_shard(records, layout), "a.pcr")
    features = tf.train.Example.FromString(shard.example(0, 0, 2)).features.feature
    assert sorted(features) == ["label", "left", "right"]
    assert list(features["label"].int64_list.value) == [3]
    assert list(features["left"].bytes_list.value) == [records[0][0].images["left"][0].at(2)]


def test_the_reference_needs_neither_tensorflow_nor_the_native_module() -> None:
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('alone', {reference.__file__!r})\n"
        "sys.modules['alone'] = module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "print(module.crc32c(b'123456789'))"
    )
    # -I and -S: no site-packages, no current directory.
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(0xE3069283)


# --- refusals ----------------------------------------------------------------


def small_shard() -> ShardEditor:
    return ShardEditor(build_shard(mixed_records(2), Layout.of(2, ["left", "right"])))


def refusal(editor: ShardEditor) -> FormatError:
    with pytest.raises(FormatError) as caught:
        read_shard(editor.data, "a.pcr")
    assert str(caught.value).startswith("a.pcr: ")
    return caught.value


def test_every_flipped_bit_of_a_file_is_found() -> None:
    data = build_shard([[Example(b"", {"image": [Image((b"\xff\xd8a", b"b"))]})]], Layout.of(2))
    for byte in range(len(data)):
        with pytest.raises(FormatError):
            read_shard(ShardEditor(data).flip(byte, byte % 8).data, "a.pcr")


def test_a_file_cut_anywhere_is_refused() -> None:
    data = build_shard([[Example(b"", {"image": [Image((b"\xff\xd8a", b"b"))]})]], Layout.of(2))
    for size in range(len(data)):
        assert refusal(ShardEditor(data).truncate_at(size)).code == "DATA_LOSS"


def test_a_byte_after_the_footer_is_refused() -> None:
    assert "not a PCR file" in str(refusal(small_shard().append(b"\n")))


def test_an_unknown_major_version_names_the_version_and_the_remedy() -> None:
    error = refusal(small_shard().set_version(2, 1))
    assert error.code == "INVALID_ARGUMENT"
    assert "expected 1, got 2.1; read the file with" in str(error)


@pytest.mark.parametrize("bit", [0, 31])
def test_a_set_flag_is_refused(bit: int) -> None:
    error = refusal(small_shard().set_flags(1 << bit))
    assert error.code == "INVALID_ARGUMENT"
    assert f"expected flags 0, got {1 << bit:#x}" in str(error)


@pytest.mark.parametrize("groups", [0, 101])
def test_a_number_of_groups_outside_1_to_100_is_refused(groups: int) -> None:
    error = refusal(small_shard().rewrite("index", {"pcr/num_groups": [groups]}).refoot())
    assert error.code == "INVALID_ARGUMENT"
    assert f"expected 1 to 100, got {groups}" in str(error)


METADATA_DAMAGE: dict[str, tuple[dict[str, Values | None], str]] = {
    "another record": ({"pcr/record": [5]}, "pcr/record is another record; expected 1, got 5"),
    "no examples": ({"pcr/examples": []}, "pcr/examples has the wrong number"),
    "an example less": ({"pcr/image_counts": [1]}, "pcr/image_counts has the wrong number"),
    "an image more": ({"pcr/image_counts": [0, 0, 1, 2]}, "count the images differently"),
    "a negative count": ({"pcr/image_counts": [0, 0, -1, 3]}, "holds a negative value"),
    "a coding nobody knows": ({"pcr/codings": [2, 0]}, "unknown coding; expected 0 or 1, got 2"),
    "a slice too large": ({"pcr/slice_sizes": [11, 1 << 62, 0, 5]}, "do not fit in its frame"),
    "slices of another size": ({"pcr/slice_sizes": [11, 13, 0, 27]}, "differ in size"),
    "an offset before SOI's end": ({"pcr/ancillary_offsets": [0, 1]}, "expected 2 to 14, got 1"),
    "an offset past group 1": ({"pcr/ancillary_offsets": [0, 15]}, "expected 2 to 14, got 15"),
    "too much ancillary": ({"pcr/ancillary_sizes": [0, 1 << 62]}, "are too many"),
    "too much trailing": ({"pcr/trailing_sizes": [0, 1 << 15]}, "too short for what it holds"),
    "another sum of trailing": ({"pcr/trailing_sizes": [0, 30]}, "sizes of its parts differ"),
    "ancillary of an opaque image": ({"pcr/ancillary_sizes": [1, 6]}, "has bytes outside slice 1"),
    "a missing feature": ({"pcr/codings": None}, "pcr/codings is missing"),
    "a feature of another type": (
        {"pcr/codings": [b"\0", b"\1"]},
        "pcr/codings has the wrong type",
    ),
    "another kind": ({"pcr/frame": [b"scan_group"]}, "expected metadata, got scan_group"),
}


@pytest.mark.parametrize("what", METADATA_DAMAGE)
def test_metadata_that_contradicts_itself_is_named(what: str) -> None:
    features, text = METADATA_DAMAGE[what]
    editor = small_shard()
    editor.rewrite("metadata", features, record=1).reindex()
    error = refusal(editor)
    assert error.code == "DATA_LOSS"
    assert text in str(error)
    assert "record 1" in str(error)


def test_an_index_of_another_conversion_is_found_by_the_metadata_checksum() -> None:
    editor = small_shard()
    there = editor.frame("index").features["pcr/metadata_checksums"]
    editor.rewrite("index", {"pcr/metadata_checksums": [int(there[0]), 7]}).refoot()
    text = str(refusal(editor))
    assert text.startswith(f"a.pcr: record 1, byte {editor.frame('metadata', 1).offset}: ")
    assert text.endswith("index and shard are of different conversions: make the side index again")


def test_a_group_frame_of_another_conversion_is_found_by_its_checksum() -> None:
    editor = small_shard()
    i = editor.find("scan_group", record=0, group=2)
    data = editor.frames()[i].features["pcr/data"][0]
    assert isinstance(data, bytes)
    editor.rewrite_frame(i, {"pcr/data": [data[::-1]]}).reindex(group_checksums=False)
    text = str(refusal(editor))
    assert f"record 0, scan group 2, byte {editor.frames()[i].offset}: " in text
    assert "its checksum is not the metadata frame's" in text


INDEX_DAMAGE: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "records out of order": ("pcr/record_offsets", lambda v: [v[0], v[0]], "begins before the end"),
    "a record past the end": ("pcr/record_offsets", lambda v: [v[0], 1 << 62], "past the end"),
    "a negative offset": ("pcr/record_offsets", lambda v: [-1, v[1]], "holds a negative value"),
    "a record less": ("pcr/record_offsets", lambda v: v[:1], "count the records differently"),
    "a frame too small": ("pcr/frame_sizes", lambda v: [15, *v[1:]], "a size that no frame has"),
    "a size past the end": ("pcr/frame_sizes", lambda v: [2**31 + 15, *v[1:]], "past the end"),
    "a frame of 2 GiB": ("pcr/frame_sizes", lambda v: [2**31 + 16, *v[1:]], "that no frame has"),
    "sizes that overflow": ("pcr/frame_sizes", lambda v: [2**63 - 1] * len(v), "no frame has"),
    "a size less": ("pcr/frame_sizes", lambda v: v[:-1], "wrong number of values"),
    "no examples": ("pcr/example_counts", lambda v: [0, 4], "holds no examples"),
    "an example more": ("pcr/example_counts", lambda v: [v[0], v[1] + 1], "count the examples"),
    "a checksum of 33 bits": ("pcr/metadata_checksums", lambda v: [1 << 32, v[1]], "no checksum"),
    "the header at record 0": ("pcr/record_offsets", lambda v: [0, v[1]], "begins before the end"),
    "another script": ("pcr/scan_script", lambda v: [b"0: 0-0,0,0;"], "header and index differ"),
    "an image feature twice": ("pcr/image_features", lambda v: [v[0], v[0]], "a key twice"),
    "an empty image feature": ("pcr/image_features", lambda v: [v[0], b""], "an empty key"),
    "a group without scans": ("pcr/scans_per_group", lambda v: [0, 1], "without scans"),
    "no image feature": ("pcr/image_features", lambda v: [], "has no values"),
}


@pytest.mark.parametrize("what", INDEX_DAMAGE)
def test_an_index_that_contradicts_its_file_is_named(what: str) -> None:
    key, change, text = INDEX_DAMAGE[what]
    editor = small_shard()
    values = editor.frame("index").features[key]
    editor.rewrite("index", {key: change(values)}).refoot()
    error = refusal(editor)
    assert error.code == "DATA_LOSS"
    assert text in str(error)


FOOTER_DAMAGE: dict[str, tuple[dict[str, object], str]] = {
    "magic": ({"magic": b"\x89PCR\n\r\x1a\n"}, "magic is wrong"),
    "index offset of 2^64-1": ({"index_offset": 2**64 - 1}, "does not end at the footer"),
    "index size of 2^64-1": ({"index_size": 2**64 - 1}, "does not end at the footer"),
    "records": ({"num_records": 2**64 - 1}, "count the records differently; expected 1844"),
    "examples": ({"num_examples": 5}, "count the examples differently; expected 5, got 4"),
    "contents": ({"contents_checksum": 1}, "contents checksum is wrong; expected 0x00000001"),
    "index checksum": ({"index_checksum": 1}, "is not the footer's; expected 0x00000001"),
    "minor": ({"version": (1, 3)}, "header and footer differ in version"),
}


@pytest.mark.parametrize("what", FOOTER_DAMAGE)
def test_a_wrong_footer_is_named(what: str) -> None:
    fields, text = FOOTER_DAMAGE[what]
    error = refusal(small_shard().set_footer(**fields))
    assert error.code == "DATA_LOSS"
    assert text in str(error)


def test_the_reserved_bytes_of_the_footer_are_ignored() -> None:
    read_shard(small_shard().set_footer(reserved=2**64 - 1).data, "a.pcr")


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**31, 2**31 - 1, 1 << 20])
def test_a_hostile_length_of_a_frame_is_refused(length: int) -> None:
    editor = small_shard()
    i = editor.find("scan_group", record=1, group=1)
    place = editor.frames()[i].offset
    text = str(refusal(editor.set_length(i, length)))
    rule = "a frame is too large" if length >= 2**31 else "a frame reaches past the end"
    assert f"record 1, scan group 1, byte {place}: {rule}" in text
    assert f"got {length}" in text


def test_a_frame_that_is_no_example_is_named() -> None:
    editor = small_shard()
    metadata = editor.find("metadata", record=1)
    editor.replace_frame_data(metadata, b"\x0a\xff\xff\xff\xff\x0f").reindex()
    text = str(refusal(editor))
    assert text.startswith(f"a.pcr: record 1, byte {editor.frames()[metadata].offset}: ")
    assert "not part of a serialized tf.train.Example" in text


# --- data sets ---------------------------------------------------------------


def test_a_folder_is_read_in_the_order_of_its_side_index(tmp_path: pathlib.Path) -> None:
    layout = Layout.of(2, ["left", "right"])
    shards = [("b.pcr", build_shard(mixed_records(2), layout)), ("a.pcr", build_shard([], layout))]
    for name, data in shards:
        (tmp_path / name).write_bytes(data)
    names = [pathlib.Path(shard.name).name for shard in reference.read_data_set(tmp_path)]
    assert names == ["a.pcr", "b.pcr"]
    side = writer.build_side_index(shards, layout)
    (tmp_path / reference.SIDE_INDEX_NAME).write_bytes(side)
    names = [pathlib.Path(shard.name).name for shard in reference.read_data_set(tmp_path)]
    assert names == ["b.pcr", "a.pcr"]


def test_names_of_shards_are_bytes_and_hidden_files_are_no_shards(tmp_path: pathlib.Path) -> None:
    layout = Layout.of(2)
    names = ["\U0001f600.pcr", "\udcff.pcr"]  # bytewise; as text the second comes first
    shards = [(name, build_shard([], layout)) for name in names]
    for name, data in shards:
        (tmp_path / name).write_bytes(data)
    (tmp_path / "._\U0001f600.pcr").write_bytes(b"what macOS puts beside a file")

    def read() -> list[str]:
        return [pathlib.Path(shard.name).name for shard in reference.read_data_set(tmp_path)]

    assert read() == names == open_names(tmp_path)
    (tmp_path / reference.SIDE_INDEX_NAME).write_bytes(writer.build_side_index(shards, layout))
    assert read() == names == open_names(tmp_path)


def open_names(folder: pathlib.Path) -> list[str]:
    return [pathlib.Path(path).name for path in open_dataset(folder).paths]


def test_an_empty_folder_is_the_callers_mistake(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FormatError, match="a data set has no shards") as caught:
        reference.read_data_set(tmp_path)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_shards_of_different_scripts_are_named_both(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.pcr").write_bytes(build_shard([], Layout.of(2)))
    (tmp_path / "b.pcr").write_bytes(build_shard([], Layout.of(3)))
    with pytest.raises(FormatError, match=r"b\.pcr: .* pcr/scans_per_group; .*a\.pcr") as caught:
        reference.read_data_set(tmp_path)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_shards_may_differ_in_writer_and_minor_version(tmp_path: pathlib.Path) -> None:
    layout = Layout.of(2)
    later = dataclasses.replace(layout, created_by="another", version=(1, 2))
    (tmp_path / "a.pcr").write_bytes(build_shard([], layout))
    (tmp_path / "b.pcr").write_bytes(build_shard([], later))
    assert len(reference.read_data_set(tmp_path)) == 2


def test_the_version_of_a_side_index_is_the_lowest_of_its_shards(tmp_path: pathlib.Path) -> None:
    layout = Layout.of(2)
    earlier = dataclasses.replace(layout, version=(1, 0))
    shards = [("a.pcr", build_shard([], layout)), ("b.pcr", build_shard([], earlier))]
    for name, data in shards:
        (tmp_path / name).write_bytes(data)
    assert write_side_index(tmp_path).header.version == (1, 0)
    assert len(reference.read_data_set(tmp_path)) == 2
    side = writer.build_side_index(shards, layout)
    (tmp_path / reference.SIDE_INDEX_NAME).write_bytes(side)
    with pytest.raises(FormatError, match="another version than the lowest of its shards"):
        reference.read_data_set(tmp_path)
    assert [fault for fault in verify_dataset(tmp_path) if "pcr-index" in fault]


SIDE_INDEX_DAMAGE: dict[str, tuple[dict[str, Values | None], str]] = {
    "size": ({"pcr/shard_sizes": [1 << 20]}, "another file size"),
    "footer": ({"pcr/footer_checksums": [1]}, "another footer checksum"),
    "checksums": ({"pcr/metadata_checksums": [1, 2]}, "lists other records"),
}


@pytest.mark.parametrize("what", SIDE_INDEX_DAMAGE)
def test_a_side_index_that_disagrees_with_its_shard_names_shard_and_remedy(
    what: str, tmp_path: pathlib.Path
) -> None:
    features, text = SIDE_INDEX_DAMAGE[what]
    layout = Layout.of(2, ["left", "right"])
    shard = build_shard(mixed_records(2), layout)
    (tmp_path / "a.pcr").write_bytes(shard)
    side = ShardEditor(writer.build_side_index([("a.pcr", shard)], layout))
    side.rewrite("dataset_index", features)
    side.save(tmp_path / reference.SIDE_INDEX_NAME)
    with pytest.raises(FormatError, match=rf"a\.pcr: .*{text}.*make the side index again"):
        reference.read_data_set(tmp_path)


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../a.pcr", "x/../../a.pcr", "gs://b/a.pcr"])
def test_a_shard_name_that_leaves_the_folder_is_refused(name: str) -> None:
    layout = Layout.of(2)
    side = writer.build_side_index([("a.pcr", build_shard([], layout))], layout)
    editor = ShardEditor(side).rewrite("dataset_index", {"pcr/shard_names": [name.encode()]})
    with pytest.raises(FormatError, match="leads out of the folder"):
        reference.read_side_index(editor.data)


# --- scan scripts ------------------------------------------------------------

STANDARD = """
# libjpeg's own progression
0,1,2: 0-0, 0, 1;
# group
0: 1-5, 0, 2 ;   # a comment after a scan
2: 1-63, 0, 1;
1: 1-63, 0, 1;
# group
0: 6-63, 0, 2; 0: 1-63, 2, 1;
0,1,2: 0-0, 1, 0;
# group
2: 1-63, 1, 0;
1: 1-63, 1, 0; 0:
  1-63,
  1, 0
"""


def test_group_lines_divide_a_script() -> None:
    script = parse_scan_script(STANDARD)
    assert script.scans_per_group == (1, 3, 3, 3)
    assert script.groups[0] == (Scan((0, 1, 2), 0, 0, 0, 1),)
    assert script.groups[3][-1] == Scan((0,), 1, 63, 1, 0)


def test_without_group_lines_every_scan_is_a_group() -> None:
    text = STANDARD.replace("# group", "# grouped")
    assert parse_scan_script(text).scans_per_group == (1,) * 10


def test_a_greyscale_image_keeps_its_groups() -> None:
    groups = parse_scan_script(STANDARD).adapt([(1, 1)])
    assert [[str(scan) for scan in group] for group in groups] == [
        ["0: 0-0, 0, 1"],
        ["0: 1-5, 0, 2"],
        ["0: 6-63, 0, 2", "0: 1-63, 2, 1", "0: 0-0, 1, 0"],
        ["0: 1-63, 1, 0"],
    ]


def test_a_fourth_component_follows_the_third() -> None:
    groups = parse_scan_script(STANDARD).adapt([(1, 1)] * 4)
    assert [scan.components for scan in groups[0]] == [(0, 1, 2, 3)]
    assert [scan.components for scan in groups[1]] == [(0,), (2,), (3,), (1,)]


def test_more_than_four_components_are_not_interleaved() -> None:
    groups = parse_scan_script(STANDARD).adapt([(1, 1)] * 5)
    assert [scan.components for scan in groups[0]] == [(0,), (1,), (2,), (3,), (4,)]


def test_more_than_ten_blocks_in_an_mcu_are_not_interleaved() -> None:
    script = parse_scan_script(STANDARD)
    assert len(script.adapt([(4, 2), (1, 1), (1, 1)])[0]) == 1
    assert len(script.adapt([(4, 2), (2, 1), (1, 1)])[0]) == 3


REST = "0: 1-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0;"
BAD_SCRIPTS = {
    "nothing": ("# only a comment\n", "holds no scans"),
    "no coefficients": (f"0,1,2;\n{REST}", "line 1: not a scan"),
    "words": (f"0,1,2: 0-0, 0, 0;\nluma: 1-63, 0, 0; {REST}", "line 2: not a scan"),
    "an empty entry": (f"0,1,2: 0-0, 0, 0;;\n{REST}", "line 1: `;` ends a scan"),
    "no DC of luma first": (f"1,2: 0-0, 0, 0;\n0: 0-0, 0, 0; {REST}", "line 1: the first scan"),
    "AC first": (f"0: 1-63, 0, 0;\n0,1,2: 0-0, 0, 0; {REST}", "line 1: the first scan"),
    "a fourth component": (f"0,1,2,3: 0-0, 0, 0;\n{REST}", "line 1: a component does not exist"),
    "components out of order": (f"0,2,1: 0-0, 0, 0;\n{REST}", "line 1: components must ascend"),
    "a component twice": (f"0,1,1,2: 0-0, 0, 0;\n{REST}", "line 1: components must ascend"),
    "DC with AC": (f"0,1,2: 0-5, 0, 0;\n{REST}", "line 1: a DC scan holds DC only"),
    "a band past 63": ("0,1,2: 0-0, 0, 0;\n0: 1-64, 0, 0;", "line 2: a band must lie"),
    "a band backwards": ("0,1,2: 0-0, 0, 0;\n0: 5-1, 0, 0;", "line 2: a band must lie"),
    "AC interleaved": ("0,1,2: 0-0, 0, 0;\n0,1: 1-63, 0, 0;", "line 2: an AC scan names one"),
    "AC before DC": ("0: 0-0, 0, 0;\n1: 1-63, 0, 0;", "line 2: the DC of component 1"),
    "a late first scan": ("0,1,2: 0-0, 1, 0;", "Ah 0, got 1"),
    "a skipped bit": ("0,1,2: 0-0, 0, 2;\n0,1,2: 0-0, 2, 0;", "expected Ah 2, Al 1"),
    "a coefficient twice": (f"0,1,2: 0-0, 0, 0;\n{REST}\n0: 5-5, 0, 0;", "line 3: coefficient 5"),
    "Al too large": ("0,1,2: 0-0, 0, 11;", "line 1: Al is out of range"),
    "a bit never sent": (f"0,1,2: 0-0, 0, 1;\n{REST}", "coefficient 0 of component 0"),
    "a band never sent": ("0,1,2: 0-0, 0, 0;\n0: 1-62, 0, 0;", "63 of component 0 is not"),
    "a component never sent": ("0: 0-0, 0, 0;\n0: 1-63, 0, 0;", "of component 1 is not complete"),
    "an empty group": (f"# group\n0,1,2: 0-0, 0, 0;\n# group\n# group\n{REST}", "line 3: a scan g"),
    "an empty last group": (f"0,1,2: 0-0, 0, 0;\n{REST}\n# group", "line 3: a scan group holds"),
}


@pytest.mark.parametrize("what", BAD_SCRIPTS)
def test_a_bad_script_is_refused_with_its_line(what: str) -> None:
    text, words = BAD_SCRIPTS[what]
    with pytest.raises(FormatError) as caught:
        parse_scan_script(text)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert words in str(caught.value)
    assert str(caught.value).startswith("scan script, line ")
