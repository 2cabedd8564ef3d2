"""image_batches: the pipeline from a PCR data set to training batches, in one call."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pcr_tf._arguments import as_bool, in_range, one_of
from pcr_tf.data.dataset import PathLike, PcrDataset, as_seed
from pcr_tf.data.fidelity import Fidelity
from pcr_tf.format import filesystem
from pcr_tf.format.dataset_index import load_shard_index, open_dataset
from pcr_tf.image import decode_and_center_crop_resize, decode_and_random_crop_resize

Labels = str | Mapping[str, Any] | Callable[[tf.Tensor], Any]

# The arguments of the decoding ops that image_batches sets itself.
_OWN_ARGUMENTS = frozenset({"contents", "size", "seed", "on_error", "name"})


def image_batches(
    files: PathLike | Sequence[PathLike] | tf.Tensor,
    size: int | Sequence[int],
    batch_size: int,
    *,
    scan_groups: int | tf.Tensor | Fidelity | None = None,
    label: Labels | None = None,
    image_feature: str | None = None,
    training: bool = True,
    epochs: int | None = 1,
    shuffle: bool | None = None,
    shuffle_buffer: int = 0,
    seed: int | None = None,
    num_shards: int = 1,
    shard_index: int = 0,
    reads_in_flight: int | None = None,
    bytes_in_flight: int | None = None,
    drop_remainder: bool = False,
    on_error: str = "raise",
    num_parallel_calls: int | None = None,
    **decode_options: Any,
) -> tf.data.Dataset:
    """Batches of images of one size, with labels, ready for `fit()`.

    The whole pipeline: records at a fidelity, in a new random order in each epoch; examples
    shuffled further; features parsed; JPEGs decoded, cropped, resized, flipped and normalised in
    one pass; batched and prefetched. Each part can be used alone: `PcrDataset`, and the functions
    of `pcr_tf.image`.

    With `training`, each image gets a random crop and flip, another one in each epoch; else its
    centre. Crops are decided by `seed`, the ordinal of the iterator and the example's place in what
    it gives: the same call
    gives the same pixels, at any parallelism, in any process, and after an iterator is restored
    from a checkpoint. (As for `PcrDataset`, each iteration over this data set is an epoch, and so
    is each repetition by `epochs`.) The tf.data service's dynamic sharding deals out records as
    workers ask for them, and with it no order, hence no crop, is certain.

    The data set's cardinality is exact, unless broken images are skipped: then it is unknown, for
    nobody knows beforehand how many there are.

    Example:
      >>> batches = pcr_tf.data.image_batches(
      ...     "photos.pcr", 32, 5, scan_groups=5, label="image/class/label", seed=7,
      ...     dtype=tf.float32, mean=(123.7, 116.3, 103.5), stddev=(58.4, 57.1, 57.4))
      >>> len(batches)
      3
      >>> images, labels = next(iter(batches))
      >>> images.shape, images.dtype, labels.shape
      (TensorShape([5, 32, 32, 3]), tf.float32, TensorShape([5]))

    Args:
      files: as in `PcrDataset`.
      size: of the images in pixels: a side, or (height, width).
      batch_size: images of a batch, at least 1. With `tf.distribute`: of all replicas together.
      scan_groups: fidelity, as in `PcrDataset`; a `pcr_tf.Fidelity` can be changed while this runs.
      label: what comes with each image: the name of an int64 feature of one value; or a dict from
        features' names to `tf.io` specs (`FixedLenFeature`, `RaggedFeature`, ...), which gives a
        dict; or a function from the serialized `tf.train.Example`, a scalar `tf.string`, to any
        structure of tensors of fixed shape. None: nothing.
      image_feature: name of the feature that holds the JPEG. None: that of the data set; one that
        has several must be told which.
      training: random crops and flips, and records in random order. False: centre crops, and
        records in the order of the files.
      epochs: repetitions, at least 1. None: without end, so that every batch is full. Batches
        reach across the border of two epochs. Where one iterator serves several epochs, use this
        and not `.repeat()`: then checkpoints of it are exact.
      shuffle: records in a new random order in each epoch. None: as `training`.
      shuffle_buffer: examples, still encoded, to draw from at random, at least 0. Also needs
        `shuffle`. Several times the examples of a record mixes records.
      seed: 64-bit integer, of all that is random. None: `tf.random.set_seed`'s if there is one,
        else random. Readers that share a data set by `num_shards` must be given one seed.
      num_shards: as in `PcrDataset`. Above 1, tf.data's own sharding is switched off.
      shard_index: as in `PcrDataset`.
      reads_in_flight: as in `PcrDataset`.
      bytes_in_flight: as in `PcrDataset`.
      drop_remainder: leave out a last batch that is not full. Makes the size of the batch part of
        the data set's `element_spec`, which TPUs and XLA want; `epochs=None` does so too.
      on_error: "raise": an image that does not decode raises; "skip": it is left out, before
        batching, and counted by `pcr_tf.image.decode_errors`. Damaged records raise in any case;
        `.ignore_errors()` leaves out those.
      num_parallel_calls: batches to make at once, each on all cores; with "skip", images. None: as
        many as tf.data finds good.
      **decode_options: further arguments of `pcr_tf.image.decode_and_random_crop_resize`, or, with
        `training=False`, of `decode_and_center_crop_resize`: `dtype`, `mean`, `stddev`,
        `area_range`, `crop_fraction`, `antialias`, `block_smoothing` and so on.

    Returns:
      A data set of images, [batch, height, width, channels], or of pairs (images, labels).

    Raises:
      ValueError: for arguments outside of their ranges, and where `image_feature` is needed or is
        named as a label too.
      TypeError: for arguments of other types, and those that the decoding function does not have.
      tf.errors.OpError: as `PcrDataset` does. While iterating, `tf.errors.InvalidArgumentError` for
        an image that does not decode, which takes its batch along under `.ignore_errors()`, or an
        example without the features asked for.
    """
    training = as_bool("training", training)
    shuffle = training if shuffle is None else as_bool("shuffle", shuffle)
    shuffle_buffer = in_range("shuffle_buffer", shuffle_buffer, 0)
    if shuffle_buffer > 0 and not shuffle:
        raise ValueError(f"shuffle_buffer; expected 0 without shuffle, got {shuffle_buffer}")
    batch_size = in_range("batch_size", batch_size, 1)
    epochs = None if epochs is None else in_range("epochs", epochs, 1)
    drop_remainder = as_bool("drop_remainder", drop_remainder) or epochs is None
    one_of("on_error", on_error, ("raise", "skip"))
    if num_parallel_calls is None:
        num_parallel_calls = tf.data.AUTOTUNE
    else:
        num_parallel_calls = in_range("num_parallel_calls", num_parallel_calls, 1)
    own = sorted(_OWN_ARGUMENTS & decode_options.keys())
    if own:
        raise TypeError(f"{own[0]}; expected the arguments of a decoding function, not this one")
    decode: Callable[..., Any]
    decode = decode_and_random_crop_resize if training else decode_and_center_crop_resize
    unknown = sorted(decode_options.keys() - inspect.signature(decode).parameters.keys())
    if unknown:
        raise TypeError(
            f"{unknown[0]}; expected an argument of image_batches or of {decode.__name__}, "
            "which have none of this name"
        )
    seed = as_seed(seed)

    source = PcrDataset(
        files,
        scan_groups,
        shuffle=shuffle,
        seed=seed,
        num_shards=num_shards,
        shard_index=shard_index,
        reads_in_flight=reads_in_flight,
        bytes_in_flight=bytes_in_flight,
    )
    parse = _Parser(_image_feature_of(files) if image_feature is None else image_feature, label)
    # Next to the source: what stands between it and repeat() could keep it from being saved.
    dataset = source if epochs == 1 else source.repeat(epochs)
    if shuffle_buffer > 0:
        dataset = dataset.shuffle(shuffle_buffer, seed=seed)
    if training:
        dataset = tf.data.Dataset.zip(dataset, _image_seeds(seed, shard_index))
    if callable(label):
        dataset = dataset.map(
            lambda serialized, *image_seed: ((serialized, label(serialized)), *image_seed),
            num_parallel_calls,
            deterministic=True,
        )

    def to_batch(examples: Any, *image_seeds: tf.Tensor) -> Any:
        jpegs, labels = parse(examples)
        images = decode(jpegs, size, *image_seeds, **decode_options)
        return (images, *labels) if labels else images

    def to_image(example: Any, *image_seed: tf.Tensor) -> Any:
        jpeg, labels = parse(example)
        image, decoded = decode(jpeg, size, *image_seed, on_error="mark", **decode_options)
        return ((image, *labels) if labels else image), decoded

    if on_error == "raise":
        dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
        dataset = dataset.map(to_batch, num_parallel_calls, deterministic=True)
    else:
        dataset = dataset.map(to_image, num_parallel_calls, deterministic=True)
        dataset = dataset.filter(lambda element, decoded: decoded)
        dataset = dataset.map(lambda element, decoded: element)
        dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    if num_shards > 1:
        # Else it would deal out this reader's share once more.
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        dataset = dataset.with_options(options)
    return dataset


class _Parser:
    """From serialized examples to JPEGs and a tuple of their labels, if any."""

    def __init__(self, image_feature: str, label: Labels | None) -> None:
        features: dict[str, Any] = {}
        if isinstance(label, str):
            features[label] = tf.io.FixedLenFeature((), tf.int64)
        elif isinstance(label, Mapping):
            features.update(label)
        elif label is not None and not callable(label):
            raise TypeError(
                "label; expected the name of a feature, a dict of tf.io specs or a function, "
                f"got {label!r}"
            )
        if image_feature in features:
            raise ValueError(f"label; expected other features than the image's, got {label!r}")
        self._label = label
        self._image_feature = image_feature
        self._features = {**features, image_feature: tf.io.FixedLenFeature((), tf.string)}

    def __call__(self, example: Any) -> tuple[tf.Tensor, tuple[Any, ...]]:
        """Parses one serialized example, or a batch; with a function as label, the pair of that
        and its values."""
        serialized, values = example if callable(self._label) else (example, None)
        parsed = tf.io.parse_example(serialized, self._features)
        jpeg = parsed.pop(self._image_feature)
        if self._label is None:
            return jpeg, ()
        if callable(self._label):
            return jpeg, (values,)
        return jpeg, (parsed[self._label] if isinstance(self._label, str) else parsed,)


def _image_seeds(seed: int, shard_index: int) -> tf.data.Dataset:
    """Without end, a seed for each image: int64 [2]. Others in each iteration."""
    # Readers that share a data set draw different ones: an odd factor keeps all bits of the seed.
    number = (seed + shard_index * 0x9E3779B97F4A7C15) % 2**64
    numbers = tf.data.Dataset.random(
        seed=number - 2**64 if number >= 2**63 else number, rerandomize_each_iteration=True
    )
    return numbers.batch(2, drop_remainder=True)


def _image_feature_of(files: PathLike | Sequence[PathLike] | tf.Tensor) -> str:
    """The name of the image feature of a data set, from the first header there is."""
    if tf.is_tensor(files):
        files = tf.get_static_value(files)
        if files is None:
            raise ValueError(
                "image_feature; expected its name, since files is known only when the graph runs"
            )
    if isinstance(files, np.ndarray):
        files = files.reshape(-1).tolist()
    paths = [files] if isinstance(files, (str, bytes, os.PathLike)) else list(files)
    first = os.fsdecode(paths[0])
    if len(paths) == 1 and filesystem.is_dir(first):
        header = open_dataset(first).index.header
    else:
        header = load_shard_index(first).header
    if len(header.image_features) != 1:
        raise ValueError(
            f"image_feature; expected which of {header.image_features}, that {first} has, got None"
        )
    return header.image_features[0]
