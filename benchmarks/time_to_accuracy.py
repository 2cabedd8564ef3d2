r"""Trains over a slow link at many fidelities: the time to the accuracy of full fidelity. Root.

    PCR_TEST_IMAGES=... python -m benchmarks.time_to_accuracy [--seeds=3] [--epochs=8]
    python -m benchmarks.time_to_accuracy --images=/my/folder --coarse_separator=/

The experiment of the paper, small: nginx serves the data set over a link of stated bandwidth
(benchmarks/link.py), and a small residual network is trained on it that could take more images than
the link brings at full fidelity, as accelerators can. Baseline are TFRecords of the original files.
Everything behind the source is the same in all runs: shuffle buffer, the fused decode, the model,
its learning rates. "PCR 5" reads 5 scan groups; "mixture" 2 of most records and all of every
fifth; "gradient", "MS-SSIM" and "plateau" are tuned (docs/TUNING.md). A run has a fixed number of
epochs, the same for all but the runs called "longer", which have twice as many, as one may where an
epoch takes less than half of the time. The model of each epoch is evaluated afterwards, on images
at full fidelity; that takes no time of the run.

The folder has class folders below train/ and test/, or class folders, of which a fifth is held out.
Two tasks: the class, and what stands before --coarse_separator in its name. What comes in another
layout than class folders is converted and exported (docs/CONVERTING.md); the baseline then has the
progressive JPEGs, which are smaller than the originals. Of Stanford Cars, whose coarse classes are
the makes:

    pcr-convert --flagfile=configs/stanford_cars.flags ... --output=cars.pcr
    pcr-export cars.pcr --output=cars/ --format=files
    python -m benchmarks.time_to_accuracy --images=cars/ --coarse_separator=' '

Runs are kept, so a command that was stopped goes on when it is given again.
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import app, flags

from benchmarks import inputs, measure
from benchmarks.link import Link, LinkUnavailableError, make_link

_SEEDS = flags.DEFINE_integer("seeds", 3, "Runs of each kind.", lower_bound=1)
_EPOCHS = flags.DEFINE_integer("epochs", 8, "Passes over the data in each run.", lower_bound=2)
_MBIT_PER_S = flags.DEFINE_integer("mbit_per_s", 40, "Bandwidth of the link.", lower_bound=1)
_TASKS = flags.DEFINE_list("tasks", ["coarse", "fine"], "Labels to learn.")
_RUNS = flags.DEFINE_list("runs", None, "Names of the kinds of runs, as in the table; all if none.")
_SIDE = flags.DEFINE_integer("side", 64, "Of the images that the model sees, in pixels.")
_FILTERS = flags.DEFINE_integer("filters", 16, "Width of the model's first block.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 0.05, "Its peak.")
_IMAGES_PER_RECORD = flags.DEFINE_integer("examples_per_record", 64, "As for pcr-convert.")
_COARSE_SEPARATOR = flags.DEFINE_string("coarse_separator", "-", "Ends the coarse class's name.")
_SUMMARY_ONLY = flags.DEFINE_boolean("summary_only", False, "Show the runs that there are.")

_BASELINE = "TFRecord"
_NUM_SHARDS = 8
_FULL = 10  # scan groups of the standard script
_KINDS: dict[str, Any] = {
    _BASELINE: None,
    "PCR 10": _FULL,
    "PCR 5": 5,
    "PCR 2": 2,
    "PCR 1": 1,
    "mixture": {"2": 0.8, "10": 0.2},
    "gradient": "gradient",
    "MS-SSIM": "MS-SSIM",
    "plateau": "plateau",
    "longer gradient": "gradient",
    "longer MS-SSIM": "MS-SSIM",
}
_LONGER = 2  # times the epochs, in the runs of that name


def _class_files(folder: pathlib.Path) -> list[tuple[pathlib.Path, str]]:
    """JPEG files and the names of their classes: the folders between `folder` and the file."""
    suffixes = (".jpg", ".jpeg")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    return [(path, str(path.parent.relative_to(folder))) for path in files]


def _splits() -> tuple[list[tuple[pathlib.Path, str]], list[tuple[pathlib.Path, str]]]:
    """Files to train on, in an order of chance, and files to evaluate on."""
    if inputs.IMAGES.value is not None:
        folder = pathlib.Path(inputs.IMAGES.value)
    elif "PCR_TEST_IMAGES" in os.environ:
        folder = pathlib.Path(os.environ["PCR_TEST_IMAGES"]) / "grocery"
    else:
        raise app.UsageError("--images, or the environment variable PCR_TEST_IMAGES, is needed")
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        training, held_out = _class_files(folder / "train"), _class_files(folder / "test")
    else:
        files = _class_files(folder)
        random.Random(0).shuffle(files)
        training, held_out = files[len(files) // 5 :], files[: len(files) // 5]
    random.Random(1).shuffle(training)
    if not training or not held_out:
        raise app.UsageError(f"{folder}: expected JPEG files in class folders, found none")
    return training, held_out


def _pcr(records: Sequence[pathlib.Path], folder: pathlib.Path) -> pathlib.Path:
    inputs.convert(
        records,
        folder,
        f"--examples_per_record={_IMAGES_PER_RECORD.value}",
        f"--num_shards={len(records)}",
        "--scan_script=standard",
        "--noshuffle",
        "--noprove",
        "--profile_images=64",
        "--quiet",
    )
    return folder


def _prepare(output: pathlib.Path) -> dict[str, Any]:
    """Makes both formats under `output`/bucket; returns what the training side must know."""
    training, held_out = _splits()
    classes = sorted({name for _, name in training})
    number = {name: label for label, name in enumerate(classes)}
    unknown = sorted({name for _, name in held_out} - set(classes))
    if unknown:
        print(f"Not evaluated, since nothing is there to train on: {', '.join(unknown)}")
    held_out = [(path, name) for path, name in held_out if name in number]
    coarse = [name.split(_COARSE_SEPARATOR.value)[0] for name in classes]
    coarse_number = {name: label for label, name in enumerate(sorted(set(coarse)))}
    examples = [(path, number[name]) for path, name in training]
    records = inputs.labelled_tfrecords(
        output / "bucket" / "tfrecords", examples, num_shards=_NUM_SHARDS
    )
    dataset = _pcr(records, output / "bucket" / "photos.pcr")
    held_records = inputs.labelled_tfrecords(
        output / "held-out-tfrecords",
        [(path, number[name]) for path, name in held_out],
        num_shards=1,
    )
    return {
        "images": len(training),
        "held_out_images": len(held_out),
        "bytes_per_image": sum(path.stat().st_size for path, _ in training) / len(training),
        "validation": str(_pcr(held_records, output / "held-out.pcr").resolve()),
        "index": str(dataset.resolve()),
        "tfrecord_files": [path.name for path in records],
        "labels": {
            "fine": list(range(len(classes))),
            "coarse": [coarse_number[name] for name in coarse],
        },
        "side": _SIDE.value,
        "filters": _FILTERS.value,
        "learning_rate": _LEARNING_RATE.value,
    }


def _train(
    link: Link,
    prepared: Mapping[str, Any],
    task: str,
    runs: Sequence[Mapping[str, Any]],
    keep: Callable[[Mapping[str, Any], Any], None],
) -> None:
    """Runs what is listed, one after the other, and keeps each result as it comes."""
    argument = {**prepared, "labels": prepared["labels"][task], "url": link.url, "runs": runs}
    command = [sys.executable, "-m", "benchmarks.accuracy_runs", json.dumps(argument)]
    with link.running_in_client(command) as process:
        assert process.stdout is not None
        for line in process.stdout:
            done = json.loads(line)
            keep(done["run"], done["epochs"])
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:3])}: exit status {process.returncode}")


def _path(output: pathlib.Path, task: str, kind: str, seed: int) -> pathlib.Path:
    name = "".join(c if c.isalnum() else "-" for c in f"{task}-{kind}")
    return output / "runs" / f"{name}-{seed}.json"


def _epochs(kind: str) -> int:
    return _EPOCHS.value * (_LONGER if kind.startswith("longer") else 1)


def seconds_to(epochs: Sequence[Mapping[str, float]], accuracy: float) -> float | None:
    """Seconds after which a run's accuracy has reached a value; None if it never does.

    Example:
        >>> seconds_to([{"seconds": 2.0, "accuracy": 0.5}, {"seconds": 4.0, "accuracy": 0.7}], 0.6)
        4.0
    """
    return next((one["seconds"] for one in epochs if one["accuracy"] >= accuracy), None)


def summarise(runs: Mapping[str, Sequence[Sequence[Mapping[str, float]]]]) -> list[dict[str, Any]]:
    """Rows of one task's table.

    Args:
        runs: for each kind, for each seed, in the same order, the epochs of a run. The kind
            "TFRecord" is the baseline.

    Returns:
        For each kind: `accuracy` of each run after its last epoch; `seconds` and `bytes` of the
        whole run; `ratio`, of the seconds to the baseline's final accuracy of the same seed, less
        one point, over those that the baseline itself took to it; None in it for a run that never
        came so far.

    Example:
        >>> def run(seconds, accuracies):
        ...     return [{"seconds": seconds * n, "bytes": 8.0, "accuracy": a}
        ...             for n, a in enumerate(accuracies, 1)]
        >>> runs = {"TFRecord": [run(10, (0.5, 0.8))], "PCR 2": [run(4, (0.6, 0.79))],
        ...         "PCR 1": [run(2, (0.4, 0.5))]}
        >>> [row["ratio"] for row in summarise(runs)]
        [[1.0], [0.4], [None]]
    """
    baseline = runs[_BASELINE]
    goals = [epochs[-1]["accuracy"] - 0.01 for epochs in baseline]
    rows = []
    for kind, of_kind in runs.items():
        ratios: list[float | None] = []
        for epochs, of_baseline, goal in zip(of_kind, baseline, goals, strict=True):
            seconds, base = seconds_to(epochs, goal), seconds_to(of_baseline, goal)
            ratios.append(None if seconds is None or base is None else seconds / base)
        rows.append(
            {
                "kind": kind,
                "accuracy": [epochs[-1]["accuracy"] for epochs in of_kind],
                "seconds": [epochs[-1]["seconds"] for epochs in of_kind],
                "bytes": [epochs[-1]["bytes"] for epochs in of_kind],
                "fidelity": [epochs[-1].get("pcr_fidelity") for epochs in of_kind],
                "ratio": ratios,
            }
        )
    return rows


def _spread(values: Sequence[float], form: str) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}}-{high:{form}})"


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    cells = []
    for row in rows:
        reached = [ratio for ratio in row["ratio"] if ratio is not None]
        missed = len(row["ratio"]) - len(reached)
        ratio = _spread(reached, ".2f") if reached else "-"
        chosen = [f"{value:g}" for value in row["fidelity"] if value is not None]
        cells.append(
            [
                row["kind"],
                _spread(row["accuracy"], ".3f"),
                _spread(row["seconds"], ".0f"),
                f"{statistics.median(row['bytes']) / 1e6:.0f}",
                ratio + (f", {missed} never" if missed else ""),
                " ".join(chosen),
            ]
        )
    header = ["", "final accuracy", "seconds", "MB received", "time to goal / TFRecord's"]
    return measure.table([*header, "fidelity at the end"], cells)


def _plot(results: Mapping[str, Any], path: pathlib.Path) -> None:
    """Accuracy against time and against bytes, for each task; lines are medians, bands extremes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    size = {"figsize": (13, 4.6 * len(results)), "layout": "constrained", "squeeze": False}
    figure, axes = pyplot.subplots(len(results), 2, **size)
    for row, (task, runs) in zip(axes, results.items(), strict=True):
        for axis, key, scale, label in (
            (row[0], "seconds", 1.0, "seconds of training"),
            (row[1], "bytes", 1e-6, "MB received"),
        ):
            for kind, of_kind in runs.items():
                accuracy = [[one["accuracy"] for one in epochs] for epochs in of_kind]
                x = [
                    scale * statistics.median(column)
                    for column in zip(*[[one[key] for one in e] for e in of_kind], strict=True)
                ]
                columns = list(zip(*accuracy, strict=True))
                style = "k--" if kind == _BASELINE else "o-"
                (line,) = axis.plot(
                    x, [statistics.median(c) for c in columns], style, ms=3, label=kind
                )
                low, high = [min(c) for c in columns], [max(c) for c in columns]
                axis.fill_between(x, low, high, color=line.get_color(), alpha=0.12)
            axis.set_xlabel(label)
            axis.set_ylabel("accuracy, evaluated at full fidelity")
            axis.set_title(f"{task} classes")
            axis.grid(alpha=0.3)
        row[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main(argv: list[str]) -> None:
    """Trains, and writes the tables, time_to_accuracy.json and time_to_accuracy.png."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    names = _RUNS.value or list(_KINDS)
    if _BASELINE not in names or not set(names) <= set(_KINDS):
        raise app.UsageError(
            f"--runs; expected {_BASELINE} and others of {', '.join(_KINDS)}; got {_RUNS.value}"
        )
    kinds = {kind: _KINDS[kind] for kind in names}
    output = pathlib.Path(inputs.OUTPUT_DIR.value) / "time_to_accuracy"
    output.mkdir(parents=True, exist_ok=True)
    prepared = _prepare(output)
    settings = {"prepared": prepared, "mbit_per_s": _MBIT_PER_S.value, "epochs": _EPOCHS.value}

    def kept(task: str, kind: str, seed: int) -> Any:
        path = _path(output, task, kind, seed)
        content = json.loads(path.read_text()) if path.exists() else {}
        return content.get("epochs") if content.get("settings") == settings else None

    def keep(run: Mapping[str, Any], epochs: Any) -> None:
        path = _path(output, run["task"], run["kind"], run["seed"])
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"settings": settings, "epochs": epochs}, indent=1) + "\n")
        last = epochs[-1]
        print(
            f"{run['task']}, {run['kind']}, seed {run['seed']}: {last['seconds']:.0f} s, accuracy "
            f"{last['accuracy']:.3f}, {last['bytes'] / 1e6:.0f} MB",
            flush=True,
        )

    if not _SUMMARY_ONLY.value:
        try:
            with make_link() as link, tempfile.TemporaryDirectory(prefix="nginx-") as server:
                link.set_bandwidth(_MBIT_PER_S.value)
                with link.serve(output.resolve(), pathlib.Path(server)):
                    for seed in range(_SEEDS.value):
                        for task in _TASKS.value:
                            missing = [
                                {"task": task, "kind": kind, "fidelity": fidelity, "seed": seed}
                                | {"epochs": _epochs(kind)}
                                for kind, fidelity in kinds.items()
                                if kept(task, kind, seed) is None
                            ]
                            if missing:
                                _train(link, prepared, task, missing, keep)
        except LinkUnavailableError as error:
            print(f"Not measured: {error}", file=sys.stderr)
            return
    results: dict[str, Any] = {}
    for task in _TASKS.value:
        seeds = [s for s in range(_SEEDS.value) if all(kept(task, k, s) for k in kinds)]
        if not seeds:
            continue
        results[task] = {kind: [kept(task, kind, seed) for seed in seeds] for kind in kinds}
        print(f"\n{task} classes, {len(seeds)} seeds")
        print(_table(summarise(results[task])), flush=True)
    if results:
        summaries = {task: summarise(runs) for task, runs in results.items()}
        result = {"settings": settings, "summary": summaries, "runs": results}
        folder = pathlib.Path(inputs.OUTPUT_DIR.value)
        print(measure.write_json(folder, "time_to_accuracy", result))
        _plot(results, folder / "time_to_accuracy.png")
        print(folder / "time_to_accuracy.png")


if __name__ == "__main__":
    app.run(main)
