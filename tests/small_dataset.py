"""Small data sets of drawn photographs, for tests of what reads them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from pcr_tf import _native
from pcr_tf.format import PcrWriter, write_side_index
from pcr_tf.format.dataset_index import load_shard_index
from pcr_tf.format.example import encode_example


def draw_jpeg(ordinal: int, width: int = 64, height: int = 48) -> bytes:
    """A JPEG of smooth shapes and noise that differs for every ordinal."""
    random = np.random.default_rng(ordinal)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 5 + ordinal) + np.cos(y / (3 + c) - ordinal) for c in range(3)]
    pixels = 128 + 50 * np.stack(waves, axis=-1) + random.normal(0, 8, (height, width, 3))
    out = io.BytesIO()
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    image.save(out, "JPEG", quality=90, subsampling=ordinal % 3)
    return out.getvalue()


def make_examples(num_examples: int) -> list[bytes]:
    """Serialized tf.train.Examples with an image, its ordinal as label, and a name."""
    return [
        encode_example(
            {
                "image/encoded": [draw_jpeg(n)],
                "image/class/label": [n],
                "image/filename": [f"photo-{n:04d}.jpg".encode()],
            }
        )
        for n in range(num_examples)
    ]


def make_dataset(
    folder: Path, num_examples: int = 24, examples_per_record: int = 4, num_shards: int = 2
) -> list[bytes]:
    """Writes a data set with a side index; returns the examples in the order they are stored.

    Every shard but the last holds the same number; records that are not full exist wherever
    the numbers do not divide.
    """
    folder.mkdir(parents=True, exist_ok=True)
    examples = make_examples(num_examples)
    bounds = [num_examples * s // num_shards for s in range(num_shards + 1)]
    for shard in range(num_shards):
        path = folder / f"shard-{shard:05d}-of-{num_shards:05d}.pcr"
        with PcrWriter(path, examples_per_record=examples_per_record) as writer:
            for example in examples[bounds[shard] : bounds[shard + 1]]:
                writer.write(example)
    write_side_index(folder)
    return examples


def write_large_side_index(folder: Path) -> int:
    """Replaces the side index of `folder` by one of 20,000 shards like its first: over 1 MiB.

    Returns:
      The number of examples that it claims.
    """
    shard = load_shard_index(sorted(folder.glob("*.pcr"))[0])
    names = [f"shard-{n:06d}.pcr" for n in range(20_000)]
    index = _native.DatasetIndex.from_shards([(name, shard) for name in names])
    path = folder / "dataset.pcr-index"
    path.write_bytes(index.to_bytes())
    assert path.stat().st_size > 1 << 20
    return index.num_examples
