"""PcrDataset: reads Progressive Compressed Records as tf.data.TFRecordDataset reads TFRecords."""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pcr_tf._arguments import MAX_INT64, as_bool, as_int, in_range
from pcr_tf._op_library import load_op_library
from pcr_tf._op_signatures import DatasetInfo
from pcr_tf.data.fidelity import Fidelity
from pcr_tf.format import object_stores

_ALL_SCAN_GROUPS = MAX_INT64  # the op's value for "as many as the data set has"

_NO_FIDELITY = {"fidelity": "", "fidelity_poll_ms": 0}  # the op goes by its scan_groups

_AUTO_IN_FLIGHT = -1  # the op's value for "as the paths suggest"

# The op's limits.
_MAX_EPOCH = 2**62 - 1
_MAX_RESUME_SHARDS = 2**20

# Numbers the data sets that this process makes in functions. A function that makes a data set (of a
# flat_map, an interleave, a tf.function) does so each time it is called; the number, a constant of
# its graph, is what lets the op go on counting epochs. Not random: hosts that run one program must
# agree on the graph, or the tf.data service takes their data sets for different ones.
_ordinals_in_functions = itertools.count()

PathLike = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class EpochProgress:
    """How far readers have come in an epoch, to read the rest of it with any number of readers.

    Attributes:
      epoch: number of the epoch, from 0.
      num_shards: number of readers that began it, at least 1.
      examples: how many examples each of them has read in it, at least 0: in synchronous training,
        the steps taken in the epoch times the batch of one reader.

    Raises:
      ValueError: for numbers out of range. TypeError: for what is not an integer.

    Example:
      >>> pcr_tf.data.EpochProgress(epoch=3, num_shards=8, examples=120 * 64)
      EpochProgress(epoch=3, num_shards=8, examples=7680)
    """

    epoch: int
    num_shards: int
    examples: int

    def __post_init__(self) -> None:
        checked = {
            "epoch": in_range("epoch", self.epoch, 0, _MAX_EPOCH),
            "num_shards": in_range("num_shards", self.num_shards, 1, _MAX_RESUME_SHARDS),
            "examples": in_range("examples", self.examples, 0),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)  # plain integers, whatever came


class PcrDataset(tf.data.Dataset):
    """Serialized `tf.train.Example`s of a PCR data set, images at the fidelity asked for.

    A drop-in for `tf.data.TFRecordDataset`: each element is a scalar `tf.string`, the example that
    went into the conversion with its image features holding JPEGs of the first `scan_groups` scan
    groups (all of them: the same DCT coefficients as the source image). An existing `parse_fn`
    works unchanged. For each record one range is read, which holds not a byte more than that
    fidelity needs.

    The unit of reading, shuffling and sharding is the record: follow with `.shuffle(n)` for a finer
    mix. The data set's cardinality is exact. Iterators can be checkpointed exactly to the example,
    including the epoch's order; a restored iterator takes the seed from the checkpoint. Where more
    than one epoch comes from one iterator, put `.repeat()` first, before `.shuffle()` and
    `.batch()`: tf.data does not save the state of a source that a buffer between it and `.repeat()`
    has drained.

    A record that is damaged or cannot be read raises `tf.errors.DataLossError` (or what the file
    system says) naming file, record, scan group and byte; the iterator then stands after it, so
    `.ignore_errors()` loses that record and no other.

    Example:
      >>> dataset = pcr_tf.data.PcrDataset("photos.pcr", scan_groups=5, shuffle=True, seed=7)
      >>> int(dataset.cardinality())
      12
      >>> def parse_fn(serialized):
      ...     features = {"image/encoded": tf.io.FixedLenFeature((), tf.string),
      ...                 "image/class/label": tf.io.FixedLenFeature((), tf.int64)}
      ...     example = tf.io.parse_single_example(serialized, features)
      ...     image = tf.io.decode_jpeg(example["image/encoded"], channels=3)
      ...     return image, example["image/class/label"]
      >>> image, label = next(iter(dataset.map(parse_fn)))
      >>> image.shape, int(label)
      (TensorShape([48, 64, 3]), 1)

    Source: Kuchnik, Amvrosiadis, Smith, "Progressive Compressed Records", PVLDB 14(11), 2021;
    docs/FORMAT.md, sections 9 to 11.
    """

    _options_attr: tf.data.Options  # of tf.data.Dataset

    def __init__(
        self,
        filenames: PathLike | Sequence[PathLike] | tf.Tensor,
        scan_groups: int | tf.Tensor | Fidelity | None = None,
        *,
        shuffle: bool = False,
        seed: int | None = None,
        num_shards: int = 1,
        shard_index: int = 0,
        first_epoch: int | tf.Tensor = 0,
        resume: EpochProgress | Sequence[EpochProgress] | None = None,
        reads_in_flight: int | None = None,
        bytes_in_flight: int | None = None,
        provenance: bool = False,
        name: str | None = None,
    ) -> None:
        """Opens a data set.

        A folder with a side index costs one read for all its shards, two if the index is larger
        than 1 MiB; other paths, a read of the tail of each file. What object stores need is in
        docs/OBJECT_STORES.md.

        Args:
          filenames: the folder of a data set, or its files: a path, a list of paths, or a scalar or
            vector of `tf.string`. (Called as in `TFRecordDataset`; other functions say `paths`.)
            Any file system that TensorFlow knows. A list keeps its order.
          scan_groups: fidelity, 1 to the data set's number of scan groups; None: all. A
            `pcr_tf.Fidelity` can be changed while this is read, and can be a mixture.
          shuffle: go through the records in a new random order in each epoch. Each iteration over
            this data set, and each repetition of `.repeat()`, is an epoch. So is each call of a
            function that makes the data set, of `flat_map` for example. Behind the tf.data
            service's `distribute` each iteration begins anew at `first_epoch`. A data set whose
            examples are all in one record warns: its order cannot change.
          seed: of those orders, of the seeds of `provenance`, and of the draws of a mixture of
            fidelities, a 64-bit integer. The same seed gives the same orders, in any process and at
            any `reads_in_flight`. None: `tf.random.set_seed`'s if there is one, else random;
            where only a mixture uses it, 0. Readers that share a shuffled data set by `num_shards`
            need one that is the same for all, this or `tf.random.set_seed`'s. Where tf.data shards
            a shuffled data set, as under a distribution strategy, this one is needed.
          num_shards: number of readers that share the records. Each epoch's order is dealt out to
            them, so together they read each record once, and each has the same number of examples
            in every epoch. The shares of two readers may differ by the examples of a record or,
            where records are not equally large, of several; with fewer records than readers some
            are empty, and those warn. tf.data's own sharding, under a distribution strategy, is
            switched off for a data set of several readers.
          shard_index: which of them this one is, 0 to num_shards - 1.
          first_epoch: number of the epoch that the first iterator goes through, from 0; the next
            ones follow. For training that goes on where an earlier program stopped. In a function,
            of `flat_map` for example, it can be a tensor, a scalar integer: then each call of the
            function begins at the epoch that it names.
          resume: this data set is the rest of one epoch, in every iteration: what readers that had
            come as far as `resume` says have not read. If the rest was interrupted too, a list: how
            far those had come that began the epoch, then those that went on with its rest, and so
            on. `num_shards` readers share what is left, which need not be as many as any of those;
            `seed` and `shuffle` must be those of the readers that began.
            The order goes on as it would have. Shares may differ by the examples of some records.
            Exact where what was counted follows this data set's order, so count before a shuffle
            buffer, or checkpoint the iterator, which saves the buffer too.
          reads_in_flight: bound on the records that are being read or wait to be delivered, 1 to
            1024. None: for object stores 48 that are being read, and as many that wait; for local
            paths one for each core, 2 to 8. A network disk that is mounted like a local one wants
            more.
          bytes_in_flight: bound on the bytes of those, and on what ancillary segments (EXIF and the
            like, at full fidelity) inflate to. None: 256 MiB; for object stores 256 MiB that are
            being read, and as much that waits. A larger record is read alone. Memory may reach
            about twice the bound while examples are put together.
          provenance: each element is a pair: the example, and a dict of where it comes from.
            `name`, a scalar `tf.string`: file, record in the file and example in the record, from
            0, as in "photos.pcr: record 3, example 2"; where an example has not one image of each
            feature, how many it has, as in "... example 2 (0 images in image/encoded)". `seed`,
            `tf.int64` [2]: for stateless random ops; it follows from `seed`, the epoch and the
            example alone, so it is the same whoever reads the example in that epoch, and whenever.
          name: a name for the tf.data operation.

        Raises:
          ValueError: for a fidelity below 1 and other arguments outside of their ranges, for
            `first_epoch` together with `resume`, and where a seed is needed and there is none: with
            `resume`, for `shuffle` or `provenance`; with `num_shards` above 1, for `shuffle`.
          TypeError: for arguments, or tensors, of other types.
          OSError: if TensorFlow has no file system for a path's scheme, nor tensorflow-io.
          tf.errors.NotFoundError: if there is no such file, or no PCR file in the folder.
          tf.errors.InvalidArgumentError: for a fidelity above the data set's number of scan groups,
            a major version of the format that this release does not read, files that do not
            belong together, a folder that lacks shards, as a stopped conversion leaves it, or a
            `resume` beyond the end of the epoch.
          tf.errors.DataLossError: if a file's footer or index, or the side index, is damaged.
          tf.errors.FailedPreconditionError: when it is iterated over, where sharding by tf.data
            would lose examples: of a share of `num_shards` readers, of records shuffled without
            `seed`, or behind a `.shuffle()` (docs/ORDER.md, "Sharding").
        """
        stages = [] if resume is None else as_stages(resume)
        self._open(
            filenames,
            scan_groups,
            shuffle=shuffle,
            seed=seed,
            num_shards=num_shards,
            shard_index=shard_index,
            first_epoch=first_epoch,
            stages=stages,
            reads_in_flight=reads_in_flight,
            bytes_in_flight=bytes_in_flight,
            provenance=provenance,
            name=name,
        )
        # Of what is left of an epoch a reader may well have nothing.
        if not stages:
            warn_of_empty_share(self, filenames, num_shards, shard_index, stacklevel=3)
            if shuffle and num_shards == 1:
                warn_of_one_record(self, filenames, stacklevel=3)

    @classmethod
    @tf.autograph.experimental.do_not_convert  # as AutoGraph treats constructors
    def without_warnings(
        cls,
        filenames: PathLike | Sequence[PathLike] | tf.Tensor,
        scan_groups: int | tf.Tensor | Fidelity | None,
        **options: Any,
    ) -> PcrDataset:
        """For functions of this package that make a data set, and warn at the line that called
        them. `options` are those of `_open`."""
        dataset = cls.__new__(cls)
        dataset._open(filenames, scan_groups, **options)
        return dataset

    def _open(
        self,
        filenames: PathLike | Sequence[PathLike] | tf.Tensor,
        scan_groups: int | tf.Tensor | Fidelity | None,
        *,
        shuffle: bool,
        seed: int | None,
        num_shards: int,
        shard_index: int,
        first_epoch: int | tf.Tensor,
        stages: Sequence[EpochProgress],
        reads_in_flight: int | None,
        bytes_in_flight: int | None,
        provenance: bool,
        seeded_shuffles: int = 0,
        name: str | None = None,
    ) -> None:
        """What `__init__` does, but for warnings.

        Args:
          stages: `resume` as a list; empty for none.
          seeded_shuffles: how many of tf.data's shuffles follow whose seeds all processes share.
        """
        ops = load_op_library()
        shuffle = as_bool("shuffle", shuffle)
        self._provenance = as_bool("provenance", provenance)
        num_shards = in_range("num_shards", num_shards, 1)
        shard_index = in_range("shard_index", shard_index, 0, num_shards - 1)
        if reads_in_flight is None:
            reads_in_flight = _AUTO_IN_FLIGHT
        else:
            reads_in_flight = in_range("reads_in_flight", reads_in_flight, 1, 1024)
        if bytes_in_flight is None:
            bytes_in_flight = _AUTO_IN_FLIGHT
        else:
            bytes_in_flight = in_range("bytes_in_flight", bytes_in_flight, 1)
        first_epoch = as_epoch(first_epoch)
        if stages:
            if tf.is_tensor(first_epoch) or first_epoch:
                raise ValueError(
                    "first_epoch; expected none beside resume, which names epoch "
                    f"{stages[0].epoch}, got {first_epoch}"
                )
            if (shuffle or self._provenance) and seed is None:
                raise ValueError(
                    "seed; expected that of the readers that began the epoch, got None: another "
                    "one gives another order, and examples would be lost and repeated"
                )
            first_epoch = stages[0].epoch
        if seed is not None or shuffle or self._provenance:
            seed = as_seed(seed, num_readers=num_shards if shuffle else 1)
        fidelity = scan_groups if isinstance(scan_groups, Fidelity) else None
        self._fidelity = fidelity
        paths = _as_paths(filenames)
        _prepare_object_stores(paths)
        variant_tensor = ops.pcr_dataset(
            paths=paths,
            scan_groups=_ALL_SCAN_GROUPS if fidelity else _as_scan_groups(scan_groups),
            shuffle=shuffle,
            seed=0 if seed is None else seed,
            seed_is_private=isinstance(seed, DrawnSeed),
            seeded_shuffles=seeded_shuffles,
            num_shards=num_shards,
            shard_index=shard_index,
            reads_in_flight=reads_in_flight,
            bytes_in_flight=bytes_in_flight,
            shared_id=_shared_id(first_epoch),
            first_epoch=first_epoch,
            resume_num_shards=tf.constant([one.num_shards for one in stages], tf.int64),
            resume_examples=tf.constant([one.examples for one in stages], tf.int64),
            provenance=self._provenance,
            **(fidelity.op_inputs() if fidelity else _NO_FIDELITY),
            name=name,
        )
        super().__init__(variant_tensor)
        if num_shards > 1:
            self._switch_off_auto_sharding()

    def _switch_off_auto_sharding(self) -> None:
        """Under a distribution strategy tf.data would deal out this reader's share once more.

        The op says the same to the data sets of C++. Those that are made of this one take the
        options over, as they do from `with_options`, which would give another object.
        """
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        self._options_attr = self._options_attr.merge(options)
        self._options_attr._set_mutable(False)

    @property
    def element_spec(self) -> Any:
        """One scalar `tf.string`, a serialized `tf.train.Example`; with `provenance`, a pair."""
        example = tf.TensorSpec([], tf.string)
        if not self._provenance:
            return example
        origin = {"name": tf.TensorSpec([], tf.string), "seed": tf.TensorSpec([2], tf.int64)}
        return example, origin

    @property
    def fidelity(self) -> Fidelity | None:
        """The handle that it was given as `scan_groups`; None: it has a fidelity of its own."""
        return self._fidelity

    def image_features(self) -> list[str]:
        """The features that hold the images, from the index that is open. Not inside a graph.

        Example:
          >>> pcr_tf.data.PcrDataset("photos.pcr").image_features()
          ['image/encoded']
        """
        return [key.decode() for key in self._info().image_features.numpy()]

    def num_records(self) -> int:
        """How many records this reader goes through in an epoch. Not inside a graph.

        Example:
          >>> pcr_tf.data.PcrDataset("photos.pcr", num_shards=2, shard_index=1).num_records()
          6
        """
        return int(self._info().num_records)

    def check_orientations(self, scan_groups: int | tf.Tensor | Fidelity | None) -> None:
        """Refuses fidelities at which images lack the orientation that they have at others.

        Inside a function the refusal comes when it runs.

        Raises:
          ValueError: for a data set of format 1.0, unless all scan groups are read.
        """
        if scan_groups is None:
            return
        info = self._info()
        message = (
            "honor_orientation; expected False, or scan_groups=None, for a data set of format 1.0, "
            "which holds the orientation of images at full fidelity only, got True; convert the "
            "data set again"
        )
        has_all = info.format_minor > 0
        if not isinstance(scan_groups, Fidelity):
            has_all |= tf.cast(scan_groups, tf.int64) == info.num_scan_groups
        if not tf.executing_eagerly():
            tf.debugging.Assert(has_all, [message])
        elif not has_all:
            raise ValueError(message)

    def _info(self) -> DatasetInfo:
        return load_op_library().pcr_dataset_info(self._variant_tensor)

    def _inputs(self) -> list[tf.data.Dataset]:
        return []


def warn_of_empty_share(
    share: PcrDataset,
    filenames: PathLike | Sequence[PathLike] | tf.Tensor,
    num_shards: int,
    shard_index: int,
    *,
    stacklevel: int,
) -> None:
    """Warns where a reader has no record, if that can be known yet.

    Whether others have one is not asked: a second opening would be a request.
    """
    if num_shards == 1 or not tf.executing_eagerly() or len(share) > 0:
        return
    warnings.warn(
        f"{filenames}: shard_index {shard_index} of num_shards {num_shards} has no record; "
        "unless the data set is empty, take fewer readers, or convert with fewer "
        "examples_per_record",
        stacklevel=stacklevel,
    )


def warn_of_one_record(
    share: PcrDataset,
    filenames: PathLike | Sequence[PathLike] | tf.Tensor,
    *,
    stacklevel: int,
) -> None:
    """Warns where shuffling records changes nothing, if that can be known yet."""
    if not tf.executing_eagerly() or share.num_records() != 1 or len(share) < 2:
        return
    warnings.warn(
        f"{filenames}: shuffle=True changes nothing, since it shuffles records, and all "
        f"{len(share)} examples are in one record; shuffle the examples too, with "
        f".shuffle({len(share)}) or image_batches(shuffle_buffer={len(share)}), or convert with a "
        "smaller examples_per_record",
        stacklevel=stacklevel,
    )


def _shared_id(first_epoch: int | tf.Tensor) -> str:
    """The op's name for what counts epochs: each time the op runs, or all these times together."""
    if tf.executing_eagerly() or tf.is_tensor(first_epoch):
        return ""
    return f"function {next(_ordinals_in_functions)}"


def as_epoch(first_epoch: int | tf.Tensor) -> int | tf.Tensor:
    """The number of an epoch: an integer in range, or in a graph an int64 tensor.

    Raises:
      TypeError: for what is not an integer. ValueError: for one out of range.
    """
    if tf.is_tensor(first_epoch):
        tensor = tf.convert_to_tensor(first_epoch)
        if not tensor.dtype.is_integer or tensor.shape.rank not in (0, None):
            raise TypeError(f"first_epoch; expected a scalar integer, got {first_epoch!r}")
        value = tf.get_static_value(tensor)
        if value is not None:
            in_range("first_epoch", value, 0, _MAX_EPOCH)
        if value is None or not tf.executing_eagerly():
            return tf.cast(tensor, tf.int64)
        first_epoch = value
    return in_range("first_epoch", first_epoch, 0, _MAX_EPOCH)


def as_stages(resume: EpochProgress | Sequence[EpochProgress]) -> list[EpochProgress]:
    """The progresses that `resume` names, at least one.

    Raises:
      TypeError: for what is not an EpochProgress nor a sequence of them.
      ValueError: for none, or of several epochs.
    """
    stages = [resume] if isinstance(resume, EpochProgress) else resume
    if not isinstance(stages, Sequence) or not all(
        isinstance(stage, EpochProgress) for stage in stages
    ):
        raise TypeError(f"resume; expected an EpochProgress or a list of them, got {resume!r}")
    epochs = sorted({stage.epoch for stage in stages})
    if len(epochs) != 1:
        raise ValueError(f"resume; expected progress in one epoch, got epochs {epochs}")
    return list(stages)


def _as_paths(filenames: PathLike | Sequence[PathLike] | tf.Tensor) -> tf.Tensor:
    """A vector of strings: what TFRecordDataset takes, and os.PathLike."""
    if isinstance(filenames, (str, bytes, os.PathLike)):
        filenames = [filenames]
    if isinstance(filenames, Sequence) and not filenames:
        raise ValueError("filenames; expected at least one path, got none")
    try:
        if isinstance(filenames, tf.data.Dataset):
            raise TypeError
        if not tf.is_tensor(filenames) and not isinstance(filenames, np.ndarray):
            # As bytes: a name that is not UTF-8 has no other form that TensorFlow takes.
            filenames = [
                os.fsencode(path) if isinstance(path, (str, os.PathLike)) else path
                for path in filenames
            ]
        paths = tf.convert_to_tensor(filenames)
        if paths.dtype != tf.string:
            raise TypeError
    except (TypeError, ValueError):
        raise TypeError(
            f"filenames; expected paths or a tensor of them, got {filenames!r}"
        ) from None
    return tf.reshape(paths, [-1])


def _prepare_object_stores(paths: tf.Tensor) -> None:
    """Before the first use of a scheme. Paths that a graph computes are not known here."""
    values = paths.numpy() if isinstance(paths, tf.__internal__.EagerTensor) else None
    if values is None:
        values = tf.get_static_value(paths)
    for path in [] if values is None else values:
        object_stores.prepare(os.fsdecode(path))


def _as_scan_groups(scan_groups: int | tf.Tensor | None) -> int | tf.Tensor:
    if scan_groups is None:
        return _ALL_SCAN_GROUPS
    if tf.is_tensor(scan_groups):
        tensor = tf.convert_to_tensor(scan_groups)
        if not tensor.dtype.is_integer:
            raise TypeError(f"scan_groups; expected an integer, got {scan_groups!r}")
        return tf.cast(tensor, tf.int64)
    return in_range("scan_groups", scan_groups, 1)


class DrawnSeed(int):
    """A seed that this process has drawn: other processes of the program have another."""


def as_seed(seed: int | None, *, num_readers: int = 1) -> int:
    """A seed as PcrDataset's argument describes it, as an int64; a `DrawnSeed` if it is drawn here.

    Args:
      num_readers: how many readers have to come to the same.

    Raises:
      TypeError: for what is not an integer.
      ValueError: for one of more than 64 bits, and where several readers have none in common.
    """
    if isinstance(seed, DrawnSeed):
        return seed
    if seed is None:
        graph_seed, op_seed = tf.compat.v1.get_seed(None)
        if num_readers > 1:
            if graph_seed is None:
                raise ValueError(
                    f"seed; expected the one that all {num_readers} readers are given, got None: "
                    "each would draw an order of its own, and records would be lost and repeated; "
                    "give seed, or call tf.random.set_seed"
                )
            seed = graph_seed  # op_seed depends on what this program has drawn before.
        elif graph_seed is None:
            return DrawnSeed(random.SystemRandom().getrandbits(63))
        else:
            return DrawnSeed(as_seed(hash((graph_seed, op_seed))))
    number = as_int("seed", seed)
    if not -(2**63) <= number < 2**64:
        raise ValueError(f"seed; expected a 64-bit integer, got {number}")
    return (number + 2**63) % 2**64 - 2**63
