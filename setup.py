"""Builds the two native parts of pcr_tf; everything else is in pyproject.toml.

- pcr_tf/_native: the core's Python module (pybind11; knows no TensorFlow).
- pcr_tf/data/_pcr_ops.so: the TensorFlow ops, built against the TensorFlow of the environment that
  is installed into, which must be there first. _build_info.json beside it says which that was.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import setuptools

# As pyproject.toml has it. pip heeds that bound where it builds in an environment of its own.
OLDEST_SETUPTOOLS = (77, 0, 3)
if tuple(map(int, re.findall(r"\d+", setuptools.__version__)[:3])) < OLDEST_SETUPTOOLS:
    oldest = ".".join(map(str, OLDEST_SETUPTOOLS))
    raise SystemExit(
        f"setuptools of {sys.executable}: too old to build pcr_tf; expected at least {oldest}, "
        f"got {setuptools.__version__}; pip install --upgrade setuptools pybind11"
    )

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import CompileError

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from tools import native
from tools.extensions import module_group, op_library_group
from tools.tensorflow_config import find_tensorflow

NATIVE_MODULE = "pcr_tf._native"
OP_LIBRARY = "pcr_tf.data._pcr_ops"


class BuildExt(build_ext):
    """Compiles with tools/native.py: in parallel, only what changed, the core once for both."""

    def finalize_options(self) -> None:
        super().finalize_options()
        # setuptools would skip a copy over a newer file: that for the TensorFlow built for before.
        self.force = True

    def get_ext_filename(self, fullname: str) -> str:
        if fullname.endswith("_pcr_ops"):  # not a Python module: no interpreter's suffix
            return os.path.join(*fullname.split(".")) + ".so"
        return str(super().get_ext_filename(fullname))

    def build_extensions(self) -> None:
        try:
            with native.build_lock():
                self._build_all()
        except native.BuildError as error:
            raise CompileError(f"\n{error}") from None

    def _build_all(self) -> None:
        jpeg_version = native.jpeg_version()
        tensorflow = find_tensorflow()
        module = module_group()
        ops = op_library_group(tensorflow)
        core_steps = native.core_group().compile_steps()
        module_steps = module.compile_steps()
        ops_steps = ops.compile_steps()
        jobs = int(self.parallel or native.default_jobs())
        # The kernels first: they take longest.
        native.run_steps([*ops_steps, *core_steps, *module_steps], jobs)

        module_link = native.link_step(
            native.BUILD_DIR / module.variant / "_native.so",
            [step.output for step in core_steps + module_steps],
            ["-shared", *native.CORE_LIBRARIES],
        )
        ops_link = native.link_step(
            native.BUILD_DIR / ops.variant / "_pcr_ops.so",
            [step.output for step in core_steps + ops_steps],
            ["-shared", "-Wl,--no-undefined", *tensorflow.link_flags, *native.CORE_LIBRARIES],
        )
        native.run_steps([module_link, ops_link], jobs)
        info = {
            "tensorflow": tensorflow.version,
            "pcr_tf": self.distribution.get_version(),
            "compiler": native.compiler_version(),
            "libjpeg_turbo": jpeg_version,
        }
        self._install(module_link.output, Path(self.get_ext_fullpath(NATIVE_MODULE)))
        self._install(ops_link.output, Path(self.get_ext_fullpath(OP_LIBRARY)))
        info_path = Path(self.get_ext_fullpath(OP_LIBRARY)).with_name("_build_info.json")
        info_path.write_text(json.dumps(info, indent=2) + "\n")

    def _install(self, built: Path, target: Path) -> None:
        # By rename: a process that has the old file mapped keeps it.
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(target.name + ".tmp")
        shutil.copyfile(built, temporary)
        temporary.replace(target)

    def copy_extensions_to_source(self) -> None:
        super().copy_extensions_to_source()
        built = Path(self.build_lib, "pcr_tf", "data", "_build_info.json")
        self._install(built, Path("pcr_tf", "data", "_build_info.json"))

    def get_outputs(self) -> list[str]:
        return [*super().get_outputs(), *self._build_info_mapping()]

    def get_output_mapping(self) -> dict[str, str]:
        return {**super().get_output_mapping(), **self._build_info_mapping()}

    def _build_info_mapping(self) -> dict[str, str]:
        relative = os.path.join("pcr_tf", "data", "_build_info.json")
        return {os.path.join(self.build_lib, relative): relative}


class BuildPy(build_py):
    """Takes configs/ along: an installed package has the folder inside, a checkout beside it."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for source, target in self._configs().items():
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *self._configs().values()]

    def _configs(self) -> dict[str, str]:
        folder = Path("configs")
        files = sorted([*folder.glob("*.flags"), *folder.glob("scan_scripts/*.txt")])
        return {str(path): str(Path(self.build_lib, "pcr_tf", path)) for path in files}


setup(
    cmdclass={"build_ext": BuildExt, "build_py": BuildPy},
    # The sources are in ops/sources.bzl.
    ext_modules=[Extension(NATIVE_MODULE, sources=[]), Extension(OP_LIBRARY, sources=[])],
)
