"""Helpers for the tests of object stores: what runs with them, reads them and fills them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from pcr_tf.format import PcrReader
from tests.servers import ROOT
from tests.waiting import HANG_S

needs_tensorflow_io = pytest.mark.skipif(
    tuple(map(int, tf.__version__.split(".")[:2])) > (2, 17),
    reason="tensorflow-io, which has s3:// and http://, loads into TensorFlow 2.16 and 2.17 only: "
    "make test TF=2.17.1",
)


def run_python(
    arguments: Sequence[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs a Python program from the root of the sources; fails where it hangs."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )


def read_in_a_process(
    path: str, scan_groups: Sequence[int], environment: dict[str, str], *options: str
) -> dict[str, Any]:
    """What tests/read_dataset.py saw; the process must have ended with status 0."""
    groups = ",".join(map(str, scan_groups))
    done = run_python(["-m", "tests.read_dataset", path, groups, *options], environment)
    return what_was_seen(done)


def what_was_seen(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def example_digests(folder: Path, scan_groups: Sequence[int]) -> dict[str, list[str]]:
    """Of the examples of a data set, by the reader that knows no TensorFlow."""
    reader = PcrReader(folder)
    return {
        str(groups): [hashlib.sha256(e).hexdigest() for e in reader.examples(groups)]
        for groups in scan_groups
    }


def put_folder(url: str, folder: Path) -> None:
    """Stores the files of a folder below `url`."""
    for file in sorted(folder.iterdir()):
        put(f"{url}/{file.name}", file.read_bytes())


def put(url: str, data: bytes, method: str = "PUT") -> None:
    headers = {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    urllib.request.urlopen(request, timeout=HANG_S).close()
