"""Scan scripts by name, file or text (docs/FORMAT.md, section 12)."""

from __future__ import annotations

import os
from pathlib import Path

from pcr_tf.format import filesystem

DEFAULT = "compact"

# In an installed package the folder travels inside it; in a source tree it is configs/ at the root.
_PACKAGE = Path(__file__).resolve().parent.parent
_FOLDERS = (_PACKAGE / "configs" / "scan_scripts", _PACKAGE.parent / "configs" / "scan_scripts")


def named_scripts() -> dict[str, Path]:
    """The scan scripts that come with the package, by name."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.txt"))} if folder else {}


def load_scan_script(script: str | os.PathLike[str] | None = None) -> str:
    """The text of a scan script.

    Args:
        script: None for the default one, `compact`; else the name of a script that comes with the
            package, the path of a file, or the text itself (recognised by its ``:``-separated
            entries ending in ``;``).

    Raises:
        ValueError: `script` is none of these. That the text is a valid, complete progression is
            checked by `pcr_tf._native.ScanScript`, which names the line in error.
    """
    script = DEFAULT if script is None else os.fspath(script)
    if ";" in script:
        return script
    scripts = named_scripts()
    if script in scripts:
        return scripts[script].read_text()
    if filesystem.exists(script) and not filesystem.is_dir(script):
        return filesystem.read_bytes(script).decode()
    raise ValueError(
        f"scan script {script!r}: neither a file nor a script of this package; "
        f"expected one of {', '.join(scripts) or '(none installed)'}, a file, or the script's text"
    )
