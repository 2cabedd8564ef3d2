"""image_batches: from a data set to batches of pixels and labels, in one call."""

from __future__ import annotations

import collections
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcr_tf.data import EpochProgress, PcrDataset, image_batches
from pcr_tf.format import PcrWriter
from pcr_tf.format.example import encode_example
from pcr_tf.image import decode_and_center_crop_resize, decode_errors
from tests.small_dataset import draw_jpeg, make_dataset

NUM_EXAMPLES = 26
LABEL = "image/class/label"
SIZE = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "photos.pcr"
    make_dataset(path, NUM_EXAMPLES, examples_per_record=4, num_shards=2)
    return path


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 10 examples, of which numbers 3 and 7 hold no image that decodes."""
    path = tmp_path_factory.mktemp("damaged") / "damaged.pcr"
    with PcrWriter(path, examples_per_record=4) as writer:
        for n in range(10):
            broken = {3: b"not a JPEG", 7: b"RIFF"}  # The latter is a WebP, cut short.
            image = broken.get(n) or draw_jpeg(n)
            writer.write(encode_example({"image/encoded": [image], LABEL: [n]}))
    return path


Pixels = list[tuple[int, bytes]]


def pixels_by_label(batches: Any) -> Pixels:
    """Label and pixels of each image, in order."""
    return [
        (int(label), image.tobytes())
        for images, labels in batches
        for image, label in zip(images.numpy(), labels.numpy(), strict=True)
    ]


def labels_of(batches: Any) -> list[int]:
    return [label for label, _ in pixels_by_label(batches)]


# What comes out


def test_training_batches_hold_every_example_once_in_random_order(folder: Path) -> None:
    batches = image_batches(folder, SIZE, 4, label=LABEL, seed=1)
    labels = labels_of(batches)
    assert sorted(labels) == list(range(NUM_EXAMPLES)) != labels


def test_evaluation_batches_are_centre_crops_in_the_order_of_the_files(folder: Path) -> None:
    batches = image_batches(folder, SIZE, 4, scan_groups=5, label=LABEL, training=False)
    features = {"image/encoded": tf.io.FixedLenFeature((), tf.string)}
    expected = [
        decode_and_center_crop_resize(
            tf.io.parse_single_example(serialized, features)["image/encoded"], SIZE
        )
        .numpy()
        .tobytes()
        for serialized in PcrDataset(folder, 5)
    ]
    assert pixels_by_label(batches) == list(enumerate(expected))


@pytest.mark.parametrize("training", [True, False])
def test_the_element_spec_is_static_but_for_a_last_batch(folder: Path, training: bool) -> None:
    def spec(**arguments: Any) -> Any:
        return image_batches(folder, (20, 30), 4, training=training, **arguments).element_spec

    image = tf.TensorSpec([None, 20, 30, 3], tf.uint8)
    label = tf.TensorSpec([None], tf.int64)
    assert spec() == image
    assert spec(label=LABEL) == (image, label)
    assert spec(label=LABEL, on_error="skip") == (image, label)
    full = tf.TensorSpec([4, 20, 30, 1], tf.bfloat16)
    options = {"channels": 1, "dtype": tf.bfloat16}
    assert spec(drop_remainder=True, **options) == full
    assert spec(epochs=None, **options) == full
    assert spec(epochs=None, on_error="skip", **options) == full


def test_decode_options_reach_the_decoder(folder: Path) -> None:
    mean, stddev = (120.0, 110.0, 100.0), (60.0, 59.0, 58.0)
    arguments: dict[str, Any] = {"seed": 3, "flip_probability": 0.0, "dtype": tf.float32}
    plain = image_batches(folder, SIZE, NUM_EXAMPLES, **arguments)
    normalised = image_batches(folder, SIZE, NUM_EXAMPLES, mean=mean, stddev=stddev, **arguments)
    (one,), (other,) = plain, normalised
    np.testing.assert_allclose((one - mean) / stddev, other, atol=1e-4)


def test_images_alone_come_without_a_tuple(folder: Path) -> None:
    images = next(iter(image_batches(folder, SIZE, 4)))
    assert images.shape == (4, SIZE, SIZE, 3)


# Labels


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_labels_may_be_a_dict_of_features(folder: Path, on_error: str) -> None:
    specs = {
        LABEL: tf.io.FixedLenFeature((), tf.int64),
        "image/filename": tf.io.FixedLenFeature((), tf.string),
        "image/boxes": tf.io.RaggedFeature(tf.float32),
    }
    batches = image_batches(folder, SIZE, 4, label=specs, training=False, on_error=on_error)
    _, labels = next(iter(batches))
    assert labels[LABEL].numpy().tolist() == [0, 1, 2, 3]
    assert labels["image/filename"].numpy()[3] == b"photo-0003.jpg"
    assert labels["image/boxes"].shape[0] == 4


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_labels_may_come_from_a_function(folder: Path, on_error: str, training: bool) -> None:
    def one_hot(serialized: tf.Tensor) -> dict[str, Any]:
        feature = {LABEL: tf.io.FixedLenFeature((), tf.int64)}
        number = tf.io.parse_single_example(serialized, feature)[LABEL]
        return {"one_hot": tf.one_hot(number, NUM_EXAMPLES), "number": (number, -number)}

    batches = image_batches(
        folder, SIZE, 4, label=one_hot, on_error=on_error, training=training, drop_remainder=True
    )
    _, labels = batches.element_spec
    assert labels["one_hot"] == tf.TensorSpec([4, NUM_EXAMPLES], tf.float32)
    for _, values in batches:
        np.testing.assert_array_equal(tf.argmax(values["one_hot"], axis=1), values["number"][0])
        np.testing.assert_array_equal(values["number"][0], -values["number"][1])


def test_an_example_without_the_label_is_named(folder: Path) -> None:
    for on_error in ("raise", "skip"):
        batches = image_batches(folder, SIZE, 4, label="no/such/feature", on_error=on_error)
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"\.pcr: record \d, example \d.*no/such/feature"
        ):
            list(batches)


@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize("num_images", [0, 2])
@pytest.mark.parametrize("training", [False, True])
def test_an_example_of_another_number_of_images_than_one_is_named_with_that_number(
    tmp_path: Path, on_error: str, num_images: int, training: bool
) -> None:
    path = tmp_path / "photos.pcr"
    with PcrWriter(path) as writer:
        writer.write(encode_example({"image/encoded": [draw_jpeg(0)], LABEL: [0]}))
        images = [draw_jpeg(n) for n in range(num_images)]
        writer.write(encode_example({"image/encoded": images, LABEL: [1]}))
    batches = image_batches(path, SIZE, 2, shuffle=False, training=training, on_error=on_error)
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=rf"photos\.pcr: record 0, example 1 \({num_images} images in image/encoded\)"
        if on_error == "raise"
        else "Key: image/encoded|Feature: image/encoded",
    ):
        list(batches)
    names = [origin["name"].numpy().decode() for _, origin in PcrDataset(path, provenance=True)]
    assert names[0].endswith("record 0, example 0")
    assert names[1].endswith(f"record 0, example 1 ({num_images} images in image/encoded)")


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_labels_may_be_of_any_number(tmp_path: Path, on_error: str) -> None:
    path = tmp_path / "boxes.pcr"
    with PcrWriter(path, examples_per_record=4) as writer:
        for n in range(6):
            boxes = [float(box) for box in range(n)]
            writer.write(
                encode_example({"image/encoded": [draw_jpeg(n)], "boxes": boxes, "n": [n]})
            )
    specs = {
        "boxes": tf.io.RaggedFeature(tf.float32),
        "n": tf.io.FixedLenSequenceFeature((), tf.int64, allow_missing=True),
    }
    batches = image_batches(path, SIZE, 4, label=specs, training=False, on_error=on_error)
    (_, spec), labels = batches.element_spec, [label for _, label in batches]
    assert spec["boxes"] == tf.RaggedTensorSpec([None, None], tf.float32, 1, tf.int32)
    assert [len(boxes) for batch in labels for boxes in batch["boxes"].to_list()] == [*range(6)]
    assert labels[0]["n"].shape == (4, 1)
    padded = {"boxes": tf.io.FixedLenSequenceFeature((), tf.float32, allow_missing=True)}
    batches = image_batches(path, SIZE, 4, label=padded, training=False, on_error=on_error)
    assert [label["boxes"].shape.as_list() for _, label in batches] == [[4, 3], [2, 5]]


# The image's feature


def test_the_image_feature_is_that_of_the_data_set(tmp_path: Path) -> None:
    path = tmp_path / "photos.pcr"
    with PcrWriter(path, image_features=["jpg"]) as writer:
        writer.write(encode_example({"jpg": [draw_jpeg(1)], LABEL: [1]}))
    for files in (path, [str(path)], tf.constant(str(path)), np.array([str(path)])):
        assert labels_of(image_batches(files, SIZE, 4, label=LABEL)) == [1]


def test_of_several_image_features_one_must_be_named(tmp_path: Path) -> None:
    path = tmp_path / "photos.pcr"
    with PcrWriter(path, image_features=["left", "right"]) as writer:
        writer.write(encode_example({"left": [draw_jpeg(1)], "right": [draw_jpeg(2)]}))
    with pytest.raises(ValueError, match=r"image_feature; expected one of .*left.*right"):
        image_batches(path, SIZE, 1)
    left, right = (
        next(iter(image_batches(path, SIZE, 1, image_feature=name, training=False)))
        for name in ("left", "right")
    )
    assert not np.array_equal(left, right)


def test_a_pipeline_can_be_made_inside_a_tf_function(folder: Path) -> None:
    @tf.function
    def count(path: tf.Tensor, scan_groups: tf.Tensor) -> tf.Tensor:
        batches = image_batches(
            path, SIZE, 4, scan_groups=scan_groups, image_feature="image/encoded"
        )
        return batches.reduce(0, lambda n, images: n + tf.shape(images)[0])

    assert count(tf.constant(str(folder)), tf.constant(2)) == NUM_EXAMPLES
    with pytest.raises(ValueError, match="image_feature; expected its name"):
        tf.function(lambda path: image_batches(path, SIZE, 4).cardinality())(tf.constant("x"))


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_autograph_has_nothing_to_say_of_a_pipeline_inside_a_tf_function(
    folder: Path, on_error: str
) -> None:
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    @tf.function
    def count() -> tf.Tensor:
        batches = image_batches(folder, SIZE, 4, label=LABEL, on_error=on_error)
        return batches.reduce(0, lambda n, pair: n + tf.shape(pair[0])[0])

    listener = Listener()
    tf.get_logger().addHandler(listener)
    try:
        assert count() == NUM_EXAMPLES
    finally:
        tf.get_logger().removeHandler(listener)
    assert not [message for message in said if "AutoGraph" in message]


# Length


@pytest.mark.parametrize("training", [True, False])
def test_the_cardinality_is_exact(folder: Path, training: bool) -> None:
    def batches(**arguments: Any) -> Any:
        return image_batches(folder, SIZE, 4, training=training, **arguments)

    assert len(batches()) == 7 == sum(1 for _ in batches())
    assert len(batches(drop_remainder=True)) == 6
    assert len(batches(epochs=3)) == 20
    assert batches(epochs=None).cardinality() == tf.data.INFINITE_CARDINALITY
    assert len(batches(label=LABEL, epochs=3, drop_remainder=True)) == 19
    shards = [len(batches(num_shards=2, shard_index=index, seed=1)) for index in (0, 1)]
    assert sum(shards) in (7, 8)
    if training:
        assert len(batches(shuffle_buffer=10)) == 7


def test_the_cardinality_is_unknown_where_images_may_be_skipped(folder: Path) -> None:
    batches = image_batches(folder, SIZE, 4, on_error="skip")
    assert batches.cardinality() == tf.data.UNKNOWN_CARDINALITY
    assert sum(1 for _ in batches) == 7


# Seeds


def test_the_same_seed_gives_the_same_pixels_at_any_parallelism(folder: Path) -> None:
    def make(**arguments: Any) -> Pixels:
        return pixels_by_label(
            image_batches(folder, SIZE, 4, label=LABEL, shuffle_buffer=6, seed=5, **arguments)
        )

    expected = make()
    assert make(num_parallel_calls=1, reads_in_flight=1) == expected
    assert make(num_parallel_calls=7, reads_in_flight=8) == expected
    assert make(on_error="skip") == expected
    other = pixels_by_label(image_batches(folder, SIZE, 4, label=LABEL, shuffle_buffer=6, seed=6))
    assert sorted(label for label, _ in other) == sorted(label for label, _ in expected)
    assert not set(other) & set(expected)


def test_the_batch_size_does_not_change_the_pixels(folder: Path) -> None:
    one, other = (
        pixels_by_label(image_batches(folder, SIZE, batch, label=LABEL, seed=5)) for batch in (3, 8)
    )
    assert one == other


@pytest.mark.parametrize("shuffle", [True, False])
def test_each_epoch_has_crops_of_its_own_in_one_iterator_or_in_several(
    folder: Path, shuffle: bool
) -> None:
    arguments: dict[str, Any] = {"label": LABEL, "seed": 5, "shuffle": shuffle}
    several = image_batches(folder, SIZE, 4, **arguments)
    epochs = [pixels_by_label(several) for _ in range(3)]
    assert len({pixels for epoch in epochs for pixels in epoch}) == 3 * NUM_EXAMPLES
    assert [sorted(label for label, _ in epoch) for epoch in epochs] == [
        list(range(NUM_EXAMPLES))
    ] * 3
    again = image_batches(folder, SIZE, 4, **arguments)
    assert [pixels_by_label(again) for _ in range(3)] == epochs
    one = pixels_by_label(image_batches(folder, SIZE, 4, epochs=3, **arguments))
    assert sorted(label for label, _ in one) == sorted(list(range(NUM_EXAMPLES)) * 3)
    assert len(set(one)) == 3 * NUM_EXAMPLES


def test_readers_of_one_data_set_share_the_examples(folder: Path) -> None:
    shards = [
        pixels_by_label(
            image_batches(folder, SIZE, 4, label=LABEL, seed=5, num_shards=2, shard_index=index)
        )
        for index in (0, 1)
    ]
    assert sorted(label for shard in shards for label, _ in shard) == list(range(NUM_EXAMPLES))


# Restarts


def uninterrupted(folder: Path, epochs: int, **arguments: Any) -> list[Pixels]:
    """What each epoch gives in a program that is never interrupted."""
    batches = image_batches(folder, SIZE, 4, label=LABEL, seed=5, **arguments)
    return [pixels_by_label(batches) for _ in range(epochs)]


def test_an_image_has_the_same_crop_in_an_epoch_whoever_reads_it_and_in_what_company(
    folder: Path,
) -> None:
    epochs = uninterrupted(folder, 2)
    assert not set(epochs[0]) & set(epochs[1])
    one = image_batches(folder, SIZE, 7, label=LABEL, seed=5, epochs=2, on_error="skip")
    assert pixels_by_label(one) == epochs[0] + epochs[1]
    buffered = uninterrupted(folder, 2, shuffle_buffer=9)
    shared = [
        image_batches(folder, SIZE, 4, label=LABEL, seed=5, num_shards=3, shard_index=reader)
        for reader in range(3)
    ]
    for epoch in range(2):
        assert sorted(buffered[epoch]) == sorted(epochs[epoch])
        together = [pixels for reader in shared for pixels in pixels_by_label(reader)]
        assert sorted(together) == sorted(epochs[epoch])


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_restart_at_an_epoch_gives_its_order_and_its_crops(folder: Path, shuffle: bool) -> None:
    epochs = uninterrupted(folder, 4, shuffle=shuffle)
    again = image_batches(
        folder, SIZE, 4, label=LABEL, seed=5, shuffle=shuffle, first_epoch=2, epochs=1
    )
    assert [pixels_by_label(again) for _ in range(2)] == epochs[2:]
    one = image_batches(
        folder, SIZE, 4, label=LABEL, seed=5, shuffle=shuffle, first_epoch=1, epochs=3
    )
    assert pixels_by_label(one) == epochs[1] + epochs[2] + epochs[3]


def test_a_restart_with_a_shuffle_buffer_gives_the_crops_of_its_epoch(folder: Path) -> None:
    expected = uninterrupted(folder, 3, shuffle_buffer=9)[2]
    again = uninterrupted(folder, 1, shuffle_buffer=9, first_epoch=2)[0]
    assert sorted(again) == sorted(expected)


@pytest.mark.parametrize("readers", [1, 3])
def test_a_restart_within_an_epoch_gives_what_is_left_of_it_with_its_crops(
    folder: Path, readers: int
) -> None:
    epochs = uninterrupted(folder, 4)
    arguments: dict[str, Any] = {"label": LABEL, "seed": 5, "epochs": 2}
    seen = epochs[1][:13]
    rest: Pixels = []
    for reader in range(readers):
        batches = image_batches(
            folder,
            SIZE,
            4,
            num_shards=readers,
            shard_index=reader,
            resume=EpochProgress(1, 1, 13),
            **arguments,
        )
        found = pixels_by_label(batches)
        assert len(batches) == -(-len(found) // 4)
        rest += found
    assert sorted(seen + rest) == sorted(epochs[1] + epochs[2])
    if readers == 1:
        assert seen + rest == epochs[1] + epochs[2]
        twice = [EpochProgress(1, 1, 9), EpochProgress(1, 1, 4)]
        endless = image_batches(folder, SIZE, 4, label=LABEL, seed=5, epochs=None, resume=twice)
        assert seen + pixels_by_label(endless.take(11)) == (epochs[1] + epochs[2] + epochs[3])[:57]


def test_a_rest_without_the_seed_of_its_epoch_is_refused(folder: Path) -> None:
    progress = EpochProgress(1, 1, 13)
    with pytest.raises(ValueError, match="seed; expected that of the readers that began the epoch"):
        image_batches(folder, SIZE, 4, shuffle=False, resume=progress)
    image_batches(folder, SIZE, 4, training=False, resume=progress)
    with pytest.raises(ValueError, match="first_epoch; expected none beside resume"):
        image_batches(folder, SIZE, 4, seed=5, first_epoch=1, resume=progress)


def test_a_restored_iterator_of_a_pipeline_without_a_seed_gives_the_same_pixels(
    folder: Path, tmp_path: Path
) -> None:
    def make() -> Any:
        return image_batches(folder, SIZE, 4, label=LABEL, epochs=2)

    iterator = iter(make())
    pixels_by_label([next(iterator) for _ in range(3)])
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    restored = iter(make())
    tf.train.Checkpoint(iterator=restored).restore(path).assert_consumed()
    assert pixels_by_label(restored) == pixels_by_label(iterator)


@pytest.mark.parametrize("symbolic", [True, False])
@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize("stop_after", [0, 1, 5, 8, 13])
def test_a_restored_iterator_gives_the_same_pixels(
    folder: Path, tmp_path: Path, stop_after: int, on_error: str, symbolic: bool
) -> None:
    def make() -> Any:
        batches = image_batches(
            folder,
            SIZE,
            4,
            label=LABEL,
            seed=5,
            epochs=2,
            shuffle_buffer=6,
            on_error=on_error,
        )
        options = tf.data.Options()
        options.experimental_symbolic_checkpoint = symbolic
        return batches.with_options(options)

    everything = pixels_by_label(make())
    iterator = iter(make())
    before = pixels_by_label([next(iterator) for _ in range(stop_after)])
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    restored = iter(make())
    tf.train.Checkpoint(iterator=restored).restore(path).assert_consumed()
    assert before + pixels_by_label(restored) == everything


# Broken images


def test_a_broken_image_raises_by_default(damaged: Path) -> None:
    batches = image_batches(damaged, SIZE, 2, label=LABEL, training=False)
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=rf"contents\[1\]: {damaged}: record 0, example 3: .*JPEG",
    ):
        list(batches)
    kept = labels_of(batches.ignore_errors(log_warning=False))
    assert kept == [0, 1, 4, 5, 8, 9]


@pytest.mark.parametrize("training", [True, False])
def test_skipped_images_are_left_out_before_batching_and_counted(
    damaged: Path, training: bool
) -> None:
    batches = image_batches(
        damaged, SIZE, 4, label=LABEL, training=training, on_error="skip", seed=2
    )
    before = decode_errors()
    labels = labels_of(batches)
    assert sorted(labels) == [0, 1, 2, 4, 5, 6, 8, 9]
    assert decode_errors() - before == 2
    assert [len(images) for images, _ in batches] == [4, 4]


@pytest.fixture(scope="module")
def hopeless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 6 examples that hold no image that decodes."""
    path = tmp_path_factory.mktemp("hopeless") / "hopeless.pcr"
    with PcrWriter(path, examples_per_record=4) as writer:
        for n in range(6):
            writer.write(encode_example({"image/encoded": [b"not a JPEG"], LABEL: [n]}))
    return path


@pytest.mark.parametrize("label", [None, LABEL, lambda serialized: tf.strings.length(serialized)])
@pytest.mark.parametrize("training", [True, False])
def test_epochs_without_end_of_which_nothing_decodes_are_refused_with_the_reason(
    hopeless: Path, training: bool, label: Any
) -> None:
    batches = image_batches(
        hopeless, SIZE, 2, label=label, training=training, on_error="skip", epochs=None
    )
    before = decode_errors()
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=rf"not one of the 6 images of an epoch decodes; .*{hopeless}: record .*JPEG",
    ):
        next(iter(batches))
    assert decode_errors() - before >= 6
    finite = image_batches(hopeless, SIZE, 2, training=training, on_error="skip", epochs=2)
    assert list(finite) == []


@pytest.mark.parametrize("symbolic", [True, False])
def test_epochs_without_end_leave_out_broken_images_and_can_be_checkpointed(
    damaged: Path, tmp_path: Path, symbolic: bool
) -> None:
    def make() -> Any:
        batches = image_batches(
            damaged, SIZE, 3, label=LABEL, seed=4, on_error="skip", epochs=None, shuffle_buffer=3
        )
        options = tf.data.Options()
        options.experimental_symbolic_checkpoint = symbolic
        return batches.with_options(options)

    everything = pixels_by_label(make().take(16))
    counts = collections.Counter(label for label, _ in everything)
    assert sorted(counts) == [0, 1, 2, 4, 5, 6, 8, 9]
    # Six epochs, but for what the shuffle buffer has let pass across the last border.
    assert sum(abs(count - 6) for count in counts.values()) <= 2 * 3
    iterator = iter(make())
    before = pixels_by_label([next(iterator) for _ in range(5)])
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    restored = iter(make())
    tf.train.Checkpoint(iterator=restored).restore(path).assert_consumed()
    assert before + pixels_by_label([next(restored) for _ in range(11)]) == everything


# Consumers


def test_keras_trains_for_several_epochs(folder: Path) -> None:
    model = keras.Sequential(
        [
            keras.layers.Rescaling(1 / 255),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(NUM_EXAMPLES),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    batches = image_batches(folder, SIZE, 4, label=LABEL, seed=1)
    history = model.fit(batches, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2
    assert model.optimizer.iterations == 14
    endless = image_batches(folder, SIZE, 4, label=LABEL, seed=1, epochs=None)
    model.fit(endless, epochs=2, steps_per_epoch=3, verbose=0)
    assert model.optimizer.iterations == 20
    model.evaluate(
        image_batches(folder, SIZE, 4, label=LABEL, training=False, on_error="skip"), verbose=0
    )


def test_a_compiled_step_takes_the_batches(folder: Path) -> None:
    @tf.function(jit_compile=True)
    def step(images: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(images)

    batches = image_batches(folder, SIZE, 4, dtype=tf.float32, drop_remainder=True)
    for images in batches.take(2):
        np.testing.assert_allclose(step(images), images.numpy().mean(), rtol=1e-4)


def test_a_mirrored_strategy_sees_every_example_once(folder: Path) -> None:
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    batches = image_batches(folder, SIZE, 4, label=LABEL, seed=1)
    seen = [
        int(label)
        for _, labels in strategy.experimental_distribute_dataset(batches)
        for label in strategy.experimental_local_results(labels)[0]
    ]
    assert sorted(seen) == list(range(NUM_EXAMPLES))


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """A dispatcher and two workers of the tf.data service; yields the address."""
    dispatcher = tf.data.experimental.service.DispatchServer()
    address = dispatcher.target.split("://")[1]
    config = tf.data.experimental.service.WorkerConfig(dispatcher_address=address)
    workers = [tf.data.experimental.service.WorkerServer(config) for _ in range(2)]
    yield dispatcher.target
    del workers


@pytest.mark.parametrize("training", [True, False])
def test_dynamic_sharding_of_the_service_gives_every_example_once(
    folder: Path, service: str, training: bool
) -> None:
    batches = image_batches(folder, SIZE, 4, label=LABEL, seed=1, training=training)
    together = batches.apply(tf.data.experimental.service.distribute("distributed_epoch", service))
    found = pixels_by_label(together)
    assert sorted(label for label, _ in found) == list(range(NUM_EXAMPLES))
    assert sorted(found) == sorted(pixels_by_label(batches))  # the crops of the same epoch


# What is refused


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("batch_size", 0, ValueError),
        ("batch_size", 2.5, TypeError),
        ("size", (1, 2, 3), ValueError),
        ("epochs", 0, ValueError),
        ("shuffle_buffer", -1, ValueError),
        ("first_epoch", -1, ValueError),
        ("resume", 3, TypeError),
        ("training", 1, TypeError),
        ("shuffle", "yes", TypeError),
        ("drop_remainder", None, TypeError),
        ("on_error", "mark", ValueError),
        ("num_parallel_calls", 0, ValueError),
        ("seed", 1.5, TypeError),
        ("label", 3, TypeError),
        ("label", "image/encoded", ValueError),
        ("name", "x", TypeError),
        ("scan_groups", 0, ValueError),
        ("dct_method", "fast", ValueError),
    ],
)
def test_an_argument_that_is_refused_is_named_with_what_was_expected(
    folder: Path, argument: str, value: Any, error: type[Exception]
) -> None:
    arguments: dict[str, Any] = {"size": SIZE, "batch_size": 4, argument: value}
    with pytest.raises(error, match=f"{argument}; expected "):
        image_batches(folder, **arguments)


def test_an_argument_of_the_other_crop_is_refused(folder: Path) -> None:
    with pytest.raises(TypeError, match="crop_fraction"):
        image_batches(folder, SIZE, 4, crop_fraction=0.5)
    with pytest.raises(TypeError, match="area_range"):
        image_batches(folder, SIZE, 4, training=False, area_range=(0.1, 1))
    with pytest.raises(ValueError, match="shuffle_buffer; expected 0 without shuffle, got 5"):
        image_batches(folder, SIZE, 4, training=False, shuffle_buffer=5)


def test_an_argument_that_nobody_has_is_named_at_once(folder: Path) -> None:
    with pytest.raises(TypeError, match=r"suffle_buffer; .*decode_and_random_crop_resize"):
        image_batches(folder, SIZE, 4, suffle_buffer=3)
    with pytest.raises(TypeError, match=r"area_range; .*decode_and_center_crop_resize"):
        image_batches(folder, SIZE, 4, training=False, area_range=(0.5, 1))
