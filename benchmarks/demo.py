r"""The demo: one PCR data set, its fidelities measured, and a model trained on two of them.

    python -m benchmarks.demo [--output_dir=build/demo]
    python -m benchmarks.demo --images=/my/folder

1. draws a labelled set of JPEG images, or takes your class folders: <folder>/<class>/*.jpg, or
   <folder>/<coarse class>/<fine class>/*.jpg for two label levels;
2. converts it with pcr-convert, losslessly;
3. measures each fidelity: bytes read per image, MS-SSIM to the full image, images/s; prints a table
   and saves a plot;
4. trains a small Keras model with fit() at two fidelities and prints what each of them learned.

Every stage keeps what it made and is skipped by the next run with the same settings.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time
from typing import Any

from absl import app, flags

from benchmarks import drawn_photographs, measure, stages
from pcr_tf.format.dataset_index import open_dataset

_IMAGES = flags.DEFINE_string(
    "images", None, "Folder of class folders with your own JPEG files. By default a set is drawn."
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "build/demo", "Folder for all that the demo makes.")
_IMAGES_PER_CLASS = flags.DEFINE_integer(
    "images_per_class", 64, "Images to draw in each of the 16 classes.", lower_bound=1
)
_IMAGES_PER_RECORD = flags.DEFINE_integer(
    "examples_per_record",
    None,
    "As for pcr-convert. By default 64, or fewer where that would make less than 8 records.",
    lower_bound=1,
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", os.cpu_count(), "Processes that draw and convert.", lower_bound=1
)
_TRAIN_SCAN_GROUPS = flags.DEFINE_list(
    "train_scan_groups", ["2", "all"], "Fidelities to train at: numbers of scan groups, or all."
)
_EPOCHS = flags.DEFINE_integer("epochs", 6, "Passes over the data in each training.", lower_bound=1)
_SIMILARITY_IMAGES = flags.DEFINE_integer(
    "similarity_images", 24, "Images to compute MS-SSIM on.", lower_bound=1
)
_TIMED_IMAGES = flags.DEFINE_integer(
    "timed_images", 1024, "Images to read and decode, at most, for images/s.", lower_bound=1
)
_REMEASURE = flags.DEFINE_boolean("remeasure", False, "Measure the fidelities again.")
_RETRAIN = flags.DEFINE_boolean("retrain", False, "Train again.")

_SUFFIXES = frozenset((".jpg", ".jpeg"))


def _stage(number: int, title: str) -> None:
    print(f"\n[{number}/4] {title}", flush=True)


def _drawn(output_dir: pathlib.Path) -> pathlib.Path:
    settings = drawn_photographs.Settings(images_per_class=_IMAGES_PER_CLASS.value)
    folder = output_dir / f"photographs-{settings.num_images}"
    begin = time.perf_counter()

    def progress(done: int, total: int) -> None:
        if done % 128 == 0 or done == total:
            print(f"  {done} of {total} drawn, {time.perf_counter() - begin:.0f} s", flush=True)

    drawn = drawn_photographs.draw_set(
        folder, settings, num_workers=_NUM_WORKERS.value, progress=progress
    )
    if not drawn:
        print(f"  {settings.num_images} images are there already")
    return folder


def _jpeg_files(folder: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES]


def _convert(photographs: pathlib.Path, dataset: pathlib.Path, num_images: int) -> dict[str, Any]:
    """Runs pcr-convert and returns the manifest of the data set."""
    # Eight records at least, so that training and validation get records of their own.
    examples_per_record = _IMAGES_PER_RECORD.value or max(1, min(64, num_images // 8))
    arguments = [
        f"--input={photographs}",
        f"--output={dataset}",
        f"--examples_per_record={examples_per_record}",
        f"--num_workers={_NUM_WORKERS.value}",
    ]
    print(f"  pcr-convert {shlex.join(arguments)}", flush=True)
    command = [sys.executable, "-m", "pcr_tf.cli.convert", *arguments]
    if subprocess.run(command, check=False).returncode:
        raise SystemExit("The conversion failed; what it said is above.")
    manifest: dict[str, Any] = json.loads((dataset / "manifest.json").read_text())
    return manifest


def _prepare(output_dir: pathlib.Path) -> tuple[pathlib.Path, dict[str, Any]]:
    """Stages 1 and 2: the data set, and its manifest."""
    if _IMAGES.value is None:
        _stage(1, "Drawing photographs")
        photographs = _drawn(output_dir)
    else:
        _stage(1, f"Your photographs: {_IMAGES.value}")
        photographs = pathlib.Path(_IMAGES.value)
    files = _jpeg_files(photographs)
    if not files:
        raise SystemExit(f"{photographs}: expected JPEG files in class folders, found none")
    source_bytes = sum(path.stat().st_size for path in files)
    print(f"  {photographs}: {len(files)} files, {source_bytes / len(files) / 1000:.1f} KB each")

    _stage(2, "Converting to PCR, losslessly, with proof")
    dataset = output_dir / f"{photographs.resolve().name}.pcr"
    made_of = output_dir / f"{dataset.name}.source.json"
    source = {"folder": str(photographs.resolve()), "files": len(files), "bytes": source_bytes}
    _, changed = stages.kept(made_of, source, dict)
    if changed and (dataset / "manifest.json").exists():
        print(f"  {dataset} was made of other photographs and is made anew")
        shutil.rmtree(dataset)
    return dataset, _convert(photographs, dataset, len(files))


# What imports TensorFlow is imported when its stage begins: the processes that draw import this
# module, and need none of it.


def _measure(output_dir: pathlib.Path, dataset: pathlib.Path) -> None:
    from benchmarks import fidelity

    _stage(3, "Measuring the fidelities")
    arguments = {
        "similarity_images": _SIMILARITY_IMAGES.value,
        "timed_images": _TIMED_IMAGES.value,
    }
    settings = {
        **arguments,
        "contents": stages.contents_key(dataset),
        "machine": measure.machine(),
    }
    result, new = stages.kept(
        output_dir / f"{dataset.stem}.fidelity.json",
        settings,
        lambda: [
            dataclasses.asdict(row) for row in fidelity.measure_fidelities(dataset, **arguments)
        ],
        again=_REMEASURE.value,
    )
    rows = [fidelity.Fidelity(**row) for row in result]
    plot = output_dir / f"{dataset.stem}.fidelity.png"
    if new or not plot.exists():
        examples = open_dataset(dataset).index.num_examples
        fidelity.save_plot(rows, plot, f"{dataset.stem}: {examples:,} images, one PCR data set")
    if not new:
        print("  kept from an earlier run (--remeasure measures again)")
    print(fidelity.fidelity_table(rows))


def _train(output_dir: pathlib.Path, dataset: pathlib.Path, class_names: list[str]) -> None:
    from benchmarks import training

    num_groups = open_dataset(dataset).index.header.num_groups
    fidelities = [num_groups if g == "all" else int(g) for g in _TRAIN_SCAN_GROUPS.value]
    levels = training.label_levels(class_names)
    _stage(4, f"Training with fit() at {' and '.join(map(str, fidelities))} scan groups")
    rows = []
    for scan_groups in fidelities:

        def compute(scan_groups: int = scan_groups) -> dict[str, Any]:
            print(f"  {scan_groups} scan groups:", flush=True)
            trained = training.train(dataset, scan_groups, levels, epochs=_EPOCHS.value)
            return dataclasses.asdict(trained)

        settings = {
            "contents": stages.contents_key(dataset),
            "epochs": _EPOCHS.value,
            "machine": measure.machine(),
        }
        path = output_dir / f"{dataset.stem}.trained-at-{scan_groups}.json"
        result, new = stages.kept(path, settings, compute, again=_RETRAIN.value)
        if not new:
            print(f"  {scan_groups} scan groups: kept from an earlier run (--retrain trains again)")
        rows.append(training.Trained(**result))
    print(training.training_table(rows, levels))
    if len(rows) == 2:
        share = rows[0].bytes_read / rows[1].bytes_read
        print(f"Training at {rows[0].scan_groups} scan groups read {share:.1%} of the bytes.")


def main(argv: list[str]) -> None:
    """Runs the four stages."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    begin = time.perf_counter()
    output_dir = pathlib.Path(_OUTPUT_DIR.value)
    output_dir.mkdir(parents=True, exist_ok=True)
    dataset, manifest = _prepare(output_dir)
    _measure(output_dir, dataset)
    class_names = manifest["class_names"]
    if len(class_names) > 1:
        _train(output_dir, dataset, class_names)
    else:
        print("\n[4/4] Nothing to train: the photographs are not in class folders")
    print(f"\nDone in {time.perf_counter() - begin:.0f} s. In {output_dir}:")
    for path, what in (
        (dataset, "the data set (pcr-inspect shows what it holds)"),
        (output_dir / f"{dataset.stem}.fidelity.png", "the plot"),
        (output_dir / f"{dataset.stem}.fidelity.json", "the table, for programs"),
    ):
        print(f"  {path}: {what}")


if __name__ == "__main__":
    app.run(main)
