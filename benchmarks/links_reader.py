"""The reading side of benchmarks/links.py, run in the client's namespace: measures and prints JSON.

Its argument is one JSON object: url, scheme, rounds, decode, the names of the TFRecord files, the
number of images in each folder, and the cases.
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


def _images_per_s(make_dataset: Callable[[], Any], images: int, decode: bool) -> float:
    """Images a second of a whole read, opening and the wait for the first bytes included.

    Raises:
        RuntimeError: not so many images came.
    """
    begin = time.perf_counter()
    dataset = make_dataset().batch(_BATCH)
    arrived = 0
    for batch in (dataset.map(_decoded) if decode else dataset).prefetch(2):
        arrived += int(batch.shape[0])
    seconds = time.perf_counter() - begin
    if arrived != images:
        raise RuntimeError(f"expected {images} images, got {arrived}")
    return images / seconds


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
        paths = [f"{root}/tfrecords/{name}" for name in task["tfrecord_files"]]
        return tf.data.TFRecordDataset(
            paths, buffer_size=buffer_mib << 20, num_parallel_reads=parallel_reads
        )

    cases: dict[str, Callable[[], float]] = {}
    for name, case in task["cases"].items():
        folder = f"{root}/{case['folder']}"
        if "scan_groups" in case:
            maker = functools.partial(
                PcrDataset, folder, case["scan_groups"], reads_in_flight=case["reads_in_flight"]
            )
            maker().cardinality()  # The start of the client is no part of a measurement.
        else:
            maker = functools.partial(tfrecords, case["buffer_mib"], case["parallel_reads"])
        images = task["images"][case["folder"]]
        cases[name] = functools.partial(_images_per_s, maker, images, task["decode"])
    print(json.dumps(measure.interleave(cases, rounds=task["rounds"], warmup_rounds=0)))


if __name__ == "__main__":
    main()
