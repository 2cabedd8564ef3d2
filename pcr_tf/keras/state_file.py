"""What a callback has learned, at the end of each epoch, in a JSON file."""

from __future__ import annotations

import json
import os
from typing import Any

from pcr_tf.format import filesystem

_VERSION = 1


class StateFile:
    """States by epoch, so that training that goes on from any epoch finds the right one.

    All epochs are kept: a backup of the weights may be older than the newest state.
    """

    def __init__(self, path: str | os.PathLike[str], owner: str) -> None:
        """Names a file; it need not exist.

        Args:
          path: local, or in any file system that TensorFlow knows. Of this callback alone.
          owner: name of the callback's class, which the file must be of.
        """
        self._path = os.fspath(path)
        self._owner = owner
        self._states: dict[int, dict[str, Any]] = {}

    def begin(self, epoch: int) -> dict[str, Any] | None:
        """The state in which epoch `epoch` begins: the newest before it; None: there is none.

        What the file says of later epochs is forgotten.

        Raises:
          ValueError: the file is not of this class of callback.
        """
        self._states = {e: state for e, state in self._read().items() if e < epoch}
        return self._states[max(self._states)] if self._states else None

    def write(self, epoch: int, state: dict[str, Any]) -> None:
        """Adds the state at the end of an epoch. The file is replaced in one step."""
        self._states[epoch] = state
        filesystem.makedirs(filesystem.dirname(self._path))
        states = {str(e): one for e, one in sorted(self._states.items())}
        document = {"version": _VERSION, "callback": self._owner, "after_epoch": states}
        filesystem.write_atomic(self._path, json.dumps(document, indent=1).encode() + b"\n")

    def _read(self) -> dict[int, dict[str, Any]]:
        if not filesystem.exists(self._path):
            return {}
        try:
            document = json.loads(filesystem.read_bytes(self._path))
            found = (document["version"], document["callback"])
            states = {int(epoch): dict(one) for epoch, one in document["after_epoch"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{self._path}: not the state of a callback: {error!r}") from error
        if found != (_VERSION, self._owner):
            raise ValueError(
                f"{self._path}: version and callback; expected {(_VERSION, self._owner)}, "
                f"got {found}; give each callback a file of its own"
            )
        return states
