"""Loads the TensorFlow ops of pcr_tf, once, into the TensorFlow they were compiled against.

A compiled op serves one minor version of TensorFlow: another one lays out its classes differently,
and loads without complaint or fails with an undefined symbol. So the version written down at build
time is compared first.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import cast

import tensorflow as tf

from pcr_tf._op_signatures import PcrOps

_DIRECTORY = Path(__file__).resolve().parent / "data"
_REMEDY = (
    "Rebuild pcr_tf for the TensorFlow that is installed, in the folder of its sources:\n"
    "    pip install --force-reinstall --no-deps --no-cache-dir .\n"
    "or, in a checkout that is used in place:\n"
    "    python setup.py build_ext --inplace"
)


@functools.cache
def load_op_library() -> PcrOps:
    """Returns the module of the Python wrappers of pcr_tf's ops; the first call loads the library.

    Raises:
      ImportError: if the library is not there, was built against another minor version of
        TensorFlow, or does not load. The message names both versions and the remedy.
    """
    return load_op_library_from(_DIRECTORY)


def load_op_library_from(directory: Path) -> PcrOps:
    """Loads `_pcr_ops.so` of `directory`, which `_build_info.json` describes.

    Args:
      directory: the folder of both files.

    Raises:
      ImportError: as `load_op_library` does.
    """
    library = directory / "_pcr_ops.so"
    built_against = _tensorflow_built_against(directory / "_build_info.json")
    if built_against is None or not library.exists():
        raise ImportError(
            f"{library}: pcr_tf's op library was not built; expected it and _build_info.json "
            f"there. TensorFlow is {tf.__version__}.\n{_REMEDY}"
        )
    if _minor_version(built_against) != _minor_version(tf.__version__):
        raise ImportError(
            f"{library}: pcr_tf's op library was built against TensorFlow {built_against} and "
            f"serves {_minor_version(built_against)} only; TensorFlow is {tf.__version__}.\n"
            f"{_REMEDY}"
        )
    try:
        return cast(PcrOps, tf.load_op_library(str(library)))
    except (tf.errors.OpError, OSError) as error:
        raise ImportError(
            f"{library}: pcr_tf's op library, built against TensorFlow {built_against}, does not "
            f"load into TensorFlow {tf.__version__}: {error}\n{_REMEDY}"
        ) from error


def _tensorflow_built_against(build_info: Path) -> str | None:
    """The version that the build wrote down; None if there is none, or not in the build's form."""
    try:
        version = json.loads(build_info.read_text())["tensorflow"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return version if isinstance(version, str) else None


def _minor_version(version: str) -> str:
    """Major and minor: "2.17" of "2.17.1" and of "2.17.0-rc1"."""
    return ".".join(version.split(".")[:2])
