"""What must not bring a process down or be taken for something else: claims, arguments, threads."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pcr_tf import _native
from pcr_tf.data import PcrDataset, read_statistics
from pcr_tf.format import PcrWriter, open_dataset
from pcr_tf.format.example import encode_example
from tests.conversion import ROOT
from tests.reading import label_of, labels
from tests.small_dataset import draw_jpeg, make_dataset, make_examples, write_large_side_index

NUM_EXAMPLES = 12
SCRIPT = "0,1,2: 0-0, 0, 0; 0: 1-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "photos.pcr"
    make_dataset(path, NUM_EXAMPLES, examples_per_record=3, num_shards=2)
    return path


def claim_frame_size(folder: Path, size_bytes: int, *, num_groups: int = 1) -> Path:
    """Makes the side index claim that size for groups of the first shard's last record."""
    path = folder / "dataset.pcr-index"
    example = tf.train.Example.FromString(path.read_bytes()[12:-4])

    def ints(key: str) -> Any:
        return example.features.feature[key].int64_list.value

    record = ints("pcr/shard_records")[0] - 1
    ints("pcr/shard_sizes")[0] = 2 * size_bytes * num_groups
    for group in range(1, num_groups + 1):
        ints("pcr/frame_sizes")[record * (ints("pcr/num_groups")[0] + 1) + group] = size_bytes
    data = example.SerializeToString()
    length = struct.pack("<Q", len(data))
    checksums = [struct.pack("<I", _native.masked_crc32c(part)) for part in (length, data)]
    path.write_bytes(length + checksums[0] + data + checksums[1])
    return sorted(folder.glob("*.pcr"))[0]


@pytest.mark.parametrize("claimed_bytes", [2**30, 2**31, 2**31 + 15])
def test_a_side_index_that_claims_a_prefix_beyond_the_file_costs_that_record_alone(
    folder: Path, claimed_bytes: int
) -> None:
    file = claim_frame_size(folder, claimed_bytes)
    dataset = PcrDataset(folder, scan_groups=1)
    iterator = iter(dataset)
    before = [label_of(next(iterator)) for _ in range(3)]
    with pytest.raises(tf.errors.DataLossError) as error:
        next(iterator)
    for part in (str(file), "record 1", "pcr-index"):
        assert part in str(error.value)
    assert before + labels(iterator) == [0, 1, 2, *range(6, NUM_EXAMPLES)]
    assert labels(dataset.ignore_errors()) == [0, 1, 2, *range(6, NUM_EXAMPLES)]


@pytest.mark.parametrize("claimed_bytes", [2**31 + 16, 10 * 2**30, 2**50, 2**61])
def test_a_side_index_that_claims_a_frame_that_cannot_be_is_refused_at_once(
    folder: Path, claimed_bytes: int
) -> None:
    file = claim_frame_size(folder, claimed_bytes)
    with pytest.raises(tf.errors.DataLossError) as error:
        PcrDataset(folder, scan_groups=1)
    for part in (file.name, "record 1, scan group 1", f"got {claimed_bytes}"):
        assert part in str(error.value)


def test_a_record_of_ten_gibibytes_is_refused_with_a_remedy_and_costs_that_record_alone(
    folder: Path,
) -> None:
    file = claim_frame_size(folder, 2**30, num_groups=10)
    with open(file, "ab") as shard:
        shard.truncate(20 * 2**30)  # Sparse: it takes no room.
    iterator = iter(PcrDataset(folder, scan_groups=10))
    before = [label_of(next(iterator)) for _ in range(3)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(tf.errors.ResourceExhaustedError) as error:
        next(iterator)
    for part in (str(file), "at most 4 GiB", "fewer scan groups", "`examples_per_record`"):
        assert part in str(error.value)
    assert before + labels(iterator) == [0, 1, 2, *range(6, NUM_EXAMPLES)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 64 << 10


_EPOCHS = """
import pathlib, sys
from pcr_tf.data import PcrDataset, image_batches
def resident_bytes():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096
sources = PcrDataset(sys.argv[1], shuffle=True, seed=1), image_batches(sys.argv[1], 32, 4, seed=1)
after = []
for epoch in range(30):
    for source in sources:
        for _ in source:
            pass
    after.append(resident_bytes())
print(after[-1] - after[9])
"""


def test_twenty_more_epochs_take_no_more_memory(folder: Path) -> None:
    command = [sys.executable, "-c", _EPOCHS, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16 << 20


def test_a_checkpoint_that_is_refused_leaves_the_epochs_alone(folder: Path, tmp_path: Path) -> None:
    saved = PcrDataset(folder, 1, seed=9)
    for _ in range(5):
        iterator = iter(saved)
        next(iterator)
    for _ in range(3):
        next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))

    dataset = PcrDataset(folder, 1, shuffle=True, seed=5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="shuffle; expected 1, got 0"):
        tf.train.Checkpoint(iterator=iter(dataset)).restore(path)
    # TensorFlow saves the iterator before it restores: that took an epoch, and nothing else did.
    fresh = PcrDataset(folder, 1, shuffle=True, seed=5)
    epochs = [labels(fresh) for _ in range(4)]
    assert [labels(dataset) for _ in range(3)] == epochs[1:]


# Arguments.


@pytest.mark.parametrize("argument", ["scan_groups", "num_shards", "bytes_in_flight"])
def test_a_number_that_does_not_fit_64_bits_is_named(folder: Path, argument: str) -> None:
    arguments: dict[str, Any] = {argument: 2**63}
    with pytest.raises(ValueError, match=f"{argument}; expected at least 1, at most"):
        PcrDataset(folder, **arguments)


def test_a_seed_of_more_than_64_bits_is_refused(folder: Path) -> None:
    assert sorted(labels(PcrDataset(folder, shuffle=True, seed=2**64 - 1))) == list(range(12))
    with pytest.raises(ValueError, match="seed; expected a 64-bit integer, got"):
        PcrDataset(folder, shuffle=True, seed=2**64)


@pytest.mark.parametrize("scan_groups", [tf.constant(2.7), tf.constant(True), tf.constant("2")])
def test_a_fidelity_in_a_tensor_that_is_not_of_integers_is_refused(
    folder: Path, scan_groups: tf.Tensor
) -> None:
    with pytest.raises(TypeError, match="scan_groups; expected an integer, got"):
        PcrDataset(folder, scan_groups=scan_groups)


@pytest.mark.parametrize("shuffle", ["no", 2, None, np.array([1, 2])])
def test_a_shuffle_that_is_not_a_truth_value_is_refused(folder: Path, shuffle: Any) -> None:
    with pytest.raises(TypeError, match="shuffle; expected True or False"):
        PcrDataset(folder, shuffle=shuffle)


def test_files_may_be_given_in_every_form_that_tfrecorddataset_takes(folder: Path) -> None:
    files = [str(path) for path in sorted(folder.glob("*.pcr"))]
    forms: list[Any] = [
        tuple(files),
        iter(files),
        [os.fsencode(file) for file in files],
        [tf.constant(file) for file in files],
        np.array(files),
        np.array(files, dtype=object),
        tf.constant(files),
    ]
    for form in forms:
        assert labels(PcrDataset(form)) == list(range(NUM_EXAMPLES)), form
    assert labels(PcrDataset(np.array(str(folder)))) == list(range(NUM_EXAMPLES))


@pytest.mark.parametrize("filenames", [None, 3, [3], [None], tf.constant([1])])
def test_filenames_that_are_no_paths_are_named(filenames: Any) -> None:
    with pytest.raises(TypeError, match="filenames; expected paths or a tensor of them, got"):
        PcrDataset(filenames)


def test_a_path_that_is_not_utf8_is_read(folder: Path) -> None:
    renamed = folder.with_name(os.fsdecode(b"caf\xe9.pcr"))
    folder.rename(renamed)
    assert labels(PcrDataset(renamed)) == list(range(NUM_EXAMPLES))


def test_an_empty_path_is_refused_even_in_the_folder_of_a_data_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert labels(PcrDataset(".")) == list(range(NUM_EXAMPLES))
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected the name of a folder"):
        PcrDataset("")


def test_a_side_index_or_two_folders_in_place_of_files_say_what_to_give(folder: Path) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="the folder of a data set"):
        PcrDataset(folder / "dataset.pcr-index")
    with pytest.raises(tf.errors.FailedPreconditionError, match="give one folder alone, or files"):
        PcrDataset([folder, folder])


# The native writer, which lets other threads run while it works.


def test_threads_that_share_a_native_writer_lose_no_example() -> None:
    writer = _native.ShardWriter(_native.ScanScript(SCRIPT), ["image/encoded"], "test")
    writer.header()
    examples = make_examples(8)

    def add() -> None:
        for example in examples * 5:
            writer.add_example(example, prove=False)
            assert writer.pending_examples > 0

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.pending_examples == 160
    writer.end_record()
    assert writer.num_examples == 160


def test_a_second_header_of_a_native_writer_is_refused() -> None:
    writer = _native.ShardWriter(_native.ScanScript(SCRIPT), ["image/encoded"], "test")
    writer.header()
    with pytest.raises(ValueError, match="second time"):
        writer.header()


# Statistics.


def test_read_statistics_count_reads_bytes_and_waits(folder: Path) -> None:
    before = read_statistics()
    assert labels(PcrDataset(folder, 2)) == list(range(NUM_EXAMPLES))
    used = read_statistics() - before
    index = open_dataset(folder).index
    assert used.reads == 1 + index.num_records
    assert used.bytes == (folder / "dataset.pcr-index").stat().st_size + index.prefix_bytes(2)
    assert (used.lookups, used.retries, used.rereads, used.failures) == (0, 0, 0, 0)
    assert sum(used.wait_counts) == used.reads
    assert 0 < used.mean_wait_s <= used.max_wait_s
    assert used.mean_wait_s <= used.wait_quantile_s(1.0) <= 2 * used.max_wait_s
    assert used.consumer_wait_s > 0
    without_index = read_statistics()
    labels(PcrDataset(sorted(folder.glob("*.pcr"))))
    assert (read_statistics() - without_index).lookups == 2  # the sizes of the files


@pytest.fixture(scope="module")
def bytes_read_counter(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], int]:
    """Asks TensorFlow's own counter, which Python has no way to read."""
    library = tmp_path_factory.mktemp("counter") / "counter.so"
    source = ROOT / "tests" / "cpp" / "bytes_read_counter.cc"
    tensorflow = [*tf.sysconfig.get_compile_flags(), *tf.sysconfig.get_link_flags()]
    command = ["g++", "-shared", "-fPIC", "-o", str(library), str(source), *tensorflow]
    subprocess.run(command, check=True)
    function = ctypes.CDLL(str(library)).BytesRead
    function.restype = ctypes.c_int64
    return function


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler: apt-get install g++")
@pytest.mark.parametrize("scan_groups", [2, 10])
def test_bytes_count_into_tensorflow_s_own_counter(
    folder: Path, bytes_read_counter: Callable[[], int], scan_groups: int
) -> None:
    index_bytes = (folder / "dataset.pcr-index").stat().st_size
    before = bytes_read_counter()
    assert labels(PcrDataset(folder, scan_groups)) == list(range(NUM_EXAMPLES))
    prefix_bytes = open_dataset(folder).index.prefix_bytes(scan_groups)
    assert bytes_read_counter() - before == index_bytes + prefix_bytes


def test_a_side_index_of_more_than_a_mebibyte_takes_two_reads(folder: Path) -> None:
    num_examples = write_large_side_index(folder)
    path = folder / "dataset.pcr-index"
    before = read_statistics()
    assert PcrDataset(folder, 1).cardinality() == num_examples
    used = read_statistics() - before
    assert (used.reads, used.bytes, used.lookups) == (2, path.stat().st_size, 0)
    with open(path, "ab") as file:
        file.write(b"x")
    with pytest.raises(tf.errors.DataLossError, match="a side index is one frame"):
        PcrDataset(folder, 1)


# A file that says little and inflates to much.

_PEAK_OF_READING = """
import resource, sys
from pcr_tf.data import PcrDataset
def peak_bytes(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
iterator = iter(PcrDataset(sys.argv[1], reads_in_flight=8, bytes_in_flight=int(sys.argv[2])))
before = peak_bytes()
sizes = [len(example.numpy()) for example in iterator]
print(len(sizes), min(sizes), peak_bytes() - before)
"""


def test_what_ancillary_bytes_inflate_to_counts_as_bytes_in_flight(tmp_path: Path) -> None:
    inflated_bytes = 16 << 20
    path = tmp_path / "photos.pcr"
    with PcrWriter(path, examples_per_record=1) as writer:
        for n in range(10):
            writer.write(encode_example({"image/encoded": [draw_jpeg(n) + bytes(inflated_bytes)]}))
    assert path.stat().st_size < 1 << 19
    bytes_in_flight = inflated_bytes // 2
    command = [sys.executable, "-c", _PEAK_OF_READING, str(path), str(bytes_in_flight)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    read, smallest, peak_bytes = map(int, done.stdout.split())
    assert read == 10
    assert smallest > inflated_bytes
    # One record, twice while it is put together; and as much again for what was handed over.
    assert peak_bytes < 4 * inflated_bytes
