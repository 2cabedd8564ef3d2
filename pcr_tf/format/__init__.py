"""The PCR file format: writing, reading and checking files, without TensorFlow.

Its names are imported when they are first used, so that `pcr_tf.format.reference`, which is plain
Python, works where nothing was built.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pcr_tf.format.dataset_index import OpenedDataset, open_dataset, write_side_index
    from pcr_tf.format.manifest import class_names
    from pcr_tf.format.reader import PcrReader, StoredImage
    from pcr_tf.format.writer import PcrWriter

__all__ = [
    "OpenedDataset",
    "PcrReader",
    "PcrWriter",
    "StoredImage",
    "class_names",
    "open_dataset",
    "write_side_index",
]

_MODULES = {
    "OpenedDataset": "dataset_index",
    "PcrReader": "reader",
    "PcrWriter": "writer",
    "StoredImage": "reader",
    "class_names": "manifest",
    "open_dataset": "dataset_index",
    "write_side_index": "dataset_index",
}

_SUBMODULES = frozenset({"reference", *_MODULES.values()})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_SUBMODULES})
