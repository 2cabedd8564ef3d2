"""Writes compile_commands.json, by which clangd knows how each C++ source is compiled.

    python tools/compile_commands.py

Requires the virtual environment: pybind11, and TensorFlow for the headers of the ops.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tools import cpp_tests, native
from tools.extensions import module_group, op_library_group
from tools.tensorflow_config import find_tensorflow

# For Clang's tools only; GCC does not know it. Proves the annotations of ops/base/mutex.h.
CLANG_FLAGS = ("-Wthread-safety",)


def source_groups() -> list[native.SourceGroup]:
    """Every C++ source, each once, as the libraries and the tests compile it.

    Raises:
      BuildError: if TensorFlow is not there, or its version is not supported.
    """
    return [
        native.core_group(),
        module_group(),
        op_library_group(find_tensorflow()),
        cpp_tests.group_of_tests(),
    ]


def write(path: Path) -> None:
    """Writes the compilation database of all sources.

    Raises:
      BuildError: if TensorFlow is not there, or its version is not supported.
    """
    entries = [
        {
            "directory": str(native.ROOT),
            "file": str(step.inputs[0]),
            "output": str(step.output),
            "arguments": [*step.command, *CLANG_FLAGS],
        }
        for group in source_groups()
        for step in group.compile_steps()
    ]
    path.write_text(json.dumps(entries, indent=2) + "\n")


def main() -> int:
    try:
        write(native.ROOT / "compile_commands.json")
    except native.BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
