"""Builds every tests/cpp/*_test.cc against the core layers, and runs it.

    python3 tools/cpp_tests.py                 # all
    python3 tools/cpp_tests.py frame_test      # some
    python3 tools/cpp_tests.py --sanitize      # under AddressSanitizer, UndefinedBehaviorSanitizer

Needs a compiler, libjpeg-turbo and GoogleTest; neither TensorFlow nor a virtual environment. Tests
on photographs take them from PCR_TEST_IMAGES.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tools import native

SANITIZE_FLAGS = (
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    # Functions for newer processors are made twice; here the plain ones run.
    "-DPCR_BIT_INSTRUCTIONS=",
)
# A program that lasts longer hangs.
HANG_S = 1800
GTEST_REMEDY = "GoogleTest was not found. Debian, Ubuntu: apt-get install libgtest-dev"


def group_of_tests(
    variant: str = "core", flags: Sequence[str] = native.RELEASE_FLAGS, names: Sequence[str] = ()
) -> native.SourceGroup:
    """The sources of the tests of these names; of all, if none is named."""
    sources = sorted((native.ROOT / "tests" / "cpp").glob("*_test.cc"))
    chosen = tuple(source for source in sources if not names or source.stem in names)
    return native.SourceGroup(variant, chosen, tuple(flags))


def build(names: Sequence[str], sanitize: bool, jobs: int) -> list[Path]:
    """Builds the tests named, or all, and returns the programs.

    Raises:
      BuildError: if one does not compile or link, or GoogleTest is not there.
    """
    probe = native.compile_command("-x", "c++", "-E", "-")
    found = subprocess.run(
        probe, input="#include <gtest/gtest.h>", text=True, capture_output=True, check=False
    )
    if found.returncode:
        raise native.BuildError(GTEST_REMEDY)
    native.jpeg_version()

    variant = "sanitize" if sanitize else "core"
    flags = SANITIZE_FLAGS if sanitize else native.RELEASE_FLAGS
    core = native.core_group(variant, flags).compile_steps()
    tests = group_of_tests(variant, flags, names).compile_steps()
    sanitizers = SANITIZE_FLAGS if sanitize else ()
    links = [
        native.link_step(
            native.ROOT / "build" / "cpp" / variant / step.inputs[0].stem,
            [step.output, *(core_step.output for core_step in core)],
            [*sanitizers, "-lgtest_main", "-lgtest", *native.CORE_LIBRARIES],
        )
        for step in tests
    ]
    with native.build_lock():
        native.run_steps([*core, *tests], jobs)
        native.run_steps(links, jobs)
    return [link.output for link in links]


def passes(program: Path) -> bool:
    """Runs a test program; one that hangs is ended, and fails."""
    try:
        done = subprocess.run([str(program), "--gtest_brief=1"], check=False, timeout=HANG_S)
    except subprocess.TimeoutExpired:
        print(f"{program.name}: hangs: it did not end within {HANG_S} s", file=sys.stderr)
        return False
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Builds and runs the C++ tests.")
    parser.add_argument("names", nargs="*", help="stems of the tests to run; all by default")
    parser.add_argument("--sanitize", action="store_true", help="build with ASan and UBSan")
    parser.add_argument(
        "--jobs", type=int, default=native.default_jobs(), help="parallel compilers"
    )
    arguments = parser.parse_args()
    known = {source.stem for source in group_of_tests().sources}
    if unknown := set(arguments.names) - known:
        parser.error(f"no such test: {sorted(unknown)}; there are {sorted(known)}")
    try:
        programs = build(arguments.names, arguments.sanitize, arguments.jobs)
    except native.BuildError as error:
        print(error, file=sys.stderr)
        return 1
    failed = [program.name for program in programs if not passes(program)]
    if failed:
        print(f"C++ test programs that failed: {', '.join(failed)}")
        return 1
    print(f"All {len(programs)} C++ test programs passed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
