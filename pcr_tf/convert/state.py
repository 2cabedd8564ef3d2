"""What makes a conversion resumable: the folder ``.pcr-convert`` beside the shards.

`state.json` says which job the output belongs to and stays. `<shard>.json` says what a finished
shard holds and goes when the manifest, which says the same, is written. A shard is finished when
its own file and its `<shard>.json` agree; everything else is done again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from typing import Any

from pcr_tf.convert.errors import ConvertError
from pcr_tf.convert.options import ConvertOptions
from pcr_tf.convert.shard_job import ShardResult
from pcr_tf.convert.sources import Listing
from pcr_tf.format import filesystem
from pcr_tf.format.dataset_index import SHARD_SUFFIX, SIDE_INDEX_NAME, load_shard_index
from pcr_tf.format.writer import created_by

STATE_FOLDER = ".pcr-convert"
MANIFEST_NAME = "manifest.json"

_MAX_NAMED = 5


def job_fingerprint(options: ConvertOptions, listing: Listing) -> dict[str, Any]:
    """Everything that the result depends on, as JSON values."""
    return {
        "created_by": created_by(),
        "flags": options.fingerprint(),
        "source": dict(sorted(listing.digests.items(), key=lambda group: os.fsencode(group[0]))),
    }


class OutputState:
    """The state of one output folder."""

    def __init__(self, output: str) -> None:
        self.output = output
        self._folder = filesystem.join(output, STATE_FOLDER)
        self._state_path = filesystem.join(self._folder, "state.json")

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

        handle = os.open(self._folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConvertError(
                    f"{self.output}: another conversion is writing to it; wait for it or stop it"
                ) from error
            yield
        finally:
            os.close(handle)

    def check(self, fingerprint: dict[str, Any], shard_names: list[str]) -> bool:
        """Whether the output was begun by this very job; False if it is new or empty.

        Raises:
            ConvertError: the output holds something else, or another job's result.
        """
        if not filesystem.exists(self.output):
            return False
        if not filesystem.is_dir(self.output):
            raise ConvertError(
                f"{self.output}: exists and is not a folder; name a new folder with --output"
            )
        names = filesystem.listdir(self.output)
        if not names:
            return False
        if not filesystem.exists(self._state_path):
            # A job that was killed before it wrote its state left nothing but its folder.
            foreign = [name for name in names if name != STATE_FOLDER]
            if not foreign:
                return False
            raise ConvertError(
                f"{self.output}: not empty, and not made by a conversion; it holds "
                f"{_some(foreign)}; "
                "name a new or empty folder with --output"
            )
        self._check_same_job(fingerprint)
        ours = {*shard_names, SIDE_INDEX_NAME, MANIFEST_NAME, STATE_FOLDER}
        foreign = [n for n in names if n.endswith(SHARD_SUFFIX) and n not in ours]
        if foreign:
            raise ConvertError(
                f"{self.output}: holds shards that are not this conversion's: {_some(foreign)}; "
                "move them away"
            )
        return True

    def make_folder(self) -> None:
        """Makes the output folder and, inside it, the folder that is locked."""
        filesystem.makedirs(self._folder)

    def begin(self, fingerprint: dict[str, Any]) -> None:
        """Notes which job the output belongs to, and removes what a killed one left half done."""
        if not filesystem.exists(self._state_path):
            filesystem.write_atomic(self._state_path, _to_json(fingerprint))
        self.remove_temporaries()

    def is_finished(self) -> bool:
        """Whether the manifest, which is written last, is there."""
        return filesystem.exists(filesystem.join(self.output, MANIFEST_NAME))

    def save(self, result: ShardResult) -> None:
        """Notes that a shard is finished."""
        filesystem.write_atomic(
            self._result_path(result.name), _to_json(dataclasses.asdict(result))
        )

    def finished(self, shard_name: str) -> ShardResult | None:
        """What a shard holds, if it is finished."""
        try:
            fields = json.loads(filesystem.read_bytes(self._result_path(shard_name)))
            result = ShardResult.from_json(fields)
            index = load_shard_index(filesystem.join(self.output, shard_name))
        except (OSError, ValueError, TypeError):
            return None
        found = (index.file_bytes, index.footer_checksum)
        return result if found == (result.file_bytes, result.footer_checksum) else None

    def remove_temporaries(self) -> None:
        """Removes what killed workers left under temporary names."""
        for folder in (self.output, self._folder):
            for name in filesystem.listdir(folder):
                if filesystem.is_temporary(name):
                    with contextlib.suppress(FileNotFoundError):
                        filesystem.remove(filesystem.join(folder, name))

    def end(self, shard_names: list[str]) -> None:
        """Removes what only a resumed job needs."""
        for name in shard_names:
            with contextlib.suppress(FileNotFoundError):
                filesystem.remove(self._result_path(name))

    def _result_path(self, shard_name: str) -> str:
        return filesystem.join(self._folder, f"{shard_name}.json")

    def _check_same_job(self, fingerprint: dict[str, Any]) -> None:
        try:
            stored = json.loads(filesystem.read_bytes(self._state_path))
            differences = _differences(stored, json.loads(_to_json(fingerprint)))
        except (ValueError, AttributeError, KeyError) as error:
            raise ConvertError(
                f"{self._state_path}: damaged: {error}; remove {self.output} and convert again"
            ) from error
        if differences:
            raise ConvertError(
                f"{self.output}: belongs to a conversion with other flags or another source: "
                f"{_some(differences, '; ')}; repeat its flags, or name another folder with "
                "--output"
            )


def _differences(stored: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What differs between two fingerprints, as "name: there, here"."""
    found = []
    if stored["created_by"] != wanted["created_by"]:
        found.append(f"made by {stored['created_by']}, this is {wanted['created_by']}")
    for part, label in (("flags", "--"), ("source", "source ")):
        for name in sorted({*stored[part], *wanted[part]}):
            there, here = (side[part].get(name, "nothing") for side in (stored, wanted))
            if there != here:
                found.append(f"{label}{name} was {_text(there)}, is {_text(here)}")
    return found


def _text(value: Any) -> str:
    text = ",".join(value) if isinstance(value, list) else str(value)
    return " ".join(text.split()) if len(text) < 200 else f"{' '.join(text.split())[:160]}..."


def _some(names: list[str], separator: str = ", ") -> str:
    more = len(names) - _MAX_NAMED
    return separator.join(names[:_MAX_NAMED]) + (f"{separator}and {more} more" if more > 0 else "")


def _to_json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"
