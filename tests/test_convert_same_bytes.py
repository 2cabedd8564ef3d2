"""The same source and flags give the same bytes, whatever the hash seed and the number of workers.

Sets of texts are walked in another order in each process: what decides labels or order from such a
walk differs between two runs of one command.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pcr_tf.convert.sources.options import SourceOptions
from pcr_tf.convert.sources.tables.labels import resolve_labels
from pcr_tf.format.example import encode_example
from tests.conversion import ROOT, command, digests, jpeg, png, write_tfrecord

LETTERS = "zyxwvutsrqponmlkjihgfedcba"


def _class_folders(folder: Path) -> list[str]:
    """Two roots with classes, names and folders in common, files that are no images, and links."""
    for root in ("in", "more"):
        for letter in LETTERS[:9]:
            for below in ("", "/deep"):
                path = folder / root / f"{letter}{below}"
                path.mkdir(parents=True)
                (path / "0.jpg").write_bytes(jpeg(ord(letter)))
                (path / "0.png").write_bytes(png(ord(letter)))
        for letter in LETTERS[9:15]:
            (folder / root / letter).mkdir()
            (folder / root / letter / "x.txt").write_text("x")
    return [f"--input={folder}/in,{folder}/more"]


def _tfrecords(folder: Path) -> list[str]:
    (folder / "in").mkdir()
    for number, letter in enumerate(LETTERS[:6]):
        example = encode_example({"image/encoded": [jpeg(number)], letter: [number]})
        write_tfrecord(folder / "in" / f"{letter}.tfrecord", [example] * 3 + [b"no example"])
    return [f"--input={folder}/in", "--on_unreadable=skip"]


def _table(folder: Path) -> list[str]:
    (folder / "in").mkdir()
    rows = ["file,dx,lesion,number"]
    for number, letter in enumerate(LETTERS):
        (folder / "in" / f"{letter}.jpg").write_bytes(jpeg(number))
        rows.append(
            f"{letter}.jpg,{-1 if number % 5 else number / 2},{letter if number % 3 else ''},7"
        )
    (folder / "t.csv").write_text("\n".join([*rows, "gone.jpg,1.5,a,1"]))
    flags = ["--label_column=dx", "--split=train:0.6,validation:0.4", "--split_column=lesion"]
    return [f"--input={folder}/in", f"--table={folder}/t.csv", "--on_unmatched=ignore", *flags]


def _tar_shards(folder: Path) -> list[str]:
    (folder / "in").mkdir()
    for shard in "ba":
        with tarfile.open(folder / "in" / f"{shard}.tar", "w") as tar:
            for number, letter in enumerate(LETTERS[:9]):
                fields = dict.fromkeys(LETTERS, number)
                for extension, data in (
                    ("json", json.dumps(fields).encode()),
                    ("cls", letter.encode()),
                    ("jpg", jpeg(number)),
                    ("txt", b"text"),
                ):
                    info = tarfile.TarInfo(f"{letter}.{extension}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    return [f"--input={folder}/in", f"--classes={','.join(LETTERS)}"]


@pytest.mark.parametrize("make", [_class_folders, _tfrecords, _table, _tar_shards])
def test_the_hash_seed_and_the_number_of_workers_change_no_byte(
    tmp_path: Path, make: Callable[[Path], list[str]]
) -> None:
    flags = make(tmp_path)
    found = []
    for seed, workers in ((0, 0), (1, 3), (2, 1)):
        output = tmp_path / f"out-{seed}"
        common = [f"--output={output}", f"--num_workers={workers}", "--examples_per_record=4"]
        done = subprocess.run(
            command("convert", *flags, *common, "--profile_images=0", "--quiet"),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        export = tmp_path / f"export-{seed}"
        back = tmp_path / f"out-{seed}" / ("train" if "--split" in str(flags) else "")
        done = subprocess.run(
            command("export", back, f"--output={export}", "--quiet"),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        exported = {name: d for name, d in digests(export).items() if name.endswith(".tfrecord")}
        assert exported
        found.append((digests(output), exported))
    assert found[0] == found[1] == found[2]


PROGRAM = """
from pcr_tf.convert import ConvertError
from pcr_tf.convert.sources.tables.labels import resolve_labels
from pcr_tf.convert.sources.options import SourceOptions
cells = {cells!r}
values = {{cell: f"t.csv: line {{n}}" for n, cell in enumerate(cells, 2)}}
try:
    print(resolve_labels(values, SourceOptions(label_column="dx")).class_names)
except ConvertError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "cells",
    [["5", "-0", "0", "00"], ["b", "1", "a", "2"], ["b", "a", "\u00e4", "a\u0308"], [*LETTERS]],
    ids=["equal numbers", "mixed", "look the same", "letters"],
)
def test_what_is_said_of_labels_does_not_depend_on_the_hash_seed(cells: list[str]) -> None:
    said = {
        subprocess.run(
            command("convert")[:1] + ["-c", PROGRAM.format(cells=cells)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(6)
    }
    assert len(said) == 1


def test_labels_do_not_depend_on_the_order_of_rows() -> None:
    cells = [f"{n / 4}" for n in range(40)]
    options = SourceOptions(label_column="dx")
    one = resolve_labels(dict.fromkeys(cells, ""), options)
    two = resolve_labels(dict.fromkeys(cells[::-1], ""), options)
    assert one.class_names == two.class_names == cells
    assert one.label_of == two.label_of
