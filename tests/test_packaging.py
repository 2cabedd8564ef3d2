"""The package as users meet it: what an import costs, what is installed, what load errors say."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import pcr_tf

ROOT = Path(__file__).resolve().parent.parent


def _modules_after(statement: str) -> set[str]:
    """The modules loaded in a fresh interpreter after a statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def _metadata() -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution("pcr-tf")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("pcr_tf is not installed here: run `pip install -e .`")


# Importing


def test_importing_the_package_loads_no_other_package() -> None:
    loaded = _modules_after("import pcr_tf") - _modules_after("import importlib")
    own = {module for module in loaded if module.split(".")[0] == "pcr_tf"}
    assert own == {"pcr_tf", "pcr_tf.version"}
    assert not {module.split(".")[0] for module in loaded} & {"tensorflow", "numpy", "PIL", "absl"}


@pytest.mark.parametrize("part", ["format", "convert"])
def test_a_part_that_needs_no_tensorflow_does_not_import_it(part: str) -> None:
    loaded = _modules_after(f"import pcr_tf; pcr_tf.{part}")
    assert f"pcr_tf.{part}" in loaded
    assert not {module for module in loaded if module.split(".")[0] in ("tensorflow", "keras")}


def test_a_part_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_part'"):
        _ = pcr_tf.no_such_part


def test_the_parts_are_listed_before_they_are_imported() -> None:
    assert {"convert", "data", "format"} <= set(dir(pcr_tf))


# What is installed


def test_the_version_is_stated_in_one_place_only() -> None:
    version = re.escape(pcr_tf.__version__)
    places = [
        path.relative_to(ROOT).as_posix()
        for path in [*ROOT.glob("*.toml"), *ROOT.glob("setup.py"), *ROOT.glob("pcr_tf/**/*.py")]
        if re.search(rf"(?<![\d.]){version}(?![\d.])", path.read_text())
    ]
    assert places == ["pcr_tf/version.py"]


def _required_setuptools() -> str:
    (bound,) = re.findall(r'"setuptools>=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    return str(bound)


def test_the_lower_bound_of_setuptools_is_one_that_takes_an_spdx_license() -> None:
    assert re.search(r'^license = "Apache-2\.0"$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert tuple(map(int, _required_setuptools().split("."))) >= (77, 0, 3)


@pytest.mark.parametrize("version", ["65.5.0", "76.1.0", "77.0.2", "77"])
def test_a_setuptools_that_is_too_old_is_named_with_the_remedy(
    version: str, tmp_path: Path
) -> None:
    old = tmp_path / "setuptools"  # which has nothing else that setup.py asks for
    old.mkdir()
    (old / "__init__.py").write_text(f"__version__ = {version!r}")
    command = [sys.executable, "setup.py", "egg_info"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, env=environment)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    bound = _required_setuptools()
    assert f"too old to build pcr_tf; expected at least {bound}, got {version}; pip " in line
    assert line.endswith("pip install --upgrade setuptools pybind11")


def test_the_installed_version_is_that_of_the_source() -> None:
    assert _metadata().version == pcr_tf.__version__


def test_every_command_resolves_to_a_function_without_arguments() -> None:
    commands = [point for point in _metadata().entry_points if point.group == "console_scripts"]
    assert {point.name for point in commands} == {
        "pcr-convert",
        "pcr-convert-beam",
        "pcr-export",
        "pcr-index",
        "pcr-inspect",
        "pcr-scan-scripts",
        "pcr-verify",
    }
    for point in commands:
        if point.name == "pcr-convert-beam" and importlib.util.find_spec("apache_beam") is None:
            continue
        parameters = inspect.signature(point.load()).parameters.values()
        assert all(parameter.default is not parameter.empty for parameter in parameters)


def test_the_package_tells_type_checkers_that_it_is_typed() -> None:
    assert Path(pcr_tf.__file__).with_name("py.typed").exists()


# The stub of the native module


def _public_names(owner: ModuleType | type) -> set[str]:
    return {name for name in vars(owner) if not name.startswith("_")}


def _stub_body() -> list[ast.stmt]:
    return ast.parse((ROOT / "pcr_tf" / "_native.pyi").read_text()).body


def _declared_names(body: list[ast.stmt]) -> set[str]:
    names = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def test_the_stub_declares_exactly_the_names_of_the_native_module() -> None:
    native = importlib.import_module("pcr_tf._native")
    assert _declared_names(_stub_body()) == _public_names(native)


def test_the_stub_declares_exactly_the_members_of_every_native_class() -> None:
    native = importlib.import_module("pcr_tf._native")
    for node in _stub_body():
        # NamedTuples and exceptions bring members of Python's own.
        if isinstance(node, ast.ClassDef) and not node.bases:
            assert _declared_names(node.body) == _public_names(getattr(native, node.name)), (
                node.name
            )


def test_everything_in_the_stub_is_documented() -> None:
    definitions = [
        node
        for node in ast.walk(ast.Module(_stub_body(), []))
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    ]
    bare = [node.name for node in definitions if not ast.get_docstring(node)]
    assert not bare


# Loading the ops


def _library_built_against(directory: Path, version: str, library: bytes = b"") -> Path:
    (directory / "_build_info.json").write_text(json.dumps({"tensorflow": version}))
    (directory / "_pcr_ops.so").write_bytes(library)
    return directory


def _load_error(directory: Path) -> str:
    from pcr_tf import _op_library

    with pytest.raises(ImportError) as raised:
        _op_library.load_op_library_from(directory)
    message = str(raised.value)
    assert str(directory) in message
    assert "pip install --force-reinstall --no-deps --no-cache-dir" in message
    return message


def test_a_library_for_another_tensorflow_is_refused_with_both_versions(tmp_path: Path) -> None:
    import tensorflow as tf

    message = _load_error(_library_built_against(tmp_path, "2.11.4"))
    assert "2.11.4" in message
    assert tf.__version__ in message


def test_a_library_for_another_patch_release_is_not_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    other_patch = ".".join([*tf.__version__.split(".")[:2], "99"])
    message = _load_error(_library_built_against(tmp_path, other_patch))
    assert "does not load" in message


def test_a_library_that_was_not_built_is_named_with_the_remedy(tmp_path: Path) -> None:
    assert "was not built" in _load_error(tmp_path)


def test_a_library_without_build_information_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "_pcr_ops.so").write_bytes(b"")
    assert "was not built" in _load_error(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tensorflow": 2}', "\x00"])
def test_build_information_of_another_form_is_not_trusted(tmp_path: Path, text: str) -> None:
    _library_built_against(tmp_path, "2.17.1")
    (tmp_path / "_build_info.json").write_text(text)
    assert "was not built" in _load_error(tmp_path)


def test_a_library_that_does_not_load_says_why(tmp_path: Path) -> None:
    import tensorflow as tf

    message = _load_error(_library_built_against(tmp_path, tf.__version__, b"not an ELF file"))
    assert "does not load" in message
    assert "_pcr_ops.so" in message


# The tests themselves


def test_the_name_of_every_test_is_a_sentence() -> None:
    labels = [
        f"{path.name}: {node.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if not any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)
        if len(node.name.removeprefix("test_").split("_")) < 4
    ]
    assert not labels


def _files(folder: Path, pattern: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob(pattern))


def test_configs_travel_inside_the_package(tmp_path: Path) -> None:
    build = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    packaged, there = tmp_path / "pcr_tf" / "configs", ROOT / "configs"
    assert _files(packaged, "*.txt") == _files(there, "*.txt") != []
    assert _files(packaged, "*.flags") == _files(there, "*.flags") != []


def _from_folder(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pcr_tf.cli.convert", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("flag", [["--flagfile=configs/{}"], ["--flagfile", "configs/{}"]])
def test_flag_files_of_the_package_are_found_from_any_folder(
    tmp_path: Path, flag: list[str]
) -> None:
    class_folders = [part.format("class_folders.flags") for part in flag]
    empty = tmp_path / "in"
    empty.mkdir()
    done = _from_folder(tmp_path, *class_folders, f"--input={empty}", "--output=out")
    assert (done.returncode, "flagfile" in done.stderr) == (1, False)
    assert str(empty) in done.stderr, "the source is looked at"
    unknown = [part.format("no_such.flags") for part in flag]
    done = _from_folder(tmp_path, *unknown, f"--input={empty}", "--output=out")
    assert (done.returncode, "configs/no_such.flags" in done.stderr) == (2, True)


def test_a_flag_file_of_the_working_folder_goes_before_one_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "imagenet.flags").write_text("--examples_per_record=0\n")
    paths = ["--input=in", "--output=out"]
    done = _from_folder(tmp_path, "--flagfile=configs/imagenet.flags", *paths)
    assert "--examples_per_record; expected at least 1, got 0" in done.stderr


def test_the_help_names_every_flag_file_of_the_package() -> None:
    done = _from_folder(ROOT, "--help")
    named = done.stdout.partition("NAME is one of ")[2].partition(".\n")[0]
    files = [path.stem for path in sorted((ROOT / "configs").glob("*.flags"))]
    assert named.replace("\n", " ").split(", ") == files
