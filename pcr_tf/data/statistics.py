"""What PcrDatasets have asked of file systems, and how long it took."""

from __future__ import annotations

import dataclasses

from pcr_tf._op_library import load_op_library


@dataclasses.dataclass(frozen=True)
class ReadStatistics:
    """Counts and times of all PcrDatasets of a process, since it began or between two moments.

    What reads a `Fidelity`'s file is not among them.

    Example:
      >>> before = pcr_tf.data.read_statistics()
      >>> for _ in pcr_tf.data.PcrDataset("photos.pcr", scan_groups=1):
      ...     pass
      >>> used = pcr_tf.data.read_statistics() - before
      >>> used.reads, used.retries  # the side index and 12 records
      (13, 0)

    Attributes:
      reads: range reads, failed attempts included.
      bytes: bytes they brought.
      lookups: questions for the size of a file or the names in a folder.
      retries: attempts after one that failed.
      rereads: records and indexes that came damaged from a remote file and were read again.
      failures: requests given up after the last attempt.
      wait_s: seconds waited for range reads, summed over the threads that read.
      max_wait_s: the longest of these waits since the process began.
      consumer_wait_s: seconds that those who ask for examples were blocked: near zero while reading
        keeps up.
      wait_counts: reads by their wait: entry n counts waits of 2^(n-1) to 2^n microseconds, entry 0
        those below one.
    """

    reads: int
    bytes: int
    lookups: int
    retries: int
    rereads: int
    failures: int
    wait_s: float
    max_wait_s: float
    consumer_wait_s: float
    wait_counts: tuple[int, ...]

    def __sub__(self, earlier: ReadStatistics) -> ReadStatistics:
        """What came between: all counts and sums less the earlier ones; max_wait_s is kept."""
        differences = {
            field.name: getattr(self, field.name) - getattr(earlier, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("max_wait_s", "wait_counts")
        }
        counts = zip(self.wait_counts, earlier.wait_counts, strict=True)
        return ReadStatistics(
            **differences,
            max_wait_s=self.max_wait_s,
            wait_counts=tuple(later - before for later, before in counts),
        )

    @property
    def mean_wait_s(self) -> float:
        """Seconds waited for a range read, on average; 0.0 where there was none."""
        return self.wait_s / self.reads if self.reads else 0.0

    def wait_quantile_s(self, quantile: float) -> float:
        """An upper bound, at most twice too high, on the wait of that share of the reads.

        Args:
          quantile: 0.0 to 1.0.
        """
        remaining = quantile * sum(self.wait_counts)
        for n, count in enumerate(self.wait_counts):
            remaining -= count
            if count and remaining <= 0:
                return 2.0**n / 1e6
        return 0.0


def read_statistics() -> ReadStatistics:
    """The sums over all PcrDatasets of this process since it began.

    Workers of the tf.data service read in processes of their own and are not counted here.
    """
    values = [int(value) for value in load_op_library().pcr_read_statistics().numpy()]
    return ReadStatistics(
        reads=values[0],
        bytes=values[1],
        lookups=values[2],
        retries=values[3],
        rereads=values[4],
        failures=values[5],
        wait_s=values[6] / 1e6,
        max_wait_s=values[7] / 1e6,
        consumer_wait_s=values[8] / 1e6,
        wait_counts=tuple(values[9:]),
    )
