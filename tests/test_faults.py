"""What a bad network may do to a reader: cost time, but no example, and never a wrong one."""

from __future__ import annotations

import hashlib
import itertools
import os
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from pcr_tf.format import PcrReader, filesystem, open_dataset
from tests import fault_proxy as faults
from tests.fault_proxy import Answer, Request, fault_proxy
from tests.object_stores import (
    example_digests,
    needs_tensorflow_io,
    put_folder,
    read_in_a_process,
    run_python,
)
from tests.servers import ROOT, Server, s3_environment, s3_server, web_server
from tests.service import run_alone
from tests.small_dataset import make_dataset

NUM_RECORDS = 16
SCAN_GROUPS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stored") / "photos.pcr"
    make_dataset(path, 2 * NUM_RECORDS, examples_per_record=2, num_shards=4)
    return path


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Server]:
    with web_server(tmp_path_factory.mktemp("servers") / "web", folder.parent) as server:
        yield server


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def first_attempts_fail(*kinds: str) -> Callable[[Request], str]:
    """A rule: the first request for each range meets the next of these faults, in turns."""
    turns = itertools.cycle(kinds)
    return lambda request: next(turns) if request.earlier == 0 else faults.PASS


def range_of(folder: Path, record: int) -> tuple[str, str]:
    """Shard and Range header of a record's prefix."""
    index = open_dataset(folder).index
    shard, offset, size_bytes = index.prefix(record, SCAN_GROUPS)
    return index.shard(shard)[0], f"bytes={offset}-{offset + size_bytes - 1}"


@needs_tensorflow_io
def test_faults_of_a_web_server_that_pass_cost_no_example(web: Server, folder: Path) -> None:
    rule = first_attempts_fail(
        faults.CORRUPT,  # the side index comes first
        faults.DROP,
        faults.RESET,
        faults.TRUNCATE,
        faults.SHORTEN,
        faults.UNAVAILABLE,
    )
    with fault_proxy(web.port, rule) as proxy:
        seen = read_in_a_process(f"{proxy.url}/photos.pcr", [SCAN_GROUPS], environment())
    assert seen["errors"] == []
    assert seen["digests"] == example_digests(folder, [SCAN_GROUPS])
    num_faults = sum(n for fault, n in proxy.faults.items() if fault != faults.PASS)
    assert num_faults == 1 + NUM_RECORDS
    assert seen["rereads"] == proxy.faults[faults.CORRUPT]
    assert seen["retries"] + seen["rereads"] == num_faults
    assert seen["failures"] == 0


@needs_tensorflow_io
def test_faults_of_s3_that_pass_cost_no_example(folder: Path, tmp_path: Path) -> None:
    rule = first_attempts_fail(
        faults.CORRUPT,
        faults.STALL,
        faults.DROP,
        faults.RESET,
        faults.TRUNCATE,
        faults.UNAVAILABLE,
        faults.CORRUPT,
    )
    with s3_server(tmp_path / "s3") as s3:
        put_folder(f"{s3.url}/bucket/photos.pcr", folder)
        with fault_proxy(s3.port, rule) as proxy:
            # Only what stalls takes as long: an answer must never.
            variables = {**s3_environment(proxy.url), "S3_REQUEST_TIMEOUT_MSEC": "10000"}
            seen = read_in_a_process("s3://bucket/photos.pcr", [SCAN_GROUPS], variables)
    assert seen["errors"] == []
    assert seen["digests"] == example_digests(folder, [SCAN_GROUPS])
    assert proxy.faults[faults.STALL] > 0
    assert seen["rereads"] == proxy.faults[faults.CORRUPT]
    assert seen["retries"] == 0  # The SDK repeats what failed, before pcr_tf hears of it.


@needs_tensorflow_io
def test_faults_that_stay_name_object_range_and_attempts_and_cost_those_records_alone(
    web: Server, folder: Path
) -> None:
    stay = {3: faults.UNAVAILABLE, 7: faults.SHORTEN, 12: faults.CORRUPT}
    by_range = {range_of(folder, record): fault for record, fault in stay.items()}

    def rule(request: Request) -> str:
        return by_range.get((request.path.rpartition("/")[2], request.range), faults.PASS)

    with fault_proxy(web.port, rule) as proxy:
        url = f"{proxy.url}/photos.pcr"
        seen = read_in_a_process(url, [SCAN_GROUPS], environment(), "goes_on_after_errors=1")
    assert proxy.faults[faults.UNAVAILABLE] == proxy.faults[faults.SHORTEN] == 6
    assert proxy.faults[faults.CORRUPT] == 2
    reader = PcrReader(folder)
    whole = [record for record in range(NUM_RECORDS) if record not in stay]
    assert seen["digests"][str(SCAN_GROUPS)] == [
        hashlib.sha256(example).hexdigest()
        for record in whole
        for example in reader.read_record(record, SCAN_GROUPS)
    ]
    unavailable, short, corrupt = seen["errors"]
    for error, record in ((unavailable, 3), (short, 7)):
        shard, byte_range = range_of(folder, record)
        first, last = byte_range.removeprefix("bytes=").split("-")
        assert f"{url}/{shard}: bytes {first} to {last}: failed 6 times, last with: " in error
    assert unavailable.startswith("DeadlineExceededError")
    assert "503" in unavailable
    assert short.startswith("DataLossError")
    assert "the file ends early; expected" in short
    assert corrupt.startswith("DataLossError")
    assert range_of(folder, 12)[0] in corrupt
    assert "checksum" in corrupt


_READ_BY_A_WORKER = """
worker = start_worker()
dataset = PcrDataset(sys.argv[1], int(sys.argv[2]))
try:
    for _ in dataset.apply(service.distribute(sys.argv[3], dispatcher.target)):
        pass
except tf.errors.OpError as error:
    print(error.message)
"""


@needs_tensorflow_io
@pytest.mark.parametrize("mode", ["distributed_epoch", "parallel_epochs"])
def test_a_fault_that_stays_reaches_the_client_of_a_service_whose_worker_met_it(
    web: Server, folder: Path, mode: str
) -> None:
    failing = range_of(folder, 3)

    def rule(request: Request) -> str:
        is_failing = (request.path.rpartition("/")[2], request.range) == failing
        return faults.UNAVAILABLE if is_failing else faults.PASS

    with fault_proxy(web.port, rule) as proxy:
        arguments = [f"{proxy.url}/photos.pcr", str(SCAN_GROUPS), mode]
        said = run_alone(_READ_BY_A_WORKER, *arguments)
    assert f"{failing[0]}: bytes " in said
    assert "failed 6 times, last with: " in said


@needs_tensorflow_io
def test_between_attempts_at_least_half_of_a_doubling_time_is_waited(
    web: Server, folder: Path
) -> None:
    fail = {range_of(folder, record) for record in range(0, NUM_RECORDS, 2)}

    def rule(request: Request) -> str:
        failing = (request.path.rpartition("/")[2], request.range) in fail
        return faults.UNAVAILABLE if failing else faults.PASS

    with fault_proxy(web.port, rule) as proxy:
        url = f"{proxy.url}/photos.pcr"
        seen = read_in_a_process(url, [SCAN_GROUPS], environment(), "goes_on_after_errors=1")
    assert len(seen["errors"]) == len(fail)
    attempts: dict[tuple[str, str], list[Answer]] = {}
    for answer in proxy.log:
        if answer.fault == faults.UNAVAILABLE:
            attempts.setdefault((answer.request.path, answer.request.range), []).append(answer)
    assert [len(answers) for answers in attempts.values()] == [6] * len(fail)
    # A busy machine makes these waits longer, never shorter. How long they are, and that they
    # differ, is in backoff_test.cc.
    for answers in attempts.values():
        for n, (earlier, later) in enumerate(itertools.pairwise(answers)):
            assert later.received_s - earlier.answered_s >= 0.5 * 0.1 * 2**n


# Opening.


def fails_twice(request: Request) -> str:
    """A rule: the first request of its kind meets a 503, the second a reset."""
    return (faults.UNAVAILABLE, faults.DROP, faults.PASS)[min(request.earlier, 2)]


@needs_tensorflow_io
@pytest.mark.parametrize("part", ["", "/shard-00001-of-00004.pcr"])
def test_faults_in_opening_from_a_web_server_that_pass_are_waited_out(
    web: Server, folder: Path, part: str
) -> None:
    def rule(request: Request) -> str:
        # Of what is opened alone: the side index, or the size of a file and its tail.
        return fails_twice(request) if part or request.path.endswith("index") else faults.PASS

    with fault_proxy(web.port, rule) as proxy:
        url = f"{proxy.url}/photos.pcr{part}"
        seen = read_in_a_process(url, [SCAN_GROUPS], environment())
    assert seen["errors"] == []
    assert seen["digests"] == example_digests(Path(f"{folder}{part}"), [SCAN_GROUPS])
    assert proxy.faults[faults.UNAVAILABLE] > 0
    assert proxy.faults[faults.DROP] > 0
    assert seen["failures"] == 0


def test_a_folder_is_one_though_its_store_is_busy_when_it_is_first_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def stat(path: str) -> Any:
        asked.append(path)
        if len(asked) % 3:
            raise tf.errors.UnavailableError(None, None, "busy")
        return types.SimpleNamespace(is_directory=True, length=0, mtime_nsec=0)

    monkeypatch.setattr(tf.io.gfile, "stat", stat)

    def listdir(path: str) -> list[str]:
        if len(asked) < 6:  # As gfile's own says where it could not find out.
            raise tf.errors.NotFoundError(None, None, f"Could not find directory {path}")
        return os.listdir(folder)

    monkeypatch.setattr(tf.io.gfile, "listdir", listdir)
    assert filesystem.is_dir("gs://bucket/photos.pcr")
    assert len(asked) == 3
    assert filesystem.listdir("gs://bucket/photos.pcr") == sorted(os.listdir(folder))
    assert len(asked) == 6


@needs_tensorflow_io
def test_a_fault_in_opening_that_stays_names_object_and_attempts(web: Server) -> None:
    with fault_proxy(web.port, lambda request: faults.UNAVAILABLE) as proxy:
        url = f"{proxy.url}/photos.pcr"
        arguments = ["-m", "tests.read_dataset", url, "1"]
        done = run_python(arguments, environment())
    assert done.returncode == 1
    assert f"{url}/dataset.pcr-index: bytes 0 to " in done.stderr
    assert "failed 6 times, last with: " in done.stderr
    assert proxy.faults[faults.UNAVAILABLE] == 6


_OPENED = """
import sys
from pcr_tf.format import open_dataset
print(open_dataset(sys.argv[1]).index.num_examples)
"""


@needs_tensorflow_io
def test_faults_in_opening_an_index_by_itself_are_waited_out_or_named(web: Server) -> None:
    with fault_proxy(web.port, fails_twice) as proxy:
        done = run_python(["-c", _OPENED, f"{proxy.url}/photos.pcr"], environment())
    assert (done.returncode, done.stdout) == (0, f"{2 * NUM_RECORDS}\n"), done.stderr
    with fault_proxy(web.port, lambda request: faults.UNAVAILABLE) as proxy:
        done = run_python(["-c", _OPENED, f"{proxy.url}/photos.pcr"], environment())
    assert done.returncode == 1
    assert "failed 6 times, last with: " in done.stderr
    assert "photos.pcr/dataset.pcr-index" in done.stderr


# Requests whose waiting is not ended fail for the sixth time before the iterator ends. That may
# also be where this process is kept from running for all of that time, but not again and again.
_CANCELLED = """
import gc, sys, time
from pcr_tf.data import PcrDataset, read_statistics
for _ in range(10):
    before = read_statistics()
    iterator = iter(PcrDataset(sys.argv[1], int(sys.argv[2])).prefetch(1))
    next(iterator)  # Nothing is read before it is asked for.
    while (read_statistics() - before).retries == 0:
        time.sleep(0.001)
    del iterator
    gc.collect()
    if (read_statistics() - before).failures == 0:
        print("ended between attempts")
        break
"""


@needs_tensorflow_io
def test_cancelling_a_reader_ends_its_waiting_between_attempts(web: Server, folder: Path) -> None:
    first = range_of(folder, 0)

    def rule(request: Request) -> str:
        is_first = (request.path.rpartition("/")[2], request.range) == first
        passes = is_first or request.path.endswith("index")
        return faults.PASS if passes else faults.UNAVAILABLE

    with fault_proxy(web.port, rule) as proxy:
        arguments = [f"{proxy.url}/photos.pcr", str(SCAN_GROUPS)]
        done = run_python(["-c", _CANCELLED, *arguments], environment())
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ended between attempts\n"
