"""Which item goes into which shard: a pure function of the items' names and a few options."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

from pcr_tf.convert.job.options import ConvertOptions
from pcr_tf.convert.sources import Source, SourceItem

# Small data sets are cut into this many shards (or one per record), so that workers can share them.
MIN_SHARDS = 8

# For the default size of a record, which is also the unit of shuffling.
MAX_IMAGES_PER_RECORD = 256
MIN_RECORDS = 64


@dataclasses.dataclass(frozen=True)
class ShardPlan:
    """One shard to be written: `items` in the order of its examples."""

    number: int
    name: str
    items: Sequence[SourceItem]
    examples_per_record: int

    @property
    def source_bytes(self) -> int:
        """Total size of its items."""
        return sum(item.size_bytes for item in self.items)


def shuffle_rank(seed: int, key: str) -> bytes:
    """The rank of a key in the shuffled order: 16 bytes, by which items are sorted.

    It is a keyed hash. So the order depends neither on the machine nor on how the source is listed,
    and each item's rank is known without the others.
    """
    name = key.encode(errors="surrogateescape")
    return hashlib.blake2b(name, digest_size=16, key=str(seed).encode()).digest()


def default_examples_per_record(num_items: int) -> int:
    """256; for fewer than 16,384 items, fewer, so that there are at least 64 records."""
    return max(1, min(MAX_IMAGES_PER_RECORD, num_items // MIN_RECORDS))


class ShardCuts:
    """How a sequence of items is cut into records and shards.

    Records hold the `examples_per_record` of the options, or `default_examples_per_record`.
    Shards hold whole records, spread as evenly as possible; the last record of the data set may be
    short. The number of shards is the `num_shards` of the options, or follows from `shard_size_mib`
    of source bytes per shard and is at least `MIN_SHARDS`. It is at most that of the records.
    """

    def __init__(self, num_items: int, source_bytes: int, options: ConvertOptions) -> None:
        """Cuts `num_items` items with a total size of `source_bytes`."""
        self.num_items = num_items
        self.source_bytes = source_bytes
        self.examples_per_record = options.examples_per_record or default_examples_per_record(
            num_items
        )
        self._prefix = options.prefix
        self.num_records = -(-num_items // self.examples_per_record)
        num_shards = options.num_shards
        if num_shards is None:
            num_shards = max(MIN_SHARDS, round(source_bytes / (options.shard_size_mib << 20)))
        self.num_shards = max(1, min(num_shards, self.num_records))

    def shard_name(self, number: int) -> str:
        """``<prefix>-00000-of-00010.pcr``."""
        return f"{self._prefix}-{number:05d}-of-{self.num_shards:05d}.pcr"

    def shard_names(self) -> list[str]:
        """Names of all shards, in order."""
        return [self.shard_name(number) for number in range(self.num_shards)]

    def shard_positions(self, number: int) -> range:
        """Positions of the items of shard `number`."""
        first, end = (
            n * self.num_records // self.num_shards * self.examples_per_record
            for n in (number, number + 1)
        )
        return range(first, min(end, self.num_items))

    def shard_of(self, position: int) -> int:
        """Number of the shard that holds the item at `position`."""
        record = position // self.examples_per_record
        return ((record + 1) * self.num_shards - 1) // self.num_records


class Plan:
    """The order of all items, and how it is cut: `items` are sorted by their rank in the shuffle,
    those that share a key as listed. Without a shuffle they stay as listed.
    """

    def __init__(
        self, source: Source, items: Sequence[SourceItem], options: ConvertOptions
    ) -> None:
        """Plans the items of a listing, whose keys `source` gives."""
        self.items = items
        if options.shuffle:
            seed = options.shuffle_seed
            self.items = sorted(items, key=lambda item: shuffle_rank(seed, source.key(item)))
        self.cuts = ShardCuts(len(items), sum(item.size_bytes for item in items), options)

    def shard(self, number: int) -> ShardPlan:
        """The plan of shard `number`."""
        positions = self.cuts.shard_positions(number)
        items = self.items[positions.start : positions.stop]
        cuts = self.cuts
        return ShardPlan(number, cuts.shard_name(number), items, cuts.examples_per_record)
