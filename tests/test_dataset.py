"""PcrDataset as users meet it: a drop-in for TFRecordDataset, at any fidelity."""

from __future__ import annotations

import contextlib
import linecache
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pcr_tf import _native
from pcr_tf.data import EpochProgress, PcrDataset, image_batches
from pcr_tf.format import PcrReader, open_dataset, write_side_index
from tests.reading import image_of, label_of, labels
from tests.small_dataset import make_dataset, make_examples

NUM_EXAMPLES = 26  # in two shards of 13, so that each ends with a record that is not full
EXAMPLES_PER_RECORD = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "photos.pcr"
    make_dataset(path, NUM_EXAMPLES, EXAMPLES_PER_RECORD, num_shards=2)
    return path


@pytest.fixture
def no_global_seed() -> Iterator[None]:
    """None before the test, and what it sets is not left behind."""
    tf.random.set_seed(None)
    yield
    tf.random.set_seed(None)


def test_all_examples_come_in_the_order_of_the_files(folder: Path) -> None:
    assert labels(PcrDataset(folder)) == list(range(NUM_EXAMPLES))


def test_at_full_fidelity_coefficients_equal_the_source(folder: Path) -> None:
    for serialized, source in zip(PcrDataset(folder), make_examples(NUM_EXAMPLES), strict=True):
        original = tf.train.Example.FromString(source).features.feature["image/encoded"]
        assert _native.same_coefficients(image_of(serialized), original.bytes_list.value[0]) == ""


def test_features_other_than_the_image_are_those_of_the_source(folder: Path) -> None:
    serialized = next(iter(PcrDataset(folder, scan_groups=1)))
    features = tf.train.Example.FromString(serialized.numpy()).features.feature
    assert set(features) == {"image/encoded", "image/class/label", "image/filename"}
    assert features["image/filename"].bytes_list.value == [b"photo-0000.jpg"]


@pytest.mark.parametrize("scan_groups", [1, 2, 5, 9])
def test_a_lower_fidelity_holds_the_scans_of_its_groups_and_decodes(
    folder: Path, scan_groups: int
) -> None:
    scans = sum(open_dataset(folder).index.header.scans_per_group[:scan_groups])
    for serialized in PcrDataset(folder, scan_groups=scan_groups).take(3):
        jpeg = image_of(serialized)
        assert len(_native.scan_ends(jpeg)) == scans
        assert tf.io.decode_jpeg(jpeg, channels=3).shape == (48, 64, 3)


@pytest.mark.parametrize("scan_groups", [1, 3, 10])
def test_examples_are_those_of_the_reader_without_tensorflow(
    folder: Path, scan_groups: int
) -> None:
    with_tensorflow = [serialized.numpy() for serialized in PcrDataset(folder, scan_groups)]
    assert with_tensorflow == list(PcrReader(folder).examples(scan_groups))


def test_a_parse_fn_written_for_tfrecords_works_unchanged(folder: Path, tmp_path: Path) -> None:
    tfrecord = str(tmp_path / "photos.tfrecord")
    with tf.io.TFRecordWriter(tfrecord) as writer:
        for example in make_examples(NUM_EXAMPLES):
            writer.write(example)

    def parse_fn(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = {
            "image/encoded": tf.io.FixedLenFeature((), tf.string),
            "image/class/label": tf.io.FixedLenFeature((), tf.int64),
        }
        example = tf.io.parse_single_example(serialized, features)
        image = tf.io.decode_jpeg(example["image/encoded"], dct_method="INTEGER_ACCURATE")
        return image, example["image/class/label"]

    ours = PcrDataset(folder).map(parse_fn)
    theirs = tf.data.TFRecordDataset(tfrecord).map(parse_fn)
    assert ours.element_spec == theirs.element_spec
    for (image, label), (expected_image, expected_label) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(image, expected_image)
        assert label == expected_label


def test_the_same_order_at_any_number_of_reads_in_flight(folder: Path) -> None:
    orders = {
        tuple(labels(PcrDataset(folder, 1, shuffle=True, seed=5, reads_in_flight=reads)))
        for reads in (1, 2, 7, 64)
    }
    assert len(orders) == 1


def test_a_record_larger_than_bytes_in_flight_is_read_alone(folder: Path) -> None:
    assert labels(PcrDataset(folder, bytes_in_flight=1)) == list(range(NUM_EXAMPLES))


def test_files_may_be_given_as_path_list_or_tensor(folder: Path) -> None:
    files = sorted(folder.glob("*.pcr"))
    everything = list(range(NUM_EXAMPLES))
    assert labels(PcrDataset([str(file) for file in files])) == everything
    assert labels(PcrDataset(files)) == everything
    assert labels(PcrDataset(tf.constant([str(file) for file in files]))) == everything
    assert labels(PcrDataset(str(files[0]))) == everything[:13]
    assert labels(PcrDataset(str(folder) + "/")) == everything


def test_a_list_of_files_keeps_its_order(folder: Path) -> None:
    files = sorted(folder.glob("*.pcr"), reverse=True)
    assert labels(PcrDataset(files)) == list(range(13, 26)) + list(range(13))


def test_a_folder_without_side_index_is_read_from_its_files(folder: Path, tmp_path: Path) -> None:
    for file in folder.glob("*.pcr"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
        (tmp_path / f"._{file.name}").write_bytes(b"what another system keeps beside a file")
    assert labels(PcrDataset(tmp_path)) == list(range(NUM_EXAMPLES))
    assert len(PcrReader(tmp_path)) == NUM_EXAMPLES


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """What a conversion into eight files leaves that was stopped after three of them."""
    path = tmp_path / "stopped.pcr"
    make_dataset(path, NUM_EXAMPLES, EXAMPLES_PER_RECORD, num_shards=8)
    (path / "dataset.pcr-index").unlink()
    for number in (1, 2, 4, 6, 7):
        (path / f"shard-{number:05d}-of-00008.pcr").unlink()
    return path


def test_a_folder_that_lacks_files_of_its_set_is_refused_with_the_remedy(stopped: Path) -> None:
    for opens, error in (
        (PcrDataset, tf.errors.InvalidArgumentError),
        (open_dataset, ValueError),
    ):
        with pytest.raises(error) as refused:
            opens(stopped)
        message = str(refused.value)
        assert f"{stopped}: shards of the data set; expected the 8 " in message
        assert "got 3, without shard-00001-of-00008.pcr, shard-00002-of-00008.pcr" in message
        assert "shard-00004-of-00008.pcr and 2 more: finish the conversion" in message


def test_files_of_an_incomplete_set_are_read_where_they_are_named(stopped: Path) -> None:
    files = sorted(map(str, stopped.glob("*.pcr")))
    for named in (PcrDataset(files), PcrReader(files)):
        assert 0 < len(named) < NUM_EXAMPLES
    write_side_index(stopped)
    assert len(PcrDataset(stopped)) == len(PcrReader(stopped)) == len(PcrDataset(files))


@pytest.mark.parametrize(
    ("names", "complete"),
    [
        ([], True),
        (["a.pcr", "b-00001.pcr", "c-of-00002.pcr", "-of-.pcr", "1-of-2.pcr"], True),
        (["a-00000-of-00002.pcr", "a-00001-of-00002.pcr", "b-00000-of-00001.pcr"], True),
        (["a-00000-of-00002.pcr", "b-00001-of-00002.pcr"], False),
        (["a-00000-of-00002.pcr", "a-00001-of-00003.pcr"], False),
        (["-0-of-2.pcr", "-1-of-2.pcr"], True),
        (["x-0-of-99999999999999999999.pcr"], True),  # no number of files
        (["\xff-00000-of-00002.pcr"], False),
        # Names of the user's own: too few digits, and sets that are counted from 1.
        (["cam-1-of-4.pcr", "cam-0-of-4.pcr"], True),
        (["a-00001-of-00003.pcr", "a-00002-of-00003.pcr", "a-00003-of-00003.pcr"], True),
    ],
)
def test_names_of_files_say_whether_all_of_a_set_are_there(
    names: list[str], complete: bool
) -> None:
    with contextlib.nullcontext() if complete else pytest.raises(ValueError, match="without"):
        _native.check_shard_names([name.encode("latin-1") for name in names])


def test_ram_file_system_is_read_like_a_local_one(folder: Path) -> None:
    tf.io.gfile.makedirs("ram://photos.pcr")
    for file in folder.iterdir():
        if file.is_file():
            tf.io.gfile.copy(str(file), f"ram://photos.pcr/{file.name}", overwrite=True)
    assert labels(PcrDataset("ram://photos.pcr", scan_groups=2)) == list(range(NUM_EXAMPLES))


def test_cardinality_of_a_data_set_is_exact(folder: Path) -> None:
    dataset = PcrDataset(folder, scan_groups=2)
    assert dataset.cardinality() == NUM_EXAMPLES
    assert dataset.batch(4).repeat(3).cardinality() == 21
    assert len(dataset) == NUM_EXAMPLES


def test_element_spec_is_a_scalar_string(folder: Path) -> None:
    assert PcrDataset(folder).element_spec == tf.TensorSpec([], tf.string)


def test_a_data_set_can_be_made_and_read_inside_a_tf_function(folder: Path) -> None:
    @tf.function
    def count_bytes(path: tf.Tensor, scan_groups: tf.Tensor) -> tf.Tensor:
        dataset = PcrDataset(path, scan_groups)
        return dataset.reduce(tf.constant(0), lambda n, s: n + tf.strings.length(s))

    low = count_bytes(tf.constant(str(folder)), tf.constant(1))
    high = count_bytes(tf.constant(str(folder)), tf.constant(10))
    assert 0 < low < high


def test_a_data_set_works_under_interleave_and_options(folder: Path) -> None:
    files = tf.data.Dataset.list_files(str(folder / "*.pcr"), shuffle=False)
    dataset = files.interleave(lambda file: PcrDataset(file, 1), cycle_length=2)
    options = tf.data.Options()
    options.deterministic = True
    options.threading.private_threadpool_size = 1
    assert sorted(labels(dataset.with_options(options))) == list(range(NUM_EXAMPLES))


# Shuffling and sharding by record.


def test_shuffle_keeps_the_examples_of_a_record_together(folder: Path) -> None:
    order = labels(PcrDataset(folder, 1, shuffle=True, seed=3))
    assert sorted(order) == list(range(NUM_EXAMPLES)) != order
    blocks = {
        tuple(range(s, min(s + 4, e))) for b, e in ((0, 13), (13, 26)) for s in range(b, e, 4)
    }
    position = 0
    while position < len(order):
        block = next(b for b in blocks if b[0] == order[position])
        assert tuple(order[position : position + len(block)]) == block
        position += len(block)


def test_each_epoch_has_its_own_order_and_the_seed_holds(folder: Path) -> None:
    dataset = PcrDataset(folder, 1, shuffle=True, seed=3)
    epochs = [labels(dataset) for _ in range(3)]
    assert len({tuple(epoch) for epoch in epochs}) == 3
    repeated = labels(PcrDataset(folder, 1, shuffle=True, seed=3).repeat(3))
    assert repeated == [label for epoch in epochs for label in epoch]
    assert labels(PcrDataset(folder, 1, shuffle=True, seed=4)) != epochs[0]


def test_without_a_seed_the_global_seed_decides(folder: Path, no_global_seed: None) -> None:
    orders = []
    for _ in range(2):
        tf.random.set_seed(11)
        orders.append(labels(PcrDataset(folder, 1, shuffle=True)))
    assert orders[0] == orders[1]


def test_an_iterator_that_is_never_used_takes_no_epoch(folder: Path) -> None:
    epochs = [labels(PcrDataset(folder, shuffle=True, seed=7, first_epoch=e)) for e in range(2)]
    dataset = PcrDataset(folder, shuffle=True, seed=7)
    iterators = [iter(dataset) for _ in range(3)]  # Keras makes one more than it uses.
    assert labels(iterators[2]) == epochs[0]
    assert labels(dataset) == epochs[1]


def test_epochs_go_on_when_fit_makes_an_iterator_for_each(folder: Path) -> None:
    seen: list[list[int]] = []

    class Model(tf.keras.Model):
        def train_step(self, data: tf.Tensor) -> dict[str, tf.Tensor]:
            tf.py_function(lambda x: seen[-1].append(int(x)), [data], [])
            return {"loss": tf.constant(0.0)}

    class NewEpoch(tf.keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            seen.append([])

    def parse(serialized: tf.Tensor) -> tf.Tensor:
        feature = {"image/class/label": tf.io.FixedLenFeature((), tf.int64)}
        return tf.io.parse_single_example(serialized, feature)["image/class/label"]

    model = Model()
    model.compile(optimizer="sgd", run_eagerly=True)
    dataset = PcrDataset(folder, 1, shuffle=True, seed=3).map(parse)
    model.fit(dataset, epochs=3, verbose=0, callbacks=[NewEpoch()])
    assert [sorted(epoch) for epoch in seen] == [list(range(NUM_EXAMPLES))] * 3
    in_turn = [PcrDataset(folder, 1, shuffle=True, seed=3, first_epoch=e) for e in range(3)]
    assert seen == [labels(dataset) for dataset in in_turn]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("num_shards", [2, 3, 5])
def test_shards_are_disjoint_complete_and_of_constant_size(
    folder: Path, num_shards: int, shuffle: bool
) -> None:
    shards = [
        PcrDataset(folder, 1, shuffle=shuffle, seed=9, num_shards=num_shards, shard_index=index)
        for index in range(num_shards)
    ]
    for _ in range(3):
        read = [labels(shard) for shard in shards]
        assert sorted(label for shard in read for label in shard) == list(range(NUM_EXAMPLES))
        assert [len(shard) for shard in read] == [int(shard.cardinality()) for shard in shards]


def test_readers_that_shuffle_without_a_common_seed_are_refused_with_the_remedy(
    folder: Path, no_global_seed: None
) -> None:
    for seedless in (
        lambda: PcrDataset(folder, shuffle=True, num_shards=2),
        lambda: image_batches(folder, 24, 4, num_shards=2),
    ):
        with pytest.raises(ValueError, match=r"seed; expected the one that all 2 readers .* got"):
            seedless()
    # No order is drawn here.
    PcrDataset(folder, num_shards=2)
    image_batches(folder, 24, 4, num_shards=2, shuffle=False)


def test_readers_without_a_seed_share_by_the_global_one_whatever_else_they_drew(
    folder: Path, no_global_seed: None
) -> None:
    read = []
    for reader in range(2):
        tf.random.set_seed(11)
        for _ in range(reader):
            tf.random.uniform([])
        read += labels(PcrDataset(folder, 1, shuffle=True, num_shards=2, shard_index=reader))
    assert sorted(read) == list(range(NUM_EXAMPLES)) != read


def test_with_more_readers_than_records_those_without_a_record_warn(folder: Path) -> None:
    sizes = []
    for reader in range(12):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            sizes.append(len(PcrDataset(folder, num_shards=12, shard_index=reader)))
        said = [str(warning.message) for warning in caught]
        expected = f"shard_index {reader} of num_shards 12 has no record"
        assert any(expected in message for message in said) == (sizes[-1] == 0)
    assert sum(sizes) == NUM_EXAMPLES
    assert sizes.count(0) == 12 - open_dataset(folder).index.num_records


def _warnings_of_no_record(make: Callable[[], Any]) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make()
    return [warning for warning in caught if "has no record" in str(warning.message)]


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: PcrDataset(folder, num_shards=99, shard_index=98),
        lambda folder: image_batches(folder, 8, 2, num_shards=99, shard_index=98, seed=1),
    ],
)
def test_the_warning_of_no_record_points_at_the_line_that_asked_for_the_share(
    folder: Path, make: Callable[[Path], Any]
) -> None:
    (said,) = _warnings_of_no_record(lambda: make(folder))
    assert "num_shards=99, shard_index=98" in linecache.getline(said.filename, said.lineno)


def test_the_advice_of_the_warning_of_no_record_leaves_out_empty_data_sets(tmp_path: Path) -> None:
    folder = tmp_path / "empty.pcr"
    make_dataset(folder, 0, num_shards=1)
    assert len(PcrDataset(folder)) == 0
    (said,) = _warnings_of_no_record(lambda: PcrDataset(folder, num_shards=2))
    assert "has no record; unless the data set is empty, take fewer readers" in str(said.message)


@pytest.mark.parametrize("make", [PcrDataset, lambda *a, **k: image_batches(a[0], 8, 2, **k)])
def test_shuffling_a_single_record_warns_with_the_remedy(
    tmp_path: Path, make: Callable[..., Any]
) -> None:
    folder = tmp_path / "photos.pcr"
    make_dataset(folder, num_examples=5, examples_per_record=5, num_shards=1)
    with pytest.warns(UserWarning, match=r"all 5 examples are in one record.*\.shuffle\(5\)"):
        make(folder, shuffle=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(folder, shuffle=False)
        image_batches(folder, 8, 2, shuffle_buffer=5)
        make_dataset(folder, num_examples=5, examples_per_record=4, num_shards=1)
        make(folder, shuffle=True)
        # Of several readers each may have one record, and another one in each epoch.
        make(folder, shuffle=True, seed=1, num_shards=2, shard_index=0)


def test_a_reader_without_a_record_does_not_warn_of_the_epochs_behind_the_rest_of_one(
    folder: Path,
) -> None:
    done = EpochProgress(epoch=1, num_shards=1, examples=3)
    assert not _warnings_of_no_record(
        lambda: image_batches(
            folder, 8, 2, num_shards=99, shard_index=98, resume=done, seed=1, epochs=2
        )
    )


# What is refused.


@pytest.mark.parametrize("scan_groups", [0, -1])
def test_a_fidelity_below_one_is_refused(folder: Path, scan_groups: int) -> None:
    with pytest.raises(ValueError, match=f"scan_groups; expected at least 1, got {scan_groups}"):
        PcrDataset(folder, scan_groups=scan_groups)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=f"expected 1 to 10, got {scan_groups}"
    ):
        PcrDataset(folder, scan_groups=tf.constant(scan_groups))


def test_a_fidelity_above_the_number_of_groups_is_refused(folder: Path) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected 1 to 10, got 11") as error:
        PcrDataset(folder, scan_groups=11)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("num_shards", 0),
        ("shard_index", 1),
        ("shard_index", -1),
        ("reads_in_flight", 0),
        ("reads_in_flight", 1025),
        ("bytes_in_flight", 0),
    ],
)
def test_an_argument_out_of_range_is_named(folder: Path, argument: str, value: int) -> None:
    arguments: dict[str, Any] = {argument: value}
    with pytest.raises(ValueError, match=f"{argument}; expected .*, got {value}"):
        PcrDataset(folder, **arguments)


def test_arguments_of_other_types_are_refused(folder: Path) -> None:
    with pytest.raises(TypeError, match=r"scan_groups; expected an integer, got 2\.5"):
        PcrDataset(folder, scan_groups=2.5)
    for shuffle in (False, True):
        with pytest.raises(TypeError, match="seed; expected an integer"):
            PcrDataset(folder, shuffle=shuffle, seed="7")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one path"):
        PcrDataset([])


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(tf.errors.NotFoundError, match=str(tmp_path / "none.pcr")):
        PcrDataset(tmp_path / "none.pcr")


def test_a_pattern_is_refused_with_what_expands_it(folder: Path) -> None:
    pattern = str(folder / "shard-*.pcr")
    with pytest.raises(tf.errors.NotFoundError, match=r"give the files of tf\.io\.gfile\.glob"):
        PcrDataset(pattern)
    PcrDataset(sorted(tf.io.gfile.glob(pattern)))


def test_a_folder_without_pcr_files_says_what_it_looked_for(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(tf.errors.NotFoundError, match=r"neither a side index .* nor a file"):
        PcrDataset(tmp_path)


def test_a_tfrecord_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = str(tmp_path / "photos.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for example in make_examples(3):
            writer.write(example)
    with pytest.raises(tf.errors.DataLossError, match=r"no footer.*not a PCR file"):
        PcrDataset(path)


# --- provenance ---------------------------------------------------------------


def test_provenance_names_file_record_and_example(folder: Path) -> None:
    plain = PcrDataset(folder, 1)
    traced = PcrDataset(folder, 1, provenance=True)
    assert traced.cardinality() == plain.cardinality()
    names = []
    for example, (same, origin) in zip(plain, traced, strict=True):
        assert example == same
        names.append(origin["name"].numpy().decode())
    assert len(set(names)) == len(names)
    first, second = sorted(folder.glob("*.pcr"))
    assert names[0] == f"{first}: record 0, example 0"
    assert names[1] == f"{first}: record 0, example 1"
    assert names[-1].startswith(f"{second}: record ")


def test_seeds_of_provenance_follow_from_seed_epoch_and_example(folder: Path) -> None:
    def seeds(epochs: int = 1, **arguments: Any) -> dict[tuple[int, int], tuple[int, ...]]:
        """The seed of each example in each epoch."""
        dataset = PcrDataset(folder, 1, provenance=True, **arguments)
        return {
            (epoch, label_of(example)): tuple(origin["seed"].numpy())
            for epoch in range(epochs)
            for example, origin in dataset
        }

    expected = seeds(2, seed=3)
    assert len(set(expected.values())) == len(expected)
    assert seeds(2, seed=3, shuffle=True, reads_in_flight=1) == expected
    parts = [seeds(2, seed=3, num_shards=3, shard_index=reader) for reader in range(3)]
    assert parts[0] | parts[1] | parts[2] == expected
    later = {example: seed for (_, example), seed in seeds(seed=3, first_epoch=1).items()}
    assert later == {example: seed for (epoch, example), seed in expected.items() if epoch == 1}
    assert not set(seeds(2, seed=4).values()) & set(expected.values())


def test_the_image_features_are_those_of_the_open_index(folder: Path) -> None:
    assert PcrDataset(folder).image_features() == ["image/encoded"]
