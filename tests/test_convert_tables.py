"""Tables that name images: data sets in their own layouts through the flag files; bad tables."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcr_tf._native import same_coefficients
from pcr_tf.convert import (
    Conversion,
    ConvertError,
    ConvertOptions,
    ConvertSummary,
    SourceOptions,
)
from pcr_tf.convert.sources.tables.table_file import read_table
from pcr_tf.format import PcrReader
from pcr_tf.format.example import Values, bytes_features, feature_keys, int_feature
from tests.conversion import ROOT, jpeg, run, write_tfrecord

CONFIGS = ROOT / "configs"


def _images(folder: Path, names: Sequence[str], first_seed: int = 0) -> dict[str, bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    images = {name: jpeg(first_seed + seed) for seed, name in enumerate(names)}
    for name, data in images.items():
        (folder / name).write_bytes(data)
    return images


def _through(flagfile: str, output: Path, *flags: str) -> None:
    done = run("convert", f"--flagfile={CONFIGS / flagfile}", f"--output={output}", *flags)
    assert done.returncode == 0, done.stderr


def _manifest(output: Path) -> Any:
    return json.loads((output / "manifest.json").read_text())


def _examples(output: Path) -> dict[str, bytes]:
    """Every example, by image/filename."""
    examples = PcrReader(output).examples()
    return {_text(example, "image/filename"): example for example in examples}


def _text(example: bytes, key: str) -> str:
    (value,) = bytes_features(example, [key])[key]
    return value.decode()


def _label(example: bytes) -> tuple[int, str]:
    (label,) = int_feature(example, "image/class/label")
    return label, _text(example, "image/class/text")


# The data sets, in their own layouts

HAM_HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization"
HAM_CLASSES = ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]


@pytest.fixture(scope="module")
def ham(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """Sixty photographs in the two folders of HAM10000, and its table."""
    root = tmp_path_factory.mktemp("ham")
    names = [f"ISIC_{24306 + number:07d}.jpg" for number in range(60)]
    images = _images(root / "HAM10000_images_part_1", names[:35])
    images |= _images(root / "HAM10000_images_part_2", names[35:], 35)
    lines = [HAM_HEADER]
    for number, name in enumerate(reversed(names)):
        age = "" if number == 7 else f"{30 + number % 50}.0"
        stem, dx = name.removesuffix(".jpg"), HAM_CLASSES[number % 6]  # No vasc.
        dx_type = ("histo", "consensus")[number % 2]
        lines.append(f"HAM_{number // 2:07d},{stem},{dx},{dx_type},{age},male,scalp")
    (root / "HAM10000_metadata.csv").write_text("\n".join(lines) + "\n")
    return root, images


def _ham_flags(root: Path) -> tuple[str, str]:
    folders = f"{root}/HAM10000_images_part_1,{root}/HAM10000_images_part_2"
    return f"--table={root}/HAM10000_metadata.csv", f"--input={folders}"


def test_ham10000_becomes_two_data_sets_that_share_all_photographs(
    ham: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    root, images = ham
    _through("ham10000.flags", tmp_path / "out", *_ham_flags(root))
    train, validation = (_examples(tmp_path / "out" / part) for part in ("train", "validation"))
    assert not set(train) & set(validation)
    assert 5 <= len(validation) <= 20
    together = {**train, **validation}
    assert set(together) == set(images)
    with (root / "HAM10000_metadata.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            example = together[row["image_id"] + ".jpg"]
            assert _label(example) == (HAM_CLASSES.index(row["dx"]), row["dx"])
            assert _text(example, "lesion_id") == row["lesion_id"]
            assert _text(example, "dx_type") == row["dx_type"]
            assert ("age" in feature_keys(example)) == bool(row["age"])
            stored = bytes_features(example, ["image/encoded"])["image/encoded"][0]
            assert same_coefficients(stored, images[row["image_id"] + ".jpg"]) == ""
    manifest = _manifest(tmp_path / "out" / "train")
    assert manifest["class_names"] == HAM_CLASSES
    assert manifest["flags"]["examples_per_record"] == 64
    assert manifest["flags"]["split"] == ["train:0.8", "validation:0.2"]
    assert (manifest["flags"]["split_seed"], manifest["flags"]["part"]) == (42, "train")
    assert manifest["source"]["items"] == len(train)


def test_a_split_by_column_keeps_the_photographs_of_a_lesion_together(
    ham: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    flags = (*_ham_flags(ham[0]), "--split_column=lesion_id")
    _through("ham10000.flags", tmp_path / "out", *flags)
    lesions = [
        {_text(e, "lesion_id") for e in PcrReader(tmp_path / "out" / part).examples(1)}
        for part in ("train", "validation")
    ]
    assert not lesions[0] & lesions[1]
    assert len(lesions[0] | lesions[1]) == 30


CAR_CLASSES = [
    "AM General Hummer SUV 2000",
    "Acura RL Sedan 2012",
    "Aston Martin V8 Vantage Coupe 2012",
    "Chevrolet Corvette Convertible 2012",
    "Chevrolet Corvette ZR1 2012",
    "Chevrolet Impala Sedan 2007",
    "Land Rover LR2 SUV 2012",
    "smart fortwo Convertible 2012",
]
CAR_LABELS = [1, 4, 3, 8, 7, 5, 6, 4, 3]  # Class 2 has no photograph.


@pytest.fixture(scope="module")
def cars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cars_train/ and devkit/ as they are distributed, with eight classes."""
    scipy_io = pytest.importorskip("scipy.io", reason="needs SciPy: pip install scipy")
    root = tmp_path_factory.mktemp("cars")
    names = [f"{number:05d}.jpg" for number in range(1, len(CAR_LABELS) + 1)]
    _images(root / "cars_train", names)
    fields = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname"]
    annotations = np.zeros((1, len(names)), dtype=[(field, "O") for field in fields])
    for position, (name, label) in enumerate(zip(names, CAR_LABELS, strict=True)):
        annotations[0, position] = (
            *(np.array([[value]], np.uint16) for value in (39, 116, 569, 375)),
            np.array([[label]], np.uint8),
            np.array([name]),
        )
    class_names = np.empty((1, len(CAR_CLASSES)), object)
    class_names[0] = CAR_CLASSES
    (root / "devkit").mkdir()
    scipy_io.savemat(root / "devkit" / "cars_train_annos.mat", {"annotations": annotations})
    scipy_io.savemat(root / "devkit" / "cars_meta.mat", {"class_names": class_names})
    return root


def _car_flags(root: Path) -> tuple[str, ...]:
    return (
        f"--table={root}/devkit/cars_train_annos.mat",
        f"--label_names={root}/devkit/cars_meta.mat",
        f"--input={root}/cars_train",
    )


def _car_labels(output: Path) -> list[tuple[int, str]]:
    return [_label(example) for _, example in sorted(_examples(output).items())]


def test_stanford_cars_get_the_classes_of_the_devkit_from_0(cars: Path, tmp_path: Path) -> None:
    _through("stanford_cars.flags", tmp_path / "out", *_car_flags(cars))
    expected = [(label - 1, CAR_CLASSES[label - 1]) for label in CAR_LABELS]
    assert _car_labels(tmp_path / "out") == expected
    assert _manifest(tmp_path / "out")["class_names"] == CAR_CLASSES
    assert _manifest(tmp_path / "out")["flags"]["examples_per_record"] == 128
    example = _examples(tmp_path / "out")["00001.jpg"]
    assert int_feature(example, "bbox_x2") == [569]
    assert int_feature(example, "class") == [1]


def test_stanford_cars_may_be_labelled_with_the_make_alone(cars: Path, tmp_path: Path) -> None:
    _through("stanford_cars_make.flags", tmp_path / "out", *_car_flags(cars))
    makes = ["AM General", "Acura", "Aston Martin", "Chevrolet", "Land Rover", "smart"]
    assert _manifest(tmp_path / "out")["class_names"] == makes
    labels = [label for label, _ in _car_labels(tmp_path / "out")]
    assert labels == [0, 3, 2, 5, 4, 3, 3, 3, 2]


def test_stanford_cars_may_be_asked_for_corvettes(cars: Path, tmp_path: Path) -> None:
    _through("stanford_cars_is_corvette.flags", tmp_path / "out", *_car_flags(cars))
    assert _manifest(tmp_path / "out")["class_names"] == ["other", "Corvette"]
    labels = [label for label, _ in _car_labels(tmp_path / "out")]
    assert labels == [0, 1, 0, 0, 0, 1, 0, 1, 0]


def test_stanford_cars_come_back_as_files_in_folders_of_their_classes(
    cars: Path, tmp_path: Path
) -> None:
    _through("stanford_cars.flags", tmp_path / "cars.pcr", *_car_flags(cars))
    folders = tmp_path / "classes"
    done = run("export", f"{tmp_path}/cars.pcr", f"--output={folders}", "--format=files")
    assert done.returncode == 0, done.stderr
    exported = {path.name: path.parent.name for path in folders.glob("*/*.jpg")}
    expected = {f"{n:05d}.jpg": CAR_CLASSES[label - 1] for n, label in enumerate(CAR_LABELS, 1)}
    assert exported == expected


def test_a_csv_export_of_stanford_cars_gives_the_same_labels(cars: Path, tmp_path: Path) -> None:
    lines = [f"{number:05d}.jpg,{label}" for number, label in enumerate(CAR_LABELS, 1)]
    (tmp_path / "annos.csv").write_text("\n".join(lines))
    (tmp_path / "names.txt").write_text("\n".join(CAR_CLASSES))
    flags = (
        f"--table={tmp_path}/annos.csv",
        "--table_columns=fname,class",
        f"--label_names={tmp_path}/names.txt",
        f"--input={cars}/cars_train",
    )
    _through("stanford_cars.flags", tmp_path / "out", *flags)
    expected = [(label - 1, CAR_CLASSES[label - 1]) for label in CAR_LABELS]
    assert _car_labels(tmp_path / "out") == expected


def test_celeba_s_smiles_become_0_and_1(tmp_path: Path) -> None:
    names = [f"{number:06d}.jpg" for number in range(1, 31)]
    _images(tmp_path / "celeba_hq", names[:20])
    rows = [
        f"{name} {-1 if number % 3 else 1:2d}  {1 if number % 2 else -1:2d} "
        for number, name in enumerate(names)
    ]
    text = "\r\n".join(["30", "Male Smiling ", *rows, ""])
    (tmp_path / "list_attr_celeba.txt").write_bytes(text.encode())
    flags = (f"--table={tmp_path}/list_attr_celeba.txt", f"--input={tmp_path}/celeba_hq")
    _through("celebahq_smile.flags", tmp_path / "out", *flags)
    examples: dict[str, bytes] = {}
    for part in ("train", "validation"):
        examples |= _examples(tmp_path / "out" / part)
        manifest = _manifest(tmp_path / "out" / part)
        assert manifest["class_names"] == ["not_smiling", "smiling"]
        assert manifest["source"]["ignored_files"] == 10
        assert manifest["flags"]["examples_per_record"] == 256
    assert sorted(examples) == names[:20]
    for number, (name, example) in enumerate(sorted(examples.items())):
        expected = (1, "smiling") if number % 2 else (0, "not_smiling")
        assert _label(example) == expected
        assert int_feature(example, "Male") == [-1 if number % 3 else 1]
        assert int_feature(example, "Smiling") == [1 if number % 2 else -1]
        assert _text(example, "image_id") == name


def test_imagenet_s_tfrecords_go_through_their_flag_file(tmp_path: Path) -> None:
    features: dict[str, Values] = {"image/encoded": [jpeg(1)], "image/class/label": [1000]}
    write_tfrecord(tmp_path / "train-00000-of-00001", [features])
    _through("imagenet.flags", tmp_path / "out", f"--input={tmp_path}/train-*-of-00001")
    (example,) = PcrReader(tmp_path / "out").examples()
    assert int_feature(example, "image/class/label") == [1000]
    assert _manifest(tmp_path / "out")["flags"]["examples_per_record"] == 1024


# Tables in general


def _table(tmp_path: Path, text: str | bytes, name: str = "t.csv", images: str = "a b c") -> Path:
    """Writes a table, and images <letter>.jpg beside it in in/."""
    data = text.encode() if isinstance(text, str) else text
    (tmp_path / name).write_bytes(data)
    _images(tmp_path / "in", [f"{stem}.jpg" for stem in images.split()])
    return tmp_path / name


def _convert(table: Path, on_unreadable: str = "raise", **options: Any) -> ConvertSummary:
    """Converts in/ by `table` in this process, to out/."""
    options = {"image_extension": ".jpg", "label_column": "dx", **options}
    return Conversion(
        ConvertOptions(
            inputs=(str(table.parent / "in"),),
            output=str(table.parent / "out"),
            num_workers=0,
            on_unreadable=on_unreadable,
            source_options=SourceOptions(table=str(table), **options),
        )
    ).run(quiet=True)


def _labels(table: Path, **options: Any) -> dict[str, tuple[int, str]]:
    _convert(table, **options)
    return {name: _label(e) for name, e in _examples(table.parent / "out").items()}


@pytest.mark.parametrize(
    "text",
    [
        "id,dx\na,mel\nb,nv\nc,mel\n",
        "\ufeffid,dx\r\na,mel\r\n\r\nb,nv\r\nc,mel",
        '"id", dx \na,mel\n"b",nv\nc,"mel"\n',
        ",id,dx\n0,a,mel\n1,b,nv\n2,c,mel\n",
    ],
    ids=["plain", "byte order mark and CR LF", "quoted", "with the index of pandas"],
)
def test_csv_comes_in_several_spellings(tmp_path: Path, text: str) -> None:
    table = _table(tmp_path, text)
    expected = {"a.jpg": (0, "mel"), "b.jpg": (1, "nv"), "c.jpg": (0, "mel")}
    assert _labels(table, image_column="id") == expected


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("t.tsv", "id\tdx\na\tmel x\nb\tnv\nc\tnv\n", {}),
        ("t.txt", "a mel_x\nb nv\nc nv\n", {"table_columns": ("id", "dx")}),
        ("t.txt", "3\nid dx\na  mel\nb   nv\nc\tnv\n", {}),
        ("t.dat", "id,dx\na,mel\nb,nv\nc,nv\n", {"table_format": "csv"}),
        ("t.csv", "id,dx\na,mel\nb,nv\nc,nv\n".encode("utf-16"), {"table_encoding": "utf-16"}),
        ("t.csv", "id,dx\na,ä\nb,o\nc,o\n".encode("latin-1"), {"table_encoding": "latin-1"}),
    ],
)
def test_tables_come_in_several_formats(
    tmp_path: Path, name: str, text: str | bytes, options: dict[str, Any]
) -> None:
    labels = _labels(_table(tmp_path, text, name), **options)
    assert sorted(labels) == ["a.jpg", "b.jpg", "c.jpg"]
    assert labels["b.jpg"] == labels["c.jpg"] != labels["a.jpg"]


def test_columns_are_int_float_or_text_by_their_values(tmp_path: Path) -> None:
    text = "id,dx,count,age,zip,note,big\na,x,-3,80.5,01234,,9223372036854775807\nb,x,,7,5,n n,1\n"
    _convert(_table(tmp_path, text, images="a b"))
    tf = pytest.importorskip("tensorflow")
    parsed = {
        name: tf.train.Example.FromString(example).features.feature
        for name, example in _examples(tmp_path / "out").items()
    }
    one, two = parsed["a.jpg"], parsed["b.jpg"]
    assert (one["count"].int64_list.value[:], one["age"].float_list.value[:]) == ([-3], [80.5])
    assert two["age"].float_list.value[:] == [7.0]
    assert (one["zip"].bytes_list.value[:], two["zip"].bytes_list.value[:]) == ([b"01234"], [b"5"])
    assert one["big"].int64_list.value[:] == [2**63 - 1]
    assert "note" not in one
    assert "count" not in two
    assert two["note"].bytes_list.value[:] == [b"n n"]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        ("-9223372036854775808 1", [-(2**63), 1]),
        ("9223372036854775808 1", [b"9223372036854775808", b"1"]),
        ("12345678901234567890 12345678901234567891", None),
        ("1e300 1", None),
        ("1e300 0.5", None),
        ("1e-40 0.5", None),
        ("1e-400 0.5", None),
        ("-0.0e-400 0.5", [0.0, 0.5]),
        ("0." + "0" * 400 + "1 0.5", None),
        ("01e5 0.5", None),
        ("1e 0.5", None),
        ("0.123456 .5", [0.123456, 0.5]),
        ("0.12345678901234567 16777216", [0.12345678901234567, 16777216.0]),
        ("0.5 16777217", None),
        ("1700000000.125 1700000001.25", None),
        ("0.0000000000000000000000000000000000000000000000001 0.0", None),
        ("nan 1.5", None),
        ("1_0 1.5", None),
        ("\u0663 \u0664", None),
        ("9" * 5000 + " 1", None),
        ("9" * 400 + ".5 1", None),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_number_that_a_feature_cannot_hold_makes_its_column_text(
    tmp_path: Path, cells: str, values: list[Any] | None
) -> None:
    first, second = cells.split()
    _convert(_table(tmp_path, f"id,dx,x\na,m,{first}\nb,m,{second}\n", images="a b"))
    tf = pytest.importorskip("tensorflow")
    found = []
    for _, example in sorted(_examples(tmp_path / "out").items()):
        feature = tf.train.Example.FromString(example).features.feature["x"]
        found += getattr(feature, feature.WhichOneof("kind")).value
    assert found == (pytest.approx(values) if values else [first.encode(), second.encode()])


def test_a_column_with_an_exponent_in_one_value_is_float(tmp_path: Path) -> None:
    cells = ["1e-05", "0.5", "3", "-2.5E+3"]
    rows = [f"{stem},m,{cell}" for stem, cell in zip("abcd", cells, strict=True)]
    _convert(_table(tmp_path, "\n".join(["id,dx,x", *rows]), images="a b c d"))
    tf = pytest.importorskip("tensorflow")
    for (_, example), cell in zip(sorted(_examples(tmp_path / "out").items()), cells, strict=True):
        value = tf.train.Example.FromString(example).features.feature["x"].float_list.value
        assert value == pytest.approx([float(cell)])


def test_whole_numbers_with_leading_zeros_stay_text_beside_exponents(tmp_path: Path) -> None:
    _convert(_table(tmp_path, "id,dx,x\na,m,007\nb,m,1e-05\n", images="a b"))
    found = _examples(tmp_path / "out")
    assert [_text(found[name], "x") for name in ("a.jpg", "b.jpg")] == ["007", "1e-05"]


def test_several_columns_are_the_targets_of_one_model(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    pcr_data = pytest.importorskip("pcr_tf.data")
    text = "3\nMale Smiling\na.jpg 1 -1\nb.jpg -1 1\nc.jpg 1 1\n"
    _convert(_table(tmp_path, text, "t.txt"), image_extension="", label_column="Smiling")
    targets = ["Male", "Smiling"]
    features = {name: tf.io.FixedLenFeature([], tf.int64) for name in targets}
    features["image/filename"] = tf.io.FixedLenFeature([], tf.string)
    seen = {}
    for example in pcr_data.PcrDataset(str(tmp_path / "out")):
        parsed = tf.io.parse_single_example(example, features)
        seen[parsed["image/filename"].numpy()] = [bool(parsed[name] > 0) for name in targets]
    assert seen == {b"a.jpg": [True, False], b"b.jpg": [False, True], b"c.jpg": [True, True]}


def test_whole_numbers_become_classes_in_the_order_of_their_values(tmp_path: Path) -> None:
    table = _table(tmp_path, "id,dx\na,10\nb,-1\nc,9\n")
    assert _labels(table) == {"a.jpg": (2, "10"), "b.jpg": (0, "-1"), "c.jpg": (1, "9")}


def test_a_label_of_thousands_of_digits_is_a_number(tmp_path: Path) -> None:
    digits = "1" + "0" * 5000
    table = _table(tmp_path, f"id,dx\na,2\nb,{digits}\nc,10\n", images="a b c")
    assert _convert(table, label_column="dx").manifest["class_names"] == ["2", "10", digits]


def test_a_table_without_a_label_column_gives_examples_without_labels(tmp_path: Path) -> None:
    _convert(_table(tmp_path, "id\na\nb\nc\n"), label_column="")
    keys = feature_keys(_examples(tmp_path / "out")["a.jpg"])
    assert keys == ["id", "image/encoded", "image/filename", "image/format"]


def test_images_in_folders_below_are_found_by_file_name_or_path(tmp_path: Path) -> None:
    table = _table(tmp_path, "id,dx\na,x\nsub/b,x\n./sub/c.JPG,x\nd,x\n", images="a")
    _images(tmp_path / "in" / "sub", ["b.jpg", "c.JPG", "d.jpg"])
    assert sorted(_labels(table)) == ["a.jpg", "sub/b.jpg", "sub/c.JPG", "sub/d.jpg"]


def test_the_folder_of_the_source_and_the_order_of_rows_do_not_matter(tmp_path: Path) -> None:
    shards = []
    for folder, text in (("x", "id,dx\na,m\nb,n\nc,m\n"), ("y/z", "id,dx\nc,m\na,m\nb,n\n")):
        (tmp_path / folder).mkdir(parents=True)
        _convert(_table(tmp_path / folder, text))
        names = sorted((tmp_path / folder / "out").glob("*.pcr"))
        shards.append([path.read_bytes() for path in names])
    assert shards[0] == shards[1]
    assert len(shards[0]) == 3


# Bad tables


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "id,dx\na,1\n",
            {"label_column": "dy"},
            r"no column 'dy'; expected one of id, dx.*`label",
        ),
        (
            "id;dx\na;1\n",
            {},
            r"line 1: expected columns separated by ',', got ';' in 'id;dx'; save it",
        ),
        ("id\tdx\na\t1\n", {}, r"got '\\t' in 'id\\tdx'; set `table_format=tsv`"),
        ("id,dx\na,1\n", {"image_column": "di"}, r"no column 'di'.*`image_column`"),
        ("id,dx\na,1\n", {}, r"no row of .*one of 2 such images; then .*c\.jpg"),
        (
            "id,dx\na,1\nb,2\na.jpg,3\nc,1",
            {},
            r"line 4: names 'a\.jpg' again; line 2 names it first",
        ),
        ("id,dx\na,1\nb\nc,1\n", {}, r"line 3: expected 2 values, got 1.*`on_unreadable=skip`"),
        ("id,dx\na,1,2\nb,1\nc,1\n", {}, r"line 2: expected 2 values, got 3"),
        ("id,dx\na,1\nb, \nc,1\n", {}, r"line 3: no label in column 'dx'"),
        ("id,dx\na,1\n,1\nb,1\nc,1\n", {}, r"line 3: no image in column 'id'"),
        ("", {}, r"no rows; expected a header"),
        ("id,dx\n", {}, r"no rows; expected a header"),
        ("id,id,dx\na,1,2\n", {}, r"two columns are called 'id'"),
        ('id,dx\na,1\n"b,1\nc,1\n', {}, r"line 3: not valid CSV"),
        (
            b"id,dx\na,1\nb,caf\xe9\nc,1\n",
            {},
            r"line 3: byte 15: expected utf-8, got 0xe9.*latin-1",
        ),
        ("id,dx\na,1\n".encode("utf-16"), {}, r"line 1: byte 0: a UTF-16 byte order mark"),
        (b"id,dx\na,1\nb,\0\n", {}, r"line 3: a zero byte; expected text"),
        ("id,dx\na,1\nb,1\nc,1\nd,1\ne,1", {}, r"line 5: no image 'd\.jpg'.*2 such rows.*line 6"),
        (
            "id,dx\na,1\n",
            {"image_extension": ""},
            r"no image 'a'; 'a\.jpg' is there; see `image_e",
        ),
        ("image/encoded,dx\na,1\nb,1\nc,1\n", {}, r"column 'image/encoded' has the name of a feat"),
        (
            "id,dx\na,1\nb,2\nc,3\n",
            {"classes": ("1", "2")},
            r"line 4: class '3' is none of the 2 of `cla",
        ),
        ("id,dx\na,x\nb,y\nc,x\n", {"label_pattern": "x"}, r"line 3: `label_pattern=x` does not m"),
    ],
)
def test_a_bad_table_is_named_with_line_rule_and_remedy(
    tmp_path: Path, text: str | bytes, options: dict[str, Any], message: str
) -> None:
    table = _table(tmp_path, text)
    with pytest.raises(ConvertError, match=rf"(t\.csv|in/b\.jpg): .*{message}"):
        _convert(table, **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "4\ndx\na 1\nb 1\nc 1\n",
            "line 1: expected 4 rows, as it says, got 3; is the file cut sh",
        ),
        ("id dx\na 1\nb 1 2\n", "line 3: expected 2 values, got 3"),
        ("7\n", "line 1: expected 7 rows, as it says, got 0"),
        ("3\ndx\na 1\nb\nc 1\n", "line 4: expected 2 values, got 1"),
    ],
)
def test_a_bad_table_apart_by_whitespace_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConvertError, match=rf"t\.txt: {message}"):
        _convert(_table(tmp_path, text, "t.txt"))


def test_rows_that_do_not_fit_can_be_skipped_and_are_named(tmp_path: Path) -> None:
    summary = _convert(_table(tmp_path, "id,dx\na,1\nb\nc, \n"), on_unreadable="skip")
    assert summary.images == 1
    assert [(entry["name"], entry["detail"]) for entry in summary.manifest["skipped"]] == [
        ("t.csv: line 3", "expected 2 values, got 1"),
        ("t.csv: line 4", "no label in column 'dx'"),
    ]


def test_the_image_of_a_row_that_is_skipped_is_no_stray(tmp_path: Path) -> None:
    summary = _convert(_table(tmp_path, "id,dx\na,\nb,\nc, \nd,1\n", images="a b c d"), "skip")
    assert (summary.images, summary.manifest["counts"]["skipped"]) == (1, 3)


def test_a_table_of_which_every_row_is_skipped_names_no_image(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match=r"t\.csv: no row names an image; 'a\.jpg' is there"):
        _convert(_table(tmp_path, "id,dx\na,\nb,\nc,\n"), "skip")


def test_what_has_no_counterpart_can_be_left_out_and_is_counted(tmp_path: Path) -> None:
    table = _table(tmp_path, "id,dx\na,1\nz,1\n")
    with pytest.raises(ConvertError, match="no image 'z"):
        _convert(table, on_unmatched="ignore_images")
    with pytest.raises(ConvertError, match=r"b\.jpg: no row"):
        _convert(table, on_unmatched="ignore_rows")
    summary = _convert(table, on_unmatched="ignore")
    assert (summary.images, summary.manifest["source"]["ignored_files"]) == (1, 3)


def test_of_links_to_nowhere_those_count_that_may_be_images(tmp_path: Path) -> None:
    table = _table(tmp_path, "name,dx\na,x\nb,y\n", images="a b")
    folder = tmp_path / "in"
    for name in ("notes.txt", "more"):
        (folder / name).symlink_to(tmp_path / "nowhere")
    assert _convert(table).manifest["source"]["ignored_files"] == 2
    (folder / "d.jpg").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConvertError, match=r"d\.jpg: cannot be read: No such.*; remove the link"):
        _convert(table)


def test_an_image_in_two_folders_is_an_error_that_names_both(tmp_path: Path) -> None:
    table = _table(tmp_path, "id,dx\na,1\n", images="")
    _images(tmp_path / "in" / "one", ["a.jpg"])
    _images(tmp_path / "in" / "two", ["a.jpg"])
    with pytest.raises(ConvertError, match=r"line 2: 'a\.jpg' is in two folders: .*one/a.*two/a"):
        _convert(table)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    table = _table(tmp_path, "id,dx\na,1\n")
    table.unlink()
    with pytest.raises(ConvertError, match=r"t\.csv: cannot be read: No such file"):
        _convert(table)


def test_a_changed_table_is_refused_with_the_difference(tmp_path: Path) -> None:
    table = _table(tmp_path, "id,dx\na,1\nb,2\nc,1\n")
    _convert(table)
    assert _convert(table).was_finished
    table.write_text("id,dx\na,1\nb,2\nc,2\n")
    with pytest.raises(ConvertError, match=r"source t\.csv was 3 rows, \w+, is 3 rows, \w+"):
        _convert(table)
    table.write_text("id,dx\na,1\nb,2\nc,1\n")
    with pytest.raises(ConvertError, match=r"`classes` was nothing, is 2,1"):
        _convert(table, classes=("2", "1"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_extension": "jpg"}, "`image_extension`; expected a suffix with its dot"),
        ({"table_encoding": "utf-9"}, "`table_encoding`: unknown encoding: utf-9"),
        ({"first_label": 1}, "`first_label`: counts positions in `label_names`; requires it"),
        ({"label_pattern": "("}, "`label_pattern`: not a regular expression"),
        ({"label_pattern": "(a)(b)"}, "`label_pattern`; expected at most one group"),
        ({"label_otherwise": "x"}, "`label_otherwise`: is for values that"),
        (
            {"label_column": "", "table": "t", "classes": ("a",)},
            "`classes`: .*requires `label_column`",
        ),
        ({"classes": ("a=x", "b=x")}, "`classes`; expected distinct names"),
        ({"table_format": "xls"}, "`table_format`; expected one of auto, csv"),
        ({"on_unmatched": "skip"}, "`on_unmatched`; expected one of raise"),
    ],
)
def test_options_of_tables_are_checked_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConvertError, match=message):
        SourceOptions(**{"label_column": "dx", **options})


def test_a_flag_of_another_kind_of_source_is_refused(tmp_path: Path) -> None:
    _images(tmp_path / "in" / "class", ["a.jpg"])
    flags = (f"--input={tmp_path}/in", f"--output={tmp_path}/out", "--label_column=dx")
    done = run("convert", *flags)
    assert done.returncode == 1
    assert (
        "--label_column: belongs to --input_format table; this source is class_folders"
        in done.stderr
    )


# Files of MATLAB


def _mat(compressed: bool = False, **variables: Any) -> bytes:
    scipy_io = pytest.importorskip("scipy.io", reason="needs SciPy: pip install scipy")
    out = io.BytesIO()
    scipy_io.savemat(out, variables, do_compression=compressed)
    return out.getvalue()


def _struct(**fields: Sequence[Any]) -> np.ndarray[Any, Any]:
    count = len(next(iter(fields.values())))
    array = np.zeros((1, count), dtype=[(name, "O") for name in fields])
    for name, values in fields.items():
        for position, value in enumerate(values):
            array[0, position][name] = value
    return array


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"x": np.eye(3)}, "expected one struct array.*got x: 3 x 3 number"),
        ({"a": _struct(b=[1]), "c": _struct(b=[1])}, "expected one struct array.*struct with b"),
        ({"a": _struct(id=["a", np.eye(2)], dx=[1, 2])}, "element 2: field 'id': expected one num"),
        ({"a": _struct(name=["a"], dx=[1])}, "no column 'id'; expected one of name, dx"),
        ({}, "expected one struct array.*got no variables"),
    ],
)
def test_a_mat_file_of_another_structure_is_described(
    tmp_path: Path, variables: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConvertError, match=rf"t\.mat: {message}"):
        _convert(_table(tmp_path, _mat(**variables), "t.mat"), image_column="id")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a .mat file that SciPy can read"),
        (
            b"id,dx\na,1\n" * 30,
            "not a .mat file that SciPy can read; expected one of version 4 to 7.2",
        ),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"\x89HDF\r\n\x1a\n", "HDF"),
    ],
)
def test_a_file_that_is_no_mat_file_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(ConvertError, match=rf"t\.mat: .*{message}"):
        _convert(_table(tmp_path, data, "t.mat"))


def _three_rows(compressed: bool) -> bytes:
    return _mat(compressed, a=_struct(id=["a", "b", "c"], dx=[1, 2, 1], area=[0.5, 2.0, 3.0]))


@pytest.mark.parametrize("compressed", [False, True])
def test_mat_files_may_be_deflated(tmp_path: Path, compressed: bool) -> None:
    labels = _labels(_table(tmp_path, _three_rows(compressed), "t.mat"), image_column="id")
    assert labels == {"a.jpg": (0, "1"), "b.jpg": (1, "2"), "c.jpg": (0, "1")}


def test_a_mat_file_cut_short_is_refused_and_named(tmp_path: Path) -> None:
    data = _three_rows(compressed=False)
    for kept in (100, 200, len(data) - 8):
        path = _table(tmp_path, data[:kept], "t.mat", "")
        with pytest.raises(ConvertError, match=r"t\.mat: "):
            read_table(str(path), "mat", "utf-8", ())


def test_a_reader_of_mat_files_that_crashes_is_an_error_and_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _table(tmp_path, _three_rows(compressed=False), "t.mat")
    crash = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"]

    def crashes(_: Sequence[str], **options: Any) -> Any:
        return subprocess_run(crash, **options)

    subprocess_run = subprocess.run
    monkeypatch.setattr("pcr_tf.convert.sources.mat_file.subprocess.run", crashes)
    with pytest.raises(ConvertError, match=r"t\.mat: damaged: SciPy died of signal 11"):
        read_table(str(path), "mat", "utf-8", ())


def test_without_scipy_a_mat_file_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _table(tmp_path, _three_rows(compressed=False), "t.mat")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConvertError, match=r"t\.mat: .*pip install 'pcr_tf\[mat\]'"):
        read_table(str(path), "mat", "utf-8", ())


def test_a_label_outside_the_list_of_names_says_from_where_it_counts(tmp_path: Path) -> None:
    table = _table(tmp_path, "id,dx\na,1\nb,2\nc,3\n")
    (tmp_path / "names.txt").write_text("x\ny\nz\n")
    with pytest.raises(ConvertError, match=r"line 4: expected a position in .*0 to 2, got '3'"):
        _convert(table, label_names=str(tmp_path / "names.txt"))


def _convert_with_names(tmp_path: Path, names: str, **options: Any) -> ConvertSummary:
    (tmp_path / "names.txt").write_text(names)
    table = _table(tmp_path, "id,dx\na,0\nb,1\nc,2\n")
    return _convert(table, label_names=str(tmp_path / "names.txt"), **options)


def test_a_name_that_stands_twice_in_the_list_of_names_does_not_shift_the_labels_behind_it(
    tmp_path: Path,
) -> None:
    message = r"names\.txt: line 3: 'crane' again; line 1 has it first; distinguish them"
    with pytest.raises(ConvertError, match=message):
        _convert_with_names(tmp_path, "crane\nmaillot\ncrane\n")


def test_a_pattern_makes_one_class_of_names_that_are_equal(tmp_path: Path) -> None:
    summary = _convert_with_names(tmp_path, "crane\nmaillot\ncrane\n", label_pattern=".*")
    assert summary.manifest["class_names"] == ["crane", "maillot"]


def test_an_empty_line_in_the_list_of_names_does_not_shift_the_labels_behind_it(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConvertError, match=r"names\.txt: line 2: no name; .*remove the line, or"):
        _convert_with_names(tmp_path, "x\n\ny\nz\n")
    assert _convert_with_names(tmp_path, "x\ny\nz\n\n \n").manifest["class_names"] == [*"xyz"]
