"""What each fidelity of a PCR data set costs and keeps: bytes, MS-SSIM, images per second."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from benchmarks import measure
from pcr_tf.data import PcrDataset
from pcr_tf.format.dataset_index import open_dataset
from pcr_tf.image import MeanMsSsim, compared_luma, decode_jpeg

_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Fidelity:
    """One row of the table.

    Attributes:
        scan_groups: the fidelity.
        bytes_per_image: that a reader reads, metadata and framing included.
        share: of the bytes of full fidelity, 0-1.
        ms_ssim: multi-scale structural similarity to the full image, 0-1, mean over images; None
            where no image is large enough for it (176 pixels).
        read_images_per_s: reading without decoding, page cache warm.
        decode_images_per_s: reading and decoding.
    """

    scan_groups: int
    bytes_per_image: float
    share: float
    ms_ssim: float | None
    read_images_per_s: float
    decode_images_per_s: float


def decoded(serialized: Any, image_feature: str = "image/encoded") -> Any:
    """The image of a serialized tf.train.Example: uint8 [height, width, 3]."""
    features = {image_feature: tf.io.FixedLenFeature((), tf.string)}
    example = tf.io.parse_single_example(serialized, features)
    return decode_jpeg(example[image_feature], channels=3)


def ms_ssim_by_fidelity(
    dataset: pathlib.Path, fidelities: Sequence[int], *, images: int
) -> list[float | None]:
    """Mean MS-SSIM of the first images of a data set, by fidelity, on their luma.

    Args:
        dataset: folder of the data set.
        fidelities: numbers of scan groups; the last is the reference.
        images: how many to compare. Images that are too small are left out.
    """

    versions = tf.data.Dataset.zip(
        tuple(PcrDataset(str(dataset), fidelity) for fidelity in fidelities)
    )
    mean = MeanMsSsim()
    for serialized in versions.take(images):
        try:
            mean.add([compared_luma(decoded(one)) for one in serialized])
        except tf.errors.InvalidArgumentError:
            continue  # Kept as it is by the conversion, and nothing that decodes.
    means: list[float] | list[None] = mean.result() or [None] * (len(fidelities) - 1)
    return [*means, 1.0]


def _images_per_s(dataset: Any, images: int) -> float:
    return images / measure.drain(dataset, lambda _: 1).wall_s


def _read_images_per_s(dataset: pathlib.Path, scan_groups: int, images: int) -> float:
    source = PcrDataset(str(dataset), scan_groups).take(images)
    return _images_per_s(source.batch(_BATCH).prefetch(2), images)


def _decode_images_per_s(dataset: pathlib.Path, scan_groups: int, images: int) -> float:
    # One number of each image's pixels is kept: images of different sizes do not form a batch.
    source = PcrDataset(str(dataset), scan_groups).take(images)
    pixels = source.map(lambda one: decoded(one)[0, 0, 0], num_parallel_calls=tf.data.AUTOTUNE)
    return _images_per_s(pixels.ignore_errors().batch(_BATCH).prefetch(2), images)


def measure_fidelities(
    dataset: pathlib.Path, *, similarity_images: int, timed_images: int, rounds: int = 3
) -> list[Fidelity]:
    """Measures all fidelities of a data set.

    Args:
        dataset: folder of the data set.
        similarity_images: images to compute MS-SSIM on.
        timed_images: images to read, and to decode, at most, per measurement.
        rounds: measurements of reading; decoding, which is slow, is measured once.
    """
    index = open_dataset(dataset).index
    fidelities = range(1, index.header.num_groups + 1)
    images = min(timed_images, index.num_examples)
    reading = measure.interleave(
        {str(g): functools.partial(_read_images_per_s, dataset, g, images) for g in fidelities},
        rounds=rounds,
    )
    decoding = measure.interleave(
        {str(g): functools.partial(_decode_images_per_s, dataset, g, images) for g in fidelities},
        rounds=1,
        warmup_rounds=0,
    )
    similarity = ms_ssim_by_fidelity(dataset, fidelities, images=similarity_images)
    full_bytes = index.prefix_bytes(index.header.num_groups)
    return [
        Fidelity(
            scan_groups=g,
            bytes_per_image=index.prefix_bytes(g) / index.num_examples,
            share=index.prefix_bytes(g) / full_bytes,
            ms_ssim=similarity[g - 1],
            read_images_per_s=statistics.median(reading[str(g)]),
            decode_images_per_s=statistics.median(decoding[str(g)]),
        )
        for g in fidelities
    ]


def fidelity_table(rows: Sequence[Fidelity]) -> str:
    """The rows as text."""
    header = ["scan groups", "KB/image", "share", "MS-SSIM", "read images/s", "decoded images/s"]
    return measure.table(
        header,
        [
            [
                str(row.scan_groups),
                f"{row.bytes_per_image / 1000:.1f}",
                f"{row.share:.1%}",
                "-" if row.ms_ssim is None else f"{row.ms_ssim:.4f}",
                f"{row.read_images_per_s:,.0f}",
                f"{row.decode_images_per_s:,.0f}",
            ]
            for row in rows
        ],
    )


def save_plot(rows: Sequence[Fidelity], path: pathlib.Path, title: str) -> None:
    """Saves a PNG: similarity against bytes, and images/s against fidelity.

    Args:
        rows: in ascending order of fidelity.
        path: of the PNG file.
        title: says which data set it is.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups = [row.scan_groups for row in rows]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
    figure.suptitle(title)

    kilobytes = [row.bytes_per_image / 1000 for row in rows]
    if all(row.ms_ssim is not None for row in rows):
        similarity = [row.ms_ssim or 0.0 for row in rows]
        left.plot(kilobytes, similarity, "o-", color="tab:blue")
        for row, x, y in zip(rows, kilobytes, similarity, strict=True):
            # Above and below in turn: neighbours may be close to each other.
            offset = (0, 7) if row.scan_groups % 2 == 0 else (0, -15)
            text = str(row.scan_groups)
            left.annotate(text, (x, y), xytext=offset, textcoords="offset points", ha="center")
        low = min(similarity)
        left.set_ylim(low - 0.12 * (1.0 - low), 1.0 + 0.12 * (1.0 - low))
    left.set_xlim(0, 1.05 * max(kilobytes))
    left.set_xlabel("KB read per image (numbers: scan groups)")
    left.set_ylabel("MS-SSIM to the full image")
    left.set_title("What a fidelity keeps")
    left.grid(alpha=0.3)

    for label, rates, style in (
        ("read", [row.read_images_per_s for row in rows], "s-"),
        ("read and decoded", [row.decode_images_per_s for row in rows], "o-"),
    ):
        right.plot(groups, rates, style, label=label)
    right.set_yscale("log")
    right.set_xticks(groups)
    right.set_xlabel("scan groups")
    right.set_ylabel("images/s, page cache warm")
    right.set_title("What a fidelity costs")
    right.grid(alpha=0.3, which="both")
    right.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
