"""Runs clang-tidy over the C++ sources that changed since they last passed it.

    python tools/clang_tidy.py

Requires the virtual environment: clang-tidy, pybind11, and TensorFlow for the headers of the ops.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tools import native
from tools.compile_commands import CLANG_FLAGS, source_groups

CLANG_TIDY = str(Path(sys.executable).with_name("clang-tidy"))


def tidy_steps(group: native.SourceGroup) -> list[native.Step]:
    """One check for each source; stale when a header that its compiler read last time is newer."""
    return [
        native.Step(
            (CLANG_TIDY, "--quiet", str(compiled.inputs[0].relative_to(native.ROOT)), "--")
            + (*native.COMPILE_FLAGS, *group.flags, *CLANG_FLAGS),
            # A stamp, written when the source passes.
            native.ROOT / "build" / "tidy" / compiled.output.relative_to(native.BUILD_DIR),
            (*compiled.inputs, native.ROOT / ".clang-tidy"),
            compiled.dependency_file,
        )
        for compiled in group.compile_steps()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs clang-tidy over the sources that changed.")
    parser.add_argument("--jobs", type=int, default=native.default_jobs(), help="parallel checks")
    arguments = parser.parse_args()
    try:
        steps = [step for group in source_groups() for step in tidy_steps(group)]
        native.run_steps(steps, arguments.jobs, keep_going=True)
    except native.BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
