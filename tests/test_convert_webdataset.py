"""Tar shards of WebDataset: keys become examples, whatever the order of their members."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import random
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pcr_tf._native import same_coefficients
from pcr_tf.convert import ConvertError, SourceOptions
from pcr_tf.convert.sources import make_source
from pcr_tf.format import PcrReader, filesystem
from pcr_tf.format.example import bytes_features, feature_keys, int_feature
from tests.conversion import ROOT, convert, digests, jpeg, make_class_folders, png, run

Member = tuple[str, bytes]


def _sample(number: int) -> list[Member]:
    key = f"n{number % 3:08d}/{number:04d}"
    about = {
        "width": 64,
        "score": 0.5,
        "caption": "a c\u00e4t",
        "tags": ["x", "y"],
        "deep": {"a": 1},
    }
    return [
        (f"{key}.jpg", jpeg(number)),
        (f"{key}.cls", b"%d\n" % (number % 3)),
        (f"{key}.json", json.dumps(about).encode()),
        (f"{key}.txt", b"caption %d" % number),
    ]


def _tar(members: Sequence[Member], **options: Any) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **options) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _write(path: Path, members: Sequence[Member], **options: Any) -> Path:
    path.write_bytes(_tar(members, **options))
    return path


def _members_of(first: int, count: int) -> list[Member]:
    return [member for number in range(first, first + count) for member in _sample(number)]


def _by_name(output: Path | str) -> dict[str, bytes]:
    examples = PcrReader(output).examples()
    return {
        bytes_features(e, ["image/filename"])["image/filename"][0].decode(): e for e in examples
    }


def test_members_become_features_through_the_flag_file(tmp_path: Path) -> None:
    for shard in range(2):
        _write(tmp_path / f"photos-{shard:06d}.tar", _members_of(10 * shard, 10))
    flags = (f"--flagfile={ROOT}/configs/webdataset.flags", f"--input={tmp_path}/photos-*.tar")
    done = run("convert", *flags, f"--output={tmp_path}/out")
    assert done.returncode == 0, done.stderr
    examples = _by_name(tmp_path / "out")
    assert len(examples) == 20
    for number in range(20):
        (image, data), _, (_, about), (_, caption) = _sample(number)
        example = examples[image]
        values = bytes_features(
            example, ["image/encoded", "image/format", "json", "txt", "json/caption", "json/tags"]
        )
        assert same_coefficients(values.pop("image/encoded")[0], data) == ""
        assert values == {
            "image/format": [b"JPEG"],
            "json": [about],
            "txt": [caption],
            "json/caption": ["a c\u00e4t".encode()],
            "json/tags": [b"x", b"y"],
        }
        assert int_feature(example, "image/class/label") == [number % 3]
        assert int_feature(example, "json/width") == [64]
        assert "json/score" in feature_keys(example)
        assert "json/deep" not in feature_keys(example)


@pytest.mark.parametrize("order", ["by extension", "at random"])
def test_members_of_a_key_need_not_stand_together(tmp_path: Path, order: str) -> None:
    members = _members_of(0, 30)
    expected = _write(tmp_path / "a.tar", members)
    convert(expected, tmp_path / "expected", examples_per_record=30)
    if order == "by extension":
        members.sort(key=lambda member: member[0].rpartition(".")[2])
    else:
        random.Random(1).shuffle(members)
    (tmp_path / "other").mkdir()
    convert(_write(tmp_path / "other" / "a.tar", members), tmp_path / "out", examples_per_record=30)
    ours, theirs = _by_name(tmp_path / "out"), _by_name(tmp_path / "expected")
    assert {name: sorted(feature_keys(e)) for name, e in ours.items()} == {
        name: sorted(feature_keys(e)) for name, e in theirs.items()
    }
    assert len(ours) == 30


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_and_hidden_files_are_understood(tmp_path: Path, form: int) -> None:
    name = "./" + "folder-" * 30 + "/" + "x" * 90
    members = [("./", b""), ("./._x.jpg", b"mac"), (".DS_Store", b"mac"), (f"{name}.jpg", jpeg(1))]
    convert(_write(tmp_path / "a.tar", members[1:], format=form), tmp_path / "out")
    assert list(_by_name(tmp_path / "out")) == [f"{name[2:]}.jpg"]


def test_a_folder_of_tar_files_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    _write(tmp_path / "in" / "0.tar", _members_of(0, 2))
    (tmp_path / "in" / "sizes.json").write_text("{}")
    summary = convert(tmp_path / "in", tmp_path / "out")
    assert (summary.manifest["source"]["kind"], summary.images) == ("webdataset", 2)


@pytest.mark.parametrize("folder", ["ant", "animals/ant"])
@pytest.mark.parametrize("name", ["photos.tar", "photos.tgz"])
def test_tar_files_beside_folders_of_images_are_refused_until_one_is_chosen(
    tmp_path: Path, folder: str, name: str
) -> None:
    source = make_class_folders(tmp_path / "in", (folder,), per_class=1)
    _write(source / name, _members_of(0, 2))
    with pytest.raises(
        ConvertError, match=r"in: holds tar files and folders of images; .* `input_format="
    ):
        convert(source, tmp_path / "out")
    assert convert(source, tmp_path / "out", input_format="class_folders").images == 1


def test_other_folders_beside_tar_files_are_in_nobody_s_way(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", (".thumbs", "__MACOSX"), per_class=1)
    (source / "logs").mkdir()
    (source / "logs" / "1.txt").write_text("packed")
    (source / "gone").symlink_to(tmp_path / "nowhere")
    _write(source / "0.tar", _members_of(0, 2))
    assert convert(source, tmp_path / "out").images == 2


def test_workers_do_not_change_the_result(tmp_path: Path) -> None:
    source = _write(tmp_path / "a.tar", _members_of(0, 12))
    for name, workers in (("x", 0), ("y", 2)):
        convert(source, tmp_path / name, num_workers=workers)
    assert digests(tmp_path / "x") == digests(tmp_path / "y")


def test_a_remote_tar_file_gives_what_a_local_one_does(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    data = _tar(_members_of(0, 6))
    (tmp_path / "a.tar").write_bytes(data)
    filesystem.makedirs("ram://wds")
    filesystem.write_atomic("ram://wds/a.tar", data)
    convert("ram://wds/a.tar", tmp_path / "x")
    convert(tmp_path / "a.tar", tmp_path / "y")
    assert _by_name(tmp_path / "x") == _by_name(tmp_path / "y")


def test_of_several_images_one_is_chosen_by_its_extension(tmp_path: Path) -> None:
    members = [("a.jpg", jpeg(1)), ("a.png", png(2)), ("a.seg.png", png(3))]
    source = _write(tmp_path / "a.tar", members)
    with pytest.raises(
        ConvertError, match=r"a\.tar: a: several images: \.jpg, \.png, \.seg\.png; ch"
    ):
        convert(source, tmp_path / "out")
    convert(source, tmp_path / "out", source_options=SourceOptions(image_extension=".jpg"))
    (example,) = PcrReader(tmp_path / "out").examples()
    values = bytes_features(example, ["png", "seg.png"])
    assert values == {"png": [png(2)], "seg.png": [png(3)]}


# Bad input


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (("0002.cls", b"cat"), r"a\.tar: 0002: \.cls: expected an integer, got 'cat'"),
        (("0002.cls", b""), r"a\.tar: 0002: \.cls: expected an integer, got ''"),
        (("0002.json", b"[1, 2]"), r"0002: \.json: expected an object, got list"),
        (("0002.json", b"{"), r"0002: \.json: not JSON"),
        (("0002.json", b"\xff\xfe"), r"0002: \.json: not JSON"),
        (("0009.txt", b"x"), r"a\.tar: 0009: no image; expected one of \.jpg.*got \.txt"),
    ],
)
def test_a_bad_member_is_named_and_may_be_skipped(
    tmp_path: Path, member: Member, message: str
) -> None:
    members = [("0001.jpg", jpeg(1)), ("0002.jpg", jpeg(2)), member, ("0003.jpg", jpeg(3))]
    source = _write(tmp_path / "a.tar", members)
    with pytest.raises(ConvertError, match=message + ".*`on_unreadable=skip`"):
        convert(source, tmp_path / "out")
    summary = convert(source, tmp_path / "skipped", on_unreadable="skip")
    (skipped,) = summary.manifest["skipped"]
    assert skipped["name"] == f"a.tar: {member[0].partition('.')[0]}"
    assert summary.images + int(member[0].startswith("0002")) == 3


def test_a_member_that_is_there_twice_is_an_error_with_both_places(tmp_path: Path) -> None:
    members = [("a.jpg", jpeg(1)), ("b.jpg", jpeg(2)), ("a.JPG", jpeg(3))]
    with pytest.raises(
        ConvertError, match=r"a: byte \d+: member 'a\.JPG' occurs again; .* byte 512; rem"
    ):
        convert(_write(tmp_path / "a.tar", members), tmp_path / "out")


def test_a_member_that_is_there_twice_costs_its_key_alone_where_it_is_skipped(
    tmp_path: Path,
) -> None:
    members = [*_members_of(0, 3), ("n00000001/0001.cls", b"7"), *_members_of(3, 1)]
    summary = convert(_write(tmp_path / "a.tar", members), tmp_path / "out", on_unreadable="skip")
    assert summary.images == 3
    (skipped,) = summary.manifest["skipped"]
    assert skipped["name"] == "a.tar: n00000001/0001"
    assert "member 'n00000001/0001.cls' occurs again" in skipped["detail"]


def test_a_tar_file_cut_anywhere_is_named(tmp_path: Path) -> None:
    data = _tar([("a.jpg", jpeg(1)), ("b.jpg", jpeg(2)), ("c.jpg", jpeg(3))])
    end = len(data.rstrip(b"\0")) + 511 & ~511
    path = tmp_path / "a.tar"
    cuts = [1, 300, 512, 600, end // 2, end - 1, end, end + 100]
    third = data.index(b"c.jpg")
    for cut in [*cuts, third, third + 100]:
        path.write_bytes(data[:cut])
        with pytest.raises(
            ConvertError, match=r"a\.tar: ((byte \d+: )|not a tar file, or damaged)"
        ):
            convert(path, tmp_path / "out")
    path.write_bytes(data[: third + 100])
    summary = convert(path, tmp_path / "out", on_unreadable="skip")
    assert summary.images == 1  # Members of b may be lost.
    assert [entry["name"] for entry in summary.manifest["skipped"]] == ["a.tar"]
    path.write_bytes(data[: end + 512])  # One block of the two: read by every program.
    assert convert(path, tmp_path / "whole").images == 3


def test_where_members_of_a_key_stand_apart_a_tar_file_cut_short_gives_no_half_example(
    tmp_path: Path,
) -> None:
    images = [(f"{key}.jpg", jpeg(seed)) for seed, key in enumerate("abc")]
    data = _tar([*images, ("a.cls", b"0"), ("b.cls", b"1"), ("c.cls", b"2"), ("d.jpg", jpeg(4))])
    path = tmp_path / "a.tar"
    path.write_bytes(data[: data.index(b"c.cls") + 100])
    source = make_source("webdataset", [str(path)], ["image/encoded"])
    with pytest.raises(ConvertError, match="no keys"):
        source.list_items(skip_unreadable=True)


def _linked(*links: tuple[str, bytes, str]) -> bytes:
    """A tar file of a.jpg, a.cls and links: (name, type, what it leads to)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in (("./a.jpg", jpeg(1)), ("./a.cls", b"7")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name, kind, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    return out.getvalue()


def test_a_hard_link_has_the_bytes_of_the_member_that_it_leads_to(tmp_path: Path) -> None:
    links = [("b.cls", tarfile.LNKTYPE, "a.cls"), ("b.jpg", tarfile.LNKTYPE, "./a.jpg")]
    (tmp_path / "a.tar").write_bytes(_linked(*links))
    convert(tmp_path / "a.tar", tmp_path / "out")
    examples = _by_name(tmp_path / "out")
    assert sorted(examples) == ["a.jpg", "b.jpg"]
    assert int_feature(examples["b.jpg"], "image/class/label") == [7]
    assert bytes_features(examples["b.jpg"], ["image/encoded"]) == bytes_features(
        examples["a.jpg"], ["image/encoded"]
    )


@pytest.mark.parametrize(
    ("link", "message"),
    [
        (
            ("b.jpg", tarfile.SYMTYPE, "a.jpg"),
            r"'b\.jpg' is a link or otherwise not a file; pack the file it",
        ),
        (("b.jpg", tarfile.LNKTYPE, "z.jpg"), r"'b\.jpg' is a hard link to 'z\.jpg', which is not"),
        (("b.jpg", tarfile.FIFOTYPE, ""), r"'b\.jpg' is a link or otherwise not a file"),
    ],
)
def test_a_member_without_bytes_of_its_own_is_named_and_its_key_may_be_skipped(
    tmp_path: Path, link: tuple[str, bytes, str], message: str
) -> None:
    source = tmp_path / "a.tar"
    source.write_bytes(_linked(link, ("c.jpg", tarfile.LNKTYPE, "a.jpg")))
    with pytest.raises(ConvertError, match=rf"a\.tar: b: byte \d+: member {message}"):
        convert(source, tmp_path / "out")
    summary = convert(source, tmp_path / "out", on_unreadable="skip")
    assert sorted(_by_name(tmp_path / "out")) == ["a.jpg", "c.jpg"]
    assert [entry["name"] for entry in summary.manifest["skipped"]] == ["a.tar: b"]


def test_links_and_labels_of_volumes_that_are_of_no_key_are_left_out(tmp_path: Path) -> None:
    source = tmp_path / "a.tar"
    source.write_bytes(
        _linked(
            ("2024-05", b"V", ""),
            ("latest", tarfile.SYMTYPE, "a.jpg"),
            ("a", b"V", ""),
            ("pipe.txt", tarfile.FIFOTYPE, ""),
        )
    )
    summary = convert(source, tmp_path / "out")
    assert sorted(_by_name(tmp_path / "out")) == ["a.jpg"]
    assert summary.manifest["source"]["ignored_files"] == 2


@pytest.mark.parametrize(("link", "extension"), [("a.txt", ""), ("b.img", ".img")])
def test_a_link_that_belongs_to_a_key_or_is_the_image_breaks_its_key(
    tmp_path: Path, link: str, extension: str
) -> None:
    source = tmp_path / "a.tar"
    image = ("a.img", tarfile.LNKTYPE, "a.jpg")
    source.write_bytes(_linked(image, (link, tarfile.SYMTYPE, "a.cls")))
    source_options = SourceOptions(image_extension=extension)
    with pytest.raises(ConvertError, match=f"member '{link}' is a link or otherwise not a file"):
        convert(source, tmp_path / "out", input_format="webdataset", source_options=source_options)


def test_an_extension_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    members = [("a.jpg", jpeg(1)), ("b.jpg", jpeg(2)), ("b.t\udce4g", b"x")]
    source = _write(tmp_path / "a.tar", members)
    with pytest.raises(ConvertError, match=r"a\.tar: b: byte \d+: member .* not UTF-8.*rename it"):
        convert(source, tmp_path / "out")
    assert convert(source, tmp_path / "out", on_unreadable="skip").images == 1


def test_a_flipped_bit_in_a_header_is_found(tmp_path: Path) -> None:
    data = bytearray(_tar([("a.jpg", jpeg(1)), ("b.jpg", jpeg(2))]))
    at = data.index(b"b.jpg")
    data[at + 1] ^= 1
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(
        ConvertError, match=rf"byte {at}: neither the header of a member nor the end"
    ):
        convert(tmp_path / "a.tar", tmp_path / "out")


def test_archives_that_were_joined_are_refused(tmp_path: Path) -> None:
    data = _tar([("a.jpg", jpeg(1))]) + _tar([("b.jpg", jpeg(2))])
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(ConvertError, match=r"the archive ends here.*does it hold several archives"):
        convert(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            gzip.compress(b"x" * 2000, mtime=0),
            "gzip-compressed; members cannot be located; decompress it",
        ),
        (b"", "not a tar file, or damaged: empty file"),
        (b"no tar file" * 100, "not a tar file, or damaged"),
        (bytes(10240), "no keys; the files are empty"),
    ],
)
def test_a_file_that_is_no_tar_file_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(ConvertError, match=rf"a\.tar: .*{message}"):
        convert(tmp_path / "a.tar", tmp_path / "out")


def test_a_tar_file_that_shrinks_after_the_listing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pcr_tf.convert.sources.webdataset.webdataset import WebDatasetSource

    source = _write(tmp_path / "a.tar", [("a.jpg", jpeg(1)), ("b.jpg", jpeg(2))])
    listed = WebDatasetSource.list_items

    def list_and_cut(self: WebDatasetSource, **options: bool) -> object:
        listing = listed(self, **options)
        source.write_bytes(source.read_bytes()[:1000])
        return listing

    monkeypatch.setattr(WebDatasetSource, "list_items", list_and_cut)
    with pytest.raises(ConvertError, match=r"a\.tar: [ab]: the file ends inside member \.jpg"):
        convert(source, tmp_path / "out")


def test_json_that_no_encoding_can_write_is_taken_as_it_comes(tmp_path: Path) -> None:
    about = b'{"\\ud800": "\\udfff", "big": 1e999, "huge": %d, "none": null, "mixed": [1, "a"]}'
    members = [("a.jpg", jpeg(1)), ("a.json", about % 10**400)]
    convert(_write(tmp_path / "a.tar", members), tmp_path / "out")
    (example,) = PcrReader(tmp_path / "out").examples()
    assert bytes_features(example, ["json", "json/?"]) == {
        "json": [about % 10**400],
        "json/?": [b"?"],
    }
    keys = ["image/encoded", "image/filename", "image/format", "json", "json/?"]
    assert feature_keys(example) == keys


def test_a_number_of_json_is_a_feature_where_one_can_hold_it(tmp_path: Path) -> None:
    about = (
        b'{"least": -9223372036854775808, "id": 12345678901234567890, "big": 1e300, "ten": 1e10,'
        b' "small": 1e-5, "tiny": 1e-400, "none": 0e-400, "time": 1700000000.123,'
        b' "mixed": [1, 0.5], "lossy": [16777217, 0.5],'
        b' "digits": %s}'
    )
    members = [("a.jpg", jpeg(1)), ("a.json", about % (b"9" * 5000))]
    convert(_write(tmp_path / "a.tar", members), tmp_path / "out")
    tf = pytest.importorskip("tensorflow")
    (example,) = PcrReader(tmp_path / "out").examples()
    found = {
        name.removeprefix("json/"): getattr(feature, feature.WhichOneof("kind")).value
        for name, feature in tf.train.Example.FromString(example).features.feature.items()
        if name.startswith("json/")
    }
    assert found == {
        "least": [-(2**63)],
        "ten": [1e10],
        "small": pytest.approx([1e-5]),
        "none": [0.0],
        "mixed": [1.0, 0.5],
    }


def test_a_damaged_tar_file_is_read_or_refused_but_never_crashes(tmp_path: Path) -> None:
    whole = [
        _tar(_members_of(0, 2)),
        _tar([("x" * 200 + ".jpg", jpeg(1))], format=tarfile.PAX_FORMAT),
    ]
    rng = random.Random(1)
    path = tmp_path / "a.tar"
    for _ in range(200):
        damaged = bytearray(rng.choice(whole))
        for _ in range(rng.choice((1, 3))):
            at = rng.randrange(len(damaged)) // rng.choice((1, 10))
            damaged[at] = rng.choice((0, 255, rng.randrange(256)))
        path.write_bytes(damaged)
        source = make_source("webdataset", [str(path)], ["image/encoded"])
        with contextlib.suppress(ConvertError):
            listing = source.list_items(skip_unreadable=rng.random() < 0.5)
            for item in listing.items:
                source.read(item, listing.context)


def test_a_member_does_not_take_the_place_of_the_image(tmp_path: Path) -> None:
    members = [("k.jpg", jpeg(0)), ("k.png", png(1)), ("k.cls", b"3")]
    source = _write(tmp_path / "a.tar", members)
    chosen = SourceOptions(image_extension=".jpg")
    message = r"a\.tar: k: member \.png: makes a feature 'png', which exists already"
    with pytest.raises(ConvertError, match=message):
        convert(source, tmp_path / "x", image_features=("png",), source_options=chosen)
    convert(source, tmp_path / "out", source_options=chosen)
    (example,) = PcrReader(tmp_path / "out").examples()
    features = bytes_features(example, ["image/encoded", "png"])
    assert same_coefficients(features["image/encoded"][0], jpeg(0)) == ""
    assert features["png"] == [png(1)]


def test_a_key_goes_to_the_first_dot_of_the_name_and_not_of_its_folder(tmp_path: Path) -> None:
    members = [
        ("v1.2/a.jpg", jpeg(0)),
        ("v1.2/a.cls", b"1"),
        ("v1.2/b.JPG", jpeg(1)),
        ("v1.2/b.CLS", b"-1"),
    ]
    convert(_write(tmp_path / "a.tar", members), tmp_path / "out")
    found = _by_name(tmp_path / "out")
    labels = {name: int_feature(example, "image/class/label") for name, example in found.items()}
    assert labels == {"v1.2/a.jpg": [1], "v1.2/b.jpg": [-1]}


@pytest.mark.parametrize("text", [b'{"label": 1, "label": 2}', b'{"a": {"b": 1, "b": 1}}'])
def test_a_name_that_json_has_twice_is_an_error(tmp_path: Path, text: bytes) -> None:
    source = _write(tmp_path / "a.tar", [("k.jpg", jpeg(0)), ("k.json", text)])
    with pytest.raises(ConvertError, match=r"a\.tar: k: \.json: not JSON: name '(label|b)' twice"):
        convert(source, tmp_path / "out")
