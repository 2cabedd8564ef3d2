"""Which item goes into which shard: a pure function of the items' names and a few flags."""

from __future__ import annotations

import dataclasses
import hashlib

from pcr_tf.convert.sources import Listing, Source, SourceItem

# Small data sets are cut into this many shards (or one per record), so that workers have something
# to share.
MIN_SHARDS = 8


@dataclasses.dataclass(frozen=True)
class ShardPlan:
    """One shard to be written: `items` in the order of its examples."""

    number: int
    name: str
    items: list[SourceItem]

    @property
    def source_bytes(self) -> int:
        """Size of its items."""
        return sum(item.size_bytes for item in self.items)


class Plan:
    """The order of all items, cut into records and shards.

    Shuffled items are ordered by a keyed hash of the seed and the item's name, so the order depends
    neither on the machine nor on how the source is listed. Shards take whole records; the last
    record of the data set may be short.
    """

    def __init__(
        self,
        source: Source,
        listing: Listing,
        *,
        images_per_record: int,
        num_shards: int | None,
        shard_size_mib: int,
        shuffle_seed: int | None,
        prefix: str,
    ) -> None:
        """Plans.

        Args:
            num_shards: None to derive it from `shard_size_mib` of source bytes per shard, but at
                least `MIN_SHARDS`. Never more than there are records.
            shuffle_seed: None to keep the order of the listing.
        """
        self.items = listing.items
        if shuffle_seed is not None:
            seed = str(shuffle_seed).encode()

            def rank(item: SourceItem) -> bytes:
                name = source.key(item).encode(errors="surrogateescape")
                return hashlib.blake2b(name, digest_size=16, key=seed).digest()

            self.items = sorted(self.items, key=rank)
        self.source_bytes = sum(item.size_bytes for item in self.items)
        self.images_per_record = images_per_record
        self.num_records = -(-len(self.items) // images_per_record)
        if num_shards is None:
            num_shards = max(MIN_SHARDS, round(self.source_bytes / (shard_size_mib << 20)))
        self.num_shards = max(1, min(num_shards, self.num_records))
        self._prefix = prefix

    def shard_name(self, number: int) -> str:
        """``<prefix>-00000-of-00010.pcr``."""
        return f"{self._prefix}-{number:05d}-of-{self.num_shards:05d}.pcr"

    def shard_names(self) -> list[str]:
        """Names of all shards, in order."""
        return [self.shard_name(number) for number in range(self.num_shards)]

    def shard(self, number: int) -> ShardPlan:
        """The plan of shard `number`: records are spread as evenly as whole records allow."""
        first = number * self.num_records // self.num_shards * self.images_per_record
        end = (number + 1) * self.num_records // self.num_shards * self.images_per_record
        return ShardPlan(number, self.shard_name(number), self.items[first:end])
