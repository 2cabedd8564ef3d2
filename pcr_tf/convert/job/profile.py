"""What each fidelity of a data set costs and keeps, on a sample: for the manifest, and for tuning.

The sample follows from the seed and the data set, and figures are rounded, so a data set has one
profile. Processors with other vector instructions may differ by one in the last digit of MS-SSIM.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import warnings
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

from pcr_tf._native import record_images
from pcr_tf.convert.errors import ConvertError
from pcr_tf.format.reader import PcrReader

# Images are taken from about so many records, since records are read whole.
_RECORDS = 16
_DIGITS = 4


def check_profile_is_possible(num_images: int) -> None:
    """Raises ConvertError where images are to be measured and TensorFlow is not installed."""
    if num_images and importlib.util.find_spec("tensorflow") is None:
        raise ConvertError(
            "the profile of the fidelities needs TensorFlow, which is not installed; "
            "do without it: `profile_images=0`"
        )


def fidelity_profile(reader: PcrReader, *, num_images: int, seed: int) -> dict[str, Any] | None:
    """Measures a sample of the progressive images that are large enough for MS-SSIM.

    Imports TensorFlow if there is such an image.

    Args:
        num_images: images to measure, at most. 0 gives None.

    Returns:
        None where no image can be measured, else
            images: how many were; seed: of the sample;
            ms_ssim: mean over the images of the MS-SSIM to full fidelity, at fidelity 1, 2, ... G;
                the last is 1.0;
            bytes_per_image: likewise, the mean size of the images in bytes.
    """
    mean: Any = None
    sizes: list[list[int]] = []
    for versions in _sample(reader, num_images, seed):
        from pcr_tf.image import MeanMsSsim

        mean = mean or MeanMsSsim()
        if mean.add(_compared(versions)):
            sizes.append([len(version) for version in versions])
    similarities = mean.result() if mean else None
    if similarities is None:
        return None
    return {
        "images": len(sizes),
        "seed": seed,
        "ms_ssim": [round(value, _DIGITS) for value in (*similarities, 1.0)],
        "bytes_per_image": [round(fmean(column)) for column in zip(*sizes, strict=True)],
    }


def _sample(reader: PcrReader, num_images: int, seed: int) -> Iterator[list[bytes]]:
    """The versions of each image of the sample, from fidelity 1 to full fidelity."""
    left = num_images
    per_record = max(1, -(-num_images // min(_RECORDS, max(1, reader.num_records))))
    # No more records than images: there may be none that can be measured.
    for record in _ranked(range(reader.num_records), seed, "record")[:num_images]:
        prefix = reader.read_prefix(record)
        images = record_images(reader.index, record, reader.num_groups, prefix)
        candidates = [
            position
            for position, (_, _, coding, image) in enumerate(images)
            if coding == "progressive" and _is_large_enough(image)
        ]
        chosen = _ranked(candidates, seed, f"record {record}, image")[: min(per_record, left)]
        versions: list[list[bytes]] = [[] for _ in chosen]
        for scan_groups in range(1, reader.num_groups + 1) if chosen else ():
            part = prefix[: reader.index.prefix(record, scan_groups)[2]]
            images = record_images(reader.index, record, scan_groups, part)
            for version, position in zip(versions, chosen, strict=True):
                version.append(images[position][3])
        yield from versions
        left -= len(chosen)
        if not left:
            return


def _ranked(ordinals: Sequence[int], seed: int, what: str) -> list[int]:
    """`ordinals` in an order that follows from the seed."""
    key = str(seed).encode()

    def rank(ordinal: int) -> bytes:
        return hashlib.blake2b(f"{what} {ordinal}".encode(), digest_size=16, key=key).digest()

    return sorted(ordinals, key=rank)


# MS-SSIM's: pcr_tf.image knows it, but is not asked before there is an image to measure.
_SMALLEST_SIDE = 176


def _is_large_enough(jpeg: bytes) -> bool:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of sizes that are no matter here: nothing is decoded.
            with Image.open(io.BytesIO(jpeg)) as opened:
                return min(opened.size) >= _SMALLEST_SIDE
    except Exception:  # Pillow's parsers raise whatever comes.
        return False


def _compared(versions: list[bytes]) -> list[Any]:
    """What is compared of each version; None in place of it where one does not decode."""
    import tensorflow as tf

    from pcr_tf.image import compared_luma, decode_jpeg

    try:
        return [compared_luma(decode_jpeg(version, channels=3)) for version in versions]
    except tf.errors.InvalidArgumentError:  # It is larger than the ops' limits, say.
        return [None]
