"""Makes the golden files of format version 1, their expected.json and their README.md.

    python -m tests.golden.v1.generate           # from the root of the repository
    python -m tests.golden.v1.generate --check   # says which files would change

The files are frozen: they are what a reader of version 1 must read, whatever the
writer does today, which is to write version 1.1 (tests/golden/v1_1). Run this to add
an invalid file, and put back every file that changes.
Images are drawn here, so another release of Pillow's JPEG encoder may change the
valid files; the invalid ones are made from those that are there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from pcr_tf.format import reference
from tests.golden.v1.invalid_files import INVALID, INVALID_SIDE_INDEXES, damaged_files
from tests.golden.v1.valid_files import FOLDER, SIDE_INDEX, VALID, data_set, read
from tests.native_reader import native_examples, reference_examples


def digests(data: bytes) -> dict[str, Any]:
    """What expected.json says of a valid file; both readers must say the same."""
    found = reference.read_shard(data, "golden")
    examples = {}
    for g in range(1, found.header.num_groups + 1):
        plain = found.examples(g)
        assert plain == reference_examples(data, g) == native_examples(data, g)
        examples[str(g)] = [hashlib.sha256(serialized).hexdigest() for serialized in plain]
    return {
        "version": list(found.header.version),
        "num_groups": found.header.num_groups,
        "examples_per_record": [record.num_examples for record in found.index.records],
        "sha256_by_scan_groups": examples,
    }


def expected() -> dict[str, Any]:
    """The contents of expected.json, from the valid files on disk."""
    dataset = sorted(path.name for path in (FOLDER / "valid" / "dataset").glob("*.pcr"))
    names = [case.name for case in VALID] + [f"dataset/{name}" for name in dataset]
    return {
        "valid": {name: digests(read(f"valid/{name}")) for name in names},
        "invalid": {
            case.name: {
                "code": case.code,
                "words": list(case.words),
                "from_scan_groups": case.from_scan_groups,
            }
            for case in INVALID
        },
        "invalid_side_indexes": {
            case.name: {
                "code": reference.DATA_LOSS,
                "words": list(case.words),
                "found_by_read": case.found_by_read,
            }
            for case in INVALID_SIDE_INDEXES
        },
    }


def hex_dump(data: bytes) -> str:
    lines = []
    for offset in range(0, len(data), 16):
        row = data[offset : offset + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        left, right = row[:8].hex(" "), row[8:].hex(" ")
        lines.append(f"    {offset:08x}  {left:23}  {right:23}  |{text}|\n")
    return "".join(lines)


def readme() -> str:
    valid = "".join(f"| `{case.name}` | {case.shows} |\n" for case in VALID)
    rows = [(case.name, case.why, case.code, case.words, case.from_scan_groups) for case in INVALID]
    rows += [
        (case.name, case.why, reference.DATA_LOSS, case.words, 1) for case in INVALID_SIDE_INDEXES
    ]
    invalid = "".join(
        f"| `{name}` | {why or name.partition('.')[0].replace('_', ' ')} | {code} "
        f"| {', '.join(f'`{word.strip()}`' for word in words)} | {groups or 'whole file'} |\n"
        for name, why, code, words, groups in rows
    )
    return f"""\
# Golden files of format version 1

Made by `generate.py`, which makes this page too; see there before you change a file.
`expected.json` holds the SHA-256 of every example at every fidelity, and what errors must say.

The first 64 bytes of `valid/one_image.pcr`: the length of the header frame and its checksum, then
a `tf.train.Example` with `pcr/frame` = `header`, and the beginning of `pcr/version`.

{hex_dump(read("valid/one_image.pcr")[:64])}
## Valid

| file | shows |
|---|---|
{valid}| `dataset/` | a data set of two shards and its side index |

## Invalid

Each `.pcr` is `valid/two_records.pcr`, and each `.pcr-index` is
`valid/dataset/{SIDE_INDEX}`, with one thing wrong; all checksums that could give it away
by accident are right. The error must hold the words. *From* is the lowest fidelity at
which a reader of index and prefixes meets the damage: lower ones read as if nothing was.
*Whole file*: only a reader that checks every byte does.

| file | what is wrong | error | words | from |
|---|---|---|---|---|
{invalid}"""


def write_files(folder: pathlib.Path, files: dict[str, bytes], check: bool) -> list[str]:
    """Writes files, or only names those that would change."""
    changed = []
    for name, data in files.items():
        path = folder / name
        if path.exists() and path.read_bytes() == data:
            continue
        changed.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return changed


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say which files would change")
    check = parser.parse_args(arguments).check
    changed = []
    for case in VALID:
        # One by one: some are made from those before them.
        changed += write_files(FOLDER, {f"valid/{case.name}": case.make()}, check)
    files = {f"valid/dataset/{name}": data for name, data in data_set().items()}
    changed += write_files(FOLDER, files, check)
    changed += write_files(FOLDER, damaged_files(), check)
    text = json.dumps(expected(), indent=1) + "\n"
    changed += write_files(
        FOLDER, {"expected.json": text.encode(), "README.md": readme().encode()}, check
    )
    print("\n".join(changed) or "nothing changes")
    return int(check and bool(changed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
