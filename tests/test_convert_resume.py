"""Jobs killed, interrupted, starved or run twice end with the same bytes as an undisturbed one."""

from __future__ import annotations

import functools
import json
import os
import random
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from multiprocessing.context import SpawnProcess
from pathlib import Path, PurePath

import PIL
import psutil
import pytest

from pcr_tf.convert import ConvertError
from pcr_tf.convert.job.workers import run_jobs
from pcr_tf.format.scan_scripts import load_scan_script
from pcr_tf.format.verify import verify_dataset
from tests.conversion import digests, make_class_folders, run, start
from tests.small_disk import mounted_disk
from tests.test_convert import convert
from tests.waiting import (
    HANG_S,
    kill_with_workers,
    patiently,
    pause_midway,
    wait_until,
    wait_until_gone,
    workers_of,
)

# Deaths in the kill test, a second or so each: lower for a quick look, raise for a longer hunt.
KILLS = int(os.environ.get("PCR_TEST_KILLS", "50"))

NUM_SHARDS = 24


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs that take two workers about a second."""
    return make_class_folders(
        tmp_path_factory.mktemp("resume") / "in", classes=("ant", "bee"), per_class=60, width=600
    )


@pytest.fixture(scope="module")
def uninterrupted(source: Path) -> dict[str, str]:
    """What a job that nothing disturbs leaves."""
    output = source.parent / "uninterrupted"
    done = run("convert", *_flags(source, output))
    assert done.returncode == 0, done.stderr
    return digests(output)


def _flags(source: Path, output: Path, num_workers: int = 2) -> list[str]:
    return [
        f"--input={source}",
        f"--output={output}",
        "--examples_per_record=5",
        f"--num_shards={NUM_SHARDS}",
        f"--num_workers={num_workers}",
    ]


def _shards(output: Path) -> list[Path]:
    return list(output.glob("*.pcr"))


def _noted(output: Path) -> list[str]:
    """The shards that a job has noted as finished."""
    notes = (output / ".pcr-convert").glob("*.pcr.json")
    return [path.name.removesuffix(".json") for path in notes]


def _pause_midway(source: Path, tmp_path: Path) -> tuple[subprocess.Popen[str], Path]:
    """A job whose main process is stopped when there are some shards, and its output."""

    def output(ordinal: int) -> Path:
        return tmp_path / f"out{ordinal}"

    process, ordinal = pause_midway(
        lambda ordinal: start("convert", *_flags(source, output(ordinal))),
        lambda ordinal: len(_noted(output(ordinal))) >= 3,
        # The two in the workers' hands may come to their end.
        lambda ordinal: len(_shards(output(ordinal))) > NUM_SHARDS - 3,
    )
    return process, output(ordinal)


def _moments(process: subprocess.Popen[str], output: Path) -> list[Callable[[], bool]]:
    """What can be seen of a job one after the other, from its start to its first shards."""
    num_shards = len(_shards(output))
    return [
        lambda: True,
        output.exists,
        *(functools.partial(lambda count: len(workers_of(process)) >= count, n) for n in (1, 2)),
        lambda: bool(list(output.glob(".*.tmp"))),
        *(
            functools.partial(lambda count: len(_shards(output)) >= count, num_shards + more)
            for more in (1, 2, 4, 8, 16)
        ),
        (output / "manifest.json").exists,
    ]


def test_a_job_killed_at_random_moments_ends_with_the_same_bytes(
    source: Path, uninterrupted: dict[str, str], tmp_path: Path
) -> None:
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    outputs = [tmp_path / "out0"]
    for _ in range(KILLS):
        output = outputs[-1]
        if (output / "manifest.json").exists():
            output = tmp_path / f"out{len(outputs)}"
            outputs.append(output)
        process = start("convert", *_flags(source, output))
        moment = rng.choice(_moments(process, output))
        for _ in patiently():
            if moment() or process.poll() is not None:
                break
        kill_with_workers(process)
        for shard in _shards(output):
            assert list(verify_dataset(shard)) == [], f"seed {seed}: a half-written shard"
    for output in outputs:
        done = run("convert", *_flags(source, output))
        assert done.returncode == 0, done.stderr
        assert digests(output) == uninterrupted, f"seed {seed}"


def test_a_resumed_job_keeps_the_shards_that_are_finished(
    source: Path, uninterrupted: dict[str, str], tmp_path: Path
) -> None:
    process, output = _pause_midway(source, tmp_path)
    kill_with_workers(process)
    noted = _noted(output)
    before = {name: (output / name).stat().st_mtime_ns for name in noted}
    done = run("convert", *_flags(source, output, num_workers=1))
    assert done.returncode == 0, done.stderr
    assert f"resuming: {len(noted)} of {NUM_SHARDS} shards are finished" in done.stderr
    assert {name: (output / name).stat().st_mtime_ns for name in noted} == before
    assert digests(output) == uninterrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_ends_the_workers_at_once_and_the_job_can_go_on(
    source: Path, uninterrupted: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    process, output = _pause_midway(source, tmp_path)
    workers = workers_of(process)
    assert len(workers) == 2
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # As a terminal does: to the workers as well.
    else:
        process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    _, stderr = process.communicate(timeout=HANG_S)
    assert process.returncode == 128 + number
    assert "the same command goes on from here" in stderr
    assert "Traceback" not in stderr
    wait_until_gone(workers)
    assert not list(output.glob(".*.tmp"))
    assert run("convert", *_flags(source, output)).returncode == 0
    assert digests(output) == uninterrupted


def test_a_stop_signal_ends_workers_that_do_not_heed_one(source: Path, tmp_path: Path) -> None:
    process, _ = _pause_midway(source, tmp_path)
    workers = workers_of(process)
    for worker in workers:
        worker.suspend()  # Whatever they do would last for ever.
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=HANG_S)
    assert process.returncode == 128 + signal.SIGTERM
    wait_until_gone(workers)


def test_ctrl_c_while_a_worker_starts_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    def interrupted(process: SpawnProcess) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        start_process(process)
        assert process.pid is not None
        begun.append(process.pid)

    start_process = SpawnProcess.start
    monkeypatch.setattr(SpawnProcess, "start", interrupted)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    jobs = [PurePath("job")]  # It has a name.
    try:
        with pytest.raises(KeyboardInterrupt):
            list(run_jobs(print, jobs, num_workers=1, on_progress=lambda *_: None))
    finally:
        signal.signal(signal.SIGINT, handler)
    (pid,) = begun
    assert not psutil.pid_exists(pid)


def test_a_stop_signal_while_workers_start_leaves_no_traceback(
    source: Path, tmp_path: Path
) -> None:
    for number in range(1, 6):
        output = tmp_path / f"out{number}"
        process = start("convert", *_flags(source, output))
        wait_until(_moments(process, output)[number], while_running=process)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=HANG_S)
        assert "Traceback" not in stderr
        assert process.returncode in (0, 130)


def test_a_killed_worker_is_an_error_that_says_so(
    source: Path, uninterrupted: dict[str, str], tmp_path: Path
) -> None:
    process, output = _pause_midway(source, tmp_path)
    workers = workers_of(process)
    workers[0].kill()
    process.send_signal(signal.SIGCONT)
    _, stderr = process.communicate(timeout=HANG_S)
    assert process.returncode == 1
    (line,) = [line for line in stderr.splitlines() if line.startswith("pcr-convert:")]
    assert f"worker process {workers[0].pid} died: signal SIGKILL" in line
    assert "run the same command again to resume" in line
    wait_until_gone(workers)
    assert run("convert", *_flags(source, output)).returncode == 0
    assert digests(output) == uninterrupted


def test_two_jobs_cannot_write_to_one_output(source: Path, tmp_path: Path) -> None:
    process, output = _pause_midway(source, tmp_path)
    try:
        other = run("convert", *_flags(source, output))
    finally:
        process.send_signal(signal.SIGCONT)
    assert other.returncode == 1
    assert "another conversion is writing to it" in other.stderr
    process.communicate(timeout=HANG_S)
    assert process.returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_disk(tmp_path / "small", "1m") as folder:
        yield folder


def test_a_full_disk_ends_the_job_and_more_room_lets_it_go_on(
    source: Path, uninterrupted: dict[str, str], small_disk: Path
) -> None:
    output = small_disk / "out"
    done = run("convert", *_flags(source, output))
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("pcr-convert:")]
    assert f"{output}/" in line
    assert "shard-" in line
    assert line.endswith("No space left on device")
    assert not list(output.glob(".*.tmp"))
    for shard in _shards(output):
        assert list(verify_dataset(shard)) == []
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert run("convert", *_flags(source, output)).returncode == 0
    assert digests(output) == uninterrupted


# Running again


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A source of a few photographs; its conversion is in ../out."""
    folder = make_class_folders(tmp_path / "in")
    convert(folder, tmp_path / "out")
    return folder


def test_a_finished_job_run_again_does_nothing_and_says_so(small: Path) -> None:
    output = small.parent / "out"
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    assert convert(small, output, num_workers=2).was_finished
    flags = [f"--input={small}", f"--output={output}", "--examples_per_record=4"]
    done = run("convert", *flags)
    assert done.returncode == 0
    assert f"{output} is finished: nothing to do" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == before


def test_another_scan_script_is_named_or_told_by_its_entries(small: Path) -> None:
    output = small.parent / "out"
    with pytest.raises(ConvertError, match=r"`scan_script` was compact, is standard; repeat"):
        convert(small, output, scan_script="standard")
    mine = "# a comment\n" + load_scan_script("no_refinement")
    message = r"`scan_script` was compact, is 0.*: .{20,60}\.\.\. \(SHA-256 [0-9a-f]{8}\); repeat"
    with pytest.raises(ConvertError, match=message) as raised:
        convert(small, output, scan_script=mine)
    assert "comment" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"examples_per_record": 5}, "`examples_per_record` was 4, is 5"),
        ({"shuffle_seed": 3}, "`shuffle_seed` was 0, is 3"),
        ({"on_unsupported": "skip"}, "`on_unsupported` was keep, is skip"),
        ({"prove": False}, "`prove` was True, is False"),
    ],
)
def test_a_changed_flag_is_refused_with_the_difference_shown(
    small: Path, options: dict[str, object], difference: str
) -> None:
    before = digests(small.parent / "out")
    with pytest.raises(ConvertError, match=difference):
        convert(small, small.parent / "out", **options)
    assert digests(small.parent / "out") == before


def test_a_changed_source_is_refused_and_the_changed_folder_named(small: Path) -> None:
    (small / "bee" / "000.jpg").write_bytes((small / "ant" / "000.jpg").read_bytes())
    with pytest.raises(ConvertError, match="another source: source bee was 7 files"):
        convert(small, small.parent / "out")


def test_a_job_of_another_version_is_refused(small: Path) -> None:
    path = small.parent / "out" / ".pcr-convert" / "state.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "created_by": "pcr_tf 0.0.9"}))
    with pytest.raises(ConvertError, match=r"made by pcr_tf 0\.0\.9, this is pcr_tf"):
        convert(small, small.parent / "out")


def test_another_version_of_pillow_is_refused_where_it_makes_images(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(small, tmp_path / "encoded", on_unsupported="encode")
    version = re.escape(PIL.__version__)
    monkeypatch.setattr("PIL.__version__", "0.1")
    difference = rf"Pillow was {version}, is 0\.1; "
    remedy = rf"pip install Pillow=={version}, or name another folder with `output`, or remove "
    with pytest.raises(ConvertError, match=difference + remedy):
        convert(small, tmp_path / "encoded", on_unsupported="encode")
    with pytest.raises(ConvertError, match=rf"{difference}repeat its flags and pip install"):
        convert(small, tmp_path / "encoded", on_unsupported="encode", shuffle_seed=3)
    convert(small, small.parent / "out")


def test_a_shard_cut_short_after_its_job_died_is_made_again(small: Path) -> None:
    output = small.parent / "out"
    whole = digests(output)
    _undo_the_end_of_the_job(small, output)
    victim = min(output.glob("*.pcr"))
    victim.write_bytes(victim.read_bytes()[:-1])
    assert convert(small, output).resumed_shards == len(list(output.glob("*.pcr"))) - 1
    assert digests(output) == whole


def _undo_the_end_of_the_job(source: Path, output: Path) -> None:
    """Leaves the output as a job leaves it that dies before it writes its manifest."""
    noted: dict[str, bytes] = {}

    class Stop(BaseException):
        pass

    import pcr_tf.convert.job.conversion as job

    def stop(*_: object) -> None:
        noted.update((p.name, p.read_bytes()) for p in (other / ".pcr-convert").glob("*.pcr.json"))
        raise Stop

    other = output.parent / "other"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "write_manifest", stop)
        with pytest.raises(Stop):
            convert(source, other)
    (output / "manifest.json").unlink()
    for name, data in noted.items():
        (output / ".pcr-convert" / name).write_bytes(data)


def test_a_shard_of_another_data_set_in_the_output_is_refused(small: Path) -> None:
    output = small.parent / "out"
    (output / "stranger.pcr").write_bytes(min(output.glob("*.pcr")).read_bytes())
    with pytest.raises(ConvertError, match=r"not this conversion's: stranger\.pcr"):
        convert(small, output)


def test_a_finished_output_that_lost_a_shard_is_an_error(small: Path) -> None:
    victim = min((small.parent / "out").glob("*.pcr"))
    victim.unlink()
    with pytest.raises(ConvertError, match=rf"has changed: .*{victim.name}.*convert again"):
        convert(small, small.parent / "out")


def test_a_damaged_state_file_is_named(small: Path) -> None:
    (small.parent / "out" / ".pcr-convert" / "state.json").write_text("{")
    with pytest.raises(ConvertError, match=r"state\.json: damaged"):
        convert(small, small.parent / "out")


def test_the_state_says_nothing_about_machine_or_time(small: Path) -> None:
    state = json.loads((small.parent / "out" / ".pcr-convert" / "state.json").read_text())
    assert sorted(state) == ["created_by", "flags", "packages", "source"]
