"""`pcr-export`: what went into a data set comes back, at any fidelity, whatever stops the job."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pcr_tf._native import check_jpeg, same_coefficients, scan_ends
from pcr_tf.convert import ConvertError, Export, ExportOptions, ExportSummary
from pcr_tf.format import PcrReader, PcrWriter, write_side_index
from pcr_tf.format.example import Values, bytes_features, encode_example, feature_keys, int_feature
from tests.conversion import digests, jpeg, make_class_folders, png, run, start, write_tfrecord
from tests.small_dataset import make_dataset, make_examples
from tests.test_convert import convert
from tests.waiting import HANG_S, kill_with_workers, patiently, pause_midway


def export(source: Path, output: Path, **options: Any) -> ExportSummary:
    """Exports in this process."""
    options = {"num_workers": 0, **options}
    return Export(ExportOptions(str(source), str(output), **options)).run(quiet=True)


def read_tfrecords(folder: Path) -> list[bytes]:
    """All records of all files of a folder, as TensorFlow reads them."""
    import tensorflow as tf

    files = sorted(str(path) for path in folder.glob("*.tfrecord"))
    return [record.numpy() for record in tf.data.TFRecordDataset(files)]


def parsed(example: bytes) -> dict[str, Any]:
    """Feature key -> its message, as protobuf reads it."""
    import tensorflow as tf

    return dict(tf.train.Example.FromString(example).features.feature)


def assert_equal_but_for_coding(
    got: bytes, wanted: bytes, image_features: Sequence[str] = ("image/encoded",)
) -> None:
    """All features are equal, and images are the same bytes or the same coefficients."""
    ours, theirs = parsed(got), parsed(wanted)
    assert sorted(ours) == sorted(theirs)
    for key, feature in theirs.items():
        if key not in image_features:
            assert ours[key] == feature, key
            continue
        images = list(zip(ours[key].bytes_list.value, feature.bytes_list.value, strict=True))
        for image, source in images:
            assert image == source or same_coefficients(image, source) == "", key


def odd_images() -> dict[str, bytes]:
    """Images that do not become an ordinary progressive colour JPEG."""
    return {
        "grey": jpeg(1, mode="L"),
        "cmyk": jpeg(2, mode="CMYK"),
        "png": png(3),
        "cut short": jpeg(4)[:-40],
        "with exif": jpeg(5, exif=b"Exif\0\0" + bytes(range(64))),
        "with trailing bytes": jpeg(6) + b"and more",
        "no image": b"no image",
    }


# TFRecords


def test_tfrecords_come_back_as_they_went_in_in_the_order_of_the_data_set(tmp_path: Path) -> None:
    examples = [
        encode_example(
            {
                "image/encoded": [image],
                "name": [name.encode()],
                "label": [number - 3, 2**40],
                "scores": [0.5, number / 7],
                "nothing": [],
            }
        )
        for number, (name, image) in enumerate(odd_images().items())
    ]
    write_tfrecord(tmp_path / "in.tfrecord", examples)
    convert(tmp_path / "in.tfrecord", tmp_path / "pcr", examples_per_record=2, num_shards=2)
    summary = export(tmp_path / "pcr", tmp_path / "out")
    assert (summary.examples, summary.images, summary.files) == (7, 7, 2)
    records = read_tfrecords(tmp_path / "out")
    assert [parsed(r)["name"] for r in records] == [
        parsed(example)["name"] for example in PcrReader(tmp_path / "pcr").examples()
    ]
    by_name = {parsed(example)["name"].bytes_list.value[0]: example for example in examples}
    assert len(records) == len(by_name)
    for record in records:
        assert_equal_but_for_coding(record, by_name[parsed(record)["name"].bytes_list.value[0]])


def test_without_a_shuffle_the_examples_come_back_in_the_order_of_the_source(
    tmp_path: Path,
) -> None:
    examples = make_examples(11)
    write_tfrecord(tmp_path / "in.tfrecord", examples)
    convert(tmp_path / "in.tfrecord", tmp_path / "pcr", shuffle=False, num_shards=3)
    export(tmp_path / "pcr", tmp_path / "out", num_files=2)
    for record, example in zip(read_tfrecords(tmp_path / "out"), examples, strict=True):
        assert_equal_but_for_coding(record, example)


def test_several_image_features_with_any_number_of_images_come_back(tmp_path: Path) -> None:
    images = list(odd_images().values())
    features: list[dict[str, Values]] = [
        {"right": images[:2], "id": [0], "left": images[2:5]},
        {"left": images[5:], "id": [1]},
        {"id": [2], "left": [], "right": [images[0]]},
    ]
    write_tfrecord(tmp_path / "in.tfrecord", features)
    keys = ("left", "right")
    convert(tmp_path / "in.tfrecord", tmp_path / "pcr", image_features=keys, shuffle=False)
    assert export(tmp_path / "pcr", tmp_path / "out").images == 8
    for record, example in zip(read_tfrecords(tmp_path / "out"), features, strict=True):
        assert_equal_but_for_coding(record, encode_example(example), keys)


def test_an_export_converts_to_the_same_images_again(tmp_path: Path) -> None:
    convert(make_class_folders(tmp_path / "in"), tmp_path / "pcr")
    export(tmp_path / "pcr", tmp_path / "out")
    convert(tmp_path / "out", tmp_path / "again", shuffle=False)
    first, second = PcrReader(tmp_path / "pcr"), PcrReader(tmp_path / "again")
    for scan_groups in (1, 10):
        images = zip(first.examples(scan_groups), second.examples(scan_groups), strict=True)
        for one, other in images:
            assert parsed(one) == parsed(other)


@pytest.mark.parametrize("scan_groups", [1, 4, 10])
def test_images_have_the_fidelity_asked_for(tmp_path: Path, scan_groups: int) -> None:
    make_dataset(tmp_path / "pcr", 5)
    export(tmp_path / "pcr", tmp_path / "out", scan_groups=scan_groups)
    reader = PcrReader(tmp_path / "pcr")
    wanted = list(reader.examples(scan_groups))
    scans = sum(reader.index.header.scans_per_group[:scan_groups])
    assert read_tfrecords(tmp_path / "out") == wanted
    for record in wanted:
        (image,) = bytes_features(record, ["image/encoded"])["image/encoded"]
        assert (len(scan_ends(image)), check_jpeg(image)) == (scans, "")


@pytest.mark.parametrize("num_files", [1, 3, 10, 13])
def test_the_number_of_files_is_a_flag_and_does_not_change_the_order(
    tmp_path: Path, num_files: int
) -> None:
    make_dataset(tmp_path / "pcr", 10, examples_per_record=4, num_shards=2)
    summary = export(tmp_path / "pcr", tmp_path / "out", num_files=num_files, prefix="train")
    names = sorted(path.name for path in (tmp_path / "out").glob("*.tfrecord"))
    assert summary.files == num_files
    assert names == [f"train-{n:05d}-of-{num_files:05d}.tfrecord" for n in range(num_files)]
    assert read_tfrecords(tmp_path / "out") == list(PcrReader(tmp_path / "pcr").examples())


def test_workers_and_one_process_write_the_same(tmp_path: Path) -> None:
    make_dataset(tmp_path / "pcr", 10, num_shards=3)
    for form in ("tfrecord", "files"):
        outputs = [tmp_path / f"{form}{workers}" for workers in (0, 2)]
        for workers, output in zip((0, 2), outputs, strict=True):
            export(tmp_path / "pcr", output, format=form, num_workers=workers)
        assert digests(outputs[0]) == digests(outputs[1])


def test_a_single_pcr_file_is_exported_alone(tmp_path: Path) -> None:
    make_dataset(tmp_path / "pcr", 10, num_shards=2)
    shard = min((tmp_path / "pcr").glob("*.pcr"))
    assert export(shard, tmp_path / "out").examples == 5
    assert read_tfrecords(tmp_path / "out") == list(PcrReader(shard).examples())


# Files


def test_class_folders_come_back_with_their_names(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in")
    (source / "bee" / "odd.png").write_bytes(png())
    (source / "cat" / "no.suffix.jpeg").write_bytes(jpeg(9))
    convert(source, tmp_path / "pcr")
    summary = export(tmp_path / "pcr", tmp_path / "out", format="files")
    names = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
    assert (summary.files, summary.images) == (len(names), len(names))
    made = [p.relative_to(tmp_path / "out") for p in (tmp_path / "out").glob("[!.]*/*")]
    assert sorted(made) == sorted(names)
    for name in names:
        got, wanted = (tmp_path / "out" / name).read_bytes(), (source / name).read_bytes()
        assert got == wanted or same_coefficients(got, wanted) == ""
    assert (tmp_path / "out" / "bee" / "odd.png").read_bytes() == png()


def test_nested_class_folders_come_back(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", classes=("pet/cat", "pet/dog", "wild/fox"))
    convert(source, tmp_path / "pcr")
    export(tmp_path / "pcr", tmp_path / "out", format="files")
    assert sorted(name for name in digests(tmp_path / "out") if name[0] != ".") == sorted(
        digests(source)
    )


def _write(path: Path, examples: Sequence[dict[str, Values]]) -> Path:
    path.mkdir()
    with PcrWriter(path / "a.pcr", examples_per_record=2) as writer:
        for example in examples:
            writer.write(encode_example(example))
    write_side_index(path)
    return path


def _names(output: Path) -> list[str]:
    return sorted(name for name in digests(output) if not name.startswith("."))


def test_images_without_a_name_are_numbered_in_the_order_of_the_data_set(tmp_path: Path) -> None:
    images = [jpeg(0), png(1), b"no image", jpeg(3)]
    _write(tmp_path / "pcr", [{"image/encoded": [image]} for image in images])
    export(tmp_path / "pcr", tmp_path / "out", format="files")
    assert _names(tmp_path / "out") == ["000000.jpg", "000001.png", "000002.bin", "000003.jpg"]
    assert (tmp_path / "out" / "000001.png").read_bytes() == images[1]


def test_labels_name_folders_where_classes_have_no_name(tmp_path: Path) -> None:
    features: list[dict[str, Values]] = [
        {
            "image/encoded": [jpeg(n)],
            "image/class/label": [n % 2],
            "image/filename": [b"%d.jpg" % n],
        }
        for n in range(3)
    ]
    source = _write(tmp_path / "pcr", features)
    export(source, tmp_path / "out", format="files")
    assert _names(tmp_path / "out") == ["00000/0.jpg", "00000/2.jpg", "00001/1.jpg"]
    (source / "manifest.json").write_text(
        json.dumps({"manifest_version": 1, "class_names": ["ant", "bee"]})
    )
    export(source, tmp_path / "named", format="files")
    assert _names(tmp_path / "named") == ["ant/0.jpg", "ant/2.jpg", "bee/1.jpg"]
    export(source, tmp_path / "flat", format="files", class_feature="", label_feature="")
    assert _names(tmp_path / "flat") == ["0.jpg", "1.jpg", "2.jpg"]


@pytest.mark.parametrize("examples_per_record", [1, 4])
def test_two_classes_of_one_name_are_not_put_into_one_folder_silently(
    tmp_path: Path, examples_per_record: int
) -> None:
    features: list[dict[str, Values]] = [
        {
            "image/encoded": [jpeg(n)],
            "image/class/label": [(134, 517)[n % 2]],
            "image/class/text": [b"crane"],
        }
        for n in range(4)
    ]
    source = tmp_path / "in.tfrecord"
    write_tfrecord(source, features)
    convert(source, tmp_path / "pcr", examples_per_record=examples_per_record, shuffle=False)
    message = "crane: the folder of label 134 and of label 517, .*`class_feature=`.*`output`"
    with pytest.raises(ConvertError, match=message):
        export(tmp_path / "pcr", tmp_path / "out", format="files")
    export(tmp_path / "pcr", tmp_path / "apart", format="files", class_feature="")
    assert sorted(path.name for path in (tmp_path / "apart").glob("0*")) == ["00134", "00517"]
    export(tmp_path / "pcr", tmp_path / "one", format="files", label_feature="")
    assert len(_names(tmp_path / "one")) == 4


def test_several_images_of_an_example_get_their_positions_behind_the_name(tmp_path: Path) -> None:
    _write(tmp_path / "pcr", [{"image/encoded": [jpeg(0), png(1)], "image/filename": [b"a/b"]}])
    export(tmp_path / "pcr", tmp_path / "out", format="files")
    assert _names(tmp_path / "out") == ["a/b-0.jpg", "a/b-1.png"]


@pytest.mark.parametrize(
    "name", [b"/etc/x.jpg", b"../x.jpg", b"a/../../x", b"a//b", b".pcr-export/x", b"x\0y", b""]
)
def test_a_name_that_would_leave_the_output_is_not_used(tmp_path: Path, name: bytes) -> None:
    example: dict[str, Values] = {"image/encoded": [jpeg(0)], "image/filename": [name]}
    _write(tmp_path / "pcr", [example, {**example, "image/class/text": [name]}])
    export(tmp_path / "pcr", tmp_path / "x" / "out", format="files")
    assert _names(tmp_path / "x" / "out") == ["000000.jpg", "000001.jpg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pcr", "x"]


def test_two_images_of_one_name_are_refused_with_the_remedy(tmp_path: Path) -> None:
    features: list[dict[str, Values]] = [
        {"image/encoded": [jpeg(n)], "image/filename": [b"same.jpg"]} for n in range(2)
    ]
    _write(tmp_path / "pcr", features)
    with pytest.raises(ConvertError, match=r"same\.jpg: .* two examples .* `name_feature=`"):
        export(tmp_path / "pcr", tmp_path / "out", format="files")
    assert same_coefficients((tmp_path / "out" / "same.jpg").read_bytes(), jpeg(0)) == ""
    export(tmp_path / "pcr", tmp_path / "numbered", format="files", name_feature="")
    assert _names(tmp_path / "numbered") == ["000000.jpg", "000001.jpg"]


@pytest.mark.parametrize("examples_per_record", [1, 2])
def test_two_equal_images_of_one_name_do_not_become_one_file(
    tmp_path: Path, examples_per_record: int
) -> None:
    features: dict[str, Values] = {"image/encoded": [jpeg(0)], "image/filename": [b"same.jpg"]}
    source = write_tfrecord(tmp_path / "in.tfrecord", [features, features])
    convert(source, tmp_path / "pcr", examples_per_record=examples_per_record, shuffle=False)
    for _ in range(2):  # Nor when the command is given again.
        with pytest.raises(ConvertError, match=r"same\.jpg: .* two examples .* `name_feature=`"):
            export(tmp_path / "pcr", tmp_path / "out", format="files")
    export(tmp_path / "pcr", tmp_path / "numbered", format="files", name_feature="")
    assert _names(tmp_path / "numbered") == ["000000.jpg", "000001.jpg"]


def test_a_name_without_the_suffix_of_an_image_gets_one_so_that_it_converts_again(
    tmp_path: Path,
) -> None:
    names = [b"img.v2", b"1.5", b"plain", b"x.JPEG", b"y.png"]
    _write(
        tmp_path / "pcr",
        [{"image/encoded": [jpeg(n)], "image/filename": [name]} for n, name in enumerate(names)],
    )
    export(tmp_path / "pcr", tmp_path / "out", format="files")
    expected = ["1.5.jpg", "img.v2.jpg", "plain.jpg", "x.JPEG", "y.png"]
    assert _names(tmp_path / "out") == expected
    manifest = convert(tmp_path / "out", tmp_path / "again").manifest
    assert manifest["dataset"]["examples"] == len(names)


@pytest.mark.parametrize(
    ("feature", "flag", "free"),
    [
        ({"image/class/label": [3, 7]}, "label", "class"),
        ({"image/class/text": [b"cat", b"dog"]}, "class", "label"),
        ({"image/filename": [b"a.jpg", b"b.jpg"]}, "name", "class"),
    ],
)
def test_several_labels_classes_or_names_are_not_taken_for_the_first(
    tmp_path: Path, feature: dict[str, Values], flag: str, free: str
) -> None:
    _write(tmp_path / "pcr", [{"image/encoded": [jpeg(0)], **feature}])
    message = f"one value .* got 2: .*`{flag}_feature=`, or .*tfrecord"
    with pytest.raises(ConvertError, match=message):
        export(tmp_path / "pcr", tmp_path / "out", format="files", **{f"{free}_feature": ""})
    export(tmp_path / "pcr", tmp_path / "free", format="files", **{f"{flag}_feature": ""})
    assert _names(tmp_path / "free") == ["000000.jpg"]


@pytest.mark.parametrize(
    ("labels", "moved"),
    [
        ({"ant": 0, "bee": 1, "cat": 2}, None),
        ({"zebra": 0, "ant": 1}, "ant has 1 and would get 0"),
        ({"ant": 0, "cat": 2}, "cat has 2 and would get 1"),
    ],
)
def test_folders_that_do_not_give_the_labels_back_are_named(
    tmp_path: Path, labels: dict[str, int], moved: str | None
) -> None:
    examples: list[dict[str, Values]] = [
        {
            "image/encoded": [jpeg(label)],
            "image/class/text": [name.encode()],
            "image/class/label": [label],
        }
        for name, label in labels.items()
    ]
    source = _write(tmp_path / "pcr", examples)
    for _ in range(2):  # Also where nothing is left to do.
        flags = (str(source), f"--output={tmp_path / 'out'}", "--format=files", "--quiet")
        said = run("export", *flags).stderr
        assert said.count("do not give the labels back") == (0 if moved is None else 1)
        assert moved is None or moved in said


# What is there already


def test_an_output_with_anything_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    make_dataset(tmp_path / "pcr", 4)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(ConvertError, match=r"not empty, and not made by an export; .*mine\.txt"):
        export(tmp_path / "pcr", tmp_path / "out")
    assert _names(tmp_path / "out") == ["mine.txt"]


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    make_dataset(tmp_path / "pcr", 4)
    export(tmp_path / "pcr", tmp_path / "out", num_files=1)
    (part,) = (tmp_path / "out").glob("*.tfrecord")
    part.write_text("mine")
    with pytest.raises(ConvertError, match=f"{part.name}: is there already, with other contents"):
        export(tmp_path / "pcr", tmp_path / "out", num_files=1)
    assert part.read_text() == "mine"


def test_an_export_run_again_does_nothing_and_says_so(tmp_path: Path) -> None:
    make_dataset(tmp_path / "pcr", 4)
    flags = [str(tmp_path / "pcr"), f"--output={tmp_path / 'out'}"]
    assert run("export", *flags).returncode == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    done = run("export", *flags)
    assert (done.returncode, "is finished: nothing to do" in done.stdout) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


@pytest.mark.parametrize("lost", ["one", "all"])
def test_files_that_are_lost_are_made_again(tmp_path: Path, lost: str) -> None:
    source = make_class_folders(tmp_path / "in")
    convert(source, tmp_path / "pcr", num_shards=3)
    export(tmp_path / "pcr", tmp_path / "out", format="files")
    images = sorted((tmp_path / "out").rglob("*.jpg"))
    contents = {path: path.read_bytes() for path in images}
    again = export(tmp_path / "pcr", tmp_path / "out", format="files")
    assert again.was_finished
    for path in images[:1] if lost == "one" else images:
        path.unlink()
    if lost == "all":
        (tmp_path / "out" / "ant").rmdir()
    again = export(tmp_path / "pcr", tmp_path / "out", format="files")
    assert not again.was_finished
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.jpg")} == contents


def test_other_flags_and_another_data_set_are_refused_with_the_difference(tmp_path: Path) -> None:
    make_dataset(tmp_path / "pcr", 4)
    make_dataset(tmp_path / "other", 5)
    export(tmp_path / "pcr", tmp_path / "out")
    with pytest.raises(ConvertError, match="`scan_groups` was None, is 2"):
        export(tmp_path / "pcr", tmp_path / "out", scan_groups=2)
    with pytest.raises(ConvertError, match="another source: source shard-0000"):
        export(tmp_path / "other", tmp_path / "out")


def test_an_output_inside_the_data_set_is_refused(tmp_path: Path) -> None:
    make_dataset(tmp_path / "pcr", 4)
    with pytest.raises(ConvertError, match="is inside the source"):
        export(tmp_path / "pcr", tmp_path / "pcr" / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scan_groups": 11}, "`scan_groups`; expected 1 to 10"),
        ({"scan_groups": 0}, "`scan_groups`; expected at least 1"),
        ({"num_files": 0}, "`num_files`; expected at least 1"),
        ({"num_files": 2, "format": "files"}, "is for `format=tfrecord`"),
        ({"format": "zip"}, "`format`; expected one of tfrecord, files"),
        ({"prefix": "a/b"}, "`prefix`; expected"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_before_anything_is_written(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    make_dataset(tmp_path / "pcr", 4)
    with pytest.raises(ConvertError, match=message):
        export(tmp_path / "pcr", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


# Damage, and jobs that are stopped


def test_a_damaged_record_ends_the_job_and_is_named(tmp_path: Path) -> None:
    make_dataset(tmp_path / "pcr", 8, examples_per_record=2, num_shards=1)
    reader = PcrReader(tmp_path / "pcr")
    (shard,) = (tmp_path / "pcr").glob("*.pcr")
    data = bytearray(shard.read_bytes())
    data[reader.index.record(2).offset + 3000] ^= 1
    shard.write_bytes(data)
    done = run("export", tmp_path / "pcr", f"--output={tmp_path / 'out'}")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("pcr-export:")]
    assert f"{shard.name}: record 2, scan group" in line
    assert not list((tmp_path / "out").glob("*.tfrecord"))
    assert not list((tmp_path / "out").rglob(".*.tmp"))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set that takes two workers about a second."""
    root = tmp_path_factory.mktemp("export")
    source = make_class_folders(root / "in", classes=("ant", "bee"), per_class=400, width=400)
    convert(source, root / "pcr", num_shards=40, prove=False)
    return root / "pcr"


def _flags(source: Path, output: Path, form: str) -> list[str]:
    return [str(source), f"--output={output}", f"--format={form}", "--num_workers=2"]


def _parts(output: Path) -> list[Path]:
    """What a job has noted as finished."""
    return [p for p in output.glob(".pcr-export/*.json") if p.name != "state.json"]


@pytest.mark.parametrize("form", ["tfrecord", "files"])
def test_an_export_killed_at_random_moments_ends_with_the_same_bytes(
    large: Path, tmp_path: Path, form: str
) -> None:
    export(large, tmp_path / "whole", format=form)
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    output = tmp_path / "out"
    for _ in range(4):
        process = start("export", *_flags(large, output, form))
        more = len(_parts(output)) + rng.choice((0, 1, 5, 20))
        for _ in patiently():
            if process.poll() is not None or (output.exists() and len(_parts(output)) >= more):
                break
        kill_with_workers(process)
    done = run("export", *_flags(large, output, form))
    assert done.returncode == 0, done.stderr
    assert digests(output) == digests(tmp_path / "whole"), f"seed {seed}"


def test_ctrl_c_ends_an_export_at_once_and_it_can_go_on(large: Path, tmp_path: Path) -> None:
    process, ordinal = pause_midway(
        lambda ordinal: start("export", *_flags(large, tmp_path / f"out{ordinal}", "tfrecord")),
        lambda ordinal: bool(_parts(tmp_path / f"out{ordinal}")),
        # The two in the workers' hands may come to their end.
        lambda ordinal: len(list((tmp_path / f"out{ordinal}").glob("*.tfrecord"))) > 37,
    )
    output = tmp_path / f"out{ordinal}"
    os.killpg(process.pid, signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    _, stderr = process.communicate(timeout=HANG_S)
    assert process.returncode == 130
    assert "the same command goes on from here" in stderr
    assert not list(output.rglob(".*.tmp"))
    done = run("export", *_flags(large, output, "tfrecord"))
    assert (done.returncode, "resuming: " in done.stderr) == (0, True)


def test_photographs_come_back_with_equal_coefficients(test_images: Path, tmp_path: Path) -> None:
    source = test_images / "odd-jpeg"
    convert(source, tmp_path / "pcr")
    export(tmp_path / "pcr", tmp_path / "out", format="files")
    names = _names(tmp_path / "out")
    assert len(names) > 20
    for name in names:
        got, wanted = (tmp_path / "out" / name).read_bytes(), (source / name).read_bytes()
        assert got == wanted or same_coefficients(got, wanted) == "", name


def test_every_key_of_the_source_is_in_the_export(tmp_path: Path) -> None:
    examples = make_examples(3)
    write_tfrecord(tmp_path / "in.tfrecord", examples)
    convert(tmp_path / "in.tfrecord", tmp_path / "pcr", shuffle=False)
    export(tmp_path / "pcr", tmp_path / "out", scan_groups=1)
    for record, example in zip(read_tfrecords(tmp_path / "out"), examples, strict=True):
        assert feature_keys(record) == feature_keys(example)
        assert int_feature(record, "image/class/label") == int_feature(example, "image/class/label")
