"""Which label a row of a table gets: numbers sort as numbers, and what has no order is an error."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest

from pcr_tf.convert import ConvertError, ConvertOptions, SourceOptions, SplitPart, split_conversions
from pcr_tf.convert.job.class_text import class_lines
from pcr_tf.convert.sources.numbers import canonical
from pcr_tf.convert.sources.tables.labels import resolve_labels
from pcr_tf.format import PcrReader
from pcr_tf.format.example import bytes_features, feature_keys, int_feature
from tests.conversion import convert_with, jpeg, labels_by_name, run


def _class_names(cells: list[str], **options: Any) -> list[str]:
    values = {cell: f"t.csv: line {number}" for number, cell in enumerate(cells, 2)}
    return resolve_labels(values, SourceOptions(label_column="dx", **options)).class_names


@pytest.mark.parametrize(
    "names",
    [
        [f"{n}.0" for n in range(12)],
        ["-6.0", "-1.0", "-0.5", "0", ".25", "1e-0", "2.", "+3", "4E0", "1e1", "10.5", "1e+2"],
        ["-11", "-2", "0", "9", "10", "100"],
        ["01", "2", "03", "10"],
        ["00", "1", "02"],
        ["9007199254740992", "9007199254740993", "9007199254740994.5", "9007199254740995"],
        ["9223372036854775807", "9223372036854775808", "123456789012345678901234567890"],
        ["-123456789012345678901234567890.5", "-123456789012345678901234567890.25", "0"],
        ["1e-400", "1e-399", "0.1", "1e308", "1e309", "1e999999"],
        ["2", "10", "1" + "0" * 5000],
        ["1.9", "1.10e1"],
    ],
    ids=lambda names: " ".join(names)[:24],
)
def test_numbers_sort_as_numbers(names: list[str]) -> None:
    for cells in itertools.islice(itertools.permutations(names), 0, 2000, 199):
        assert _class_names(list(cells)) == names


@pytest.mark.parametrize(
    "names",
    [
        ["1,000", "2,000", "500 kg", "9,5"],
        ["1_0", "2_0"],
        ["0x10", "0x9"],
        ["1.2.3", "1.10.0"],
        ["\u0661", "\u0662"],
        ["1e1000000000", "2e99999999999999"],
        ["--1", "-a", "a", "\u00e4", "\u4e00"],
        ["Nano", "inf", "infant", "nana"],
        ["None", "null"],
    ],
    ids=lambda names: " ".join(names)[:24],
)
def test_labels_of_text_sort_bytewise(names: list[str]) -> None:
    names = sorted(names, key=str.encode)
    assert _class_names(names[::-1]) == names


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            ["0", "1", "nan"],
            r"^t\.csv: line 4: expected a label, got 'nan', which stands for a missing one; ",
        ),
        (["mel", "NaN", "nv"], r"^t\.csv: line 3: expected a label, got 'NaN'.*with `classes`"),
        (["0.0", "-nan"], r"^t\.csv: line 3: expected a label, got '-nan'"),
        (
            ["0", "1", "inf"],
            r"^t\.csv: line 4: expected a number, as '0' of line 2, got 'inf', text: "
            r"numbers and texts together have no order; correct it, or list the classes with `cla",
        ),
        (["0", "-Infinity", "1"], r"^t\.csv: line 3: expected a number, as '0' .*got '-Infinity'"),
        (
            ["cat", "dog", "3"],
            r"^t\.csv: line 4: expected text, as 'cat' of line 2, got '3', a numb",
        ),
        (["1", "2", "1,000"], r"^t\.csv: line 4: expected a number, as '1' of line 2, got '1,000'"),
        (["1", "2", "N/A"], r"^t\.csv: line 4: .*got 'N/A', text.*`classes`"),
        (
            ["-0", "0"],
            r"^t\.csv: line 3: expected one spelling of each number, got '0' beside '-0' of",
        ),
        (
            ["1", "2", "1.0"],
            r"^t\.csv: line 4: .*got '1\.0' beside '1' of line 2; write both alike",
        ),
        (["01", "1"], r"^t\.csv: line 3: .*got '1' beside '01' of line 2"),
        (["+3", "3"], r"^t\.csv: line 3: .*got '3' beside '\+3' of line 2"),
        (["10", "1e1"], r"^t\.csv: line 3: .*got '1e1' beside '10' of line 2"),
        (["3.1", "3.10"], r"^t\.csv: line 3: .*if they are two classes, .*with `classes`"),
        (["1" + "0" * 999, "1e999"], r"got '1e999' beside '10{39}\.\.\.' of line 2"),
        (["caf\u00e9", "tea", "cafe\u0301"], r"line 4: .*got 'cafe\\u0301' beside 'caf\\xe9' of"),
        (["7", "x" * 999, "8"], r"got 'x{40}\.\.\.', text"),
    ],
)
def test_labels_that_have_no_order_are_an_error_with_row_value_and_remedy(
    cells: list[str], message: str
) -> None:
    with pytest.raises(ConvertError, match=message):
        _class_names(cells)
    assert _class_names(cells, classes=tuple(cells[::-1])) == cells[::-1]


def test_a_pattern_makes_numbers_of_texts() -> None:
    cells = ["fold 10", "fold 9", "fold 1"]
    assert _class_names(cells, label_pattern=r"\d+") == ["1", "9", "10"]
    with pytest.raises(ConvertError, match=r"line 3: expected one spelling.*got '09' beside '9'"):
        _class_names(["fold 9", "fold 09"], label_pattern=r"\d+")


@pytest.mark.parametrize(
    ("texts", "number"),
    [
        (["7", "7.0", "07", "+7", "7e0", "7.", "0.7e1", "70e-1"], "7"),
        (["0", "-0", "0.0", "-0.00", "0e5", ".0"], "0"),
        (["-1.5", "-01.50", "-15e-1"], "-1.5"),
        (["120", "1.2e2"], "120"),
        (["0.001", "1e-3", ".0010"], "0.001"),
        (["123456789012345678901234567890", "0123456789012345678901234567890.0"], None),
        (["1e999999"], "1e999999"),
        (["1e-999999"], "1e-999999"),
        (["HAM_07"], "HAM_07"),
        (["1_0"], "1_0"),
        ([""], ""),
    ],
)
def test_a_number_has_one_canonical_spelling(texts: list[str], number: str | None) -> None:
    assert {canonical(text) for text in texts} == {texts[0] if number is None else number}


def test_rows_of_one_patient_stay_in_one_part_however_the_number_is_written(
    tmp_path: Path,
) -> None:
    names = [f"{n}.jpg" for n in range(40)]
    spellings = ["{}", "{}.0", "0{}", "{}e0"]
    rows = [f"{name},{spellings[n % 4].format(n // 4)},x" for n, name in enumerate(names)]
    options = _table(tmp_path, "\n".join(["file,patient,dx", *rows]), " ".join(map(str, range(40))))
    job = ConvertOptions(
        inputs=(str(tmp_path / "in"),),
        output=str(tmp_path / "out"),
        source_options=SourceOptions(split_column="patient", **options),
        split=(SplitPart("train", 0.5), SplitPart("validation", 0.5)),
    )
    parts = [
        {int(Path(item.path).stem) // 4 for item in part.listing.items}
        for part in split_conversions(job)
    ]
    assert parts[0] | parts[1] == set(range(10))
    assert not parts[0] & parts[1]


def test_positions_in_a_list_of_names_may_be_written_as_decimals(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    names = str(tmp_path / "names.txt")
    values = {"2.0": "t.csv: line 2", "1": "t.csv: line 3", "+3": "t.csv: line 4"}
    options = SourceOptions(label_column="dx", label_names=names, first_label=1)
    assert resolve_labels(values, options).label_of == {"2.0": 1, "1": 0, "+3": 2}
    for wrong in ("1.5", "nan", "0", "4", "-1", "1e999999", "1e-999999", "\u0661", "1_0", "0x1"):
        with pytest.raises(ConvertError, match=r"t\.csv: line 2: expected a position in .* 1 to 3"):
            resolve_labels({wrong: "t.csv: line 2"}, options)


def test_positions_that_may_count_from_0_or_from_1_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    names = str(tmp_path / "names.txt")
    values = {"2": "t.csv: line 2", "1": "t.csv: line 3"}  # the last, or the first, does not occur
    options = SourceOptions(label_column="dx", label_names=names)
    with pytest.raises(ConvertError, match=r"line 3: .*got '1' as the least.*`first_label=0` or"):
        resolve_labels(values, options)
    for first_label, labels in ((0, {"2": 2, "1": 1}), (1, {"2": 1, "1": 0})):
        told = dataclasses.replace(options, first_label=first_label)
        assert resolve_labels(values, told).label_of == labels
    with_zero = resolve_labels({**values, "0.0": "t.csv: line 4"}, options)
    assert with_zero.label_of == {"2": 2, "1": 1, "0.0": 0}


def _table(tmp_path: Path, text: str, images: str = "0 1 2 3 4 5") -> dict[str, Any]:
    """Writes t.csv, and images in/<number>.jpg; returns the options of the table."""
    (tmp_path / "in").mkdir(exist_ok=True)
    for seed, name in enumerate(images.split()):
        path = tmp_path / "in" / f"{name}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(jpeg(seed))
    (tmp_path / "t.csv").write_bytes(text.encode())
    return {"table": str(tmp_path / "t.csv"), "label_column": "dx"}


def test_decimals_that_pandas_made_of_labels_get_the_labels_that_they_say(tmp_path: Path) -> None:
    cells = [f"{n}.0" for n in range(12)]
    rows = [f"{n}.jpg,{cell}" for n, cell in enumerate(cells)]
    options = _table(tmp_path, "\n".join(["file,dx", *rows[::-1]]), " ".join(map(str, range(12))))
    convert_with(tmp_path / "in", tmp_path / "out", **options)
    assert labels_by_name(tmp_path / "out") == {
        f"{n}.jpg": (n, cell) for n, cell in enumerate(cells)
    }


def test_a_row_without_a_label_is_an_error_that_names_it(tmp_path: Path) -> None:
    options = _table(tmp_path, "file,dx\n0.jpg,0.0\n1.jpg,nan\n2.jpg,1.0\n", "0 1 2")
    with pytest.raises(ConvertError, match=r"t\.csv: line 3: expected a label, got 'nan'"):
        convert_with(tmp_path / "in", tmp_path / "out", **options)
    options = _table(tmp_path, "file,dx\n0.jpg,0.0\n1.jpg,\n2.jpg,1.0\n", "0 1 2")
    with pytest.raises(ConvertError, match=r"t\.csv: line 3: no label in column 'dx'"):
        convert_with(tmp_path / "in", tmp_path / "out", **options)


def test_the_command_says_where_labels_are_not_the_numbers_of_the_column(tmp_path: Path) -> None:
    options = _table(tmp_path, "file,dx\n0.jpg,5\n1.jpg,1\n2.jpg,2\n", "0 1 2")
    flags = [f"--input={tmp_path}/in", f"--output={tmp_path}/out", "--dry_run"]
    flags += [f"--{name}={value}" for name, value in options.items()]
    done = run("convert", *flags)
    assert (
        "classes     3: label 0 is '1', label 2 is '5'\n"
        "labels      count the classes and differ from the numbers in their names: '1' has "
        "label 0, '2' has label 1, '5' has label 2\n"
    ) in done.stdout
    done = run("convert", *flags, "--classes=0,1,2,3,4,5")
    assert (
        "classes     6: label 0 is '0', label 5 is '5'\n"
        "no image    3 classes: '0', '3', '4'; labels stay\n"
    ) in done.stdout
    assert "labels  " not in done.stdout


def test_a_table_without_a_label_column_is_said_to_have_no_classes(tmp_path: Path) -> None:
    options = _table(tmp_path, "file,dx\n0.jpg,5\n1.jpg,1\n", "0 1")
    flags = (f"--input={tmp_path}/in", f"--output={tmp_path}/out", f"--table={options['table']}")
    said = (
        "classes     none: without --label_column no column is a label; each is a feature of its "
    )
    dry = run("convert", *flags, "--dry_run")
    assert said in dry.stdout
    done = run("convert", *flags, "--profile_images=0", "--num_workers=0")
    assert said in done.stdout
    assert said in done.stderr


# Which column names the images


# Image n has label WANTED[n].
WANTED = {"0.jpg": (2, "c"), "1.jpg": (0, "a"), "2.jpg": (1, "b"), "3.jpg": (0, "a")}


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (",file,dx\n0,3.jpg,a\n1,0.jpg,c\n2,1.jpg,a\n3,2.jpg,b\n", {}),
        (",file,dx\n0,3,a\n1,0,c\n2,1,a\n3,2,b\n", {"image_extension": ".jpg"}),
        (",dx,file\n0,a,3.jpg\n1,c,0.jpg\n2,a,1.jpg\n3,b,2.jpg\n", {}),
        ("\ufeff,dx,file\r\n0,a,3.jpg\r\n1,c,0.jpg\r\n2,a,1.jpg\r\n3,b,2.jpg", {}),
        ('"","file", dx \n0,"3.jpg",a\n1,0.jpg ,c\n2, 1.jpg,a\n3,2.jpg,b \n', {}),
        (
            "index,file,dx\n0,3.jpg,a\n1,0.jpg,c\n2,1.jpg,a\n3,2.jpg,b\n",
            {"image_extension": ".jpg"},
        ),
        (
            "Unnamed: 0,dx,file\n0,a,in/3.jpg\n1,c,in/0.jpg\n2,a,in/1.jpg\n3,b,in/2.jpg\n",
            {"image_column": "file"},
        ),
        (
            "index,file,dx\n0,3,a\n1,0,c\n2,1,a\n3,2,b\n",
            {"image_column": "file", "image_extension": ".jpg"},
        ),
        (",,file,dx\n0,9,3.jpg,a\n1,8,0.jpg,c\n2,7,1.jpg,a\n3,6,2.jpg,b\n", {}),
        ("file,index,dx\n3,x,a\n0,y,c\n1,z,a\n2,w,b\n", {"image_extension": ".jpg"}),
    ],
    ids=[
        "index without a name",
        "numeric names",
        "label first",
        "byte order mark",
        "quotes and blanks",
        "index with a name",
        "asked for",
        "asked for among numbers",
        "two indices",
        "name first",
    ],
)
def test_an_index_of_rows_is_not_taken_for_the_names_of_images(
    tmp_path: Path, text: str, options: dict[str, Any]
) -> None:
    root = tmp_path if "in/" in text else tmp_path / "in"
    table = _table(tmp_path, text, "0 1 2 3")
    output = tmp_path.parent / f"{tmp_path.name}.pcr"
    convert_with(root, output, **table, **options)
    found = labels_by_name(output)
    assert {name.removeprefix("in/"): label for name, label in found.items()} == WANTED
    for example in PcrReader(output).examples(1):
        assert "" not in feature_keys(example)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "index,file,dx\n0,3,a\n1,0,c\n2,1,a\n3,2,b\n",
            {"image_extension": ".jpg"},
            r"t\.csv: columns 'index', 'file' could all name the images; .*with `image_column`",
        ),
        (
            "before,after,dx\n0.jpg,1.jpg,a\n2.jpg,3.jpg,b\n",
            {},
            r"t\.csv: columns 'before', 'after' could all name the images",
        ),
        (
            "index,file,dx\n0,x.jpg,a\n1,y.jpg,c\n2,z.jpg,a\n3,w.jpg,b\n",
            {"image_extension": ".jpg"},
            r"t\.csv: line 2: no image 'x\.jpg' \(one of 4 such rows",
        ),
        (
            ",dx\n0,a\n1,b\n2,a\n3,b\n",
            {"image_extension": ".jpg"},
            r"no column names the images; its columns are '', 'dx'; a",
        ),
        (
            "file,dx\n0,a\n1,c\n2,a\n3,b\n",
            {},
            r"line 2: no image '0' \(one of 4 .*\); '0\.jpg' is there; see `image_extension`",
        ),
        (
            "3.jpg,a\n0.jpg,c\n1.jpg,a\n2.jpg,b\n",
            {"label_column": "a"},
            r"t\.csv: expected a header .*, got the image '3\.jpg'; .*`table_c",
        ),
        (
            "file,dx,dx\n0.jpg,a,b\n",
            {},
            r"t\.csv: two columns are called 'dx'; rename one",
        ),
        (
            "file, dx,dx \n0.jpg,a,b\n",
            {},
            r"t\.csv: two columns are called 'dx'; rename one",
        ),
        (
            "file,dx\n0.jpg,a\n1.jpg,b\n./0.jpg,b\n2.jpg,a\n3.jpg,a\n",
            {},
            r"line 4: names '0\.jpg' again; line 2 names it first; remove one",
        ),
    ],
)
def test_a_column_of_names_that_cannot_be_told_is_asked_for(
    tmp_path: Path, text: str, options: dict[str, Any], message: str
) -> None:
    table = _table(tmp_path, text, "0 1 2 3")
    with pytest.raises(ConvertError, match=message):
        convert_with(tmp_path / "in", tmp_path / "out", **{**table, **options})


def test_numbers_of_another_column_do_not_make_the_names_of_images_unclear(tmp_path: Path) -> None:
    table = _table(tmp_path, "file,age,dx\n0.jpg,3,a\n1.jpg,2,b\n2.jpg,1,a\n3.jpg,0,b\n", "0 1 2 3")
    convert_with(tmp_path / "in", tmp_path / "out", image_extension=".jpg", **table)
    assert labels_by_name(tmp_path / "out")["0.jpg"] == (0, "a")


def test_a_name_in_several_folders_is_an_error_until_its_path_is_given(tmp_path: Path) -> None:
    table = _table(tmp_path, "file,dx\n0.jpg,a\n", "x/0 y/0")
    with pytest.raises(ConvertError, match=r"line 2: '0\.jpg' is in two folders: .*x/0.*y/0"):
        convert_with(tmp_path / "in", tmp_path / "out", **table)
    table = _table(tmp_path, "file,dx\nx/0.jpg,a\ny/0.jpg,b\n", "x/0 y/0")
    convert_with(tmp_path / "in", tmp_path / "out", **table)
    assert labels_by_name(tmp_path / "out") == {"x/0.jpg": (0, "a"), "y/0.jpg": (1, "b")}


# Paths in tables


def test_rows_may_name_images_by_their_whole_paths(tmp_path: Path) -> None:
    here = tmp_path / "in"
    (tmp_path / "link").symlink_to(here)
    rows = [f"{here}/0.jpg,a", f"{tmp_path}/link/1.jpg,b", f"{tmp_path}/x/../in/2.jpg,a", "3.jpg,b"]
    table = _table(tmp_path, "\n".join(["file,dx", *rows]), "0 1 2 3")
    with pytest.raises(
        ConvertError, match=r"line 3: no image '.*/link/1\.jpg'; the path is absolute"
    ):
        convert_with(here, tmp_path / "out", **table)
    convert_with(tmp_path / "link", tmp_path / "out", **table)
    assert labels_by_name(tmp_path / "out") == {
        "0.jpg": (0, "a"),
        "1.jpg": (1, "b"),
        "2.jpg": (0, "a"),
        "3.jpg": (1, "b"),
    }


def test_a_whole_path_is_not_taken_for_an_image_of_the_same_name_elsewhere(tmp_path: Path) -> None:
    table = _table(tmp_path, "file,dx\n/elsewhere/0.jpg,a\n", "0")
    message = (
        r"line 2: no image '/elsewhere/0\.jpg'; the path is absolute, and no folder of `inputs` \("
    )
    with pytest.raises(ConvertError, match=message):
        convert_with(tmp_path / "in", tmp_path / "out", **table)


def test_a_path_that_begins_above_the_input_says_so(tmp_path: Path) -> None:
    table = _table(tmp_path, "file,dx\nin/0.jpg,a\n", "0")
    message = (
        r"no image 'in/0\.jpg'; '0\.jpg' is there; .*paths below `inputs`; name the folder abov"
    )
    with pytest.raises(ConvertError, match=message):
        convert_with(tmp_path / "in", tmp_path / "out", **table)
    convert_with(tmp_path, tmp_path.parent / f"{tmp_path.name}.pcr", **table)


def test_a_label_that_is_not_ascii_is_stored_as_it_is(tmp_path: Path) -> None:
    table = _table(tmp_path, "file,dx\n0.jpg,\u00e4\n1.jpg,z\n", "0 1")
    convert_with(tmp_path / "in", tmp_path / "out", **table)
    found = {}
    for example in PcrReader(tmp_path / "out").examples(1):
        text = bytes_features(example, ["image/class/text"])["image/class/text"][0]
        found[text] = int_feature(example, "image/class/label")
    assert found == {b"z": [0], "\u00e4".encode(): [1]}


def test_the_label_may_be_made_of_the_name_of_the_image(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("cat.0", "dog.0", "dog.1"):
        (tmp_path / "in" / f"{name}.jpg").write_bytes(jpeg())
    text = "age,file\n0,cat.0.jpg\n1,dog.1.jpg\n2,dog.0.jpg\n"
    (tmp_path / "t.csv").write_text(text)
    options = {"table": str(tmp_path / "t.csv"), "label_column": "file", "label_pattern": "[a-z]+"}
    convert_with(tmp_path / "in", tmp_path / "out", **options)
    assert labels_by_name(tmp_path / "out") == {
        "cat.0.jpg": (0, "cat"),
        "dog.0.jpg": (1, "dog"),
        "dog.1.jpg": (1, "dog"),
    }


def test_a_class_that_often_stands_for_no_value_is_pointed_out(tmp_path: Path) -> None:
    rows = "file,dx\n0.jpg,cat\n1.jpg,NA\n2.jpg,dog\n"
    table = _table(tmp_path, rows, images="0 1 2")
    summary = convert_with(tmp_path / "in", tmp_path / "out", **table)
    said = dict(class_lines(summary.manifest))
    assert said["missing"].startswith("'NA' is a class; if it stands for a missing value, remove")
