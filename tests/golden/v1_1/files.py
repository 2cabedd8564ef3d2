"""The golden files of format version 1.1: what each shows, what is wrong, and how it is made."""

from __future__ import annotations

import dataclasses
import io
import pathlib

from PIL import Image as PillowImage

from pcr_tf import _native
from pcr_tf.format import reference
from tests import reference_writer as writer
from tests.damage import ShardEditor
from tests.golden.v1.invalid_files import DATA_LOSS, Damage, Invalid
from tests.golden.v1.valid_files import THREE_GROUPS, Valid, jpeg
from tests.reference_writer import Example, Image, Layout

FOLDER = pathlib.Path(__file__).parent
CREATED_BY = "golden files of format version 1.1"
MADE_FROM = "turned.pcr"

# --- valid -------------------------------------------------------------------


def labelled(label: int, *images: bytes) -> bytes:
    return writer.serialize(
        [writer.int_feature("label", [label]), writer.bytes_feature("image", images)]
    )


def of_orientation(orientation: int) -> bytes:
    exif = PillowImage.Exif()
    exif[0x010E] = "a description"
    exif[0x0112] = orientation
    return jpeg(size=(24, 16), exif=exif.tobytes())


def png() -> bytes:
    out = io.BytesIO()
    PillowImage.new("L", (4, 2)).save(out, "PNG")
    return out.getvalue()


def _turned() -> bytes:
    """Record 0: orientations 1 to 8. Record 1: a PNG, an image without EXIF, two in one example."""
    records = [
        [labelled(n, of_orientation(n)) for n in range(1, 9)],
        [labelled(9, png()), labelled(10, jpeg("L")), labelled(11, of_orientation(6), jpeg())],
    ]
    script = _native.ScanScript(THREE_GROUPS)
    shard = _native.ShardWriter(script, ["image"], CREATED_BY)
    data = shard.header()
    for record in records:
        for serialized in record:
            shard.add_example(serialized)
        data += shard.end_record()
    return data + shard.finish()


def _without_ancillary() -> bytes:
    """A record whose images have neither ancillary nor trailing bytes."""
    images = [Image((b"\xff\xd8 one,", b" two")), Image.opaque(b"as it came", 2)]
    examples = [Example(labelled(n), {"image": [image]}) for n, image in enumerate(images)]
    return writer.build_shard([examples], _layout())


def _layout() -> Layout:
    return dataclasses.replace(Layout.of(2), created_by=CREATED_BY)


def _words(*images: Image) -> list[Example]:
    return [Example(labelled(n), {"image": [image]}) for n, image in enumerate(images)]


def _order_of_the_stream() -> bytes:
    images = [
        Image((b"\xff\xd8 1a", b" 1b"), ancillary=b"<A1>", trailing=b"<T1>"),
        Image((b"\xff\xd8 2a", b" 2b"), trailing=b"<T2>"),
        Image.opaque(b"<opaque>", 2),
        Image((b"\xff\xd8 3a", b" 3b"), ancillary=writer.orientation_segment(3), orientation=3),
    ]
    return writer.build_shard([_words(*images)], _layout())


def _gaps() -> bytes:
    records = [_words(Image((b"\xff\xd8 one,", b" two"))) for _ in range(2)]
    gap = writer.frame(b"what a later writer keeps here")
    made = writer.build_shard(records, _layout(), {0: [gap], 1: [gap, gap]})
    return ShardEditor(made).insert_frame(-2, gap).refoot().data


def _without_orientations() -> bytes:
    image = Image((b"\xff\xd8 one,", b" two"), ancillary=b"<no EXIF>")
    editor = ShardEditor(writer.build_shard([_words(image)], _layout()))
    return editor.rewrite("metadata", {"pcr/orientations": None}).reindex().data


def _in_a_file_of_1_0() -> bytes:
    return ShardEditor(_order_of_the_stream()).set_version(1, 0).data


def _ancillary_in_group_1() -> bytes:
    editor = ShardEditor(_order_of_the_stream())
    return editor.rewrite("scan_group", {"pcr/ancillary": [b"?"]}, group=1).reindex().data


VALID = [
    Valid(MADE_FROM, "orientations 1 to 8; an opaque image, images without EXIF", _turned),
    Valid("order_of_the_stream.pcr", "ancillary and trailing bytes", _order_of_the_stream),
    Valid("without_ancillary.pcr", "an ancillary stream of 0 bytes", _without_ancillary),
    Valid("gaps.pcr", "gaps before the records and before the index", _gaps),
    Valid("without_orientations.pcr", "no pcr/orientations: all are 0", _without_orientations),
    Valid("orientations_in_1_0.pcr", "a file of version 1.0 with orientations", _in_a_file_of_1_0),
    Valid("ancillary_in_group_1.pcr", "pcr/ancillary in another group", _ancillary_in_group_1),
]

# --- invalid -----------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Damaged(Invalid):
    """An invalid file made from another one than MADE_FROM, too."""

    made_from: str = MADE_FROM


def _orientations(*values: int) -> Damage:
    return lambda editor: editor.rewrite(
        "metadata", {"pcr/orientations": list(values)}, record=1
    ).reindex()


def _header(**changes: object) -> Damage:
    """Sets features of header and index alike."""
    features = {f"pcr/{key}": values for key, values in changes.items()}

    def damage(editor: ShardEditor) -> ShardEditor:
        editor.rewrite("header", features)  # type: ignore[arg-type]
        return editor.rewrite("index", features).reindex()  # type: ignore[arg-type]

    return damage


def _header_alone(**changes: object) -> Damage:
    features = {f"pcr/{key}": values for key, values in changes.items()}
    return lambda editor: editor.rewrite("header", features).reindex()  # type: ignore[arg-type]


def no_soi(editor: ShardEditor) -> ShardEditor:
    (data,) = editor.frame("scan_group", 1, 1).features["pcr/data"]
    assert isinstance(data, bytes)
    at = data.rindex(b"\xff\xd8")
    changed = data[:at] + b"\xff\xd9" + data[at + 2 :]
    return editor.rewrite("scan_group", {"pcr/data": [changed]}, record=1, group=1).reindex()


def _stream_of_nothing(editor: ShardEditor) -> ShardEditor:
    stream = {"pcr/ancillary": [bytes.fromhex("789c030000000001")]}
    return editor.rewrite("scan_group", stream, group=2).reindex()


def _checksum_of_33_bits(editor: ShardEditor) -> ShardEditor:
    values = editor.frame("index").features["pcr/metadata_checksums"]
    wide = [value + 2**32 for value in values if isinstance(value, int)]
    return editor.rewrite("index", {"pcr/metadata_checksums": wide}).refoot()


def _as_1_0(editor: ShardEditor) -> ShardEditor:
    for kind in ("header", "index"):
        editor.rewrite(kind, {"pcr/version": [1, 0]})
    return editor.set_footer(version=(1, 0)).refoot()


RECORD_1 = ("record 1", "byte ")
GROUP_1 = (*RECORD_1, "scan group 1")

INVALID = [
    Damaged(
        "orientation_1.pcr",
        "upright is 0",
        DATA_LOSS,
        (*RECORD_1, "0 or 2 to 8", "got 1"),
        _orientations(0, 0, 1, 0),
    ),
    Damaged(
        "orientation_9.pcr",
        "",
        DATA_LOSS,
        (*RECORD_1, "0 or 2 to 8", "got 9"),
        _orientations(0, 0, 9, 0),
    ),
    Damaged(
        "orientation_negative.pcr",
        "",
        DATA_LOSS,
        (*RECORD_1, "pcr/orientations", "got -6"),
        _orientations(0, 0, -6, 0),
    ),
    Damaged(
        "orientation_of_an_opaque_image.pcr",
        "",
        DATA_LOSS,
        (*RECORD_1, "image 0", "opaque", "expected 0, got 6"),
        _orientations(6, 0, 6, 0),
    ),
    Damaged(
        "orientation_without_ancillary_bytes.pcr",
        "",
        DATA_LOSS,
        (*RECORD_1, "image 1", "ancillary bytes", "expected 0, got 6"),
        _orientations(0, 6, 6, 0),
    ),
    Damaged(
        "orientations_miscounted.pcr",
        "",
        DATA_LOSS,
        (*RECORD_1, "pcr/orientations", "expected 4, got 3"),
        _orientations(0, 0, 6),
    ),
    Damaged(
        "orientations_of_another_type.pcr",
        "as bytes",
        DATA_LOSS,
        (*RECORD_1, "pcr/orientations"),
        lambda e: e.rewrite("metadata", {"pcr/orientations": [b"6"]}, record=1).reindex(),
    ),
    Damaged(
        "no_soi.pcr",
        "slice 1 of the last image begins with EOI",
        DATA_LOSS,
        (*GROUP_1, "image 3", "SOI"),
        no_soi,
    ),
    Damaged(
        "stream_of_nothing.pcr",
        "a zlib stream of 0 bytes",
        DATA_LOSS,
        ("record 0", "scan group 2", "byte ", "expected 0, got 8"),
        _stream_of_nothing,
        2,
        "without_ancillary.pcr",
    ),
    Damaged(
        "checksum_of_33_bits.pcr",
        "in the index",
        DATA_LOSS,
        ("byte ", "32 bits"),
        _checksum_of_33_bits,
    ),
    Damaged(
        "script_not_utf8.pcr",
        "",
        DATA_LOSS,
        ("byte ", "pcr/scan_script", "UTF-8"),
        _header(scan_script=[THREE_GROUPS.encode() + b"# \xff\n"]),
    ),
    Damaged(
        "key_not_utf8.pcr",
        "",
        DATA_LOSS,
        ("byte ", "pcr/image_features", "UTF-8"),
        _header(image_features=[b"image\xc0"]),
    ),
    Damaged(
        "created_by_not_utf8.pcr",
        "",
        DATA_LOSS,
        ("byte ", "pcr/created_by", "UTF-8"),
        _header(created_by=[b"caf\xe9"]),
    ),
    # What only a check of the whole file meets.
    Damaged(
        "header_of_another_kind.pcr",
        "",
        DATA_LOSS,
        ("byte 0", "got index"),
        _header_alone(frame=[b"index"]),
        None,
    ),
    Damaged(
        "header_of_another_script.pcr",
        "",
        DATA_LOSS,
        ("byte 0", "header"),
        _header_alone(scan_script=[THREE_GROUPS.encode() + b"\n"]),
        None,
    ),
    Damaged(
        "header_of_another_version.pcr",
        "",
        DATA_LOSS,
        ("byte 0", "header"),
        _header_alone(version=[1, 2]),
        None,
    ),
    Damaged(
        "header_of_another_writer.pcr",
        "",
        DATA_LOSS,
        ("byte 0", "header"),
        _header_alone(created_by=[b"another"]),
        None,
    ),
    Damaged(
        "header_of_a_major_version.pcr",
        "",
        reference.INVALID_ARGUMENT,
        ("byte 0", "2.0"),
        _header_alone(version=[2, 0]),
        None,
    ),
    Damaged(
        "footer_of_another_version.pcr",
        "",
        DATA_LOSS,
        ("byte 0", "version"),
        lambda editor: editor.set_footer(version=(1, 2)),
        None,
    ),
    Damaged(
        "script_that_is_none.pcr",
        "header and index hold no valid script",
        DATA_LOSS,
        ("byte 0", "scan script, line 1"),
        _header(scan_script=[b"0,1,2: 0-0, 0, 0;"]),
        None,
    ),
    Damaged(
        "scans_of_another_script.pcr",
        "other numbers of scans than the script",
        DATA_LOSS,
        ("byte 0", "[1, 1, 3]", "[1, 1, 4]"),
        _header(scans_per_group=[1, 1, 4]),
        None,
    ),
    Damaged(
        "gap_in_1_0.pcr",
        "gaps.pcr as of 1.0",
        DATA_LOSS,
        ("record 0", "begins"),
        _as_1_0,
        None,
        "gaps.pcr",
    ),
    Damaged(
        "gap_of_no_frame.pcr",
        "a bit in the length of a gap's frame",
        DATA_LOSS,
        ("byte ", "checksum"),
        lambda e: e.flip(e.frames()[1].offset),
        None,
        "gaps.pcr",
    ),
]


def read(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def damaged_files() -> dict[str, bytes]:
    """The invalid files, from the valid ones on disk."""
    return {
        f"invalid/{case.name}": case.damage(ShardEditor(read(f"valid/{case.made_from}"))).data
        for case in INVALID
    }
