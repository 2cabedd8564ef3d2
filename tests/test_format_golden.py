"""Both implementations on the golden files: tests/golden/*/README.md says what each file shows."""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from pcr_tf import _native
from pcr_tf.format import reference
from pcr_tf.format.verify import verify_dataset
from tests.golden.v1 import invalid_files as files_of_1_0
from tests.golden.v1_1 import files as files_of_1_1
from tests.native_reader import Outcome, native_examples, outcome, read_record, reference_examples

GOLDEN = pathlib.Path(__file__).parent / "golden"
FOLDER = GOLDEN / "v1"
DATASET = FOLDER / "valid" / "dataset"
# What expected.json says of each version's files.
EXPECTED: dict[str, dict[str, Any]] = {
    version: json.loads((GOLDEN / version / "expected.json").read_text())
    for version in ("v1", "v1_1")
}


def of_all_versions(kind: str) -> dict[str, dict[str, Any]]:
    """The files of a kind by "<version>/<kind>/<name>"."""
    return {
        f"{version}/{kind}/{name}": {"version_folder": version, **case}
        for version, expected in EXPECTED.items()
        for name, case in expected[kind].items()
    }


VALID = of_all_versions("valid")
INVALID = of_all_versions("invalid")

Reader = Callable[[bytes, int, str], list[bytes]]


def read_whole(data: bytes, scan_groups: int, name: str) -> list[bytes]:
    return reference.read_shard(data, name).examples(scan_groups)


PREFIX_READERS = {"native": native_examples, "reference": reference_examples}
READERS: dict[str, Reader] = {**PREFIX_READERS, "reference of the whole file": read_whole}


def digests(examples: list[bytes] | tuple[bytes, ...]) -> list[str]:
    return [hashlib.sha256(example).hexdigest() for example in examples]


def check_refused(result: Outcome, case: dict[str, Any], name: str) -> None:
    assert result.code == case["code"], result
    assert result.text.startswith(f"{name}: ")
    for word in case["words"]:
        assert word in result.text


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", VALID)
def test_a_valid_file_reads_to_the_expected_examples(name: str, reader: str) -> None:
    data = (GOLDEN / name).read_bytes()
    for g, expected in VALID[name]["sha256_by_scan_groups"].items():
        assert digests(READERS[reader](data, int(g), name)) == expected


@pytest.mark.parametrize("name", VALID)
def test_a_valid_file_has_the_expected_shape(name: str) -> None:
    shard = reference.read_shard((GOLDEN / name).read_bytes(), name)
    case = VALID[name]
    assert list(shard.header.version) == case["version"]
    assert shard.header.num_groups == case["num_groups"]
    assert [record.num_examples for record in shard.index.records] == case["examples_per_record"]
    script = reference.parse_scan_script(shard.header.scan_script)
    assert script.scans_per_group == shard.header.scans_per_group


def marker_segments(stream: bytes) -> list[tuple[int, bytes]]:
    """(marker, contents) of the segments of scan bytes, entropy-coded data left out."""
    segments = []
    position = stream.find(b"\xff")
    while 0 <= position < len(stream) - 1:
        marker = stream[position + 1]
        if marker in (0x00, 0xFF) or 0xD0 <= marker <= 0xD8:
            position = stream.find(b"\xff", position + (1 if marker == 0xFF else 2))
            continue
        size = int.from_bytes(stream[position + 2 : position + 4], "big")
        segments.append((marker, stream[position + 4 : position + 2 + size]))
        position = stream.find(b"\xff", position + 2 + size)
    return segments


def scan_of(sos: bytes, component_ids: list[int]) -> reference.Scan:
    count = sos[0]
    components = tuple(component_ids.index(sos[1 + 2 * i]) for i in range(count))
    ss, se, a = sos[1 + 2 * count :]
    return reference.Scan(components, ss, se, a >> 4, a & 15)


# The scan bytes of these are words.
OF_WORDS = {"v1/valid/later_minor.pcr"} | (VALID.keys() - {"v1_1/valid/turned.pcr"}) & {
    f"v1_1/valid/{case.name}" for case in files_of_1_1.VALID
}


@pytest.mark.parametrize("name", sorted(VALID.keys() - OF_WORDS))
def test_the_scans_of_each_group_are_those_of_the_script_adapted_to_the_image(name: str) -> None:
    shard = reference.read_shard((GOLDEN / name).read_bytes(), name)
    script = reference.parse_scan_script(shard.header.scan_script)
    for record in shard.records:
        for m, entry in enumerate(record.metadata.images):
            if entry.coding == reference.Coding.OPAQUE:
                continue
            slices = [group[m] for group in record.slices]
            groups = [marker_segments(part) for part in slices]
            (frame,) = [contents for marker, contents in groups[0] if marker == 0xC2]
            components = [frame[i : i + 3] for i in range(6, len(frame), 3)]
            sampling = [(component[1] >> 4, component[1] & 15) for component in components]
            ids = [component[0] for component in components]
            found = [
                [scan_of(contents, ids) for marker, contents in group if marker == 0xDA]
                for group in groups
            ]
            assert found == script.adapt(sampling)


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_file_is_refused_by_a_reader_of_the_whole_file(name: str) -> None:
    data = (GOLDEN / name).read_bytes()
    check_refused(outcome(read_whole, data, 1, name), INVALID[name], name)


@pytest.mark.parametrize("reader", PREFIX_READERS)
@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_file_is_refused_from_the_fidelity_that_meets_the_damage(
    name: str, reader: str
) -> None:
    data = (GOLDEN / name).read_bytes()
    case = INVALID[name]
    made_from = case.get("made_from", "two_records.pcr")
    sound = VALID[f"{case['version_folder']}/valid/{made_from}"]["sha256_by_scan_groups"]
    for g, expected in sound.items():
        result = outcome(PREFIX_READERS[reader], data, int(g), name)
        if case["from_scan_groups"] is None or int(g) < case["from_scan_groups"]:
            assert digests(result.examples) == expected, result
        else:
            check_refused(result, case, name)


@pytest.mark.parametrize("name", VALID)
def test_a_valid_file_has_no_fault_but_that_words_do_not_decode(name: str) -> None:
    faults = list(verify_dataset(GOLDEN / name))
    undecodable = [fault for fault in faults if ": decodes at " in fault]
    assert faults == undecodable
    assert bool(faults) == (name in OF_WORDS)


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_file_has_a_fault_that_says_what_the_readers_say(name: str) -> None:
    faults = list(verify_dataset(GOLDEN / name))
    words = INVALID[name]["words"]
    assert any(all(word in fault for word in words) for fault in faults), faults
    assert all(fault.startswith(f"{GOLDEN / name}: ") for fault in faults)


@pytest.mark.parametrize("version", EXPECTED)
def test_every_file_in_the_folders_is_expected_and_there(version: str) -> None:
    folder, expected = GOLDEN / version, EXPECTED[version]
    found = {path.name for path in (folder / "invalid").iterdir()}
    assert found == {*expected["invalid"], *expected.get("invalid_side_indexes", {})}
    found = {str(p.relative_to(folder / "valid")) for p in (folder / "valid").rglob("*.pcr")}
    assert found == {*expected["valid"]}


def test_the_invalid_files_are_what_their_generators_make() -> None:
    for version, made in (
        ("v1", files_of_1_0.damaged_files()),
        ("v1_1", files_of_1_1.damaged_files()),
    ):
        for name, data in made.items():
            assert (GOLDEN / version / name).read_bytes() == data, name


def test_the_native_writer_still_writes_the_files_of_1_1() -> None:
    (made,) = [case.make() for case in files_of_1_1.VALID if case.name == files_of_1_1.MADE_FROM]
    assert made == files_of_1_1.read(f"valid/{files_of_1_1.MADE_FROM}")


def test_the_golden_files_stay_small() -> None:
    total = sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.suffix != ".pyc")
    assert total < 600_000


# --- the data set ------------------------------------------------------------


def read_data_set(side_index: bytes, name: str) -> list[bytes]:
    """All examples at fidelity 1 by the native reader: the side index, then prefixes."""
    index = _native.DatasetIndex.from_bytes(name, side_index)
    shards = [(DATASET / index.shard(s)[0]).read_bytes() for s in range(index.num_shards)]
    return [
        example
        for r in range(index.num_records)
        for example in read_record(index, shards[index.prefix(r, 1)[0]], r, 1)
    ]


def test_the_data_set_reads_through_its_side_index() -> None:
    expected = [
        digest
        for name in ("dataset/a.pcr", "dataset/b.pcr")
        for digest in EXPECTED["v1"]["valid"][name]["sha256_by_scan_groups"]["1"]
    ]
    side = (DATASET / reference.SIDE_INDEX_NAME).read_bytes()
    assert digests(read_data_set(side, "dataset.pcr-index")) == expected
    shards = reference.read_data_set(DATASET)
    assert digests([example for shard in shards for example in shard.examples(1)]) == expected


def test_the_side_index_is_what_its_shards_say() -> None:
    shards = []
    for name in ("a.pcr", "b.pcr"):
        data = (DATASET / name).read_bytes()
        shards.append((name, _native.ShardIndex.from_tail(name, data, len(data))))
    index = _native.DatasetIndex.from_shards(shards)  # type: ignore[arg-type]
    assert index.to_bytes() == (DATASET / reference.SIDE_INDEX_NAME).read_bytes()


@pytest.mark.parametrize("name", EXPECTED["v1"]["invalid_side_indexes"])
def test_an_invalid_side_index_is_refused(name: str, tmp_path: pathlib.Path) -> None:
    data = (FOLDER / "invalid" / name).read_bytes()
    case = EXPECTED["v1"]["invalid_side_indexes"][name]

    if case["found_by_read"]:
        reference.read_side_index(data, name)
        _native.DatasetIndex.from_bytes(name, data)
        found = outcome(lambda data, _, name: read_data_set(data, name), data, 1, name)
        assert found.code == case["code"]
        for word in case["words"]:
            assert word in found.text
        for path in DATASET.glob("*.pcr"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / reference.SIDE_INDEX_NAME).write_bytes(data)
        with pytest.raises(reference.FormatError, match=r"a\.pcr: the side index lists other"):
            reference.read_data_set(tmp_path)
        return

    def parse_natively(data: bytes, scan_groups: int, name: str) -> list[bytes]:
        _native.DatasetIndex.from_bytes(name, data)
        return []

    def parse_plainly(data: bytes, scan_groups: int, name: str) -> list[bytes]:
        reference.read_side_index(data, name)
        return []

    for parse in (parse_natively, parse_plainly):
        check_refused(outcome(parse, data, 1, name), case, name)
