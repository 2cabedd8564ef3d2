"""image_batches: the pipeline from a PCR data set to training batches, in one call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from pcr_tf._arguments import as_bool, in_range, one_of
from pcr_tf.data.dataset import (
    EpochProgress,
    PathLike,
    PcrDataset,
    as_epoch,
    as_seed,
    as_stages,
    warn_of_empty_share,
    warn_of_one_record,
)
from pcr_tf.data.fidelity import Fidelity
from pcr_tf.image import decode_and_center_crop_resize, decode_and_random_crop_resize

Labels = str | Mapping[str, Any] | Callable[[tf.Tensor], Any]

# The arguments of the decoding ops that image_batches sets itself.
_OWN_ARGUMENTS = frozenset({"contents", "size", "seed", "on_error", "names", "name"})


def image_batches(
    paths: PathLike | Sequence[PathLike] | tf.Tensor,
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
    first_epoch: int | tf.Tensor = 0,
    resume: EpochProgress | Sequence[EpochProgress] | None = None,
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
    centre. They follow from `seed`, the number of the epoch and the example alone, so an image has
    the same pixels in an epoch whatever the parallelism, the batch size, the shuffle buffer and the
    number of readers, in any process, after a restart with `first_epoch` or `resume`, and under the
    tf.data service. (As for `PcrDataset`, each iteration over this data set is an epoch, and so is
    each repetition by `epochs`. Behind the service's `distribute` each iteration begins anew at
    `first_epoch`: give `epochs=None` and `fit()` its `steps_per_epoch`.) The order of images is
    certain too, but for the service's dynamic sharding, whose workers ask for records as they can,
    and for a shuffle buffer, which a restart without a checkpoint of the iterator begins anew.

    The data set's cardinality is exact, unless broken images are skipped. Then it is unknown,
    since nobody knows beforehand how many there are.

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
      paths: as in `PcrDataset`.
      size: of the images in pixels: a side, or (height, width).
      batch_size: images of a batch, at least 1. With `tf.distribute`: of all replicas together.
      scan_groups: fidelity, as in `PcrDataset`; a `pcr_tf.Fidelity` can be changed while this runs.
      label: what comes with each image: the name of an int64 feature of one value; or a dict from
        features' names to `tf.io` specs (`FixedLenFeature`, `RaggedFeature`, ...), which gives a
        dict, with values of any shape and number; or a function from the serialized
        `tf.train.Example`, a scalar `tf.string`, to any structure of tensors of fixed shape. None:
        nothing.
      image_feature: name of the feature that holds the JPEG. None: the only one that
        the data set has; where it has several, name one.
      training: random crops and flips, and records in random order. False: centre crops, and
        records in the order of the files.
      epochs: repetitions, at least 1. None: without end, so that every batch is full. Batches
        reach across the border of two epochs. Where one iterator serves several epochs, use this
        and not `.repeat()`: then checkpoints of it are exact.
      shuffle: records in a new random order in each epoch. None: as `training`.
      shuffle_buffer: examples, still encoded, to draw from at random, at least 0. Also needs
        `shuffle`. Several times the examples of a record mixes records. tf.data shuffles by
        `tf.random.set_seed`'s seed as well, where there is one.
      seed: 64-bit integer, of all that is random. None: `tf.random.set_seed`'s if there is one,
        else random. Readers that share a shuffled data set by `num_shards` need one that is the
        same for all, as in `PcrDataset`.
      num_shards: as in `PcrDataset`.
      shard_index: as in `PcrDataset`.
      first_epoch: number of the epoch that the first iterator begins with, from 0: images get the
        order and the crops that they would have had in it without an interruption.
      resume: as in `PcrDataset`: the first of `epochs` is what is left of an epoch, counted in
        examples; whole ones follow. With `epochs=1`, each iteration is that rest. Counting is exact
        without a shuffle buffer and without skipped images, and where batches do not reach across
        epochs.
      reads_in_flight: as in `PcrDataset`.
      bytes_in_flight: as in `PcrDataset`.
      drop_remainder: leave out a last batch that is not full. Makes the size of the batch part of
        the data set's `element_spec`, which TPUs and XLA want; `epochs=None` does so too.
      on_error: "raise": an image that does not decode raises, named by file, record and example;
        "skip": it is left out, before batching, and counted by `pcr_tf.image.decode_errors`, and
        the first ten are named in the log. With `epochs=None`, as many broken images on end as an
        epoch has raise too. Damaged records raise in any case; `.ignore_errors()` leaves out those.
      num_parallel_calls: batches to make at once, each on all cores; with "skip", images. None: as
        many as tf.data finds good.
      **decode_options: further arguments of `pcr_tf.image.decode_and_random_crop_resize`, or, with
        `training=False`, of `decode_and_center_crop_resize`: `dtype`, `mean`, `stddev`,
        `area_range`, `crop_fraction`, `antialias`, `block_smoothing` and so on. Photographs that
        are stored turned get upright by `honor_orientation=True`: give it in training and in
        evaluation, or in neither (docs/DECODING.md).

    Returns:
      A data set of images, [batch, height, width, channels], or of pairs (images, labels).

    Raises:
      ValueError: for arguments outside of their ranges, and where `image_feature` is needed or is
        named as a label too; for `first_epoch` together with `resume`; for `resume` without `seed`
        where anything is random, and for `num_shards` above 1 without one where records are
        shuffled.
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
    num_shards = in_range("num_shards", num_shards, 1)
    first_epoch = as_epoch(first_epoch)
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
    stages = [] if resume is None else as_stages(resume)
    if stages and seed is None and (training or shuffle):
        raise ValueError(
            "seed; expected that of the readers that began the epoch, got None: another one gives "
            "another order and other crops"
        )
    seed = as_seed(seed, num_readers=num_shards if shuffle else 1)

    whole, dataset = _source(
        paths,
        scan_groups,
        epochs,
        first_epoch,
        stages,
        shuffle=shuffle,
        seed=seed,
        num_shards=num_shards,
        shard_index=shard_index,
        reads_in_flight=reads_in_flight,
        bytes_in_flight=bytes_in_flight,
        seeded_shuffles=1 if shuffle_buffer > 0 else 0,
    )
    if not stages:
        warn_of_empty_share(whole, paths, num_shards, shard_index, stacklevel=3)
        if shuffle and shuffle_buffer == 0 and num_shards == 1:
            warn_of_one_record(whole, paths, stacklevel=3)
    if decode_options.get("honor_orientation"):
        whole.check_orientations(scan_groups)
    if shuffle_buffer > 0:
        dataset = _shuffle(
            dataset, shuffle_buffer, seed, stages[0].epoch if stages else first_epoch
        )
    if image_feature is None:
        image_feature = _image_feature_of(whole, paths)

    def crop(jpegs: tf.Tensor, origin: Any, **arguments: Any) -> Any:
        seeds = (origin["seed"],) if training else ()
        return decode(
            jpegs, size, *seeds, **{"names": origin["name"], **arguments, **decode_options}
        )

    return _decode(
        dataset,
        crop,
        _Parser(image_feature, label),
        label if callable(label) else None,
        batch_size,
        drop_remainder,
        num_parallel_calls,
        skips_broken=on_error == "skip",
        max_broken=whole.cardinality() if on_error == "skip" and epochs is None else None,
    ).prefetch(tf.data.AUTOTUNE)


class _Records(NamedTuple):
    """What `_source` makes.

    Attributes:
      whole: a data set of whole epochs; the first one, unless an epoch is resumed.
      repeated: all epochs.
    """

    whole: PcrDataset
    repeated: tf.data.Dataset


def _source(
    paths: PathLike | Sequence[PathLike] | tf.Tensor,
    scan_groups: int | tf.Tensor | Fidelity | None,
    epochs: int | None,
    first_epoch: int | tf.Tensor,
    stages: Sequence[EpochProgress],
    **options: Any,
) -> _Records:
    """Serialized examples and where they come from, of all epochs.

    They are repeated next to the source: what stands between could keep it from being saved.
    """

    def source(first_epoch: int | tf.Tensor, stages: Sequence[EpochProgress]) -> PcrDataset:
        return PcrDataset.without_warnings(
            paths,
            scan_groups,
            first_epoch=first_epoch,
            stages=stages,
            provenance=True,
            **options,
        )

    first = source(first_epoch, stages)
    if not stages:
        return _Records(first, first if epochs == 1 else first.repeat(epochs))
    if epochs == 1:
        return _Records(first, first)
    whole = source(stages[0].epoch + 1, [])
    others = whole.repeat(None if epochs is None else epochs - 1)
    return _Records(whole, first.concatenate(others))


def _shuffle(
    dataset: tf.data.Dataset, buffer: int, seed: int, first_epoch: int | tf.Tensor
) -> tf.data.Dataset:
    """Examples drawn at random from a buffer, in another order than before `first_epoch`."""
    # tf.data draws without regard to epochs. (A seed that is a tensor is an error where the global
    # seed is 0; what comes in differs.)
    before = 0 if tf.is_tensor(first_epoch) else first_epoch
    return dataset.shuffle(buffer, seed=as_seed((seed + before) % 2**64))


def _decode(
    dataset: tf.data.Dataset,
    crop: Callable[..., Any],
    parse: _Parser,
    label_function: Callable[[tf.Tensor], Any] | None,
    batch_size: int,
    drop_remainder: bool,
    num_parallel_calls: int,
    *,
    skips_broken: bool,
    max_broken: tf.Tensor | None,
) -> tf.data.Dataset:
    """Batches of images, with labels if there are any."""

    def with_values(serialized: tf.Tensor, origin: Any) -> Any:
        assert label_function is not None
        return serialized, origin, label_function(serialized)

    def to_batch(serialized: tf.Tensor, origin: Any, *values: Any) -> Any:
        jpegs, labels = parse.all(serialized, origin["name"])
        labels += values
        images = crop(jpegs, origin)
        return (images, *labels) if labels else images

    if label_function is not None:
        dataset = dataset.map(with_values, num_parallel_calls, deterministic=True)
    if not skips_broken:
        dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
        return dataset.map(to_batch, num_parallel_calls, deterministic=True)
    dataset = _decoded_only(dataset, crop, parse, num_parallel_calls, max_broken)
    dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    if parse.has_labels:
        dataset = dataset.map(parse.labels_beside, num_parallel_calls, deterministic=True)
    return dataset


def _decoded_only(
    dataset: tf.data.Dataset,
    crop: Callable[..., Any],
    parse: _Parser,
    num_parallel_calls: int,
    max_broken: tf.Tensor | None,
) -> tf.data.Dataset:
    """Images that decode, one by one, each with what its labels are made of, if any.

    That many broken images on end are an error: `max_broken`; None: they are not counted.

    Labels that are features are parsed after batching, whatever their shapes, and so need the
    example.
    """

    def to_image(serialized: tf.Tensor, origin: Any, *values: Any) -> Any:
        jpeg = parse.image(serialized, origin["name"])
        image, decoded = crop(jpeg, origin, on_error="mark")
        rest = (serialized, origin["name"]) if parse.has_labels else values
        return (image, *rest) if rest else image, decoded, (tf.where(decoded, b"", jpeg), origin)

    def count_broken(broken: tf.Tensor, element: Any) -> Any:
        (_, decoded, (jpeg, origin)) = element
        broken = tf.where(decoded, tf.constant(0, tf.int64), broken + 1)

        def refuse() -> tf.Tensor:
            name = tf.strings.join(
                [
                    "not one of the ",
                    tf.strings.as_string(max_broken),
                    " images of an epoch decodes; ",
                    "the last of them: ",
                    origin["name"],
                ]
            )
            # The value is not needed, but TensorFlow computes only what is used.
            return tf.cast(tf.reduce_max(crop(jpeg, origin, names=name)), tf.int64)

        return tf.cond(broken < max_broken, lambda: broken, refuse), element

    dataset = dataset.map(to_image, num_parallel_calls, deterministic=True)
    if max_broken is not None:  # else it might search for an image that decodes without end
        dataset = dataset.scan(tf.constant(0, tf.int64), count_broken)
    dataset = dataset.filter(lambda element, decoded, broken: decoded)
    return dataset.map(lambda element, decoded, broken: element)


class _Parser:
    """Reads the image and the labels that are features from serialized examples.

    A function as label is not its affair.
    """

    def __init__(self, image_feature: str, label: Labels | None) -> None:
        self._labels: dict[str, Any] = {}
        if isinstance(label, str):
            self._labels[label] = tf.io.FixedLenFeature((), tf.int64)
        elif isinstance(label, Mapping):
            self._labels.update(label)
        elif label is not None and not callable(label):
            raise TypeError(
                "label; expected the name of a feature, a dict of tf.io specs or a function, "
                f"got {label!r}"
            )
        if image_feature in self._labels:
            raise ValueError(f"label; expected other features than the image's, got {label!r}")
        self._label = label
        self._image_feature = image_feature
        self._image = {image_feature: tf.io.FixedLenFeature((), tf.string)}

    @property
    def has_labels(self) -> bool:
        return self._label is not None and not callable(self._label)

    def image(self, serialized: tf.Tensor, names: tf.Tensor) -> tf.Tensor:
        """The JPEG of one example, or those of a batch."""
        return tf.io.parse_example(serialized, self._image, names)[self._image_feature]

    def all(self, serialized: tf.Tensor, names: tf.Tensor) -> tuple[tf.Tensor, tuple[Any, ...]]:
        """The JPEGs of a batch, and a tuple of their labels, if any."""
        parsed = tf.io.parse_example(serialized, {**self._labels, **self._image}, names)
        jpegs = parsed.pop(self._image_feature)
        return jpegs, (self._shaped(parsed),) if self.has_labels else ()

    def labels_beside(self, images: tf.Tensor, serialized: tf.Tensor, names: tf.Tensor) -> Any:
        """The pair of a batch's images and labels."""
        return images, self._shaped(tf.io.parse_example(serialized, self._labels, names))

    def _shaped(self, parsed: dict[str, Any]) -> Any:
        return parsed[self._label] if isinstance(self._label, str) else parsed


def _image_feature_of(dataset: PcrDataset, paths: PathLike | Sequence[PathLike] | tf.Tensor) -> str:
    """The name of the image feature of the data set, which is open unless a graph is made."""
    if tf.executing_eagerly():
        features = dataset.image_features()
    else:
        if tf.is_tensor(paths):
            paths = tf.get_static_value(paths)
        with tf.init_scope():
            if paths is None or not tf.executing_eagerly():
                raise ValueError(
                    "image_feature; expected its name, since paths is known only when the graph "
                    "runs"
                )
            features = PcrDataset(paths).image_features()
    if len(features) != 1:
        raise ValueError(
            f"image_feature; expected one of those that the data set has, {features}, got None"
        )
    return features[0]
