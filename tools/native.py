"""Compiles the C++ sources: what changed, in parallel, for setup.py and for the C++ tests alike.

A step is done again when its command, one of its inputs, or a header it included last time (as
the compiler wrote down in a .d file) has changed. The core layers are compiled once and serve
the native Python module, the op library and the C++ tests. Standard library only, so that the
C++ tests need no virtual environment.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD_DIR = ROOT / "build" / "native"

# The layers that know neither TensorFlow nor Python.
CORE_LAYERS = ("base", "format", "jpeg", "augment")

COMPILE_FLAGS = (
    "-std=c++17",
    "-fPIC",
    "-fvisibility=hidden",
    "-pthread",
    "-Wall",
    "-Wextra",
    f"-I{ROOT}",
)
# NDEBUG because TensorFlow's binaries are built with it and its headers depend on it.
RELEASE_FLAGS = ("-O3", "-DNDEBUG")

# The libraries that the core layers link.
CORE_LIBRARIES = ("-ljpeg", "-lz")

_JPEG_PROBE = """
#include <cstddef>
#include <cstdio>
#include <jpeglib.h>
#include <zlib.h>
#ifndef LIBJPEG_TURBO_VERSION
#error not libjpeg-turbo
#endif
"""

_JPEG_REMEDY = """\
The headers of libjpeg-turbo or of zlib were not found. Install them and try again:
    Debian, Ubuntu    apt-get install libjpeg-dev zlib1g-dev
    Fedora, RHEL      dnf install libjpeg-turbo-devel zlib-devel
    macOS             brew install jpeg-turbo zlib
or, where they are in a place of their own, name it: CPPFLAGS=-I<dir> LDFLAGS=-L<dir>
"""


class BuildError(Exception):
    """A tool failed or is missing; the message is for the person who builds."""


@dataclass(frozen=True)
class Step:
    """One run of a tool that makes `output` from `inputs` and the headers a .d file names."""

    command: tuple[str, ...]
    output: Path
    inputs: tuple[Path, ...]
    dependency_file: Path | None = None

    @property
    def _command_file(self) -> Path:
        return self.output.with_name(self.output.name + ".cmd")

    def is_current(self) -> bool:
        """Whether the output was made by this command from the inputs as they are now."""
        try:
            made_ns = self.output.stat().st_mtime_ns
            if self._command_file.read_text() != shlex.join(self.command):
                return False
            inputs = [*self.inputs, *_read_dependencies(self.dependency_file)]
            return all(path.stat().st_mtime_ns < made_ns for path in inputs)
        except FileNotFoundError:
            return False

    def run(self) -> None:
        """Makes the output.

        Raises:
          BuildError: with what the tool printed.
        """
        self.output.parent.mkdir(parents=True, exist_ok=True)
        self._command_file.unlink(missing_ok=True)
        start_ns = time.time_ns()
        done = subprocess.run(self.command, cwd=ROOT, text=True, capture_output=True, check=False)
        if done.returncode:
            raise BuildError(f"{shlex.join(self.command)}\n{done.stdout}{done.stderr}")
        if done.stdout or done.stderr:
            print(done.stdout + done.stderr, flush=True)
        # The output is as old as the moment its inputs were read: later edits are newer.
        self.output.touch()
        os.utime(self.output, ns=(start_ns, start_ns))
        self._command_file.write_text(shlex.join(self.command))


@dataclass(frozen=True)
class SourceGroup:
    """Sources compiled alike. Objects of different `variant`s stand side by side."""

    variant: str
    sources: tuple[Path, ...]
    flags: tuple[str, ...]

    def compile_steps(self) -> list[Step]:
        return [self._compile_step(source) for source in self.sources]

    def _compile_step(self, source: Path) -> Step:
        name = source.relative_to(ROOT)
        output = BUILD_DIR / self.variant / name.with_suffix(".o")
        headers = output.with_suffix(".d")
        command = (*compile_command(*self.flags), "-MMD", "-MF", str(headers), "-c", str(name))
        return Step((*command, "-o", str(output)), output, (source,), headers)


def _read_dependencies(path: Path | None) -> Iterator[Path]:
    """Yields the files named in a makefile rule, if there is one."""
    if path is not None:
        _, _, names = path.read_text().replace("\\\n", " ").partition(":")
        for name in shlex.split(names):
            yield ROOT / name


def run_steps(steps: Iterable[Step], jobs: int, keep_going: bool = False) -> int:
    """Runs the steps that are not current, `jobs` at a time, and returns how many there were.

    Raises:
      BuildError: of every step that failed; after the first, no other is begun unless `keep_going`.
    """
    stale = [step for step in steps if not step.is_current()]
    errors: list[str] = []

    def run(numbered: tuple[int, Step]) -> None:
        number, step = numbered
        if errors and not keep_going:
            return
        tool, output = Path(step.command[0]).name, step.output.relative_to(ROOT)
        print(f"[{number}/{len(stale)}] {tool} {output}", flush=True)
        try:
            step.run()
        except BuildError as error:
            errors.append(str(error))

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(run, enumerate(stale, start=1)))
    if errors:
        raise BuildError("\n".join(errors))
    return len(stale)


def default_jobs() -> int:
    """One per core this process may use, at most one per 2 GiB: a kernel's compiler takes 1 GiB."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(len(os.sched_getaffinity(0)), memory_bytes >> 31))


@contextlib.contextmanager
def build_lock() -> Iterator[None]:
    """Lets one process at a time write to the build directory."""
    BUILD_DIR.mkdir(parents=True, exist_ok=True)
    with open(BUILD_DIR / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def layer_files(layer: str, kind: str) -> list[Path]:
    """The files of a layer in ops/sources.bzl; `kind` is `srcs` or `hdrs`."""
    path = ROOT / "ops" / "sources.bzl"
    names: dict[str, dict[str, dict[str, list[str]]]] = {}
    exec(compile(path.read_text(), str(path), "exec"), {}, names)
    return [ROOT / "ops" / name for name in names["LAYERS"][layer][kind]]


def layer_sources(*layers: str) -> tuple[Path, ...]:
    """The sources of several layers."""
    return tuple(source for layer in layers for source in layer_files(layer, "srcs"))


def compiler() -> tuple[str, ...]:
    """The C++ compiler's command: $CXX, else g++, else c++.

    Raises:
      BuildError: if there is none, with the remedy.
    """
    for candidate in (os.environ.get("CXX", ""), "g++", "c++"):
        command = shlex.split(candidate)
        if command and shutil.which(command[0]):
            return tuple(command)
    raise BuildError(
        "No C++ compiler was found ($CXX, g++, c++). Install one with C++17 and try again:\n"
        "    Debian, Ubuntu    apt-get install g++\n"
        "    Fedora, RHEL      dnf install gcc-c++"
    )


def _environment_flags(*names: str) -> tuple[str, ...]:
    return tuple(flag for name in names for flag in shlex.split(os.environ.get(name, "")))


def compile_command(*flags: str) -> tuple[str, ...]:
    """The compiler with the flags of every source, then `flags`, then the environment's."""
    return (*compiler(), *COMPILE_FLAGS, *flags, *_environment_flags("CPPFLAGS", "CXXFLAGS"))


def core_group(variant: str = "core", flags: Sequence[str] = RELEASE_FLAGS) -> SourceGroup:
    """The layers that know neither TensorFlow nor Python."""
    return SourceGroup(variant, layer_sources(*CORE_LAYERS), tuple(flags))


def link_step(output: Path, objects: Sequence[Path], flags: Sequence[str]) -> Step:
    """Links a program, or with -shared a library."""
    command = (*compiler(), "-pthread", *map(str, objects), "-o", str(output), *flags)
    return Step((*command, *_environment_flags("LDFLAGS")), output, tuple(objects))


def jpeg_version() -> str:
    """The version of the libjpeg-turbo to build against.

    Raises:
      BuildError: if its headers are not there, with the remedy.
    """
    command = (*compile_command(), "-x", "c++", "-E", "-dM", "-")
    probe = subprocess.run(command, input=_JPEG_PROBE, text=True, capture_output=True, check=False)
    if probe.returncode:
        raise BuildError(f"{_JPEG_REMEDY}\n{probe.stderr}")
    for line in probe.stdout.splitlines():
        if line.startswith("#define LIBJPEG_TURBO_VERSION "):
            return line.split()[2]
    raise BuildError(_JPEG_REMEDY)


def compiler_version() -> str:
    """The first line that the compiler says of itself."""
    command = (*compiler(), "--version")
    done = subprocess.run(command, text=True, capture_output=True, check=True)
    return done.stdout.splitlines()[0]
