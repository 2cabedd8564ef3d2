"""The statistics of the benchmarks, their reading of traces, and each program on a small set."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest
import tensorflow as tf

from benchmarks import bytes_read, drawn_photographs, link, measure
from tests.small_dataset import draw_jpeg
from tests.waiting import HANG_S, wait_until

_ROOT = pathlib.Path(__file__).parent.parent


def test_cases_run_in_turn_and_warm_up_values_are_dropped() -> None:
    calls: list[str] = []

    def case(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    cases = {name: (lambda name=name: case(name)) for name in "abc"}
    values = measure.interleave(cases, rounds=2, warmup_rounds=1)
    assert calls == ["c", "b", "a", "a", "b", "c", "c", "b", "a"]
    assert values == {"a": [4.0, 9.0], "b": [5.0, 8.0], "c": [6.0, 7.0]}


@pytest.mark.parametrize(("rounds", "warmup_rounds"), [(0, 1), (1, -1)])
def test_a_number_of_rounds_out_of_range_is_refused(rounds: int, warmup_rounds: int) -> None:
    with pytest.raises(ValueError, match="rounds must be at least 1"):
        measure.interleave({}, rounds=rounds, warmup_rounds=warmup_rounds)


def test_a_ratio_is_of_medians_with_the_extremes_of_single_rounds() -> None:
    ratio = measure.ratio([10.0, 12.0, 30.0], [5.0, 10.0, 6.0])
    assert ratio == measure.Ratio(of_medians=2.0, smallest=1.2, largest=5.0)


def test_a_ratio_of_different_numbers_of_rounds_is_refused() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        measure.ratio([1.0], [1.0, 2.0])


def test_results_are_written_with_the_facts_of_the_machine(tmp_path: pathlib.Path) -> None:
    result = {"size": measure.summarise([1.0, 2.0])}
    path = measure.write_json(tmp_path / "new", "size", result)
    content = json.loads(path.read_text())
    assert content["size"]["median"] == 1.5
    assert content["machine"]["cores"] >= 1
    assert content["machine"]["cpu"]


_TRACE = """\
7 pread64(3</d/a.pcr>, "..."..., 99, 0) = 99
7 newfstatat(AT_FDCWD, "/pcr-pass-1", 0x7ff, 0) = -1 ENOENT (No such file or directory)
7 pread64(3</d/a.pcr>, "\\1, 2)\\n"..., 500, 1000) = 500
8 pread64(3</d/b.pcr>,  <unfinished ...>
7 read(4</lib/x.py>, "import", 4096) = 6
8 <... pread64 resumed>"abc"..., 40, 7) = 40
7 newfstatat(AT_FDCWD, "/pcr-pass-0", 0x7ff, 0) = -1 ENOENT (No such file or directory)
7 read(5</d/c.tfrecord>, "..."..., 262144) = 9000
7 read(5</d/c.tfrecord>, "", 262144) = 0
"""


def test_reads_are_taken_from_a_trace_by_pass_file_offset_and_size() -> None:
    passes = bytes_read.parse_trace(_TRACE.splitlines(), (".pcr", ".tfrecord"))
    assert passes["1"].calls == [("/d/a.pcr", 1000, 500), ("/d/b.pcr", 7, 40)]
    assert passes["1"].num_bytes == 540
    assert passes["0"].calls == [("/d/c.tfrecord", -1, 262144)]


def test_a_vectored_read_of_a_shard_is_not_overlooked() -> None:
    line = "7 preadv(3</d/a.pcr>, [...], 2, 0) = 99"
    with pytest.raises(ValueError, match="read and pread64 only"):
        bytes_read.parse_trace([line], (".pcr",))


needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="needs a C++ compiler: apt-get install g++"
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder of 16 drawn images in class folders."""
    folder = tmp_path_factory.mktemp("benchmarks") / "images"
    drawn_photographs.draw_set(folder, drawn_photographs.Settings(images_per_class=1))
    return folder


def _run(program: str, output_dir: pathlib.Path, *flags: str) -> dict[str, object]:
    command = [sys.executable, "-m", f"benchmarks.{program}", f"--output_dir={output_dir}", *flags]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, object] = json.loads((output_dir / f"{program}.json").read_text())
    return result


def test_the_size_benchmark_measures_every_scan_script(
    images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    result = _run("size", tmp_path, f"--images={images}")
    sizes = result["bytes"]
    assert isinstance(sizes, dict)
    source = sum(path.stat().st_size for path in images.rglob("*.jpg"))
    assert sizes["source JPEG files"] == source
    assert sizes["TFRecords"] > source
    assert 0.5 * source < sizes["PCR, standard"] < 1.1 * source


def test_the_reading_benchmark_compares_with_tfrecord(
    images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    flags = ["--copies=2", "--shards=2", "--examples_per_record=4", "--rounds=1", "--scan_groups=2"]
    result = _run("read_throughput", tmp_path, f"--images={images}", *flags)
    assert result["examples"] == 32
    ratios = result["ratio_to_baseline"]
    assert isinstance(ratios, dict)
    assert ratios["PCR, 2 scan groups"]["of_medians"] > 0


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace: apt-get install strace")
def test_every_fidelity_requests_exactly_the_planned_ranges(
    images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    flags = ["--shards=2", "--examples_per_record=4"]
    result = _run("bytes_read", tmp_path, f"--images={images}", *flags)
    by_scan_groups = result["by_scan_groups"]
    assert isinstance(by_scan_groups, dict)
    assert list(by_scan_groups) == [str(g) for g in range(1, 11)]
    assert all(one["exactly_the_plan"] for one in by_scan_groups.values())
    assert all(one["reads"] == one["records"] == 4 for one in by_scan_groups.values())


@needs_compiler
def test_the_conversion_benchmark_compares_with_the_bare_transcode(
    images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    result = _run("conversion", tmp_path, f"--images={images}", "--copies=1", "--rounds=1")
    assert result["images"] == 16
    rates = result["images_per_s"]
    assert isinstance(rates, dict)
    assert len(rates) == 3


@needs_compiler
def test_the_scaling_benchmark_compares_with_one_worker(
    images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    flags = ["--copies=1", "--rounds=1", "--examples_per_record=4"]
    result = _run("conversion_scaling", tmp_path, f"--images={images}", *flags)
    ratios = result["ratio_to_one_worker"]
    assert isinstance(ratios, dict)
    assert list(ratios) == ["pcr-convert", "bare libjpeg transcode"]


def test_the_memory_benchmark_sees_the_parent_and_every_worker(
    images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    flags = ["--copies=16,32", "--num_workers=1"]
    result = _run("conversion_memory", tmp_path, f"--images={images}", *flags)
    peaks = result["peak_unique_bytes"]
    assert isinstance(peaks, dict)
    assert list(peaks) == ["256", "512"]
    for peak in peaks.values():
        assert len(peak["workers"]) == 1
        assert min(peak["parent"], *peak["workers"]) > 1_000_000


@pytest.mark.skipif(
    shutil.which("jpegtran") is None, reason="needs jpegtran: apt-get install libjpeg-turbo-progs"
)
def test_the_jpegtran_benchmark_makes_thumbnails_of_the_size_asked_for(
    images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    flags = ["--copies=1", "--thumbnail_copies=2", "--thumbnail_bytes=3000", "--rounds=1"]
    result = _run("jpegtran", tmp_path, f"--images={images}", *flags)
    thumbnails = result["thumbnails"]
    assert isinstance(thumbnails, dict)
    assert thumbnails["images"] == 32
    assert 2700 < thumbnails["mean_bytes"] <= 3000
    assert len(thumbnails["ratio_to_jpegtran"]) == 2


def test_the_opening_benchmark_opens_an_index_without_shards(tmp_path: pathlib.Path) -> None:
    flags = ["--shards=10", "--images=1000", "--examples_per_record=30", "--rounds=1"]
    result = _run("opening", tmp_path, *flags)
    by_images_per_record = result["by_images_per_record"]
    assert isinstance(by_images_per_record, dict)
    assert by_images_per_record["30"]["records"] == 40


def test_the_switching_benchmark_finds_no_more_at_the_old_fidelity_than_may_be_in_flight(
    images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    flags = ["--copies=2", "--examples_per_record=2", "--prefetch=3", "--seconds=0.3", "--rounds=1"]
    result = _run("switching", tmp_path, f"--images={images}", *flags)
    cases = result["cases"]
    assert isinstance(cases, dict)
    assert len(cases) == 4
    for case in cases.values():
        bound = case["most_late_examples_allowed"]
        assert len(case["changed"]) == len(case["unchanged"]) == 2
        for switch in case["changed"]:
            assert bound is None or switch["late_examples"] <= bound


@pytest.mark.parametrize("name", ["shuffling", "switching", "time_to_accuracy"])
def test_the_examples_of_a_benchmarks_arithmetic_hold(name: str) -> None:
    # In a process of its own: flags of two benchmarks have one name.
    program = f"import doctest, sys; from benchmarks import {name} as module; "
    program += "found = doctest.testmod(module); sys.exit(found.failed or not found.attempted)"
    subprocess.run([sys.executable, "-c", program], cwd=_ROOT, check=True)


def test_the_probe_benchmark_compares_with_steps_of_fit(
    images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    flags = ["--size=32", "--batch=4", "--width=2", "--probe_batches=2", "--rounds=1"]
    result = _run("gradient_probe", tmp_path, f"--images={images}", *flags)
    share = result["share_of_epoch"]
    assert isinstance(share, float)
    assert 0 < share < 1
    shares = result["share_of_epoch_bytes"]
    assert isinstance(shares, dict)
    assert shares["1"] > shares["10"] > 0


def test_a_record_shuffle_with_a_buffer_mixes_epochs_better_than_files_with_the_same_buffer(
    tmp_path: pathlib.Path,
) -> None:
    sizes = ["--examples=3000", "--labels=20", "--files=8", "--batch=32"]
    result = _run("shuffling", tmp_path, *sizes, "--examples_per_record=32", "--buffers=0,512")
    for stored in ("sorted by label", "shuffled"):
        mixes = result[stored]
        assert isinstance(mixes, dict)
        ideal = mixes["ideal"]
        ours = mixes["PCR, 32 a record, buffer 512"]
        assert ours["displacement"] == pytest.approx(ideal["displacement"], abs=0.1)
        assert ours["company"] < 1.5 * ideal["company"]
        for files_at_once in (1, 8):
            theirs = mixes[f"TFRecord, {files_at_once} files at once, buffer 512"]
            assert ours["company"] < theirs["company"]
        assert ours["labels"] > 0.8 * ideal["labels"]
        assert ours["longest_run"] < 10
        assert ours["mean_run"] == pytest.approx(ideal["mean_run"], abs=0.1)
        # Records alone are in another order, but their examples stay together.
        alone = mixes["PCR, 32 a record, buffer 0"]
        assert alone["company"] > 0.3
        # ... and as long a run of a label as they were stored in.
        assert (alone["mean_run"] > 20) == (stored == "sorted by label")
        assert (alone["longest_run"] >= 32) == (stored == "sorted by label")


def test_the_augmentation_benchmark_compares_with_tf_data(
    images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    flags = ["--copies=1", "--shards=2", "--examples_per_record=4", "--rounds=1"]
    result = _run("augment", tmp_path, f"--images={images}", *flags)
    assert result["examples"] == 16
    ratios = result["ratio_to_baseline"]
    assert isinstance(ratios, dict)
    assert len(ratios) == 10
    assert all(ratio["of_medians"] > 0 for ratio in ratios.values())


def test_the_decoding_benchmark_compares_decoders_at_each_fidelity(
    images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    pytest.importorskip("simplejpeg", reason="needs simplejpeg: pip install simplejpeg")
    flags = ["--rounds=1", "--num_images=4", "--similarity_images=2", "--scan_groups=2,10"]
    result = _run("decode", tmp_path, f"--images={images}", *flags)
    rates = result["one_thread_images_per_s"]
    assert isinstance(rates, dict)
    assert list(rates) == ["original files", "2 scan groups", "10 scan groups"]
    assert all(len(by_decoder) == 5 for by_decoder in rates.values())
    smoothing = result["block_smoothing"]
    assert isinstance(smoothing, dict)
    assert smoothing["2 scan groups"]["ms_ssim"]["pcr_tf"] > 0.5
    assert smoothing["10 scan groups"]["psnr_db"]["pcr_tf"] is None  # no error
    peaks = result["peak_bytes"]
    assert isinstance(peaks, dict)
    assert len(peaks) == 5


def test_the_time_of_decoding_a_scan_is_fitted(
    images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    flags = ["--rounds=2", "--num_images=4"]
    result = _run("scan_decode_time", tmp_path, f"--images={images}", *flags)
    fit = result["fit"]
    assert isinstance(fit, dict)
    assert len(fit) == 5
    assert all(isinstance(value, float) for value in fit.values())


@pytest.fixture
def a_link() -> None:
    """Skips a test where a link cannot be made."""
    try:
        with link.make_link():
            pass
    except link.LinkUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def a_link_that_is_read(a_link: None) -> None:
    """Skips a test where a link cannot be made or read from."""
    if tuple(map(int, tf.__version__.split(".")[:2])) > (2, 17):
        pytest.skip("tensorflow-io, which reads http:// and s3://, loads into 2.16 and 2.17 only")


_LINK = """
import pathlib, signal, sys
from benchmarks.link import make_link
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # Under nohup it is ignored.
with make_link() as link, link.serve(pathlib.Path("/"), pathlib.Path(sys.argv[1])):
    with link.running_in_client(["sh", "-c", "echo begun; exec sleep infinity"]) as process:
        process.stdout.readline()
        print(link.server, link.client, flush=True)
        signal.pause()
"""


@pytest.mark.usefixtures("a_link")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_benchmark_that_is_told_to_stop_leaves_no_link_and_no_server(
    tmp_path: pathlib.Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-c", _LINK, str(tmp_path / "nginx")]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        names = process.stdout.readline().split()
        pids = []
        for name in names:
            listed = ["ip", "netns", "pids", name]
            pids += subprocess.run(listed, capture_output=True, text=True).stdout.split()
        process.send_signal(number)
        try:
            assert process.wait(HANG_S) == 128 + number
        finally:
            process.kill()
    assert len(pids) == 2  # nginx and sleep
    # The kernel takes a moment to end what it was told to kill.
    wait_until(lambda: not [pid for pid in pids if pathlib.Path("/proc", pid).exists()])
    left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    assert not [name for name in names if name in left]


@pytest.mark.usefixtures("a_link_that_is_read")
def test_the_links_benchmark_measures_over_a_link_that_it_makes(
    images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    flags = ["--examples_per_record=4", "--stores=http", "--delays_ms=5", "--scan_groups=1,10"]
    flags += ["--rounds=1", "--seconds=0.2"]
    result = _run("links", tmp_path, f"--images={images}", *flags)
    links = result["links"]
    assert isinstance(links, list)
    measured = links[0]
    assert (measured["store"], measured["delay_ms"]) == ("http", 5)
    assert all(rate > 0 for rates in measured["images_per_s"].values() for rate in rates)
    assert (tmp_path / "links.png").stat().st_size > 0


@pytest.mark.usefixtures("a_link_that_is_read")
def test_the_time_to_accuracy_is_measured_of_fixed_and_of_tuned_fidelities(
    tmp_path: pathlib.Path,
) -> None:
    folder = tmp_path / "images"
    classes = ("fruit-apple", "fruit-pear", "shore-sand")
    for number in range(90):  # A fifth is held out: 72, two batches an epoch.
        path = folder / classes[number % 3] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(draw_jpeg(number, 192, 176))  # As small as MS-SSIM takes.
    kinds = ["TFRecord", "PCR 2", "MS-SSIM"]
    flags = ["--seeds=1", "--epochs=2", "--tasks=coarse", f"--runs={','.join(kinds)}", "--side=32"]
    flags += ["--filters=2", "--examples_per_record=4", "--mbit_per_s=100"]
    result = _run("time_to_accuracy", tmp_path, f"--images={folder}", *flags)
    summary = result["summary"]
    assert isinstance(summary, dict)
    rows = {row["kind"]: row for row in summary["coarse"]}
    assert list(rows) == kinds
    for row in rows.values():
        assert 0 <= row["accuracy"][0] <= 1
        assert row["seconds"][0] > 0
    stored = (tmp_path / "time_to_accuracy" / "bucket" / "tfrecords").iterdir()
    assert rows["TFRecord"]["bytes"][0] > 2 * 0.8 * sum(path.stat().st_size for path in stored)
    assert 0 < rows["PCR 2"]["bytes"][0] < 0.7 * rows["TFRecord"]["bytes"][0]
    assert rows["TFRecord"]["ratio"] == [1.0]
    assert rows["PCR 2"]["fidelity"] == [None]
    assert 1 <= rows["MS-SSIM"]["fidelity"][0] <= 10
    runs = result["runs"]
    assert isinstance(runs, dict)
    assert [len(runs["coarse"][kind][0]) for kind in kinds] == [2, 2, 2]
    assert (tmp_path / "time_to_accuracy.png").stat().st_size > 0
