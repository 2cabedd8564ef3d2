"""The rest of an epoch, read by another number of readers than began it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from pcr_tf import _native
from pcr_tf.data import EpochProgress, PcrDataset
from tests.conversion import ROOT
from tests.reading import labels
from tests.small_dataset import make_dataset

NUM_EXAMPLES = 46
SHUFFLED: dict[str, Any] = {"scan_groups": 1, "shuffle": True, "seed": 11}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "photos.pcr"
    make_dataset(path, NUM_EXAMPLES, examples_per_record=4, num_shards=2)
    return path


# --- the order ----------------------------------------------------------------

Example = tuple[int, int]


def examples_of(counts: list[int], **arguments: Any) -> list[Example]:
    """(record, example) of all that a reader reads, in order."""
    return [
        (record, example)
        for record, first in _native.record_order(counts, **arguments)
        for example in range(first, counts[record])
    ]


@given(
    counts=st.lists(st.integers(1, 6), max_size=20),
    stages=st.lists(st.tuples(st.integers(1, 6), st.floats(0, 1)), max_size=5),
    ended_by=st.integers(1, 6),
    order=st.fixed_dictionaries(
        {"shuffle": st.booleans(), "seed": st.integers(0, 2**64 - 1), "epoch": st.integers(0, 9)}
    ),
)
def test_no_example_is_lost_or_repeated_in_any_chain_of_interruptions(
    counts: list[int], stages: list[tuple[int, float]], ended_by: int, order: dict[str, Any]
) -> None:
    seen: list[Example] = []
    resume: list[tuple[int, int]] = []
    for readers, share in [*stages, (ended_by, 1.0)]:
        shares = [
            examples_of(counts, num_shards=readers, shard_index=reader, resume=resume, **order)
            for reader in range(readers)
        ]
        read_each = int(share * max(map(len, shares)))
        for examples in shares:
            seen += examples[:read_each]
        resume.append((readers, read_each))
    everything = [(record, n) for record, count in enumerate(counts) for n in range(count)]
    assert sorted(seen) == everything


@given(
    records=st.integers(0, 40),
    read=st.integers(0, 60),
    begun_by=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_equal_records_are_shared_evenly_again(
    records: int, read: int, begun_by: int, seed: int
) -> None:
    counts = [4] * records
    arguments = {"shuffle": True, "seed": seed, "num_shards": 3}
    shares = [
        len(
            examples_of(
                counts,
                shard_index=reader,
                resume=[(begun_by, min(read, 4 * -(-records // begun_by)))],
                **arguments,
            )
        )
        for reader in range(3)
    ]
    assert max(shares) - min(shares) <= 4


# --- the data set -------------------------------------------------------------


@pytest.mark.parametrize("ended_by", [1, 2, 3, 5])
@pytest.mark.parametrize("begun_by", [1, 2, 4])
def test_the_rest_of_an_epoch_is_read_by_any_number_of_readers(
    folder: Path, begun_by: int, ended_by: int
) -> None:
    read_each = 7
    seen: list[int] = []
    for reader in range(begun_by):
        begun = PcrDataset(folder, num_shards=begun_by, shard_index=reader, **SHUFFLED)
        seen += labels(begun.take(read_each))
    progress = EpochProgress(epoch=0, num_shards=begun_by, examples=read_each)
    for reader in range(ended_by):
        rest = PcrDataset(
            folder, num_shards=ended_by, shard_index=reader, resume=progress, **SHUFFLED
        )
        found = labels(rest)
        assert int(rest.cardinality()) == len(found)
        seen += found
    assert sorted(seen) == list(range(NUM_EXAMPLES))


@pytest.mark.parametrize("read", [0, 1, 4, 9, NUM_EXAMPLES])
def test_one_reader_goes_on_in_the_order_that_it_left(folder: Path, read: int) -> None:
    whole = labels(PcrDataset(folder, **SHUFFLED))
    rest = PcrDataset(folder, resume=EpochProgress(0, 1, read), **SHUFFLED)
    assert labels(rest) == whole[read:]
    assert labels(rest) == whole[read:]  # in every iteration


def test_a_later_epoch_is_resumed_and_the_epochs_after_it_follow(folder: Path) -> None:
    uninterrupted = labels(PcrDataset(folder, **SHUFFLED).repeat(5))
    epochs = [uninterrupted[NUM_EXAMPLES * e :][:NUM_EXAMPLES] for e in range(5)]
    rest = PcrDataset(folder, resume=EpochProgress(2, 1, 30), **SHUFFLED)
    later = PcrDataset(folder, first_epoch=3, **SHUFFLED)
    whole = rest.concatenate(later.repeat(2))
    assert int(whole.cardinality()) == NUM_EXAMPLES - 30 + 2 * NUM_EXAMPLES
    assert labels(whole) == epochs[2][30:] + epochs[3] + epochs[4]


def test_another_process_reads_the_same_rest(folder: Path) -> None:
    program = (
        "import sys\n"
        "from pcr_tf.data import EpochProgress, PcrDataset\n"
        "from tests.reading import labels\n"
        "rest = PcrDataset(sys.argv[1], 1, shuffle=True, seed=11, num_shards=2, shard_index=1,\n"
        "                  resume=EpochProgress(epoch=6, num_shards=3, examples=5))\n"
        "print(labels(rest))\n"
    )
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    progress = EpochProgress(epoch=6, num_shards=3, examples=5)
    rest = PcrDataset(folder, num_shards=2, shard_index=1, resume=progress, **SHUFFLED)
    assert done.stdout == f"{labels(rest)}\n"


def test_a_checkpoint_within_the_rest_is_exact(folder: Path, tmp_path: Path) -> None:
    progress = EpochProgress(epoch=1, num_shards=2, examples=6)
    rest = PcrDataset(folder, resume=progress, **SHUFFLED)
    everything = labels(rest)
    for read in (0, 1, 3, len(everything)):
        iterator = iter(rest)
        assert labels(next(iterator) for _ in range(read)) == everything[:read]
        path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / f"state-{read}"))
        fresh = iter(PcrDataset(folder, resume=progress, **SHUFFLED))
        tf.train.Checkpoint(iterator=fresh).restore(path)
        assert labels(fresh) == everything[read:]


def test_the_rest_of_a_rest_goes_on_in_the_order_that_one_reader_left(folder: Path) -> None:
    whole = labels(PcrDataset(folder, **SHUFFLED))
    stages = [EpochProgress(0, 1, 9), EpochProgress(0, 1, 14), EpochProgress(0, 1, 3)]
    for begun in range(4):
        rest = PcrDataset(folder, resume=stages[:begun] or None, **SHUFFLED)
        assert labels(rest) == whole[sum(stage.examples for stage in stages[:begun]) :]


def test_two_interruptions_with_other_numbers_of_readers_lose_and_repeat_nothing(
    folder: Path, tmp_path: Path
) -> None:
    seen: list[int] = []
    stages: list[EpochProgress] = []
    for readers, examples in ((3, 5), (2, 8), (4, 2), (2, NUM_EXAMPLES)):
        for reader in range(readers):
            rest = PcrDataset(
                folder, num_shards=readers, shard_index=reader, resume=stages or None, **SHUFFLED
            )
            seen += labels(rest.take(examples))
        stages.append(EpochProgress(0, readers, examples))
    assert sorted(seen) == list(range(NUM_EXAMPLES))
    # Within such a rest checkpoints are exact too.
    rest = PcrDataset(folder, resume=stages[:2], **SHUFFLED)
    iterator = iter(rest)
    begun = labels(next(iterator) for _ in range(5))
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    fresh = iter(PcrDataset(folder, resume=stages[:2], **SHUFFLED))
    tf.train.Checkpoint(iterator=fresh).restore(path)
    assert begun + labels(fresh) == labels(rest)
    other = iter(PcrDataset(folder, resume=stages[:3], **SHUFFLED))
    with pytest.raises(tf.errors.InvalidArgumentError, match="progresses in resume; expected 3"):
        tf.train.Checkpoint(iterator=other).restore(path)


def test_a_checkpoint_of_another_rest_is_refused(folder: Path, tmp_path: Path) -> None:
    saved = iter(PcrDataset(folder, resume=EpochProgress(1, 2, 6), **SHUFFLED))
    next(saved)
    path = tf.train.Checkpoint(iterator=saved).save(str(tmp_path / "state"))
    other = iter(PcrDataset(folder, resume=EpochProgress(1, 2, 7), **SHUFFLED))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="resume\\[0\\]\\.examples; expected 7, got 6"
    ):
        tf.train.Checkpoint(iterator=other).restore(path)


def test_the_tf_data_service_reads_the_rest_without_sharding(folder: Path) -> None:
    dispatcher = tf.data.experimental.service.DispatchServer()
    config = tf.data.experimental.service.WorkerConfig(dispatcher.target.split("://")[1])
    worker = tf.data.experimental.service.WorkerServer(config)
    rest = PcrDataset(folder, resume=EpochProgress(0, 2, 6), **SHUFFLED)
    service = tf.data.experimental.service
    read = rest.apply(service.distribute(service.ShardingPolicy.OFF, dispatcher.target))
    assert sorted(labels(read)) == sorted(labels(rest))
    split = rest.apply(service.distribute(service.ShardingPolicy.DYNAMIC, dispatcher.target))
    with pytest.raises(tf.errors.OpError, match="give its readers num_shards and shard_index"):
        labels(split)
    del worker


# --- what is refused ----------------------------------------------------------


def test_more_than_an_epoch_holds_is_refused(folder: Path) -> None:
    PcrDataset(folder, resume=EpochProgress(0, 2, 23), **SHUFFLED)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 23, got 24"):
        PcrDataset(folder, resume=EpochProgress(0, 2, 24), **SHUFFLED)


def test_more_than_was_left_is_refused_with_the_stage_that_says_so(folder: Path) -> None:
    begun = EpochProgress(0, 2, 20)
    PcrDataset(folder, resume=[begun, EpochProgress(0, 1, 6)], **SHUFFLED)
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"resume\[1\]: .* had read of what was left of the epoch; .*at most 6, got 7",
    ):
        PcrDataset(folder, resume=[begun, EpochProgress(0, 1, 7)], **SHUFFLED)


def test_progress_in_several_epochs_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"resume; expected progress in one epoch, .*\[3, 4\]"):
        PcrDataset(folder, resume=[EpochProgress(3, 1, 9), EpochProgress(4, 1, 0)])
    with pytest.raises(ValueError, match=r"resume; expected progress in one epoch, .*\[\]"):
        PcrDataset(folder, resume=[])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 1, 0), "epoch; expected 0 to .*got -1"),
        ((0, 0, 0), "num_shards; expected 1 to 1048576, got 0"),
        ((0, 1, -1), "examples; expected at least 0, got -1"),
    ],
)
def test_progress_out_of_range_is_refused(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EpochProgress(*arguments)


def test_progress_of_another_type_is_refused(folder: Path) -> None:
    with pytest.raises(TypeError, match=r"epoch; expected an integer, got 0\.5"):
        EpochProgress(0.5, 1, 0)  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match=r"resume; expected an EpochProgress or a list .*, got \(0, 1, 2\)"
    ):
        PcrDataset(folder, resume=(0, 1, 2))  # type: ignore[arg-type]


def test_a_first_epoch_beside_progress_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="first_epoch; expected none beside resume"):
        PcrDataset(folder, first_epoch=2, resume=EpochProgress(1, 1, 0))
    with pytest.raises(ValueError, match=r"first_epoch; expected 0 to .*got -1"):
        PcrDataset(folder, first_epoch=-1)


def test_progress_of_a_shuffled_epoch_without_its_seed_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="seed; expected that of the readers that began the epoch"):
        PcrDataset(folder, shuffle=True, resume=EpochProgress(0, 1, 14))
    PcrDataset(folder, resume=EpochProgress(0, 1, 14))


def test_progress_takes_integers_of_any_kind() -> None:
    numbers: list[Any] = [np.int32(1), np.int64(2), tf.constant(3)]
    progress = EpochProgress(*numbers)
    assert progress == EpochProgress(1, 2, 3)
    assert type(progress.examples) is int
