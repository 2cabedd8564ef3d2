"""The reading side of benchmarks/links.py, run in the client's namespace: measures and prints JSON.

Its arguments are one JSON object: url, scheme, seconds, warmup_s, rounds, decode, the names of the
folders of both formats and the TFRecord files, and the cases.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks import measure
from tools import s3

_BATCH = 64


def _decoded(serialized: Any) -> Any:
    """Random crops of a batch of examples: uint8 [batch, 224, 224, 3]."""
    import tensorflow as tf

    from pcr_tf.image import decode_and_random_crop_resize

    features = {"image/encoded": tf.io.FixedLenFeature((), tf.string)}
    jpegs = tf.io.parse_example(serialized, features)["image/encoded"]
    seeds = tf.range(tf.size(jpegs))
    return decode_and_random_crop_resize(jpegs, 224, tf.stack([seeds, seeds], axis=1))


def _images_per_s(
    make_dataset: Callable[[], Any], warmup_s: float, seconds: float, decode: bool
) -> float:
    """Images that arrive in a second, counted from batch to batch once reading is under way."""
    dataset = make_dataset().repeat().batch(_BATCH)
    iterator = iter((dataset.map(_decoded) if decode else dataset).prefetch(2))
    begin = time.perf_counter()
    while time.perf_counter() - begin < warmup_s:
        next(iterator)
    begin = now = time.perf_counter()
    images = 0
    while now - begin < seconds:
        images += int(next(iterator).shape[0])
        now = time.perf_counter()
    return images / (now - begin)


def main() -> None:
    """Measures the cases in turn."""
    task = json.loads(sys.argv[1])
    # The http client of tensorflow-io leaves sockets open with each read.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if task["scheme"] == "s3":
        os.environ.update(s3.client_environment(task["url"]))
        root = "s3://bucket"
    else:
        root = f"{task['url']}/bucket"
    from pcr_tf.data import PcrDataset
    from pcr_tf.format import object_stores

    object_stores.prepare(root)
    import tensorflow as tf

    def tfrecords(buffer_mib: int, parallel_reads: int) -> Any:
        paths = [f"{root}/{task['tfrecords']}/{name}" for name in task["tfrecord_files"]]
        return tf.data.TFRecordDataset(
            paths, buffer_size=buffer_mib << 20, num_parallel_reads=parallel_reads
        )

    makers: dict[str, Callable[[], Any]] = {}
    for name, case in task["cases"].items():
        if case["format"] == "tfrecord":
            makers[name] = functools.partial(tfrecords, case["buffer_mib"], case["parallel_reads"])
        else:
            makers[name] = functools.partial(
                PcrDataset,
                f"{root}/{task['pcr']}",
                case["scan_groups"],
                reads_in_flight=case["reads_in_flight"],
                bytes_in_flight=task["bytes_in_flight"],
            )
    measured = measure.interleave(
        {
            name: functools.partial(
                _images_per_s, maker, task["warmup_s"], task["seconds"], task["decode"]
            )
            for name, maker in makers.items()
        },
        rounds=task["rounds"],
        warmup_rounds=0,
    )
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
