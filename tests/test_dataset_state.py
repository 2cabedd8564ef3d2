"""PcrDataset's iterators: checkpoints, damage, cancellation and what is read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import tensorflow as tf

from pcr_tf.data import Fidelity, PcrDataset
from pcr_tf.format import PcrWriter, open_dataset, write_side_index
from tests.reading import label_of, labels
from tests.small_dataset import make_dataset
from tests.waiting import HANG_S, wait_until

NUM_EXAMPLES = 26


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "photos.pcr"
    make_dataset(path, NUM_EXAMPLES, examples_per_record=4, num_shards=2)
    return path


@pytest.fixture
def own_folder(folder: Path, tmp_path: Path) -> Path:
    """A copy that the test may damage."""
    copy = tmp_path / "photos.pcr"
    copy.mkdir()
    for file in folder.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    return copy


def with_symbolic_checkpoint(dataset: tf.data.Dataset, symbolic: bool) -> tf.data.Dataset:
    options = tf.data.Options()
    options.experimental_symbolic_checkpoint = symbolic
    return dataset.with_options(options)


# Checkpoints.


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("stop_after", [0, 1, 4, 13, 25, 26, 30, 51, 52])
def test_a_restored_iterator_goes_on_exactly_where_the_saved_one_stood(
    folder: Path, tmp_path: Path, stop_after: int, symbolic: bool
) -> None:
    def make(seed: int) -> tf.data.Dataset:
        dataset = PcrDataset(folder, 1, shuffle=True, seed=seed, reads_in_flight=3)
        return with_symbolic_checkpoint(dataset.repeat(2), symbolic)

    everything = labels(make(5))
    iterator = iter(make(5))
    before = [label_of(next(iterator)) for _ in range(stop_after)]
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    assert before + labels(iterator) == everything

    # Another seed, to show that the checkpoint's is taken, also for the epoch after.
    restored = iter(make(99))
    tf.train.Checkpoint(iterator=restored).restore(path).assert_consumed()
    assert before + labels(restored) == everything


def test_a_checkpoint_behind_shuffle_and_batch_resumes_exactly(
    folder: Path, tmp_path: Path
) -> None:
    def make() -> tf.data.Dataset:
        dataset = PcrDataset(folder, 2, shuffle=True, seed=5).repeat(2)
        return dataset.shuffle(8, seed=1).batch(3).prefetch(2)

    iterator = iter(make())
    for _ in range(5):
        next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    rest = [batch.numpy().tolist() for batch in iterator]
    restored = iter(make())
    tf.train.Checkpoint(iterator=restored).restore(path)
    assert [batch.numpy().tolist() for batch in restored] == rest


def test_a_checkpoint_is_restored_in_another_process(folder: Path, tmp_path: Path) -> None:
    iterator = iter(PcrDataset(folder, 1, shuffle=True, seed=5))
    for _ in range(10):
        next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    script = f"""
import tensorflow as tf
from pcr_tf.data import Fidelity, PcrDataset
from tests.reading import labels
iterator = iter(PcrDataset({str(folder)!r}, 1, shuffle=True, seed=5))
tf.train.Checkpoint(iterator=iterator).restore({path!r})
print("rest", labels(iterator))
"""
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=HANG_S
    )
    assert f"rest {labels(iterator)}" in out.stdout


def test_a_checkpoint_keeps_the_fidelity_of_the_record_begun(folder: Path, tmp_path: Path) -> None:
    iterator = iter(PcrDataset(folder, scan_groups=2))
    first = [next(iterator).numpy() for _ in range(2)]
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    restored = iter(PcrDataset(folder, scan_groups=5))
    tf.train.Checkpoint(iterator=restored).restore(path)
    rest = [serialized.numpy() for serialized in restored]
    low = [serialized.numpy() for serialized in PcrDataset(folder, scan_groups=2)]
    high = [serialized.numpy() for serialized in PcrDataset(folder, scan_groups=5)]
    assert first + rest == low[:4] + high[4:]


def test_a_checkpoint_of_another_data_set_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pcr"
    make_dataset(other, 9, examples_per_record=4, num_shards=1)
    path = tf.train.Checkpoint(iterator=iter(PcrDataset(other))).save(str(tmp_path / "state"))
    iterator = iter(PcrDataset(folder))
    with pytest.raises(tf.errors.InvalidArgumentError, match="records; expected 8, got 3"):
        tf.train.Checkpoint(iterator=iterator).restore(path)


def test_a_checkpoint_of_another_data_set_of_as_many_records_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.pcr"
    make_dataset(other, NUM_EXAMPLES + 2, examples_per_record=4, num_shards=2)
    assert open_dataset(other).index.num_records == open_dataset(folder).index.num_records
    path = tf.train.Checkpoint(iterator=iter(PcrDataset(other))).save(str(tmp_path / "state"))
    files = sorted(map(str, folder.glob("*.pcr")))
    for differing in (PcrDataset(folder), PcrDataset(files[::-1])):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"checksum of its files' contents.*made from"
        ):
            tf.train.Checkpoint(iterator=iter(differing)).restore(path)


def test_a_checkpoint_is_restored_into_the_same_files_however_they_are_opened(
    folder: Path, own_folder: Path, tmp_path: Path
) -> None:
    iterator = iter(PcrDataset(folder))
    read = [label_of(next(iterator)) for _ in range(5)]
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    (own_folder / "dataset.pcr-index").unlink()
    for same in (PcrDataset(own_folder), PcrDataset(sorted(own_folder.glob("*.pcr")))):
        restored = iter(same)
        tf.train.Checkpoint(iterator=restored).restore(path)
        assert read + labels(restored) == list(range(NUM_EXAMPLES))


def test_a_shard_without_records_does_not_make_a_checkpoint_another_ones(
    own_folder: Path, tmp_path: Path
) -> None:
    with PcrWriter(own_folder / "z.pcr", examples_per_record=4):
        pass
    write_side_index(own_folder)
    path = tf.train.Checkpoint(iterator=iter(PcrDataset(own_folder))).save(str(tmp_path / "state"))
    (own_folder / "z.pcr").unlink()
    write_side_index(own_folder)
    restored = iter(PcrDataset(own_folder))
    tf.train.Checkpoint(iterator=restored).restore(path)
    assert labels(restored) == list(range(NUM_EXAMPLES))


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("stop_after", [0, 1, 13, NUM_EXAMPLES])
def test_a_checkpoint_of_another_kind_of_order_is_refused_at_every_position(
    folder: Path, tmp_path: Path, saved: bool, stop_after: int
) -> None:
    iterator = iter(PcrDataset(folder, 1, shuffle=saved, seed=5))
    for _ in range(stop_after):
        next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    other = iter(PcrDataset(folder, 1, shuffle=not saved, seed=5))
    message = f"shuffle; expected {int(not saved)}, got {int(saved)}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        tf.train.Checkpoint(iterator=other).restore(path)


def test_a_checkpoint_can_be_restored_at_another_fidelity_and_with_provenance(
    folder: Path, tmp_path: Path
) -> None:
    """Neither decides which examples come, nor in which order."""
    iterator = iter(PcrDataset(folder, 2, shuffle=True, seed=5))
    read = [label_of(next(iterator)) for _ in range(7)]
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    rest = labels(iterator)
    for other in (
        PcrDataset(folder, Fidelity({1: 0.5, 10: 0.5}), shuffle=True),
        PcrDataset(folder, 10, shuffle=True),
    ):
        restored = iter(other)
        tf.train.Checkpoint(iterator=restored).restore(path)
        assert labels(restored) == rest
    with_names = iter(PcrDataset(folder, 10, shuffle=True, provenance=True))
    tf.train.Checkpoint(iterator=with_names).restore(path)
    assert [label_of(serialized) for serialized, _ in with_names] == rest
    assert sorted(read + rest) == list(range(NUM_EXAMPLES))


def test_a_checkpoint_of_another_shard_is_refused(folder: Path, tmp_path: Path) -> None:
    saved = iter(PcrDataset(folder, num_shards=2, shard_index=0))
    path = tf.train.Checkpoint(iterator=saved).save(str(tmp_path / "state"))
    iterator = iter(PcrDataset(folder, num_shards=2, shard_index=1))
    with pytest.raises(tf.errors.InvalidArgumentError, match="shard_index; expected 1, got 0"):
        tf.train.Checkpoint(iterator=iterator).restore(path)


# Damage.


def damage(folder: Path, record: int, group: int) -> tuple[Path, int]:
    """Flips a bit in the data of a scan group; returns the file and the group's offset."""
    entry = open_dataset(folder).index.record(record)
    name = open_dataset(folder).index.shard(entry.shard)[0]
    file = folder / Path(name).name
    offset = entry.offset + sum(entry.frame_sizes[:group])
    data = bytearray(file.read_bytes())
    data[offset + entry.frame_sizes[group] // 2] ^= 1
    file.write_bytes(data)
    return file, offset


def test_a_damaged_record_is_named_and_only_it_is_lost(own_folder: Path) -> None:
    file, offset = damage(own_folder, record=5, group=2)  # record 1 of the second shard
    iterator = iter(PcrDataset(own_folder, scan_groups=2))
    before = [label_of(next(iterator)) for _ in range(17)]
    with pytest.raises(tf.errors.DataLossError) as error:
        next(iterator)
    for part in (str(file), "record 1", "scan group 2", f"byte {offset + 12}", "checksum"):
        assert part in str(error.value)
    assert before + labels(iterator) == [n for n in range(NUM_EXAMPLES) if not 17 <= n < 21]


def test_ignore_errors_loses_the_damaged_record_and_nothing_else(own_folder: Path) -> None:
    damage(own_folder, record=1, group=1)
    damage(own_folder, record=6, group=1)
    kept = labels(PcrDataset(own_folder, scan_groups=1).ignore_errors())
    assert kept == [n for n in range(NUM_EXAMPLES) if not (4 <= n < 8 or 21 <= n < 25)]


@pytest.mark.parametrize(
    ("damaged", "said"),
    [(range(8), "8 of 8 records could not be read"), ([3], "1 of 8 records could not be read")],
)
def test_an_epoch_whose_errors_were_ignored_says_at_its_end_how_many_records_it_lost(
    own_folder: Path, damaged: Sequence[int], said: str
) -> None:
    for record in damaged:
        damage(own_folder, record=record, group=1)
    dataset = PcrDataset(own_folder, scan_groups=1)
    script = f"""
from pcr_tf.data import PcrDataset
print("examples", len(list(PcrDataset({str(own_folder)!r}, 1).ignore_errors())))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"examples {len(labels(dataset.ignore_errors()))}" in done.stdout
    assert said in done.stderr
    assert ("nothing is left; run pcr-verify" in done.stderr) == (len(damaged) == 8)


def test_damage_beyond_the_fidelity_read_is_never_seen(own_folder: Path) -> None:
    damage(own_folder, record=1, group=7)
    assert labels(PcrDataset(own_folder, scan_groups=6)) == list(range(NUM_EXAMPLES))
    with pytest.raises(tf.errors.DataLossError, match="scan group 7"):
        labels(PcrDataset(own_folder, scan_groups=7))


def test_a_shard_cut_short_is_named_with_the_remedy(own_folder: Path) -> None:
    file = sorted(own_folder.glob("*.pcr"))[1]
    file.write_bytes(file.read_bytes()[:-4000])
    dataset = PcrDataset(own_folder)
    with pytest.raises(tf.errors.DataLossError, match=r"ends early.*pcr-index") as error:
        labels(dataset)
    assert str(file) in str(error.value)
    assert labels(dataset.ignore_errors())[:13] == list(range(13))


def test_a_shard_of_another_conversion_is_never_read_wrongly(
    own_folder: Path, tmp_path: Path
) -> None:
    # The same sizes everywhere, another label: only a checksum can tell.
    file = sorted(own_folder.glob("*.pcr"))[0]
    other = tmp_path / "other"
    examples = make_dataset(other, NUM_EXAMPLES, examples_per_record=4, num_shards=2)
    changed = examples[0].replace(b"photo-0000", b"photo-9999")
    with PcrWriter(file, examples_per_record=4) as writer:
        for example in [changed, *examples[1:13]]:
            writer.write(example)
    with pytest.raises(tf.errors.DataLossError, match=r"different conversions.*pcr-index"):
        labels(PcrDataset(own_folder))


def test_a_shard_with_other_sizes_than_the_side_index_has_is_named_with_the_remedy(
    own_folder: Path, tmp_path: Path
) -> None:
    file = sorted(own_folder.glob("*.pcr"))[0]
    make_dataset(tmp_path / "other", NUM_EXAMPLES, examples_per_record=13, num_shards=2)
    shutil.copy(sorted((tmp_path / "other").glob("*.pcr"))[0], file)
    with pytest.raises(tf.errors.DataLossError, match=r"frame size, as the index.*pcr-index"):
        labels(PcrDataset(own_folder))


# Cancellation, bytes and graphs.


def test_an_iterator_left_early_ends_its_threads(folder: Path) -> None:
    before = threading.active_count()
    for _ in range(20):
        iterator = iter(PcrDataset(folder, reads_in_flight=8).repeat())
        next(iterator)
        del iterator
    assert threading.active_count() == before
    tasks = Path("/proc/self/task")
    wait_until(lambda: len(list(tasks.iterdir())) <= 400)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace: apt-get install strace")
@pytest.mark.parametrize("scan_groups", [1, 3, 10])
def test_one_read_a_record_and_not_a_byte_outside_its_prefix(
    folder: Path, tmp_path: Path, scan_groups: int
) -> None:
    script = f"""
from pcr_tf.data import Fidelity, PcrDataset
dataset = PcrDataset({str(folder)!r}, {scan_groups}, shuffle=True, seed=2)
print("examples", sum(1 for _ in dataset))
"""
    # A file for each thread, so that no call is split in two lines.
    calls = "trace=read,pread64,readv,preadv,preadv2,mmap"
    strace = ["strace", "-ff", "-y", "-e", calls, "-s", "0", "-o", str(tmp_path / "trace")]
    out = subprocess.run(
        [*strace, sys.executable, "-c", script], capture_output=True, text=True, timeout=HANG_S
    )
    if "ptrace" in out.stderr.lower():
        pytest.skip("needs leave to trace a process: " + out.stderr.strip())
    assert f"examples {NUM_EXAMPLES}" in out.stdout, out.stderr
    call = re.compile(r"^pread64\(\d+<([^>]+)>, .*, (\d+), (\d+)\) = (\d+)$")
    side_index = folder / "dataset.pcr-index"
    reads = []
    for trace in tmp_path.glob("trace.*"):
        for line in trace.read_text().splitlines():
            if f"<{folder}/" in line:
                match = call.match(line)
                assert match is not None, line
                if match[1] == str(side_index) and match[4] == "0":
                    continue  # Its size is not asked for: the end is where nothing more comes.
                assert match[2] == match[4] or match[1] == str(side_index), line
                reads.append((match[1], int(match[3]), int(match[4])))
    index = open_dataset(folder).index
    expected = [(str(side_index), 0, side_index.stat().st_size)]
    for record in range(index.num_records):
        shard, offset, size_bytes = index.prefix(record, scan_groups)
        expected.append((str(folder / Path(index.shard(shard)[0]).name), offset, size_bytes))
    assert sorted(reads) == sorted(expected)


def test_the_graph_of_a_data_set_keeps_every_input(folder: Path) -> None:
    dataset = PcrDataset(
        folder, 3, shuffle=True, seed=8, num_shards=2, shard_index=1, reads_in_flight=5
    )
    expected = labels(dataset)
    graph = dataset._as_serialized_graph()
    copy = tf.raw_ops.DatasetFromGraph(graph_def=graph)
    again = tf.data.experimental.from_variant(copy, dataset.element_spec)
    assert labels(again) == expected  # it may run anywhere, and begins with the first epoch
    assert again.cardinality() == dataset.cardinality()
