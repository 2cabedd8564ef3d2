"""The highest fidelity that storage can feed."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, SupportsFloat

from pcr_tf._arguments import as_fraction, as_number, in_range
from pcr_tf.tuning.value import as_candidates

# A rate is the median of as many windows in a row: single ones are noisy.
_WINDOWS_OF_A_RATE = 5


def roofline(
    bytes_per_image: Sequence[float],
    bandwidth: float,
    compute: float = math.inf,
    decode: Sequence[float] | SupportsFloat = math.inf,
) -> list[float]:
    """Images/s at fidelity 1, 2, ...: the least of what storage, decoding and compute give.

    Args:
      bytes_per_image: mean bytes to read, for each fidelity.
      bandwidth: of storage, bytes/s.
      compute: what the model takes, images/s.
      decode: what decoding gives, images/s: a number, or one for each fidelity.

    Raises:
      ValueError: for another number of decoding rates than fidelities.

    Example:
      >>> roofline([10e3, 20e3, 100e3], bandwidth=50e6, compute=3000.0)
      [3000.0, 2500.0, 500.0]

    Source: Kuchnik, Amvrosiadis, Smith, "Progressive Compressed Records", PVLDB 14(11), 2021.
    """
    rates = decode if isinstance(decode, Iterable) else [float(decode)] * len(bytes_per_image)
    if len(rates) != len(bytes_per_image):
        raise ValueError(f"decode; expected {len(bytes_per_image)} numbers, got {len(rates)}")
    return [
        min(compute, decoded, bandwidth / size)
        for size, decoded in zip(bytes_per_image, rates, strict=True)
    ]


def reads_to_keep_in_flight(
    images_per_s: float, examples_per_record: float, latency_s: float
) -> int:
    """Range reads to keep in flight for a rate, by Little's law: L = X * latency.

    Args:
      images_per_s: the rate X, times the images that a read brings.
      examples_per_record: images that one read brings.
      latency_s: of one read, seconds.

    Example:
      >>> reads_to_keep_in_flight(images_per_s=6400, examples_per_record=256, latency_s=0.1)
      3
    """
    return max(1, math.ceil(images_per_s / examples_per_record * latency_s))


@dataclasses.dataclass(frozen=True)
class ReadWindow:
    """What was read in a stretch of training.

    Attributes:
      seconds: its length, above 0.
      bytes: read in it.
      reads: range reads in it.
      read_wait_s: seconds waited for them, summed over reads.
      input_wait_s: seconds in which the input pipeline was blocked for examples.
    """

    seconds: float
    bytes: float
    reads: float
    read_wait_s: float
    input_wait_s: float

    @property
    def bytes_per_s(self) -> float:
        """Bytes read per second."""
        return self.bytes / self.seconds

    @property
    def wait_share(self) -> float:
        """Share of the time, 0 to 1, in which the pipeline was blocked for examples.

        Near 1 where storage is the bottleneck. Near 0 where decoding or the model is: then the
        buffers behind the reads are full, and nothing waits for them.
        """
        return min(1.0, self.input_wait_s / self.seconds)

    @property
    def mean_reads_in_flight(self) -> float:
        """By Little's law: reads per second times the mean wait for one."""
        return self.read_wait_s / self.seconds

    def bandwidth_with(self, reads_in_flight: int) -> float:
        """Bytes/s that as many reads in flight would bring if each took no longer: an upper bound.

        By Little's law, X = L / latency. inf where nothing was read.
        """
        return reads_in_flight * self.bytes / self.read_wait_s if self.read_wait_s else math.inf


class BandwidthPolicy:
    """Follows the roofline: the highest fidelity at which storage still feeds the consumer.

    Two rates decide. While the pipeline hardly waits, the images/s of a window are the consumer's
    own rate (of decoding and the model). While it waits, the bytes/s of a window are storage's
    bandwidth W. Each is the median of the last five windows in a row that say so. A fidelity g is
    fed if W / bytes_per_image[g] exceeds the consumer's rate by `headroom`.

    - Waiting, for `patience` windows: down to the highest fidelity that is fed; one step where the
      consumer's rate is not known yet.
    - Not waiting, for `patience` windows: up to the highest that is fed; one step where W is not
      known yet, unless Little's law rules it out.
    - In between: as it is, where both rates are known and say that it is fed; else as if waiting.

    At steady rates it comes to rest: both ways ask for the same headroom, and what was learned of W
    by going too high is kept. After `retry_windows` windows W is forgotten, for storage may have
    become faster; each retry doubles that number.

    Example:
      >>> policy = BandwidthPolicy([10e3, 20e3, 40e3], patience=1)
      >>> slow = ReadWindow(seconds=10, bytes=200e6, reads=40, read_wait_s=80, input_wait_s=9)
      >>> policy.update(slow, 3)  # 500 images/s, and more are wanted
      2
      >>> fast = ReadWindow(seconds=10, bytes=160e6, reads=40, read_wait_s=20, input_wait_s=0)
      >>> policy.update(fast, 2)  # 800 images/s are wanted: 32 MB/s at 3, and there are 20
      2
    """

    def __init__(
        self,
        bytes_per_image: Sequence[float],
        candidates: Iterable[int] | None = None,
        *,
        starved_above: float = 0.3,
        fed_below: float = 0.1,
        headroom: float = 0.15,
        patience: int = 2,
        retry_windows: int = 20,
        reads_in_flight: int | None = None,
    ) -> None:
        """Begins with nothing known.

        Args:
          bytes_per_image: mean bytes to read, for each fidelity of the data set.
          candidates: fidelities to choose from. None: all.
          starved_above: share of waiting time above which storage is the bottleneck.
          fed_below: share below which it is not; less than `starved_above`.
          headroom: by how much, as a share, storage must exceed the consumer's rate.
          patience: windows in a row that must say so before anything is changed.
          retry_windows: windows after which a higher fidelity is tried again.
          reads_in_flight: what the data set was given, for Little's law. None: it is not used.

        Raises:
          TypeError, ValueError: for arguments out of range.
        """
        self._bytes = [as_number("bytes_per_image", size, 1e-9) for size in bytes_per_image]
        everything = range(1, len(self._bytes) + 1)
        candidates = everything if candidates is None else candidates
        self.candidates = as_candidates(candidates, len(self._bytes))
        self._starved_above = as_fraction("starved_above", starved_above, zero=False)
        self._fed_below = as_fraction("fed_below", fed_below, zero=True)
        if self._fed_below >= self._starved_above:
            raise ValueError(
                f"fed_below; expected less than starved_above, {starved_above}, got {fed_below}"
            )
        self._headroom = as_number("headroom", headroom, 0)
        self._patience = in_range("patience", patience, 1)
        self._first_retry = in_range("retry_windows", retry_windows, 1)
        if reads_in_flight is not None:
            reads_in_flight = in_range("reads_in_flight", reads_in_flight, 1)
        self._reads_in_flight = reads_in_flight
        self.reset()

    def reset(self) -> None:
        """Forgets what was measured."""
        self._bandwidth: float | None = None
        self._demand: float | None = None
        self._bandwidths: list[float] = []
        self._demands: list[float] = []
        self._starved_windows = 0
        self._fed_windows = 0
        self._retry_after = self._first_retry
        self._windows_since_starved = 0

    @property
    def bandwidth(self) -> float | None:
        """Storage's bandwidth, bytes/s; None while it is not known."""
        return self._bandwidth

    @property
    def demand(self) -> float | None:
        """What decoding and the model take, images/s; None while it is not known."""
        return self._demand

    def update(
        self, window: ReadWindow, scan_groups: int, bytes_per_image: float | None = None
    ) -> int:
        """The fidelity to go on with.

        Args:
          window: what was read since the last call, or since the fidelity was changed.
          scan_groups: the fidelity that was chosen for it.
          bytes_per_image: mean bytes read per image, where a mixture makes it another than that of
            `scan_groups`.
        """
        if not window.bytes:
            return scan_groups
        rate = window.bytes_per_s / (bytes_per_image or self._bytes[scan_groups - 1])
        if window.wait_share >= self._starved_above:
            chosen = self._starved(window, rate, scan_groups)
        elif window.wait_share <= self._fed_below:
            chosen = self._fed(window, rate, scan_groups)
        elif self._demand is None or self._bandwidth is None or not self._is_fed(scan_groups):
            chosen = self._starved(window, rate, scan_groups)  # Else it could rest there unfed.
        else:
            self._starved_windows = self._fed_windows = 0
            return scan_groups
        if chosen != scan_groups:
            self._starved_windows = self._fed_windows = 0
        return chosen

    def state(self) -> dict[str, Any]:
        """What `restore` takes, of JSON's types."""
        return {
            "bandwidth": self._bandwidth,
            "demand": self._demand,
            "bandwidths": list(self._bandwidths),
            "demands": list(self._demands),
            "starved_windows": self._starved_windows,
            "fed_windows": self._fed_windows,
            "retry_after": self._retry_after,
            "windows_since_starved": self._windows_since_starved,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state` was taken."""
        self._bandwidth = state["bandwidth"]
        self._demand = state["demand"]
        self._bandwidths = list(state["bandwidths"])
        self._demands = list(state["demands"])
        self._starved_windows = int(state["starved_windows"])
        self._fed_windows = int(state["fed_windows"])
        self._retry_after = int(state["retry_after"])
        self._windows_since_starved = int(state["windows_since_starved"])

    def _starved(self, window: ReadWindow, rate: float, scan_groups: int) -> int:
        self._fed_windows = 0
        self._starved_windows += 1
        self._windows_since_starved = 0
        self._demands = []
        self._bandwidths = [*self._bandwidths, window.bytes_per_s][-_WINDOWS_OF_A_RATE:]
        self._bandwidth = statistics.median(self._bandwidths)
        rate *= self._bandwidth / window.bytes_per_s
        if self._demand is not None and self._demand <= rate:
            self._demand = None  # It takes more now than it did.
        lower = [groups for groups in self.candidates if groups < scan_groups]
        if self._starved_windows < self._patience or not lower:
            return scan_groups
        if self._demand is None:
            return lower[-1]
        return max((g for g in lower if self._is_fed(g)), default=lower[0])

    def _fed(self, window: ReadWindow, rate: float, scan_groups: int) -> int:
        self._starved_windows = 0
        self._fed_windows += 1
        self._windows_since_starved += 1
        self._bandwidths = []
        self._demands = [*self._demands, rate][-_WINDOWS_OF_A_RATE:]
        self._demand = statistics.median(self._demands)
        if self._bandwidth is not None:
            self._bandwidth = max(self._bandwidth, window.bytes_per_s * self._demand / rate)
            if self._windows_since_starved >= self._retry_after:
                self._bandwidth = None
                self._windows_since_starved = 0
                self._retry_after *= 2
        higher = [groups for groups in self.candidates if groups > scan_groups]
        if self._fed_windows < self._patience or not higher:
            return scan_groups
        if self._bandwidth is not None:
            return max((g for g in higher if self._is_fed(g)), default=scan_groups)
        if self._reads_in_flight is not None:
            most = window.bandwidth_with(self._reads_in_flight)
            if most < self._demand * self._bytes[higher[0] - 1]:
                return scan_groups
        return higher[0]

    def _is_fed(self, scan_groups: int) -> bool:
        assert self._bandwidth is not None
        assert self._demand is not None
        fed_rate = self._bandwidth / self._bytes[scan_groups - 1]
        return fed_rate >= (1 + self._headroom) * self._demand
