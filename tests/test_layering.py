"""The layers of the tree: an arrow never points upwards."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import native

ROOT = native.ROOT
CPP_LAYERS = ("base", "format", "jpeg", "augment", "bindings", "op_defs", "kernels")

# A layer of C++ -> the other layers whose headers it may include.
CPP_MAY_INCLUDE = {
    "base": set(),
    "format": {"base"},
    "jpeg": {"base", "format"},
    "augment": {"base", "jpeg"},
    "bindings": {"base", "format", "jpeg"},
    "op_defs": set(),
    "kernels": {"base", "format", "jpeg", "augment", "op_defs"},
}

# A library's headers -> the layers that may include them.
CPP_LIBRARIES = {
    r"tensorflow/|tsl/|xla/|absl/|third_party/eigen": {"kernels", "op_defs"},
    r"pybind11/|Python\.h": {"bindings"},
    r"zlib\.h": {"format"},
    r"jpeglib\.h|jerror\.h|jconfig\.h|jmorecfg\.h": {"jpeg"},
}

# A part of the Python package -> the other parts it may import.
PYTHON_MAY_IMPORT = {
    "version": set(),
    "_arguments": set(),
    "_op_signatures": set(),
    "_op_library": {"_op_signatures"},
    "format": {"_native", "version"},
    "convert": {"_native", "version", "format", "image"},
    "image": {"_arguments", "_op_library", "format"},
    "data": {
        "_native",
        "version",
        "_arguments",
        "_op_library",
        "_op_signatures",
        "format",
        "image",
    },
    "tuning": {"version", "_arguments"},
    "scan_scripts": {"_native", "format", "convert", "image"},
    "keras": {"version", "_arguments", "format", "convert", "image", "data", "tuning"},
    "cli": {"_native", "version", "format", "convert", "data", "tuning", "scan_scripts"},
}

# Parts that these import on demand only: inside functions.
PYTHON_ON_DEMAND = {"convert": {"image"}}

# Parts that import TensorFlow when they are imported. Others do so where a path needs its file
# systems, or a source is a data set of TensorFlow Datasets.
PYTHON_WITH_TENSORFLOW = {"_op_library", "image", "data", "scan_scripts", "keras"}
PYTHON_TENSORFLOW_ON_DEMAND = {
    Path("pcr_tf/convert/sources/files/tfds.py"),
    Path("pcr_tf/convert/job/profile.py"),
    Path("pcr_tf/format/filesystem.py"),
    Path("pcr_tf/format/object_stores.py"),
}


def _cpp_includes(layer: str) -> Iterator[tuple[Path, str]]:
    for path in [*native.layer_files(layer, "hdrs"), *native.layer_files(layer, "srcs")]:
        for header in re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), re.M):
            yield path.relative_to(ROOT), header


def _python_files(part: str) -> list[Path]:
    package = ROOT / "pcr_tf"
    return sorted([*package.glob(f"{part}.py"), *package.glob(f"{part}/**/*.py")])


def _imported_modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        if node.module == "pcr_tf":
            return [f"pcr_tf.{alias.name}" for alias in node.names]
        return [node.module or ""]
    return []


def _runs_at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node outside functions and outside `if TYPE_CHECKING`."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                pending.extend(child.orelse)
                continue
            pending.append(child)


@pytest.mark.parametrize("layer", CPP_LAYERS)
def test_a_cpp_layer_includes_only_the_layers_below_it(layer: str) -> None:
    allowed = {layer, *CPP_MAY_INCLUDE[layer]}
    upward = [
        f"{path}: {header}"
        for path, header in _cpp_includes(layer)
        if header.startswith("ops/") and header.split("/")[1] not in allowed
    ]
    assert not upward


@pytest.mark.parametrize("library", CPP_LIBRARIES)
def test_a_library_is_included_only_by_the_layer_that_wraps_it(library: str) -> None:
    strays = [
        f"{path}: {header}"
        for layer in CPP_LAYERS
        if layer not in CPP_LIBRARIES[library]
        for path, header in _cpp_includes(layer)
        if re.match(library, header)
    ]
    assert not strays


def test_cpp_files_include_project_headers_by_their_path_from_the_root() -> None:
    relative = [
        f"{path}: {header}"
        for layer in CPP_LAYERS
        for path, header in _cpp_includes(layer)
        if (ROOT / path.parent / header).exists()
    ]
    assert not relative


def _cpp_files() -> list[Path]:
    return sorted((ROOT / "ops").rglob("*.h")) + sorted((ROOT / "ops").rglob("*.cc"))


def test_cpp_files_lock_only_mutexes_that_clang_can_check() -> None:
    unchecked = re.compile(
        r"std::(\w*mutex|lock_guard|unique_lock|scoped_lock|shared_lock|condition_variable\w*)\b"
    )
    strays = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in _cpp_files()
        if path != ROOT / "ops" / "base" / "mutex.h"
        for match in unchecked.finditer(path.read_text())
    ]
    assert not strays


def test_every_mutex_names_what_it_guards() -> None:
    silent = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in _cpp_files()
        for name in re.findall(r"\bMutex (\w+);", path.read_text())
        if not re.search(rf"PCR_(PT_)?GUARDED_BY\({name}\)", path.read_text())
    ]
    assert not silent


@pytest.mark.parametrize("layer", CPP_LAYERS)
def test_the_source_list_names_every_file_of_a_layer_in_order(layer: str) -> None:
    for kind, pattern in (("hdrs", "*.h"), ("srcs", "*.cc")):
        assert native.layer_files(layer, kind) == sorted((ROOT / "ops" / layer).rglob(pattern))


def test_every_folder_of_cpp_sources_is_a_known_layer() -> None:
    folders = {path.relative_to(ROOT / "ops").parts[0] for path in (ROOT / "ops").rglob("*.cc")}
    assert folders <= set(CPP_LAYERS)


@pytest.mark.parametrize("part", PYTHON_MAY_IMPORT)
def test_a_python_part_imports_only_the_parts_below_it(part: str) -> None:
    allowed = {part, *PYTHON_MAY_IMPORT[part]}
    upward = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}: {module}"
        for path in _python_files(part)
        for node in ast.walk(ast.parse(path.read_text()))
        for module in _imported_modules(node)
        if module.startswith("pcr_tf.") and module.split(".")[1] not in allowed
    ]
    assert not upward


def test_the_rooms_of_sources_import_only_what_is_shared_and_their_own() -> None:
    sources = ROOT / "pcr_tf" / "convert" / "sources"
    strays = []
    for path in sources.rglob("*.py"):
        room = path.relative_to(sources).parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            for module in _imported_modules(node):
                names = module.split(".")
                is_room = names[:3] == ["pcr_tf", "convert", "sources"] and len(names) > 3
                if is_room and (sources / names[3]).is_dir() and names[3] != room:
                    strays.append(f"{path.relative_to(ROOT)}: {module}")
                if names[:2] == ["pcr_tf", "convert"] and names[2:3] == ["job"]:
                    strays.append(f"{path.relative_to(ROOT)}: {module}")
    assert not strays


@pytest.mark.parametrize("part", PYTHON_ON_DEMAND)
def test_what_runs_in_tensorflow_is_imported_on_demand_by_parts_that_do_not(part: str) -> None:
    early = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in _python_files(part)
        for node in _runs_at_import(ast.parse(path.read_text()))
        for module in _imported_modules(node)
        if module.startswith("pcr_tf.") and module.split(".")[1] in PYTHON_ON_DEMAND[part]
    ]
    assert not early


def test_every_part_of_the_python_package_is_a_known_one() -> None:
    parts = {path.stem for path in (ROOT / "pcr_tf").iterdir() if path.suffix in ("", ".py")}
    assert parts - {"__init__", "__pycache__"} <= set(PYTHON_MAY_IMPORT)


def test_only_the_keras_part_imports_keras() -> None:
    strays = [
        str(path.relative_to(ROOT))
        for part in set(PYTHON_MAY_IMPORT) - {"keras"}
        for path in _python_files(part)
        for node in ast.walk(ast.parse(path.read_text()))
        for module in _imported_modules(node)
        if module.split(".")[0] == "keras" or module.startswith("tensorflow.keras")
    ]
    assert not strays


def test_tensorflow_is_imported_only_by_the_parts_that_run_in_it() -> None:
    strays = []
    for part in set(PYTHON_MAY_IMPORT) - PYTHON_WITH_TENSORFLOW:
        for path in _python_files(part):
            tree = ast.parse(path.read_text())
            on_demand = path.relative_to(ROOT) in PYTHON_TENSORFLOW_ON_DEMAND
            nodes = _runs_at_import(tree) if on_demand or part == "cli" else ast.walk(tree)
            strays += [
                f"{path.relative_to(ROOT)}: {module}"
                for node in nodes
                for module in _imported_modules(node)
                if module.split(".")[0].startswith("tensorflow")
            ]
    assert not strays


def test_only_the_beam_transform_imports_apache_beam() -> None:
    strays = []
    for part in PYTHON_MAY_IMPORT:
        for path in _python_files(part):
            tree = ast.parse(path.read_text())
            strays += [
                f"{path.relative_to(ROOT)}: {module}"
                for node in (_runs_at_import(tree) if part == "cli" else ast.walk(tree))
                for module in _imported_modules(node)
                if module.split(".")[0] == "apache_beam" or module == "pcr_tf.convert.beam"
                if path.relative_to(ROOT) != Path("pcr_tf/convert/beam.py")
            ]
    assert not strays


def test_the_package_imports_none_of_its_parts_but_the_version() -> None:
    tree = ast.parse((ROOT / "pcr_tf" / "__init__.py").read_text())
    imported = [module for node in _runs_at_import(tree) for module in _imported_modules(node)]
    assert [module for module in imported if module.startswith("pcr_tf")] == ["pcr_tf.version"]


def test_no_test_module_imports_from_another() -> None:
    """What two of them share is a helper: a module of its own. Programs in strings count too."""
    imports = re.compile(
        r"^\s*(?:from|import)\s+tests(?:\.\w+)*(?:\.test_\w+| import .*\btest_\w+)", re.M
    )
    borrowed = [
        f"{path.relative_to(ROOT)}: {match.group().strip()}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for match in imports.finditer(path.read_text())
    ]
    assert not borrowed


def test_the_reference_reader_works_where_nothing_was_built() -> None:
    golden = ROOT / "tests" / "golden" / "v1" / "valid" / "one_image.pcr"
    program = (
        "import pathlib, sys\n"
        "sys.modules['pcr_tf._native'] = None\n"
        "from pcr_tf.format import reference\n"
        "data = pathlib.Path(sys.argv[1]).read_bytes()\n"
        "print(len(reference.read_shard(data, 'one_image.pcr').examples(1)))\n"
    )
    command = [sys.executable, "-c", program, str(golden)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_the_parts_of_the_format_package_are_reached_by_name() -> None:
    import pcr_tf.format

    assert pcr_tf.format.reference.__name__ == "pcr_tf.format.reference"
    assert "reference" in dir(pcr_tf.format)
