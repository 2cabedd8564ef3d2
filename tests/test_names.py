"""Names that are not ASCII, or not even UTF-8, under every locale."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import tensorflow as tf

from pcr_tf.convert import ConvertError, ConvertOptions
from pcr_tf.data import Fidelity, PcrDataset
from pcr_tf.format import PcrReader, PcrWriter, filesystem, names
from pcr_tf.format.dataset_index import write_side_index
from pcr_tf.format.example import encode_example
from tests.conversion import ROOT, digests, jpeg, png, write_tfrecord

BAD = os.fsdecode(b"bad\xff")

# Python's name for the file system's encoding -> what makes it that.
LOCALES = {
    "utf-8": {"LC_ALL": "C", "PYTHONUTF8": "1"},
    "by default": {"LC_ALL": "C"},
    "ascii": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


def _run(locale: str, name: str, *arguments: str | bytes) -> subprocess.CompletedProcess[bytes]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}
    environment.pop("PYTHONUTF8", None)
    return subprocess.run(
        [sys.executable, "-m", f"pcr_tf.cli.{name}", *arguments],
        cwd=ROOT,
        env={**environment, **LOCALES[locale], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        timeout=120,
    )


def _source(folder: Path) -> Path:
    for number, name in enumerate([b"k\xff", "bäume".encode(), b"plain"]):
        there = folder / os.fsdecode(name)
        there.mkdir(parents=True)
        (there / "ü.jpg").write_bytes(jpeg(number))
        (there / os.fsdecode(b"\xfe.png")).write_bytes(png(number))
    (folder / "plain" / "später.jpg").write_bytes(jpeg(9)[:300])
    return folder


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    said = (done.stdout + done.stderr).decode()  # UTF-8, whatever the names
    assert len(said) < 7000, "no message holds the contents of a file"
    assert "Traceback" not in said
    return said


@pytest.fixture(scope="module")
def by_locale(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The data set of one source, converted under each locale: <folder>/out<ff>."""
    source = _source(tmp_path_factory.mktemp("source") / os.fsdecode(b"in\xfc"))
    made = {}
    for locale in LOCALES:
        made[locale] = tmp_path_factory.mktemp("made") / os.fsdecode(b"out\xff")
        done = _run(
            locale,
            "convert",
            b"--input=" + os.fsencode(source),
            b"--output=" + os.fsencode(made[locale]),
            "--prefix=ü".encode(),
            "--num_workers=1",
            "--num_shards=2",
            "--profile_images=0",
        )
        assert done.returncode == 0, _said(done)
        _said(done)
        verified = _run(
            locale,
            "verify",
            os.fsencode(made[locale]),
            b"--source=" + os.fsencode(source),
            "--num_workers=0",
        )
        assert verified.returncode == 0, _said(verified)
    return made


def test_the_data_set_is_the_same_under_every_locale(by_locale: dict[str, Path]) -> None:
    utf8, *others = (digests(folder) for folder in by_locale.values())
    assert {name for name in utf8 if not name.startswith(".")} == {
        "ü-00000-of-00002.pcr",
        "ü-00001-of-00002.pcr",
        "dataset.pcr-index",
        "manifest.json",
    }
    assert all(other == utf8 for other in others)
    manifest = json.loads((by_locale["ascii"] / "manifest.json").read_text())
    assert manifest["class_names"] == ["bäume", os.fsdecode(b"k\xff"), "plain"]
    assert manifest["flags"]["prefix"] == "ü"
    assert "plain/später.jpg" in [entry["name"] for entry in manifest["opaque"]]


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("convert", None),
        ("inspect", []),
        ("inspect", ["--json", "--records"]),
        ("index", []),
        ("verify", ["--num_workers=1"]),
        ("export", ["--num_workers=1", "--format=files"]),
    ],
)
def test_every_command_takes_names_of_any_bytes(
    by_locale: dict[str, Path], locale: str, name: str, flags: Sequence[str] | None, tmp_path: Path
) -> None:
    folder = by_locale[locale]
    before = digests(folder)
    if name == "convert":
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["source"]["kind"] == "class_folders"
        done = _run(locale, name, b"--input=" + os.fsencode(folder), b"--output=x\xff")
        assert done.returncode == 1
        assert "pcr-convert: " in _said(done)
        return
    paths: list[bytes] = [os.fsencode(folder)]
    if name == "export":
        paths.append(b"--output=" + os.fsencode(tmp_path / BAD))
    done = _run(locale, name, *paths, *(flags or []))
    assert done.returncode == 0, _said(done)
    _said(done)
    assert digests(folder) == before


@pytest.mark.parametrize("locale", LOCALES)
def test_damage_in_a_file_of_any_name_is_told_by_every_command(tmp_path: Path, locale: str) -> None:
    folder = tmp_path / BAD
    folder.mkdir()
    _write(folder / "ü.pcr")
    _flip(folder / "ü.pcr", -40)
    for name, flags in (("inspect", []), ("verify", ["--num_workers=1"]), ("index", [])):
        done = _run(locale, name, os.fsencode(folder), *flags)
        assert done.returncode == 1
        assert "footer" in _said(done)


def _write(path: Path) -> None:
    with PcrWriter(path) as writer:
        writer.write(encode_example({"image/encoded": [jpeg()]}))


def _flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("locale", LOCALES)
def test_a_prefix_that_cannot_be_stored_is_refused_before_work(tmp_path: Path, locale: str) -> None:
    flags = [b"--input=" + os.fsencode(tmp_path), b"--output=" + os.fsencode(tmp_path / "out")]
    done = _run(locale, "convert", *flags, b"--prefix=bad\xff")
    assert done.returncode == 2
    assert "--prefix; expected UTF-8, since the side index holds" in _said(done)
    with pytest.raises(ConvertError, match="`prefix`; expected UTF-8"):
        ConvertOptions(inputs=("in",), output=str(tmp_path / "out"), prefix=BAD)


@pytest.mark.parametrize("locale", LOCALES)
def test_a_table_finds_its_images_under_every_locale_or_says_which_it_needs(
    tmp_path: Path, locale: str
) -> None:
    images = tmp_path / "in"
    images.mkdir()
    for number, name in enumerate(["a.jpg", "ü.jpg"]):
        (images / name).write_bytes(jpeg(number))
    (tmp_path / "t.csv").write_text("image,class\na.jpg,1\nü.jpg,2\n", encoding="utf-8")
    flags = [f"--input={images}", f"--table={tmp_path / 't.csv'}", f"--output={tmp_path / 'out'}"]
    flags += ["--on_unmatched=ignore_rows", "--num_workers=0", "--profile_images=0"]
    done = _run(locale, "convert", *flags)
    if locale == "ascii":
        assert done.returncode == 1
        assert "t.csv: line 3: expected ASCII, the only text" in _said(done)
    else:
        assert done.returncode == 0, _said(done)
        assert len(PcrReader(tmp_path / "out")) == 2


@pytest.mark.parametrize("locale", LOCALES)
def test_a_key_of_a_feature_is_utf8_under_every_locale(tmp_path: Path, locale: str) -> None:
    write_tfrecord(tmp_path / "in.tfrecord", [{"größe": [jpeg()]}])
    flags = [f"--input={tmp_path / 'in.tfrecord'}", f"--output={tmp_path / 'out'}"]
    flags += ["--image_feature=größe", "--num_workers=0", "--profile_images=0"]
    done = _run(locale, "convert", *flags)
    assert done.returncode == 0, _said(done)
    assert PcrReader(tmp_path / "out").index.header.image_features == ["größe"]
    assert _run(locale, "verify", str(tmp_path / "out"), f"--source={flags[0][8:]}").returncode == 0


def test_a_shard_whose_name_is_not_utf8_is_read_but_not_put_into_a_side_index(
    tmp_path: Path,
) -> None:
    path = tmp_path / f"{BAD}.pcr"
    _write(path)
    assert len(PcrReader(tmp_path)) == len(PcrReader(path)) == 1
    for files in (tmp_path, path):
        assert len(list(PcrDataset(files, 1))) == 1
    with pytest.raises(ValueError, match=r"name of a shard; expected UTF-8, .* rename the file"):
        write_side_index(tmp_path)


def test_the_op_says_what_is_damaged_in_a_file_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / BAD
    folder.mkdir()
    path = folder / "ü.pcr"
    _write(path)
    whole = path.read_bytes()
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"bad\\xff.*scan groups|expected 1"):
        list(PcrDataset(path, 99))
    _flip(path, 2500)
    with pytest.raises(tf.errors.DataLossError, match=r"bad\\xff/ü\.pcr: record 0"):
        list(PcrDataset(path))
    path.write_bytes(whole[:-1])
    with pytest.raises(tf.errors.DataLossError, match=r"bad\\xff/ü\.pcr: "):
        list(PcrDataset(path))
    with pytest.raises(ValueError, match=r"bad\\xff/ü\.pcr: no footer"):
        PcrReader(path)
    path.unlink()
    with pytest.raises(tf.errors.NotFoundError, match=r"bad\\xff: neither a side index"):
        list(PcrDataset(folder))
    with pytest.raises(tf.errors.NotFoundError, match=r"bad\\xff/nothing"):
        list(PcrDataset(folder / "nothing"))
    (folder / "dataset.pcr-index").write_bytes(b"no index")
    with pytest.raises(tf.errors.DataLossError, match=r"bad\\xff/dataset\.pcr-index: "):
        list(PcrDataset(folder))
    with pytest.raises(ValueError, match=r"bad\\xff/dataset\.pcr-index: "):
        PcrReader(folder)


def test_a_fidelity_in_a_file_of_any_name_is_read_and_missed_by_name(tmp_path: Path) -> None:
    _write(tmp_path / "a.pcr")
    fidelity = Fidelity(1, path=tmp_path / BAD)
    assert len(list(PcrDataset(tmp_path, fidelity))) == 1
    assert Fidelity(path=tmp_path / BAD).value == 1
    (tmp_path / BAD).write_text("no fidelity")
    with pytest.raises(ValueError, match=r"bad(\\xff|\udcff): "):
        Fidelity(path=tmp_path / BAD)


def test_a_remote_name_that_is_not_utf8_is_an_error_that_names_it() -> None:
    path = f"ram://names/{BAD}.pcr"
    for use in (PcrWriter, PcrReader, filesystem.exists, filesystem.listdir, filesystem.remove):
        with pytest.raises(OSError, match="names of remote files are UTF-8") as error:
            use(path)
        assert error.value.filename == path


@pytest.mark.parametrize(
    ("name", "data", "utf8"),
    [("a", b"a", True), ("ü", b"\xc3\xbc", True), ("\udcc3\udcbc", b"\xc3\xbc", True)]
    + [(BAD, b"bad\xff", False)],
)
def test_a_name_is_stored_by_its_bytes(name: str, data: bytes, utf8: bool) -> None:
    assert names.name_bytes(name) == data
    assert names.stored_name(name) == data.decode("utf-8", "surrogateescape")
    assert names.is_utf8(name) == utf8
    assert names.to_json({name: [name]}) == names.to_json(
        {names.stored_name(name): (names.stored_name(name),)}
    )


def test_a_locale_of_another_encoding_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    with pytest.raises(OSError, match=r"expected UTF-8, got iso8859-1 .*; set PYTHONUTF8=1"):
        names.check_locale()


def _flags(source: Path, output: Path) -> list[bytes]:
    return [
        b"--input=" + os.fsencode(source),
        b"--output=" + os.fsencode(output),
        b"--num_workers=0",
        b"--profile_images=0",
    ]


def test_a_list_of_classes_is_one_under_every_locale(tmp_path: Path) -> None:
    source, listed = tmp_path / "in", tmp_path / "classes.txt"
    for number, name in enumerate([b"k\xff", "bäume".encode()]):
        (source / os.fsdecode(name)).mkdir(parents=True)
        (source / os.fsdecode(name) / "a.jpg").write_bytes(jpeg(number))
    listed.write_bytes("neu\nbäume\nk".encode() + b"\xff\n")
    first = tmp_path / "utf-8"
    done = _run("utf-8", "convert", *_flags(source, first), f"--classes=@{listed}")
    assert done.returncode == 0, _said(done)
    for flag in (f"--classes=@{listed}", f"--classes_from={first}"):
        again = tmp_path / f"ascii{len(flag)}"
        done = _run("ascii", "convert", *_flags(source, again), flag)
        assert done.returncode == 0, _said(done)
        assert digests(again) == digests(first)
    verified = _run("ascii", "verify", str(first), f"--source={source}", "--num_workers=0")
    assert verified.returncode == 0, _said(verified)


def test_a_list_of_classes_fits_the_labels_of_tar_shards_under_every_locale(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        for name, data in (("a.jpg", jpeg()), ("a.cls", "bäume".encode())):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    for locale in ("utf-8", "ascii"):
        flags = _flags(tmp_path / "in.tar", tmp_path / locale)
        done = _run(locale, "convert", *flags, "--classes=neu,bäume".encode())
        assert done.returncode == 0, _said(done)
    assert digests(tmp_path / "ascii") == digests(tmp_path / "utf-8")


def test_names_of_a_list_fit_a_list_of_classes_under_every_locale(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(jpeg())
    (tmp_path / "t.csv").write_text("file,label\na.jpg,0\n")
    (tmp_path / "names.txt").write_text("bäume\n", encoding="utf-8")
    for locale in ("utf-8", "ascii"):
        done = _run(
            locale,
            "convert",
            *_flags(tmp_path / "in", tmp_path / locale),
            f"--table={tmp_path / 't.csv'}",
            "--label_column=label",
            f"--label_names={tmp_path / 'names.txt'}",
            "--classes=neu,bäume".encode(),
        )
        assert done.returncode == 0, _said(done)
    assert digests(tmp_path / "ascii") == digests(tmp_path / "utf-8")
