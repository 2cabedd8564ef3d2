"""PcrDataset shared by several consumers: the tf.data service and distribution strategies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf

from pcr_tf.data import PcrDataset
from tests.small_dataset import make_dataset
from tests.test_dataset import labels

NUM_EXAMPLES = 26


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "photos.pcr"
    make_dataset(path, NUM_EXAMPLES, examples_per_record=4, num_shards=2)
    return path


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """A dispatcher and two workers of the tf.data service; yields the address."""
    dispatcher = tf.data.experimental.service.DispatchServer()
    address = dispatcher.target.split("://")[1]
    config = tf.data.experimental.service.WorkerConfig(dispatcher_address=address)
    workers = [tf.data.experimental.service.WorkerServer(config) for _ in range(2)]
    yield dispatcher.target
    del workers


def distribute(dataset: tf.data.Dataset, mode: object, service: str) -> tf.data.Dataset:
    transformation = tf.data.experimental.service.distribute(mode, service)
    return dataset.apply(transformation)


def test_distributed_epoch_gives_every_example_once(folder: Path, service: str) -> None:
    dataset = PcrDataset(folder, 1, shuffle=True, seed=4)
    together = labels(distribute(dataset, "distributed_epoch", service))
    assert sorted(together) == list(range(NUM_EXAMPLES))


def test_distributed_epoch_repeats_in_another_order(folder: Path, service: str) -> None:
    dataset = PcrDataset(folder, 1, shuffle=True, seed=4).repeat(2)
    together = labels(distribute(dataset, "distributed_epoch", service))
    assert sorted(together) == sorted(list(range(NUM_EXAMPLES)) * 2)


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
