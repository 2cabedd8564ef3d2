"""Jobs that split their source, and what a dry run says of a job before it begins."""

from __future__ import annotations

import json
import math
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcr_tf.cli.convert import main as convert_main
from pcr_tf.convert import (
    Conversion,
    ConvertError,
    ConvertOptions,
    ConvertSummary,
    split_conversions,
)
from pcr_tf.convert.job import estimate as estimate_module
from pcr_tf.convert.job.options import parse_split
from pcr_tf.convert.job.progress import duration
from pcr_tf.convert.job.split import part_of
from pcr_tf.format import PcrReader, tfrecord
from pcr_tf.format.example import bytes_features, encode_example
from tests.conversion import digests, jpeg, make_class_folders, png, run, start
from tests.waiting import kill_with_workers, patiently

SPLIT = (("train", 0.7), ("validation", 0.2), ("test", 0.1))


def _split(source: Path, output: Path, **options: Any) -> dict[str, ConvertSummary]:
    options = {"examples_per_record": 4, "num_workers": 0, "split": SPLIT, **options}
    jobs = split_conversions(ConvertOptions(inputs=(str(source),), output=str(output), **options))
    return {job.options.part: job.run(quiet=True) for job in jobs}


def _names(output: Path) -> set[str]:
    examples = PcrReader(output).examples(1)
    return {bytes_features(e, ["image/filename"])["image/filename"][0].decode() for e in examples}


def _parts(output: Path) -> dict[str, set[str]]:
    return {name: _names(output / name) for name, _ in SPLIT}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_class_folders(tmp_path_factory.mktemp("split") / "in", per_class=25, width=16)


def test_the_root_of_a_split_is_no_data_set_and_names_its_parts(
    source: Path, tmp_path: Path
) -> None:
    _split(source, tmp_path / "out", profile_images=0)
    (tmp_path / "out" / "other").mkdir()
    message = f"{tmp_path}/out: no *.pcr files; holds test, train, validation; name one"
    with pytest.raises(ValueError, match=re.escape(message)):
        PcrReader(tmp_path / "out")
    for name, *flags in (["verify"], ["inspect"]):
        done = run(name, *flags, tmp_path / "out")
        assert done.returncode == 1
        assert message in done.stderr + done.stdout
    exported = run("export", f"{tmp_path}/out", f"--output={tmp_path}/records")
    assert (exported.returncode, exported.stderr) == (1, f"pcr-export: {message}\n")
    assert not (tmp_path / "records").exists()


# Parts


@given(st.text(), st.integers(), st.lists(st.floats(0.01, 1), min_size=1, max_size=5))
def test_every_key_is_in_one_part(key: str, seed: int, weights: list[float]) -> None:
    split = [(str(n), weight / sum(weights)) for n, weight in enumerate(weights)]
    part = part_of(key, seed, split)
    assert part in dict(split)
    assert part == part_of(key, seed, split)


def test_shares_are_met_and_seeds_are_independent() -> None:
    keys = [f"ISIC_{number:07d}.jpg" for number in range(20_000)]
    split = [("train", 0.8), ("validation", 0.2)]
    chosen = [{k for k in keys if part_of(k, seed, split) == "validation"} for seed in (42, 43)]
    # Six standard deviations.
    assert all(abs(len(part) - 4000) < 340 for part in chosen)
    assert abs(len(chosen[0] & chosen[1]) - 800) < 170


def test_a_smaller_share_is_a_part_of_a_larger_one() -> None:
    keys = [str(number) for number in range(2000)]
    small, large = (
        {k for k in keys if part_of(k, 1, [("train", share), ("rest", 1 - share)]) == "train"}
        for share in (0.5, 0.6)
    )
    assert small < large


def test_parts_are_data_sets_of_their_own_with_the_classes_of_all(
    source: Path, tmp_path: Path
) -> None:
    summaries = _split(source, tmp_path / "out")
    parts = _parts(tmp_path / "out")
    assert sum(len(names) for names in parts.values()) == 75
    assert set.union(*parts.values()) == {
        f"{c}/{n:03d}.jpg" for c in ("ant", "bee", "cat") for n in range(25)
    }
    for name, summary in summaries.items():
        assert summary.manifest["class_names"] == ["ant", "bee", "cat"]
        assert summary.manifest["source"]["items"] == len(parts[name]) > 0
        assert summary.manifest["flags"]["split"] == ["train:0.7", "validation:0.2", "test:0.1"]
        assert summary.manifest["flags"]["part"] == name


def test_a_part_depends_neither_on_workers_nor_on_what_else_there_is(
    source: Path, tmp_path: Path
) -> None:
    _split(source, tmp_path / "a")
    _split(source, tmp_path / "b", num_workers=2)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    # Other photographs come, the shuffle is another, labels move: parts stay.
    more = make_class_folders(tmp_path / "more", ("aaa", "ant", "bee", "cat"), 25, width=16)
    _split(more, tmp_path / "c", shuffle_seed=7)
    for name, names in _parts(tmp_path / "a").items():
        assert names <= _parts(tmp_path / "c")[name]
    _split(source, tmp_path / "d", split_seed=1)
    assert _parts(tmp_path / "d") != _parts(tmp_path / "a")


def test_a_split_job_that_was_killed_goes_on(source: Path, tmp_path: Path) -> None:
    flags = [f"--input={source}", "--split=train:0.7,validation:0.2,test:0.1", "--num_workers=2"]
    flags += ["--examples_per_record=2", "--num_shards=12"]
    done = run("convert", *flags, f"--output={tmp_path}/whole")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^(\w+):$", done.stdout, re.M) == ["train", "validation", "test"]
    for num_shards in (1, 12, 30):
        process = start("convert", *flags, f"--output={tmp_path}/out")
        for _ in patiently():
            shards = list((tmp_path / "out").glob("*/*.pcr"))
            if len(shards) >= num_shards or process.poll() is not None:
                break
        kill_with_workers(process)
    done = run("convert", *flags, f"--output={tmp_path}/out")
    assert done.returncode == 0, done.stderr
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")
    again = run("convert", *flags, f"--output={tmp_path}/out")
    assert again.stdout.count("is finished: nothing to do") == 3


def test_another_split_into_the_same_folder_is_refused_with_the_difference(
    source: Path, tmp_path: Path
) -> None:
    _split(source, tmp_path / "out")
    before = digests(tmp_path / "out")
    other = (("train", 0.6), ("validation", 0.3), ("test", 0.1))
    with pytest.raises(ConvertError, match=r"`split` was train:0\.7.*, is train:0\.6,validation"):
        _split(source, tmp_path / "out", split=other)
    with pytest.raises(ConvertError, match="`split_seed` was 0, is 3"):
        _split(source, tmp_path / "out", split_seed=3)
    with pytest.raises(ConvertError, match="holds test beside the parts of the split train, valid"):
        _split(source, tmp_path / "out", split=(("train", 0.8), ("validation", 0.2)))
    with pytest.raises(ConvertError, match="not empty, and not made by a conversion"):
        _split(source, tmp_path / "out", split=())
    assert digests(tmp_path / "out") == before


def test_what_a_file_manager_leaves_in_the_root_is_in_nobody_s_way(
    source: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".DS_Store").write_bytes(b"\0")
    assert sum(summary.images for summary in _split(source, tmp_path / "out").values()) == 75


def test_a_data_set_is_not_split_where_it_lies(source: Path, tmp_path: Path) -> None:
    _split(source, tmp_path / "out", split=())
    with pytest.raises(ConvertError, match=r"holds \.pcr-convert.* beside the parts"):
        _split(source, tmp_path / "out")


def test_a_split_into_the_source_is_refused(source: Path) -> None:
    with pytest.raises(ConvertError, match="is inside the source"):
        _split(source, source / "out")


def test_a_part_that_gets_nothing_is_an_error(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=1, width=16)
    split = (("train", 0.999999), ("validation", 0.000001))
    with pytest.raises(ConvertError, match=r"none of 3 items is in part 'validation'"):
        _split(source, tmp_path / "out", split=split)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_listed_is_named_by_one_part(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=25, width=16)
    (source / "ant" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    summaries = _split(source, tmp_path / "out", on_unreadable="skip")
    skipped = [entry["name"] for s in summaries.values() for entry in s.manifest["skipped"]]
    assert skipped == ["ant/gone.jpg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train", "expected parts and shares, as train:0.8,validation:0.2, got 'train'"),
        ("train:x", "expected parts and shares"),
        ("train:0.8", "expected shares above 0 that add up to 1, got 0.8: 0.8"),
        ("train:0.8,validation:0.3", "add up to 1, got 0.8, 0.3: 1.1"),
        ("train:1.5,validation:-0.5", "expected shares above 0"),
        ("train:nan,validation:0.5", "expected shares above 0"),
        ("train:0.5,train:0.5", "expected distinct names of folders, got 'train'"),
        ("../x:0.5,y:0.5", "expected distinct names of folders, got '../x'"),
        (".x:0.5,y:0.5", "expected distinct names of folders, got '.x'"),
    ],
)
def test_a_split_of_another_form_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConvertError, match=f"`split`; .*{re.escape(message)}"):
        ConvertOptions(inputs=("in",), output="out", split=parse_split(text))


def test_a_conversion_of_one_part_is_asked_for_by_name(source: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "inputs": (str(source),),
        "output": str(tmp_path / "out"),
        "split": SPLIT,
    }
    with pytest.raises(ConvertError, match="split_conversions"):
        Conversion(ConvertOptions(**options))
    with pytest.raises(ConvertError, match="part: expected one of train, validation, test"):
        ConvertOptions(**options, part="dev")
    job = Conversion(ConvertOptions(**options, part="test", num_workers=0))
    assert job.run(quiet=True).images == len(job.plan.items)


# Dry runs


def test_a_dry_run_says_what_the_job_will_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(estimate_module, "SAMPLE_S", math.inf)
    source = make_class_folders(tmp_path / "in", per_class=60, width=200)
    (source / "ant" / "a.png").write_bytes(png(1))
    flags = (f"--input={source}", f"--output={tmp_path}/out", "--num_workers=2")
    assert convert_main([*flags, "--dry_run"]) == 0
    said = capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    assert re.search(r"items +181, [\d.]+ \w+, shuffled", said)
    assert re.search(r"shards +8: shard-00000-of-00008\.pcr", said)
    assert re.search(r"sample +128 items, .* in .*; [01] kept as is", said)
    assert re.search(r"time +about .* with --num_workers=2", said)
    assert run("convert", *flags).returncode == 0
    stored = sum(path.stat().st_size for path in (tmp_path / "out").glob("*.pcr"))
    expected = re.search(r"size +about ([\d.]+) kB", said)
    assert expected is not None
    assert 1000 * float(expected[1]) == pytest.approx(stored, rel=0.05)
    finished = run("convert", *flags, "--dry_run")
    assert "finished, nothing to do" in finished.stdout
    assert "sample" not in finished.stdout


def test_a_dry_run_of_a_split_prints_the_plan_of_each_part(source: Path, tmp_path: Path) -> None:
    flags = (f"--input={source}", f"--output={tmp_path}/out", "--dry_run")
    dry = run("convert", *flags, "--split=train:0.8,validation:0.2")
    assert re.findall(r"^(\w+):$", dry.stdout, re.M) == ["train", "validation"]
    counts = [int(count) for count in re.findall(r"items +(\d+)", dry.stdout)]
    assert len(counts) == 2
    assert sum(counts) == 75
    assert not (tmp_path / "out").exists()


def test_the_sample_follows_from_the_names_and_ends_when_it_takes_too_long(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sampled() -> estimate_module.Estimate:
        options = ConvertOptions(inputs=(str(source),), output=str(tmp_path / "out"))
        return Conversion(options).estimate()

    monkeypatch.setattr(estimate_module, "SAMPLE_S", math.inf)
    first, second = sampled(), sampled()
    assert first.sampled_items == 75
    assert first.output_bytes == second.output_bytes
    monkeypatch.setattr(estimate_module, "SAMPLE_S", 0.0)
    assert sampled().sampled_items == 16


def test_a_dry_run_estimates_the_time_of_what_is_left(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate_module, "SAMPLE_S", math.inf)
    options = ConvertOptions(
        inputs=(str(source),),
        output=str(tmp_path / "out"),
        examples_per_record=5,
        num_shards=5,
        num_workers=0,
    )
    job = Conversion(options)
    waiting = list(range(job.plan.cuts.num_shards))
    whole = estimate_module.estimate(job.plan, job.source, job.listing.context, options, waiting)
    part = estimate_module.estimate(job.plan, job.source, job.listing.context, options, waiting[:1])
    assert part.output_bytes == whole.output_bytes
    assert part.remaining_s / part.sample_s == pytest.approx(0.2, rel=0.05)
    assert whole.remaining_s == pytest.approx(whole.sample_s, rel=0.05)


def test_a_dry_run_meets_the_errors_that_the_job_would(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", per_class=2, width=16)
    (source / "ant" / "a.png").write_bytes(png(1))
    flags = (f"--input={source}", f"--output={tmp_path}/out", "--dry_run")
    dry = run("convert", *flags, "--on_unsupported=raise")
    assert dry.returncode == 1
    assert "ant/a.png: cannot be re-coded losslessly" in dry.stderr
    skipped = run("convert", *flags, "--on_unsupported=skip")
    assert "1 skipped" in skipped.stdout


def test_examples_that_are_large_beside_their_images_count_in_the_estimate(tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(20_000)
    example = encode_example({"image/encoded": [jpeg(1)], "mask": [noise]})
    (tmp_path / "in.tfrecord").write_bytes(tfrecord.frame(example) * 40)
    options = ConvertOptions(
        inputs=(str(tmp_path / "in.tfrecord"),), output=str(tmp_path / "out"), num_workers=0
    )
    expected = Conversion(options).estimate().output_bytes
    manifest = Conversion(options).run(quiet=True).manifest
    assert expected == pytest.approx(manifest["dataset"]["shard_bytes"], rel=0.05)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == manifest


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1 min"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")],
)
def test_times_are_written_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
