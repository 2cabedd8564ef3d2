"""PcrDataset shared by several consumers: the tf.data service and distribution strategies."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf

from pcr_tf.data import PcrDataset
from pcr_tf.format import open_dataset
from tests.conversion import ROOT
from tests.reading import labels
from tests.small_dataset import make_dataset
from tests.waiting import HANG_S

NUM_EXAMPLES = 26


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "photos.pcr"
    make_dataset(path, NUM_EXAMPLES, examples_per_record=4, num_shards=2)
    return path


@contextlib.contextmanager
def tf_data_service(num_workers: int) -> Iterator[str]:
    """A dispatcher and workers of the tf.data service; yields the address."""
    dispatcher = tf.data.experimental.service.DispatchServer()
    address = dispatcher.target.split("://")[1]
    config = tf.data.experimental.service.WorkerConfig(dispatcher_address=address)
    workers = [tf.data.experimental.service.WorkerServer(config) for _ in range(num_workers)]
    yield dispatcher.target
    del workers


def one_worker() -> contextlib.AbstractContextManager[str]:
    """A service whose examples come as they were dealt out."""
    return tf_data_service(1)


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with tf_data_service(2) as target:
        yield target


def distribute(dataset: tf.data.Dataset, mode: object, service: str) -> tf.data.Dataset:
    transformation = tf.data.experimental.service.distribute(mode, service)
    return dataset.apply(transformation)


def test_distributed_epoch_gives_every_example_once(folder: Path, service: str) -> None:
    dataset = PcrDataset(folder, 1, shuffle=True, seed=4)
    together = labels(distribute(dataset, "distributed_epoch", service))
    assert sorted(together) == list(range(NUM_EXAMPLES))


def test_a_repeated_distributed_epoch_gives_every_example_once_in_each(
    folder: Path, service: str
) -> None:
    dataset = PcrDataset(folder, 1, shuffle=True, seed=4).repeat(2)
    together = labels(distribute(dataset, "distributed_epoch", service))
    assert sorted(together) == sorted(list(range(NUM_EXAMPLES)) * 2)


def test_a_repeated_distributed_epoch_is_dealt_out_in_the_order_of_each_epoch_of_the_seed(
    folder: Path,
) -> None:
    dataset = PcrDataset(folder, 1, shuffle=True, seed=4).repeat(3)
    with one_worker() as service:
        dealt = labels(distribute(dataset, "distributed_epoch", service))
    epochs = [dealt[n : n + NUM_EXAMPLES] for n in range(0, len(dealt), NUM_EXAMPLES)]
    alone = PcrDataset(folder, 1, shuffle=True, seed=4)
    assert epochs == [labels(alone) for _ in range(3)]
    assert len(set(map(tuple, epochs))) == 3


def test_each_iteration_behind_distribute_begins_anew_at_first_epoch(
    folder: Path,
) -> None:
    dataset = PcrDataset(folder, 1, shuffle=True, seed=4, first_epoch=2)
    with one_worker() as service:
        distributed = distribute(dataset, "distributed_epoch", service)
        iterations = [labels(distributed) for _ in range(2)]
    assert iterations == [labels(PcrDataset(folder, 1, shuffle=True, seed=4, first_epoch=2))] * 2


@pytest.mark.parametrize("nested", [False, True])
def test_iterations_and_epochs_of_a_server_in_the_clients_process_are_not_those_of_the_client(
    folder: Path, nested: bool
) -> None:
    def make() -> tf.data.Dataset:
        if nested:
            epochs = tf.data.Dataset.range(2)
            return epochs.flat_map(lambda _: PcrDataset(folder, 1, shuffle=True, seed=4))
        return PcrDataset(folder, 1, shuffle=True, seed=4).repeat(2)

    dataset = make()
    expected = labels(dataset)
    assert labels(dataset) != expected  # the client goes on with its third epoch
    with one_worker() as service:
        distributed = distribute(dataset, "parallel_epochs", service)
        assert [labels(distributed) for _ in range(2)] == [expected] * 2
        again = distribute(make(), "parallel_epochs", service)
        assert labels(again) == expected


@pytest.mark.parametrize("policy", ["DYNAMIC", "OFF"])
def test_sharding_policies_give_whole_epochs(folder: Path, service: str, policy: str) -> None:
    mode = getattr(tf.data.experimental.service.ShardingPolicy, policy)
    together = labels(distribute(PcrDataset(folder, 2), mode, service))
    epochs = {"DYNAMIC": 1, "OFF": 2}[policy]  # OFF: each of the two workers reads it all
    assert sorted(together) == sorted(list(range(NUM_EXAMPLES)) * epochs)


def test_parallel_epochs_gives_an_epoch_for_each_worker(folder: Path, service: str) -> None:
    together = labels(distribute(PcrDataset(folder, 1), "parallel_epochs", service))
    assert sorted(together) == sorted(list(range(NUM_EXAMPLES)) * 2)


def test_a_mirrored_strategy_sees_every_example_once(folder: Path) -> None:
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    dataset = PcrDataset(folder, 1).batch(4)
    seen = [
        serialized
        for batch in strategy.experimental_distribute_dataset(dataset)
        for serialized in strategy.experimental_local_results(batch)[0]
    ]
    assert labels(seen) == list(range(NUM_EXAMPLES))


# One epoch by a strategy of two devices; prints what each replica was given and what was read.
_TWO_DEVICES = """
import json, sys
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
two = [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
tf.config.set_logical_device_configuration(cpu, two)
from pcr_tf.data import PcrDataset, read_statistics
from tests.reading import label_of
strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
dataset = PcrDataset(sys.argv[1], 1)
opened = read_statistics()
replicas = [[] for _ in range(strategy.num_replicas_in_sync)]
for batch in strategy.experimental_distribute_dataset(dataset.batch(4)):
    for replica, part in zip(replicas, strategy.experimental_local_results(batch), strict=True):
        replica += [label_of(serialized) for serialized in part]
used = read_statistics() - opened
print(json.dumps([replicas, used.reads, used.bytes]))
"""


def test_two_devices_of_a_mirrored_strategy_read_an_epoch_between_them(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _TWO_DEVICES, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert done.returncode == 0, done.stderr
    (first, second), reads, read_bytes = json.loads(done.stdout.splitlines()[-1])
    assert first
    assert second
    assert sorted(first + second) == list(range(NUM_EXAMPLES))
    index = open_dataset(folder).index
    assert (reads, read_bytes) == (index.num_records, index.prefix_bytes(1))
