"""Repetitions, statistics, tables and JSON that all benchmarks share.

Machines drift: another process, a clock that steps down. So the cases of a benchmark are not run
one after the other but interleaved, and what is compared are medians. A ratio comes with the
smallest and largest ratio of two values of the same round, which says how far to trust it.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Summary:
    """Median, smallest and largest of the repetitions of one case."""

    median: float
    smallest: float
    largest: float
    repetitions: int


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A ratio of medians, with the extremes of the ratios of single rounds."""

    of_medians: float
    smallest: float
    largest: float

    def __str__(self) -> str:
        return f"{self.of_medians:.2f} ({self.smallest:.2f}-{self.largest:.2f})"


def interleave(
    cases: Mapping[str, Callable[[], float]], *, rounds: int, warmup_rounds: int = 1
) -> dict[str, list[float]]:
    """Runs all cases once per round, in turn.

    Args:
        cases: by name, a function that measures the case once and returns the value measured.
        rounds: values to keep per case, at least 1.
        warmup_rounds: rounds before those, whose values are dropped: they fill caches.

    Returns:
        By name, the values in the order of the rounds.

    Raises:
        ValueError: `rounds` or `warmup_rounds` is out of range.

    Example:
        >>> interleave({"one": lambda: 1.0, "two": lambda: 2.0}, rounds=2)
        {'one': [1.0, 1.0], 'two': [2.0, 2.0]}
    """
    if rounds < 1 or warmup_rounds < 0:
        raise ValueError(
            f"rounds must be at least 1 and warmup_rounds at least 0; got {rounds}, {warmup_rounds}"
        )
    values: dict[str, list[float]] = {name: [] for name in cases}
    for round_number in range(-warmup_rounds, rounds):
        # Every second round runs backwards, so that no case always has the same one before it.
        names = list(cases)[:: 1 if round_number % 2 == 0 else -1]
        for name in names:
            value = cases[name]()
            if round_number >= 0:
                values[name].append(value)
    return values


@dataclasses.dataclass(frozen=True)
class Drained:
    """What a pass over a data set brought, and how long it took until the last element was there.

    Attributes:
        examples: their number; wall_s, cpu_s: seconds, of the clock and of this process's cores.
    """

    examples: int
    wall_s: float
    cpu_s: float


def drain(dataset: Iterable[Any], size_of: Callable[[Any], int]) -> Drained:
    """Goes through a data set.

    The time ends with the last element and not with the end of the iteration: tf.data's autotuning
    thread sleeps for 10, 20, 40, ... ms, and an iterator that ends waits until it wakes.

    Args:
        dataset: to iterate over, once.
        size_of: the number of examples in an element of it.

    Example:
        >>> drain([[1, 2], [3]], len).examples
        3
    """
    begin, cpu_begin = time.perf_counter(), time.process_time()
    examples = 0
    end, cpu_end = begin, cpu_begin
    for element in dataset:
        examples += size_of(element)
        end, cpu_end = time.perf_counter(), time.process_time()
    return Drained(examples, end - begin, cpu_end - cpu_begin)


def summarise(values: Sequence[float]) -> Summary:
    """Summary of at least one value.

    Example:
        >>> summarise([3.0, 1.0, 2.0])
        Summary(median=2.0, smallest=1.0, largest=3.0, repetitions=3)
    """
    return Summary(statistics.median(values), min(values), max(values), len(values))


def ratio(values: Sequence[float], baseline: Sequence[float]) -> Ratio:
    """Ratio of two cases measured in the same rounds.

    Args:
        values: of the case, positive.
        baseline: as many values, of the same rounds, positive.

    Raises:
        ValueError: the numbers of values differ.

    Example:
        >>> print(ratio([2.0, 6.0, 4.0], [1.0, 2.0, 2.0]))
        2.00 (2.00-3.00)
    """
    single = [value / base for value, base in zip(values, baseline, strict=True)]
    of_medians = statistics.median(values) / statistics.median(baseline)
    return Ratio(of_medians, min(single), max(single))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Text table: the first column flush left, the others flush right.

    Args:
        header: names of the columns.
        rows: as many cells each.

    Example:
        >>> print(table(["case", "images/s"], [["all", "12"], ["first", "1,200"]]))
        case   images/s
        -----  --------
        all          12
        first     1,200
    """
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cpu_model() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _tensorflow_version() -> str:
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "none"


def machine() -> dict[str, str | int]:
    """What a figure depends on besides the code: processor, cores, kernel, Python, TensorFlow."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "tensorflow": _tensorflow_version(),
    }


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)


def write_json(
    folder: str | os.PathLike[str], name: str, result: Mapping[str, Any]
) -> pathlib.Path:
    """Writes `<folder>/<name>.json`: the result and the facts of `machine`.

    Args:
        folder: made if missing.
        name: of the benchmark.
        result: anything that JSON can hold, dataclasses included.

    Returns:
        The path of the file.
    """
    path = pathlib.Path(folder) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"benchmark": name, "machine": machine(), **result}
    path.write_text(json.dumps(content, indent=2, default=_plain) + "\n")
    return path
