"""Builds every tests/cpp/*_test.cc against the core layers, and runs it.

    python3 tools/cpp_tests.py                       # all
    python3 tools/cpp_tests.py frame_test            # some
    python3 tools/cpp_tests.py --variant=sanitize    # AddressSanitizer, UndefinedBehaviorSanitizer
    python3 tools/cpp_tests.py --variant=tsan        # ThreadSanitizer; the tests that start threads

Every variant checks PCR_DCHECK, which the libraries that users get do not. Requires a compiler,
libjpeg-turbo and GoogleTest; neither TensorFlow nor a virtual environment. Tests on photographs
take them from PCR_TEST_IMAGES.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tools import native

# The empty macro: functions that are otherwise compiled twice, for newer processors too, are
# compiled once, and the plain ones run. ThreadSanitizer requires that of all such functions: the
# loader would choose between two before its runtime starts.
_SANITIZE = ("-O1", "-g", "-fno-omit-frame-pointer", "-DPCR_DEBUG", "-DPCR_BIT_INSTRUCTIONS=")


@dataclass(frozen=True)
class Variant:
    """One way of building the tests."""

    compile_flags: tuple[str, ...]
    link_flags: tuple[str, ...] = ()
    only_threads: bool = False  # by default, only tests that start threads


def _sanitized(sanitizers: str, *flags: str, only_threads: bool = False) -> Variant:
    link = (f"-fsanitize={sanitizers}",)
    return Variant((*_SANITIZE, *flags, *link, "-fno-sanitize-recover=all"), link, only_threads)


# By the name of their folder in build/.
VARIANTS = {
    "checked": Variant((*native.RELEASE_FLAGS, "-DPCR_DEBUG")),
    "sanitize": _sanitized("address,undefined"),
    "tsan": _sanitized("thread", "-DPCR_VECTORIZED=", only_threads=True),
}
# A program that lasts longer hangs.
HANG_S = 1800
GTEST_REMEDY = "GoogleTest was not found. Debian, Ubuntu: apt-get install libgtest-dev"


def test_sources() -> list[Path]:
    """The test programs' sources, in order."""
    return sorted((native.ROOT / "tests" / "cpp").glob("*_test.cc"))


def chosen_sources(names: Sequence[str], only_threads: bool) -> list[Path]:
    """The sources of the tests of these names; by default of all, or of all that start threads."""
    if names:
        return [source for source in test_sources() if source.stem in names]
    return [s for s in test_sources() if not only_threads or "#include <thread>" in s.read_text()]


def group_of_tests(variant: str = "checked", sources: Sequence[Path] = ()) -> native.SourceGroup:
    """The sources of these tests; of all by default."""
    flags = VARIANTS[variant].compile_flags
    return native.SourceGroup(variant, tuple(sources or test_sources()), flags)


def build(variant: str, names: Sequence[str], jobs: int) -> list[Path]:
    """Builds the tests named, or those that the variant runs by default; returns the programs.

    Raises:
      BuildError: if a source does not compile or link, or GoogleTest is not installed.
    """
    preprocess = native.compile_command("-x", "c++", "-E", "-")
    probe = subprocess.run(
        preprocess, input="#include <gtest/gtest.h>", text=True, capture_output=True, check=False
    )
    if probe.returncode:
        raise native.BuildError(GTEST_REMEDY)
    native.jpeg_version()

    built = VARIANTS[variant]
    core = native.core_group(variant, built.compile_flags).compile_steps()
    sources = chosen_sources(names, built.only_threads)
    tests = group_of_tests(variant, sources).compile_steps()
    links = [
        native.link_step(
            native.ROOT / "build" / "cpp" / variant / step.inputs[0].stem,
            [step.output, *(core_step.output for core_step in core)],
            [*built.link_flags, "-lgtest_main", "-lgtest", *native.CORE_LIBRARIES],
        )
        for step in tests
    ]
    with native.build_lock():
        native.run_steps([*core, *tests], jobs)
        native.run_steps(links, jobs)
    return [link.output for link in links]


def passes(program: Path) -> bool:
    """Runs a test program; one that hangs is stopped, and fails."""
    try:
        done = subprocess.run([str(program), "--gtest_brief=1"], check=False, timeout=HANG_S)
    except subprocess.TimeoutExpired:
        print(f"{program.name}: hangs; it did not end within {HANG_S} s", file=sys.stderr)
        return False
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Builds and runs the C++ tests.")
    parser.add_argument("names", nargs="*", help="stems of the tests to run; all by default")
    parser.add_argument(
        "--variant", choices=VARIANTS, default="checked", help="how to build them (default checked)"
    )
    parser.add_argument(
        "--jobs", type=int, default=native.default_jobs(), help="parallel compilers"
    )
    arguments = parser.parse_args()
    known = {source.stem for source in test_sources()}
    if unknown := set(arguments.names) - known:
        parser.error(f"no such test: {sorted(unknown)}; expected one of {sorted(known)}")
    try:
        programs = build(arguments.variant, arguments.names, arguments.jobs)
    except native.BuildError as error:
        print(error, file=sys.stderr)
        return 1
    failed = [program.name for program in programs if not passes(program)]
    if failed:
        print(f"C++ test programs that failed: {', '.join(failed)}")
        return 1
    print(f"All {len(programs)} C++ test programs passed ({arguments.variant}).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
