"""A sample of the images of a source, of those that a scan script has an effect on."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

from pcr_tf import _native
from pcr_tf.convert.errors import ConvertError, UnreadableItemError
from pcr_tf.convert.sources import Source
from pcr_tf.format.example import bytes_features
from pcr_tf.format.scan_scripts import load_scan_script


@dataclasses.dataclass(frozen=True)
class ImageSample:
    """Images of a source.

    Attributes:
        images: JPEGs that can be re-coded, in the order in which they were drawn.
        left_out: number of images drawn that cannot be read or re-coded: every script keeps them
            as they are.
    """

    images: list[bytes]
    left_out: int

    @property
    def source_bytes(self) -> int:
        """Total size of the images."""
        return sum(map(len, self.images))


def draw_sample(source: Source, *, images: int, skip_images: int = 0, seed: int = 0) -> ImageSample:
    """Draws images of a source.

    The images are in an order that follows from the seed and the source's listing. So a call
    with `skip_images=24` has none in common with one of the same seed and `images=24`: what was
    found on one sample can be checked on another.

    Args:
        source: of `pcr_tf.convert.sources.make_source`.
        images: how many, at least 1; fewer are drawn where the source has no more.
        skip_images: how many to leave out at the beginning of the order.
        seed: of the order.

    Raises:
        ConvertError: nothing is there, or no image of it can be re-coded.
        ValueError: a number is out of its range.

    Example:
        draw_sample(make_source("auto", ["photos/"], ["image/encoded"]), images=100)
    """
    if images < 1 or skip_images < 0:
        raise ValueError(
            "expected images of at least 1 and skip_images of at least 0; got "
            f"{images}, {skip_images}"
        )
    script = _native.ScanScript(load_scan_script("no_refinement"))
    taken: list[bytes] = []
    usable = left_out = 0
    for image in _images(source, seed):
        if image is None or _native.transcode(image, script, prove=False).coding == "opaque":
            left_out += 1
            continue
        usable += 1
        if usable > skip_images:
            taken.append(image)
        if len(taken) == images:
            break
    if not taken:
        raise ConvertError(
            f"the sample is empty: expected more than {skip_images} images that can be re-coded, "
            f"got {usable}, and {left_out} that cannot"
        )
    return ImageSample(taken, left_out)


def _images(source: Source, seed: int) -> Iterator[bytes | None]:
    """The images of a source in the order of the seed; None for an item that cannot be read."""
    listing = source.list_items(skip_unreadable=True)
    items = list(listing.items)
    random.Random(seed).shuffle(items)
    for item in items:
        try:
            found = bytes_features(source.read(item, listing.context), source.image_features)
        except (UnreadableItemError, ValueError):
            yield None
            continue
        for feature in source.image_features:
            yield from found.get(feature, [])
