"""Whole shards through the native reader and through the reference, in one form.

Both are used as a reader of a data set uses them: the tail of the file first,
then prefixes. So their answers can be compared, byte by byte and error by error.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from pcr_tf import _native
from pcr_tf.format import reference


def open_index(data: bytes, name: str = "a.pcr") -> _native.DatasetIndex:
    """The native index of one shard, from the file's tail."""
    tail_bytes = min(len(data), _native.ShardIndex.tail_bytes())
    found = _native.ShardIndex.from_tail(name, data[len(data) - tail_bytes :], len(data))
    if isinstance(found, int):
        found = _native.ShardIndex.from_tail(name, data[len(data) - found :], len(data))
    assert not isinstance(found, int)
    return _native.DatasetIndex.from_shards([(name, found)])


def read_record(index: _native.DatasetIndex, data: bytes, r: int, scan_groups: int) -> list[bytes]:
    """The native reader's examples of one record, from its prefix alone."""
    _, offset, size = index.prefix(r, scan_groups)
    return _native.parse_record(index, r, scan_groups, data[offset : offset + size])


def native_examples(data: bytes, scan_groups: int, name: str = "a.pcr") -> list[bytes]:
    index = open_index(data, name)
    return [
        example
        for r in range(index.num_records)
        for example in read_record(index, data, r, scan_groups)
    ]


def reference_examples(data: bytes, scan_groups: int, name: str = "a.pcr") -> list[bytes]:
    index, _ = reference.read_index(data, name)
    examples = []
    for entry in index.records:
        offset, size = reference.prefix_range(index, entry.ordinal, scan_groups, name)
        prefix = data[offset : offset + size]
        record = reference.parse_prefix(prefix, index.header, entry, scan_groups, name)
        for n in range(entry.num_examples):
            examples.append(reference.reassemble_example(record, n, scan_groups))
    return examples


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a reader made of bytes: examples, or an error's code and text."""

    examples: tuple[bytes, ...] = ()
    code: str = ""
    text: str = dataclasses.field(default="", compare=False)


def outcome(
    read: Callable[[bytes, int, str], list[bytes]],
    data: bytes,
    scan_groups: int,
    name: str = "a.pcr",
) -> Outcome:
    """Only the errors that the readers promise become an outcome."""
    try:
        return Outcome(tuple(read(data, scan_groups, name)))
    except reference.FormatError as error:
        return Outcome(code=error.code, text=str(error))
    except _native.DataLossError as error:
        return Outcome(code=reference.DATA_LOSS, text=str(error))
    except ValueError as error:
        return Outcome(code=reference.INVALID_ARGUMENT, text=str(error))
