"""Stages of the demo whose results are kept, so that a second run is quick."""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from pcr_tf.format.dataset_index import SIDE_INDEX_NAME


def kept(
    path: pathlib.Path,
    settings: Mapping[str, Any],
    compute: Callable[[], Any],
    *,
    again: bool = False,
) -> tuple[Any, bool]:
    """The result of a stage: the one on disk if it is of the same settings, else a new one.

    Args:
        path: JSON file that keeps settings and result. One that cannot be read counts as missing.
        settings: everything that the result depends on, as JSON values.
        compute: makes the result, of JSON values.
        again: whether to compute it in any case.

    Returns:
        The result, and whether it was computed by this call.
    """
    wanted = json.loads(json.dumps(settings))
    try:
        found = json.loads(path.read_text())
        if not again and found["settings"] == wanted:
            return found["result"], False
    except (OSError, ValueError, KeyError, TypeError):
        pass
    result = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"settings": wanted, "result": result}, indent=2) + "\n")
    return json.loads(json.dumps(result)), True


def contents_key(dataset: pathlib.Path) -> str:
    """Names the contents of a PCR data set: its side index holds a checksum of every shard."""
    return hashlib.sha256((dataset / SIDE_INDEX_NAME).read_bytes()).hexdigest()[:16]
