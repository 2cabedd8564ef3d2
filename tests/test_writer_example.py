"""The protobuf-free codec of tf.train.Example, held to protobuf's own where TensorFlow is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcr_tf.format.example import (
    Values,
    bytes_features,
    encode_example,
    feature_keys,
    feature_messages,
    feature_values,
    int_feature,
    with_features,
)
from pcr_tf.format.writer import PcrWriter

INT64 = st.integers(-(2**63), 2**63 - 1)


def _field(number: int, data: bytes) -> bytes:
    """A field of fewer than 128 bytes."""
    return bytes((number << 3 | 2, len(data))) + data


def _feature(values: Values) -> bytes:
    """A serialized Feature message."""
    return feature_messages(encode_example({"a": values}))["a"]


VALUES = st.one_of(st.lists(st.binary(max_size=300), min_size=1), st.lists(INT64, min_size=1))


def test_an_encoded_example_is_what_protobuf_parses() -> None:
    tf = pytest.importorskip("tensorflow")
    features: dict[str, Values] = {
        "a": [b"x", b""],
        "b": [-1, 0, 2**40],
        "c": [0.5, -2.0],
        "": [7],
        "e": [],
    }
    message = tf.train.Example.FromString(encode_example(features))
    found = message.features.feature
    assert list(found["a"].bytes_list.value) == [b"x", b""]
    assert list(found["b"].int64_list.value) == [-1, 0, 2**40]
    assert list(found["c"].float_list.value) == [0.5, -2.0]
    assert list(found[""].int64_list.value) == [7]
    assert found["e"].WhichOneof("kind") is None


@given(st.dictionaries(st.text(max_size=20), VALUES, max_size=5))
def test_decoding_gives_back_what_was_encoded(features: dict[str, list[bytes] | list[int]]) -> None:
    data = encode_example(features)
    assert feature_keys(data) == sorted(features)
    for key, values in features.items():
        if isinstance(values[0], bytes):
            assert bytes_features(data, [key]) == {key: values}
        else:
            assert int_feature(data, key) == values


@given(st.binary(max_size=60))
def test_arbitrary_bytes_decode_or_raise_value_error(data: bytes) -> None:
    try:
        bytes_features(data, ["a"])
        feature_keys(data)
        int_feature(data, "a")
    except ValueError:
        pass


def test_the_last_of_equal_keys_counts() -> None:
    data = encode_example({"a": [b"old"]}) + encode_example({"a": [b"new"]})
    assert bytes_features(data, ["a"]) == {"a": [b"new"]}


def _odd_feature(*fields: bytes) -> bytes:
    """An example with feature "a" whose map entry holds `fields` after the key."""
    entry = _field(1, b"a") + b"".join(fields)
    return _field(1, _field(1, entry))


BYTES = _feature([b"x"])
MORE_BYTES = _feature([b"y", b""])
INTS = _feature([1, 300])
FLOATS = _feature([0.5])
UNKNOWN = b"\x38\x01" + b"\x08\xff\x01" + _field(9, b"unknown")  # varints as fields 7 and 1

ODD_FEATURES: dict[str, tuple[bytes, Values]] = {
    "a oneof of int64 and then bytes": (_odd_feature(_field(2, INTS + BYTES)), [b"x"]),
    "a oneof of bytes and then int64": (_odd_feature(_field(2, BYTES + INTS)), [1, 300]),
    "bytes, floats and bytes": (_odd_feature(_field(2, BYTES + FLOATS + MORE_BYTES)), [b"y", b""]),
    "a list in two parts": (_odd_feature(_field(2, BYTES + MORE_BYTES)), [b"x", b"y", b""]),
    "unknown fields": (_odd_feature(_field(2, UNKNOWN + BYTES + UNKNOWN)), [b"x"]),
    "unknown fields in the list": (
        _odd_feature(_field(2, _field(1, UNKNOWN + _field(1, b"x")))),
        [b"x"],
    ),
    "a feature in two parts": (
        _odd_feature(_field(2, BYTES), _field(2, MORE_BYTES)),
        [b"x", b"y", b""],
    ),
    "a feature of which the second part is empty": (
        _odd_feature(_field(2, BYTES), _field(2, b"")),
        [b"x"],
    ),
    "a feature in parts of two kinds": (_odd_feature(_field(2, BYTES), _field(2, INTS)), [1, 300]),
    "integers one by one": (_odd_feature(_field(2, _field(3, b"\x08\x01\x08\xac\x02"))), [1, 300]),
    "an integer of more than 64 bits": (
        _odd_feature(_field(2, _field(3, b"\x08" + b"\xff" * 9 + b"\x7f"))),
        [-1],
    ),
    "unknown fields among integers": (
        _odd_feature(_field(2, _field(3, _field(2, b"\x05") + INTS[2:]))),
        [1, 300],
    ),
}


@pytest.mark.parametrize("name", list(ODD_FEATURES))
def test_a_feature_that_protobuf_parses_is_parsed_the_same(name: str) -> None:
    example, values = ODD_FEATURES[name]
    assert feature_values(feature_messages(example)["a"]) == values
    if isinstance(values[0], bytes):
        assert bytes_features(example, ["a"]) == {"a": values}
        with pytest.raises(ValueError, match="'a' is not an int64_list"):
            int_feature(example, "a")
    else:
        assert int_feature(example, "a") == values
        with pytest.raises(ValueError, match="'a' is not a bytes_list"):
            bytes_features(example, ["a"])


@pytest.mark.parametrize("name", list(ODD_FEATURES))
def test_protobuf_parses_the_odd_features_so(name: str) -> None:
    tf = pytest.importorskip("tensorflow")
    example, values = ODD_FEATURES[name]
    feature = tf.train.Example.FromString(example).features.feature["a"]
    assert list(getattr(feature, feature.WhichOneof("kind")).value) == values


@pytest.mark.parametrize("name", list(ODD_FEATURES))
def test_the_writer_finds_the_images_that_the_parser_finds(name: str, tmp_path: Path) -> None:
    example, values = ODD_FEATURES[name]
    with PcrWriter(tmp_path / "a.pcr", image_features=["a"]) as writer:
        if isinstance(values[0], bytes):
            coded = writer.code(example)
            assert [s.source_bytes for s in coded.summaries] == [len(v) for v in values]  # type: ignore[arg-type]
        else:
            with pytest.raises(ValueError, match="a is not a bytes_list"):
                writer.code(example)


def test_replacing_a_feature_leaves_the_others_as_they_are() -> None:
    data = encode_example({"a": [b"old"], "b": [3]}) + encode_example({"a": [b"older"]})
    changed = with_features(data, {"a": [b"new"]})
    assert bytes_features(changed, ["a"]) == {"a": [b"new"]}
    assert int_feature(changed, "b") == [3]
    assert b"old" not in changed


def test_a_feature_of_another_kind_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'a' is not a bytes_list"):
        bytes_features(encode_example({"a": [1]}), ["a"])
