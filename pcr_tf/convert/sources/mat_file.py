"""The two shapes of MATLAB's .mat files that data sets of photographs come in."""

from __future__ import annotations

import io
from typing import Any

from pcr_tf.convert.errors import ConvertError, ListingError


def struct_array(path: str, data: bytes) -> tuple[list[str], list[list[str]]]:
    """The only struct array with more than one field of a .mat file, as a table.

    Fields that hold neither one number nor one text in any element are left out.

    Returns:
        Names of the fields; per element their values as text.

    Raises:
        ListingError: the file holds no such array, or several.
        ConvertError: SciPy is not installed.
    """
    found = {
        name: value.reshape(-1)
        for name, value in _variables(path, data).items()
        if getattr(value, "dtype", None) is not None and value.dtype.names and value.size
    }
    if len(found) != 1:
        raise ListingError(
            f"{path}: expected one struct array, as `annotations` of Stanford Cars, got "
            f"{_described(path, data)}"
        )
    (array,) = found.values()
    names = [
        name
        for name in array.dtype.names
        if any(_text(element) is not None for element in array[name])
    ]
    rows = []
    for number, element in enumerate(array, 1):
        cells = []
        for name in names:
            text = _text(element[name])
            if text is None:
                raise ListingError(
                    f"{path}: element {number}: field {name!r}: expected a number or a text, got "
                    f"{_shape(element[name])}"
                )
            cells.append(text)
        rows.append(cells)
    return names, rows


def cell_strings(path: str, data: bytes) -> list[str]:
    """The only cell array of strings of a .mat file.

    Raises:
        ListingError: the file holds no such array, or several.
        ConvertError: SciPy is not installed.
    """
    found = []
    for value in _variables(path, data).values():
        if getattr(value, "dtype", None) is not None and value.dtype.kind == "O" and value.size:
            texts = [_text(element) for element in value.reshape(-1)]
            if all(isinstance(text, str) for text in texts):
                found.append([str(text) for text in texts])
    if len(found) != 1:
        raise ListingError(
            f"{path}: expected one cell array of strings, as `class_names` of Stanford Cars, got "
            f"{_described(path, data)}"
        )
    return found[0]


def _variables(path: str, data: bytes) -> dict[str, Any]:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ConvertError(
            f"{path}: reading .mat files needs SciPy; install pcr-tf[cars], or export the table as "
            "CSV"
        ) from error
    try:
        variables: dict[str, Any] = loadmat(io.BytesIO(data))
    except NotImplementedError as error:  # Version 7.3 is HDF5.
        raise ListingError(
            f"{path}: a .mat file of version 7.3; save it with -v7, or export it as CSV"
        ) from error
    except Exception as error:  # SciPy raises what its parsers meet.
        raise ListingError(f"{path}: not a .mat file, or damaged: {error}") from error
    return {name: value for name, value in variables.items() if not name.startswith("__")}


def _text(value: Any) -> str | None:
    """A value of a struct's field or of a cell as text; None where it is not one number or text."""
    if getattr(value, "dtype", None) is None or value.dtype.names:
        return None
    if value.size == 0:
        return ""
    if value.size != 1 or value.dtype.kind not in "biufU":
        return None
    scalar = value.reshape(-1)[0]
    if value.dtype.kind == "f" and float(scalar).is_integer():
        return str(int(scalar))
    return str(int(scalar)) if value.dtype.kind == "b" else str(scalar)


def _described(path: str, data: bytes) -> str:
    texts = [f"{name}: {_shape(value)}" for name, value in _variables(path, data).items()]
    return "; ".join(texts) or "no variables"


def _shape(value: Any) -> str:
    dtype = value.dtype
    kind = f"struct with {', '.join(dtype.names)}" if dtype.names else str(dtype)
    return f"{' x '.join(map(str, value.shape))} {'cell' if dtype.kind == 'O' else kind}"
