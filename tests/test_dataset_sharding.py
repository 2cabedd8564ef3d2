"""Shares of a data set: read once between all readers, or refused, whoever deals them out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.python.distribute import input_ops

from pcr_tf.data import PcrDataset, image_batches
from tests.conversion import ROOT
from tests.reading import labels
from tests.servers import free_ports
from tests.small_dataset import make_dataset

NUM_EXAMPLES = 53
AutoShardPolicy = tf.data.experimental.AutoShardPolicy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "photos.pcr"
    make_dataset(path, NUM_EXAMPLES, examples_per_record=3, num_shards=2)
    return path


def sharded_by_tf(dataset: tf.data.Dataset, index: int, num_workers: int = 2) -> tf.data.Dataset:
    """What a strategy gives one of its workers of a data set that it is given."""
    return input_ops.auto_shard_dataset(dataset, num_workers, index)


def with_policy(dataset: tf.data.Dataset, policy: Any) -> tf.data.Dataset:
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = policy
    return dataset.with_options(options)


TRANSFORMATIONS: dict[str, Callable[[tf.data.Dataset], tf.data.Dataset]] = {
    "itself": lambda dataset: dataset,
    "map": lambda dataset: dataset.map(lambda serialized: serialized),
    "batch": lambda dataset: dataset.batch(4).unbatch(),
    "shuffle": lambda dataset: dataset.shuffle(20),
    "repeat": lambda dataset: dataset.repeat(1),
    "prefetch": lambda dataset: dataset.prefetch(2),
    "other options": lambda dataset: dataset.with_options(tf.data.Options()),
    "concatenate": lambda dataset: dataset.concatenate(dataset.take(0)),
    "concatenate behind": lambda dataset: dataset.take(0).concatenate(dataset),
    "sample_from_datasets": lambda dataset: tf.data.Dataset.sample_from_datasets(
        [dataset, dataset.take(0)], seed=1
    ),
    "zip": lambda dataset: tf.data.Dataset.zip(dataset, dataset).map(lambda first, _: first),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_a_share_is_not_sharded_again_whatever_is_made_of_it(name: str, folder: Path) -> None:
    together = []
    for index in range(2):
        share = PcrDataset(folder, 1, shuffle=True, seed=3, num_shards=2, shard_index=index)
        together += labels(sharded_by_tf(TRANSFORMATIONS[name](share), index))
    assert sorted(together) == list(range(NUM_EXAMPLES))


def test_a_share_of_image_batches_is_not_sharded_again(folder: Path) -> None:
    together = []
    for index in range(2):
        batches = image_batches(
            folder,
            8,
            4,
            label="image/class/label",
            seed=3,
            shuffle_buffer=9,
            num_shards=2,
            shard_index=index,
        )
        together += [int(label) for _, some in sharded_by_tf(batches, index) for label in some]
    assert sorted(together) == list(range(NUM_EXAMPLES))


def test_a_share_that_is_to_be_sharded_again_is_refused_with_the_remedy(folder: Path) -> None:
    share = PcrDataset(folder, 1, num_shards=2, shard_index=0)
    by_data = with_policy(share.batch(2), AutoShardPolicy.DATA)
    with pytest.raises(tf.errors.FailedPreconditionError, match=r"sharded again.*AutoShardPolicy"):
        list(sharded_by_tf(by_data, 0))
    # AUTO leaves the choice to tf.data, which finds that a share is not to be sharded.
    assert labels(sharded_by_tf(with_policy(share, AutoShardPolicy.AUTO), 0)) == labels(share)


def test_a_share_in_the_function_of_an_interleave_is_refused_where_tf_shards_the_whole(
    folder: Path,
) -> None:
    files = tf.data.Dataset.list_files(str(folder / "*.pcr"), shuffle=False)
    shares = files.interleave(lambda file: PcrDataset(file, 1, num_shards=2, shard_index=1))
    assert len(labels(shares)) < NUM_EXAMPLES
    with pytest.raises(tf.errors.FailedPreconditionError, match="sharded again"):
        labels(sharded_by_tf(shares, 0))


def test_a_share_can_be_sharded_further_by_the_user(folder: Path) -> None:
    shares = [PcrDataset(folder, 1, num_shards=2, shard_index=index) for index in range(2)]
    parts = [share.shard(3, index) for share in shares for index in range(3)]
    together = [label for part in parts for label in labels(part)]
    assert sorted(together) == list(range(NUM_EXAMPLES))


def test_sharding_by_file_is_refused_with_the_remedy(folder: Path) -> None:
    dataset = with_policy(PcrDataset(folder, 1).map(lambda e: e).batch(2), AutoShardPolicy.FILE)
    with pytest.raises(
        tf.errors.NotFoundError, match="Give PcrDataset num_shards and shard_index instead"
    ):
        labels(sharded_by_tf(dataset, 0))


@pytest.mark.parametrize("policy", [AutoShardPolicy.AUTO, AutoShardPolicy.DATA])
def test_workers_of_one_seed_read_an_epoch_between_them_where_tf_shards(
    policy: Any, folder: Path
) -> None:
    datasets = [with_policy(PcrDataset(folder, 1, shuffle=True, seed=3), policy) for _ in range(2)]
    epochs = [
        [labels(sharded_by_tf(dataset, index)) for _ in range(2)]
        for index, dataset in enumerate(datasets)
    ]
    for mine, theirs in zip(*epochs, strict=True):
        assert sorted(mine + theirs) == list(range(NUM_EXAMPLES))


def test_image_batches_of_one_seed_are_read_between_workers_where_tf_shards(folder: Path) -> None:
    together = []
    for index in range(2):
        batches = image_batches(folder, 8, 1, label="image/class/label", seed=3, shuffle_buffer=9)
        together += [int(label[0]) for _, label in sharded_by_tf(batches, index)]
    assert sorted(together) == list(range(NUM_EXAMPLES))


def test_an_order_of_this_process_alone_is_refused_where_tf_shards(folder: Path) -> None:
    for dataset in (
        PcrDataset(folder, 1, shuffle=True),
        PcrDataset(folder, 1, shuffle=True).map(lambda serialized: serialized).batch(2),
        image_batches(folder, 8, 4),
    ):
        with pytest.raises(tf.errors.FailedPreconditionError, match="seed; expected one"):
            list(sharded_by_tf(dataset, 0))
    # Neither is one of a seed that TensorFlow made of how many ops the program has made before.
    tf.random.set_seed(7)
    try:
        dataset = PcrDataset(folder, 1, shuffle=True)
    finally:
        tf.compat.v1.set_random_seed(None)
    with pytest.raises(tf.errors.FailedPreconditionError, match="seed; expected one"):
        labels(sharded_by_tf(dataset, 0))


def test_records_in_the_order_of_the_files_need_no_seed_where_tf_shards(folder: Path) -> None:
    together = [
        label for index in range(2) for label in labels(sharded_by_tf(PcrDataset(folder, 1), index))
    ]
    assert sorted(together) == list(range(NUM_EXAMPLES))


@pytest.mark.parametrize("shuffle", [{}, {"seed": 4}])
def test_a_shuffle_before_the_shard_of_tf_is_refused_with_the_remedy(
    shuffle: dict[str, int], folder: Path
) -> None:
    dataset = PcrDataset(folder, 1, shuffle=True, seed=3).shuffle(20, **shuffle).batch(2)
    assert len(list(dataset)) == 27
    with pytest.raises(
        tf.errors.FailedPreconditionError, match=r"of files, num_shards and shard_index, by"
    ):
        list(sharded_by_tf(dataset, 0))
    # Who knows that all processes shuffle alike can say so.
    own = with_policy(dataset.shard(2, 0), AutoShardPolicy.OFF)
    assert len(list(own)) == 14


FUNCTIONS_AND_CHOICES: dict[str, Callable[[Path], tf.data.Dataset]] = {
    "interleave of files in a random order": lambda folder: tf.data.Dataset.list_files(
        str(folder / "*.pcr")
    ).interleave(lambda file: PcrDataset(file, 1, shuffle=True, seed=5)),
    "parallel interleave": lambda folder: tf.data.Dataset.list_files(
        str(folder / "*.pcr")
    ).interleave(lambda file: PcrDataset(file, 1), num_parallel_calls=2),
    "flat_map": lambda folder: tf.data.Dataset.list_files(str(folder / "*.pcr")).flat_map(
        lambda file: PcrDataset(file, 1).batch(2)
    ),
    "sample_from_datasets": lambda folder: tf.data.Dataset.sample_from_datasets(
        [PcrDataset(folder, 1), PcrDataset(folder, 1)]
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS_AND_CHOICES)
def test_what_processes_may_not_do_alike_is_refused_where_tf_shards_it(
    name: str, folder: Path
) -> None:
    with pytest.raises(
        tf.errors.FailedPreconditionError, match="give PcrDataset the list of files"
    ):
        list(sharded_by_tf(FUNCTIONS_AND_CHOICES[name](folder), 0))


def test_a_shard_of_the_user_is_not_sharded_again_by_tf(folder: Path) -> None:
    mine = PcrDataset(folder, 1).shard(2, 0)
    with pytest.raises(tf.errors.FailedPreconditionError, match="share it only once"):
        labels(sharded_by_tf(mine.batch(2), 0))
    off = with_policy(mine, AutoShardPolicy.OFF)
    assert len(labels(sharded_by_tf(off, 0))) == (NUM_EXAMPLES + 1) // 2


# Reads this worker's part of what a strategy makes of four data sets; for the last two, why not.
_WORKER = """
import json, sys
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
from pcr_tf.data import PcrDataset
from tests.reading import label_of
index = strategy.cluster_resolver.task_id
folder = sys.argv[1]
datasets = [
    PcrDataset(folder, 1, shuffle=True, seed=5, num_shards=2, shard_index=index).shuffle(9),
    PcrDataset(folder, 1, shuffle=True, seed=5),
    PcrDataset(folder, 1, shuffle=True),
    PcrDataset(folder, 1, shuffle=True, seed=5).shuffle(9),
]
local = strategy.experimental_local_results
read = []
for dataset in datasets:
    try:
        distributed = strategy.experimental_distribute_dataset(dataset.batch(2))
        read.append(
            [label_of(e) for batches in distributed for batch in local(batches) for e in batch])
    except tf.errors.FailedPreconditionError as error:
        read.append(error.message)
print(json.dumps(read))
"""


def test_two_processes_that_a_strategy_gives_a_data_set_read_it_between_them_or_are_told(
    folder: Path,
) -> None:
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    processes = []
    for index in range(2):
        config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        environment = {**os.environ, "TF_CONFIG": config, "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, "-c", _WORKER, str(folder)]
        pipe = subprocess.PIPE
        processes.append(
            subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True
            )
        )
    try:
        outputs = [process.communicate(timeout=600) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], outputs
    first, second = (json.loads(output.splitlines()[-1]) for output, _ in outputs)
    for mine, theirs in zip(first[:2], second[:2], strict=True):
        assert sorted(mine + theirs) == list(range(NUM_EXAMPLES))
    for refusals in (first[2:], second[2:]):
        assert "seed; expected one" in refusals[0]
        assert "of files, num_shards and shard_index, by" in refusals[1]
