"""Makes the golden files of format version 1.1, their expected.json and their README.md.

    python -m tests.golden.v1_1.generate           # from the root of the repository
    python -m tests.golden.v1_1.generate --check   # says which files would change

Once version 1.1 is released the files are frozen, as those of version 1 are: see there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from tests.golden.v1.generate import digests, write_files
from tests.golden.v1_1.files import FOLDER, INVALID, VALID, damaged_files, read


def expected() -> dict[str, Any]:
    """The contents of expected.json, from the valid files on disk."""
    return {
        "valid": {case.name: digests(read(f"valid/{case.name}")) for case in VALID},
        "invalid": {
            case.name: {
                "code": case.code,
                "words": list(case.words),
                "from_scan_groups": case.from_scan_groups,
                "made_from": case.made_from,
            }
            for case in INVALID
        },
    }


def readme() -> str:
    valid = "".join(f"| `{case.name}` | {case.shows} |\n" for case in VALID)
    invalid = "".join(
        f"| `{case.name}` | `{case.made_from}` "
        f"| {case.why or case.name.partition('.')[0].replace('_', ' ')} | {case.code} "
        f"| {', '.join(f'`{word.strip()}`' for word in case.words)} "
        f"| {case.from_scan_groups or 'whole file'} |\n"
        for case in INVALID
    )
    return f"""\
# Golden files of format version 1.1

Made by `generate.py`, which makes this page too. They show what version 1.1 adds to version 1, and
what its document says more precisely. `../v1/README.md` explains the columns.

## Valid

| file | shows |
|---|---|
{valid}
## Invalid

| file | made from | what is wrong | error | words | from |
|---|---|---|---|---|---|
{invalid}"""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say which files would change")
    check = parser.parse_args(arguments).check
    valid = {f"valid/{case.name}": case.make() for case in VALID}
    changed = write_files(FOLDER, valid, check)
    changed += write_files(FOLDER, damaged_files(), check)
    text = json.dumps(expected(), indent=1) + "\n"
    pages = {"expected.json": text.encode(), "README.md": readme().encode()}
    changed += write_files(FOLDER, pages, check)
    print("\n".join(changed) or "nothing changes")
    return int(check and bool(changed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
