"""`PcrWriter`: a drop-in for TFRecordWriter that leaves whole files or none."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from pcr_tf._native import check_jpeg, same_coefficients
from pcr_tf.format import PcrReader, PcrWriter, filesystem, write_side_index
from pcr_tf.format.example import Values, bytes_features, encode_example, int_feature
from tests.conversion import digests, jpeg, png
from tests.small_disk import mounted_disk


def _example(seed: int) -> bytes:
    return encode_example({"image/encoded": [jpeg(seed)], "label": [seed], "text": [b"t%d" % seed]})


def _write(path: Path, count: int, **options: object) -> PcrWriter:
    with PcrWriter(path, **options) as writer:  # type: ignore[arg-type]
        for seed in range(count):
            writer.write(_example(seed))
    return writer


def test_what_is_written_comes_back_with_equal_coefficients_and_features(tmp_path: Path) -> None:
    _write(tmp_path / "a.pcr", 7, examples_per_record=3)
    reader = PcrReader(tmp_path / "a.pcr")
    assert (len(reader), reader.num_records) == (7, 3)
    for seed, example in enumerate(reader.examples()):
        (image,) = bytes_features(example, ["image/encoded"])["image/encoded"]
        assert same_coefficients(image, jpeg(seed)) == ""
        assert int_feature(example, "label") == [seed]
        assert bytes_features(example, ["text"]) == {"text": [b"t%d" % seed]}


@pytest.mark.parametrize("prove", [True, False])
def test_components_that_share_an_identifier_are_kept_with_and_without_a_proof(
    tmp_path: Path, prove: bool
) -> None:
    image = bytearray(jpeg())
    frame, scan = image.index(b"\xff\xc0"), image.index(b"\xff\xda")
    image[frame + 10 + 2 * 3] = image[frame + 10]  # the identifier of Cr: that of Y
    image[scan + 5 + 2 * 2] = image[scan + 5]
    assert check_jpeg(bytes(image)) == ""
    with PcrWriter(tmp_path / "a.pcr", prove=prove) as writer:
        (summary,) = writer.write(encode_example({"image/encoded": [bytes(image)]}))
    assert (summary.coding, summary.reason) == ("opaque", "unsupported")
    assert summary.detail == "components 0 and 2 share identifier 1"
    ((_, _, _, stored),) = PcrReader(tmp_path / "a.pcr").read_images(0, 1)
    assert stored == bytes(image)


def test_every_fidelity_gives_a_jpeg_that_decodes(tmp_path: Path) -> None:
    _write(tmp_path / "a.pcr", 2)
    reader = PcrReader(tmp_path / "a.pcr")
    sizes = []
    for scan_groups in range(1, reader.num_groups + 1):
        images = [image for _, _, _, image in reader.read_images(0, scan_groups)]
        assert [check_jpeg(image) for image in images] == ["", ""]
        sizes.append(sum(map(len, images)))
    assert sizes == sorted(set(sizes))


def test_an_example_is_coded_without_being_written_and_added_once(tmp_path: Path) -> None:
    with PcrWriter(tmp_path / "a.pcr") as writer:
        coded = writer.code(_example(1))
        assert [summary.coding for summary in coded.summaries] == ["progressive"]
        assert writer.statistics.examples == 0
        assert len(writer.add(coded)) == 1
        with pytest.raises(ValueError, match="added once"):
            writer.add(coded)
        writer.code(_example(2))
    (example,) = PcrReader(tmp_path / "a.pcr").examples()
    assert int_feature(example, "label") == [1]


def test_statistics_count_images_bytes_and_opaque_ones(tmp_path: Path) -> None:
    with PcrWriter(tmp_path / "a.pcr", examples_per_record=2) as writer:
        for image in (jpeg(1), png(2), jpeg(3)):
            writer.write(encode_example({"image/encoded": [image]}))
    statistics = writer.statistics
    assert (statistics.examples, statistics.images, statistics.records) == (3, 3, 2)
    assert statistics.source_bytes == len(jpeg(1)) + len(png(2)) + len(jpeg(3))
    assert sum(statistics.group_bytes) == statistics.stored_bytes
    assert [(o.example, o.reason) for o in statistics.opaque] == [(1, "not_a_jpeg")]
    assert statistics.file_bytes == (tmp_path / "a.pcr").stat().st_size


def test_several_image_features_keep_their_images_apart(tmp_path: Path) -> None:
    features: dict[str, Values] = {"left": [jpeg(1)], "right": [jpeg(2), jpeg(3)], "label": [5]}
    with PcrWriter(tmp_path / "a.pcr", image_features=["left", "right"]) as writer:
        writer.write(encode_example(features))
    images = PcrReader(tmp_path / "a.pcr").read_images(0)
    assert [(example, feature) for example, feature, _, _ in images] == [
        (0, "left"),
        (0, "right"),
        (0, "right"),
    ]
    for seed, (_, _, _, image) in enumerate(images, start=1):
        assert same_coefficients(image, jpeg(seed)) == ""


def test_the_final_name_appears_at_close_only(tmp_path: Path) -> None:
    writer = PcrWriter(tmp_path / "a.pcr", examples_per_record=1)
    writer.write(_example(0))
    writer.flush()
    assert not (tmp_path / "a.pcr").exists()
    writer.close()
    writer.close()
    assert os.listdir(tmp_path) == ["a.pcr"]


def test_an_exception_in_the_with_block_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail() -> None:
        with PcrWriter(tmp_path / "a.pcr") as writer:
            writer.write(_example(0))
            raise KeyError("a caller's own mistake")

    with pytest.raises(KeyError):
        fail()
    assert os.listdir(tmp_path) == []


def test_an_old_file_survives_a_failed_rewrite(tmp_path: Path) -> None:
    _write(tmp_path / "a.pcr", 1)
    before = digests(tmp_path)
    writer = PcrWriter(tmp_path / "a.pcr")
    writer.write(_example(9))
    writer.abort()
    assert digests(tmp_path) == before


def test_equal_input_gives_equal_files(tmp_path: Path) -> None:
    _write(tmp_path / "a.pcr", 3)
    _write(tmp_path / "b.pcr", 3, prove=False)
    assert (tmp_path / "a.pcr").read_bytes() == (tmp_path / "b.pcr").read_bytes()


def test_a_file_without_examples_is_whole(tmp_path: Path) -> None:
    _write(tmp_path / "a.pcr", 0)
    assert list(PcrReader(tmp_path / "a.pcr").examples(1)) == []


def test_bytes_that_are_no_example_are_refused_and_the_writer_goes_on(tmp_path: Path) -> None:
    with PcrWriter(tmp_path / "a.pcr") as writer:
        with pytest.raises(ValueError, match=r"."):
            writer.write(b"\x0a\xff")
        writer.write(_example(0))
    assert len(PcrReader(tmp_path / "a.pcr")) == 1


def test_what_is_no_bytes_is_refused_with_what_was_expected(tmp_path: Path) -> None:
    with PcrWriter(tmp_path / "a.pcr") as writer:
        for wrong in ("abc", {"image": b"abc"}):
            with pytest.raises(
                TypeError, match=r"a\.pcr: example to write; expected bytes, .* got"
            ):
                writer.write(wrong)  # type: ignore[arg-type]
        writer.write(_example(0))
    assert len(PcrReader(tmp_path / "a.pcr")) == 1


def test_a_closed_writer_refuses_examples(tmp_path: Path) -> None:
    writer = _write(tmp_path / "a.pcr", 1)
    with pytest.raises(ValueError, match=r"a\.pcr: the writer is closed"):
        writer.write(_example(0))


@pytest.mark.parametrize("options", [{"examples_per_record": 0}, {"scan_script": "no_such_script"}])
def test_wrong_options_are_refused_before_a_file_is_made(
    tmp_path: Path, options: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=r"examples_per_record|no_such_script"):
        PcrWriter(tmp_path / "a.pcr", **options)  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == []


def test_a_folder_that_does_not_exist_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        PcrWriter(tmp_path / "none" / "a.pcr")
    assert caught.value.filename == str(tmp_path / "none" / "a.pcr")


def test_a_scan_script_may_be_text_and_comes_back_in_the_header(tmp_path: Path) -> None:
    script = "0,1,2: 0-0, 0, 0; 0: 1-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0;"
    _write(tmp_path / "a.pcr", 1, scan_script=script)
    reader = PcrReader(tmp_path / "a.pcr")
    assert reader.num_groups == 4
    assert reader.index.header.scan_script == script


def test_a_remote_file_is_written_and_read_through_tensorflow_s_file_systems() -> None:
    pytest.importorskip("tensorflow")
    folder = "ram://writer-test"
    with PcrWriter(f"{folder}/a.pcr", examples_per_record=2) as writer:
        for seed in range(3):
            writer.write(_example(seed))
    assert filesystem.listdir(folder) == ["a.pcr"]
    write_side_index(folder)
    for path in (folder, f"{folder}/a.pcr"):
        reader = PcrReader(path)
        labels = [int_feature(example, "label") for example in reader.examples(1)]
        assert labels == [[0], [1], [2]]
    with pytest.raises(FileNotFoundError):
        PcrReader(f"{folder}/none.pcr")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_disk(tmp_path / "small", "64k") as folder:
        yield folder


def test_a_full_disk_is_an_error_that_names_the_file_and_leaves_none(small_disk: Path) -> None:
    path = small_disk / "a.pcr"

    def fill() -> None:
        with PcrWriter(path, examples_per_record=4) as writer:
            for seed in range(100):
                writer.write(_example(seed))

    with pytest.raises(OSError, match="No space left") as caught:
        fill()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert os.listdir(small_disk) == []


def test_a_failed_write_cannot_be_closed_into_a_file(small_disk: Path) -> None:
    writer = PcrWriter(small_disk / "a.pcr", examples_per_record=1)

    def fill() -> None:
        for seed in range(100):
            writer.write(_example(seed))
            writer.flush()

    with pytest.raises(OSError, match="No space left"):
        fill()
    with pytest.raises(ValueError, match="a write failed earlier"):
        writer.close()
    assert os.listdir(small_disk) == []


def test_a_file_whose_images_have_another_feature_warns(tmp_path: Path) -> None:
    example = encode_example({"image": [jpeg(0)], "label": [1]})
    message = "expected image/encoded, got image, label; name the"
    with pytest.warns(UserWarning, match=message), PcrWriter(tmp_path / "a.pcr") as writer:
        writer.write(example)
    assert list(PcrReader(tmp_path / "a.pcr").examples(1)) == [example]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with PcrWriter(tmp_path / "b.pcr", image_features="image") as writer:
            writer.write(encode_example({"label": [1]}))  # One without an image among others.
            writer.write(example)
        with PcrWriter(tmp_path / "empty.pcr"):
            pass
