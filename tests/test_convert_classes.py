"""The list of classes that a user gives: every label is a position in it, in every data set."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pcr_tf.convert import (
    ConvertError,
    ConvertOptions,
    SourceOptions,
    SplitPart,
    split_conversions,
)
from pcr_tf.convert.verify.same_classes import class_faults
from pcr_tf.format import PcrReader, class_names
from pcr_tf.format.example import bytes_features, feature_keys, int_feature
from tests.conversion import (
    ROOT,
    convert_with,
    jpeg,
    labels_by_name,
    make_class_folders,
    png,
    run,
)

ALL = ("ant", "bee", "cat", "dog", "elk")
SOME = ("bee", "dog", "elk")


def _labels(output: Path) -> dict[str, set[tuple[int, str]]]:
    """The labels, and names of them, of the examples from each folder."""
    found: dict[str, set[tuple[int, str]]] = {}
    for example in PcrReader(output).examples(1):
        values = bytes_features(example, ["image/filename", "image/class/text"])
        (label,) = int_feature(example, "image/class/label")
        folder = values["image/filename"][0].decode().rpartition("/")[0]
        found.setdefault(folder, set()).add((label, values["image/class/text"][0].decode()))
    return found


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The class folders of ALL, and the data set that was made of them."""
    root = tmp_path_factory.mktemp("train")
    source = make_class_folders(root / "in", ALL, 2)
    convert_with(source, root / "train.pcr")
    return source, root / "train.pcr"


@pytest.fixture
def val(tmp_path: Path) -> Path:
    """The class folders of SOME."""
    return make_class_folders(tmp_path / "val", SOME, 2)


RIGHT = {"bee": {(1, "bee")}, "dog": {(3, "dog")}, "elk": {(4, "elk")}}


@pytest.mark.parametrize("way", ["names", "file", "data set", "copy of the manifest"])
def test_validation_folders_that_lack_classes_get_the_labels_of_training(
    train: tuple[Path, Path], val: Path, tmp_path: Path, way: str
) -> None:
    (tmp_path / "names.txt").write_text("\n".join(ALL) + "\n")
    (tmp_path / "other.pcr").mkdir()
    shutil.copy(train[1] / "manifest.json", tmp_path / "other.pcr")
    ways: dict[str, dict[str, Any]] = {
        "names": {"classes": ALL},
        "file": {"classes": (f"@{tmp_path}/names.txt",)},
        "data set": {"classes_from": str(train[1])},
        "copy of the manifest": {"classes_from": str(tmp_path / "other.pcr")},
    }
    summary = convert_with(val, tmp_path / "out", **ways[way])
    assert summary.manifest["class_names"] == list(ALL)
    assert summary.manifest["source"]["classes_without_image"] == ["ant", "cat"]
    assert _labels(tmp_path / "out") == RIGHT


def test_the_list_may_be_in_an_order_of_its_own(val: Path, tmp_path: Path) -> None:
    convert_with(val, tmp_path / "out", classes=("elk", "ant", "bee", "dog"))
    assert _labels(tmp_path / "out") == {
        "elk": {(0, "elk")},
        "bee": {(2, "bee")},
        "dog": {(3, "dog")},
    }


def test_the_list_may_give_folders_other_names(val: Path, tmp_path: Path) -> None:
    (val / "elk").rename(val / "a=b")
    classes = ("dog=Hund", "a==b=Elch, der", "bee")
    summary = convert_with(val, tmp_path / "out", classes=classes)
    assert summary.manifest["class_names"] == ["Hund", "Elch, der", "bee"]
    assert _labels(tmp_path / "out") == {
        "dog": {(0, "Hund")},
        "a=b": {(1, "Elch, der")},
        "bee": {(2, "bee")},
    }
    # What takes its classes from that has the same names for the same folders.
    shutil.rmtree(val / "bee")
    convert_with(val, tmp_path / "again", classes_from=str(tmp_path / "out"))
    assert class_names(tmp_path / "again") == ["Hund", "Elch, der", "bee"]
    assert _labels(tmp_path / "again") == {"dog": {(0, "Hund")}, "a=b": {(1, "Elch, der")}}


def test_folders_with_an_equals_sign_keep_it_through_another_data_set(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", ("a=1", "b==2", "c"), 1)
    convert_with(source, tmp_path / "one")
    shutil.rmtree(source / "a=1")
    convert_with(source, tmp_path / "two", classes_from=str(tmp_path / "one"))
    assert _labels(tmp_path / "two") == {"b==2": {(1, "b==2")}, "c": {(2, "c")}}


def test_coarse_labels_are_those_of_the_whole_list(tmp_path: Path) -> None:
    names = ("a-b/y", "a/x", "c/z")
    convert_with(make_class_folders(tmp_path / "train", names, 1), tmp_path / "one")
    val = make_class_folders(tmp_path / "val", ("a/x", "c/z"), 1)
    convert_with(val, tmp_path / "two", classes_from=str(tmp_path / "one"))
    found = []
    for output in ("one", "two"):
        coarse = {}
        for example in PcrReader(tmp_path / output).examples(1):
            name = bytes_features(example, ["image/class/text"])["image/class/text"][0]
            coarse[name] = (
                int_feature(example, "image/class/label"),
                int_feature(example, "image/class/coarse_label"),
            )
        found.append(coarse)
    assert found[0] == {b"a-b/y": ([0], [1]), b"a/x": ([1], [0]), b"c/z": ([2], [2])}
    assert found[1] == {b"a/x": ([1], [0]), b"c/z": ([2], [2])}


def test_a_split_takes_the_list_too(val: Path, tmp_path: Path) -> None:
    job = ConvertOptions(
        inputs=(str(val),),
        output=str(tmp_path / "out"),
        num_workers=0,
        profile_images=0,
        source_options=SourceOptions(classes=ALL),
        split=(SplitPart("train", 0.5), SplitPart("validation", 0.5)),
    )
    for part in split_conversions(job):
        part.run(quiet=True)
    found: dict[str, set[tuple[int, str]]] = {}
    for name in ("train", "validation"):
        assert class_names(tmp_path / "out" / name) == list(ALL)
        for folder, labels in _labels(tmp_path / "out" / name).items():
            found.setdefault(folder, set()).update(labels)
    assert found == RIGHT


def test_names_of_folders_that_are_not_utf_8_may_be_listed(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", ("ant", "caf\udce9"), 1)
    convert_with(source, tmp_path / "one")
    shutil.rmtree(source / "ant")
    (tmp_path / "names.txt").write_bytes(b"ant\ncaf\xe9\n")
    for output, options in (
        ("two", {"classes_from": str(tmp_path / "one")}),
        ("three", {"classes": (f"@{tmp_path}/names.txt",)}),
    ):
        convert_with(source, tmp_path / output, **options)
        (example,) = PcrReader(tmp_path / output).examples(1)
        assert int_feature(example, "image/class/label") == [1]
        assert bytes_features(example, ["image/class/text"]) == {"image/class/text": [b"caf\xe9"]}


# Errors


def test_folders_that_the_list_lacks_are_named(val: Path, tmp_path: Path) -> None:
    message = (
        r"val/bee: class 'bee' is none of the 2 of `classes` or `classes_from` \('ant', 'elk'\); "
        r"add it to the list, .* \(one of 2 such folders: bee, dog\)"
    )
    with pytest.raises(ConvertError, match=message):
        convert_with(val, tmp_path / "out", classes=("ant", "elk"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ("a", "a")}, "`classes`; expected distinct names, got 'a' twice"),
        ({"classes": ("a=x", "a=y")}, "`classes`; expected distinct names, got 'a' twice"),
        ({"classes": ("a", "b=")}, "`classes`; expected a name for each class, got 'b='"),
        ({"classes": ("@",)}, "`classes=@`; expected the name of a file after @"),
        ({"classes": ("@nowhere.txt",)}, "nowhere.txt: cannot be read: No such file"),
        ({"classes": ("names.txt",)}, "expected names, got that of a file.*`classes=@names"),
        ({"classes": ("@twice.txt",)}, "`classes`; expected distinct names, got 'b' twice"),
        ({"classes": ("@gap.txt",)}, r"gap.txt: line 2: no name"),
        (
            {"classes_from": "nowhere.pcr"},
            "`classes_from=nowhere.pcr`: cannot be read: No such file",
        ),
        ({"classes_from": "split"}, "`classes_from`: split: no .*holds train; name one"),
        ({"classes_from": "unnamed"}, "unnamed/manifest.json names no classes; .*with `classes`"),
        ({"classes_from": "damaged"}, "damaged/manifest.json: not JSON"),
        ({"classes_from": "odd"}, "odd/manifest.json: class_names; expected a list of names"),
        ({"classes": ("a",), "classes_from": "odd"}, "expected one of them, got both"),
        ({"classes": ("a",), "table": "t.csv"}, "`classes`: .*requires `label_column`"),
        ({"classes_from": "odd", "table": "t.csv"}, "`classes_from`: .*requires `label_column`"),
    ],
)
def test_a_list_that_is_none_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("names.txt", "a\nb\n"), ("twice.txt", "b\nb\n"), ("gap.txt", "a\n\nb\n")):
        Path(name).write_text(text)
    for name, manifest in (
        ("unnamed", json.dumps({"manifest_version": 1, "class_names": []})),
        ("damaged", "{"),
        ("odd", json.dumps({"manifest_version": 1, "class_names": "ab"})),
        ("split/train", json.dumps({"manifest_version": 1, "class_names": ["a"]})),
    ):
        Path(name).mkdir(parents=True)
        (Path(name) / "manifest.json").write_text(manifest)
    Path("split/train/shard-00000-of-00001.pcr").write_bytes(b"")
    with pytest.raises(ConvertError, match=message):
        SourceOptions(**options)


def test_a_list_is_refused_where_labels_pass_through(tmp_path: Path) -> None:
    (tmp_path / "in.tfrecord").write_bytes(b"")
    message = (
        r"`classes`, `classes_from`: belongs to `input_format` class_folders or table or "
        r"webdataset; "
        r".*tfrecord, whose labels pass through$"
    )
    with pytest.raises(ConvertError, match=message):
        convert_with(tmp_path / "in.tfrecord", tmp_path / "out", classes=("a", "b"))


def test_a_list_without_class_folders_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(jpeg())
    with pytest.raises(ConvertError, match="in: only images, no class folders"):
        convert_with(tmp_path / "in", tmp_path / "out", classes=("a", "b"))


# Folders without images


def test_an_empty_folder_is_an_error_for_it_may_hold_the_place_of_a_label(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", ("ant", "cat"), 1)
    (source / "bee").mkdir()
    (source / "bee" / ".gitkeep").write_text("")
    (source / "cow").mkdir()
    message = r"in/bee: an empty folder \(one of 2 such folders: bee, cow\); .*remove it.*`classes`"
    with pytest.raises(ConvertError, match=message):
        convert_with(source, tmp_path / "out")
    # One in the list keeps its label; one that is not has none.
    summary = convert_with(source, tmp_path / "out", classes=("ant", "bee", "cat"))
    assert _labels(tmp_path / "out") == {"ant": {(0, "ant")}, "cat": {(2, "cat")}}
    assert summary.manifest["source"]["classes_without_image"] == ["bee"]
    assert summary.manifest["source"]["folders_without_image"] == ["cow"]


def test_a_folder_of_other_files_is_no_class_and_the_shift_is_said(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", ("ant", "cat"), 1)
    (source / "boxes").mkdir()
    (source / "boxes" / "1.xml").write_text("<box/>")
    said = "1 folder without an image: 'boxes'; labels count the other folders: 'cat' has label 1"
    flags = (f"--input={source}", f"--output={tmp_path}/out", "--profile_images=0")
    for more in ("--dry_run", "--quiet"):
        done = run("convert", *flags, more)
        assert f"no class    {said}\n" in done.stdout
    done = run("convert", *flags[:1], f"--output={tmp_path}/listed", "--classes=ant,cat", flags[2])
    said = "1 folder without an image: 'boxes'; not in the list of classes\n"
    assert f"no class    {said}" in done.stdout


def test_a_class_whose_images_are_all_in_another_part_is_named(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", ("ant", "bee"), 1)
    job = ConvertOptions(
        inputs=(str(source),),
        output=str(tmp_path / "out"),
        num_workers=0,
        profile_images=0,
        split=(SplitPart("one", 0.5), SplitPart("two", 0.5)),
        split_seed=_seed_that_parts("ant/000.jpg", "bee/000.jpg"),
    )
    one, two = (part.run(quiet=True) for part in split_conversions(job))
    missing = [s.manifest["source"]["classes_without_image"] for s in (one, two)]
    assert sorted(missing) == [["ant"], ["bee"]]


def _seed_that_parts(*keys: str) -> int:
    from pcr_tf.convert.job.split import part_of

    shares = (("one", 0.5), ("two", 0.5))
    return next(s for s in range(99) if len({part_of(key, s, shares) for key in keys}) == 2)


# What is said


def test_the_command_says_how_many_classes_there_are_and_the_first_and_last(
    val: Path, tmp_path: Path
) -> None:
    flags = (f"--input={val}", f"--output={tmp_path}/out", "--profile_images=0")
    alone = run("convert", *flags, "--dry_run")
    assert "classes     3: label 0 is 'bee', label 2 is 'elk'\n" in alone.stdout
    lines = (
        "classes     5: label 0 is 'ant', label 4 is 'elk'\n"
        "no image    2 classes: 'ant', 'cat'; labels stay\n"
    )
    for more in ("--dry_run", "--num_workers=1"):
        done = run("convert", *flags, f"--classes={','.join(ALL)}", more)
        assert done.returncode == 0
        assert lines in done.stdout
    assert lines in done.stderr  # Before the work, where one can still stop it.
    again = run("convert", *flags, f"--classes={','.join(ALL)}")
    assert "nothing to do" in again.stdout
    assert lines in again.stdout


def test_a_list_with_a_comma_and_a_wrong_one_on_the_command_line(val: Path, tmp_path: Path) -> None:
    flags = (f"--input={val}", f"--output={tmp_path}/out", "--profile_images=0")
    done = run("convert", *flags, '--classes="elk=elk, moose",dog,bee', "--num_workers=0")
    assert "classes     3: label 0 is 'elk, moose', label 2 is 'bee'\n" in done.stdout
    assert _labels(tmp_path / "out")["elk"] == {(0, "elk, moose")}
    wrong = run("convert", *flags, "--classes=elk,dog")
    assert wrong.returncode == 1
    assert "val/bee: class 'bee' is none of the 2" in wrong.stderr
    twice = run("convert", *flags, "--classes=elk,elk")
    assert twice.returncode == 2


def test_folders_called_by_numbers_are_told_from_labels(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", [str(n) for n in range(12)], 1)
    done = run("convert", f"--input={source}", f"--output={tmp_path}/out", "--dry_run")
    said = "'10' has label 2, '11' has label 3, '2' has label 4, '3' has label 5, '4' has label 6, "
    line = f"count the classes and differ from the numbers in their names: {said}and 5 more\n"
    assert f"labels      {line}" in done.stdout
    names = ",".join(str(n) for n in range(12))
    done = run(
        "convert",
        f"--input={source}",
        f"--output={tmp_path}/out",
        "--dry_run",
        f"--classes={names}",
    )
    assert "classes     12: label 0 is '0', label 11 is '11'\n" in done.stdout
    assert "labels  " not in done.stdout


def test_names_that_differ_in_case_alone_are_said(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", ("A", "Cat", "a", "cat", "dog"), 1)
    done = run("convert", f"--input={source}", f"--output={tmp_path}/out", "--dry_run")
    said = "classes that differ only in the case of letters: 'Cat' and 'cat'\n"
    assert f"alike       {said}" in done.stdout


def test_other_classes_are_another_job(val: Path, tmp_path: Path) -> None:
    convert_with(val, tmp_path / "out", classes=ALL)
    with pytest.raises(ConvertError, match="`classes` was ant,bee,cat,dog,elk, is bee,dog,elk"):
        convert_with(val, tmp_path / "out", classes=SOME)
    assert convert_with(val, tmp_path / "out", classes=ALL).was_finished


# Two data sets of one model


def test_two_data_sets_are_asked_for_the_same_classes(
    train: tuple[Path, Path], val: Path, tmp_path: Path
) -> None:
    convert_with(val, tmp_path / "alone")
    convert_with(val, tmp_path / "listed", classes_from=str(train[1]))
    assert class_names(train[1]) == list(ALL)
    assert class_names(tmp_path / "alone") == list(SOME)
    assert class_faults(str(tmp_path / "listed"), str(train[1])) == []
    (fault,) = class_faults(str(tmp_path / "alone"), str(train[1]))
    for part in (
        "alone/manifest.json: class_names; expected those of ",
        "train.pcr, where label 0 is 'ant', got 'bee'; 5 of 5 labels differ; ",
        "2 only there: 'ant', 'cat'; ",
        "`classes_from`",
    ):
        assert part in fault
    sound = run("verify", tmp_path / "listed", f"--same_classes_as={train[1]}", "--quiet")
    assert (sound.returncode, "no faults" in sound.stdout) == (0, True)
    other = run("verify", tmp_path / "alone", f"--same_classes_as={train[1]}", "--quiet")
    assert other.returncode == 1
    assert fault in other.stdout
    proved = run("verify", tmp_path / "listed", f"--source={val}", "--quiet")
    assert (proved.returncode, "no faults" in proved.stdout) == (0, True)


def test_the_same_classes_in_another_order_are_others(val: Path, tmp_path: Path) -> None:
    convert_with(val, tmp_path / "one")
    convert_with(val, tmp_path / "two", classes=("bee", "elk", "dog"))
    (fault,) = class_faults(str(tmp_path / "one"), str(tmp_path / "two"))
    assert "label 1 is 'elk', got 'dog'; 2 of 3 labels differ; convert" in fault


def test_data_sets_without_class_names_cannot_be_compared(val: Path, tmp_path: Path) -> None:
    convert_with(val, tmp_path / "out")
    for name in ("flat", "none"):
        (tmp_path / name).mkdir()
    (tmp_path / "flat" / "a.jpg").write_bytes(jpeg())
    convert_with(tmp_path / "flat", tmp_path / "flat.pcr")
    (fault,) = class_faults(str(tmp_path / "out"), str(tmp_path / "flat.pcr"))
    assert "flat.pcr/manifest.json: class_names; expected names to compare, got none" in fault
    with pytest.raises(ValueError, match=r"none: no \*\.pcr files"):
        class_names(tmp_path / "none")
    (tmp_path / "out" / "manifest.json").unlink()
    with pytest.raises(ValueError, match=r"manifest\.json: no such file; expected the manifest"):
        class_names(tmp_path / "out")


def test_classes_are_read_through_tensorflow_s_file_systems(
    train: tuple[Path, Path], val: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tensorflow")
    assert class_names(f"file://{train[1]}") == list(ALL)
    convert_with(val, tmp_path / "out", classes_from=f"file://{train[1]}")
    assert _labels(tmp_path / "out") == RIGHT


# Tables and tar shards


def _table(folder: Path, text: str) -> SourceOptions | Path:
    (folder / "in").mkdir(parents=True)
    for number, name in enumerate("abcd"):
        (folder / "in" / f"{name}.jpg").write_bytes(jpeg(number))
    (folder / "t.csv").write_text(text)
    return folder


def test_a_table_takes_its_classes_from_another_data_set(tmp_path: Path) -> None:
    for name, text in (
        ("one", "file,dx\na.jpg,-1\nb.jpg,1\nc.jpg,0\nd.jpg,1\n"),
        ("two", "file,dx\na.jpg,1\nb.jpg,1\nc.jpg,1\nd.jpg,1\n"),
    ):
        _table(tmp_path / name, text)
    options = {"table": str(tmp_path / "one" / "t.csv"), "label_column": "dx"}
    classes = ("-1=no", "0=perhaps", "1=yes")
    convert_with(tmp_path / "one" / "in", tmp_path / "one.pcr", classes=classes, **options)
    options["table"] = str(tmp_path / "two" / "t.csv")
    convert_with(
        tmp_path / "two" / "in",
        tmp_path / "two.pcr",
        classes_from=str(tmp_path / "one.pcr"),
        **options,
    )
    assert labels_by_name(tmp_path / "one.pcr") == {
        "a.jpg": (0, "no"),
        "b.jpg": (2, "yes"),
        "c.jpg": (1, "perhaps"),
        "d.jpg": (2, "yes"),
    }
    assert set(labels_by_name(tmp_path / "two.pcr").values()) == {(2, "yes")}
    assert class_names(tmp_path / "two.pcr") == ["no", "perhaps", "yes"]


def test_folders_take_their_classes_from_a_table(val: Path, tmp_path: Path) -> None:
    _table(tmp_path / "t", "file,dx\na.jpg,elk\nb.jpg,ant\nc.jpg,dog\nd.jpg,bee\n")
    convert_with(
        tmp_path / "t" / "in",
        tmp_path / "one",
        table=str(tmp_path / "t" / "t.csv"),
        label_column="dx",
    )
    convert_with(val, tmp_path / "two", classes_from=str(tmp_path / "one"))
    assert _labels(tmp_path / "two") == {
        "bee": {(1, "bee")},
        "dog": {(2, "dog")},
        "elk": {(3, "elk")},
    }


def test_an_empty_cell_is_a_class_where_the_list_says_so(tmp_path: Path) -> None:
    _table(tmp_path, "file,dx\na.jpg,1\nb.jpg,\nc.jpg,nan\nd.jpg,0\n")
    options = {"table": str(tmp_path / "t.csv"), "label_column": "dx"}
    with pytest.raises(ConvertError, match=r"line 3: no label in column 'dx'"):
        convert_with(tmp_path / "in", tmp_path / "out", classes=("0", "1", "nan"), **options)
    convert_with(
        tmp_path / "in", tmp_path / "out", classes=("0", "1", "=missing", "nan"), **options
    )
    assert labels_by_name(tmp_path / "out") == {
        "a.jpg": (1, "1"),
        "b.jpg": (2, "missing"),
        "c.jpg": (3, "nan"),
        "d.jpg": (0, "0"),
    }


def test_a_number_written_otherwise_than_in_the_list_is_an_error_with_a_hint(
    tmp_path: Path,
) -> None:
    _table(tmp_path, "file,dx\na.jpg,1\nb.jpg,1\nc.jpg,1\nd.jpg,0\n")
    message = (
        r"t\.csv: line 2: class '1' is none of the 2 .*'1\.0' is, the same number written diff"
    )
    with pytest.raises(ConvertError, match=message):
        convert_with(
            tmp_path / "in",
            tmp_path / "out",
            table=str(tmp_path / "t.csv"),
            label_column="dx",
            classes=("0.0", "1.0"),
        )


def _tar(path: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def _tar_of(path: Path, labels: Sequence[str]) -> Path:
    members = {}
    for number, label in enumerate(labels):
        members[f"{number}.jpg"] = jpeg(number)
        members[f"{number}.cls"] = label.encode()
    return _tar(path, members)


def test_tar_shards_get_labels_from_a_list(tmp_path: Path) -> None:
    source = _tar_of(tmp_path / "a.tar", ["dog", "bee\n", "elk", "bee"])
    summary = convert_with(source, tmp_path / "out", classes=ALL)
    assert labels_by_name(tmp_path / "out") == {
        "0.jpg": (3, "dog"),
        "1.jpg": (1, "bee"),
        "2.jpg": (4, "elk"),
        "3.jpg": (1, "bee"),
    }
    assert summary.manifest["class_names"] == list(ALL)
    # Without a list, labels are numbers and stay as they are.
    numbers = _tar_of(tmp_path / "b.tar", ["7", "0"])
    convert_with(numbers, tmp_path / "numbers")
    labels = [
        int_feature(e, "image/class/label") for e in PcrReader(tmp_path / "numbers").examples(1)
    ]
    assert sorted(labels) == [[0], [7]]
    convert_with(numbers, tmp_path / "named", classes=("0=ant", "7=bee"))
    assert set(labels_by_name(tmp_path / "named").values()) == {(0, "ant"), (1, "bee")}


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (["dog", "fox"], ALL, r"a\.tar: 1: \.cls: class 'fox' is none of the 5 of `classes`"),
        (["dog"], (), r"a\.tar: 0: \.cls: expected an integer, got 'dog'; .*`classes`"),
        (["x" * 5000], ALL, r"class 'x{40}\.\.\.' is none"),
    ],
)
def test_a_label_of_a_tar_shard_that_is_in_no_list_is_named(
    tmp_path: Path, labels: list[str], classes: Sequence[str], message: str
) -> None:
    source = _tar_of(tmp_path / "a.tar", labels)
    with pytest.raises(ConvertError, match=message):
        convert_with(source, tmp_path / "out", classes=tuple(classes))


def test_a_key_without_a_label_is_named_where_classes_are_listed(tmp_path: Path) -> None:
    source = _tar(tmp_path / "a.tar", {"0.jpg": jpeg(), "0.txt": b"dog"})
    with pytest.raises(
        ConvertError, match=r"a\.tar: 0: no \.cls; expected one that holds the name of a class"
    ):
        convert_with(source, tmp_path / "out", classes=ALL)
    convert_with(source, tmp_path / "unlabelled")
    (example,) = PcrReader(tmp_path / "unlabelled").examples(1)
    assert "image/class/label" not in feature_keys(example)


def test_images_and_masks_come_back_as_the_page_on_conversion_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tf = pytest.importorskip("tensorflow")
    pcr_data = pytest.importorskip("pcr_tf.data")
    monkeypatch.chdir(tmp_path)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for number in range(5):
        (tmp_path / "images" / f"{number}.jpg").write_bytes(jpeg(number))
        (tmp_path / "masks" / f"{number}.png").write_bytes(png(number))
    page = (ROOT / "docs" / "CONVERTING.md").read_text()
    section = page.partition("### Images with masks\n")[2].partition("\n### ")[0]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ") or not line]
    packing, command, reading = "\n".join(lines).partition("pcr-convert --input=photos.tar")
    exec(packing, {})
    flags = reading.partition("\n")[0].split()
    done = run("convert", f"--input={tmp_path}/photos.tar", f"--output={tmp_path}/photos.pcr")
    assert done.returncode == 0, done.stderr
    assert (command, flags) == ("pcr-convert --input=photos.tar", ["--output=photos.pcr"])
    names: dict[str, Any] = {"tf": tf, "pcr_tf": type("", (), {"data": pcr_data})}
    exec(reading.partition("\n")[2], names)
    found = {}
    for image, mask in names["dataset"]:
        assert image.shape == (48, 64, 3)
        found[mask.numpy().tobytes()] = image.numpy().tobytes()
    assert found == {
        tf.io.decode_png(png(n), channels=1).numpy().tobytes(): tf.io.decode_jpeg(
            jpeg(n), channels=3
        )
        .numpy()
        .tobytes()
        for n in range(5)
    }


# Real folders


def test_a_part_of_the_groceries_gets_the_labels_of_the_whole(
    test_images: Path, tmp_path: Path
) -> None:
    folders = {}
    for part in ("train", "val"):
        files = sorted((test_images / "grocery" / part).rglob("*.jpg"))
        by_class: dict[str, Path] = {}
        for file in files:
            by_class.setdefault(
                file.parent.relative_to(test_images / "grocery" / part).as_posix(), file
            )
        for name, file in by_class.items():
            target = tmp_path / part / name.replace("/", "-")
            target.mkdir(parents=True)
            shutil.copy(file, target)
        folders[part] = sorted(name.replace("/", "-") for name in by_class)
    assert set(folders["val"]) < set(folders["train"])
    convert_with(tmp_path / "train", tmp_path / "train.pcr")
    convert_with(tmp_path / "val", tmp_path / "val.pcr", classes_from=str(tmp_path / "train.pcr"))
    expected = {name: {(label, name)} for label, name in enumerate(folders["train"])}
    assert _labels(tmp_path / "train.pcr") == expected
    assert _labels(tmp_path / "val.pcr") == {name: expected[name] for name in folders["val"]}


@pytest.mark.parametrize("flag", ["--classes", "--classes_from"])
def test_a_list_of_classes_that_is_empty_is_no_list_left_out(
    val: Path, tmp_path: Path, flag: str
) -> None:
    done = run("convert", f"--input={val}", f"--output={tmp_path / 'out'}", f"{flag}=")
    assert done.returncode == 2
    assert f"{flag}; expected the classes, got nothing; leave the flag out" in done.stderr


def test_an_empty_data_set_to_compare_with_is_not_left_out(train: tuple[Path, Path]) -> None:
    done = run("verify", train[1], "--same_classes_as=", "--quiet")
    assert done.returncode == 2
    assert "--same_classes_as; expected a data set, got nothing" in done.stderr


def test_folders_called_as_the_list_calls_them_are_told_to_be_listed_so(
    val: Path, tmp_path: Path
) -> None:
    names = sorted(folder.name for folder in val.iterdir())
    entries = tuple(f"source of {name}={name}" for name in names)
    message = rf"the list gives that name to 'source of {names[0]}'; list only the names in `cla"
    with pytest.raises(ConvertError, match=message):
        convert_with(val, tmp_path / "out", classes=entries)
    assert (
        convert_with(val, tmp_path / "out", classes=tuple(names)).manifest["class_names"] == names
    )
