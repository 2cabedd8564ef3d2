"""Which part of a split an item belongs to: a function of only a seed and the item's key."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

from pcr_tf.convert.errors import ListingError
from pcr_tf.convert.sources import Listing, Source


def part_of(key: str, seed: int, split: Sequence[tuple[str, float]]) -> str:
    """The part of `key`. The parts have their shares on average, not exactly."""
    data = key.encode(errors="surrogateescape")
    digest = hashlib.blake2b(data, digest_size=8, key=str(seed).encode(), person=b"split").digest()
    place = int.from_bytes(digest, "big") / 2**64
    for name, share in split[:-1]:
        if place < share:
            return name
        place -= share
    return split[-1][0]


def part_of_listing(
    source: Source, listing: Listing, seed: int, split: Sequence[tuple[str, float]], part: str
) -> Listing:
    """The items of one part, with the classes of the whole. It may be empty: see `check_part`."""
    items = [
        item
        for item in listing.items
        if part_of(source.split_key(item, listing.context), seed, split) == part
    ]
    unreadable = tuple(
        entry for entry in listing.unreadable if part_of(entry[0], seed, split) == part
    )
    return dataclasses.replace(listing, items=tuple(items), unreadable=unreadable)


def check_part(part: str, num_items: int, num_listed: int) -> None:
    """Raises ListingError if a part has none of the listed items."""
    if not num_items:
        raise ListingError(
            f"`split`: none of {num_listed} items is in part {part!r}; give it a larger share, or "
            "choose another `split_seed`"
        )
