"""Images that are encoded anew: the value that each kind of pixel becomes, and what stays of the
rest."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageOps

from pcr_tf import _native
from pcr_tf.convert.job.encode import EncodedImage, encode_jpeg
from pcr_tf.convert.job.flatten import flattened
from tests.conversion import jpeg, picture

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(depth: int, colour: int, pixel: Sequence[int], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 16 x 16 equal pixels, with `chunks` before its data."""
    if depth == 16:
        row = struct.pack(f">{len(pixel)}H", *pixel) * 16
    else:
        bits = "".join(format(sample, f"0{depth}b") for sample in pixel) * 16
        row = int(bits, 2).to_bytes(len(bits) // 8, "big")
    header = struct.pack(">IIBBBBB", 16, 16, depth, colour, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            *(_chunk(kind, data) for kind, data in chunks),
            _chunk(b"IDAT", zlib.compress((b"\0" + row) * 16)),
            _chunk(b"IEND", b""),
        ]
    )


def _key(*samples: int) -> tuple[bytes, bytes]:
    return b"tRNS", struct.pack(f">{len(samples)}H", *samples)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _encoded(image: bytes, **options: Any) -> EncodedImage:
    made = encode_jpeg(image, 100, **options)
    assert made is not None
    return made


def _decoded(image: bytes, **options: Any) -> Image.Image:
    return Image.open(io.BytesIO(_encoded(image, **options).jpeg))


def _pixel(image: bytes) -> tuple[int, ...]:
    """The mean colour of what the image becomes."""
    pixels = np.asarray(_decoded(image), np.float64)
    assert np.ptp(pixels, axis=(0, 1)).max() <= 1
    mean = pixels.mean(axis=(0, 1))
    return tuple(round(float(value)) for value in np.atleast_1d(mean))


PALETTE_OF_RED_AND_BLUE = (b"PLTE", bytes([255, 0, 0, 0, 0, 255]))


@pytest.mark.parametrize(
    ("png", "value"),
    [
        pytest.param(_png(8, GREY, [7], _key(7)), (255,), id="grey, the key"),
        pytest.param(_png(8, GREY, [8], _key(7)), (8,), id="grey, another"),
        pytest.param(_png(1, GREY, [0], _key(0)), (255,), id="1 bit, black is the key"),
        pytest.param(_png(1, GREY, [0], _key(1)), (0,), id="1 bit, white is the key"),
        pytest.param(_png(1, GREY, [1]), (255,), id="1 bit, white"),
        pytest.param(_png(2, GREY, [1], _key(1)), (255,), id="2 bits, the key"),
        pytest.param(_png(2, GREY, [1], _key(2)), (85,), id="2 bits, another"),
        pytest.param(_png(4, GREY, [3], _key(3)), (255,), id="4 bits, the key"),
        pytest.param(_png(4, GREY, [3], _key(51)), (255,), id="4 bits, only 4 bits of a key count"),
        pytest.param(_png(16, GREY, [700], _key(700)), (255,), id="16 bits, the key"),
        pytest.param(_png(16, GREY, [701], _key(700)), (3,), id="16 bits, one more than the key"),
        pytest.param(_png(8, RGB, [9, 0, 0], _key(9, 0, 0)), (255,) * 3, id="RGB, the key"),
        pytest.param(_png(8, RGB, [0] * 3, _key(0, 0, 9)), (0,) * 3, id="RGB, partly the key"),
        pytest.param(_png(16, RGB, [9] * 3, _key(9, 9, 9)), (255,) * 3, id="RGB of 16, the key"),
        pytest.param(_png(16, RGB, [8] * 3, _key(9, 9, 9)), (0,) * 3, id="RGB of 16, another"),
        pytest.param(_png(8, GREY_ALPHA, [0, 0]), (255,), id="grey and alpha, transparent"),
        pytest.param(_png(8, GREY_ALPHA, [0, 102]), (153,), id="grey and alpha, 40%"),
        pytest.param(_png(8, RGB_ALPHA, [0, 0, 0, 0]), (255,) * 3, id="RGBA, transparent"),
        pytest.param(_png(8, RGB_ALPHA, [0, 0, 0, 102]), (153,) * 3, id="RGBA, 40%"),
        pytest.param(_png(16, GREY_ALPHA, [0, 26214]), (153,), id="grey and alpha of 16, 40%"),
        pytest.param(_png(16, RGB_ALPHA, [0, 0, 0, 26214]), (153,) * 3, id="RGBA of 16, 40%"),
        pytest.param(
            _png(8, PALETTE, [0], PALETTE_OF_RED_AND_BLUE, (b"tRNS", b"\0")),
            (255,) * 3,
            id="palette, transparent",
        ),
        pytest.param(
            _png(8, PALETTE, [0], PALETTE_OF_RED_AND_BLUE, (b"tRNS", b"\xff\0")),
            (254, 0, 0),
            id="palette, the other transparent",
        ),
        pytest.param(
            _png(1, PALETTE, [0], PALETTE_OF_RED_AND_BLUE, (b"tRNS", b"\x66")),
            (255, 153, 153),
            id="palette, 40%",
        ),
    ],
)
def test_what_is_transparent_lies_on_white(png: bytes, value: tuple[int, ...]) -> None:
    assert _pixel(png) == pytest.approx(value, abs=1)


def test_a_key_takes_its_pixels_alone() -> None:
    samples = np.arange(256, dtype=np.uint8).reshape(16, 16)
    png = _saved(Image.fromarray(samples), "PNG", transparency=0)
    pixels = np.asarray(_decoded(png), int)
    # Frequencies high enough to tell 0 from 255 in one pixel need quality 100.
    assert pixels[0, 0] > 240
    assert abs(pixels - samples)[1:].max() <= 4


@pytest.mark.parametrize("sample", [0, 127, 128, 129, 385, 386, 40_000, 40_223, 65_406, 65_535])
@pytest.mark.parametrize("interlaced", [False, True])
def test_samples_of_16_bits_are_rounded(sample: int, interlaced: bool) -> None:
    expected = round(sample / 257)
    images = [_png(16, GREY, [sample]), _png(16, GREY_ALPHA, [sample, 65_535])]
    images += [_png(16, RGB, [sample] * 3), _png(16, RGB_ALPHA, [sample] * 3 + [65_535])]
    if interlaced:  # All pixels are equal: the passes are those of smaller images.
        images = [_interlaced(png) for png in images]
    for png in images:
        assert set(_pixel(png)) == {expected}


def _interlaced(png: bytes) -> bytes:
    """A PNG of `_png`, of 16 bits, with its rows in the passes of Adam7."""
    header, data_at = bytearray(png[:33]), png.index(b"IDAT") - 4
    header[28] = 1
    header[29:33] = struct.pack(">I", zlib.crc32(header[12:29]))
    data = zlib.decompress(png[data_at + 8 : -16])
    pixel = data[1 : 1 + (len(data) // 16 - 1) // 16]
    passes = [(2, 2), (2, 2), (4, 2), (4, 4), (8, 4), (8, 8), (16, 8)]  # columns, rows
    rows = b"".join((b"\0" + pixel * columns) * count for columns, count in passes)
    return bytes(header) + png[33:data_at] + _chunk(b"IDAT", zlib.compress(rows)) + png[-12:]


def _tiff(
    kind: str, bits: int, photometric: int, data: bytes, samples: int, deflated: bool = False
) -> bytes:
    """A TIFF of 16 x 16 pixels, little endian ("<") or big endian (">")."""
    compression = 8 if deflated else 1
    data = zlib.compress(data) if deflated else data
    tags = [(256, 16), (257, 16), (258, bits), (259, compression), (262, photometric), (273, 0)]
    tags += [(277, samples), (278, 16), (279, len(data))]
    at = 8 + 2 + 12 * len(tags) + 4
    values_of_bits = struct.pack(f"{kind}{samples}H", *[bits] * samples)
    entries = b""
    for tag, value in tags:
        if tag == 258 and samples > 2:
            entries += struct.pack(f"{kind}HHII", tag, 3, samples, at)
        elif tag == 273:
            entries += struct.pack(f"{kind}HHII", tag, 4, 1, at + len(values_of_bits))
        elif tag == 279:
            entries += struct.pack(f"{kind}HHII", tag, 4, 1, value)
        else:
            entries += struct.pack(f"{kind}HHIHH", tag, 3, 1, value, 0)
    mark = b"II*\0" if kind == "<" else b"MM\0*"
    head = mark + struct.pack(f"{kind}I", 8) + struct.pack(f"{kind}H", len(tags))
    return head + entries + bytes(4) + values_of_bits + data


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("kind", ["<", ">"])
@pytest.mark.parametrize("sample", [128, 129, 40_223])
def test_samples_of_16_bits_in_a_tiff_are_rounded(kind: str, sample: int, deflated: bool) -> None:
    one = struct.pack(f"{kind}H", sample)
    assert _pixel(_tiff(kind, 16, 1, one * 256, 1, deflated)) == (round(sample / 257),)
    assert set(_pixel(_tiff(kind, 16, 2, one * 768, 3, deflated))) == {round(sample / 257)}


def test_a_tiff_of_12_bits_or_with_white_as_zero_is_no_dark_or_negative_picture() -> None:
    twelve = int(format(3000, "012b") * 16, 2).to_bytes(24, "big") * 16
    assert _pixel(_tiff("<", 12, 1, twelve, 1)) == (round(3000 / 4095 * 255),)
    sixteen = struct.pack("<H", 40_000) * 256
    assert _pixel(_tiff("<", 16, 0, sixteen, 1)) == (round((65_535 - 40_000) / 257),)
    assert _pixel(_tiff("<", 8, 0, b"\x0a" * 256, 1)) == (245,)


def test_a_palette_with_alpha_lies_on_white() -> None:
    palette = Image.new("P", (16, 16), 1)
    palette.putpalette([9, 9, 9, 255, 0, 0, 0, 102], "RGBA")
    assert flattened(palette, b"").getpixel((0, 0)) == (153, 153, 153)


def test_a_cmyk_tiff_keeps_its_inks() -> None:
    assert _pixel(_saved(Image.new("CMYK", (16, 16), (10, 60, 110, 160)), "TIFF")) == pytest.approx(
        (10, 60, 110, 160), abs=1
    )


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF"])
def test_transparency_of_other_formats_lies_on_white(kind: str) -> None:
    made = _saved(Image.new("RGBA", (16, 16), (0, 0, 0, 0)), kind)
    assert _pixel(made) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken_and_the_others_are_counted(kind: str) -> None:
    first, *others = (Image.new("RGB", (16, 16), (level, 0, 0)) for level in (200, 100, 0))
    options = {"lossless": True} if kind == "WEBP" else {}
    made = _saved(first, kind, save_all=True, append_images=others, **options)
    assert _encoded(made).frames == 3
    assert _pixel(made) == pytest.approx((200, 0, 0), abs=2)
    assert _encoded(_saved(first, kind)).frames == 1


def test_a_wide_colour_space_keeps_its_profile_and_its_pixels() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    wide = profile.replace(b"sRGB", b"wide")
    for mode in ("RGB", "RGBA"):
        made = _saved(Image.new(mode, (16, 16), (200, 30, 40)), "PNG", icc_profile=wide)
        assert _decoded(made).info["icc_profile"] == wide
        assert _pixel(made) == pytest.approx((200, 30, 40), abs=2)


def test_a_grey_picture_with_alpha_stays_grey_with_its_profile() -> None:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[16:20] = b"GRAY"
    made = _decoded(_saved(picture(5, mode="LA"), "PNG", icc_profile=bytes(profile)))
    assert (made.mode, made.info["icc_profile"]) == ("L", bytes(profile))


def test_the_gamma_of_a_png_changes_no_pixel() -> None:
    assert _pixel(_png(8, GREY, [100], (b"gAMA", struct.pack(">I", 100_000)))) == (100,)


def _grey(image: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(image.convert("L"), int)


def _oriented(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "a camera"
    options = {"lossless": True} if kind == "WEBP" else {}
    return _saved(picture(1, 40, 24), kind, exif=exif, **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_upright_turns_as_pillow_does_and_leaves_no_orientation(
    kind: str, orientation: int
) -> None:
    source = _oriented(kind, orientation)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(source)))
    made = _encoded(source, upright=True)
    image = Image.open(io.BytesIO(made.jpeg))
    assert image.size == expected.size
    assert abs(_grey(image) - _grey(expected)).mean() < 2
    assert ExifTags.Base.Orientation not in image.getexif() or orientation == 1
    if kind != "TIFF":  # Pillow turns it while it reads.
        assert made.turned == orientation
        assert image.getexif()[ExifTags.Base.Make] == "a camera"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_orientation_stays_unless_the_picture_is_turned(kind: str, orientation: int) -> None:
    source = _oriented(kind, orientation)
    made = _encoded(source)
    image = Image.open(io.BytesIO(made.jpeg))
    assert made.turned == 1
    shown = ImageOps.exif_transpose(image)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(source)))
    assert shown.size == expected.size
    assert abs(_grey(shown) - _grey(expected)).mean() < 2
    if kind != "TIFF":
        assert image.getexif()[ExifTags.Base.Orientation] == orientation


def test_an_orientation_behind_the_pixels_or_in_xmp_stays() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    png = _png(8, GREY, [9])
    behind = png[:-12] + _chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + png[-12:]
    xmp = b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'
    for source in (behind, _png(8, GREY, [9], (b"iTXt", xmp))):
        assert _decoded(source).getexif()[ExifTags.Base.Orientation] == 6
        assert _encoded(source, upright=True).turned == 6


@pytest.mark.parametrize("order", "<>")
def test_an_orientation_of_another_type_is_one_that_readers_of_jpeg_take(order: str) -> None:
    long, mark = 4, {"<": b"II", ">": b"MM"}[order]
    entry = struct.pack(f"{order}HHII", ExifTags.Base.Orientation, long, 1, 6)
    exif = mark + struct.pack(f"{order}HIH", 42, 8, 1) + entry + bytes(4)
    source = _png(8, GREY, [9], (b"eXIf", exif))
    assert _native.exif_orientation(_encoded(source).jpeg) == 6
    assert _decoded(source).getexif()[ExifTags.Base.Orientation] == 6
    assert _encoded(source, upright=True).turned == 6


def test_exif_that_cannot_be_parsed_is_carried_over() -> None:
    source = jpeg(3, exif=b"Exif\0\0no directory")
    assert _decoded(source).info["exif"] == b"Exif\0\0no directory"
    assert _encoded(source, upright=True).turned == 1
