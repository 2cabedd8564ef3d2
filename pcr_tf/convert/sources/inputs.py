"""Which files and folders the inputs of a job name."""

from __future__ import annotations

import collections
import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Sequence

from pcr_tf.convert.errors import ListingError, UnreadableItemError
from pcr_tf.format import filesystem

# The name of one file of a set: ...-00003-of-01024...
_OF_A_SET = re.compile(r"(.*?)(\d+)-of-(\d+)(.*)")
_MAX_FILES_OF_A_SET = 100_000


def expand_patterns(patterns: Sequence[str]) -> list[str]:
    """The files and folders that paths and globs name, each once however it is spelled; those of
    one glob sorted bytewise.

    Raises:
        ListingError: a pattern matches nothing.
    """
    return _each_once(path for pattern in patterns for path in _expand(pattern))


def expand_to_files(
    patterns: Sequence[str], is_wanted: Callable[[str], bool] = lambda name: True
) -> list[str]:
    """The files that paths, globs and folders name, each once.

    A folder stands for the files in it, hidden ones aside, whose names are wanted. A folder or
    glob that names some files of a set (``-00003-of-01024``) names all of them: those that it would
    name as well but that are not there are among the files, so that they are missed when they are
    read. Files that are named one by one, or by a narrower glob, may be as few as they are.

    Raises:
        ListingError: a pattern matches nothing.
    """
    found: list[str] = []
    for pattern in patterns:
        paths = _expand(pattern)
        is_glob = paths != [pattern]
        files = []
        for path in paths:
            if filesystem.is_dir(path):
                names = [name for name in filesystem.listdir(path) if not name.startswith(".")]
                inside = [filesystem.join(path, name) for name in names if is_wanted(name)]
                found += _complete([file for file in inside if not filesystem.is_dir(file)])
            else:
                files.append(path)
        found += _complete(files, filesystem.basename(pattern)) if is_glob else files
    return _each_once(found)


def unreadable_file(path: str, error: OSError) -> UnreadableItemError:
    """What `error` says of a file of `expand_to_files`."""
    why = f"cannot be read: {error.strerror}"
    if isinstance(error, FileNotFoundError) and _OF_A_SET.fullmatch(filesystem.basename(path)):
        why += "; is its set complete? Get it, or name the files that you mean"
    return UnreadableItemError(path, why)


def _expand(pattern: str) -> list[str]:
    if filesystem.exists(pattern):
        return [pattern]
    paths = filesystem.glob(pattern)
    if not paths:
        braces = "; braces are a shell's: leave them unquoted, or use * and ?"
        raise ListingError(
            f"{pattern}: no such file or folder, and no file matches it as a pattern"
            f"{braces if '{' in pattern else ''}"
        )
    return paths


def _each_once(paths: Iterable[str]) -> list[str]:
    """The same paths without those that are others in another spelling."""
    spelled: dict[str, str] = {}
    for path in paths:
        spelled.setdefault(_one_spelling(path), path)
    return list(spelled.values())


def _one_spelling(path: str) -> str:
    """Links to a file are files of their own; those of folders on the way are not."""
    path = path.rstrip("/") or "/"
    if filesystem.is_remote(path):
        return path
    folder, name = os.path.split(path)
    if name in ("", ".", ".."):
        return os.path.realpath(path)
    return os.path.join(os.path.realpath(folder), name)


def _complete(paths: list[str], pattern: str = "*") -> list[str]:
    """`paths`, and those files of their sets that `pattern` fits and that are not among them."""
    numbers = collections.defaultdict(set)
    for path in paths:
        folder, name = filesystem.dirname(path), filesystem.basename(path)
        match = _OF_A_SET.fullmatch(name)
        if match and len(match[2]) == len(match[3]) and int(match[3]) <= _MAX_FILES_OF_A_SET:
            numbers[folder, match[1], match[3], match[4]].add(int(match[2]))
    missing = []
    for (folder, start, count, end), there in numbers.items():
        first = 1 if int(count) in there else 0
        for number in set(range(first, first + int(count))) - there:
            name = f"{start}{number:0{len(count)}d}-of-{count}{end}"
            if fnmatch.fnmatchcase(name, pattern):
                missing.append(filesystem.join(folder, name))
    return sorted([*paths, *missing], key=os.fsencode) if missing else paths
