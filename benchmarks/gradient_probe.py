r"""Measures what a probe of gradient similarity costs, and computes its share of an ImageNet epoch.

    python -m benchmarks.gradient_probe [--images=/my/folder] [--size=96 --batch=32 --width=32]

A probe is GradientSimilarityFidelity's: `--probe_batches` batches at full fidelity and at
1, 2 and 5 scan groups. It is compared with steps of `fit` at 1 scan group, the shortest ones, of
the same model and batch in the same run. An epoch has 1,281,167 / 128 such steps, and a probe
`--probe_batches` batches, whatever the batch measured: share = probe / (step * steps).

Where storage is the bottleneck, what counts is bytes: those that a probe was seen to read, its
read-ahead included, for 128 images a batch, as a share of what an epoch reads at each fidelity.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from absl import app, flags

import pcr_tf
from benchmarks import inputs, measure
from pcr_tf.format import open_dataset
from pcr_tf.keras import GradientSimilarityFidelity

_SIZE = flags.DEFINE_integer("size", 96, "Side of the model's images.", lower_bound=32)
_BATCH = flags.DEFINE_integer("batch", 32, "Images of a batch.", lower_bound=1)
_WIDTH = flags.DEFINE_integer(
    "width", 32, "Filters of the ResNet-18's first stage (its own: 64).", lower_bound=1
)
_PROBE_BATCHES = flags.DEFINE_integer("probe_batches", 10, "Batches of a probe.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each case.", lower_bound=1)

_CANDIDATES = (1, 2, 5)
_CLASSES = 1000
_IMAGENET_IMAGES = 1_281_167
_IMAGENET_BATCH = 128
_IMAGENET_STEPS = _IMAGENET_IMAGES / _IMAGENET_BATCH
_EVERY_EPOCHS = 15
_LABEL = "image/class/label"


class _Held:
    """A handle for a data set that is not read at it: the fidelities are compared one by one."""

    value = 10

    def set(self, value: Any) -> None:
        self.value = value


def _resnet18(size: int, width: int) -> Any:
    layers = keras.layers

    def convolved(x: Any, filters: int, kernel: int, strides: int) -> Any:
        x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    image = keras.Input((size, size, 3), dtype="uint8")
    x = layers.Rescaling(1 / 127.5, -1.0)(image)
    x = layers.ReLU()(convolved(x, width, 7, 2))
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for stage in range(4):
        for block in range(2):
            filters, strides = width << stage, 2 if stage and not block else 1
            y = layers.ReLU()(convolved(x, filters, 3, strides))
            y = convolved(y, filters, 3, 1)
            shortcut = x if x.shape[-1] == filters else convolved(x, filters, 1, strides)
            x = layers.ReLU()(layers.Add()([y, shortcut]))
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(_CLASSES)(x))
    model.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


class _StepTimer(keras.callbacks.Callback):
    """Seconds of each step but the first, in which buffers fill."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.step_s: list[float] = []
        self._last_s: float | None = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        if self._last_s is not None:
            self.step_s.append(now - self._last_s)
        self._last_s = now


def main(_: list[str]) -> None:
    photographs = inputs.photographs()
    folder = inputs.pcr_dataset(photographs, copies=1, num_shards=1, examples_per_record=64)
    size, batch = _SIZE.value, _BATCH.value

    def batches(scan_groups: int, training: bool) -> Any:
        data = pcr_tf.data.image_batches(
            folder, size, batch, scan_groups=scan_groups, label=_LABEL, training=training,
            epochs=None, seed=0, dtype=tf.uint8, on_error="skip", reads_in_flight=1,
        )  # fmt: skip
        return data.take(_PROBE_BATCHES.value if not training else _PROBE_BATCHES.value + 1)

    model = _resnet18(size, _WIDTH.value)
    timer = _StepTimer()
    tuner = GradientSimilarityFidelity(
        _Held(), folder, lambda groups: batches(groups, False), candidates=_CANDIDATES,
        num_batches=_PROBE_BATCHES.value,
    )  # fmt: skip
    keeping = GradientSimilarityFidelity(
        _Held(), folder, lambda groups: batches(groups, False), candidates=_CANDIDATES,
        num_batches=_PROBE_BATCHES.value, keep_batches=True,
    )  # fmt: skip
    tuner.set_model(model)
    keeping.set_model(model)

    def step() -> float:
        model.fit(batches(1, True), shuffle=False, verbose=0, callbacks=[timer])
        return sum(timer.step_s) / len(timer.step_s)

    def probe() -> float:
        begin = time.perf_counter()
        tuner.measure()
        return time.perf_counter() - begin

    def bytes_of(measured: Callable[[], object]) -> int:
        before = pcr_tf.data.read_statistics()
        measured()
        return (pcr_tf.data.read_statistics() - before).bytes

    step()
    probe_bytes = bytes_of(probe)
    bytes_of(keeping.measure)
    later_bytes = bytes_of(keeping.measure)
    seconds = measure.interleave(
        {"step": step, "probe": probe}, rounds=_ROUNDS.value, warmup_rounds=0
    )
    steps = measure.ratio(seconds["probe"], seconds["step"])
    share = steps.of_medians / _IMAGENET_STEPS
    index = open_dataset(folder).index
    epoch_bytes = {
        groups: _IMAGENET_IMAGES * index.prefix_bytes(groups) / index.num_examples
        for groups in (*_CANDIDATES, index.header.num_groups)
    }
    imagenet_probe_bytes = probe_bytes / batch * _IMAGENET_BATCH
    byte_shares = {groups: imagenet_probe_bytes / size for groups, size in epoch_bytes.items()}
    result = {
        "photographs": photographs.origin,
        "model": f"ResNet-18, width {_WIDTH.value}, {size} x {size}, batch {batch}",
        "step_s": measure.summarise(seconds["step"]),
        "probe_s": measure.summarise(seconds["probe"]),
        "probe_steps": steps,
        "share_of_epoch": share,
        "share_of_training": share / _EVERY_EPOCHS,
        "probe_bytes": probe_bytes,
        "share_of_epoch_bytes": byte_shares,
        "later_probe_bytes_with_keep_batches": later_bytes,
    }
    path = measure.write_json(inputs.OUTPUT_DIR.value, "gradient_probe", result)
    print(f"{result['model']}; {photographs.origin}")
    print(
        measure.table(
            ["", "median", "smallest", "largest"],
            [
                [name, *(f"{value:.3f}" for value in (s.median, s.smallest, s.largest))]
                for name, s in (
                    ("step of fit at 1 scan group, s", measure.summarise(seconds["step"])),
                    ("probe, s", measure.summarise(seconds["probe"])),
                )
            ],
        )
    )
    print(f"A probe takes as long as {steps} steps.")
    print(
        f"Of an ImageNet epoch of {_IMAGENET_STEPS:,.0f} steps: {100 * share:.2f}%; "
        f"every {_EVERY_EPOCHS} epochs: {100 * share / _EVERY_EPOCHS:.3f}% of training."
    )
    print("Bytes of a probe, as a share of those of an epoch at each fidelity:")
    print(", ".join(f"{groups}: {100 * share:.2f}%" for groups, share in byte_shares.items()))
    print(f"Bytes of a later probe with keep_batches: {later_bytes}.")
    print(path)


if __name__ == "__main__":
    app.run(main)
