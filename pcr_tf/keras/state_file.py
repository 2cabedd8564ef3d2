"""What a callback has learned, at the end of each epoch, in a JSON file."""

from __future__ import annotations

import json
import os
import weakref
from typing import Any

from pcr_tf.format import filesystem

_VERSION = 1

# Files that callbacks have claimed whose first epoch has not begun: those of one fit().
_claimed: weakref.WeakValueDictionary[str, StateFile] = weakref.WeakValueDictionary()


class StateFile:
    """States by epoch, so that training that goes on from any epoch finds the right one.

    All epochs are kept: a backup of the weights may be older than the newest state.
    """

    def __init__(self, path: str | os.PathLike[str], owner: str) -> None:
        """Names a file; it need not exist.

        Args:
          path: local, or in any file system that TensorFlow knows. Of this callback alone.
          owner: name of the callback's class, which the file must be of.

        Raises:
          TypeError, ValueError: for what is no path.
        """
        if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
            raise TypeError(f"state_path; expected the path of a file, got {path!r}")
        if not os.fspath(path):
            raise ValueError("state_path; expected the path of a file, got ''")
        name = os.fspath(path)
        self._path = name if filesystem.is_remote(name) else os.path.abspath(name)
        self._owner = owner
        self._states: dict[int, dict[str, Any]] = {}

    def claim(self) -> None:
        """To be called when `fit` begins, for all callbacks before the first `begin`.

        Raises:
          ValueError: another callback of the same `fit` has claimed the file.
        """
        if _claimed.get(self._path, self) is not self:
            del _claimed[self._path]  # What is tried next may be right.
            raise ValueError(
                f"state_path; expected a file for each callback, got {self._path} for two"
            )
        _claimed[self._path] = self

    def release(self) -> None:
        """Ends the claim, if there is one."""
        if _claimed.get(self._path) is self:
            del _claimed[self._path]

    def begin(self, epoch: int) -> dict[str, Any] | None:
        """The state in which epoch `epoch` begins: the newest before it; None: there is none.

        What the file says of later epochs is forgotten at the next `write`. It is written back as
        it is, so that a path that cannot be written is found before an epoch is trained.

        Raises:
          ValueError: the file is not of this class of callback.
          OSError: it cannot be written.
        """
        self.release()
        states = self._read()
        self._replace(states)
        self._states = {e: state for e, state in states.items() if e < epoch}
        return self._states[max(self._states)] if self._states else None

    def write(self, epoch: int, state: dict[str, Any]) -> None:
        """Adds the state at the end of an epoch. The file is replaced in one step."""
        self._states[epoch] = state
        self._replace(self._states)

    def _replace(self, states: dict[int, dict[str, Any]]) -> None:
        filesystem.makedirs(filesystem.dirname(self._path))
        by_epoch = {str(e): one for e, one in sorted(states.items())}
        document = {"version": _VERSION, "callback": self._owner, "after_epoch": by_epoch}
        filesystem.write_atomic(self._path, json.dumps(document, indent=1).encode() + b"\n")

    def _read(self) -> dict[int, dict[str, Any]]:
        if not filesystem.exists(self._path):
            return {}
        try:
            document = json.loads(filesystem.read_bytes(self._path))
            written_by = (document["version"], document["callback"])
            states = {int(epoch): dict(state) for epoch, state in document["after_epoch"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{self._path}: not the state of a callback: {error!r}") from error
        if written_by != (_VERSION, self._owner):
            raise ValueError(
                f"{self._path}: version and callback; expected {(_VERSION, self._owner)}, "
                f"got {written_by}; give each callback a file of its own"
            )
        return states
