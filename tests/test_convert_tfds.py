"""Data sets that TensorFlow Datasets has prepared."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from pcr_tf._native import same_coefficients
from pcr_tf.convert import ConvertError, SourceOptions
from pcr_tf.convert.sources import make_source
from pcr_tf.convert.sources.files.tfrecord import TfRecordSource
from pcr_tf.format import PcrReader
from pcr_tf.format.example import bytes_features, int_feature
from tests.conversion import convert, digests, jpeg, run

FORMATS = ("tfrecord", "array_record")
NUM_EXAMPLES = 9


@pytest.fixture(scope="module")
def tfds() -> Any:
    """The library, or skips the test."""
    try:
        import importlib_resources  # noqa: F401
        import tensorflow_datasets

        _ = tensorflow_datasets.core.features  # It imports the rest when asked for it.
    except ImportError as error:
        pytest.skip(f"needs TensorFlow Datasets (pip install pcr-tf[tfds]): {error}")
    return tensorflow_datasets


@pytest.fixture(scope="module")
def prepared(tfds: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data_dir with a small builder for each format of files: pets_tfrecord, ..."""
    root = tmp_path_factory.mktemp("tfds")
    examples = []
    for number in range(NUM_EXAMPLES):
        path = root / f"{number}.jpg"
        path.write_bytes(jpeg(number))
        about = {"image": str(path), "label": ["cat", "dog"][number % 2], "file": path.name}
        examples.append((number, about))
    features = {
        "image": tfds.features.Image(encoding_format="jpeg"),
        "label": tfds.features.ClassLabel(names=["cat", "dog"]),
        "file": tfds.features.Text(),
    }
    for file_format in FORMATS:
        tfds.dataset_builders.store_as_tfds_dataset(
            name=f"pets_{file_format}",
            version="1.0.0",
            features=tfds.features.FeaturesDict(features),
            split_datasets={"train": examples, "test": examples[:2]},
            data_dir=str(root / "data"),
            file_format=file_format,
        )
    return root / "data"


def _convert(prepared: Path, name: str, output: Path, split: str = "train", **options: Any) -> Any:
    source_options = SourceOptions(tfds_data_dir=str(prepared), tfds_split=split)
    defaults = {
        "input_format": "tfds",
        "image_features": ("image",),
        "source_options": source_options,
    }
    return convert(name, output, **{**defaults, **options})


def _files(output: Path) -> dict[str, bytes]:
    examples = PcrReader(output).examples()
    return {bytes_features(e, ["file"])["file"][0].decode(): e for e in examples}


@pytest.mark.parametrize("file_format", FORMATS)
def test_examples_are_those_that_tfds_gives_without_decoding(
    tfds: Any, prepared: Path, tmp_path: Path, file_format: str
) -> None:
    name = f"pets_{file_format}"
    summary = _convert(prepared, name, tmp_path / "out")
    assert summary.manifest["class_names"] == ["cat", "dog"]
    builder = tfds.builder(name, data_dir=str(prepared))
    decoders = {"image": tfds.decode.SkipDecoding()}
    ours = _files(tmp_path / "out")
    if file_format == "array_record":
        theirs = builder.as_data_source(split="train", decoders=decoders)
    else:
        theirs = tfds.as_numpy(builder.as_dataset(split="train", decoders=decoders))
    seen = 0
    for example in theirs:
        stored = ours[example["file"].decode()]
        assert int_feature(stored, "label") == [example["label"]]
        image = bytes_features(stored, ["image"])["image"][0]
        assert same_coefficients(image, example["image"]) == ""
        seen += 1
    assert seen == len(ours) == NUM_EXAMPLES


def test_tfds_parses_what_it_gave(tfds: Any, prepared: Path, tmp_path: Path) -> None:
    _convert(prepared, "pets_tfrecord", tmp_path / "out")
    features = tfds.builder("pets_tfrecord", data_dir=str(prepared)).info.features
    parsed = [features.deserialize_example_np(e) for e in PcrReader(tmp_path / "out").examples()]
    assert {example["file"].decode() for example in parsed} == set(_files(tmp_path / "out"))
    assert all(example["image"].shape == (48, 64, 3) for example in parsed)


@pytest.mark.parametrize("file_format", FORMATS)
def test_slices_of_a_split_and_folders_of_builders_are_understood(
    prepared: Path, tmp_path: Path, file_format: str
) -> None:
    name = f"pets_{file_format}"
    folder = str(prepared / name / "1.0.0")
    assert _convert(prepared, name, tmp_path / "a", "train[2:5]").images == 3
    assert _convert(prepared, folder, tmp_path / "b", "train[:2]+train[5:]").images == 6
    assert _convert(prepared, folder, tmp_path / "c").images == NUM_EXAMPLES
    files = [set(_files(tmp_path / part)) for part in "abc"]
    assert not files[0] & files[1]
    assert files[0] | files[1] == files[2]


@pytest.mark.parametrize("file_format", FORMATS)
def test_listing_and_reading_leave_a_source_as_it_was(prepared: Path, file_format: str) -> None:
    folder = str(prepared / f"pets_{file_format}" / "1.0.0")
    source = make_source("tfds", [folder], ["image"])
    before = pickle.dumps(source)
    listing = source.list_items(skip_unreadable=False)
    context = pickle.loads(pickle.dumps(listing.context))
    read = [source.read(item, context) for item in listing.items]
    assert pickle.dumps(source) == before
    unlisted_copy = pickle.loads(before)
    assert [unlisted_copy.read(item, context) for item in listing.items] == read
    with pytest.raises(dataclasses.FrozenInstanceError):
        source.image_features = ()


def test_a_file_of_a_builder_that_lost_records_is_named(prepared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pets"
    shutil.copytree(prepared / "pets_tfrecord" / "1.0.0", folder)
    path = next(path for path in folder.glob("*train*") if path.stat().st_size)
    (first, *_) = TfRecordSource((str(path),), ("image",)).list_items(skip_unreadable=False).items
    os.truncate(path, first.offset + first.size_bytes + 4)
    message = r"train.*: expected \d+ records, as the builder says, got 1; prepare it anew"
    with pytest.raises(ConvertError, match=message):
        _convert(prepared, str(folder), tmp_path / "out")
    summary = _convert(prepared, str(folder), tmp_path / "out", on_unreadable="skip")
    assert [entry["name"] for entry in summary.manifest["skipped"]] == [path.name]


@pytest.mark.parametrize("file_format", FORMATS)
def test_workers_do_not_change_a_converted_builder(
    prepared: Path, tmp_path: Path, file_format: str
) -> None:
    for name, workers in (("x", 0), ("y", 2)):
        _convert(prepared, f"pets_{file_format}", tmp_path / name, num_workers=workers)
    assert digests(tmp_path / "x") == digests(tmp_path / "y")


def test_the_command_takes_a_builder_by_name(prepared: Path, tmp_path: Path) -> None:
    flags = ("--input_format=tfds", "--input=pets_tfrecord", f"--tfds_data_dir={prepared}")
    more = ("--tfds_split=test", "--image_feature=image", f"--output={tmp_path}/out")
    done = run("convert", *flags, *more)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["counts"]["images"] == 2
    assert manifest["flags"]["tfds_split"] == "test"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("no_such_pets", {}, "no_such_pets: neither a builder nor the folder of one"),
        ("mnist", {}, r"mnist: not prepared in .*run `tfds build mnist`.*`tfds_data_dir`"),
        ("pets_tfrecord", {"split": "valid"}, "no split 'valid'; expected one of train, test"),
        ("pets_tfrecord", {"split": "train[5:5]"}, r"(is empty|no split 'train\[5:5\]')"),
        (
            "pets_tfrecord",
            {"image_features": ("image/encoded",)},
            "no image feature 'image/encoded'; its images are image; name them with `image_fea",
        ),
    ],
)
def test_a_builder_that_does_not_serve_is_named_with_the_remedy(
    prepared: Path, tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConvertError, match=message):
        _convert(prepared, name, tmp_path / "out", **options)


def test_without_the_library_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_datasets", None)
    with pytest.raises(ConvertError, match=r"install pcr-tf\[tfds\]"):
        convert("mnist", tmp_path / "out", input_format="tfds")
