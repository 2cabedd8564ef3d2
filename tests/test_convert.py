"""The conversion job on sound input: what goes in comes out, in an order that the seed decides."""

from __future__ import annotations

import io
import json
import os
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pcr_tf._native import same_coefficients
from pcr_tf.convert import (
    Conversion,
    ConvertError,
    ConvertOptions,
)
from pcr_tf.convert.job import progress
from pcr_tf.convert.job.progress import ProgressDisplay
from pcr_tf.convert.job.workers import run_jobs
from pcr_tf.format import PcrReader, filesystem
from pcr_tf.format.dataset_index import open_dataset
from pcr_tf.format.example import Values, bytes_features, encode_example, feature_keys, int_feature
from tests.conversion import (
    ROOT,
    convert,
    digests,
    jpeg,
    make_class_folders,
    png,
    run,
    start,
    write_tfrecord,
)


def filenames(output: Path) -> list[str]:
    """image/filename of every example, in order."""
    examples = PcrReader(output).examples(1)
    return [bytes_features(e, ["image/filename"])["image/filename"][0].decode() for e in examples]


# Class folders


def test_class_folders_become_examples_with_labels_in_sorted_order(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", classes=("cat", "ant", "bee"), per_class=3)
    summary = convert(source, tmp_path / "out")
    assert summary.manifest["class_names"] == ["ant", "bee", "cat"]
    seen = {}
    for example in PcrReader(tmp_path / "out").examples():
        values = bytes_features(
            example, ["image/encoded", "image/filename", "image/format", "image/class/text"]
        )
        name = values["image/filename"][0].decode()
        assert values["image/format"] == [b"JPEG"]
        assert values["image/class/text"] == [name.split("/")[0].encode()]
        assert same_coefficients(values["image/encoded"][0], (source / name).read_bytes()) == ""
        seen[name] = int_feature(example, "image/class/label")
    assert len(seen) == 9
    assert {name.split("/")[0]: label for name, label in seen.items()} == {
        "ant": [0],
        "bee": [1],
        "cat": [2],
    }


def test_nested_class_folders_get_a_fine_and_a_coarse_label(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", ("fruit/apple", "fruit/pear", "leaf/oak"), 2)
    convert(source, tmp_path / "out")
    labels = {}
    for example in PcrReader(tmp_path / "out").examples(1):
        values = bytes_features(example, ["image/class/text", "image/class/coarse_text"])
        key = (values["image/class/text"][0], values["image/class/coarse_text"][0])
        fine, coarse = (int_feature(example, f"image/class/{k}") for k in ("label", "coarse_label"))
        labels[key] = (fine[0], coarse[0])
    assert labels == {
        (b"fruit/apple", b"fruit"): (0, 0),
        (b"fruit/pear", b"fruit"): (1, 0),
        (b"leaf/oak", b"leaf"): (2, 1),
    }


def test_a_folder_without_an_image_is_no_class_and_is_named(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", ("ant", "cat"), 1)
    for name in (".hidden", "__MACOSX", "cat/@eaDir"):
        (source / name).mkdir(parents=True)
    for name in ("lost+found", "$RECYCLE.BIN", "System Volume Information"):
        (source / name).mkdir()
    for name in ("bee", "cat/old", "cat/older/oldest", "boxes"):
        (source / name).mkdir(parents=True)
        (source / name / "1.xml").write_text("<box/>")
    job = Conversion(ConvertOptions(inputs=(str(source),), output=str(tmp_path / "out")))
    assert job.listing.class_names == ("ant", "cat")
    assert [item.label for item in job.listing.items] == [0, 1]
    assert sorted(job.listing.digests) == ["ant", "cat"]
    said = "4 folders without an image: 'bee', 'boxes', 'cat/old', 'cat/older/oldest'; labels count"
    said += " the other folders: 'cat' has label 1"
    assert f"no class    {said}\n" in job.describe()
    done = run("convert", f"--input={source}", f"--output={tmp_path}/by_command", "--quiet")
    assert f"no class    {said}\n" in done.stdout


def test_a_folder_that_has_its_images_in_another_input_is_a_class(tmp_path: Path) -> None:
    roots = [make_class_folders(tmp_path / root, ("a", "b"), 1) for root in ("one", "two")]
    (roots[0] / "a" / "000.jpg").unlink()
    inputs = tuple(map(str, roots))
    job = Conversion(ConvertOptions(inputs=inputs, output=str(tmp_path / "out")))
    assert job.listing.class_names == ("a", "b")
    assert "no class" not in job.describe()


def test_a_folder_without_an_image_that_is_added_is_no_change_of_the_source(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1)
    convert(source, tmp_path / "out")
    (source / "logs").mkdir()
    (source / "logs" / "1.log").write_text("done")
    assert convert(source, tmp_path / "out").was_finished


def test_empty_folders_beside_a_flat_folder_s_images_are_nobody_s_business(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", ("photos", "photos/empty"), 1)
    (source / "photos" / "empty" / "000.jpg").unlink()
    inputs = (str(source / "photos"),)
    job = Conversion(ConvertOptions(inputs=inputs, output=str(tmp_path / "out")))
    assert job.listing.class_names == ()
    assert "classes     none: the images are not in class folders\n" in job.describe()
    assert "no class  " not in job.describe()


def test_a_flat_folder_of_images_gives_examples_without_labels(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.JPG").write_bytes(jpeg())
    convert(tmp_path / "in", tmp_path / "out")
    (example,) = PcrReader(tmp_path / "out").examples()
    assert feature_keys(example) == ["image/encoded", "image/filename", "image/format"]


def test_hidden_files_are_left_out_and_other_files_are_counted(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1)
    (source / "ant" / ".hidden.jpg").write_bytes(jpeg())
    (source / "ant" / "notes.txt").write_text("no image")
    summary = convert(source, tmp_path / "out")
    assert summary.manifest["counts"]["images"] == 3
    assert summary.manifest["source"]["ignored_files"] == 1


def test_links_round_in_a_circle_are_not_followed_for_ever(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=2)
    (source / "ant" / "loop").symlink_to(source)
    assert convert(source, tmp_path / "out").images == 6


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/in/caf\xe9"
    os.makedirs(folder)
    Path(os.fsdecode(folder + b"/\xff.jpg")).write_bytes(jpeg())
    convert(tmp_path / "in", tmp_path / "out")
    (example,) = PcrReader(tmp_path / "out").examples(1)
    values = bytes_features(example, ["image/filename", "image/class/text"])
    assert values == {"image/filename": [b"caf\xe9/\xff.jpg"], "image/class/text": [b"caf\xe9"]}


def test_two_roots_unite_classes_of_the_same_name(tmp_path: Path) -> None:
    one = make_class_folders(tmp_path / "one", ("ant", "bee"), 1)
    two = make_class_folders(tmp_path / "two", ("bee", "cat"), 1)
    job = ConvertOptions(inputs=(str(one), str(two)), output=str(tmp_path / "out"), num_workers=0)
    summary = Conversion(job).run(quiet=True)
    assert summary.manifest["class_names"] == ["ant", "bee", "cat"]
    assert sorted(filenames(tmp_path / "out")) == [
        "ant/000.jpg",
        "bee/000.jpg",
        "bee/000.jpg",
        "cat/000.jpg",
    ]


# TFRecords


def test_every_feature_of_a_tfrecord_passes_through(tmp_path: Path) -> None:
    features: dict[str, Values] = {
        "image/encoded": [jpeg(1)],
        "image/object/bbox/xmin": [0.25, 0.5],
        "image/class/label": [-3, 2**40],
        "image/filename": [b"n1/x.JPEG"],
        "mask": [bytes(range(256))],
        "empty": [],
    }
    write_tfrecord(tmp_path / "in.tfrecord", [features])
    convert(tmp_path / "in.tfrecord", tmp_path / "out")
    (example,) = PcrReader(tmp_path / "out").examples()
    # What is left of the example comes first, as it was; the image follows.
    del features["image/encoded"]
    assert example.startswith(encode_example(features))
    image = bytes_features(example, ["image/encoded"])["image/encoded"][0]
    assert same_coefficients(image, jpeg(1)) == ""


def test_tfrecord_shards_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for shard in (1, 0):
        examples = [
            {"image/encoded": [jpeg(n)], "image/filename": [b"%d-%d" % (shard, n)]}
            for n in range(3)
        ]
        write_tfrecord(tmp_path / f"train-0000{shard}-of-00002", examples)
    convert(tmp_path / "train-*", tmp_path / "out", shuffle=False)
    assert filenames(tmp_path / "out") == ["0-0", "0-1", "0-2", "1-0", "1-1", "1-2"]


def test_a_folder_of_tfrecord_shards_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_tfrecord(tmp_path / "in" / "train-00000-of-00001", [{"image/encoded": [jpeg()]}])
    assert convert(tmp_path / "in", tmp_path / "out").manifest["source"]["kind"] == "tfrecord"


def test_the_image_feature_may_have_another_name(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "in.tfrecord", [{"jpeg": [jpeg(2)], "id": [7]}])
    convert(tmp_path / "in.tfrecord", tmp_path / "out", image_features=("jpeg",))
    assert len(PcrReader(tmp_path / "out").read_images(0)) == 1


def test_files_that_tensorflow_wrote_are_read(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    example = tf.train.Example()
    example.features.feature["image/encoded"].bytes_list.value.append(jpeg(4))
    example.features.feature["image/class/label"].int64_list.value.append(9)
    with tf.io.TFRecordWriter(str(tmp_path / "in.tfrecord")) as writer:
        writer.write(example.SerializeToString())
    convert(tmp_path / "in.tfrecord", tmp_path / "out")
    (stored,) = PcrReader(tmp_path / "out").examples()
    parsed = tf.train.Example.FromString(stored)
    assert parsed.features.feature["image/class/label"].int64_list.value == [9]
    image = parsed.features.feature["image/encoded"].bytes_list.value[0]
    assert same_coefficients(image, jpeg(4)) == ""


def test_tensorflow_walks_a_converted_shard_as_tfrecords(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    make_class_folders(tmp_path / "in")
    convert(tmp_path / "in", tmp_path / "out", num_shards=1)
    (shard,) = (tmp_path / "out").glob("*.pcr")
    kinds = [
        tf.train.Example.FromString(f.numpy()).features.feature["pcr/frame"].bytes_list.value[0]
        for f in tf.data.TFRecordDataset(str(shard))
    ]
    record = [b"metadata", *[b"scan_group"] * 10]
    assert kinds == [b"header", *record * 6, b"index", b"footer"]


def test_a_remote_source_and_output_go_through_tensorflow_s_file_systems(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    source = make_class_folders(tmp_path / "in", per_class=2)
    for path in source.rglob("*.jpg"):
        remote = f"ram://convert/{path.relative_to(tmp_path).as_posix()}"
        filesystem.makedirs(filesystem.dirname(remote))
        filesystem.write_atomic(remote, path.read_bytes())
    convert("ram://convert/in", "ram://convert/out", examples_per_record=2)
    assert convert("ram://convert/in", "ram://convert/out", examples_per_record=2).was_finished
    convert(source, tmp_path / "out", examples_per_record=2)
    assert list(PcrReader("ram://convert/out").examples()) == list(
        PcrReader(tmp_path / "out").examples()
    )


# Order, shards, determinism


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_order(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        convert(source, tmp_path / name, shuffle_seed=seed)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    a, c = filenames(tmp_path / "a"), filenames(tmp_path / "c")
    assert a != c
    assert sorted(a) == sorted(c)
    assert a != sorted(a)


def test_without_shuffle_the_order_is_that_of_the_names(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in")
    convert(source, tmp_path / "out", shuffle=False)
    names = filenames(tmp_path / "out")
    assert names == sorted(names)


def test_the_result_depends_neither_on_workers_nor_on_how_the_source_is_spelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_class_folders(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    convert(tmp_path / "in", tmp_path / "a", num_workers=0)
    convert("in/", tmp_path / "b", num_workers=1)
    convert("./in", tmp_path / "c", num_workers=3)
    assert digests(tmp_path / "a") == digests(tmp_path / "b") == digests(tmp_path / "c")


@pytest.mark.parametrize("seed", range(20))
def test_every_plan_holds_every_item_once_in_whole_records(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    source = make_class_folders(tmp_path / "in", per_class=rng.randint(1, 12), width=8)
    examples_per_record = rng.randint(1, 9)
    options = ConvertOptions(
        inputs=(str(source),),
        output=str(tmp_path / "out"),
        examples_per_record=examples_per_record,
        num_shards=rng.choice([None, rng.randint(1, 12)]),
    )
    plan = Conversion(options).plan
    shards = [plan.shard(number) for number in range(plan.cuts.num_shards)]
    assert sorted(i for s in shards for i in s.items) == sorted(plan.items)
    assert all(shard.items for shard in shards)
    assert all(len(shard.items) % examples_per_record == 0 for shard in shards[:-1])


def test_the_largest_shards_come_first_so_that_workers_end_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_class_folders(tmp_path / "in")  # 21 images: records of 4, 4, 4, 4, 4, 1
    taken: list[int] = []

    def spy(work: Any, jobs: Iterable[Any], **options: Any) -> Iterator[Any]:
        plans = list(jobs)
        taken.extend(plan.number for plan in plans)
        return run_jobs(work, plans, **options)

    monkeypatch.setattr("pcr_tf.convert.job.conversion.run_jobs", spy)
    convert(tmp_path / "in", tmp_path / "out", num_shards=4)
    index = open_dataset(tmp_path / "out").index
    records = [index.shard(number)[4] for number in range(4)]
    sizes = [records[number] for number in taken]
    assert sorted(taken) == [0, 1, 2, 3]
    assert sizes == sorted(sizes, reverse=True) != records


def test_shards_are_named_by_number_and_count(tmp_path: Path) -> None:
    make_class_folders(tmp_path / "in")
    convert(tmp_path / "in", tmp_path / "out", num_shards=3, prefix="pets")
    assert sorted(path.name for path in (tmp_path / "out").glob("*.pcr")) == [
        "pets-00000-of-00003.pcr",
        "pets-00001-of-00003.pcr",
        "pets-00002-of-00003.pcr",
    ]


def test_the_source_is_never_touched(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in")

    def state() -> list[tuple[str, int, int]]:
        paths = sorted(source.rglob("*"))
        return [(str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in paths]

    before, contents = state(), digests(source)
    convert(source, tmp_path / "out", num_workers=2)
    assert (state(), digests(source)) == (before, contents)


# Manifest


def test_the_manifest_says_what_the_folder_holds(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in")
    convert(source, tmp_path / "out", num_shards=2)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    index = PcrReader(tmp_path / "out").index
    assert manifest["manifest_version"] == 1
    assert manifest["counts"]["images"] == 21
    assert manifest["bytes"]["source_images"] == sum(
        path.stat().st_size for path in source.rglob("*.jpg")
    )
    assert manifest["flags"]["examples_per_record"] == 4
    assert manifest["dataset"]["prefix_bytes"] == [index.prefix_bytes(g) for g in range(1, 11)]
    assert [shard["bytes"] for shard in manifest["shards"]] == [
        (tmp_path / "out" / shard["name"]).stat().st_size for shard in manifest["shards"]
    ]
    assert sum(shard["examples"] for shard in manifest["shards"]) == 21


def test_a_finished_folder_holds_shards_index_manifest_and_state_only(tmp_path: Path) -> None:
    convert(make_class_folders(tmp_path / "in"), tmp_path / "out", num_shards=1)
    assert sorted(digests(tmp_path / "out")) == [
        ".pcr-convert/state.json",
        "dataset.pcr-index",
        "manifest.json",
        "shard-00000-of-00001.pcr",
    ]


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"examples_per_record": 0}, "`examples_per_record`; expected at least 1, got 0"),
        ({"num_shards": 0}, "`num_shards`; expected at least 1, got 0"),
        ({"num_workers": -1}, "`num_workers`; expected at least 0, got -1"),
        ({"encode_quality": 101}, "`encode_quality`; expected 1 to 100, got 101"),
        ({"on_unsupported": "drop"}, "`on_unsupported`; expected one of keep, raise, skip, encode"),
        ({"image_features": ("a", "a")}, "`image_features`; expected distinct keys"),
        ({"prefix": "a/b"}, "`prefix`; expected the beginning of a file name"),
        ({"scan_script": "nothing"}, "expected one of .*standard"),
        ({"scan_script": "0: 0-0, 0, 0;"}, "scan_script"),
        ({"input_format": "tar"}, "`input_format`; expected one of auto, class_folders, tfrecord"),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConvertError, match=message):
        ConvertOptions(inputs=("in",), output="out", **options)


# The command


def test_the_command_converts_and_says_what_it_did(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in")
    (source / "bee" / "odd.jpg").write_bytes(b"<html>404</html>")
    (source / "cat" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    flags = (f"--input={source}", f"--output={tmp_path}/out", "--on_unreadable=skip")
    done = run("convert", *flags, "--num_workers=2")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "images      22 in 22 records, 8 shards" in lines
    source_bytes = sum(path.stat().st_size for path in source.rglob("*.jpg") if path.exists())
    shard_bytes = sum(path.stat().st_size for path in (tmp_path / "out").glob("*.pcr"))
    assert (
        f"bytes       {progress.megabytes(source_bytes)} of images became "
        f"{progress.megabytes(shard_bytes)} ({100 * shard_bytes / source_bytes:.1f}%)"
    ) in lines
    assert "kept as is  1 (1 not_a_jpeg)" in lines
    assert "encoded     0" in lines
    assert "skipped     1" in lines
    assert (
        f"What is kept as is, encoded or skipped is named in {tmp_path}/out/manifest.json." in lines
    )
    assert "images/s" in done.stdout


def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path: Path) -> None:
    make_class_folders(tmp_path / "in")
    done = run("convert", f"--input={tmp_path}/in", f"--output={tmp_path}/out", "--dry_run")
    assert done.returncode == 0
    assert "items       21" in done.stdout
    assert not (tmp_path / "out").exists()


def test_a_flag_file_and_the_command_line_add_up(tmp_path: Path) -> None:
    make_class_folders(tmp_path / "in")
    flagfile = ROOT / "configs" / "class_folders.flags"
    flags = (f"--flagfile={flagfile}", f"--input={tmp_path}/in", f"--output={tmp_path}/out")
    assert run("convert", *flags, "--examples_per_record=7", "--num_workers=1").returncode == 0
    assert PcrReader(tmp_path / "out").num_records == 3


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.flags")), ids=lambda p: p.name)
def test_every_flag_file_names_flags_that_exist(path: Path, tmp_path: Path) -> None:
    flags = [f"--flagfile={path}", f"--input={tmp_path}/none", f"--output={tmp_path}/out"]
    if "--input_format=table" in path.read_text():
        flags.append("--table=none.csv")
    if "--first_label" in path.read_text():
        flags.append("--label_names=none.txt")
    done = run("convert", *flags)
    assert (done.returncode, done.stderr.count("no such file")) == (1, 1), done.stderr


@pytest.mark.parametrize(
    ("name", "flag"),
    [("convert", "--helpfull"), ("convert", "--version"), ("scan_scripts", "--help")],
)
def test_a_reader_of_the_help_that_has_gone_is_no_error_to_speak_of(name: str, flag: str) -> None:
    process = start(name, flag)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait() == 1
    process.stderr.close()


def test_a_flag_out_of_range_is_wrong_usage(tmp_path: Path) -> None:
    paths = [f"--output={tmp_path}/out"]
    for name, flag, message in (
        ("convert", "--examples_per_record=0", "expected at least 1, got 0"),
        ("convert", "--split=train", "expected parts and shares"),
        ("convert", "--num_workers=-1", "expected at least 0"),
        ("export", "--num_files=0", "expected at least 1, got 0"),
    ):
        source = f"{tmp_path}/in" if name == "export" else f"--input={tmp_path}/in"
        done = run(name, source, *paths, flag)
        assert done.returncode == 2
        assert f"pcr-{name}: {flag.partition('=')[0]}; {message}" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--no_such_flag",), ("--examples_per_record=many",), ("--input_format=tar",), ("stray",), ()],
)
def test_wrong_usage_ends_with_status_2_and_one_line(arguments: tuple[str, ...]) -> None:
    done = run("convert", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pcr-convert --help" in done.stderr


@pytest.mark.parametrize("flag", ["--help", "--helpfull"])
def test_help_lists_the_command_s_own_flags_only(flag: str) -> None:
    done = run("convert", flag)
    assert done.returncode == 0
    assert "--input=" in done.stdout
    assert "--[no]prove" in done.stdout
    assert "alsologtostderr" not in done.stdout


# Progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    log = io.StringIO()
    with ProgressDisplay(100, log) as display:
        for _ in range(21):
            now[0] += 1
            display.update(2, 2, 2_000_000, 1_500_000)
    assert log.getvalue().splitlines() == [
        "20 of 100 (20.0%), 2.0 img/s, in 20.0 MB, out 15.0 MB",
        "40 of 100 (40.0%), 2.0 img/s, in 40.0 MB, out 30.0 MB",
    ]


def test_a_terminal_gets_a_bar_with_rate_and_bytes() -> None:
    terminal = _Terminal()
    with ProgressDisplay(2, terminal) as display:
        display.update(2, 2, 3_000_000, 2_000_000)
    assert "2/2" in terminal.getvalue()
    assert "img/s, in 3.0 MB, out 2.0 MB" in terminal.getvalue()


# Inputs that overlap, and names that are taken


def test_a_root_inside_another_is_refused_since_its_images_would_have_two_classes(
    tmp_path: Path,
) -> None:
    outer = tmp_path / "photos"
    make_class_folders(outer / "train", ("ant", "bee"), per_class=2)
    make_class_folders(outer / "more", ("cat",), per_class=2)
    (tmp_path / "link").symlink_to(outer / "train")
    for inner in (outer / "train", tmp_path / "link"):
        for inputs in ((str(outer), str(inner)), (str(inner), str(outer))):
            with pytest.raises(
                ConvertError, match=f"{inner}: is inside {outer}, .* twice; name one"
            ):
                Conversion(ConvertOptions(inputs=inputs, output=str(tmp_path / "out")))


def test_one_root_given_twice_or_by_a_link_counts_once(tmp_path: Path) -> None:
    root = make_class_folders(tmp_path / "photos", per_class=2)
    (tmp_path / "link").symlink_to(root)
    inputs = (str(root), f"{root}/", str(tmp_path / "link"), str(tmp_path / "pho*"))
    options = ConvertOptions(inputs=inputs, output=str(tmp_path / "out"), num_workers=0)
    assert Conversion(options).run(quiet=True).manifest["dataset"]["examples"] == 6


def test_roots_whose_names_begin_alike_are_apart(tmp_path: Path) -> None:
    roots = [make_class_folders(tmp_path / name, per_class=1) for name in ("photos", "photos2")]
    options = ConvertOptions(tuple(map(str, roots)), str(tmp_path / "out"), num_workers=0)
    manifest = Conversion(options).run(quiet=True).manifest
    assert manifest["dataset"]["examples"] == 6
    assert manifest["class_names"] == ["ant", "bee", "cat"]


@pytest.mark.parametrize("feature", ["image/filename", "image/class/label", "image/class/text"])
def test_an_image_feature_with_the_name_of_another_feature_is_refused(
    tmp_path: Path, feature: str
) -> None:
    root = make_class_folders(tmp_path / "photos", per_class=1)
    with pytest.raises(ConvertError, match=f"`image_features`: .* makes a feature {feature}; "):
        convert(root, tmp_path / "out", image_features=(feature,))


def test_a_tfrecord_file_given_in_several_ways_counts_once_and_two_of_one_name_twice(
    tmp_path: Path,
) -> None:
    for number, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        examples: list[dict[str, Values]] = [
            {"image/encoded": [jpeg(n)], "label": [10 * number + n]} for n in range(3)
        ]
        write_tfrecord(tmp_path / name / "part.tfrecord", examples)
    a, b = tmp_path / "a", tmp_path / "b"
    inputs = (a / "part.tfrecord", a / "*.tfrecord", a, f"{a}/./part.tfrecord", b)
    options = ConvertOptions(
        tuple(map(str, inputs)), str(tmp_path / "out"), num_workers=0, shuffle=False
    )
    Conversion(options).run(quiet=True)
    examples_out = PcrReader(tmp_path / "out").examples(1)
    assert [int_feature(e, "label") for e in examples_out] == [[0], [1], [2], [10], [11], [12]]


@pytest.mark.parametrize("scan_groups", [1, 10])
def test_images_and_labels_stay_together_where_examples_have_other_numbers_of_images(
    tmp_path: Path, scan_groups: int
) -> None:
    keys = ("image/encoded", "mask")
    examples: list[dict[str, Values]] = [
        {keys[0]: [jpeg(0), jpeg(1)], keys[1]: [jpeg(2, mode="L")], "label": [5]},
        {keys[0]: [jpeg(3)], "label": [6]},
        {keys[1]: [jpeg(4, mode="L")], "label": [7]},
    ]
    source = write_tfrecord(tmp_path / "in.tfrecord", examples)
    convert(source, tmp_path / "out", image_features=keys, shuffle=False)
    found = list(PcrReader(tmp_path / "out").examples(scan_groups))
    full = PcrReader(tmp_path / "out").examples()
    for got, whole, wanted in zip(found, full, examples, strict=True):
        assert int_feature(got, "label") == wanted["label"]
        for key in keys:
            images = bytes_features(got, [key]).get(key, [])
            assert len(images) == len(wanted.get(key, []))
            stored = bytes_features(whole, [key]).get(key, [])
            for image, other in zip(stored, wanted.get(key, []), strict=True):
                assert isinstance(other, bytes)
                assert same_coefficients(image, other) == ""


@pytest.mark.parametrize(
    ("policy", "labels"), [("keep", range(6)), ("encode", range(6)), ("skip", (1, 2, 4, 5))]
)
def test_what_a_policy_does_to_images_moves_no_label(
    tmp_path: Path, policy: str, labels: Iterable[int]
) -> None:
    examples: list[dict[str, Values]] = [
        {"image/encoded": [jpeg(n) if n % 3 else png(n)], "label": [n]} for n in range(6)
    ]
    source = write_tfrecord(tmp_path / "in.tfrecord", examples)
    convert(source, tmp_path / "out", on_unsupported=policy, shuffle=False, examples_per_record=2)
    for example, label in zip(PcrReader(tmp_path / "out").examples(), labels, strict=True):
        assert int_feature(example, "label") == [label]
        (image,) = bytes_features(example, ["image/encoded"])["image/encoded"]
        if label % 3:
            assert same_coefficients(image, jpeg(label)) == ""
        elif policy == "keep":
            assert image == png(label)
