"""PcrDataset in worker processes: of the tf.data service, and of a distribution strategy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pcr_tf.data import Fidelity, PcrDataset
from pcr_tf.format import open_dataset
from tests.conversion import ROOT
from tests.reading import label_of, labels
from tests.servers import free_ports
from tests.service import run_alone
from tests.small_dataset import make_dataset
from tests.waiting import HANG_S, patiently, wait_until

NUM_EXAMPLES = 60
EXAMPLES_PER_RECORD = 4
MAX_OUTSTANDING_REQUESTS = 2
SERVICE = tf.data.experimental.service

# A worker that was started for anybody's data sets: it names no data set and no op. For each line
# it is sent it says what it has read; it ends with its standard input.
_WORKER = """
import sys
import tensorflow as tf
from pcr_tf.data import read_statistics
config = tf.data.experimental.service.WorkerConfig(
    dispatcher_address=sys.argv[1], port=int(sys.argv[2]), heartbeat_interval_ms=200)
server = tf.data.experimental.service.WorkerServer(config)
print("serving", flush=True)
for _ in sys.stdin:
    read = read_statistics()
    print(read.reads, read.bytes, flush=True)
"""

# A client of a service that other clients use too: reads three iterations of its data set,
# unsharded, and prints them. The last argument holds those of the data set. It waits for a line
# before each iteration, so that those of all clients can be brought into any order.
_CLIENT = """
import json, sys
import tensorflow as tf
from pcr_tf.data import PcrDataset
from tests.reading import labels
folder, target, arguments = sys.argv[1:]
service = tf.data.experimental.service
dataset = PcrDataset(folder, 1, shuffle=True, seed=4, **json.loads(arguments))
dataset = dataset.apply(service.distribute(service.ShardingPolicy.OFF, target))
print("ready", flush=True)
for _ in range(3):
    sys.stdin.readline()
    print(json.dumps(labels(dataset)), flush=True)
"""

# Reads this worker's share of two epochs.
_STRATEGY_WORKER = """
import json, os, sys
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
from pcr_tf.data import PcrDataset, read_statistics
from tests.reading import label_of

def make(context):
    dataset = PcrDataset(
        sys.argv[1], 1, shuffle=True, seed=5,
        num_shards=context.num_input_pipelines, shard_index=context.input_pipeline_id)
    return dataset.batch(4)

distributed = strategy.distribute_datasets_from_function(make)
opened = read_statistics()
local = strategy.experimental_local_results
epochs = [
    [label_of(e) for batches in distributed for batch in local(batches) for e in batch]
    for _ in range(2)
]
print(json.dumps([epochs, (read_statistics() - opened).bytes]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "photos.pcr"
    make_dataset(path, NUM_EXAMPLES, EXAMPLES_PER_RECORD, num_shards=3)
    return path


class Service:
    """A dispatcher in this process and worker processes."""

    def __init__(self, num_workers: int = 2) -> None:
        self._dispatcher = SERVICE.DispatchServer()
        self.target = self._dispatcher.target
        self._ports = free_ports(num_workers)
        self.workers = [self.start(worker) for worker in range(num_workers)]
        for process in self.workers:
            self.wait(process)

    def start(self, worker: int) -> subprocess.Popen[str]:
        """Starts a worker, at its own port each time."""
        address = self.target.split("://")[1]
        command = [sys.executable, "-c", _WORKER, address, str(self._ports[worker])]
        return subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    @staticmethod
    def wait(process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"

    def read(self) -> np.ndarray:
        """Range reads and their bytes, [worker, 2], of each worker since it began."""
        read = []
        for process in self.workers:
            assert process.stdin is not None
            assert process.stdout is not None
            print(file=process.stdin, flush=True)
            read.append([int(number) for number in process.stdout.readline().split()])
        return np.array(read)

    def wait_for_reads(self, since: np.ndarray, reads: Sequence[int]) -> None:
        """Returns when each worker has made so many more range reads than `since`, a `read()`."""
        wait_until(lambda: not np.any(self.read()[:, 0] - since[:, 0] < reads))

    def close(self) -> None:
        for process in self.workers:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


def distributed(
    folder: Path, mode: object, service: Service, reads_in_flight: int | None = None
) -> tf.data.Dataset:
    """An epoch of the workers, which hold no more than reads_in_flight and the service ask for."""
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False  # a buffer that grows
    dataset = PcrDataset(folder, 1, shuffle=True, seed=4, reads_in_flight=reads_in_flight)
    distribute = SERVICE.distribute(
        mode, service.target, max_outstanding_requests=MAX_OUTSTANDING_REQUESTS
    )
    return dataset.with_options(options).apply(distribute).with_options(options)


def test_worker_processes_that_import_the_package_share_an_epoch(
    folder: Path, service: Service
) -> None:
    index = open_dataset(folder).index
    opening_bytes = (folder / "dataset.pcr-index").stat().st_size
    for mode in ("distributed_epoch", SERVICE.ShardingPolicy.DYNAMIC):
        before = service.read()
        iterator = iter(distributed(folder, mode, service, reads_in_flight=1))
        together = [label_of(next(iterator))]
        # Before one of them, quicker to begin, can have read all: they open it, and read a record.
        service.wait_for_reads(before, [2, 2])
        together += labels(iterator)
        assert sorted(together) == list(range(NUM_EXAMPLES))
        # No record is read ahead by a worker that does not deliver it.
        reads, read_bytes = (service.read() - before).sum(axis=0)
        assert reads == 2 + index.num_records
        assert read_bytes == 2 * opening_bytes + index.prefix_bytes(1)


def test_worker_processes_without_sharding_read_an_epoch_each(
    folder: Path, service: Service
) -> None:
    read = labels(distributed(folder, SERVICE.ShardingPolicy.OFF, service))
    assert sorted(read) == sorted(2 * list(range(NUM_EXAMPLES)))


def read_by_clients(folder: Path, arguments: Sequence[dict[str, int]]) -> list[list[list[int]]]:
    """What clients in processes of their own read, [client][iteration], of one worker, in turns."""
    service = Service(num_workers=1)
    pipe = subprocess.PIPE
    clients = []
    try:
        for some in arguments:
            command = [sys.executable, "-c", _CLIENT, str(folder), service.target, json.dumps(some)]
            clients.append(subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True))
        read: list[list[list[int]]] = [[] for _ in clients]
        for client in clients:
            assert client.stdout is not None
            assert client.stdout.readline() == "ready\n"
        for _ in range(3):
            for client, iterations in zip(clients, read, strict=True):
                assert client.stdin is not None
                assert client.stdout is not None
                print(file=client.stdin, flush=True)
                iterations.append(json.loads(client.stdout.readline()))
        return read
    finally:
        for client in clients:
            client.kill()
            client.communicate()
        service.close()


def test_clients_of_an_unsharded_worker_that_share_a_data_set_read_each_epoch_between_them(
    folder: Path,
) -> None:
    shares = [{"num_shards": 2, "shard_index": index} for index in range(2)]
    read = read_by_clients(folder, shares)
    expected = [
        labels(PcrDataset(folder, 1, shuffle=True, seed=4, num_shards=2, shard_index=index))
        for index in range(2)
    ]
    # Behind `distribute` each iteration begins anew at first_epoch.
    assert read == [[share] * 3 for share in expected]
    assert sorted(expected[0] + expected[1]) == list(range(NUM_EXAMPLES))


def test_each_iteration_of_each_client_of_an_unsharded_worker_begins_at_first_epoch(
    folder: Path,
) -> None:
    read = read_by_clients(folder, [{}, {}, {"first_epoch": 1}])
    at_top = PcrDataset(folder, 1, shuffle=True, seed=4)
    first, second = labels(at_top), labels(at_top)
    assert read == [[first] * 3, [first] * 3, [second] * 3]


def test_a_worker_killed_and_started_again_costs_what_it_had_in_hand_and_repeats_nothing(
    folder: Path, service: Service
) -> None:
    before = service.read()
    reads_in_flight = 2
    iterator = iter(
        distributed(folder, "distributed_epoch", service, reads_in_flight=reads_in_flight)
    )
    read = [label_of(next(iterator)) for _ in range(6)]
    # It has opened the data set, delivers from a record, and has read what it may ahead of that.
    service.wait_for_reads(before, [1 + 1 + reads_in_flight, 0])
    service.workers[0].kill()
    service.workers[0].communicate()
    # Without a worker at that address the service waits for it.
    service.workers[0] = service.start(0)
    read += labels(iterator)
    service.wait(service.workers[0])
    assert len(set(read)) == len(read)
    # In the worker's hands are the record that it delivers from and those in flight behind it. What
    # has left that one is in the hands of tf.data: of the thread that fills the buffer of the task,
    # in that buffer, which holds one, and in the answer under way, one for each task.
    in_hand = (1 + reads_in_flight) * EXAMPLES_PER_RECORD + 3
    # At most what was read and what the client holds has come to the client from this worker.
    come = 6 + MAX_OUTSTANDING_REQUESTS
    assert (1 + reads_in_flight) * EXAMPLES_PER_RECORD - come <= NUM_EXAMPLES - len(read) <= in_hand
    again = distributed(folder, "distributed_epoch", service)
    assert sorted(labels(again)) == list(range(NUM_EXAMPLES))


def test_a_fidelity_of_this_process_is_refused_by_worker_processes_with_the_remedy(
    folder: Path, service: Service
) -> None:
    dataset = PcrDataset(folder, Fidelity(1))
    shared = dataset.apply(SERVICE.distribute("distributed_epoch", service.target))
    with pytest.raises(tf.errors.FailedPreconditionError, match=r"Fidelity\(value, path=\.\.\.\)"):
        next(iter(shared))


def test_a_fidelity_in_a_file_is_obeyed_by_worker_processes(
    folder: Path, service: Service, tmp_path: Path
) -> None:
    fidelity = Fidelity(1, path=tmp_path / "fidelity", poll_interval_s=0.05)
    dataset = PcrDataset(folder, fidelity, reads_in_flight=2).repeat()
    shared = dataset.apply(
        SERVICE.distribute("distributed_epoch", service.target, max_outstanding_requests=1)
    )
    low = {serialized.numpy() for serialized in PcrDataset(folder, 1)}
    high = {serialized.numpy() for serialized in PcrDataset(folder, 10)}
    iterator = iter(shared)
    assert next(iterator).numpy() in low
    fidelity.set(10)
    seen = 0
    for _ in patiently():
        seen = seen + 1 if next(iterator).numpy() in high else 0
        if seen == 2 * NUM_EXAMPLES:  # of both workers
            break


def test_an_error_of_a_read_reaches_the_client_and_costs_those_records_alone_where_ignored(
    folder: Path, service: Service, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(folder, tmp_path / "photos.pcr"))
    dataset = PcrDataset(copied, 1)
    missing = sorted(copied.glob("*.pcr"))[1]
    missing.unlink()
    distribute = SERVICE.distribute("distributed_epoch", service.target)
    with pytest.raises(tf.errors.NotFoundError, match=str(missing)):
        labels(dataset.apply(distribute))
    rest = [*range(NUM_EXAMPLES // 3), *range(2 * NUM_EXAMPLES // 3, NUM_EXAMPLES)]
    assert sorted(labels(dataset.ignore_errors().apply(distribute))) == rest


def test_the_error_of_a_dispatcher_that_is_gone_reaches_the_client(folder: Path) -> None:
    script = """
worker = start_worker(dispatcher_timeout_ms=5000)  # far more than any answer takes
iterator = iter(distributed(PcrDataset(sys.argv[1], 1, reads_in_flight=1)))
next(iterator)
dispatcher._stop()
try:
    for _ in iterator:
        pass
except tf.errors.DeadlineExceededError as error:
    print(error.message)
"""
    assert "asking the tf.data service for the next record: " in run_alone(script, str(folder))


def test_a_worker_that_reads_ahead_can_be_stopped_while_the_dispatcher_does_not_answer(
    folder: Path,
) -> None:
    script = """
worker = start_worker()
options = tf.data.Options()
options.experimental_optimization.inject_prefetch = False  # a buffer that grows
dataset = PcrDataset(sys.argv[1], 1, reads_in_flight=4).repeat().with_options(options)
opened = read_statistics()
iterator = iter(distributed(dataset).with_options(options))
next(iterator)
# It has opened the data set, delivers from a record, and has four behind that: all buffers are
# full, and nobody will wait in vain for the reader, which asks for the next split once there is
# room for one.
while (read_statistics() - opened).reads < 1 + 1 + 4:
    time.sleep(0.001)
dispatcher._stop()
for _ in range(8):
    next(iterator)
del iterator
worker._stop()
print("stopped")
"""
    # Without an end to its question it would be stopped when that times out, after an hour.
    assert run_alone(script, str(folder)) == "stopped\n"


def test_a_split_that_names_no_record_of_the_workers_data_set_is_refused_with_the_reason(
    folder: Path, tmp_path: Path
) -> None:
    make_dataset(tmp_path / folder.name, EXAMPLES_PER_RECORD, EXAMPLES_PER_RECORD, num_shards=1)
    script = """
import subprocess
address = dispatcher.target.split("://")[1]
command = [sys.executable, "-c", sys.argv[1], address, sys.argv[2]]
worker = subprocess.Popen(
    command, cwd=sys.argv[3], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
try:
    worker.stdout.readline()
    for _ in distributed(PcrDataset("photos.pcr", 1)):
        pass
except tf.errors.InvalidArgumentError as error:
    print(error.message)
finally:
    worker.kill()
"""
    (port,) = free_ports(1)
    arguments = (_WORKER, str(port), str(tmp_path))
    said = run_alone(script, *arguments, cwd=folder.parent)
    assert "expected one of the 1 that photos.pcr/shard-00000-of-00001.pcr" in said
    assert "got 1; the dispatcher found another data set at this path" in said


def test_two_processes_of_a_strategy_read_an_epoch_between_them(folder: Path) -> None:
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    processes = []
    for index in range(2):
        config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        command = [sys.executable, "-c", _STRATEGY_WORKER, str(folder)]
        environment = {**os.environ, "TF_CONFIG": config, "CUDA_VISIBLE_DEVICES": ""}
        processes.append(
            subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    try:
        outputs = [process.communicate(timeout=HANG_S) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], outputs
    (first, first_bytes), (second, second_bytes) = (
        json.loads(output.splitlines()[-1]) for output, _ in outputs
    )
    for mine, theirs in zip(first, second, strict=True):
        assert sorted(mine + theirs) == list(range(NUM_EXAMPLES))
    assert first[0] != first[1]
    # Two epochs between them, not two each.
    assert first_bytes + second_bytes == 2 * open_dataset(folder).index.prefix_bytes(1)
