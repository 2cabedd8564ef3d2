"""Asks the TensorFlow that the op library is for where its headers and its library are."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.native import BUILD_DIR, BuildError

# Minor versions that the sources build against and the tests have seen: [OLDEST, TOO_NEW).
OLDEST = (2, 16)
TOO_NEW = (2, 22)

_QUERY = """
import json, tensorflow as tf
print(json.dumps({
    "version": tf.__version__,
    "compile_flags": tf.sysconfig.get_compile_flags(),
    "link_flags": tf.sysconfig.get_link_flags(),
}))
"""

_REMEDY = """\
No TensorFlow was found by {python}.
pcr_tf's op library is compiled against the TensorFlow that it will run in, so that comes first:
    pip install "{requirement}"        (or tensorflow, or another build of it)
and then again
    pip install .
Builders that hide the environment they install into (uv, build, tox) need to be told not to:
    pip install --upgrade setuptools pybind11
    pip install --no-build-isolation .
"""


@dataclass(frozen=True)
class TensorFlowConfig:
    """Version and compiler flags of one installed TensorFlow."""

    version: str
    compile_flags: list[str]
    link_flags: list[str]

    @property
    def variant(self) -> str:
        """Name for the objects compiled against it."""
        return f"tensorflow-{self.version}"


def find_tensorflow() -> TensorFlowConfig:
    """Asks the environment that is installed into.

    pip builds in an isolated environment in which that environment's packages are hidden, by
    variables that are left out here: the same interpreter then sees what it will see when it runs
    pcr_tf. The answer is kept, since importing TensorFlow takes seconds, until it is replaced.

    Raises:
      BuildError: if there is no TensorFlow, it does not import, or its version is not supported.
    """
    cache = BUILD_DIR / "tensorflow.json"
    key = _installed_key()
    if key and cache.exists():
        entry = json.loads(cache.read_text())
        if entry["key"] == key:
            return TensorFlowConfig(**entry["config"])
    config = _query()
    if key:
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps({"key": key, "config": asdict(config)}))
    return config


def _installed_key() -> list[str | int] | None:
    """Names the TensorFlow that this very process would import; None if it would import none."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None:
        return None
    return [spec.origin, Path(spec.origin).stat().st_mtime_ns]


def _query() -> TensorFlowConfig:
    hidden_by_pip = ("PYTHONPATH", "PYTHONNOUSERSITE", "PYTHONHOME")
    environment = {k: v for k, v in os.environ.items() if k not in hidden_by_pip}
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    done = subprocess.run(
        [sys.executable, "-c", _QUERY], env=environment, text=True, capture_output=True, check=False
    )
    requirement = "tensorflow-cpu>={}.{},<{}.{}".format(*OLDEST, *TOO_NEW)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:]
        remedy = _REMEDY.format(python=sys.executable, requirement=requirement)
        raise BuildError("\n".join([remedy, *reason]))
    config = TensorFlowConfig(**json.loads(done.stdout.splitlines()[-1]))
    major_minor = tuple(int(part) for part in config.version.split(".")[:2])
    if not OLDEST <= major_minor < TOO_NEW:
        raise BuildError(
            f"TensorFlow is {config.version}; expected a version this source builds against:\n"
            f'    pip install "{requirement}"'
        )
    return config
