"""The valid golden files of format version 1: what each shows, and how it is made."""

from __future__ import annotations

import dataclasses
import io
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image as PillowImage

from pcr_tf import _native
from pcr_tf.format import reference
from tests import reference_writer as writer
from tests.damage import ShardEditor

FOLDER = pathlib.Path(__file__).parent
CREATED_BY = "golden files of format version 1"
SIDE_INDEX = reference.SIDE_INDEX_NAME

STANDARD_SCRIPT = """\
0,1,2: 0-0, 0, 1;
0: 1-5, 0, 2;
2: 1-63, 0, 1;
1: 1-63, 0, 1;
0: 6-63, 0, 2;
0: 1-63, 2, 1;
0,1,2: 0-0, 1, 0;
2: 1-63, 1, 0;
1: 1-63, 1, 0;
0: 1-63, 1, 0;
"""
THREE_GROUPS = """\
# group
0,1,2: 0-0, 0, 0;
# group
0: 1-5, 0, 0;
# group
0: 6-63, 0, 0;
1: 1-63, 0, 0; 2: 1-63, 0, 0;
"""
ONE_GROUP = "# group\n0,1,2: 0-0,0,0; 0: 1-63,0,0; 1: 1-63,0,0; 2: 1-63,0,0;\n"
HUNDRED_GROUPS = "0,1,2: 0-0,0,0;" + "".join(
    f"{component}: {k}-{63 if k == last else k},0,0;"
    for component, last in ((0, 63), (1, 18), (2, 18))
    for k in range(1, last + 1)
)

# --- sources -----------------------------------------------------------------


def picture(mode: str, size: tuple[int, int] = (16, 16)) -> PillowImage.Image:
    """A gradient with a different picture in each channel."""
    ring = PillowImage.radial_gradient("L")
    ramp = PillowImage.linear_gradient("L")
    channels = [ring, ramp, ramp.transpose(PillowImage.Transpose.ROTATE_90), ring]
    mixed = PillowImage.merge(mode, channels[: len(mode)]) if len(mode) > 1 else ring
    return mixed.resize(size)


def encode(image: PillowImage.Image, form: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def jpeg(mode: str = "RGB", size: tuple[int, int] = (16, 16), **options: Any) -> bytes:
    return encode(picture(mode, size), quality=60, **options)


def example(label: int, **images: Sequence[bytes]) -> bytes:
    """A serialized tf.train.Example: a label, a text, and lists of images."""
    entries = [writer.int_feature("label", [label])]
    entries += [writer.bytes_feature(key, values) for key, values in images.items()]
    entries.append(writer.bytes_feature("text", [b"picture", str(label).encode()]))
    return writer.serialize(entries)


def shard(
    script: str, records: Sequence[Sequence[bytes]], keys: Sequence[str] = ("image",)
) -> bytes:
    """A PCR file by the native writer."""
    made = _native.ShardWriter(_native.ScanScript(script), list(keys), CREATED_BY)
    data = made.header()
    for record in records:
        for serialized in record:
            made.add_example(serialized)
        data += made.end_record()
    return data + made.finish()


def read(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


# --- valid files -------------------------------------------------------------


def _one_image() -> bytes:
    return shard(STANDARD_SCRIPT, [[example(7, image=[jpeg()])]])


def _two_records() -> bytes:
    first = [example(1, image=[jpeg()]), example(2, image=[b"not an image"])]
    return shard(THREE_GROUPS, [first, [example(3, image=[jpeg("L", (9, 5))])]])


def _one_group() -> bytes:
    wordy = jpeg(comment=b"a comment") + b"bytes after EOI"
    return shard(ONE_GROUP, [[example(1, image=[wordy]), example(2, image=[jpeg("L")])]])


def _hundred_groups() -> bytes:
    return shard(HUNDRED_GROUPS, [[example(1, image=[jpeg()])]])


def _two_features() -> bytes:
    left, right = jpeg(size=(8, 8)), jpeg(size=(24, 8), subsampling=0)
    records = [
        [example(1, left=[left], right=[right]), example(2, right=[right, left])],
        [example(3), example(4, left=[], right=[jpeg("L")])],
    ]
    return shard(THREE_GROUPS, records, ["right", "left"])


def _colour_kinds() -> bytes:
    kinds = [
        jpeg("L"),
        jpeg("RGB", subsampling="4:4:4"),
        jpeg("RGB", (33, 17), subsampling="4:2:0"),
        jpeg("RGB", keep_rgb=True),
        jpeg("CMYK"),
        jpeg("RGB", progressive=True),
        jpeg("RGB", restart_marker_blocks=2),
        jpeg("RGB", (1, 1)),
    ]
    return shard(STANDARD_SCRIPT, [[example(i, image=[kind]) for i, kind in enumerate(kinds)]])


def _ancillary() -> bytes:
    exif = PillowImage.Exif()
    exif[0x010E] = "description " * 20
    full = jpeg(exif=exif.tobytes(), icc_profile=b"not a profile" * 9, comment=b"a comment")
    return shard(THREE_GROUPS, [[example(1, image=[full, full + b"bytes after EOI\xff\xd9"])]])


def _opaque() -> bytes:
    whole = jpeg()
    kept = [encode(picture("RGB"), "PNG"), b"", whole[:-40], b"\xff\xd8", b"not an image"]
    return shard(THREE_GROUPS, [[example(i, image=[data]) for i, data in enumerate(kept)]])


def _no_images() -> bytes:
    return shard(THREE_GROUPS, [[example(1), writer.serialize([])], [b""]])


def _other_serialization() -> bytes:
    editor = ShardEditor(read("valid/two_records.pcr"))

    def turn_about(kind: str) -> None:
        for i, frame in enumerate(editor.frames()):
            if frame.kind == kind:
                editor.replace_frame_data(i, writer.reserialize(editor.frame_data(i)))

    turn_about("header")
    turn_about("scan_group")
    editor.reindex()
    turn_about("metadata")
    editor.reindex(group_checksums=False)
    turn_about("index")
    return editor.refoot().data


def _later_minor() -> bytes:
    layout = dataclasses.replace(
        writer.Layout.of(2), version=(1, 9), created_by="a later writer of version 1"
    )
    unknown = writer.serialize(
        [writer.bytes_feature("pcr/frame", [b"of 1.9"]), writer.int_feature("pcr/new", [1])]
    )
    image = writer.Image((b"\xff\xd8 group 1,", b" group 2"), trailing=b", trailing bytes")
    records = [[writer.Example(example(n), {"image": [image]})] for n in range(2)]
    gaps = {0: [writer.frame(unknown)], 1: [writer.frame(unknown)] * 2}
    editor = ShardEditor(writer.build_shard(records, layout, gaps))
    return editor.rewrite("index", {"pcr/new": [1, 2, 3]}).refoot().data


@dataclasses.dataclass(frozen=True)
class Valid:
    """A file that every reader of version 1 must read, and what it shows."""

    name: str
    shows: str
    make: Callable[[], bytes]


VALID = [
    Valid("one_image.pcr", "the smallest usual file: one JPEG, ten scan groups", _one_image),
    Valid("empty.pcr", "no records", lambda: shard(STANDARD_SCRIPT, [])),
    Valid("two_records.pcr", "two records, `# group` lines, a greyscale image", _two_records),
    Valid("one_group.pcr", "G = 1: slice 1 is also the last, with its three parts", _one_group),
    Valid("hundred_groups.pcr", "G = 100, the most there may be", _hundred_groups),
    Valid("two_features.pcr", "several image features, lists of 0, 1, 2 images", _two_features),
    Valid("colour_kinds.pcr", "grey, 4:4:4, 4:2:0, RGB, CMYK, progressive, 1x1", _colour_kinds),
    Valid("ancillary.pcr", "EXIF, ICC, a comment, bytes after EOI", _ancillary),
    Valid("opaque.pcr", "PNG, no bytes, a JPEG cut short, SOI alone, a text", _opaque),
    Valid("no_images.pcr", "examples without images; an empty example", _no_images),
    Valid(
        "other_serialization.pcr",
        "two_records.pcr with features in another order, unpacked, repeated, beside unknown ones",
        _other_serialization,
    ),
    Valid("later_minor.pcr", "version 1.9: unknown features, gaps of frames", _later_minor),
]


def data_set() -> dict[str, bytes]:
    shards = {
        "a.pcr": shard(THREE_GROUPS, [[example(1, image=[jpeg()])], [example(2)]]),
        "b.pcr": shard(THREE_GROUPS, [[example(3, image=[jpeg("L")]), example(4)]]),
    }
    indexes = [
        (name, _native.ShardIndex.from_tail(name, data, len(data))) for name, data in shards.items()
    ]
    index = _native.DatasetIndex.from_shards(indexes)  # type: ignore[arg-type]
    return {**shards, SIDE_INDEX: index.to_bytes()}
