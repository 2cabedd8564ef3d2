"""pcr_tf.Fidelity: a fidelity that changes while data sets are read."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import pcr_tf
from pcr_tf import _native
from pcr_tf.data import PcrDataset, image_batches
from pcr_tf.format import open_dataset
from tests.reading import image_of, label_of
from tests.small_dataset import make_dataset
from tests.waiting import HANG_S, patiently

NUM_EXAMPLES = 40
MIXTURE = {1: 0.5, 3: 0.3, 10: 0.2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of one example, so that an example's label is its record's ordinal."""
    path = tmp_path_factory.mktemp("small") / "photos.pcr"
    make_dataset(path, NUM_EXAMPLES, examples_per_record=1, num_shards=2)
    return path


@pytest.fixture(scope="module")
def groups_by_scans(folder: Path) -> dict[int, int]:
    scans = np.cumsum(open_dataset(folder).index.header.scans_per_group)
    return {int(end): groups for groups, end in enumerate(scans, start=1)}


class Groups:
    """How many scan groups an example holds."""

    def __init__(self, groups_by_scans: Mapping[int, int]) -> None:
        self._groups_by_scans = groups_by_scans

    def of(self, serialized: tf.Tensor) -> int:
        return self._groups_by_scans[len(_native.scan_ends(image_of(serialized)))]

    def of_all(self, examples: Iterable[tf.Tensor]) -> list[int]:
        return [self.of(serialized) for serialized in examples]

    def by_record(self, examples: Iterable[tf.Tensor]) -> dict[int, int]:
        return {label_of(serialized): self.of(serialized) for serialized in examples}


@pytest.fixture(scope="module")
def groups(groups_by_scans: dict[int, int]) -> Groups:
    return Groups(groups_by_scans)


def mix(value: int) -> int:
    """The first number of SplitMix64 in this state."""
    z = (value + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def draw(mixture: Mapping[int, float], seed: int, epoch: int, record: int) -> int:
    """The rule of docs/ORDER.md."""
    drawn = mix(mix(mix(seed % 2**64 ^ 0x6669646C69747921) ^ epoch) ^ record) >> 11
    total = 0.0
    for weight in mixture.values():
        total += weight
    below = 0.0
    for scan_groups, weight in mixture.items():
        below += weight
        if drawn < int(below / total * 2**53):
            return scan_groups
    return max(mixture)


# Changes while reading.


@pytest.mark.parametrize("reads_in_flight", [1, 4, 16])
def test_a_change_takes_effect_within_the_reads_in_flight(
    folder: Path, groups: Groups, reads_in_flight: int
) -> None:
    fidelity = pcr_tf.Fidelity(10)
    iterator = iter(PcrDataset(folder, fidelity, reads_in_flight=reads_in_flight))
    before = [next(iterator) for _ in range(5)]
    fidelity.set(2)
    after = groups.of_all(iterator)
    assert groups.of_all(before) == [10] * 5
    late = after.count(10)
    assert late <= reads_in_flight
    assert after == [10] * late + [2] * (NUM_EXAMPLES - 5 - late)


def test_a_record_in_delivery_keeps_its_fidelity(tmp_path: Path, groups: Groups) -> None:
    folder = tmp_path / "photos.pcr"
    make_dataset(folder, 12, examples_per_record=4, num_shards=1)
    fidelity = pcr_tf.Fidelity(10)
    iterator = iter(PcrDataset(folder, fidelity, reads_in_flight=1))
    seen = [groups.of(next(iterator))]
    fidelity.set(1)
    seen += groups.of_all(iterator)
    assert seen in ([10] * 4 + [1] * 8, [10] * 8 + [1] * 4)


def test_a_tf_function_sees_a_change_without_being_traced_again(
    folder: Path, groups: Groups
) -> None:
    fidelity = pcr_tf.Fidelity(10)
    traces = []

    @tf.function
    def step(iterator: Any) -> tf.Tensor:
        traces.append(1)
        return next(iterator)

    iterator = iter(PcrDataset(folder, fidelity, reads_in_flight=2))
    seen = [groups.of(step(iterator)) for _ in range(6)]
    fidelity.set(1)
    seen += [groups.of(step(iterator)) for _ in range(20)]
    assert len(traces) == 1
    assert seen[:6] == [10] * 6
    assert seen[8:] == [1] * 18


def test_a_data_set_made_inside_a_tf_function_obeys(folder: Path) -> None:
    fidelity = pcr_tf.Fidelity(10)

    @tf.function
    def total_bytes() -> tf.Tensor:
        total = 0
        for serialized in PcrDataset(folder, fidelity):
            total += tf.strings.length(serialized)
        return total

    high = int(total_bytes())
    fidelity.set(1)
    low = int(total_bytes())
    lengths = [len(serialized.numpy()) for serialized in PcrDataset(folder, 1)]
    assert low == sum(lengths) < high
    assert total_bytes.experimental_get_tracing_count() == 1


class CountingTraces(keras.Sequential):
    """A model that knows how often its training step has been traced: Python runs then alone."""

    num_traces = 0

    def train_step(self, *arguments: Any) -> Any:
        self.num_traces += 1
        return super().train_step(*arguments)


def test_a_keras_callback_changes_it_in_the_middle_of_an_epoch(
    folder: Path, groups: Groups
) -> None:
    fidelity = pcr_tf.Fidelity(10)
    seen: list[int] = []

    def look(serialized: np.bytes_) -> np.ndarray:
        seen.append(groups.of(tf.constant(serialized)))
        return np.zeros([1], np.float32)

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        feature = tf.ensure_shape(tf.numpy_function(look, [serialized], tf.float32), [1])
        return feature, tf.zeros([1])

    dataset = PcrDataset(folder, fidelity, reads_in_flight=2).repeat(3).map(parse).batch(2)
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    model = CountingTraces([keras.layers.Input([1]), keras.layers.Dense(1)])
    model.compile(loss="mse", optimizer="sgd")
    traces_before: list[int] = []

    def change(batch: int, logs: object) -> None:
        if batch == 4:
            traces_before.append(model.num_traces)
            fidelity.set(1)

    lower = keras.callbacks.LambdaCallback(on_train_batch_end=change)
    model.fit(dataset.with_options(options), epochs=1, verbose=0, callbacks=[lower])
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 3 * NUM_EXAMPLES
    # The ten of five batches, reads in flight, and what fit() has prefetched.
    assert 10 <= seen.count(10) <= 10 + 2 + 16
    assert traces_before == [model.num_traces]
    assert model.num_traces >= 1


def test_several_data_sets_obey_one_handle_and_another_handle_is_another(
    folder: Path, groups: Groups
) -> None:
    training, validation = pcr_tf.Fidelity(5), pcr_tf.Fidelity(10)
    first, second = PcrDataset(folder, training), PcrDataset(folder, training, shuffle=True)
    other = PcrDataset(folder, validation)
    training.set(2)
    for dataset, expected in ((first, 2), (second, 2), (other, 10)):
        assert groups.of_all(dataset) == [expected] * NUM_EXAMPLES


def test_image_batches_obey_a_handle(folder: Path) -> None:
    fidelity = pcr_tf.Fidelity(10)
    batches = image_batches(
        folder, 32, 8, scan_groups=fidelity, training=False, image_feature="image/encoded"
    )
    full = [batch.numpy() for batch in batches]
    fidelity.set(1)
    low = [batch.numpy() for batch in batches]
    fixed = image_batches(
        folder, 32, 8, scan_groups=1, training=False, image_feature="image/encoded"
    )
    for got, expected, high in zip(low, fixed, full, strict=True):
        np.testing.assert_array_equal(got, expected)
        assert not np.array_equal(got, high)


def test_the_cardinality_is_that_of_a_fixed_fidelity(folder: Path) -> None:
    fidelity = pcr_tf.Fidelity({1: 0.5, 10: 0.5})
    dataset = PcrDataset(folder, fidelity, num_shards=3, shard_index=1)
    expected = PcrDataset(folder, 1, num_shards=3, shard_index=1).cardinality()
    assert dataset.cardinality() == expected
    fidelity.set(2)
    assert len(list(dataset)) == dataset.cardinality() == expected


def test_a_handle_may_end_before_the_data_sets_that_obey_it(folder: Path, groups: Groups) -> None:
    fidelity = pcr_tf.Fidelity(10)
    dataset = PcrDataset(folder, fidelity)
    fidelity.set(3)
    del fidelity
    gc.collect()
    assert groups.of_all(dataset) == [3] * NUM_EXAMPLES


def test_threads_may_set_it_while_others_read(folder: Path, groups: Groups) -> None:
    fidelity = pcr_tf.Fidelity(10)
    done = threading.Event()

    def change(value: int) -> None:
        while not done.is_set():
            fidelity.set({1: 0.5, value: 0.5})

    threads = [threading.Thread(target=change, args=(value,)) for value in (2, 10)]
    for thread in threads:
        thread.start()
    seen = Counter(groups.of_all(PcrDataset(folder, fidelity).repeat(5)))
    done.set()
    for thread in threads:
        thread.join()
    assert set(seen) <= {1, 2, 10}
    assert seen.total() == 5 * NUM_EXAMPLES


# Mixtures.


@pytest.mark.parametrize("reads_in_flight", [1, 16])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_draws_of_a_mixture_follow_the_rule_at_any_number_of_reads_in_flight(
    folder: Path, groups: Groups, shuffle: bool, reads_in_flight: int
) -> None:
    dataset = PcrDataset(
        folder,
        pcr_tf.Fidelity(MIXTURE),
        shuffle=shuffle,
        seed=-7,
        reads_in_flight=reads_in_flight,
    )
    for epoch in range(3):
        expected = {record: draw(MIXTURE, -7, epoch, record) for record in range(NUM_EXAMPLES)}
        assert groups.by_record(dataset) == expected


def test_the_shares_of_a_mixture_are_as_asked(folder: Path, groups: Groups) -> None:
    epochs = 40
    dataset = PcrDataset(folder, pcr_tf.Fidelity(MIXTURE), shuffle=True, seed=3).repeat(epochs)
    counts = Counter(groups.of_all(dataset))
    total = epochs * NUM_EXAMPLES
    for scan_groups, share in MIXTURE.items():
        # Beyond four standard deviations: once in 16,000 seeds, and the seed is fixed.
        bound = 4 * (total * share * (1 - share)) ** 0.5
        assert abs(counts[scan_groups] - total * share) <= bound


def test_readers_that_share_an_epoch_draw_as_one_reader_would(folder: Path, groups: Groups) -> None:
    fidelity = pcr_tf.Fidelity(MIXTURE)
    drawn: dict[int, int] = {}
    for shard in range(3):
        part = PcrDataset(folder, fidelity, shuffle=True, seed=5, num_shards=3, shard_index=shard)
        drawn |= groups.by_record(part)
    assert drawn == groups.by_record(PcrDataset(folder, fidelity, shuffle=True, seed=5))


def test_a_mixture_without_a_seed_or_shuffle_is_drawn_by_seed_0(
    folder: Path, groups: Groups
) -> None:
    drawn = groups.of_all(PcrDataset(folder, pcr_tf.Fidelity(MIXTURE)))
    assert drawn == [draw(MIXTURE, 0, 0, record) for record in range(NUM_EXAMPLES)]


# Checkpoints.


@pytest.mark.parametrize("stop_after", [0, 1, 7, 39, 40, 55, 80])
def test_a_restored_iterator_delivers_what_the_saved_one_would_have(
    folder: Path, tmp_path: Path, stop_after: int
) -> None:
    fidelity = pcr_tf.Fidelity(10)

    def make() -> tf.data.Dataset:
        return PcrDataset(folder, fidelity, shuffle=True, seed=5, reads_in_flight=3).repeat(2)

    iterator = iter(make())
    # The change falls into the reads in flight: some wait at the old value, some at the new.
    for n in range(stop_after):
        next(iterator)
        if n == max(stop_after - 3, 0):
            fidelity.set(MIXTURE)
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    rest = [serialized.numpy() for serialized in iterator]
    restored = iter(make())
    tf.train.Checkpoint(iterator=restored).restore(path).assert_consumed()
    assert [serialized.numpy() for serialized in restored] == rest


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_mixture_goes_on_exactly_after_a_restore(
    folder: Path, tmp_path: Path, shuffle: bool, symbolic: bool
) -> None:
    options = tf.data.Options()
    options.experimental_symbolic_checkpoint = symbolic

    def make(seed: int) -> tf.data.Dataset:
        # Another program: another handle; the checkpoint brings the seed.
        dataset = PcrDataset(folder, pcr_tf.Fidelity(MIXTURE), shuffle=shuffle, seed=seed)
        return dataset.repeat(2).with_options(options)

    iterator = iter(make(5))
    for _ in range(NUM_EXAMPLES - 10):
        next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    rest = [serialized.numpy() for serialized in iterator]
    restored = iter(make(99))
    tf.train.Checkpoint(iterator=restored).restore(path).assert_consumed()
    assert [serialized.numpy() for serialized in restored] == rest


def test_what_was_requested_keeps_its_fidelity_and_what_comes_after_obeys_the_handle(
    folder: Path, tmp_path: Path, groups: Groups
) -> None:
    fidelity = pcr_tf.Fidelity(10)
    iterator = iter(PcrDataset(folder, fidelity, reads_in_flight=4))
    for _ in range(6):
        next(iterator)
    restored: Any = None
    # Requests are made by other threads: soon there are four.
    for _ in patiently():
        path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
        value_then = fidelity.value
        fidelity.set(1)
        restored = iter(PcrDataset(folder, fidelity, reads_in_flight=4))
        tf.train.Checkpoint(iterator=restored).restore(path)
        seen = groups.of_all(restored)
        assert seen == sorted(seen, reverse=True)
        assert len(seen) == NUM_EXAMPLES - 6
        if seen.count(10) == 4:
            break
        fidelity.set(value_then)
    assert seen == [10] * 4 + [1] * (NUM_EXAMPLES - 10)
    assert fidelity.value == 1


def test_a_handle_in_a_checkpoint_gets_its_value_back(tmp_path: Path) -> None:
    saved = pcr_tf.Fidelity({2: 0.1, 5: 0.2, 10: 0.7})
    path = tf.train.Checkpoint(fidelity=saved).save(str(tmp_path / "state"))
    saved.set(1)
    restored = pcr_tf.Fidelity(10)
    tf.train.Checkpoint(fidelity=restored).restore(path).assert_consumed()
    assert restored.value == {2: 0.1, 5: 0.2, 10: 0.7}


# Files.


def wait_for_a_look_to_be_due() -> None:
    """Outlasts a poll_interval_s of 0.01 s. A busy machine makes it longer, never shorter."""
    time.sleep(0.02)


def test_handles_of_one_file_are_one(folder: Path, tmp_path: Path, groups: Groups) -> None:
    path = tmp_path / "fidelity"
    writer = pcr_tf.Fidelity({2: 0.1, 10: 0.9}, path=path)
    assert path.read_text() == "pcr-fidelity 1\n2 0.1\n10 0.9\nend\n"
    reader = pcr_tf.Fidelity(path=path)
    values = [reader.value]
    dataset = PcrDataset(folder, reader)
    writer.set(4)
    values.append(reader.value)
    assert values == [{2: 0.1, 10: 0.9}, 4]
    assert groups.of_all(dataset) == [4] * NUM_EXAMPLES


def test_a_file_that_another_process_replaces_is_seen(
    folder: Path, tmp_path: Path, groups: Groups
) -> None:
    path = tmp_path / "fidelity"
    fidelity = pcr_tf.Fidelity(10, path=path, poll_interval_s=0.01)
    iterator = iter(PcrDataset(folder, fidelity, reads_in_flight=2).repeat())
    assert groups.of(next(iterator)) == 10
    replacement = tmp_path / "replacement"
    replacement.write_text("pcr-fidelity 1\n1 1\nend\n")
    replacement.rename(path)
    for _ in patiently():
        if groups.of(next(iterator)) != 10:
            break
    assert groups.of(next(iterator)) == 1
    assert fidelity.value == 1


@pytest.mark.parametrize("content", [None, "", "pcr-fidelity 1\n1 1\n", "pcr-fidelity 1\n1 2\nend"])
def test_a_file_that_cannot_be_read_leaves_the_last_value_in_force(
    folder: Path, tmp_path: Path, groups: Groups, content: str | None
) -> None:
    path = tmp_path / "fidelity"
    fidelity = pcr_tf.Fidelity(10, path=path, poll_interval_s=0.01)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    wait_for_a_look_to_be_due()
    assert groups.of_all(PcrDataset(folder, fidelity)) == [10] * NUM_EXAMPLES
    assert fidelity.value == 10


def test_a_file_is_not_looked_at_for_each_record(
    folder: Path, tmp_path: Path, groups: Groups
) -> None:
    path = tmp_path / "fidelity"
    dataset = PcrDataset(folder, pcr_tf.Fidelity(1, path=path, poll_interval_s=1000))
    path.write_text("pcr-fidelity 1\n10 1\nend\n")
    assert groups.of_all(dataset) == [1] * NUM_EXAMPLES


def test_looks_at_a_file_do_not_count_among_the_reads_of_data_sets(
    folder: Path, tmp_path: Path
) -> None:
    fidelity = pcr_tf.Fidelity(1, path=tmp_path / "fidelity", poll_interval_s=0.01)
    dataset = PcrDataset(folder, fidelity, reads_in_flight=1)
    before = pcr_tf.data.read_statistics()
    for number, _ in enumerate(dataset):
        if number % 10 == 0:
            wait_for_a_look_to_be_due()
    used = pcr_tf.data.read_statistics() - before
    assert used.reads == NUM_EXAMPLES
    assert used.bytes == open_dataset(folder).index.prefix_bytes(1)


def test_a_file_that_asks_for_more_groups_than_there_are_costs_no_example(
    folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "fidelity"
    fidelity = pcr_tf.Fidelity(1, path=path, poll_interval_s=0.01)
    iterator = iter(PcrDataset(folder, fidelity))
    path.write_text("pcr-fidelity 1\n20 1\nend\n")
    wait_for_a_look_to_be_due()
    assert [example.numpy() for example in iterator] == [
        example.numpy() for example in PcrDataset(folder, 10)
    ]


def test_a_data_set_looks_at_the_file_when_it_is_made(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "fidelity"
    fidelity = pcr_tf.Fidelity(1, path=path, poll_interval_s=0.01)
    for text, accepted in (("20 1", False), ("2 1", True)):
        path.write_text(f"pcr-fidelity 1\n{text}\nend\n")
        wait_for_a_look_to_be_due()
        if accepted:
            assert len(list(PcrDataset(folder, fidelity))) == NUM_EXAMPLES
        else:
            with pytest.raises(tf.errors.InvalidArgumentError, match="expected 1 to 10, got 20"):
                PcrDataset(folder, fidelity)


def test_a_file_that_is_no_fidelity_or_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "fidelity"
    with pytest.raises(FileNotFoundError, match=str(path)):
        pcr_tf.Fidelity(path=path)
    path.write_text("10")
    with pytest.raises(ValueError, match=f"{path}: .*first line; expected pcr-fidelity 1, got 10"):
        pcr_tf.Fidelity(path=path)
    with pytest.raises(OSError, match="no-folder"):
        pcr_tf.Fidelity(10, path=tmp_path / "no-folder" / "fidelity")


# Other processes.


def test_a_graph_in_a_process_without_its_handle_says_what_to_do(
    folder: Path, tmp_path: Path
) -> None:
    graph = tmp_path / "graph"
    dataset = PcrDataset(folder, pcr_tf.Fidelity(10))
    graph.write_bytes(dataset._as_serialized_graph().numpy())
    script = f"""
import pcr_tf.data
import tensorflow as tf
pcr_tf.Fidelity(1)  # the first of this process, too
graph = tf.constant(open({str(graph)!r}, "rb").read())
try:
    tf.raw_ops.DatasetFromGraph(graph_def=graph)
except tf.errors.FailedPreconditionError as error:
    print("refused:", error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=HANG_S
    )
    assert "refused:" in done.stdout
    assert "pcr_tf.Fidelity(value, path=...)" in done.stdout


def test_the_service_in_one_process_draws_as_a_reader_without_it_would(
    folder: Path, groups: Groups
) -> None:
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer()
    address = dispatcher.target.split("://")[1]
    worker = service.WorkerServer(service.WorkerConfig(dispatcher_address=address))
    dataset = PcrDataset(folder, pcr_tf.Fidelity(MIXTURE), shuffle=True, seed=5).repeat(2)
    shared = dataset.apply(service.distribute("distributed_epoch", dispatcher.target))
    drawn = Counter((label_of(serialized), groups.of(serialized)) for serialized in shared)
    expected = Counter(
        (record, draw(MIXTURE, 5, epoch, record))
        for epoch in range(2)
        for record in range(NUM_EXAMPLES)
    )
    assert drawn == expected
    del worker


# Errors.


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "value; expected 1 to 100, got 0"),
        (101, ValueError, "value; expected 1 to 100, got 101"),
        (True, TypeError, "value; expected an integer, got True"),
        (2.0, TypeError, "value; expected an integer or a mixture"),
        ("2", TypeError, "value; expected an integer or a mixture"),
        ([2, 10], TypeError, "value; expected an integer or a mixture"),
        ({}, ValueError, "at least one number of scan groups"),
        ({0: 1.0}, ValueError, "value: scan groups; expected 1 to 100, got 0"),
        ({True: 1.0}, TypeError, "value: scan groups; expected an integer, got True"),
        ({2: 0.8, 10: 0.1}, ValueError, "sum to 1"),
        ({2: 1.0, 10: 0.0}, ValueError, "probability of 10 scan groups; expected a number above 0"),
        ({2: 1.5, 10: -0.5}, ValueError, "probability of 2 scan groups"),
        ({2: float("nan")}, ValueError, "probability of 2 scan groups"),
        ({2: float("inf")}, ValueError, "probability of 2 scan groups"),
        ({2: "1"}, TypeError, "probability of 2 scan groups; expected a number, got '1'"),
        ({2: True}, TypeError, "probability of 2 scan groups"),
    ],
)
def test_a_value_that_is_none_is_refused_and_changes_nothing(
    value: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        pcr_tf.Fidelity(value)
    fidelity = pcr_tf.Fidelity(7)
    with pytest.raises(error, match=message):
        fidelity.set(value)
    assert fidelity.value == 7


def test_values_of_numpy_are_taken_and_a_mixture_of_one_is_a_number() -> None:
    values: list[tuple[Any, Any]] = [
        (np.int32(3), 3),
        ({np.int64(10): np.float32(0.25), 2: np.float64(0.75)}, {2: 0.75, 10: 0.25}),
        ({5: 1.0}, 5),
    ]
    fidelity = pcr_tf.Fidelity(1)
    for value, expected in values:
        fidelity.set(value)
        assert fidelity.value == expected
        assert type(fidelity.value) is type(expected)
    assert repr(fidelity) == "Fidelity(5)"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "value; expected scan groups or a mixture of them, got None"),
        ({"value": 2, "path": 3}, TypeError, "path; expected the path of a file, got 3"),
        ({"value": 2, "path": b"x"}, TypeError, "path; expected the path of a file"),
        ({"value": 2, "path": ""}, ValueError, "path; expected the path of a file, got ''"),
        ({"value": 2, "path": "x", "poll_interval_s": 0}, ValueError, "0.01 to 86400 seconds"),
        ({"value": 2, "path": "x", "poll_interval_s": "1"}, TypeError, "a number of seconds"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        pcr_tf.Fidelity(**arguments)


def test_more_scan_groups_than_a_data_set_has_are_refused(folder: Path) -> None:
    fidelity = pcr_tf.Fidelity(11)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"photos.pcr.*1 to 10, got 11"):
        PcrDataset(folder, fidelity)
    fidelity.set(10)
    dataset = PcrDataset(folder, fidelity)
    assert fidelity.num_scan_groups == 10
    with pytest.raises(ValueError, match=r"at most the 10 scan groups of .*photos.pcr.*got 11"):
        fidelity.set(11)
    assert fidelity.value == 10
    del dataset
    gc.collect()
    assert fidelity.num_scan_groups is None
    fidelity.set(11)


def test_a_set_while_a_function_is_traced_is_refused() -> None:
    fidelity = pcr_tf.Fidelity(10)

    @tf.function
    def step() -> None:
        fidelity.set(2)

    with pytest.raises(RuntimeError, match="Keras callback"):
        step()
    assert fidelity.value == 10


def test_the_name_in_the_package_is_that_of_the_data_part() -> None:
    assert pcr_tf.Fidelity is pcr_tf.data.Fidelity
    assert "Fidelity" in dir(pcr_tf)
