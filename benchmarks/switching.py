r"""Measures what a change of a pcr_tf.Fidelity costs: records still at the old one, and time lost.

    python -m benchmarks.switching [--fidelities=10,2] [--seconds=2]

A pipeline runs without end and is read as fast as it gives. Every --seconds a fidelity is set, in
turn another one and the same. Counted after a change: the examples that still came at the old
fidelity, beside the most that may be in flight; the seconds until the last of them came; and the
seconds lost, by which deliveries ever fell behind the slower of the two fidelities' own rates. What
is lost where the same was set is the machine's doing.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from absl import app, flags

import pcr_tf
from benchmarks import inputs, measure
from pcr_tf.data import PcrDataset, image_batches

_FIDELITIES = flags.DEFINE_list("fidelities", ["10", "2"], "Two numbers of scan groups.")
_READS_IN_FLIGHT = flags.DEFINE_list("reads_in_flight", ["2", "16"], "PcrDataset's bound.")
_IMAGES_PER_RECORD = flags.DEFINE_integer("examples_per_record", 64, "As for pcr-convert.")
_COPIES = flags.DEFINE_integer("copies", 4, "Times every photograph stands in the data set.")
_SHARDS = flags.DEFINE_integer("num_shards", 4, "Files.")
_PREFETCH = flags.DEFINE_integer("prefetch", 256, "Examples that a buffer behind holds.")
_SECONDS = flags.DEFINE_float("seconds", 2.0, "Time between two changes.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Changes in each direction.", lower_bound=1)


@dataclasses.dataclass(frozen=True)
class Switch:
    """What came of one change.

    Attributes:
        late_examples: delivered at the old fidelity after it.
        late_s: seconds from it to the last of these; 0 if there was none.
        lost_s: seconds by which deliveries fell behind the slower of the two rates, at most.
        longest_gap_s: longest time without a delivery after it.
    """

    late_examples: int
    late_s: float
    lost_s: float
    longest_gap_s: float


def switch_of(
    times: np.ndarray, counts: np.ndarray, late: np.ndarray, examples_per_s: float
) -> Switch:
    """Describes what was delivered after a change.

    Args:
        times: [N] seconds from the change to each delivery, ascending.
        counts: [N] examples in each.
        late: [N] those at the old fidelity among them.
        examples_per_s: the slower of the two fidelities' rates.

    Example:
        >>> times = np.array([0.1, 0.2, 0.5, 0.6])
        >>> switch_of(times, np.ones(4), np.array([1, 0, 0, 0]), examples_per_s=10)
        Switch(late_examples=1, late_s=0.1, lost_s=0.2, longest_gap_s=0.3)
    """
    # Just before a delivery the lag is largest.
    lags = times - np.cumsum(counts) / examples_per_s
    is_late = np.flatnonzero(late)
    return Switch(
        late_examples=int(late.sum()),
        late_s=round(float(times[is_late[-1]]), 6) if len(is_late) else 0.0,
        lost_s=round(max(0.0, float(lags.max())), 6),
        longest_gap_s=round(float(np.diff(times, prepend=0.0).max()), 6),
    )


def _number_and_bytes(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    feature = {"image/class/label": tf.io.FixedLenFeature((), tf.int64)}
    number = tf.io.parse_example(serialized, feature)["image/class/label"]
    return number, tf.strings.length(serialized)


def _sizes(folder: str, scan_groups: int) -> np.ndarray:
    """Bytes of each example at a fidelity, by its number."""
    pairs = list(PcrDataset(folder, scan_groups).batch(256).map(_number_and_bytes))
    numbers = np.concatenate([number.numpy() for number, _ in pairs])
    sizes = np.zeros(numbers.max() + 1, np.int64)
    sizes[numbers] = np.concatenate([size.numpy() for _, size in pairs])
    return sizes


@dataclasses.dataclass(frozen=True)
class _Phase:
    """What came while a value was set: for each of N deliveries, seconds and examples."""

    value: int
    times: np.ndarray  # [N], from the moment it was set
    numbers: list[np.ndarray]  # of the examples
    sizes: list[np.ndarray]  # their bytes

    @property
    def counts(self) -> np.ndarray:
        return np.array([number.size for number in self.numbers])

    @property
    def examples_per_s(self) -> float:
        """In its second half."""
        half = _SECONDS.value / 2
        return float(self.counts[self.times > half].sum() / half)


def _read(iterator: Iterator[Any], fidelity: pcr_tf.Fidelity, value: int) -> _Phase:
    times, numbers, sizes = [], [], []
    fidelity.set(value)
    begin = now = time.perf_counter()
    while now - begin < _SECONDS.value:
        number, size = next(iterator)
        now = time.perf_counter()
        times.append(now - begin)
        numbers.append(np.asarray(number))
        sizes.append(np.asarray(size))
    return _Phase(value, np.array(times), numbers, sizes)


def _run(
    deliveries: Iterable[Any], fidelity: pcr_tf.Fidelity, sizes: dict[int, np.ndarray]
) -> dict[str, list[Switch]]:
    """Sets fidelities under a pipeline of (numbers, bytes): others, and, to compare with, the same.

    Args:
        sizes: of the examples, at each of two fidelities.
    """
    high, low = sizes
    values = [high, *[high, low, low, high] * _ROUNDS.value]
    iterator = iter(deliveries)
    phases = [_read(iterator, fidelity, value) for value in values]
    slower = min(
        float(np.median([phase.examples_per_s for phase in phases if phase.value == value]))
        for value in (high, low)
    )
    switches: dict[str, list[Switch]] = {"changed": [], "unchanged": []}
    for before, after in itertools.pairwise(phases):
        changed = before.value != after.value
        old, new = sizes[before.value], sizes[after.value]
        # An image that is the same at both tells nothing.
        late = [
            int(np.sum((old[number] == size) & (new[number] != size)))
            for number, size in zip(after.numbers, after.sizes, strict=True)
        ]
        switch = switch_of(after.times, after.counts, np.array(late), slower)
        switches["changed" if changed else "unchanged"].append(switch)
    return switches


def _exact(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Without the buffers that tf.data adds of its own: behind the whole, and in `map`."""
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    options.experimental_optimization.map_parallelization = False
    return dataset.with_options(options)


def _cases(
    folder: str, fidelity: pcr_tf.Fidelity
) -> dict[str, tuple[Callable[[], Iterable[Any]], int | None]]:
    """By name: what makes the pipeline, and the most examples it may deliver late, where known."""

    def read(reads: int, prefetch: int) -> tf.data.Dataset:
        dataset = PcrDataset(folder, fidelity, shuffle=True, seed=1, reads_in_flight=reads)
        dataset = dataset.repeat().map(_number_and_bytes)
        return _exact(dataset.prefetch(prefetch) if prefetch else dataset)

    def images() -> Iterable[Any]:
        batches = image_batches(
            folder, 224, 64, scan_groups=fidelity, label=_number_and_bytes, epochs=None, seed=1
        )
        return (labels for _, labels in batches)

    cases: dict[str, tuple[Callable[[], Iterable[Any]], int | None]] = {}
    first, *others = map(int, _READS_IN_FLIGHT.value)
    for reads, prefetch in ((first, 0), (first, _PREFETCH.value), *((n, 0) for n in others)):
        name = f"PcrDataset, {reads} reads in flight" + (f", prefetch({prefetch})" * bool(prefetch))
        # Beside the reads in flight, the record in delivery; beside the buffer, what its thread
        # holds.
        bound = (reads + 1) * _IMAGES_PER_RECORD.value + prefetch + bool(prefetch)
        cases[name] = (functools.partial(read, reads, prefetch), bound)
    cases["image_batches"] = (images, None)
    return cases


def main(argv: list[str]) -> None:
    """Measures, prints a table and writes switching.json."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    photographs = inputs.photographs()
    folder = str(
        inputs.pcr_dataset(
            photographs,
            copies=_COPIES.value,
            num_shards=_SHARDS.value,
            examples_per_record=_IMAGES_PER_RECORD.value,
        )
    )
    high, low = map(int, _FIDELITIES.value)
    sizes = {groups: _sizes(folder, groups) for groups in (high, low)}
    fidelity = pcr_tf.Fidelity(high)
    results = {}
    rows = []
    for name, (make, bound) in _cases(folder, fidelity).items():
        switches = _run(make(), fidelity, sizes)
        results[name] = {"most_late_examples_allowed": bound, **switches}
        late = [switch.late_examples for switch in switches["changed"]]
        late_s = measure.summarise([switch.late_s for switch in switches["changed"]])
        lost = [
            measure.summarise([switch.lost_s for switch in switches[kind]])
            for kind in ("changed", "unchanged")
        ]
        rows.append(
            [
                name,
                f"{max(late)} of {'?' if bound is None else bound}",
                f"{late_s.median:.3f} ({late_s.largest:.3f})",
                *[f"{summary.median:.3f} ({summary.largest:.3f})" for summary in lost],
            ]
        )
    print(
        f"{photographs.origin}: {high} to {low} scan groups and back, "
        f"{2 * _ROUNDS.value} changes; medians (and worst)"
    )
    header = ["", "most late examples", "late for s", "lost s", "lost s unchanged"]
    print(measure.table(header, rows))
    result = {
        "photographs": photographs.origin,
        "examples_per_record": _IMAGES_PER_RECORD.value,
        "cases": results,
    }
    print(measure.write_json(inputs.OUTPUT_DIR.value, "switching", result))


if __name__ == "__main__":
    app.run(main)
