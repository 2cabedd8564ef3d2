"""The two shapes of MATLAB's .mat files that data sets of photographs come in, read by SciPy.

SciPy's reader runs in a process of its own, since damaged files have ended it with a segmentation
fault; its result comes back as JSON.
"""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
from typing import Any

from pcr_tf.convert.errors import ConvertError, ListingError

# More than any list of images takes.
_TIMEOUT_S = 300


def struct_array(path: str, data: bytes) -> tuple[list[str], list[list[str]]]:
    """The only struct array of a .mat file, as a table.

    Fields that hold neither one number nor one text in any element are skipped.

    Returns:
      Names of the fields; per element their values as text.

    Raises:
      ListingError: the file is damaged, or holds no such array, or several.
    """
    variables = _variables(path, data)
    arrays = [v for v in variables if v["kind"] == "struct" and v["rows"]]
    if len(arrays) != 1:
        raise ListingError(
            f"{path}: expected one struct array, as `annotations` of Stanford Cars, got "
            f"{_described(variables)}"
        )
    (array,) = arrays
    rows: list[list[str | None]] = array["rows"]
    names: list[str] = array["names"]
    kept = [at for at in range(len(names)) if any(row[at] is not None for row in rows)]
    table = []
    for number, row in enumerate(rows, 1):
        cells = []
        for at in kept:
            text = row[at]
            if text is None:
                raise ListingError(
                    f"{path}: element {number}: field {names[at]!r}: expected one number "
                    "or one text"
                )
            cells.append(text)
        table.append(cells)
    return [names[at] for at in kept], table


def cell_strings(path: str, data: bytes) -> list[str]:
    """The only cell array of strings of a .mat file.

    Raises:
      ListingError: the file is damaged, or holds no such array, or several.
    """
    variables = _variables(path, data)
    arrays: list[list[str]] = [
        v["texts"]
        for v in variables
        if v["kind"] == "cell" and v["texts"] and None not in v["texts"]
    ]
    if len(arrays) != 1:
        raise ListingError(
            f"{path}: expected one cell array of strings, as `class_names` of Stanford Cars, got "
            f"{_described(variables)}"
        )
    return arrays[0]


def _described(variables: list[dict[str, Any]]) -> str:
    texts = []
    for variable in variables[:5]:
        fields = f" with {', '.join(variable['names'])}" if variable["names"] else ""
        shape = " x ".join(map(str, variable["shape"]))
        texts.append(f"{variable['name']}: {shape} {variable['kind']}{fields}")
    return "; ".join(texts) or "no variables"


def _variables(path: str, data: bytes) -> list[dict[str, Any]]:
    """Per variable: name, kind, shape; names and rows of a struct, texts of a cell array."""
    if importlib.util.find_spec("scipy") is None:
        raise ConvertError(f"{path}: MATLAB files require SciPy: pip install 'pcr_tf[mat]'")
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=data,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ListingError(f"{path}: SciPy timed out reading it, after {_TIMEOUT_S} s") from error
    if done.returncode < 0:
        raise ListingError(f"{path}: damaged: SciPy died of signal {-done.returncode} reading it")
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise ListingError(
            f"{path}: not a .mat file that SciPy can read; expected one of version 4 to 7.2 "
            f"(save -v7 writes it): {lines[-1]}"
        )
    variables: list[dict[str, Any]] = json.loads(done.stdout)
    return variables


def _as_json(name: str, array: Any) -> dict[str, Any]:
    """The description of a NumPy array that SciPy made of a variable."""
    described = {"name": name, "kind": "number", "shape": array.shape, "names": []}
    if array.dtype.names:
        names = list(array.dtype.names)
        rows = [[_text(element[field]) for field in names] for element in array.flat]
        return described | {"kind": "struct", "names": names, "rows": rows}
    if array.dtype.kind == "O":
        return described | {"kind": "cell", "texts": [_text(element) for element in array.flat]}
    return described | {"kind": "text"} if array.dtype.kind == "U" else described


def _text(value: Any) -> str | None:
    """One number or one text, "" for an empty array, else None."""
    if value.dtype.kind not in "biufU":
        return None
    if value.size == 0:
        return ""
    if value.size != 1:
        return None
    element = value.flat[0]
    if value.dtype.kind == "f" and float(element).is_integer():
        return str(int(element))
    return str(element)


def _main() -> None:
    """From a .mat file on standard input to JSON on standard output."""
    import scipy.io

    variables = scipy.io.loadmat(io.BytesIO(sys.stdin.buffer.read()))
    arrays = {name: array for name, array in variables.items() if not name.startswith("__")}
    print(json.dumps([_as_json(name, array) for name, array in arrays.items()]))


if __name__ == "__main__":
    _main()
