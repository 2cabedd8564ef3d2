r"""Measures training input, from files to batches, beside the best of tf.data with TFRecords.

    python -m benchmarks.augment [--images=/my/folder] [--copies=4]

The work: a random crop as for ImageNet (8% to 100% of the area, aspect ratio 3/4 to 4/3), resized
to 224 x 224 bilinearly, flipped at random, batches of 64 with labels; all cores, page cache warm.
The output is float32 on both sides, as `tf.image.resize` gives it, or uint8 (--dtype).

tf.data reads TFRecords of the original files and decodes with `decode_and_crop_jpeg`, in several
settings, the best of which is the baseline. The fused op is measured on the same TFRecords, and in
`pcr_tf.data.image_batches` at several fidelities.

Beside images/s stand images per second of processor time, which other programs that run at the time
disturb less.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from absl import app, flags

import pcr_tf
from benchmarks import inputs, measure

_COPIES = flags.DEFINE_integer("copies", 4, "Times each photograph is stored.", lower_bound=1)
_SHARDS = flags.DEFINE_integer("shards", 8, "Files on each side.", lower_bound=1)
_IMAGES_PER_RECORD = flags.DEFINE_integer(
    "examples_per_record", 64, "As for pcr-convert.", lower_bound=1
)
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "uint8"], "Of the images.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Measurements of each case.", lower_bound=1)

_BATCH = 64
_SIZE = 224
_LABEL = "image/class/label"
_FEATURES = {
    "image/encoded": tf.io.FixedLenFeature((), tf.string),
    _LABEL: tf.io.FixedLenFeature((), tf.int64),
}


def _cropped_by_tensorflow(serialized: Any) -> tuple[Any, Any]:
    """The work in plain TensorFlow, as its own ImageNet examples do it."""
    example = tf.io.parse_single_example(serialized, _FEATURES)
    jpeg = example["image/encoded"]
    shape = tf.io.extract_jpeg_shape(jpeg)
    begin, size, _ = tf.image.sample_distorted_bounding_box(
        shape,
        tf.zeros([1, 0, 4]),
        min_object_covered=0.0,
        aspect_ratio_range=(3 / 4, 4 / 3),
        area_range=(0.08, 1.0),
        max_attempts=100,
        use_image_if_no_bounding_boxes=True,
    )
    window = tf.stack([begin[0], begin[1], size[0], size[1]])
    image = tf.io.decode_and_crop_jpeg(jpeg, window, channels=3)
    image = tf.image.random_flip_left_right(tf.image.resize(image, (_SIZE, _SIZE)))
    if _DTYPE.value == "uint8":
        image = tf.cast(tf.round(image), tf.uint8)
    return tf.ensure_shape(image, (_SIZE, _SIZE, 3)), example[_LABEL]


def _with_tensorflow(
    paths: list[str], *, num_parallel_reads: int | None = None, deterministic: bool = True
) -> Any:
    dataset = tf.data.TFRecordDataset(paths, num_parallel_reads=num_parallel_reads)
    dataset = dataset.map(_cropped_by_tensorflow, tf.data.AUTOTUNE, deterministic=deterministic)
    return dataset.batch(_BATCH).prefetch(tf.data.AUTOTUNE)


def _with_fused_op(paths: list[str]) -> Any:
    def crop(serialized: Any, seeds: Any) -> tuple[Any, Any]:
        examples = tf.io.parse_example(serialized, _FEATURES)
        images = pcr_tf.image.decode_and_random_crop_resize(
            examples["image/encoded"], _SIZE, seeds, dtype=_DTYPE.value
        )
        return images, examples[_LABEL]

    seeds = tf.data.Dataset.random(rerandomize_each_iteration=True).batch(2)
    dataset = tf.data.Dataset.zip(tf.data.TFRecordDataset(paths), seeds).batch(_BATCH)
    return dataset.map(crop, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _with_image_batches(folder: str, scan_groups: int | None, **options: Any) -> Any:
    return pcr_tf.data.image_batches(
        folder,
        _SIZE,
        _BATCH,
        scan_groups=scan_groups,
        label=_LABEL,
        shuffle=False,
        dtype=_DTYPE.value,
        **options,
    )


def _images_per_s(
    make_dataset: Callable[[], Any], expected: int, images_per_cpu_s: list[float]
) -> float:
    dataset = make_dataset()
    drained = measure.drain(dataset, lambda batch: int(batch[1].shape[0]))
    if drained.examples != expected:
        raise RuntimeError(f"number of images read; expected {expected}, got {drained.examples}")
    images_per_cpu_s.append(expected / drained.cpu_s)
    return expected / drained.wall_s


def main(argv: list[str]) -> None:
    """Measures, prints the table and writes augment.json."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    photographs = inputs.photographs()
    layout = {"copies": _COPIES.value, "num_shards": _SHARDS.value}
    paths = [str(path) for path in inputs.tfrecords(photographs, **layout)]
    standard, no_refinement = (
        str(
            inputs.pcr_dataset(
                photographs,
                **layout,
                examples_per_record=_IMAGES_PER_RECORD.value,
                scan_script=script,
            )
        )
        for script in ("standard", "no_refinement")
    )
    partial = functools.partial
    tensorflow_cases: dict[str, Callable[[], Any]] = {
        "tf.data": partial(_with_tensorflow, paths),
        "tf.data, parallel reads": partial(
            _with_tensorflow, paths, num_parallel_reads=tf.data.AUTOTUNE
        ),
        "tf.data, parallel reads, any order": partial(
            _with_tensorflow, paths, num_parallel_reads=tf.data.AUTOTUNE, deterministic=False
        ),
    }
    makers: dict[str, Callable[[], Any]] = {
        **tensorflow_cases,
        "fused op, the same TFRecords": partial(_with_fused_op, paths),
        "standard, 10 groups": partial(_with_image_batches, standard, 10),
        "standard, 5 groups": partial(_with_image_batches, standard, 5),
        "standard, 5 groups, smoothing": partial(
            _with_image_batches, standard, 5, block_smoothing=True
        ),
        "standard, 2 groups": partial(_with_image_batches, standard, 2),
        "standard, 2 groups, smoothing": partial(
            _with_image_batches, standard, 2, block_smoothing=True
        ),
        "no_refinement, all groups": partial(_with_image_batches, no_refinement, None),
    }
    images = len(photographs.files) * _COPIES.value
    per_cpu_s: dict[str, list[float]] = {name: [] for name in makers}
    values = measure.interleave(
        {
            name: partial(_images_per_s, maker, images, per_cpu_s[name])
            for name, maker in makers.items()
        },
        rounds=_ROUNDS.value,
    )
    # The first is that of the round that warms up.
    per_cpu_s = {name: rates[-_ROUNDS.value :] for name, rates in per_cpu_s.items()}
    summaries = {name: measure.summarise(rates) for name, rates in values.items()}
    baseline = max(tensorflow_cases, key=lambda name: summaries[name].median)
    ratios = {name: measure.ratio(rates, values[baseline]) for name, rates in values.items()}
    cpu_ratios = {
        name: measure.ratio(rates, per_cpu_s[baseline]) for name, rates in per_cpu_s.items()
    }
    rows = [
        [
            name,
            f"{summary.median:,.0f}",
            f"{summary.smallest:,.0f}-{summary.largest:,.0f}",
            str(ratios[name]),
            f"{measure.summarise(per_cpu_s[name]).median:,.0f}",
            str(cpu_ratios[name]),
        ]
        for name, summary in summaries.items()
    ]
    print(
        f"{photographs.origin}: {images} examples, random crops of {_SIZE} in batches of {_BATCH}"
    )
    header = ["", "images/s", "range", "ratio to best tf.data", "images/CPU-s", "ratio"]
    print(measure.table(header, rows))
    print(f"Best tf.data: {baseline}")
    result = {
        "photographs": photographs.origin,
        "examples": images,
        "dtype": _DTYPE.value,
        "baseline": baseline,
        "images_per_s": summaries,
        "ratio_to_baseline": ratios,
        "images_per_cpu_s": {name: measure.summarise(v) for name, v in per_cpu_s.items()},
        "cpu_ratio_to_baseline": cpu_ratios,
    }
    print(measure.write_json(inputs.OUTPUT_DIR.value, "augment", result))


if __name__ == "__main__":
    app.run(main)
