"""Reads a data set in a process of its own and prints what it saw as JSON, for tests of stores.

  python -m tests.read_dataset s3://bucket/photos.pcr 1,4 [option=value ...]

It is opened and read once for each number of scan groups.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import Any

from pcr_tf.data import PcrDataset, read_statistics


def main() -> None:
    path, scan_groups = sys.argv[1:3]
    options: dict[str, Any] = dict(argument.split("=", 1) for argument in sys.argv[3:])
    goes_on = bool(options.pop("goes_on_after_errors", False))
    digests: dict[str, list[str]] = {}
    errors = []
    for groups in scan_groups.split(","):
        numbers: dict[str, Any] = {key: int(value) for key, value in options.items()}
        iterator = iter(PcrDataset(path, scan_groups=int(groups), **numbers))
        digests[groups] = []
        while True:
            try:
                example = next(iterator).numpy()
                digests[groups].append(hashlib.sha256(example).hexdigest())
            except StopIteration:
                break
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")
                if not goes_on:
                    break
    statistics = read_statistics()
    seen = {
        "digests": digests,
        "errors": errors,
        "open_files": len(os.listdir("/proc/self/fd")),
        **{name: getattr(statistics, name) for name in statistics.__dataclass_fields__},
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
