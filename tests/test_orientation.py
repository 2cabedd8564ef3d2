"""An image's EXIF orientation is the same at every fidelity, and nothing else of its EXIF is."""

from __future__ import annotations

import csv
import io
import pathlib
import struct
import warnings

import pytest
from PIL import Image as PillowImage
from PIL import ImageOps

from pcr_tf import _native
from pcr_tf.format import PcrReader, PcrWriter, reference
from pcr_tf.format.example import bytes_features
from tests import reference_writer as writer
from tests.turned import brightest_corner, turned_jpeg, with_segment

ORIENTATIONS = range(1, 9)
KEY = "image/encoded"


def example(*images: bytes) -> bytes:
    return writer.serialize([writer.bytes_feature(KEY, images)])


def write(path: pathlib.Path, *images: bytes) -> PcrReader:
    with PcrWriter(path, examples_per_record=3) as made:
        for image in images:
            made.write(example(image))
    return PcrReader(path)


def images_at(reader: PcrReader, scan_groups: int) -> list[bytes]:
    return [bytes_features(e, [KEY])[KEY][0] for e in reader.examples(scan_groups)]


def test_a_turned_image_is_turned_alike_at_every_fidelity(tmp_path: pathlib.Path) -> None:
    sources = [turned_jpeg(orientation) for orientation in ORIENTATIONS]
    reader = write(tmp_path / "a.pcr", *sources)
    for g in range(1, reader.num_groups + 1):
        for orientation, source, image in zip(
            ORIENTATIONS, sources, images_at(reader, g), strict=True
        ):
            assert _native.exif_orientation(image) == orientation
            opened = PillowImage.open(io.BytesIO(image))
            assert opened.getexif().get(0x0112, 1) == orientation
            upright = ImageOps.exif_transpose(opened)
            expected = ImageOps.exif_transpose(PillowImage.open(io.BytesIO(source)))
            assert upright.size == expected.size
            # The picture is brightest in a corner that no orientation shares with another.
            assert brightest_corner(upright) == brightest_corner(expected) == (0, 0)
            if g == reader.num_groups:
                assert upright.tobytes() == expected.tobytes()


def test_the_data_set_op_gives_the_bytes_that_the_reader_gives(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("tensorflow")
    from pcr_tf.data import PcrDataset

    path = tmp_path / "a.pcr"
    reader = write(path, *map(turned_jpeg, ORIENTATIONS))
    for g in range(1, reader.num_groups + 1):
        found = list(PcrDataset(str(path), scan_groups=g).as_numpy_iterator())
        assert found == list(reader.examples(g))


def test_the_segment_is_all_that_is_added_and_only_below_full_fidelity(
    tmp_path: pathlib.Path,
) -> None:
    turned = write(tmp_path / "a.pcr", turned_jpeg(6))
    plain = write(tmp_path / "b.pcr", turned_jpeg(6, exif=0))
    segment = writer.orientation_segment(6)
    assert len(segment) == 36
    for g in range(1, turned.num_groups):
        (image,), (without,) = images_at(turned, g), images_at(plain, g)
        at = image.index(segment)
        assert image[:at] + image[at + 36 :] == without
    (full,) = images_at(turned, turned.num_groups)
    assert segment not in full
    coded = _native.transcode(turned_jpeg(6), _native.ScanScript(turned.index.header.scan_script))
    assert coded.ancillary in full


@pytest.mark.parametrize("exif", [0, 1, 9, 0x0600])
def test_an_image_that_is_not_turned_gets_no_segment(exif: int, tmp_path: pathlib.Path) -> None:
    reader = write(tmp_path / "a.pcr", turned_jpeg(1, exif=exif))
    for g in range(1, reader.num_groups):
        (image,) = images_at(reader, g)
        assert b"Exif" not in image
    record = reference.read_shard((tmp_path / "a.pcr").read_bytes(), "a.pcr").records[0]
    assert [image.orientation for image in record.metadata.images] == [0]


def test_an_opaque_image_keeps_its_own_orientation(tmp_path: pathlib.Path) -> None:
    cut = turned_jpeg(8)[:-2]
    reader = write(tmp_path / "a.pcr", cut)
    for g in range(1, reader.num_groups + 1):
        assert images_at(reader, g) == [cut]
    record = reference.read_shard((tmp_path / "a.pcr").read_bytes(), "a.pcr").records[0]
    assert [image.orientation for image in record.metadata.images] == [0]


# Decoders look for EXIF in front of the first scan, where a progressive image would get it.
@pytest.mark.parametrize("prove", [True, False])
def test_exif_behind_the_first_scan_turns_no_image(prove: bool) -> None:
    plain = turned_jpeg(1, exif=0)
    behind = plain[:-2] + writer.orientation_segment(6) + plain[-2:]
    script = _native.ScanScript(writer.script_of(3))
    coded = _native.transcode(behind, script, prove)
    assert (coded.coding, coded.reason) == ("opaque", "unsupported")
    assert "Exif segment after the first scan" in coded.detail
    coded = _native.transcode(with_segment(behind, 3), script, prove)
    assert (coded.coding, coded.orientation) == ("progressive", 3)


def exif_of_pillow(image: bytes) -> int | None:
    """The orientation in the EXIF, or in its stead the XMP, that Pillow finds in a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with PillowImage.open(io.BytesIO(image)) as opened:
                if opened.format not in ("JPEG", "MPO"):
                    return None
                value = opened.getexif().get(0x0112, 1)
        except Exception:  # Pillow's parsers raise whatever comes.
            return None
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def test_odd_files_have_the_orientation_that_pillow_finds(test_images: pathlib.Path) -> None:
    folder = test_images / "odd-jpeg"
    compared, turned, differences = 0, 0, {}
    with (folder / "manifest.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            image = (folder / row["file"]).read_bytes()
            expected = exif_of_pillow(image)
            if expected is None:
                continue
            compared += 1
            turned += expected > 1
            if _native.exif_orientation(image) != expected:
                differences[row["file"]] = (_native.exif_orientation(image), expected)
    assert compared > 500
    assert turned > 10, turned
    assert differences == {}


def test_the_segment_is_what_a_tiff_reader_expects() -> None:
    segment = reference.orientation_segment(6)
    assert segment == writer.orientation_segment(6)
    marker, length, exif, order, magic, ifd = struct.unpack_from(">HH6s2sHI", segment)
    assert (marker, length + 2) == (0xFFE1, len(segment))
    assert (exif, order, magic, ifd) == (b"Exif\0\0", b"MM", 42, 8)
    assert struct.unpack_from(">HHHIHHI", segment, 10 + ifd) == (1, 0x0112, 3, 1, 6, 0, 0)


def test_where_pillow_takes_more_for_an_orientation_than_exif_allows() -> None:
    """These differ on purpose: docs/FORMAT.md, section 10."""
    plain, six = turned_jpeg(1, exif=0), writer.orientation_segment(6)
    as_long = six.replace(struct.pack(">HHI", 0x0112, 3, 1), struct.pack(">HHI", 0x0112, 4, 1))
    as_long = as_long[:28] + struct.pack(">I", 6) + as_long[32:]
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta tiff:Orientation="6"></x:xmpmeta>'
    other_magic = six.replace(b"MM\0*", b"MM*\0")
    for segment in (as_long, b"\xff\xe1" + struct.pack(">H", 2 + len(xmp)) + xmp, other_magic):
        image = plain[:2] + segment + plain[2:]
        assert (_native.exif_orientation(image), exif_of_pillow(image)) == (1, 6)
