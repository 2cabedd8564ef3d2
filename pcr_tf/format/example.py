"""Serialized ``tf.train.Example`` messages, made and taken apart without protobuf.

Only what the writer side of this package needs: building an example from Python values, finding the
values of a bytes feature, and replacing them. An example is

    Example  { Features features = 1; }
    Features { map<string, Feature> feature = 1; }
    Feature  { oneof { BytesList = 1; FloatList = 2; Int64List = 3; } }

All functions raise ValueError where bytes are not such a message.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

Values = Sequence[bytes] | Sequence[int] | Sequence[float]

_VARINT = 0
_LENGTH_DELIMITED = 2
_FIXED32 = 5
_BYTES, _FLOATS, _INTS = 1, 2, 3  # field numbers of a Feature
_64_BITS = (1 << 64) - 1
_ONE_BYTE_VARINTS = tuple(bytes((value,)) for value in range(0x80))


def _varint(value: int) -> bytes:
    if 0 <= value < 0x80:
        return _ONE_BYTE_VARINTS[value]
    value &= _64_BITS  # Negative int64 values are sent as their two's complement.
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(data)) + data


def _feature(values: Values) -> bytes:
    if not values:
        return b""
    if all(isinstance(value, bytes) for value in values):
        return _field(1, b"".join(_field(1, value) for value in values))  # type: ignore[arg-type]
    if all(isinstance(value, int) for value in values):
        packed = b"".join(_varint(value) for value in values)  # type: ignore[arg-type]
        return _field(3, _field(1, packed))
    if all(isinstance(value, float) for value in values):
        return _field(2, _field(1, struct.pack(f"<{len(values)}f", *values)))
    raise ValueError(f"a feature holds values of one kind: bytes, int or float; got {values!r:.80}")


def encode_example(features: Mapping[str, Values]) -> bytes:
    """A serialized ``tf.train.Example`` that holds `features`, in the order of the mapping.

    Example:
        encode_example({"image/encoded": [jpeg], "image/class/label": [7]})
    """
    entries = (_field(1, key.encode()) + _field(2, _feature(v)) for key, v in features.items())
    return _field(1, b"".join(_field(1, entry) for entry in entries))


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("not a serialized tf.train.Example: it ends inside a varint")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value & _64_BITS, at  # Bits above the 64th are dropped, as protobuf does.
        shift += 7


def _fields(data: memoryview) -> Iterator[tuple[int, int, memoryview, memoryview]]:
    """(number, wire type, contents, whole field) of each field of a message."""
    at = 0
    while at < len(data):
        start = at
        tag, at = _read_varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _LENGTH_DELIMITED:
            length, at = _read_varint(data, at)
            begin, at = at, at + length
        elif wire_type == _VARINT:
            begin = at
            _, at = _read_varint(data, at)
        elif wire_type in (1, _FIXED32):
            begin, at = at, at + (8 if wire_type == 1 else 4)
        else:
            raise ValueError(f"not a serialized tf.train.Example: wire type {wire_type}")
        if number == 0 or at > len(data):
            raise ValueError("not a serialized tf.train.Example: a field reaches past the end")
        yield number, wire_type, data[begin:at], data[start:at]


def _entries(example: bytes) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """(key, Feature message, whole map entry) of every entry, later ones overriding earlier."""
    for number, wire_type, features, _ in _fields(memoryview(example)):
        if (number, wire_type) != (1, _LENGTH_DELIMITED):
            continue
        for entry_number, entry_type, entry, whole in _fields(features):
            if (entry_number, entry_type) != (1, _LENGTH_DELIMITED):
                continue
            key = b""
            parts: list[memoryview] = []
            for part, part_type, contents, _ in _fields(entry):
                if part_type == _LENGTH_DELIMITED and part == 1:
                    key = bytes(contents)
                elif part_type == _LENGTH_DELIMITED and part == 2:
                    parts.append(contents)
            # Messages in parts are merged, and the parts one after the other parse to just that.
            feature = parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
            yield key, feature, whole


def feature_keys(example: bytes) -> list[str]:
    """The distinct feature keys of a serialized example, sorted."""
    return sorted({key.decode(errors="replace") for key, _, _ in _entries(example)})


def has_feature_lists(example: bytes) -> bool:
    """Whether the message is a ``tf.train.SequenceExample`` whose feature lists hold something; its
    context is, byte for byte, the features of an Example."""
    return any(
        (number, wire_type) == (2, _LENGTH_DELIMITED) and len(contents) > 0
        for number, wire_type, contents, _ in _fields(memoryview(example))
    )


def feature_messages(example: bytes) -> dict[str, bytes]:
    """The serialized Feature message of each feature; of equal keys the last one's.

    Keys that are not UTF-8 come with surrogate escapes.
    """
    return {
        key.decode(errors="surrogateescape"): bytes(feature)
        for key, feature, _ in _entries(example)
    }


def feature_values(feature: bytes) -> list[bytes] | list[int] | list[float]:
    """The values of a serialized Feature message, of whatever kind.

    Raises:
        ValueError: it is not such a message.
    """
    kind, parts = _list_parts(memoryview(feature))
    if kind == _BYTES:
        return _bytes_of(parts)
    return _floats_of(parts) if kind == _FLOATS else _ints_of(parts)


def _list_parts(feature: memoryview) -> tuple[int, list[memoryview]]:
    """The field number of the list that a Feature message holds, 0 where it holds none, and the
    parts in which the list comes."""
    kind = 0
    parts: list[memoryview] = []
    for number, wire_type, contents, _ in _fields(feature):
        if wire_type != _LENGTH_DELIMITED or number not in (_BYTES, _FLOATS, _INTS):
            continue
        if number != kind:  # A oneof: the last one set wins.
            kind, parts = number, []
        parts.append(contents)
    return kind, parts


def _bytes_of(parts: Sequence[memoryview]) -> list[bytes]:
    return [
        bytes(value)
        for part in parts
        for number, wire_type, value, _ in _fields(part)
        if (number, wire_type) == (1, _LENGTH_DELIMITED)
    ]


def _floats_of(parts: Sequence[memoryview]) -> list[float]:
    values: list[float] = []
    for part in parts:
        for number, wire_type, value, _ in _fields(part):
            if number == 1 and wire_type in (_LENGTH_DELIMITED, _FIXED32):
                values += struct.unpack(f"<{len(value) // 4}f", value[: len(value) // 4 * 4])
    return values


def _ints_of(parts: Sequence[memoryview]) -> list[int]:
    values: list[int] = []
    for part in parts:
        for number, wire_type, value, _ in _fields(part):
            if number == 1 and wire_type in (_LENGTH_DELIMITED, _VARINT):
                values += _varints(value)
    return values


def _varints(packed: memoryview) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _read_varint(packed, at)
        yield value - (1 << 64) if value >> 63 else value


def _bytes_values(key: str, feature: memoryview) -> list[bytes]:
    kind, parts = _list_parts(feature)
    if kind not in (0, _BYTES):
        raise ValueError(f"feature {key!r} is not a bytes_list")
    return _bytes_of(parts)


def bytes_features(example: bytes, keys: Sequence[str]) -> dict[str, list[bytes]]:
    """The values of the bytes features `keys`, in the order of `keys`; a key that the example does
    not hold is left out.

    Raises:
        ValueError: the bytes are no example, or a feature of that name is not a bytes_list.
    """
    wanted = {key.encode(): key for key in keys}
    found: dict[str, memoryview] = {}
    for key, feature, _ in _entries(example):
        if key in wanted:
            found[wanted[key]] = feature
    return {key: _bytes_values(key, found[key]) for key in keys if key in found}


def int_feature(example: bytes, key: str) -> list[int]:
    """The values of int64 feature `key`; empty where the example does not hold it."""
    values: list[int] = []
    for entry_key, feature, _ in _entries(example):
        if entry_key != key.encode():
            continue
        kind, parts = _list_parts(feature)
        if kind not in (0, _INTS):
            raise ValueError(f"feature {key!r} is not an int64_list")
        values = _ints_of(parts)
    return values


def with_features(example: bytes, features: Mapping[str, Values]) -> bytes:
    """`example` with `features` in place of those of the same names; the others stay."""
    replaced = {key.encode() for key in features}
    kept = b"".join(whole for key, _, whole in _entries(example) if key not in replaced)
    return _field(1, kept) + encode_example(features)
