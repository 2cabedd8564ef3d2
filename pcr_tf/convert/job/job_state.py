"""The state of an output folder, which lets a job that was stopped go on.

A hidden folder in the output holds `state.json`, which says which job the output belongs to, and
`<part>.json` for each part of the job that is finished. What is under a temporary name is removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pcr_tf.convert.errors import ConvertError, some
from pcr_tf.format import filesystem
from pcr_tf.format.names import to_json
from pcr_tf.format.scan_scripts import named_scripts


class JobState:
    """The state of one output folder.

    Attributes:
        output: the output folder; folder: the hidden one in it.
    """

    def __init__(self, output: str, *, folder: str, verb: str, noun: str) -> None:
        """Looks at nothing yet.

        Args:
            folder: name of the hidden folder.
            verb, noun: what the job does, as messages say it: "convert", "a conversion".
        """
        self.output = output
        self.folder = filesystem.join(output, folder)
        self._state_path = filesystem.join(self.folder, "state.json")
        self._verb = verb
        self._noun = noun

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other jobs on this machine out of the output. Remote outputs are not locked.

        Raises:
            ConvertError: another job is writing there.
        """
        if filesystem.is_remote(self.output):
            yield
            return
        import fcntl

        handle = os.open(self.folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                noun = self._noun.split()[-1]
                raise ConvertError(
                    f"{self.output}: another {noun} is writing to it; wait for it or stop it"
                ) from error
            yield
        finally:
            os.close(handle)

    def check(self, fingerprint: dict[str, Any]) -> bool:
        """Whether the output was begun by this very job; False if it is new or empty.

        Raises:
            ConvertError: the output holds something else, or another job's result.
        """
        if not filesystem.exists(self.output):
            return False
        if not filesystem.is_dir(self.output):
            raise ConvertError(
                f"{self.output}: exists and is not a folder; name a new folder with `output`"
            )
        names = filesystem.listdir(self.output)
        if not names:
            return False
        if not filesystem.exists(self._state_path):
            # A job that was killed before it wrote its state left nothing but its folder.
            foreign = [name for name in names if name != filesystem.basename(self.folder)]
            if not foreign:
                return False
            raise ConvertError(
                f"{self.output}: not empty, and not made by {self._noun}; it holds "
                f"{some(foreign)}; "
                "name a new or empty folder with `output`"
            )
        self._check_same_job(fingerprint)
        return True

    def make_folder(self) -> None:
        """Makes the output folder and, inside it, the folder that is locked."""
        filesystem.makedirs(self.folder)

    def begin(self, fingerprint: dict[str, Any]) -> None:
        """Notes which job the output belongs to, and removes what a killed one left half done."""
        if not filesystem.exists(self._state_path):
            filesystem.write_atomic(self._state_path, to_json(fingerprint))
        self.remove_temporaries()

    def remove_temporaries(self) -> None:
        """Removes what killed workers left under temporary names."""
        for folder in (self.output, self.folder):
            for name in filesystem.listdir(folder):
                if filesystem.is_temporary(name):
                    with contextlib.suppress(FileNotFoundError):
                        filesystem.remove(filesystem.join(folder, name))

    def save_part(self, part: str, fields: dict[str, Any]) -> None:
        """Notes that a part is finished."""
        filesystem.write_atomic(self._part_path(part), to_json(fields))

    def load_part(self, part: str) -> dict[str, Any] | None:
        """What `save_part` noted; None where it noted nothing."""
        try:
            fields = json.loads(filesystem.read_bytes(self._part_path(part)))
        except (OSError, ValueError):
            return None
        return fields if isinstance(fields, dict) else None

    def forget_part(self, part: str) -> None:
        """Removes what `save_part` noted."""
        with contextlib.suppress(FileNotFoundError):
            filesystem.remove(self._part_path(part))

    def _part_path(self, part: str) -> str:
        return filesystem.join(self.folder, f"{part}.json")

    def _check_same_job(self, fingerprint: dict[str, Any]) -> None:
        try:
            stored = json.loads(filesystem.read_bytes(self._state_path))
            wanted = json.loads(to_json(fingerprint))
            differences, packages = _differences(stored, wanted), _packages(stored, wanted)
        except (ValueError, AttributeError, KeyError) as error:
            raise ConvertError(
                f"{self._state_path}: damaged: {error}; remove {self.output} and {self._verb} again"
            ) from error
        remedies = ["repeat its flags"] if differences else []
        remedies += [f"pip install {name}=={there}" for name, there, _ in packages]
        differences += [f"{name} was {there}, is {here}" for name, there, here in packages]
        if differences:
            raise ConvertError(
                f"{self.output}: belongs to {self._noun} with other flags, packages or another "
                f"source: {some(differences, '; ')}; {' and '.join(remedies)}, or name another "
                f"folder with `output`, or remove {self.output} to {self._verb} anew"
            )


def check_output_is_outside(output: str, inputs: Sequence[str]) -> None:
    """The source is never touched: nothing is written into a folder of it."""
    real = _real(output)
    for given in inputs:
        if filesystem.exists(given):
            paths = [given]
        else:
            paths = filesystem.glob(given)
            # Once it is there, the pattern takes the output in.
            local = paths and not filesystem.is_remote(real)
            if local and pathlib.PurePath(real).match(_real(given)):
                paths.append(output)
        if any(path == output or _is_inside(real, path) for path in paths):
            raise ConvertError(
                f"{output}: is inside the source {given}; name a folder outside with `output`"
            )


def _is_inside(real: str, folder: str) -> bool:
    root = _real(folder).rstrip("/")
    return (real.rstrip("/") + "/").startswith(f"{root}/") and filesystem.is_dir(folder)


def _real(path: str) -> str:
    """One name for each local path, with or without ``file://``; others as they are."""
    path = path.removeprefix("file://")
    return path if filesystem.is_remote(path) else os.path.realpath(path)


def _differences(stored: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What differs between two fingerprints, as "name: there, here"."""
    found = []
    if stored["created_by"] != wanted["created_by"]:
        found.append(f"made by {stored['created_by']}, this is {wanted['created_by']}")
    for part, quote, label in (("flags", "`", ""), ("source", "", "source ")):
        for name in sorted({*stored[part], *wanted[part]}):
            there, here = (side[part].get(name, "nothing") for side in (stored, wanted))
            if there != here:
                field = f"{quote}{label}{name}{quote}"
                found.append(f"{field} was {_text(name, there)}, is {_text(name, here)}")
    return found


def _packages(stored: dict[str, Any], wanted: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, version there and version here of the packages that differ, which few jobs have."""
    here = wanted.get("packages", {})
    return [
        (name, version, here[name])
        for name, version in stored.get("packages", {}).items()
        if name in here and here[name] != version
    ]


def _text(name: str, value: Any) -> str:
    if name == "scan_script":
        return _script_text(str(value))
    text = ",".join(value) if isinstance(value, list) else str(value)
    return " ".join(text.split()) if len(text) < 200 else f"{' '.join(text.split())[:160]}..."


def _script_text(script: str) -> str:
    """The name of a scan script, or how it begins, without its comments, and its digest."""
    for name, path in named_scripts().items():
        if script == path.read_text():
            return name
    entries = " ".join(re.sub(r"#.*", "", script).split())
    digest = hashlib.sha256(script.encode()).hexdigest()[:8]
    return f"{entries[:60]}... (SHA-256 {digest})"
