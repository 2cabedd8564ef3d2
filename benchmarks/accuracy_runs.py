"""The training side of benchmarks/time_to_accuracy.py, run in the client's namespace.

Its argument is one JSON object: where the files are, what the labels are, and a list of runs. It
prints one line of JSON for each run that ends.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import pcr_tf
from pcr_tf.format import object_stores, open_dataset
from tools import s3

_BATCH = 32
_SHUFFLE_BUFFER = 512
# At 64 images a record this bounds what is under way to about a tenth of the grocery photographs,
# so that a change of fidelity shows within the epoch.
_READS_IN_FLIGHT = 4


# The tuners decide after an epoch of warm-up, and again half-way.
_FIRST_EPOCH = 1


def _tuner(name: str, files: str, probe: Callable[..., Any], epochs: int) -> tuple[Any, Any]:
    """What chooses the fidelity of a run: the handle, at full fidelity, and the callback.

    Args:
        name: of the policy.
        files: the data set.
        probe: from scan groups to batches of that fidelity, deterministic unless `training`.
        epochs: of the run.
    """
    from pcr_tf import keras as callbacks

    num_groups = open_dataset(files).index.header.num_groups
    fidelity = pcr_tf.Fidelity(num_groups)
    if name == "gradient":
        return fidelity, callbacks.GradientSimilarityFidelity(
            fidelity,
            files,
            probe_data=probe,
            candidates=(1, 2, 5),
            first_probe_epoch=_FIRST_EPOCH,
            every_epochs=max(1, epochs // 2),
            keep_batches=True,
        )
    if name == "MS-SSIM":
        return fidelity, callbacks.MsSsimFidelity(fidelity, files, threshold=0.95)
    if name == "plateau":
        trial_data = functools.partial(probe, training=True)
        return fidelity, callbacks.PlateauFidelity(
            fidelity,
            trial_data=trial_data,
            validation_data=probe(num_groups).take(8).cache(),
            candidates=(1, 2, 5, num_groups),
            patience=1,
            min_delta=0.1,
            cooldown=2,
            trial_batches=20,
            tolerance=0.05,
            paths=files,
        )
    raise ValueError(f"{name}; expected gradient, MS-SSIM or plateau")


class _Clock(keras.callbacks.Callback):
    """At the end of each epoch: seconds and received bytes since training began, and the weights.

    Weights are kept, to be evaluated afterwards: an evaluation in between would let a link fill the
    buffers of the input pipeline while no training waits for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[dict[str, Any]] = []
        self.weights: list[list[Any]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """The clock starts."""
        self._begin, self._bytes = time.perf_counter(), _received_bytes()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes the time."""
        seconds = time.perf_counter() - self._begin
        entry = {"seconds": seconds, "bytes": _received_bytes() - self._bytes}
        self.epochs.append(entry | {key: float(value) for key, value in (logs or {}).items()})
        self.weights.append(self.model.get_weights())


def _received_bytes() -> int:
    """What came over the link, headers included."""
    for line in pathlib.Path("/proc/net/dev").read_text().splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == "veth0":
            return int(counts.split()[0])
    raise RuntimeError("/proc/net/dev: expected the device veth0, found none")


def resnet(num_classes: int, side: int, filters: int) -> Any:
    """A residual network of ten layers, after ResNet-18 with one block of each width, three widths.

    Args:
        num_classes: outputs.
        side: of the images, in pixels.
        filters: of the first block; each of the two others has twice as many as the one before.
    """
    layers = keras.layers

    def convolved(x: Any, width: int, kernel: int, stride: int = 1) -> Any:
        x = layers.Conv2D(width, kernel, stride, padding="same", use_bias=False)(x)
        return layers.BatchNormalization(momentum=0.9)(x)

    image = keras.Input((side, side, 3), dtype="uint8")
    x = layers.Rescaling(1 / 64, -2.0)(image)
    x = layers.MaxPooling2D(2)(layers.ReLU()(convolved(x, filters, 5, 2)))
    for stride, width in ((1, filters), (2, 2 * filters), (2, 4 * filters)):
        y = layers.ReLU()(convolved(x, width, 3, stride))
        y = convolved(y, width, 3)
        shortcut = x if stride == 1 else convolved(x, width, 1, stride)
        x = layers.ReLU()(layers.Add()([shortcut, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(num_classes)(x))


class _Experiment:
    """The data, the model and the runs of one task."""

    def __init__(self, task: Mapping[str, Any]) -> None:
        self._task = task
        self._root = "s3://bucket"
        self._side = int(task["side"])
        self._of_class = tf.constant(task["labels"], tf.int64)
        self._features = {
            "image/encoded": tf.io.FixedLenFeature((), tf.string),
            "image/class/label": tf.io.FixedLenFeature((), tf.int64),
        }
        self._steps = int(task["images"]) // _BATCH
        self._validation = self._decoded_validation(task["validation"])

    def _decoded_validation(self, files: str) -> tuple[Any, Any]:
        """Centre crops at full fidelity, uint8 [N, side, side, 3], and labels [N]; read locally."""
        validation = pcr_tf.data.PcrDataset(files).batch(64).map(self._decode_centre)
        batches = list(validation.as_numpy_iterator())
        return tuple(np.concatenate(parts) for parts in zip(*batches, strict=True))

    def _source(self, run: Mapping[str, Any], fidelity: Any) -> Any:
        """Serialized examples over the link: each epoch in an order of its own.

        All epochs and no more: what is read ahead of the last one would take time from the run.
        """
        if fidelity is not None:
            source = pcr_tf.data.PcrDataset(
                f"{self._root}/photos.pcr",
                fidelity,
                shuffle=True,
                seed=run["seed"],
                reads_in_flight=_READS_IN_FLIGHT,
            )
            return source.repeat(run["epochs"])
        names = tf.constant([f"{self._root}/tfrecords/{n}" for n in self._task["tfrecord_files"]])
        files = tf.data.Dataset.from_tensor_slices(names).shuffle(len(names), seed=run["seed"])
        # Of each of four files, 1 MiB at a time.
        return files.repeat(run["epochs"]).interleave(
            lambda name: tf.data.TFRecordDataset(name, buffer_size=1 << 20),
            cycle_length=4,
            num_parallel_calls=4,
        )

    def _batches(self, source: Any, seed: int) -> Any:
        """The one pipeline of all runs, behind the source: shuffle, batch, fused decode."""

        def decode(serialized: Any, seeds: Any) -> tuple[Any, Any]:
            jpegs, labels = self._parse(serialized)
            images = pcr_tf.image.decode_and_random_crop_resize(
                jpegs, self._side, tf.reshape(seeds, [_BATCH, 2]), area_range=(0.3, 1.0)
            )
            return images, labels

        batches = source.shuffle(_SHUFFLE_BUFFER, seed=seed).batch(_BATCH, drop_remainder=True)
        seeds = tf.data.Dataset.random(seed).batch(2 * _BATCH, drop_remainder=True)
        return tf.data.Dataset.zip(batches, seeds).map(decode, 2).prefetch(2)

    def _probe(self, scan_groups: int, *, training: bool = False) -> Any:
        """The first examples of the data set, over the link, at one fidelity."""
        source = pcr_tf.data.PcrDataset(
            f"{self._root}/photos.pcr", scan_groups, reads_in_flight=_READS_IN_FLIGHT
        )
        if training:
            return self._batches(source.repeat(), seed=0)
        return source.batch(_BATCH, drop_remainder=True).map(self._decode_centre, 2).prefetch(2)

    def _decode_centre(self, serialized: Any) -> tuple[Any, Any]:
        jpegs, labels = self._parse(serialized)
        images = pcr_tf.image.decode_and_center_crop_resize(jpegs, self._side, crop_fraction=1.0)
        return images, labels

    def _parse(self, serialized: Any) -> tuple[Any, Any]:
        """JPEGs and the task's labels of a batch of examples."""
        example = tf.io.parse_example(serialized, self._features)
        return example["image/encoded"], tf.gather(self._of_class, example["image/class/label"])

    def _model(self, run: Mapping[str, Any]) -> Any:
        """A compiled model whose training step has been traced, with its weights of the start."""
        keras.utils.set_random_seed(run["seed"])
        num_classes = int(max(self._task["labels"])) + 1
        model = resnet(num_classes, self._side, self._task["filters"])
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0,
            self._steps * (run["epochs"] - 1),
            warmup_target=self._task["learning_rate"],
            warmup_steps=self._steps,
        )
        model.compile(
            keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, weight_decay=5e-4),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        weights = model.get_weights()
        images = tf.zeros([_BATCH, self._side, self._side, 3], tf.uint8)
        blank = tf.data.Dataset.from_tensors((images, tf.zeros([_BATCH], tf.int64)))
        model.fit(blank.repeat(), steps_per_epoch=1, epochs=1, verbose=0, shuffle=False)
        model.set_weights(weights)
        for variable in model.optimizer.variables:
            if "learning_rate" not in variable.path:
                variable.assign(tf.zeros_like(variable))
        return model

    def run(self, run: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Trains once; for each epoch: seconds and bytes so far, fidelity, and accuracy."""
        fidelity, callbacks = run["fidelity"], []
        if isinstance(fidelity, str):
            index = self._task["index"]  # For the tuner: what it says of sizes, and the manifest.
            fidelity, callback = _tuner(fidelity, index, self._probe, run["epochs"])
            callbacks.append(callback)
        elif isinstance(fidelity, Mapping):
            fidelity = pcr_tf.Fidelity({int(g): share for g, share in fidelity.items()})
        model = self._model(run)
        batches = self._batches(self._source(run, fidelity), run["seed"])
        clock = _Clock()
        model.fit(
            batches,
            steps_per_epoch=self._steps,
            epochs=run["epochs"],
            callbacks=[*callbacks, clock],
            shuffle=False,  # The data set shuffles itself.
            verbose=0,
        )
        images, labels = self._validation
        for entry, weights in zip(clock.epochs, clock.weights, strict=True):
            model.set_weights(weights)
            logits = model.predict(images, batch_size=256, verbose=0)
            entry["accuracy"] = float(np.mean(np.argmax(logits, axis=-1) == labels))
        keras.backend.clear_session()
        return clock.epochs


def main(argv: Sequence[str]) -> None:
    """Runs what the task lists."""
    task = json.loads(argv[1])
    # To the client of tensorflow-io, nginx is S3. Its http client would leave sockets open.
    os.environ.update(s3.client_environment(task["url"]))
    object_stores.prepare("s3://bucket")
    experiment = _Experiment(task)
    for run in task["runs"]:
        print(json.dumps({"run": run, "epochs": experiment.run(run)}), flush=True)


if __name__ == "__main__":
    main(sys.argv)
