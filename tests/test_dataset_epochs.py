"""Epochs of data sets that functions make: each iteration is one, wherever the data set is made."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from pcr_tf._op_library import load_op_library
from pcr_tf.data import Fidelity, PcrDataset, image_batches
from pcr_tf.format import open_dataset
from tests.conversion import ROOT
from tests.epoch_pipelines import NUM_FILES, PIPELINES, files_of, shuffled
from tests.reading import label_of, labels
from tests.small_dataset import make_dataset

NUM_EXAMPLES = 26


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "photos.pcr"
    make_dataset(path, NUM_EXAMPLES, examples_per_record=2, num_shards=NUM_FILES)
    return path


def epochs_of(values: list[int], num_epochs: int) -> list[list[int]]:
    """Splits what was read of whole epochs."""
    assert len(values) == num_epochs * NUM_EXAMPLES
    epochs = [values[n : n + NUM_EXAMPLES] for n in range(0, len(values), NUM_EXAMPLES)]
    assert all(sorted(epoch) == list(range(NUM_EXAMPLES)) for epoch in epochs)
    return epochs


def epochs_at_top(folder: Path, num_epochs: int, **options: Any) -> list[list[int]]:
    dataset = shuffled(folder, **options)
    return [labels(dataset) for _ in range(num_epochs)]


def test_each_element_of_a_flat_map_is_a_new_epoch_and_the_next_iteration_goes_on(
    folder: Path,
) -> None:
    nested = tf.data.Dataset.range(3).flat_map(lambda _: shuffled(folder))
    read = labels(nested) + labels(nested)
    assert epochs_of(read, 6) == epochs_at_top(folder, 6)


def test_a_flat_map_without_a_seed_gives_another_order_in_each_epoch(folder: Path) -> None:
    nested = tf.data.Dataset.range(3).flat_map(lambda _: PcrDataset(folder, 1, shuffle=True))
    epochs = epochs_of(labels(nested) + labels(nested), 6)
    assert len(set(map(tuple, epochs))) == 6


def test_first_epoch_of_a_nested_data_set_is_where_it_begins(folder: Path) -> None:
    nested = tf.data.Dataset.range(2).flat_map(lambda _: shuffled(folder, first_epoch=4))
    assert epochs_of(labels(nested), 2) == epochs_at_top(folder, 2, first_epoch=4)


def test_a_first_epoch_that_is_a_tensor_names_the_epoch_whatever_was_read_before(
    folder: Path,
) -> None:
    def both(epoch: tf.Tensor) -> tf.data.Dataset:
        return shuffled(folder, first_epoch=epoch).repeat(2)

    nested = tf.data.Dataset.from_tensor_slices([7, 2]).flat_map(both)
    at_top = epochs_at_top(folder, 9)
    expected = [at_top[7], at_top[8], at_top[2], at_top[3]]
    for _ in range(2):
        assert epochs_of(labels(nested), 4) == expected


def test_two_iterators_of_data_sets_that_a_tensor_names_do_not_disturb_one_another(
    folder: Path,
) -> None:
    nested = tf.data.Dataset.range(2).flat_map(lambda epoch: shuffled(folder, first_epoch=epoch))
    pairs = list(zip(labels_lazily(nested), labels_lazily(nested), strict=True))
    first, second = (list(values) for values in zip(*pairs, strict=True))
    assert first == second
    assert epochs_of(first, 2) == epochs_at_top(folder, 2)


def labels_lazily(dataset: tf.data.Dataset) -> Any:
    return (label_of(serialized) for serialized in dataset)


@pytest.mark.parametrize("value", [-1, 2**62])
def test_a_first_epoch_out_of_range_is_refused_also_as_a_tensor(folder: Path, value: int) -> None:
    with pytest.raises(ValueError, match="first_epoch; expected 0 to"):
        shuffled(folder, first_epoch=tf.constant(value, tf.int64))
    epochs = tf.data.Dataset.from_tensors(tf.constant(value, tf.int64))
    nested = epochs.flat_map(lambda epoch: shuffled(folder, first_epoch=epoch))
    with pytest.raises(tf.errors.InvalidArgumentError, match="first_epoch; expected 0 to"):
        labels(nested)


@pytest.mark.parametrize("value", [tf.constant(1.0), tf.constant([1, 2])])
def test_a_first_epoch_that_is_no_integer_is_refused(folder: Path, value: tf.Tensor) -> None:
    with pytest.raises(TypeError, match="first_epoch; expected a scalar integer"):
        shuffled(folder, first_epoch=value)


@pytest.mark.parametrize("num_parallel_calls", [None, 3])
def test_interleaved_files_come_in_a_new_order_in_each_epoch_that_the_seed_decides(
    folder: Path, num_parallel_calls: int | None
) -> None:
    def make() -> tf.data.Dataset:
        return files_of(folder).interleave(
            shuffled, cycle_length=3, num_parallel_calls=num_parallel_calls
        )

    dataset = make()
    epochs = epochs_of(labels(dataset) + labels(dataset.repeat(2)), 3)
    assert len(set(map(tuple, epochs))) == 3
    again = make()
    assert [labels(again) for _ in range(3)] == epochs
    # Of each file, the order in each epoch is that of a data set of the file alone.
    for path in sorted(folder.glob("*.pcr")):
        alone = shuffled(path)
        for epoch in epochs:
            expected = labels(alone)
            assert [value for value in epoch if value in expected] == expected


def test_epochs_of_the_same_files_in_a_parallel_interleave_are_named_or_refused(
    folder: Path,
) -> None:
    def interleaved(make: Callable[[tf.Tensor], tf.data.Dataset]) -> tf.data.Dataset:
        epochs = tf.data.Dataset.range(2)
        return epochs.interleave(make, cycle_length=2, block_length=100, num_parallel_calls=2)

    with pytest.raises(tf.errors.FailedPreconditionError, match=r"or give first_epoch a tensor"):
        labels(interleaved(lambda _: shuffled(folder)))
    # A fidelity that is the same for all epochs leaves nothing to decide.
    fidelity = Fidelity(1)
    assert len(labels(interleaved(lambda _: PcrDataset(folder, fidelity)))) == 2 * NUM_EXAMPLES
    named = interleaved(lambda epoch: shuffled(folder, first_epoch=epoch))
    assert epochs_of(labels(named), 2) == epochs_at_top(folder, 2)
    # Without a seed no order is promised; each epoch still has one of its own.
    drawn = interleaved(lambda _: PcrDataset(folder, 1, shuffle=True))
    assert len(set(map(tuple, epochs_of(labels(drawn), 2)))) == 2


def test_two_iterators_of_a_parallel_interleave_can_be_alive_at_once(folder: Path) -> None:
    dataset = files_of(folder).interleave(shuffled, cycle_length=2, num_parallel_calls=2)
    kept = iter(dataset)
    first = label_of(next(kept))
    assert sorted(labels(dataset)) == list(range(NUM_EXAMPLES))
    assert sorted([first, *labels(kept)]) == list(range(NUM_EXAMPLES))


def test_a_constant_first_epoch_in_a_function_names_the_epoch_as_any_tensor_does(
    folder: Path,
) -> None:
    nested = tf.data.Dataset.range(2).flat_map(
        lambda _: shuffled(folder, first_epoch=tf.constant(3))
    )
    assert epochs_of(labels(nested), 2) == epochs_at_top(folder, 1, first_epoch=3) * 2


def test_functions_of_two_programs_that_have_one_number_keep_their_own_seeds(folder: Path) -> None:
    def read(seed: int) -> list[int]:
        variant = load_op_library().pcr_dataset(
            paths=[str(folder)],
            scan_groups=1,
            shuffle=True,
            seed=seed,
            seed_is_private=False,
            seeded_shuffles=0,
            num_shards=1,
            shard_index=0,
            reads_in_flight=1,
            bytes_in_flight=1,
            shared_id="function of a loaded program",
            first_epoch=0,
            resume_num_shards=tf.zeros([0], tf.int64),
            resume_examples=tf.zeros([0], tf.int64),
            provenance=False,
            fidelity="",
            fidelity_poll_ms=0,
        )
        return labels(tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string)))

    assert [read(99), read(5)] == [
        labels(shuffled(folder, seed=99)),
        labels(shuffled(folder, seed=5)),
    ]


def test_a_data_set_made_inside_a_tf_function_goes_on_with_the_next_epoch_in_each_call(
    folder: Path,
) -> None:
    @tf.function
    def read() -> tf.Tensor:
        examples = tf.TensorArray(tf.string, 0, dynamic_size=True)
        for serialized in shuffled(folder):
            examples = examples.write(examples.size(), serialized)
        return examples.stack()

    values = list(itertools.chain.from_iterable(map(label_of, read()) for _ in range(3)))
    assert epochs_of(values, 3) == epochs_at_top(folder, 3)


def test_data_sets_of_two_functions_count_their_own_epochs(folder: Path) -> None:
    train, validation = (
        tf.data.Dataset.range(1).flat_map(lambda _: shuffled(folder)) for _ in range(2)
    )
    at_top = epochs_at_top(folder, 2)
    assert [labels(train), labels(validation), labels(train), labels(validation)] == [
        at_top[0],
        at_top[0],
        at_top[1],
        at_top[1],
    ]


def test_image_batches_in_a_flat_map_crop_anew_in_each_epoch_as_at_the_top(folder: Path) -> None:
    def make(**options: Any) -> tf.data.Dataset:
        return image_batches(folder, 16, 4, label="image/class/label", seed=3, **options)

    def epochs(dataset: tf.data.Dataset, count: int) -> list[list[bytes]]:
        batches = [images.numpy().tobytes() for images, _ in dataset]
        size = len(batches) // count
        return [batches[n * size : (n + 1) * size] for n in range(count)]

    dataset = make()
    at_top = [epochs(dataset, 1)[0] for _ in range(3)]
    nested = tf.data.Dataset.range(3).flat_map(lambda _: make())
    assert epochs(nested, 3) == at_top
    named = tf.data.Dataset.from_tensor_slices([2, 1]).flat_map(
        lambda epoch: make(first_epoch=epoch)
    )
    assert epochs(named, 2) == [at_top[2], at_top[1]]


@pytest.mark.parametrize("global_seed", [None, 0, 5])
def test_image_batches_with_a_shuffle_buffer_have_the_crops_of_the_epoch_that_a_tensor_names(
    folder: Path, global_seed: int | None
) -> None:
    def make(epoch: Any) -> tf.data.Dataset:
        return image_batches(folder, 16, 1, seed=3, first_epoch=epoch, shuffle_buffer=9)

    tf.compat.v1.set_random_seed(global_seed)
    try:
        buffered = tf.data.Dataset.range(2).flat_map(make)
        pixels = [images.numpy().tobytes() for images in buffered]
        expected = [[images.numpy().tobytes() for images in make(epoch)] for epoch in range(2)]
    finally:
        tf.compat.v1.set_random_seed(None)
    nested = pixels[:NUM_EXAMPLES], pixels[NUM_EXAMPLES:]
    assert [sorted(epoch) for epoch in nested] == [sorted(epoch) for epoch in expected]
    assert nested[0] == expected[0]


def test_a_mixture_of_fidelities_is_drawn_anew_in_each_epoch_of_a_nested_data_set(
    folder: Path,
) -> None:
    fidelity = Fidelity({1: 0.5, 4: 0.5})

    def sizes(dataset: tf.data.Dataset) -> list[int]:
        return [len(serialized.numpy()) for serialized in dataset]

    nested = tf.data.Dataset.range(3).flat_map(lambda _: PcrDataset(folder, fidelity))
    drawn = sizes(nested)
    at_top = PcrDataset(folder, fidelity)
    assert drawn == [size for _ in range(3) for size in sizes(at_top)]
    assert len({tuple(drawn[n : n + NUM_EXAMPLES]) for n in range(0, len(drawn), NUM_EXAMPLES)}) > 1


# Restores the iterator of a pipeline of this module in a new process and prints the rest of it.
_RESTORE = """
import sys
from pathlib import Path
import tensorflow as tf
from tests.epoch_pipelines import PIPELINES
from tests.reading import labels
name, folder, path = sys.argv[1:]
iterator = iter(PIPELINES[name](Path(folder)))
tf.train.Checkpoint(iterator=iterator).restore(path)
print("rest", labels(iterator))
"""


@pytest.mark.parametrize("name", PIPELINES)
def test_a_checkpoint_of_the_outer_iterator_goes_on_with_the_same_epochs(
    name: str, folder: Path, tmp_path: Path
) -> None:
    dataset = PIPELINES[name](folder)
    everything = labels(dataset)
    epochs_of(everything, 3)
    assert labels(dataset) != everything  # epochs 3 to 5
    iterator = iter(PIPELINES[name](folder))
    read: list[int] = []
    for stop in (1, NUM_EXAMPLES - 1, NUM_EXAMPLES, NUM_EXAMPLES + 7, 3 * NUM_EXAMPLES - 1):
        read += [label_of(next(iterator)) for _ in range(stop - len(read))]
        path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / f"state-{stop}"))
        # What this process has counted since is not what the restored iterator goes by.
        restored = iter(PIPELINES[name](folder))
        for _ in range(3):
            next(restored)
        restored = iter(PIPELINES[name](folder))
        tf.train.Checkpoint(iterator=restored).restore(path)
        assert read + labels(restored) == everything, stop


def inner_batch(folder: Path, epoch: tf.Tensor) -> tf.data.Dataset:
    return shuffled(folder, first_epoch=epoch).batch(4).unbatch()


def inner_parallel_interleave(folder: Path, epoch: tf.Tensor) -> tf.data.Dataset:
    return files_of(folder).interleave(
        lambda file: shuffled(file, first_epoch=epoch), cycle_length=4, num_parallel_calls=4
    )


@pytest.mark.parametrize("inner", [inner_batch, inner_parallel_interleave])
def test_what_buffers_in_the_function_have_drained_is_restored_where_a_tensor_names_the_epoch(
    folder: Path, tmp_path: Path, inner: Callable[[Path, tf.Tensor], tf.data.Dataset]
) -> None:
    def make() -> tf.data.Dataset:
        return tf.data.Dataset.range(3).flat_map(lambda epoch: inner(folder, epoch))

    everything = labels(make())
    assert len(set(map(tuple, epochs_of(everything, 3)))) == 3
    for stop in range(0, len(everything), 5):
        iterator = iter(make())
        for _ in range(stop):
            next(iterator)
        path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
        restored = iter(make())
        tf.train.Checkpoint(iterator=restored).restore(path)
        assert labels(restored) == everything[stop:], stop


@pytest.mark.parametrize("name", ["flat_map", "interleave"])
def test_a_new_process_goes_on_with_the_epochs_of_a_checkpoint_of_the_outer_iterator(
    name: str, folder: Path, tmp_path: Path
) -> None:
    iterator = iter(PIPELINES[name](folder))
    for _ in range(NUM_EXAMPLES + 9):
        next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    command = [sys.executable, "-c", _RESTORE, name, str(folder), path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"rest {labels(iterator)}" in done.stdout


def test_an_iterator_restored_in_its_own_process_goes_on_with_the_epochs_it_had_ahead(
    folder: Path, tmp_path: Path
) -> None:
    def make() -> tf.data.Dataset:
        return shuffled(folder).repeat(3)

    dataset = make()
    iterator = iter(dataset)
    next(iterator)
    other = iter(dataset)
    next(other)  # takes the next epoch, before the checkpoint
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    rest = labels(iterator)
    restored = iter(make())
    tf.train.Checkpoint(iterator=restored).restore(path)
    assert labels(restored) == rest


def test_over_many_nested_epochs_every_record_comes_first(folder: Path) -> None:
    nested = tf.data.Dataset.range(300).flat_map(lambda _: shuffled(folder).take(1))
    assert len(set(labels(nested))) == open_dataset(folder).index.num_records


def test_equal_data_sets_share_a_snapshot(folder: Path, tmp_path: Path) -> None:
    def snapshot() -> list[int]:
        return labels(shuffled(folder).snapshot(str(tmp_path / "snapshot")))

    first = snapshot()
    assert snapshot() == first  # not the next epoch's order: it was read from the snapshot
    assert len([path for path in (tmp_path / "snapshot").iterdir() if path.is_dir()]) == 1
