"""The contract of sources: nothing is hidden in an instance, and a new kind is one module."""

from __future__ import annotations

import dataclasses
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pcr_tf.convert import Conversion, ConvertError, ConvertOptions, SourceOptions
from pcr_tf.convert.sources import KINDS, Source, make_source
from pcr_tf.convert.sources.registry import SOURCE_CLASSES
from pcr_tf.format import PcrReader
from pcr_tf.format.example import bytes_features
from tests.conversion import jpeg, make_class_folders, write_tfrecord


def _class_folders(folder: Path) -> Source:
    root = make_class_folders(folder / "in", ("pets/ant", "pets/bee", "wild/cat"), per_class=2)
    return make_source("class_folders", [str(root)], ["image/encoded"])


def _tfrecord(folder: Path) -> Source:
    path = write_tfrecord(folder / "a.tfrecord", [{"image/encoded": [jpeg(n)]} for n in range(3)])
    return make_source("tfrecord", [str(path)], ["image/encoded"])


def _table(folder: Path) -> Source:
    root = make_class_folders(folder / "in", ("all",), per_class=4)
    rows = "".join(f"{n:03d}.jpg,{'xy'[n % 2]},p{n % 2},{n}\n" for n in range(4))
    (folder / "labels.csv").write_text(f"name,kind,patient,age\n{rows}")
    options = SourceOptions(
        table=str(folder / "labels.csv"), label_column="kind", split_column="patient"
    )
    return make_source("table", [str(root)], ["image/encoded"], options)


def _webdataset(folder: Path) -> Source:
    with tarfile.open(folder / "a.tar", "w") as tar:
        for name, data in (("a.jpg", jpeg(1)), ("a.cls", b"two"), ("b.jpg", jpeg(2))):
            (folder / name).write_bytes(data)
            tar.add(folder / name, name)
        tar.add(folder / "a.cls", "b.cls")
    options = SourceOptions(classes=("one", "two"))
    return make_source("webdataset", [str(folder / "a.tar")], ["image/encoded"], options)


_MAKERS = {
    "class_folders": _class_folders,
    "tfrecord": _tfrecord,
    "table": _table,
    "webdataset": _webdataset,
}


def test_every_kind_is_held_to_the_contract() -> None:
    assert {*_MAKERS, "tfds"} == set(KINDS)  # TFDS: tests/test_convert_tfds.py.


@pytest.mark.parametrize("make", _MAKERS.values(), ids=_MAKERS)
def test_listing_leaves_a_source_as_it_was(make: Callable[[Path], Source], tmp_path: Path) -> None:
    source = make(tmp_path)
    before = pickle.dumps(source)
    listing = source.list_items(skip_unreadable=False)
    for item in listing.items:
        source.read(item, listing.context)
    assert pickle.dumps(source) == before
    for field in dataclasses.fields(source):  # type: ignore[arg-type]
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(source, field.name, getattr(source, field.name))
    with pytest.raises(dataclasses.FrozenInstanceError):
        source.learned = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("make", _MAKERS.values(), ids=_MAKERS)
def test_a_copy_that_never_listed_reads_items_with_the_context_alone(
    make: Callable[[Path], Source], tmp_path: Path
) -> None:
    source = make(tmp_path)
    unlisted_copy = pickle.loads(pickle.dumps(source))
    listing = source.list_items(skip_unreadable=False)
    context = pickle.loads(pickle.dumps(listing.context))
    assert context == listing.context
    for item in listing.items:
        assert unlisted_copy.read(item, context) == source.read(item, listing.context)
        assert unlisted_copy.key(item) == source.key(item)
        assert unlisted_copy.split_key(item, context) == source.split_key(item, listing.context)


@pytest.mark.parametrize("make", _MAKERS.values(), ids=_MAKERS)
def test_listings_and_contexts_are_frozen(make: Callable[[Path], Source], tmp_path: Path) -> None:
    listing = make(tmp_path).list_items(skip_unreadable=False)
    hash(listing.context)  # Immutable to the depth of its fields.
    for value in (listing, listing.summary(), listing.context):
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.class_names = ()  # type: ignore[misc]


@pytest.mark.parametrize("make", _MAKERS.values(), ids=_MAKERS)
def test_a_context_does_not_carry_the_items(make: Callable[[Path], Source], tmp_path: Path) -> None:
    listing = make(tmp_path).list_items(skip_unreadable=False)
    sent = pickle.dumps(listing.context)
    for item in listing.items:
        assert Path(item.path).name.encode() not in sent
        assert not item.detail or item.detail.encode() not in sent


# A kind of its own


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source of the kind of `tests.tiny_source`, which one line has added."""
    monkeypatch.setitem(SOURCE_CLASSES, "pairs", "tests.tiny_source:PairsSource")
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(4):
        (folder / f"{n}.jpg").write_bytes(jpeg(n))
    (folder / "list.pairs").write_text("".join(f"{'ba'[n % 2]} {n}.jpg\n" for n in range(4)))
    return folder / "list.pairs"


def _converted(source: Path, output: Path, input_format: str, num_workers: int = 0) -> set[bytes]:
    options = ConvertOptions(
        (str(source),), str(output), input_format, num_workers=num_workers, profile_images=0
    )
    summary = Conversion(options).run(quiet=True)
    assert summary.images == 4
    assert summary.manifest["source"]["kind"] == "pairs"
    assert summary.manifest["class_names"] == ["a", "b"]
    features = [
        bytes_features(example, ["name", "image/class/text"])
        for example in PcrReader(output).examples()
    ]
    return {f["name"][0] + b" " + f["image/class/text"][0] for f in features}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_kind_that_one_line_adds_converts(pairs: Path, tmp_path: Path, num_workers: int) -> None:
    examples = _converted(pairs, tmp_path / "out", "pairs", num_workers)
    assert examples == {b"in/0.jpg b", b"in/1.jpg a", b"in/2.jpg b", b"in/3.jpg a"}


def test_a_kind_that_one_line_adds_is_recognized(pairs: Path, tmp_path: Path) -> None:
    assert len(_converted(pairs, tmp_path / "out", "auto")) == 4


def test_a_kind_that_is_not_registered_is_refused_with_those_that_are(pairs: Path) -> None:
    with pytest.raises(ConvertError, match=r"one of auto, .*webdataset.*pairs, got 'pear'"):
        make_source("pear", [str(pairs)], ["image/encoded"])
