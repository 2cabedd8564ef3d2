"""Progressive Compressed Records: one copy of an image data set, read at any fidelity.

Importing this package imports nothing else; its parts are imported when they are first named:

- `pcr_tf.format`: writing and reading PCR files from Python. No TensorFlow.
- `pcr_tf.convert`: the job that converts a data set. TensorFlow only for paths in its file systems.
- `pcr_tf.image`: ops that decode and augment JPEGs.
- `pcr_tf.data`: the tf.data face, `PcrDataset` and `image_batches`.
- `pcr_tf.Fidelity`: what such a data set reads, to be changed while it runs; of `pcr_tf.data`.
- `pcr_tf.tuning`: policies that choose the fidelity. No TensorFlow.
- `pcr_tf.keras`: Keras callbacks, those with these policies among them.

>>> import pcr_tf
>>> pcr_tf.format.__name__
'pcr_tf.format'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pcr_tf.version import __version__

if TYPE_CHECKING:
    from pcr_tf import convert, data, format, image, keras, tuning
    from pcr_tf.data import Fidelity

__all__ = ["Fidelity", "__version__", "convert", "data", "format", "image", "keras", "tuning"]

_SUBMODULES = frozenset({"convert", "data", "format", "image", "keras", "tuning"})


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name == "Fidelity":
        return importlib.import_module(f"{__name__}.data").Fidelity
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES, "Fidelity"})
