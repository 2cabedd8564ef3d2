"""Bad input: a clear error that names file and remedy, and nothing lost."""

from __future__ import annotations

import csv
import errno
import io
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageCms, JpegImagePlugin

from pcr_tf._native import same_coefficients
from pcr_tf.convert import Conversion, ConvertError, ConvertOptions, SourceOptions
from pcr_tf.convert.job.job_state import check_output_is_outside
from pcr_tf.format import PcrReader, PcrWriter, filesystem
from pcr_tf.format.example import Values, bytes_features, encode_example, feature_messages
from pcr_tf.format.tfrecord import frame
from tests.conversion import (
    convert,
    jpeg,
    make_class_folders,
    of_adobe_transform,
    picture,
    png,
    resampled,
    run,
    write_tfrecord,
)

EXIF_60_KB = b"Exif\0\0" + bytes(60_000)


def _odd_images() -> dict[str, tuple[bytes, str]]:
    """Name -> image, and the reason why it is kept as it came ("" where it is not)."""
    plain = jpeg(1)
    # As many blocks, six, in an MCU of 4:2:0 and of 4:1:1.
    luma_4_to_1 = resampled(jpeg(14, subsampling="4:2:0"), 0x41, 24, 128)
    cmyk = jpeg(3, mode="CMYK")
    return {
        "zero-byte": (b"", "not_a_jpeg"),
        "truncated": (plain[: len(plain) // 2], "damaged"),
        "trailing garbage": (plain + b"garbage behind EOI" * 100, ""),
        "PNG named jpg": (png(), "not_a_jpeg"),
        "text named jpg": (b"<html>404</html>", "not_a_jpeg"),
        "grey": (jpeg(2, mode="L"), ""),
        "CMYK": (cmyk, ""),
        "YCCK": (of_adobe_transform(cmyk, 2), ""),
        "RGB-coded": (jpeg(4, keep_rgb=True), ""),
        "4:4:4": (jpeg(5, subsampling="4:4:4"), ""),
        "4:2:2": (jpeg(6, subsampling="4:2:2"), ""),
        "4:1:1": (luma_4_to_1, ""),
        "progressive": (jpeg(7, progressive=True), ""),
        "restart markers": (jpeg(8, restart_marker_blocks=2), ""),
        "60 KB of EXIF": (jpeg(9, exif=EXIF_60_KB), ""),
        "comment and ICC": (jpeg(10, comment=b"a comment", icc_profile=bytes(3000)), ""),
        "1x1": (jpeg(11, 1, 1), ""),
        "65500 wide": (jpeg(12, 65_500, 2), ""),
        "65500 high": (jpeg(13, 2, 65_500), ""),
    }


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Converted odd images: in/<name>.jpg and out/."""
    root = tmp_path_factory.mktemp("odd")
    (root / "in" / "class").mkdir(parents=True)
    for name, (image, _) in _odd_images().items():
        (root / "in" / "class" / f"{name}.jpg").write_bytes(image)
    convert(root / "in", root / "out")
    return root


def _stored(output: Path, scan_groups: int | None = None) -> dict[str, tuple[str, bytes]]:
    """Coding and image of every example, by the name of its file without suffix."""
    reader = PcrReader(output)
    found = {}
    for record in range(reader.num_records):
        examples = reader.read_record(record, scan_groups)
        images = reader.read_images(record, scan_groups)
        for example, (_, _, coding, image) in zip(examples, images, strict=True):
            name = bytes_features(example, ["image/filename"])["image/filename"][0].decode()
            found[Path(name).stem] = (coding, image)
    return found


def test_the_odd_images_are_of_the_coding_that_they_are_named_after() -> None:
    def coding(name: str) -> tuple[str, int | None, list[tuple[int, int]]]:
        image = Image.open(io.BytesIO(_odd_images()[name][0]))
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        image.load()
        sampling = [(h, v) for _, h, v, _ in image.layer]
        return image.mode, image.info.get("adobe_transform"), sampling

    assert coding("CMYK") == ("CMYK", 0, [(1, 1)] * 4)
    assert coding("YCCK") == ("CMYK", 2, [(1, 1)] * 4)
    assert coding("4:1:1") == ("RGB", None, [(4, 1), (1, 1), (1, 1)])


@pytest.mark.parametrize("name", list(_odd_images()))
def test_an_odd_image_is_recoded_losslessly_or_kept_byte_for_byte(odd: Path, name: str) -> None:
    image, reason = _odd_images()[name]
    coding, stored = _stored(odd / "out")[name]
    if reason:
        assert (coding, stored) == ("opaque", image)
    else:
        assert coding == "progressive"
        assert same_coefficients(stored, image) == ""


def test_what_does_not_change_pixels_comes_back_at_full_fidelity(odd: Path) -> None:
    full, first = _stored(odd / "out"), _stored(odd / "out", 1)
    assert full["trailing garbage"][1].endswith(b"garbage behind EOI" * 100)
    for name, part in (("60 KB of EXIF", EXIF_60_KB), ("comment and ICC", b"a comment")):
        assert part in full[name][1]
        assert part not in first[name][1]


def test_opaque_images_are_counted_and_named_with_reasons(odd: Path) -> None:
    summary = convert(odd / "in", odd / "out")
    assert summary.was_finished
    expected = {name: reason for name, (_, reason) in _odd_images().items() if reason}
    found = {Path(o["name"]).stem: o["reason"] for o in summary.manifest["opaque"]}
    assert found == expected
    assert summary.manifest["counts"]["opaque"] == len(expected)
    assert all(o["name"].startswith("class/") for o in summary.manifest["opaque"])


def test_the_corpus_of_odd_files_is_recoded_or_kept(test_images: Path, tmp_path: Path) -> None:
    corpus = test_images / "odd-jpeg"
    if not corpus.is_dir():
        pytest.skip("PCR_TEST_IMAGES holds no odd-jpeg/")
    summary = convert(corpus, tmp_path / "out", examples_per_record=64, num_workers=2)
    with (corpus / "manifest.csv").open(newline="") as file:
        files = [row["file"] for row in csv.DictReader(file)]
    reader = PcrReader(tmp_path / "out")
    seen = set()
    opaque = {entry["name"] for entry in summary.manifest["opaque"]}
    assert all(entry["reason"] and entry["detail"] for entry in summary.manifest["opaque"])
    assert summary.manifest["skipped"] == summary.manifest["encoded"] == []
    for record in range(reader.num_records):
        for example, (_, _, coding, image) in zip(
            reader.read_record(record), reader.read_images(record), strict=True
        ):
            name = os.fsdecode(bytes_features(example, ["image/filename"])["image/filename"][0])
            source = (corpus / name).read_bytes()
            seen.add(name)
            assert (coding == "opaque") == (name in opaque)
            if coding == "opaque":
                assert image == source
            else:
                assert same_coefficients(image, source) == "", name
    assert seen == set(files)


# Folders


@pytest.mark.parametrize("source", ["class_folders", "tfrecord", "auto"])
def test_an_empty_folder_is_an_error(tmp_path: Path, source: str) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(ConvertError, match=r"in: no (images|records)"):
        convert(tmp_path / "in", tmp_path / "out", input_format=source)
    assert not (tmp_path / "out").exists()


def test_folders_without_an_image_say_what_they_hold_instead(tmp_path: Path) -> None:
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "in" / "a" / "x.txt").write_text("x")
    with pytest.raises(ConvertError, match="no images; 1 other files are there"):
        convert(tmp_path / "in", tmp_path / "out")


def test_a_source_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match="none: no such file or folder"):
        convert(tmp_path / "none", tmp_path / "out")


def test_an_image_beside_class_folders_is_an_error_that_names_it(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1)
    (source / "stray.jpg").write_bytes(jpeg())
    with pytest.raises(ConvertError, match=r"stray\.jpg: an image without a class"):
        convert(source, tmp_path / "out")


@pytest.mark.parametrize(
    ("classes", "splits"),
    [
        (("train/ant", "test/ant"), "test, train"),
        (("train/ant", "train/bee", "val"), "train, val"),  # ImageNet's own archive.
        (("Train/ant", "Test/ant"), "Test, Train"),
        (("train/ant", "test/ant", "notes"), "test, train"),
        (("train/ant", "test/ant", "extra/ant"), "test, train"),
    ],
)
def test_splits_are_not_taken_for_classes(
    tmp_path: Path, classes: tuple[str, ...], splits: str
) -> None:
    source = make_class_folders(tmp_path / "in", classes, 1)
    first = next(name for name in splits.split(", ") if name.lower() == "train")
    with pytest.raises(ConvertError, match=rf"{splits} look like splits.*`inputs=.*/in/{first}`;"):
        convert(source, tmp_path / "out")
    options = SourceOptions(classes=(*classes, "a/b/c/d"))
    assert convert(source, tmp_path / "out", source_options=options).images == len(classes)


@pytest.mark.parametrize("inside", ["", "val.zip", "images/"])
def test_a_split_without_an_image_is_seen_beside_the_other(tmp_path: Path, inside: str) -> None:
    source = make_class_folders(tmp_path / "in", ("train/ant", "train/bee"), 1)
    (source / "val" / inside.rstrip("/")).mkdir(parents=True)
    if inside == "val.zip":
        (source / "val" / inside).rmdir()
        (source / "val" / inside).write_bytes(b"PK")
    with pytest.raises(ConvertError, match=r"train, val look like splits.*`inputs=.*/in/train`;"):
        convert(source, tmp_path / "out")


def test_splits_are_seen_below_a_folder_that_holds_them(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", ("set/train/ant", "set/val", "more"), 1)
    message = r"train, val look like splits, not classes; .*`inputs=.*/in/set/train`;"
    with pytest.raises(ConvertError, match=message):
        convert(source, tmp_path / "out")


def test_folders_of_which_each_holds_no_class_but_deeper_ones_are_refused(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", ("set/train/ant", "set/train/bee"), 1)
    message = (
        r"classes are three folders deep or more \(set/train/ant, \.\.\.\).*`inputs=.*/in/set`$"
    )
    with pytest.raises(ConvertError, match=message):
        convert(source, tmp_path / "out")
    assert convert(source / "set" / "train", tmp_path / "out").images == 2


@pytest.mark.parametrize(
    "classes", [("plane/jet", "train/goods"), ("test", "train"), ("train/ant", "train/bee")]
)
def test_classes_that_are_named_as_splits_are_classes_where_no_folders_say_otherwise(
    tmp_path: Path, classes: tuple[str, ...]
) -> None:
    source = make_class_folders(tmp_path / "in", classes, 1)
    assert convert(source, tmp_path / "out").manifest["class_names"] == list(classes)


@pytest.mark.parametrize(
    "folders",
    [
        ("images", "masks"),
        ("JPEGImages", "SegmentationClass"),
        ("voc/img", "voc/labels"),
        ("train/images", "train/masks"),
        ("images/a", "images/b", "masks/a", "masks/b"),
    ],
)
def test_masks_are_not_taken_for_a_class_beside_their_photographs(
    tmp_path: Path, folders: tuple[str, ...]
) -> None:
    source = make_class_folders(tmp_path / "in", folders, 1)
    message = r"in/.*: beside .*photographs and their masks, not two classes; .*`classes`"
    with pytest.raises(ConvertError, match=message):
        convert(source, tmp_path / "out")
    options = SourceOptions(classes=folders)
    assert convert(source, tmp_path / "out", source_options=options).images == len(folders)


def test_annotations_beside_photographs_are_not_left_out_in_silence(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", ("images",), 1)
    (source / "labels").mkdir()
    (source / "labels" / "000.txt").write_text("0 0.5 0.5 1 1")
    with pytest.raises(
        ConvertError, match=r"in/images: beside labels: photographs and their masks"
    ):
        convert(source, tmp_path / "out")


def test_a_class_of_images_alone_and_masks_deeper_below_are_classes(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", ("images", "paint", "x/masks"), 1)
    assert convert(source, tmp_path / "out").images == 3


@pytest.mark.parametrize(
    "names",
    [("cafe\u0301", "caf\u00e9"), ("ant", "ant "), ("a b", "a\u00a0b"), ("ant", "\ufeffant")],
    ids=["accents", "a blank behind", "another blank", "a byte order mark"],
)
def test_names_that_look_the_same_are_not_two_classes_in_silence(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    source = make_class_folders(tmp_path / "in", names, 1)
    one, other = (re.escape(ascii(name)) for name in names)
    message = rf"expected one folder per name, got {other} beside {one}, which look the same"
    with pytest.raises(ConvertError, match=message):
        convert(source, tmp_path / "out")
    options = SourceOptions(classes=names)
    assert convert(source, tmp_path / "out", source_options=options).images == 2
    message = rf"{other} is, which looks the same; write both alike"
    options = SourceOptions(classes=names[1:])
    with pytest.raises(ConvertError, match=message):
        convert(source, tmp_path / "other", source_options=options)


def test_braces_which_a_shell_expands_and_a_pattern_does_not_are_explained(tmp_path: Path) -> None:
    with pytest.raises(
        ConvertError, match="no file matches it as a pattern; only a shell expands braces"
    ):
        convert(tmp_path / "a-{000..003}.tar", tmp_path / "out")


def test_an_output_inside_the_source_is_refused(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1)
    with pytest.raises(ConvertError, match="is inside the source"):
        convert(source, source / "pcr")
    assert not (source / "pcr").exists()


@pytest.mark.parametrize(
    ("pattern", "output"),
    [
        ("{root}/i?", "{root}/in/pcr"),
        ("{root}/in/*", "{root}/in/bee/pcr"),
        ("{root}/in/*", "{root}/in/pcr"),
        ("{root}/link", "{root}/in/pcr"),
        ("file://{root}/in", "{root}/in/pcr"),
        ("{root}/in", "file://{root}/in/pcr"),
    ],
)
def test_an_output_inside_the_source_is_refused_however_the_source_is_spelt(
    tmp_path: Path, pattern: str, output: str
) -> None:
    make_class_folders(tmp_path / "in", per_class=1)
    (tmp_path / "link").symlink_to(tmp_path / "in")
    inputs, folder = pattern.format(root=tmp_path), output.format(root=tmp_path)
    with pytest.raises(ConvertError, match="is inside the source"):
        check_output_is_outside(folder, [inputs])


def test_an_output_beside_the_files_of_a_pattern_is_outside_the_source(tmp_path: Path) -> None:
    (tmp_path / "a.tfrecord").touch()
    check_output_is_outside(str(tmp_path / "pcr"), [str(tmp_path / "*.tfrecord")])


def test_an_output_with_foreign_content_is_refused_by_name(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(ConvertError, match=r"out: not empty.*thesis\.tex.*`output`"):
        convert(source, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == ["thesis.tex"]


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1)
    (tmp_path / "out").write_text("x")
    with pytest.raises(ConvertError, match="exists and is not a folder"):
        convert(source, tmp_path / "out")


# What cannot be read


def test_a_file_that_cannot_be_read_is_named_with_the_remedy(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1)
    (source / "bee" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConvertError, match=r"bee/gone\.jpg: .*No such file.*`on_unreadable=skip`"):
        convert(source, tmp_path / "out")
    summary = convert(source, tmp_path / "out", on_unreadable="skip")
    (skipped,) = summary.manifest["skipped"]
    assert (skipped["name"], skipped["reason"]) == ("bee/gone.jpg", "unreadable")
    assert summary.manifest["counts"]["images"] == 3


@pytest.mark.parametrize("name", ["beaver", "bee/young"])
def test_a_class_folder_that_is_a_link_to_nowhere_is_named_and_shifts_no_label_silently(
    tmp_path: Path, name: str
) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1)
    (source / name).symlink_to(tmp_path / "nowhere")
    with pytest.raises(
        ConvertError, match=rf"in/{name}: cannot be read: No such.*; remove the link;.*skip"
    ):
        convert(source, tmp_path / "out")
    summary = convert(source, tmp_path / "out", on_unreadable="skip")
    (skipped,) = summary.manifest["skipped"]
    assert (skipped["name"], skipped["reason"]) == (name, "unreadable")
    assert summary.manifest["class_names"] == ["ant", "bee", "cat"]


@pytest.mark.parametrize("name", ["README.md", "bee/meta.txt"])
def test_a_link_to_nowhere_with_the_suffix_of_no_image_is_one_of_the_other_files(
    tmp_path: Path, name: str
) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1)
    (source / name).symlink_to(tmp_path / "nowhere")
    manifest = convert(source, tmp_path / "out").manifest
    assert manifest["class_names"] == ["ant", "bee", "cat"]
    assert manifest["source"]["ignored_files"] == 1


def test_a_link_to_nowhere_in_one_of_two_roots_is_named_once(tmp_path: Path) -> None:
    roots = [make_class_folders(tmp_path / root, per_class=1) for root in ("one", "two")]
    (roots[1] / "dog").symlink_to(tmp_path / "nowhere")
    options = ConvertOptions(
        inputs=tuple(map(str, roots)), output=str(tmp_path / "out"), on_unreadable="skip"
    )
    assert [name for name, _ in Conversion(options).listing.unreadable] == ["dog"]


def _without_roots_rights() -> list[str]:
    """What is put before a command, so that the modes of files hold for root too."""
    if os.geteuid() != 0:
        return []
    # Another user could not run an interpreter that lies in root's home.
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    try:
        subprocess.run([*prefix, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"root may read every file, and setpriv (util-linux) cannot end that: {error}")
    return prefix


def test_a_file_without_permission_ends_the_command_with_one_line(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1)
    (source / "bee" / "000.jpg").chmod(0)
    flags = (f"--input={source}", f"--output={tmp_path}/out", "--num_workers=1", "--quiet")
    done = run("convert", *flags, prefix=_without_roots_rights())
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "bee/000.jpg: cannot be read: Permission denied" in done.stderr


def test_a_class_folder_that_cannot_be_listed_keeps_its_label_where_it_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1)
    (source / "ant" / "000.jpg").unlink()
    (source / "ant" / "000.jpg").symlink_to(tmp_path / "nowhere")
    (source / "ant" / "notes.txt").write_text("no image")
    listed = filesystem.listdir

    def listdir(path: str) -> list[str]:
        if path == str(source / "bee"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return listed(path)

    monkeypatch.setattr(filesystem, "listdir", listdir)
    summary = convert(source, tmp_path / "out", on_unreadable="skip")
    assert summary.manifest["class_names"] == ["ant", "bee", "cat"]
    assert [entry["name"] for entry in summary.manifest["skipped"]] == ["ant/000.jpg", "bee"]


def test_a_file_that_vanishes_after_the_listing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1)
    from pcr_tf.convert.sources.files.class_folders import ClassFolderSource

    listed = ClassFolderSource.list_items

    def list_and_delete(self: ClassFolderSource, **options: bool) -> object:
        listing = listed(self, **options)
        (source / "cat" / "000.jpg").unlink()
        return listing

    monkeypatch.setattr(ClassFolderSource, "list_items", list_and_delete)
    with pytest.raises(ConvertError, match=r"cat/000\.jpg: cannot be read: No such file"):
        convert(source, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.pcr"))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_example_without_the_image_feature_names_record_and_features(
    tmp_path: Path, num_workers: int
) -> None:
    good = {"image/encoded": [jpeg()]}
    write_tfrecord(tmp_path / "in.tfrecord", [good, {"jpeg": [jpeg()], "label": [1]}, good])
    with pytest.raises(
        ConvertError,
        match=r"in\.tfrecord: record 1: no image feature; expected image/encoded, got jpeg, label;"
        r" name it with `image_features`",
    ):
        convert(tmp_path / "in.tfrecord", tmp_path / "out", num_workers=num_workers)
    options = {"on_unreadable": "skip", "num_workers": num_workers}
    summary = convert(tmp_path / "in.tfrecord", tmp_path / "out2", **options)
    assert summary.manifest["counts"]["images"] == 2
    assert [s["name"] for s in summary.manifest["skipped"]] == ["in.tfrecord: record 1"]


@pytest.mark.parametrize("values", [b"", b"\x0a\x00"], ids=["no list", "an empty list"])
def test_an_image_feature_without_a_value_is_told_from_one_that_is_missing(
    tmp_path: Path, values: bytes
) -> None:
    entry = b"\x0a\x0dimage/encoded\x12" + bytes([len(values)]) + values
    entry = b"\x0a" + bytes([len(entry)]) + entry
    write_tfrecord(tmp_path / "in.tfrecord", [b"\x0a" + bytes([len(entry)]) + entry])
    message = r"record 0: no image: expected a value or more of image/encoded, got none; leave such"
    with pytest.raises(ConvertError, match=message):
        convert(tmp_path / "in.tfrecord", tmp_path / "out")


def test_a_sequence_example_whose_images_are_in_lists_is_told_apart(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    sequence = tf.train.SequenceExample()
    frames = sequence.feature_lists.feature_list["image/encoded"]
    for seed in range(2):
        frames.feature.add().bytes_list.value.append(jpeg(seed))
    write_tfrecord(tmp_path / "in.tfrecord", [sequence.SerializeToString()])
    message = (
        r"record 0: a tf\.train\.SequenceExample.*expected a tf\.train\.Example; write one for"
    )
    with pytest.raises(ConvertError, match=message):
        convert(tmp_path / "in.tfrecord", tmp_path / "out")
    # One whose image is in its context is an Example with more in it, all of which comes back.
    sequence.context.feature["image/encoded"].bytes_list.value.append(jpeg(3))
    write_tfrecord(tmp_path / "in.tfrecord", [sequence.SerializeToString()])
    convert(tmp_path / "in.tfrecord", tmp_path / "whole")
    (example,) = PcrReader(tmp_path / "whole").examples()
    assert tf.train.SequenceExample.FromString(example).feature_lists == sequence.feature_lists


def test_an_image_feature_of_another_kind_is_named(tmp_path: Path) -> None:
    good = {"image/encoded": [jpeg()]}
    write_tfrecord(tmp_path / "in.tfrecord", [{"image/encoded": [3]}, good])
    message = "record 0: image feature image/encoded is not a bytes_list"
    with pytest.raises(ConvertError, match=message):
        convert(tmp_path / "in.tfrecord", tmp_path / "out")
    summary = convert(tmp_path / "in.tfrecord", tmp_path / "out2", on_unreadable="skip")
    assert summary.manifest["counts"]["images"] == 1


def test_a_record_that_is_no_example_is_named(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "in.tfrecord", [b"\xff\xff\xff"])
    with pytest.raises(ConvertError, match=r"record 0: not a serialized tf\.train\.Example"):
        convert(tmp_path / "in.tfrecord", tmp_path / "out")


def _tfrecord_of_three(path: Path) -> tuple[bytes, int]:
    """Writes three examples; returns the bytes and the size of one frame."""
    example = encode_example({"image/encoded": [jpeg()]})
    write_tfrecord(path, [example] * 3)
    return path.read_bytes(), len(frame(example))


def test_a_flipped_bit_in_a_record_s_data_is_found(tmp_path: Path) -> None:
    data, frame_bytes = _tfrecord_of_three(tmp_path / "in.tfrecord")
    damaged = bytearray(data)
    damaged[frame_bytes + 100] ^= 1
    (tmp_path / "in.tfrecord").write_bytes(damaged)
    with pytest.raises(ConvertError, match=r"record 1: byte \d+: checksum of the record's data"):
        convert(tmp_path / "in.tfrecord", tmp_path / "out")
    summary = convert(tmp_path / "in.tfrecord", tmp_path / "out2", on_unreadable="skip")
    assert summary.manifest["counts"]["images"] == 2


def test_a_flipped_bit_in_a_record_s_length_is_found_when_listing(tmp_path: Path) -> None:
    data, frame_bytes = _tfrecord_of_three(tmp_path / "in.tfrecord")
    damaged = bytearray(data)
    damaged[frame_bytes] ^= 1
    (tmp_path / "in.tfrecord").write_bytes(damaged)
    with pytest.raises(ConvertError, match=rf"record 1: byte {frame_bytes}: checksum .* length"):
        convert(tmp_path / "in.tfrecord", tmp_path / "out")
    summary = convert(tmp_path / "in.tfrecord", tmp_path / "out", on_unreadable="skip")
    assert summary.manifest["counts"]["images"] == 1
    assert summary.manifest["skipped"][0]["name"] == "in.tfrecord: record 1"


@pytest.mark.parametrize("cut", [1, 4, 5, 1000])
def test_a_tfrecord_file_cut_short_is_named(tmp_path: Path, cut: int) -> None:
    data, _ = _tfrecord_of_three(tmp_path / "in.tfrecord")
    (tmp_path / "in.tfrecord").write_bytes(data[:-cut])
    with pytest.raises(ConvertError, match=r"record 2: byte \d+: the file ends inside the record"):
        convert(tmp_path / "in.tfrecord", tmp_path / "out")


def _of_a_set(
    folder: Path, numbers: Sequence[int], count: int, form: str = "train-{:05d}-of-{:05d}"
) -> Path:
    """TFRecord files of one example each, by their numbers; returns `folder`."""
    folder.mkdir(parents=True)
    for number in numbers:
        example: dict[str, Values] = {"image/encoded": [jpeg(number)]}
        write_tfrecord(folder / form.format(number, count), [example])
    return folder


def _num_items(*inputs: Path) -> int:
    """How many items a job over `inputs` would have."""
    options = ConvertOptions(inputs=tuple(map(str, inputs)), output=f"{inputs[0]}/../out")
    return len(Conversion(options).listing.items)


@pytest.mark.parametrize("pattern", ["", "/train-*-of-00004", "/*"])
def test_a_file_that_is_missing_in_a_set_is_named_and_may_be_skipped(
    tmp_path: Path, pattern: str
) -> None:
    source = f"{_of_a_set(tmp_path / 'in', (0, 1, 3), 4)}{pattern}"
    message = (
        r"in/train-00002-of-00004: cannot be read: No such file.*; is its set complete\?.*skip"
    )
    with pytest.raises(ConvertError, match=message):
        convert(Path(source), tmp_path / "out")
    summary = convert(Path(source), tmp_path / "out", on_unreadable="skip")
    assert summary.images == 3
    assert [entry["name"] for entry in summary.manifest["skipped"]] == ["train-00002-of-00004"]


def test_a_part_of_a_set_may_be_named_on_purpose(tmp_path: Path) -> None:
    source = _of_a_set(tmp_path / "in", (10, 11, 20), 100)
    for number, pattern in enumerate(("train-0001[01]-of-00100", "train-00020-of-00100")):
        assert convert(source / pattern, tmp_path / str(number)).images == 2 - number


def test_a_set_may_count_from_1(tmp_path: Path) -> None:
    assert convert(_of_a_set(tmp_path / "in", (1, 2, 3), 3), tmp_path / "out").images == 3
    (tmp_path / "in" / "train-00002-of-00003").unlink()
    with pytest.raises(ConvertError, match="train-00002-of-00003: cannot be read: No such file"):
        convert(tmp_path / "in", tmp_path / "again")


@pytest.mark.parametrize(("first", "count"), [(0, 16), (1, 12)])
def test_a_set_may_be_numbered_without_leading_zeros(
    tmp_path: Path, first: int, count: int
) -> None:
    numbers = range(first, first + count)
    source = _of_a_set(tmp_path / "in", numbers, count, "shard-{}-of-{}.tfrecord")
    assert _num_items(source) == count


def test_the_last_numbers_of_a_name_are_those_of_its_set(tmp_path: Path) -> None:
    form = "imagenet-2012-of-2013-{:05d}-of-{:05d}"
    source = _of_a_set(tmp_path / "in", (0, 1, 3), 4, form)
    with pytest.raises(ConvertError, match="imagenet-2012-of-2013-00002-of-00004: cannot be read"):
        _num_items(source)
    _of_a_set(tmp_path / "whole", range(4), 4, form)
    assert _num_items(tmp_path / "whole") == 4


@pytest.mark.parametrize(
    "inputs", [("p1", "p2"), ("p1/train-*", "p2"), ("p1", "p2/train-00003-of-00004")]
)
def test_a_set_may_be_spread_over_several_inputs(tmp_path: Path, inputs: tuple[str, ...]) -> None:
    _of_a_set(tmp_path / "p1", (0, 1, 2), 4)
    _of_a_set(tmp_path / "p2", (3,), 4)
    assert _num_items(*(tmp_path / name for name in inputs)) == 4
    (tmp_path / "p1" / "train-00001-of-00004").unlink()
    with pytest.raises(ConvertError, match="p1/train-00001-of-00004: cannot be read: No such file"):
        _num_items(*(tmp_path / name for name in inputs))


def test_sets_of_equal_names_in_several_inputs_are_sets_of_their_own(tmp_path: Path) -> None:
    inputs = [_of_a_set(tmp_path / "p1", (0, 1), 2), _of_a_set(tmp_path / "p2", (0,), 2)]
    with pytest.raises(ConvertError, match="p2/train-00001-of-00002: cannot be read: No such file"):
        _num_items(*inputs)


def test_a_single_file_with_numbers_in_its_name_is_a_set_only_as_tensorflow_writes_them(
    tmp_path: Path,
) -> None:
    form = "x-{}-of-{}.tfrecord"
    assert _num_items(_of_a_set(tmp_path / "1", (10,), 50, form)) == 1
    assert _num_items(_of_a_set(tmp_path / "2", (3,), 7, "x-{:03d}-of-{:03d}.tfrecord")) == 1
    with pytest.raises(ConvertError, match="is its set complete"):
        _num_items(_of_a_set(tmp_path / "3", (10,), 50))


@pytest.mark.parametrize("source", ["tfrecord", "class_folders"])
def test_an_input_in_two_spellings_is_converted_once(tmp_path: Path, source: str) -> None:
    folder = tmp_path / "in"
    if source == "tfrecord":
        _of_a_set(folder, (0, 1), 2)
    else:
        make_class_folders(folder, ("a", "b"), per_class=1)
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "alias").symlink_to(folder)
    spellings = ["in", "in/", "./in", "../{0}/in", "link/in", "alias", "alias/"]
    if source == "tfrecord":
        spellings += ["in/train-00000-of-00002", "in//train-*"]
    inputs = tuple(f"{tmp_path}/{path.format(tmp_path.name)}" for path in spellings)
    options = ConvertOptions(inputs=inputs, output=str(tmp_path / "out"), input_format=source)
    assert len(Conversion(options).listing.items) == 2


def test_a_gzipped_tfrecord_file_says_so(tmp_path: Path) -> None:
    import gzip

    data, _ = _tfrecord_of_three(tmp_path / "in.tfrecord")
    (tmp_path / "in.tfrecord").write_bytes(gzip.compress(data))
    with pytest.raises(ConvertError, match=r"gzip-compressed.*decompress it first"):
        convert(tmp_path / "in.tfrecord", tmp_path / "out")


@pytest.mark.parametrize("name", ["in.tfrecord", "in.tar"])
def test_files_of_which_none_can_be_read_are_not_called_empty(tmp_path: Path, name: str) -> None:
    import gzip

    for number in range(2):
        (tmp_path / f"{number}-{name}").write_bytes(gzip.compress(b"records"))
    message = rf"no (records|keys); 0-{name}.*: byte 0: .*gzip.*first \(1 more cannot be read\)"
    with pytest.raises(ConvertError, match=message):
        convert(f"{tmp_path}/*-{name}", tmp_path / "out", on_unreadable="skip")


def test_files_without_a_record_are_called_empty(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "in.tfrecord", [])
    with pytest.raises(ConvertError, match=r"in\.tfrecord: no records; the files are empty"):
        convert(tmp_path / "in.tfrecord", tmp_path / "out", on_unreadable="skip")


def test_an_image_file_named_as_input_is_no_tfrecord_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    with pytest.raises(ConvertError, match=r"is this a TFRecord file?"):
        convert(tmp_path / "a.jpg", tmp_path / "out")


def test_a_source_of_which_everything_is_skipped_gives_an_empty_data_set(tmp_path: Path) -> None:
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "in" / "a" / "x.png").write_bytes(png())
    summary = convert(tmp_path / "in", tmp_path / "out", on_unsupported="skip")
    assert (summary.images, summary.manifest["counts"]["skipped"]) == (0, 1)
    assert len(PcrReader(tmp_path / "out")) == 0
    flags = [f"--input={tmp_path}/in", f"--output={tmp_path}/by_command", "--on_unsupported=skip"]
    for _ in range(2):  # A finished job that is run again says so as well.
        done = run("convert", *flags, "--num_workers=0", "--quiet")
        assert done.returncode == 1
        message = f"pcr-convert: {tmp_path}/by_command: holds no image: every item was skipped, as "
        assert done.stderr == f"{message}a/x.png: not_a_jpeg: the image is a PNG file\n"


def test_a_pcr_data_set_is_no_source_and_its_export_is_named(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1)
    convert(source, tmp_path / "pcr")
    shard = next((tmp_path / "pcr").glob("*.pcr"))
    for given in (tmp_path / "pcr", shard, tmp_path / "pcr" / "*.pcr"):
        with pytest.raises(ConvertError, match="a PCR data set; make TFRecords of it first: pcr-e"):
            convert(given, tmp_path / "out")
        with pytest.raises(ConvertError, match="a PCR data set; make TFRecords of it first: pcr-e"):
            convert(given, tmp_path / "out", input_format="tfrecord")


def test_a_class_may_be_named_as_a_pcr_file_is(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", ["a.pcr", "b"], per_class=1)
    assert convert(source, tmp_path / "out").images == 2


@pytest.mark.parametrize("examples_per_record", [2, 100])
def test_a_record_that_is_too_large_is_named_with_its_last_item_and_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples_per_record: int
) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1)

    def refuse(_: PcrWriter) -> None:
        raise ValueError("record 0, metadata: too large; put fewer images into a record")

    monkeypatch.setattr(PcrWriter, "_end_record", refuse)
    last = "bee" if examples_per_record == 2 else "cat"
    message = rf"\.pcr: record 0, .* fewer images into a record, see `examples_per.*in/{last}/000"
    with pytest.raises(ConvertError, match=message):
        convert(source, tmp_path / "out", examples_per_record=examples_per_record, shuffle=False)
    assert not list((tmp_path / "out").glob("*.pcr"))


# Policies for what cannot be re-coded


@pytest.fixture
def with_a_png(tmp_path: Path) -> Path:
    """Three photographs and bee/odd.jpg, which is a PNG."""
    source = make_class_folders(tmp_path / "in", per_class=1)
    (source / "bee" / "odd.jpg").write_bytes(png(5))
    return source


@pytest.mark.parametrize("num_workers", [0, 1])
def test_policy_fail_names_image_reason_and_remedy(with_a_png: Path, num_workers: int) -> None:
    output = with_a_png.parent / "out"
    with pytest.raises(
        ConvertError, match=r"bee/odd\.jpg: cannot be re-coded losslessly: not_a_jpeg.*`on_unsup"
    ):
        convert(with_a_png, output, on_unsupported="raise", num_workers=num_workers)
    assert not list(output.glob("*.pcr"))
    assert not (output / "manifest.json").exists()


def test_policy_skip_leaves_the_example_out_and_names_it(with_a_png: Path) -> None:
    summary = convert(with_a_png, with_a_png.parent / "out", on_unsupported="skip")
    assert summary.manifest["counts"] == {
        "images": 3,
        "turned": 0,
        "opaque": 0,
        "opaque_reasons": {},
        "encoded": 0,
        "skipped": 1,
    }
    (skipped,) = summary.manifest["skipped"]
    assert (skipped["name"], skipped["reason"]) == ("bee/odd.jpg", "not_a_jpeg")
    assert sorted(_stored(with_a_png.parent / "out")) == ["000"]


def test_policy_encode_makes_a_jpeg_of_the_stated_quality(with_a_png: Path) -> None:
    output = with_a_png.parent / "out"
    summary = convert(with_a_png, output, on_unsupported="encode", encode_quality=90)
    assert [e["name"] for e in summary.manifest["encoded"]] == ["bee/odd.jpg"]
    coding, image = _stored(output)["odd"]
    expected = io.BytesIO()
    Image.open(io.BytesIO(png(5))).save(expected, "JPEG", quality=90)
    assert coding == "progressive"
    assert same_coefficients(image, expected.getvalue()) == ""
    formats = [
        bytes_features(e, ["image/format"])["image/format"] for e in PcrReader(output).examples(1)
    ]
    assert formats == [[b"JPEG"]] * 4


def test_policy_encode_takes_a_feature_in_whatever_form_protobuf_takes_it(tmp_path: Path) -> None:
    whole = encode_example({"image/encoded": [png(1), png(2)]})
    one, two, label = (
        feature_messages(encode_example({"a": values}))["a"] for values in ([png(1)], [png(2)], [1])
    )
    odd = [
        _example_of_parts("image/encoded", label + one + two),
        _example_of_parts("image/encoded", b"\x38\x01" + one + two),
        _example_of_parts("image/encoded", one, two),
    ]
    write_tfrecord(tmp_path / "in.tfrecord", [whole, *odd])
    summary = convert(tmp_path / "in.tfrecord", tmp_path / "out", on_unsupported="encode")
    assert (summary.images, summary.manifest["counts"]["encoded"]) == (8, 8)
    first, *others = (
        bytes_features(example, ["image/encoded"])
        for example in PcrReader(tmp_path / "out").examples()
    )
    assert others == [first] * 3


def _example_of_parts(key: str, *parts: bytes) -> bytes:
    """An example of one feature, whose Feature message comes in parts."""

    def field(number: int, data: bytes) -> bytes:
        size = bytes((len(data) & 0x7F | 0x80, len(data) >> 7 & 0x7F | 0x80, len(data) >> 14))
        return bytes((number << 3 | 2,)) + size + data

    entry = field(1, key.encode()) + b"".join(field(2, part) for part in parts)
    return field(1, field(1, entry))


def test_policy_encode_names_an_item_whose_images_cannot_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pcr_tf.convert.job import shard as shard_job

    def refuse(*_: object) -> None:
        raise ValueError("not to be parsed")

    monkeypatch.setattr(shard_job, "bytes_features", refuse)
    write_tfrecord(
        tmp_path / "in.tfrecord", [{"image/encoded": [image]} for image in (jpeg(), png())]
    )
    options: dict[str, Any] = {"on_unsupported": "encode", "num_workers": 0}
    message = r"record 1: not to be parsed; leave such items out with `on_unreadable=skip`"
    with pytest.raises(ConvertError, match=message):
        convert(tmp_path / "in.tfrecord", tmp_path / "out", **options)
    options["on_unreadable"] = "skip"
    summary = convert(tmp_path / "in.tfrecord", tmp_path / "out2", **options)
    assert summary.images == 1
    (skipped,) = summary.manifest["skipped"]
    assert (skipped["name"], skipped["reason"]) == ("in.tfrecord: record 1", "unreadable")


@pytest.mark.parametrize(("policy", "coded"), [("keep", 0), ("skip", 0), ("encode", 1)])
def test_an_image_is_transcoded_once_unless_it_is_encoded_anew(
    with_a_png: Path, monkeypatch: pytest.MonkeyPatch, policy: str, coded: int
) -> None:
    calls = []
    code = PcrWriter.code

    def counted(self: PcrWriter, record: bytes) -> Any:
        calls.append(record)
        return code(self, record)

    monkeypatch.setattr(PcrWriter, "code", counted)
    items = convert(with_a_png, with_a_png.parent / "out", on_unsupported=policy).manifest["source"]
    assert len(calls) == items["items"] + coded


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_policy_encode_keeps_orientation_and_colour_profile(with_a_png: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    odd = with_a_png / "bee" / "odd.jpg"
    picture(5).save(odd, kind, exif=exif, icc_profile=profile)
    convert(with_a_png, with_a_png.parent / "out", on_unsupported="encode")
    coding, image = _stored(with_a_png.parent / "out")["odd"]
    assert coding == "progressive"
    encoded = Image.open(io.BytesIO(image))
    assert encoded.getexif()[ExifTags.Base.Orientation] == 6
    assert encoded.info["icc_profile"] == profile


def test_policy_encode_leaves_out_a_profile_of_another_colour_space(with_a_png: Path) -> None:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[16:20] = b"GRAY"
    odd = with_a_png / "bee" / "odd.jpg"
    picture(5).save(odd, "PNG", icc_profile=bytes(profile))
    convert(with_a_png, with_a_png.parent / "out", on_unsupported="encode")
    coding, image = _stored(with_a_png.parent / "out")["odd"]
    assert coding == "progressive"
    assert "icc_profile" not in Image.open(io.BytesIO(image)).info


def test_policy_encode_keeps_what_it_cannot_read(with_a_png: Path) -> None:
    (with_a_png / "bee" / "odd.jpg").write_bytes(b"no image at all")
    output = with_a_png.parent / "out"
    summary = convert(with_a_png, output, on_unsupported="encode")
    assert [e["name"] for e in summary.manifest["opaque"]] == ["bee/odd.jpg"]
    assert _stored(output)["odd"] == ("opaque", b"no image at all")


def test_policy_encode_keeps_an_image_that_is_too_large_for_a_jpeg(with_a_png: Path) -> None:
    Image.new("L", (70_000, 2)).save(with_a_png / "bee" / "odd.jpg", "PNG")
    source = (with_a_png / "bee" / "odd.jpg").read_bytes()
    output = with_a_png.parent / "out"
    summary = convert(with_a_png, output, on_unsupported="encode")
    assert [e["name"] for e in summary.manifest["opaque"]] == ["bee/odd.jpg"]
    assert _stored(output)["odd"] == ("opaque", source)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_policy_encode_keeps_samples_of_32_bits_which_have_no_range(
    tmp_path: Path, mode: str
) -> None:
    (tmp_path / "in" / "a").mkdir(parents=True)
    Image.new(mode, (20, 10), 1).save(tmp_path / "in" / "a" / "x.tif")
    summary = convert(tmp_path / "in", tmp_path / "out", on_unsupported="encode")
    assert [entry["name"] for entry in summary.manifest["opaque"]] == ["a/x.tif"]
    assert summary.manifest["encoded"] == []


def test_policy_encode_scales_a_pgm_of_16_bits(tmp_path: Path) -> None:
    (tmp_path / "in" / "a").mkdir(parents=True)
    pgm = b"P5 20 10 65535\n" + (40_000).to_bytes(2, "big") * 200
    (tmp_path / "in" / "a" / "x.pgm").write_bytes(pgm)
    convert(tmp_path / "in", tmp_path / "out", on_unsupported="encode")
    decoded = Image.open(io.BytesIO(_stored(tmp_path / "out")["x"][1]))
    assert abs(decoded.tobytes()[0] - 40_000 / 257) < 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_policy_encode_takes_every_mode_of_picture(tmp_path: Path, mode: str) -> None:
    (tmp_path / "in" / "a").mkdir(parents=True)
    kind, suffix = ("TIFF", "tif") if mode == "CMYK" else ("PNG", "png")
    source = Image.new("I;16", (20, 10), 40_000) if mode == "I;16" else picture(1).convert(mode)
    source.save(tmp_path / "in" / "a" / f"x.{suffix}", kind)
    summary = convert(tmp_path / "in", tmp_path / "out", on_unsupported="encode")
    assert summary.manifest["counts"]["encoded"] == 1
    coding, image = _stored(tmp_path / "out")["x"]
    assert coding == "progressive"
    decoded = Image.open(io.BytesIO(image))
    assert decoded.size == source.size
    if mode == "I;16":
        assert abs(decoded.tobytes()[0] - 40_000 / 257) < 3
