"""The protobuf-free codec of tf.train.Example, held to protobuf's own where TensorFlow is there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcr_tf.format.example import (
    Values,
    bytes_features,
    encode_example,
    feature_keys,
    int_feature,
    with_features,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
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


def test_replacing_a_feature_leaves_the_others_as_they_are() -> None:
    data = encode_example({"a": [b"old"], "b": [3]}) + encode_example({"a": [b"older"]})
    changed = with_features(data, {"a": [b"new"]})
    assert bytes_features(changed, ["a"]) == {"a": [b"new"]}
    assert int_feature(changed, "b") == [3]
    assert b"old" not in changed


def test_a_feature_of_another_kind_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'a' is not a bytes_list"):
        bytes_features(encode_example({"a": [1]}), ["a"])
