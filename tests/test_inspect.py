"""`pcr-inspect` and `pcr-index`: what a data set holds, and every fault of a damaged one."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path

import pytest

from pcr_tf.format import PcrReader, PcrWriter, open_dataset
from pcr_tf.format.dataset_index import SIDE_INDEX_NAME, shard_names
from pcr_tf.format.example import encode_example
from pcr_tf.format.summary import summarize
from pcr_tf.format.verify import verify_dataset
from tests.conversion import convert, digests, jpeg, make_class_folders, png, run


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 21 photographs and a PNG in 3 shards of 2 records."""
    root = tmp_path_factory.mktemp("inspect")
    source = make_class_folders(root / "in")
    (source / "bee" / "odd.png").write_bytes(png())
    convert(source, root / "out", num_shards=3)
    return root / "out"


@pytest.fixture
def dataset(pristine: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(pristine, tmp_path / "set"))


@pytest.fixture
def shard(dataset: Path) -> Path:
    """The first shard of the copy."""
    return dataset / shard_names(dataset)[0]


def _faults(path: Path) -> list[str]:
    return list(verify_dataset(path))


def _flip(path: Path, offset: int, mask: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= mask
    path.write_bytes(data)


# Summaries


def test_a_summary_counts_what_was_converted(pristine: Path) -> None:
    summary = summarize(pristine, records=True)
    assert (summary.num_shards, summary.num_records, summary.num_examples) == (3, 6, 22)
    assert (summary.images, summary.opaque) == (22, 1)
    assert summary.side_index
    assert summary.file_bytes == sum(p.stat().st_size for p in pristine.glob("*.pcr"))
    assert sum(record.images for record in summary.records) == 22
    assert [g.scan_groups for g in summary.groups] == list(range(1, 11))
    assert sum(group.share for group in summary.groups) == pytest.approx(1)
    assert summary.groups[-1].cumulative_share == 1
    reader = PcrReader(pristine)
    total = sum(len(reader.read_prefix(record, 3)) for record in range(6))
    assert summary.groups[2].mean_bytes_per_image == pytest.approx(total / 22)


def test_a_file_a_list_and_a_folder_open_alike(pristine: Path) -> None:
    names = [str(pristine / name) for name in shard_names(pristine)]
    whole = summarize(pristine)
    assert summarize(names).groups == whole.groups
    assert sum(summarize(name).num_examples for name in names) == whole.num_examples
    assert len(PcrReader(names[0])) < len(PcrReader(pristine))


def test_a_pattern_is_refused_with_what_expands_it(pristine: Path, tmp_path: Path) -> None:
    for paths in (str(pristine / "*.pcr"), [str(pristine / "shard-0000?-of-00003.pcr")]):
        with pytest.raises(FileNotFoundError, match=r"give the files of tf\.io\.gfile\.glob"):
            PcrReader(paths)
    done = run("inspect", pristine / "*.pcr")
    assert done.returncode == 1
    assert "patterns are not expanded: name the folder" in done.stderr
    odd = tmp_path / "shard[1].pcr"
    shutil.copy(pristine / shard_names(pristine)[0], odd)
    assert len(PcrReader(odd)) > 0


def test_the_command_prints_a_table_or_json(pristine: Path) -> None:
    table = run("inspect", "--records", pristine)
    assert table.returncode == 0, table.stderr
    assert "22 images, 1 kept as they came" in table.stdout
    parsed = json.loads(run("inspect", "--json", pristine).stdout)
    assert parsed["images"] == 22
    assert len(parsed["groups"]) == 10


def test_what_is_no_pcr_file_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.pcr").write_bytes(jpeg())
    for path in (tmp_path / "a.pcr", tmp_path, tmp_path / "none"):
        done = run("inspect", path)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert str(path) in done.stderr
    assert run("inspect").returncode == 2


# Verifying


def test_a_sound_data_set_has_no_faults(pristine: Path) -> None:
    assert _faults(pristine) == []
    done = run("verify", "--quiet", pristine)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "6 records; checked: structure, checksums and images; manifest.json: no faults"
        in done.stdout
    )


def test_threads_find_the_same(dataset: Path, shard: Path) -> None:
    _flip(shard, 3000)
    assert list(verify_dataset(dataset, num_threads=4)) == _faults(dataset)


def test_every_flipped_byte_of_a_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.pcr"
    script = "0,1,2:0-0,0,0;#\n#group\n0:1-63,0,0;1:1-63,0,0;2:1-63,0,0;"
    with PcrWriter(path, scan_script=script) as writer:
        image = jpeg(0, 8, 8, mode="L", optimize=True)
        writer.write(encode_example({"image/encoded": [image]}))
    sound = path.read_bytes()
    rng = random.Random(0)
    for offset in range(len(sound)):
        path.write_bytes(sound)
        _flip(path, offset, 1 << rng.randrange(8))
        assert _faults(path), f"byte {offset} of {len(sound)}"


def test_every_length_that_a_file_may_be_cut_to_is_found(pristine: Path, tmp_path: Path) -> None:
    sound = (pristine / shard_names(pristine)[0]).read_bytes()
    path = tmp_path / "a.pcr"
    rng = random.Random(0)
    for length in {0, 1, 126, 127, 128, len(sound) - 1, *rng.sample(range(len(sound)), 40)}:
        path.write_bytes(sound[:length])
        assert _faults(path), f"cut to {length} bytes"
    path.write_bytes(sound + b"x")
    assert _faults(path)


def test_all_faults_are_named_and_not_the_first_only(dataset: Path) -> None:
    index = open_dataset(dataset).index
    for record in range(index.num_records):
        entry = index.record(record)
        for group in (2, 7):
            begin = entry.offset + sum(entry.frame_sizes[:group])
            _flip(dataset / index.shard(entry.shard)[0], begin + entry.frame_sizes[group] // 2)
    done = run("verify", "--quiet", dataset)
    assert done.returncode == 1
    for record in range(2):
        for group in (2, 7):
            name = f"record {record}, scan group {group}"
            lines = [line for line in done.stdout.splitlines() if f"{name}, byte" in line]
            assert len({line.split(":")[0] for line in lines}) == 3, name


def test_verify_goes_on_behind_a_shard_that_cannot_be_opened(dataset: Path) -> None:
    first, second, _ = shard_names(dataset)
    (dataset / first).write_bytes(b"")
    _flip(dataset / second, 3000)
    faults = "\n".join(_faults(dataset))
    assert first in faults
    assert second in faults


def test_a_side_index_of_another_conversion_is_found(dataset: Path, tmp_path: Path) -> None:
    convert(make_class_folders(tmp_path / "in", width=72), tmp_path / "other", num_shards=3)
    shutil.copy(tmp_path / "other" / SIDE_INDEX_NAME, dataset)
    faults = _faults(dataset)
    assert len(faults) == 3
    assert all("pcr-index" in fault for fault in faults)


def test_a_missing_and_an_unknown_shard_are_named(dataset: Path) -> None:
    first = shard_names(dataset)[0]
    (dataset / first).rename(dataset / "stranger.pcr")
    faults = "\n".join(_faults(dataset))
    assert f"{first}: in the side index but not in the folder" in faults
    assert "stranger.pcr: not in the side index" in faults


def test_a_damaged_side_index_is_named_and_the_shards_are_still_checked(
    dataset: Path, shard: Path
) -> None:
    _flip(dataset / SIDE_INDEX_NAME, 100)
    _flip(shard, 3000)
    faults = "\n".join(_faults(dataset))
    assert SIDE_INDEX_NAME in faults
    assert shard.name in faults


# Rebuilding the index


def test_a_rebuilt_index_equals_the_first_one(dataset: Path, pristine: Path) -> None:
    (dataset / SIDE_INDEX_NAME).unlink()
    done = run("index", dataset)
    assert done.returncode == 0, done.stderr
    assert "3 shards, 6 records, 22 examples; manifest.json updated" in done.stdout
    assert digests(dataset) == digests(pristine)


def test_a_rebuilt_index_follows_the_shards_that_are_there(dataset: Path) -> None:
    path = dataset / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"profile": {"ms_ssim": [1.0] * 10}}))
    assert run("index", dataset).returncode == 0
    assert json.loads(path.read_text())["profile"] is not None
    (dataset / shard_names(dataset)[0]).unlink()
    assert run("index", dataset).returncode == 0
    manifest = json.loads((dataset / "manifest.json").read_text())
    assert manifest["dataset"]["shards"] == 2
    assert manifest["dataset"]["examples"] == len(PcrReader(dataset))
    assert manifest["profile"] is None  # It was that of more images.
    assert _faults(dataset) == []


def test_a_folder_without_a_manifest_gets_an_index_alone(dataset: Path) -> None:
    (dataset / "manifest.json").unlink()
    done = run("index", dataset)
    assert "manifest.json is not there" in done.stdout
    assert not (dataset / "manifest.json").exists()


def test_a_rebuilt_index_says_which_shards_are_gone(dataset: Path) -> None:
    assert run("index", dataset).stderr == ""
    gone = shard_names(dataset)[1]
    (dataset / gone).unlink()
    said = run("index", dataset).stderr.splitlines()
    assert len(said) == 2
    assert f"expected the 3 that their names speak of, got 2, without {gone}" in said[0]
    assert said[1].endswith(f"shards of the manifest that are not there: {gone}")
    (dataset / "manifest.json").unlink()
    assert f"got 2, without {gone}" in run("index", dataset).stderr


@pytest.mark.parametrize("prefix", ["shard", "other"])
def test_a_rebuilt_index_says_which_shards_another_conversion_made(
    dataset: Path, tmp_path: Path, prefix: str
) -> None:
    source = make_class_folders(tmp_path / "in", classes=("zebra", "bee"))
    convert(source, tmp_path / "other", num_shards=3, prefix=prefix)
    name = shard_names(tmp_path / "other")[0]
    shutil.copy(tmp_path / "other" / name, dataset / name)
    said = run("index", dataset).stderr.splitlines()[-1]
    assert re.search(
        f"did not have, .*: {name}; their labels must be positions .*class_names", said
    )


def test_an_index_of_nothing_is_an_error(tmp_path: Path) -> None:
    done = run("index", tmp_path)
    assert (done.returncode, "no *.pcr files" in done.stderr) == (1, True)
    assert run("index", tmp_path / "none").returncode == 2


# Reading


def test_a_replaced_shard_is_never_read_silently(
    dataset: Path, shard: Path, tmp_path: Path
) -> None:
    convert(make_class_folders(tmp_path / "in", width=72), tmp_path / "other", num_shards=3)
    shutil.copy(tmp_path / "other" / shard.name, shard)
    with pytest.raises(ValueError, match="record 0"):
        list(PcrReader(dataset).examples(1))


@pytest.mark.parametrize("scan_groups", [0, -1, 11])
def test_a_fidelity_out_of_range_is_refused(pristine: Path, scan_groups: int) -> None:
    with pytest.raises(ValueError, match=f"scan_groups; expected 1 to 10, got {scan_groups}"):
        PcrReader(pristine).read_record(0, scan_groups)


@pytest.mark.parametrize("record", [-1, 6])
def test_a_record_out_of_range_is_refused(pristine: Path, record: int) -> None:
    with pytest.raises(IndexError, match="expected 0 to 5"):
        PcrReader(pristine).read_prefix(record, 1)
