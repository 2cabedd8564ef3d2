"""The fidelity policies, as functions of measurements."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from random import Random
from typing import Any

import numpy as np
import pytest

from pcr_tf.tuning import (
    BandwidthPolicy,
    EpochSchedule,
    PlateauDetector,
    ReadWindow,
    best_trial,
    lowest_passing,
    mean_over_fidelities,
    mean_scan_groups,
    mixture,
    reads_to_keep_in_flight,
    roofline,
)
from tools import native

# Mean bytes of an image at fidelity 1 to 4.
_BYTES = [10e3, 20e3, 50e3, 100e3]


def _untyped(function: Any) -> Any:
    """For calls that a type checker refuses."""
    return function


def test_policies_need_neither_tensorflow_nor_keras_nor_anything_built() -> None:
    program = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'pcr_tf._native'): sys.modules[name] = None\n"
        "from pcr_tf import tuning\n"
        "print(tuning.lowest_passing({1: 0.9}, 0.8, otherwise=2))\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=native.ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_a_mixture_gives_the_chosen_group_its_weight_and_spreads_the_rest_evenly() -> None:
    value = mixture(5, 0.7, [1, 2, 5, 10])
    assert value == {1: pytest.approx(0.1), 2: pytest.approx(0.1), 5: 0.7, 10: pytest.approx(0.1)}
    assert list(value) == [1, 2, 5, 10]
    assert mean_scan_groups(value) == pytest.approx(4.8)


def test_a_mixture_with_nothing_to_spread_is_the_number_alone() -> None:
    assert mixture(5, 1.0, [1, 5]) == 5
    assert mixture(5, 0.7, [5]) == 5


def test_means_over_a_mixture_are_weighted() -> None:
    assert mean_over_fidelities({1: 0.5, 4: 0.5}, _BYTES) == 55e3
    assert mean_over_fidelities(3, _BYTES) == 50e3
    assert mean_scan_groups(3) == 3.0


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: mixture(0, 0.5, [1]), ValueError, "scan_groups; expected 1 to 100, got 0"),
        (lambda: mixture(1, 0.0, [1, 2]), ValueError, "probability; expected a number above 0"),
        (lambda: mixture(1, 0.5, []), ValueError, "candidates; expected at least one"),
        (lambda: _untyped(mixture)(1, 0.5, 3), TypeError, "candidates; expected scan groups"),
        (lambda: EpochSchedule({1: 5}), ValueError, "epoch 0, got epochs .1."),
        (lambda: _untyped(EpochSchedule)([5]), TypeError, "schedule; expected a dict"),
        (lambda: EpochSchedule({-1: 5}), ValueError, "schedule: epoch; expected at least 0"),
        (lambda: EpochSchedule({0: 0}), ValueError, "value from epoch 0 on; expected 1 to 100"),
        (lambda: EpochSchedule({0: {1: 0.5, 2: 0.4}}), ValueError, "probabilities that sum to 1"),
        (
            lambda: _untyped(EpochSchedule)({0: 2.5}),
            TypeError,
            "expected an integer or a mixture .*, got 2.5",
        ),
        (lambda: PlateauDetector(0), ValueError, "patience; expected at least 1"),
        (lambda: PlateauDetector(1, -1.0), ValueError, "min_delta; expected at least 0"),
        (lambda: PlateauDetector(1, mode="auto"), ValueError, "mode; expected 'min' or 'max'"),
        (lambda: BandwidthPolicy(_BYTES, [5]), ValueError, "candidates; expected 1 to 4, got 5"),
        (
            lambda: BandwidthPolicy(_BYTES, starved_above=0.1, fed_below=0.1),
            ValueError,
            "fed_below; expected less than starved_above",
        ),
        (lambda: BandwidthPolicy([0.0]), ValueError, "bytes_per_image; expected at least"),
        (lambda: BandwidthPolicy(_BYTES, []), ValueError, "candidates; expected at least one"),
        (
            lambda: EpochSchedule({0: 2, 3: {1: 0.5, 11: 0.5}}, 10),
            ValueError,
            "value from epoch 3 on: scan groups; expected 1 to 10, got 11",
        ),
        (lambda: roofline(_BYTES, 1e6, decode=[1.0]), ValueError, "decode; expected 4 numbers"),
    ],
)
def test_arguments_out_of_range_are_named(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_a_schedule_holds_a_value_until_the_next_one_begins() -> None:
    schedule = EpochSchedule({0: 4, 3: {1: 0.25, 4: 0.75}, 10: 1})
    values = [schedule.value_at(epoch) for epoch in (0, 2, 3, 9, 10, 1000)]
    assert values == [4, 4, {1: 0.25, 4: 0.75}, {1: 0.25, 4: 0.75}, 1, 1]


def test_the_lowest_fidelity_that_reaches_the_threshold_is_taken() -> None:
    assert lowest_passing({1: 0.79, 2: 0.8, 5: 0.99}, 0.8, otherwise=10) == 2
    assert lowest_passing({1: 0.9, 2: 0.7}, 0.8, otherwise=10) == 1
    assert lowest_passing({1: math.nan, 2: 0.7}, 0.8, otherwise=10) == 10
    assert lowest_passing({}, 0.8, otherwise=10) == 10


def test_a_plateau_is_as_many_epochs_without_improvement_as_patience_says() -> None:
    detector = PlateauDetector(patience=3, min_delta=0.1)
    found = [detector.update(loss) for loss in (1.0, 0.95, 0.8, 0.79, math.nan, 0.75)]
    assert found == [False] * 5 + [True]


def test_after_a_plateau_the_best_value_is_forgotten_and_the_cooldown_is_not_counted() -> None:
    detector = PlateauDetector(patience=1, cooldown=2)
    assert [detector.update(loss) for loss in (1.0, 1.0)] == [False, True]
    # Worse than before: of another fidelity.
    assert [detector.update(loss) for loss in (2.0, 2.0, 2.0)] == [False, False, True]


def test_a_plateau_of_an_accuracy_is_found_with_mode_max() -> None:
    detector = PlateauDetector(patience=1, mode="max")
    assert [detector.update(accuracy) for accuracy in (0.5, 0.6, 0.6)] == [False, False, True]


def test_a_detector_goes_on_from_its_state_as_json() -> None:
    detector = PlateauDetector(patience=2)
    detector.update(1.0)
    detector.update(1.0)
    other = PlateauDetector(patience=2)
    other.restore(json.loads(json.dumps(detector.state())))
    assert other.update(1.0)
    other.restore(json.loads(json.dumps(PlateauDetector(patience=2).state())))
    assert not other.update(1.0)


def test_the_best_trial_is_the_lowest_within_the_tolerance() -> None:
    losses = {1: 0.9, 2: 0.81, 5: 0.8, 10: math.nan}
    assert best_trial(losses) == 5
    assert best_trial(losses, tolerance=0.02) == 2
    assert best_trial({1: math.nan, 2: math.inf}) is None
    assert best_trial({1: -2.0, 2: -2.1}, tolerance=0.1) == 1


def test_the_roofline_is_the_least_of_storage_decoding_and_compute() -> None:
    assert roofline(_BYTES, 10e6) == [1000, 500, 200, 100]
    assert roofline(_BYTES, 10e6, compute=400) == [400, 400, 200, 100]
    assert roofline(_BYTES, 10e6, compute=400, decode=[600, 450, 150, 150]) == [400, 400, 150, 100]
    for rate in (300, 300.0, np.float32(300), np.int64(300)):
        assert roofline(_BYTES, 10e6, decode=rate) == [300, 300, 200, 100]


def test_reads_in_flight_follow_littles_law() -> None:
    assert reads_to_keep_in_flight(1000, 100, 0.5) == 5
    assert reads_to_keep_in_flight(1000, 100, 0.501) == 6
    assert reads_to_keep_in_flight(1, 100, 0.001) == 1


class _Machine:
    """Storage of a bandwidth, and a consumer of a rate: what a window of training measures."""

    def __init__(self, bandwidth: float, demand: float) -> None:
        self.bandwidth = bandwidth
        self.demand = demand

    def window(self, scan_groups: int, seconds: float = 10.0) -> ReadWindow:
        rate = min(self.bandwidth / _BYTES[scan_groups - 1], self.demand)
        starved = rate < self.demand
        return ReadWindow(
            seconds=seconds,
            bytes=rate * _BYTES[scan_groups - 1] * seconds,
            reads=rate * seconds / 100,
            read_wait_s=8 * seconds if starved else seconds,
            input_wait_s=0.95 * seconds if starved else 0.02 * seconds,
        )

    def run(self, policy: BandwidthPolicy, scan_groups: int, windows: int) -> list[int]:
        chosen = []
        for _ in range(windows):
            scan_groups = policy.update(self.window(scan_groups), scan_groups)
            chosen.append(scan_groups)
        return chosen


def test_a_starved_pipeline_goes_down_until_storage_feeds_it_and_stays() -> None:
    # Fed: 20e6 / 20e3 = 1000 >= 1.15 * 600; at 50e3 it would be 400.
    chosen = _Machine(bandwidth=20e6, demand=600).run(BandwidthPolicy(_BYTES), 4, 20)
    assert chosen[:4] == [4, 3, 3, 2]
    assert set(chosen[3:]) == {2}


def test_a_fed_pipeline_goes_up_to_the_highest_fidelity_that_storage_feeds() -> None:
    chosen = _Machine(bandwidth=200e6, demand=600).run(BandwidthPolicy(_BYTES), 1, 20)
    assert chosen[-1] == 4
    assert chosen == sorted(chosen)


def test_going_too_high_is_taken_back_once_and_not_repeated() -> None:
    chosen = _Machine(bandwidth=20e6, demand=600).run(
        BandwidthPolicy(_BYTES, retry_windows=100), 1, 60
    )
    assert chosen[-1] == 2
    changes = sum(a != b for a, b in itertools.pairwise(chosen))
    assert changes <= 3  # 1 to 2, to 3, and back


def test_faster_storage_is_found_after_the_retry_interval() -> None:
    policy = BandwidthPolicy(_BYTES, retry_windows=5)
    assert _Machine(bandwidth=20e6, demand=600).run(policy, 4, 7)[-1] == 2
    assert _Machine(bandwidth=200e6, demand=600).run(policy, 2, 30)[-1] == 4


def test_slower_storage_is_answered_within_patience_by_the_fidelity_that_it_feeds() -> None:
    policy = BandwidthPolicy(_BYTES, patience=2)
    assert _Machine(bandwidth=200e6, demand=600).run(policy, 4, 5)[-1] == 4
    # From the demand that is known, in one change: 8e6 / 10e3 = 800 images/s at fidelity 1 only.
    assert _Machine(bandwidth=8e6, demand=600).run(policy, 4, 2) == [4, 1]


def _between(rate: float, scan_groups: int) -> ReadWindow:
    """A window that waits for a fifth of its time."""
    read = rate * _BYTES[scan_groups - 1]
    return ReadWindow(seconds=1, bytes=read, reads=10, read_wait_s=1, input_wait_s=0.2)


def test_a_share_of_waiting_between_the_thresholds_changes_nothing_where_storage_feeds() -> None:
    policy = BandwidthPolicy(_BYTES)
    assert _Machine(bandwidth=20e6, demand=600).run(policy, 4, 10)[-1] == 2
    assert [policy.update(_between(600, 2), 2) for _ in range(5)] == [2] * 5


@pytest.mark.parametrize("start", [1, 2, 3, 4])
@pytest.mark.parametrize("waiting", [0.05, 0.15, 0.25, 0.5])
def test_it_does_not_rest_at_a_fidelity_that_storage_does_not_feed(
    start: int, waiting: float
) -> None:
    """The share of waiting at fidelity 3 is in the dead band, or at one of its sides."""
    sizes, demand = [10e3, 20e3, 25e3, 30e3], 600.0
    bandwidth = sizes[2] * demand * (1 - waiting)
    policy, chosen, groups = BandwidthPolicy(sizes, retry_windows=1000), [], start
    for _ in range(100):
        rate = min(demand, bandwidth / sizes[groups - 1])
        waited = 1 - rate / demand
        window = ReadWindow(1, rate * sizes[groups - 1], 10, 1, waited)
        groups = policy.update(window, groups)
        chosen.append(groups)
    assert len(set(chosen[50:])) == 1
    assert bandwidth / sizes[groups - 1] >= 0.9 * demand


def test_noise_of_single_windows_changes_the_fidelity_seldom() -> None:
    random = Random(0)
    policy, chosen, groups = BandwidthPolicy(_BYTES), [], 4
    for _ in range(1000):
        demand, bandwidth = (
            mean * random.uniform(0.7, 1.3)
            for mean in (600.0, 1.2 * 600 * _BYTES[1])  # fed at 2, barely
        )
        rate = min(demand, bandwidth / _BYTES[groups - 1])
        window = ReadWindow(1, rate * _BYTES[groups - 1], 10, 1, 1 - rate / demand)
        groups = policy.update(window, groups)
        chosen.append(groups)
    changes = sum(a != b for a, b in itertools.pairwise(chosen))
    assert changes / len(chosen) < 0.06
    assert chosen.count(2) > 600


def test_one_window_is_not_enough_where_patience_asks_for_more() -> None:
    policy = BandwidthPolicy(_BYTES, patience=3)
    machine = _Machine(bandwidth=20e6, demand=600)
    assert machine.run(policy, 4, 3) == [4, 4, 3]


def test_littles_law_rules_out_a_fidelity_that_reads_in_flight_cannot_bring() -> None:
    # 600 images/s at 20e3 bytes, one read of 100 images waits 1/6 s: with one read in flight, at
    # most 12e6 bytes/s, and fidelity 3 wants 30e6.
    policy = BandwidthPolicy(_BYTES, patience=1, reads_in_flight=1)
    window = ReadWindow(seconds=10, bytes=120e6, reads=60, read_wait_s=10, input_wait_s=0)
    assert window.mean_reads_in_flight == 1
    assert window.bandwidth_with(1) == 12e6
    assert policy.update(window, 2) == 2
    assert BandwidthPolicy(_BYTES, patience=1, reads_in_flight=4).update(window, 2) == 3


def test_a_window_that_read_nothing_says_nothing() -> None:
    policy = BandwidthPolicy(_BYTES, patience=1)
    assert policy.update(ReadWindow(10, 0, 0, 0, 0), 2) == 2
    assert policy.demand is None


def test_candidates_are_the_only_fidelities_that_are_chosen() -> None:
    policy = BandwidthPolicy(_BYTES, [2, 4], patience=1)
    assert set(_Machine(bandwidth=1e6, demand=600).run(policy, 4, 10)) == {2}


def test_a_bandwidth_policy_goes_on_from_its_state_as_json() -> None:
    machine = _Machine(bandwidth=20e6, demand=600)
    policy = BandwidthPolicy(_BYTES)
    there = machine.run(policy, 4, 5)[-1]
    other = BandwidthPolicy(_BYTES)
    other.restore(json.loads(json.dumps(policy.state())))
    assert machine.run(other, there, 20) == machine.run(policy, there, 20)
    assert (other.bandwidth, other.demand) == (20e6, 600)
