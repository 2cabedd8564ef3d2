"""What `manifest.json` beside the shards says: the names of the classes."""

from __future__ import annotations

import json
import os
from typing import Any

from pcr_tf.format import filesystem
from pcr_tf.format.dataset_index import PathLike, no_shards, shard_names

MANIFEST_NAME = "manifest.json"
MANIFEST_VERSION = 1


def read_manifest(folder: str) -> dict[str, Any] | None:
    """The manifest of a data set; None where it has none.

    Raises:
        ValueError: the file is not a manifest of a version that this package reads.
    """
    path = filesystem.join(folder, MANIFEST_NAME)
    if not filesystem.exists(path):
        return None
    try:
        manifest = json.loads(filesystem.read_bytes(path))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    version = manifest.get("manifest_version") if isinstance(manifest, dict) else None
    if version != MANIFEST_VERSION:
        raise ValueError(f"{path}: manifest_version; expected {MANIFEST_VERSION}, got {version}")
    return dict(manifest)


def class_names(path: PathLike) -> list[str]:
    """The names of the classes of a data set, in the order of their labels.

    Compare those of two data sets before one model sees both: where they differ, so do the labels.

    Example:
      >>> names = pcr_tf.format.class_names("photos.pcr")
      >>> names
      ['ant', 'bee', 'cat']
      >>> names.index("bee")  # its label
      1

    Args:
        path: the folder of the data set, on any file system that the package knows; of a split, one
            of its parts, as "photos.pcr/train".

    Returns:
        The names. Empty where the conversion made no labels, as of TFRecords, whose labels pass
        through as they are.

    Raises:
        ValueError: the folder holds no data set, or one without a manifest (`PcrWriter` writes
            none), or the manifest is damaged.
        OSError: it cannot be read.
    """
    folder = os.fspath(path)
    manifest = read_manifest(folder)
    if manifest is None:
        if not shard_names(folder):
            raise ValueError(no_shards(folder))
        raise ValueError(
            f"{filesystem.join(folder, MANIFEST_NAME)}: no such file; expected the manifest that "
            "pcr-convert writes; it alone names the classes"
        )
    names = manifest.get("class_names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"{filesystem.join(folder, MANIFEST_NAME)}: class_names; expected a list of names, got "
            f"{type(names).__name__}"
        )
    return list(names)
