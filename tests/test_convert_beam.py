"""A conversion with Apache Beam ends with the bytes of the local job, whatever fails on the way."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

beam = pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install 'pcr-tf[beam]'")

from apache_beam.options.pipeline_options import PipelineOptions  # noqa: E402

import pcr_tf.convert.beam as transform  # noqa: E402
from pcr_tf.cli import convert_beam  # noqa: E402
from pcr_tf.convert import Conversion, ConvertError, ConvertOptions, SourceOptions  # noqa: E402
from tests.conversion import (  # noqa: E402
    ROOT,
    digests,
    jpeg,
    make_class_folders,
    png,
    run,
    write_tfrecord,
)
from tests.turned import turned_jpeg  # noqa: E402
from tests.waiting import wait_until  # noqa: E402

IN_THIS_PROCESS = ("--runner=FnApiRunner",)
IN_TWO_PROCESSES = (
    *IN_THIS_PROCESS,
    "--direct_running_mode=multi_processing",
    "--direct_num_workers=2",
)


@pytest.fixture(autouse=True)
def _worker_processes_find_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def _options(source: Path | str, output: Path | str, **options: Any) -> ConvertOptions:
    options = {"examples_per_record": 4, "num_workers": 0, "profile_images": 0, **options}
    options.setdefault("inputs", (str(source),))
    return ConvertOptions(output=str(output), **options)


def _run_beam(options: ConvertOptions, runner: tuple[str, ...] = IN_THIS_PROCESS) -> Any:
    with beam.Pipeline(options=PipelineOptions(runner)) as pipeline:
        _ = pipeline | transform.ConvertToPcr(options)
    return pipeline.result


def _counted(result: Any, name: str) -> int:
    counters = result.metrics().query(beam.metrics.MetricsFilter().with_name(name))["counters"]
    return sum(counter.committed for counter in counters)


def _both(source: Path | str, folder: Path, **options: Any) -> tuple[dict[str, str], ...]:
    """What the local job and Beam leave."""
    Conversion(_options(source, folder / "local", **options)).run(quiet=True)
    _run_beam(_options(source, folder / "beam", **options))
    return digests(folder / "local"), digests(folder / "beam")


# Sources


def _class_folders(folder: Path) -> dict[str, Any]:
    # Bytewise, "a-b" is between "a" and "a/b".
    source = make_class_folders(folder / "in", ("ant", "a-b", "a", "a/b"), per_class=6)
    (source / "ant" / "notes.txt").write_text("not an image")
    for name in ("bee", "a/boxes", "__MACOSX"):
        (source / name).mkdir()
        (source / name / "1.xml").write_text("<box/>")
    # Names of files are bytes, and not always text.
    (source / "ant").rename(source / os.fsdecode(b"\xfe"))
    (source / "a" / "003.jpg").rename(source / "a" / os.fsdecode(b"\xff.jpg"))
    return {"inputs": (str(source),)}


def _listed_class_folders(folder: Path) -> dict[str, Any]:
    source = make_class_folders(folder / "in", ("ant", "a-b", "a", "a/b"), per_class=6)
    (source / "bee").mkdir()
    (source / "logs").mkdir()
    classes = ("zebra", "a/b=ab", "bee", "ant", "a-b", "none/of/these", "a")
    return {"inputs": (str(source),), "source_options": SourceOptions(classes=classes)}


def _two_roots(folder: Path) -> dict[str, Any]:
    roots = [make_class_folders(folder / "in1"), make_class_folders(folder / "in2", ("bee", "elk"))]
    return {"inputs": tuple(map(str, roots))}


def _flat_folder(folder: Path) -> dict[str, Any]:
    return {"inputs": (str(make_class_folders(folder / "in") / "ant"),)}


def _tfrecords(folder: Path) -> dict[str, Any]:
    paths = []
    # Files of one name give items of one key: the shuffle does not tell them apart.
    for number, name in enumerate(("one/a.tfrecord", "two/a.tfrecord", "two/b.tfrecord")):
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        images = [jpeg(10 * number + n) for n in range(7)]
        write_tfrecord(path, [{"image/encoded": [i], "n": [n]} for n, i in enumerate(images)])
        paths.append(str(path))
    return {"inputs": tuple(paths)}


def _tar_shards(folder: Path) -> dict[str, Any]:
    (folder / "in").mkdir()
    for shard in range(2):
        files = folder / f"files{shard}"
        files.mkdir()
        with tarfile.open(folder / "in" / f"{shard}.tar", "w") as tar:
            for number in range(8):
                for name, data in ((f"{number}.jpg", jpeg(number)), (f"{number}.cls", b"3")):
                    (files / name).write_bytes(data)
                    tar.add(files / name, name)
    return {"inputs": (str(folder / "in"),)}


def _listed_tar_shards(folder: Path) -> dict[str, Any]:
    options = SourceOptions(classes=("1", "2=two", "3=three"))
    return {**_tar_shards(folder), "source_options": options}


def _table(folder: Path) -> dict[str, Any]:
    source = make_class_folders(folder / "in", ("all",), per_class=12)
    rows = "".join(f"{n:03d}.jpg,{'xyz'[n % 3]}\n" for n in range(12))
    (folder / "labels.csv").write_text(f"name,kind\n{rows}")
    table = SourceOptions(table=str(folder / "labels.csv"), label_column="kind")
    return {"inputs": (str(source),), "source_options": table}


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        _class_folders,
        _listed_class_folders,
        _two_roots,
        _flat_folder,
        _tfrecords,
        _tar_shards,
        _listed_tar_shards,
        _table,
    ],
)
def test_the_output_is_that_of_the_local_job(
    make: Callable[[Path], dict[str, Any]], shuffle: bool, tmp_path: Path
) -> None:
    options = {"shuffle": shuffle, "shuffle_seed": 7, **make(tmp_path)}
    local, by_beam = _both("", tmp_path, **options)
    assert len([name for name in local if name.endswith(".pcr")]) > 1
    assert by_beam == local


@pytest.mark.parametrize(
    "options",
    [
        {"num_shards": 1},
        {"num_shards": 5},
        {"examples_per_record": 100},
        {"examples_per_record": None},
    ],
)
def test_the_output_is_that_of_the_local_job_however_it_is_cut(
    options: dict[str, Any], tmp_path: Path
) -> None:
    local, by_beam = _both(make_class_folders(tmp_path / "in"), tmp_path, **options)
    assert by_beam == local


def test_two_worker_processes_make_the_output_of_the_local_job(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", width=200)
    for name in ("local", "beam"):
        options = _options(source, tmp_path / name)
        if name == "local":
            Conversion(options).run(quiet=True)
        else:
            _run_beam(options, IN_TWO_PROCESSES)
    assert digests(tmp_path / "beam") == digests(tmp_path / "local")


def test_paths_of_gfile_are_read_and_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    source = make_class_folders(tmp_path / "in")
    for name, job in (("local", lambda o: Conversion(o).run(quiet=True)), ("beam", _run_beam)):
        job(_options(f"file://{source}", f"file://{tmp_path / name}"))
    assert digests(tmp_path / "beam") == digests(tmp_path / "local")


def test_the_profile_is_that_of_the_local_job(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    source = tmp_path / "in"
    source.mkdir()
    for number in range(3):
        (source / f"{number}.jpg").write_bytes(jpeg(number, 180, 176))
    local, by_beam = _both(source, tmp_path, profile_images=3)
    assert json.loads((tmp_path / "beam" / "manifest.json").read_text())["profile"]
    assert by_beam == local


# Policies


@pytest.mark.parametrize("policy", ["keep", "skip", "encode"])
def test_the_manifest_names_odd_images_as_that_of_the_local_job(
    policy: str, tmp_path: Path
) -> None:
    source = make_class_folders(tmp_path / "in")
    for name in ("ant/odd.jpg", "bee/odd.png"):
        (source / name).write_bytes(png())
    local, by_beam = _both(source, tmp_path, on_unsupported=policy)
    manifest = json.loads((tmp_path / "beam" / "manifest.json").read_text())
    field = {"keep": "opaque", "skip": "skipped", "encode": "encoded"}[policy]
    assert [entry["name"] for entry in manifest[field]] == ["ant/odd.jpg", "bee/odd.png"]
    assert by_beam == local


def test_turned_images_are_counted_as_by_the_local_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_class_folders(tmp_path / "in")
    for orientation in (3, 6):
        (source / "ant" / f"turned-{orientation}.jpg").write_bytes(turned_jpeg(orientation))
    local, by_beam = _both(source, tmp_path)
    assert json.loads((tmp_path / "beam" / "manifest.json").read_text())["counts"]["turned"] == 2
    assert by_beam == local
    flags = [f"--input={source}", f"--output={tmp_path / 'again'}", "--profile_images=0"]
    assert convert_beam.main(flags) == 0
    assert "again: warning: 2 images are stored turned" in capsys.readouterr().out


def test_what_cannot_be_read_is_skipped_as_by_the_local_job(tmp_path: Path) -> None:
    inputs = _tfrecords(tmp_path)["inputs"]
    for path in map(Path, inputs[:2]):  # One is cut short, of the other the data is damaged.
        data = path.read_bytes()
        damaged = data[:100] + bytes([data[100] ^ 1]) + data[101:]
        path.write_bytes(data[:-1] if path == Path(inputs[0]) else damaged)
    local, by_beam = _both("", tmp_path, inputs=inputs, on_unreadable="skip")
    assert json.loads((tmp_path / "beam" / "manifest.json").read_text())["counts"]["skipped"] == 2
    assert by_beam == local


def test_a_policy_to_fail_ends_the_pipeline_with_the_name_of_the_image(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in")
    (source / "ant" / "odd.jpg").write_bytes(png())
    with pytest.raises(Exception, match=r"ant/odd\.jpg: cannot be re-coded losslessly"):
        _run_beam(_options(source, tmp_path / "out", on_unsupported="raise"))
    assert not (tmp_path / "out" / "manifest.json").exists()


# Failures


class _FailsAtFirst(transform._Convert):
    """Fails at the first attempt at each shard of an odd number, when the shard is whole."""

    says = "the worker fails"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def process(self, group: Any, job: Any) -> Iterator[str]:
        marker = self._folder / f"failed-{group[0]}"
        if group[0] % 2 and not marker.exists():
            marker.touch()
            self._fail(group, job)
        yield from super().process(group, job)

    def _fail(self, group: Any, job: Any) -> None:
        list(super().process(group, job))
        raise OSError(self.says)


class _IsKilledAtFirst(_FailsAtFirst):
    """Is killed at the first attempt within the shard, half of which it leaves."""

    says = "Channel closed"

    def _fail(self, group: Any, job: Any) -> None:
        Path(job.options.output, f".{job.cuts.shard_name(group[0])}.0.tmp").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("runner", "failing"),
    [
        (IN_THIS_PROCESS, _FailsAtFirst),
        (IN_TWO_PROCESSES, _FailsAtFirst),
        (IN_TWO_PROCESSES, _IsKilledAtFirst),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_fails_doubles_and_loses_nothing(
    runner: tuple[str, ...],
    failing: type[_FailsAtFirst],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = make_class_folders(tmp_path / "in")
    Conversion(_options(source, tmp_path / "local")).run(quiet=True)
    monkeypatch.setattr(transform, "_Convert", lambda: failing(tmp_path))
    failures = 0
    while not (tmp_path / "beam" / "manifest.json").exists():
        try:
            _run_beam(_options(source, tmp_path / "beam"), runner)
        except Exception as error:
            assert failing.says in str(error)  # noqa: PT017
            failures += 1
            assert failures < 10
    assert failures
    assert digests(tmp_path / "beam") == digests(tmp_path / "local")


def test_bundles_that_run_twice_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_class_folders(tmp_path / "in")
    Conversion(_options(source, tmp_path / "local")).run(quiet=True)
    asked: list[str] = []

    def never_finished(_: object, name: str) -> None:
        asked.append(name)

    monkeypatch.setattr(transform.OutputState, "finished", never_finished)
    twice = (*IN_THIS_PROCESS, "--direct_runner_bundle_repeat=1")
    _run_beam(_options(source, tmp_path / "beam"), twice)
    assert all(asked.count(name) == 2 for name in asked)
    assert asked
    assert digests(tmp_path / "beam") == digests(tmp_path / "local")


def test_a_killed_pipeline_goes_on_with_the_shards_that_are_not_finished(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in", ("ant", "bee"), per_class=60, width=600)
    options = _options(source, tmp_path / "local", num_shards=24)
    Conversion(options).run(quiet=True)
    output = tmp_path / "beam"
    flags = [
        f"--input={source}",
        f"--output={output}",
        "--examples_per_record=4",
        "--num_shards=24",
    ]
    flags += ["--profile_images=0"]
    command = [sys.executable, "-m", "pcr_tf.cli.convert_beam", *flags]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    noted = output / ".pcr-convert"
    wait_until(lambda: len(list(noted.glob("*.pcr.json"))) >= 3, while_running=process)
    process.kill()
    process.wait()
    kept = {p.name: p.stat().st_mtime_ns for p in noted.glob("*.pcr.json")}
    shards = {n: (output / n.removesuffix(".json")).stat().st_mtime_ns for n in kept}
    _run_beam(dataclasses.replace(options, output=str(output)))
    assert digests(output) == digests(tmp_path / "local")
    assert {n: (output / n.removesuffix(".json")).stat().st_mtime_ns for n in kept} == shards


# Running again


def test_a_finished_job_run_again_does_nothing(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in")
    options = _options(source, tmp_path / "out")
    assert _counted(_run_beam(options), "images") == 21
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert _counted(_run_beam(options), "images") == 0
    assert Conversion(options).run(quiet=True).was_finished
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_a_local_job_that_was_stopped_goes_on_with_beam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_class_folders(tmp_path / "in")
    Conversion(_options(source, tmp_path / "local")).run(quiet=True)
    output = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("pcr_tf.convert.job.conversion.write_side_index", _stop)
        with pytest.raises(KeyboardInterrupt):
            Conversion(_options(source, output)).run(quiet=True)
    victim = min(output.glob("*.pcr"))
    victim.unlink()
    assert 0 < _counted(_run_beam(_options(source, output)), "images") < 21
    assert digests(output) == digests(tmp_path / "local")


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_changed_flag_is_refused_with_the_difference_shown(tmp_path: Path) -> None:
    source = make_class_folders(tmp_path / "in")
    _run_beam(_options(source, tmp_path / "out"))
    with pytest.raises(Exception, match="`shuffle_seed` was 0, is 3"):
        _run_beam(_options(source, tmp_path / "out", shuffle_seed=3))


# The transform and the command


def test_a_missing_input_is_an_error_before_the_pipeline_runs(tmp_path: Path) -> None:
    pipeline = beam.Pipeline(options=PipelineOptions(IN_THIS_PROCESS))
    with pytest.raises(ConvertError, match="no such file or folder"):
        _ = pipeline | transform.ConvertToPcr(_options(tmp_path / "none", tmp_path / "out"))


def test_a_split_without_a_part_is_refused(tmp_path: Path) -> None:
    options = _options(tmp_path, tmp_path / "out", split=(("a", 0.5), ("b", 0.5)))
    with pytest.raises(ConvertError, match="a split has several jobs"):
        transform.ConvertToPcr(options)


def test_the_command_converts_every_part_of_a_split(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_class_folders(tmp_path / "in")
    flags = [f"--input={source}", "--examples_per_record=4", "--split=a:0.7,b:0.3"]
    flags += ["--profile_images=0"]
    assert run("convert", *flags, f"--output={tmp_path / 'local'}").returncode == 0
    assert convert_beam.main([*flags, f"--output={tmp_path / 'beam'}"]) == 0
    assert f"{tmp_path / 'beam' / 'a'}: " in capsys.readouterr().out
    assert digests(tmp_path / "beam") == digests(tmp_path / "local")


def test_a_data_set_without_an_image_is_an_error_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "ant").mkdir(parents=True)
    (tmp_path / "in" / "ant" / "odd.png").write_bytes(png())
    flags = [f"--input={tmp_path / 'in'}", "--on_unsupported=skip", "--profile_images=0"]
    assert convert_beam.main([*flags, f"--output={tmp_path / 'out'}"]) == 1
    message = f"pcr-convert-beam: {tmp_path}/out: holds no image: every item was skipped, as "
    what = "ant/odd.png: not_a_jpeg: the image is a PNG file\n"
    assert capsys.readouterr().err.endswith(message + what)


def test_the_command_names_folders_that_are_no_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_class_folders(tmp_path / "in")
    (source / "dog").mkdir()
    (source / "dog" / "1.xml").write_text("<box/>")
    flags = [f"--input={source}", f"--output={tmp_path}/out", "--profile_images=0"]
    assert convert_beam.main(flags) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path}/out: classes: 3: label 0 is 'ant', label 2 is 'cat'\n" in said
    folders = "1 folder without an image: 'dog'; labels count the other folders"
    assert f"{tmp_path}/out: no class: {folders}\n" in said


def test_the_command_names_folders_that_the_list_of_classes_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_class_folders(tmp_path / "in")
    flags = [f"--input={source}", f"--output={tmp_path}/out", "--profile_images=0"]
    assert convert_beam.main([*flags, "--classes=cat"]) == 1
    said = capsys.readouterr().err
    assert "in/ant: class 'ant' is none of the 1 of --classes" in said
    assert "one of 2 such folders: ant, bee" in said
    assert not list((tmp_path / "out").glob("*.pcr"))


def test_the_command_passes_on_what_stands_behind_two_dashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def run_pipeline(pipeline: Any) -> Any:
        seen.extend(pipeline._options._flags)
        raise ConvertError("enough")

    monkeypatch.setattr(beam.Pipeline, "run", run_pipeline)
    source = make_class_folders(tmp_path / "in")
    others = ["--runner=FlinkRunner", "--num_workers=9", "--flink_master=host:8081"]
    arguments = [f"--input={source}", f"--output={tmp_path / 'out'}", "--", *others]
    assert convert_beam.main(arguments) == 1
    assert seen == others


@pytest.mark.parametrize("runner", [IN_THIS_PROCESS, IN_TWO_PROCESSES])
def test_an_error_of_a_worker_is_one_line_of_the_command(
    runner: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_class_folders(tmp_path / "in")
    (source / "ant" / "odd.jpg").write_bytes(png())
    flags = [f"--input={source}", f"--output={tmp_path / 'out'}", "--on_unsupported=raise"]
    assert convert_beam.main([*flags, "--", *runner]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"pcr-convert-beam: {source}/ant/odd.jpg: cannot be re-coded")
    assert "while running" not in line


def test_every_position_is_in_the_shard_that_claims_it() -> None:
    rng = random.Random(0)
    for _ in range(200):
        items = rng.randint(1, 300)
        options = _options("in", "out", examples_per_record=rng.randint(1, 20))
        cuts = transform.ShardCuts(
            items, 0, dataclasses.replace(options, num_shards=rng.randint(1, 40))
        )
        positions = [p for n in range(cuts.num_shards) for p in cuts.shard_positions(n)]
        assert positions == list(range(items))
        for number in range(cuts.num_shards):
            assert {cuts.shard_of(p) for p in cuts.shard_positions(number)} == {number}
