"""The two implementations hold each other to docs/FORMAT.md.

Files of the native writer are read by the reference, files of the reference
writer by the native reader, and damaged files by both: they agree on every byte
of every example, and on what to refuse.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
import pathlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage

from pcr_tf import _native
from pcr_tf.format import reference
from tests import reference_writer as writer
from tests.damage import ShardEditor
from tests.native_reader import native_examples, outcome, reference_examples
from tests.reference_writer import Example, Image, Layout, build_shard, expected_example

SCRIPTS = pathlib.Path(__file__).parent.parent / "configs" / "scan_scripts"

# --- what is drawn -----------------------------------------------------------

FEATURE_KEYS = ["image", "image/encoded", "links/Bild", "左", "x" * 130]
HOSTILE_INTS = [0, 1, 2, 127, 128, 2**16, 2**31, 2**32, 2**48, 2**62, 2**63 - 1, -1, -(2**63)]


def stored_examples() -> st.SearchStrategy[bytes]:
    """Serialized tf.train.Examples without images."""
    entries = st.one_of(
        st.builds(
            writer.int_feature,
            st.sampled_from(["label", "id"]),
            st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
        ),
        st.builds(
            writer.bytes_feature,
            st.sampled_from(["text", "image/other"]),
            st.lists(st.binary(max_size=9), max_size=3),
        ),
    )
    return st.one_of(st.just(b""), st.lists(entries, max_size=3).map(writer.serialize))


def images(groups: int) -> st.SearchStrategy[Image]:
    def progressive(
        scans: list[bytes], ancillary: bytes, offset: int, trailing: bytes, orientation: int
    ) -> Image:
        first = writer.SOI + scans[0]
        return Image(
            (first, *scans[1:]),
            ancillary=ancillary,
            ancillary_offset=2 + offset % (len(first) - 1),
            trailing=trailing,
            orientation=orientation if ancillary else 0,
        )

    pieces = st.binary(max_size=40)
    orientations = st.sampled_from([0, *range(2, 9)])
    scans = st.lists(pieces, min_size=groups, max_size=groups)
    return st.one_of(
        st.builds(progressive, scans, pieces, st.integers(0, 100), pieces, orientations),
        st.builds(Image.opaque, st.binary(max_size=300), st.just(groups)),
    )


@dataclasses.dataclass(frozen=True)
class Shard:
    layout: Layout
    records: list[list[Example]]

    @functools.cached_property
    def data(self) -> bytes:
        return build_shard(self.records, self.layout)

    def expected(self, scan_groups: int) -> list[bytes]:
        return [
            expected_example(example, self.layout, scan_groups)
            for record in self.records
            for example in record
        ]


@st.composite
def shards(draw: st.DrawFn, max_records: int = 3) -> Shard:
    groups = draw(st.sampled_from([1, 2, 3, 10]))
    keys = draw(st.lists(st.sampled_from(FEATURE_KEYS), min_size=1, max_size=3, unique=True))
    image_lists = st.lists(images(groups), max_size=3)
    examples = st.builds(
        Example, stored_examples(), st.dictionaries(st.sampled_from(keys), image_lists)
    )
    records = draw(st.lists(st.lists(examples, min_size=1, max_size=4), max_size=max_records))
    return Shard(Layout.of(groups, keys), records)


def encoded_image(size: tuple[int, int], mode: str, form: str, **options: Any) -> bytes:
    """A small picture of a gradient in some encoding."""
    picture = PillowImage.radial_gradient("L").resize(size).convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def encoded_images() -> st.SearchStrategy[bytes]:
    sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))
    jpegs = st.builds(
        functools.partial(encoded_image, form="JPEG"),
        sizes,
        st.sampled_from(["L", "RGB", "CMYK"]),
        quality=st.sampled_from([30, 75, 95]),
        progressive=st.booleans(),
        comment=st.binary(max_size=30),
    )
    pngs = st.builds(functools.partial(encoded_image, form="PNG"), sizes, st.sampled_from(["L"]))
    with_trailer = st.builds(lambda jpeg, tail: jpeg + tail, jpegs, st.binary(max_size=20))
    return st.one_of(jpegs, with_trailer, pngs, st.binary(max_size=50))


# --- agreement on sound files ------------------------------------------------


@given(shards())
def test_the_native_reader_reads_what_the_reference_writes(shard: Shard) -> None:
    for g in range(1, shard.layout.groups + 1):
        assert native_examples(shard.data, g) == shard.expected(g)
        assert reference.read_shard(shard.data, "a.pcr").examples(g) == shard.expected(g)


@st.composite
def source_records(draw: st.DrawFn) -> tuple[list[str], list[list[bytes]]]:
    """Image features, and serialized tf.train.Examples with their images in records."""
    keys = draw(st.lists(st.sampled_from(FEATURE_KEYS), min_size=1, max_size=2, unique=True))
    labels = st.builds(writer.int_feature, st.just("label"), st.lists(st.integers(0, 9)))
    fields = st.lists(
        st.one_of(
            labels,
            st.builds(
                writer.bytes_feature, st.sampled_from(keys), st.lists(encoded_images(), max_size=2)
            ),
        ),
        max_size=3,
    )
    examples = st.lists(fields.map(writer.serialize), min_size=1, max_size=3)
    return keys, draw(st.lists(examples, min_size=1, max_size=2))


def write_natively(keys: list[str], records: list[list[bytes]], script: str) -> bytes:
    shard = _native.ShardWriter(_native.ScanScript(script), keys, "test")
    data = shard.header()
    for record in records:
        for example in record:
            shard.add_example(example)
        data += shard.end_record()
    return data + shard.finish()


@given(source_records(), st.sampled_from([1, 3, 8]))
def test_the_reference_reads_what_the_native_writer_writes(
    source: tuple[list[str], list[list[bytes]]], groups: int
) -> None:
    keys, records = source
    data = write_natively(keys, records, writer.script_of(groups))
    shard = reference.read_shard(data, "a.pcr")
    for g in range(1, groups + 1):
        assert native_examples(data, g) == shard.examples(g)


@given(source_records())
def test_equal_input_gives_equal_bytes(source: tuple[list[str], list[list[bytes]]]) -> None:
    keys, records = source
    script = writer.script_of(3)
    assert write_natively(keys, records, script) == write_natively(keys, records, script)


@given(source_records())
def test_the_native_writer_lays_frames_out_as_the_reference_writer_does(
    source: tuple[list[str], list[list[bytes]]],
) -> None:
    keys, records = source
    data = write_natively(keys, records, writer.script_of(3))
    shard = reference.read_shard(data, "a.pcr")
    # Another zlib may find other matches.
    streams = {
        b"".join(itertools.chain(*record.ancillary)): record.ancillary_stream
        for record in shard.records
    }
    layout = dataclasses.replace(Layout.of(3, keys), created_by="test", deflate=streams.__getitem__)
    rebuilt = [_examples_of(record, layout) for record in shard.records]
    assert build_shard(rebuilt, layout) == data


def _examples_of(record: reference.Record, layout: Layout) -> list[Example]:
    """What the reference writer takes, out of what the reference reader found."""
    found: list[dict[str, list[Image]]] = [{} for _ in record.metadata.examples]
    for m, entry in enumerate(record.metadata.images):
        scans = tuple(group[m] for group in record.slices)
        ancillary, trailing = record.ancillary[m]
        image = Image(
            scans, entry.coding, ancillary, entry.ancillary_offset, trailing, entry.orientation
        )
        key = layout.image_features[entry.feature]
        found[entry.example].setdefault(key, []).append(image)
    return [
        Example(stored, lists)
        for stored, lists in zip(record.metadata.examples, found, strict=True)
    ]


@given(shards(max_records=2), shards(max_records=2))
def test_both_read_and_write_the_same_side_index(a: Shard, b: Shard) -> None:
    second = build_shard(b.records if b.layout == a.layout else [], a.layout)
    named = [("a.pcr", a.data), ("dir/b.pcr", second)]
    made = writer.build_side_index(named, a.layout)
    indexes = [(name, _native.ShardIndex.from_tail(name, data, len(data))) for name, data in named]
    native = _native.DatasetIndex.from_shards(indexes)  # type: ignore[arg-type]
    assert native.to_bytes() == made
    again = _native.DatasetIndex.from_bytes("dataset.pcr-index", made)
    side = reference.read_side_index(made)
    assert [again.shard(s)[0] for s in range(again.num_shards)] == [s.name for s in side.shards]
    r = 0
    for s, entry in enumerate(side.shards):
        for record in entry.records:
            there = again.record(r)
            assert (there.shard, there.ordinal) == (s, record.ordinal)
            assert (there.offset, there.frame_sizes) == (record.offset, list(record.frame_sizes))
            for g in range(1, a.layout.groups + 1):
                expected = (s, *reference.prefix_range(side.shard_index(s), record.ordinal, g))
                assert again.prefix(r, g) == expected
            r += 1
    assert again.num_records == r


# --- agreement on damage -----------------------------------------------------


def check_agreement(data: bytes, groups: int) -> None:
    """Both return the same examples, or both refuse, at every fidelity."""
    for g in range(1, groups + 1):
        native = outcome(native_examples, data, g)
        plain = outcome(reference_examples, data, g)
        assert native.examples == plain.examples, (native.text, plain.text)
        assert bool(native.code) == bool(plain.code), (native.text, plain.text)
        if native.code:
            assert native.text.startswith("a.pcr: ")


@given(shards(), st.data())
def test_files_with_flipped_bits_or_cut_short_have_equal_fates(
    shard: Shard, draw: st.DataObject
) -> None:
    editor = ShardEditor(shard.data)
    for _ in range(draw.draw(st.integers(1, 2))):
        editor.flip(draw.draw(st.integers(0, len(editor.data) - 1)), draw.draw(st.integers(0, 7)))
    if draw.draw(st.booleans()):
        editor.truncate_at(draw.draw(st.integers(0, len(editor.data))))
    check_agreement(editor.data, shard.layout.groups)


@given(shards(), st.data())
def test_frames_with_other_bytes_and_right_checksums_have_equal_fates(
    shard: Shard, draw: st.DataObject
) -> None:
    editor = ShardEditor(shard.data)
    i = draw.draw(st.integers(0, len(editor.frames()) - 2))
    contents = bytearray(editor.frame_data(i))
    for _ in range(draw.draw(st.integers(1, 3))):
        contents[draw.draw(st.integers(0, len(contents) - 1))] = draw.draw(st.integers(0, 255))
    kind = editor.frames()[i].kind
    editor.replace_frame_data(i, bytes(contents))
    if kind == "index":
        editor.refoot()
    else:
        editor.reindex(group_checksums=kind == "scan_group")
    check_agreement(editor.data, shard.layout.groups)


@given(shards(), st.data())
def test_frames_with_hostile_numbers_have_equal_fates(shard: Shard, draw: st.DataObject) -> None:
    editor = ShardEditor(shard.data)
    i = draw.draw(st.integers(1, len(editor.frames()) - 2))
    frame = editor.frames()[i]
    int_keys = sorted(
        key for key, values in frame.features.items() if any(isinstance(v, int) for v in values)
    )
    key = draw.draw(st.sampled_from(int_keys))
    values = [value for value in frame.features[key] if isinstance(value, int)]
    at = draw.draw(st.integers(0, len(values)))
    hostile = draw.draw(st.sampled_from([None, *HOSTILE_INTS]))
    # One value becomes another, goes, or comes.
    values[at : at + 1] = [] if hostile is None else [hostile]
    editor.rewrite_frame(i, {key: values})
    if frame.kind == "index":
        editor.refoot()
    else:
        editor.reindex(group_checksums=key != "pcr/group_checksums")
    check_agreement(editor.data, shard.layout.groups)


# --- scan scripts ------------------------------------------------------------


def check_scripts_agree(text: str) -> None:
    try:
        expected = list(reference.parse_scan_script(text).scans_per_group)
    except reference.FormatError:
        with pytest.raises(ValueError, match=r"scan script, line \d+: "):
            _native.ScanScript(text)
    else:
        assert _native.ScanScript(text).scans_per_group == expected


TOKENS = [*"0123456789", "63", ",", "-", ":", ";", " ", "\n", "#", "# group\n", "group", "\t", "x"]


@given(st.lists(st.sampled_from(TOKENS), max_size=30).map("".join))
def test_both_parse_scripts_of_any_text_alike(text: str) -> None:
    check_scripts_agree(text)


@given(st.integers(1, 20), st.data())
def test_both_parse_scripts_with_an_edit_alike(groups: int, draw: st.DataObject) -> None:
    text = writer.script_of(groups)
    begin = draw.draw(st.integers(0, len(text)))
    end = draw.draw(st.integers(begin, min(len(text), begin + 4)))
    check_scripts_agree(text[:begin] + draw.draw(st.sampled_from(["", *TOKENS])) + text[end:])


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*")), ids=lambda path: path.name)
def test_both_parse_the_scripts_that_are_shipped(path: pathlib.Path) -> None:
    text = path.read_text()
    script = reference.parse_scan_script(text)
    assert _native.ScanScript(text).scans_per_group == list(script.scans_per_group)
