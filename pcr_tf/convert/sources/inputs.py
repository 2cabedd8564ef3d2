"""Which files and folders the inputs of a job name."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from pcr_tf.convert.errors import ConvertError, ListingError, UnreadableItemError
from pcr_tf.format import filesystem
from pcr_tf.format.dataset_index import SHARD_SUFFIX, SIDE_INDEX_NAME, shard_names

# The name of one file of a set: ...-00003-of-01024...; of several such numbers, the last counts.
_OF_A_SET = re.compile(r"(.*)(?<!\d)(\d+)-of-(\d+)(.*)")
_MAX_FILES_OF_A_SET = 100_000
# How TensorFlow numbers the files of a set.
_USUAL_DIGITS = 5


def expand_patterns(patterns: Sequence[str]) -> list[str]:
    """The files and folders that paths and globs name, each once however it is spelled. Those of
    one glob are sorted bytewise.

    Raises:
      ListingError: a pattern matches nothing.
    """
    return _each_once(path for pattern in patterns for path in _expand(pattern))


def expand_to_files(
    patterns: Sequence[str], is_wanted: Callable[[str], bool] = lambda name: True
) -> list[str]:
    """The files that paths, globs and folders name, each once.

    A folder stands for the files in it whose names are wanted, except hidden ones. A folder or
    glob that names some files of a set (``-00003-of-01024``) names all of them: files that it would
    match, but that do not exist, come first, so that reading them reports them as missing.
    Files that are named one by one, or by a narrower glob, may be part of a set.

    Raises:
      ListingError: a pattern matches nothing.
    """
    files: list[_InputFile] = []
    for pattern in patterns:
        paths = _expand(pattern)
        glob = filesystem.basename(pattern) if paths != [pattern] else ""
        for path in paths:
            if filesystem.is_dir(path):
                names = [name for name in filesystem.listdir(path) if not name.startswith(".")]
                inside = [filesystem.join(path, name) for name in names if is_wanted(name)]
                files += [_InputFile(file, "*") for file in inside if not filesystem.is_dir(file)]
            else:
                files.append(_InputFile(path, glob))
    return [*sorted(_missing(files), key=os.fsencode), *_each_once(file.path for file in files)]


class _InputFile(NamedTuple):
    """A file, and the glob that matches its name; "" where the file itself was named."""

    path: str
    glob: str


def unreadable_file(path: str, error: OSError) -> UnreadableItemError:
    """`error`, for a file of `expand_to_files`."""
    why = f"cannot be read: {error.strerror}"
    if isinstance(error, FileNotFoundError) and _OF_A_SET.fullmatch(filesystem.basename(path)):
        why += "; is its set complete? Get the file, or name only the files that you want"
    return UnreadableItemError(path, why)


def check_not_pcr(path: str) -> None:
    """Raises ConvertError if `path` is a PCR data set or one of its shards."""
    if _is_pcr(path):
        raise ConvertError(
            f"{path}: a PCR data set; make TFRecords of it first: pcr-export {path} --output=..."
        )


def _is_pcr(path: str) -> bool:
    if not filesystem.is_dir(path):
        return path.endswith(SHARD_SUFFIX)
    # A class, or a data set beside others, may be a folder of such a name.
    return any(
        not filesystem.is_dir(filesystem.join(path, name)) for name in shard_names(path)
    ) or filesystem.exists(filesystem.join(path, SIDE_INDEX_NAME))


def _expand(pattern: str) -> list[str]:
    if filesystem.exists(pattern):
        return [pattern]
    paths = filesystem.glob(pattern)
    if not paths:
        braces = "; only a shell expands braces: leave them unquoted, or use * and ?"
        raise ListingError(
            f"{pattern}: no such file or folder, and no file matches it as a pattern"
            f"{braces if '{' in pattern else ''}"
        )
    return paths


def expand_to_roots(inputs: Sequence[str]) -> tuple[str, ...]:
    """The folders that paths and globs name, without slashes at their ends; errors are those of
    `expand_patterns`."""
    return tuple(root.rstrip("/") or "/" for root in expand_patterns(inputs))


def _each_once(paths: Iterable[str]) -> list[str]:
    """The paths, without those that spell an earlier one differently."""
    spelled: dict[str, str] = {}
    for path in paths:
        spelled.setdefault(_one_spelling(path), path)
    return list(spelled.values())


def _one_spelling(path: str) -> str:
    """The same text for every spelling of a path. A link to a file is another file; a link to a
    folder is that folder."""
    path = path.rstrip("/") or "/"
    if filesystem.is_remote(path):
        return path
    folder, name = os.path.split(path)
    if name in ("", ".", "..") or os.path.isdir(path):
        return os.path.realpath(path)
    return os.path.join(os.path.realpath(folder), name)


class _Numbered(NamedTuple):
    """A file of a set: its folder, the glob of `_InputFile`, and its number as it is written."""

    folder: str
    glob: str
    number: str


def _missing(files: Iterable[_InputFile]) -> Iterator[str]:
    """The files of the sets of `files` that a glob of theirs fits and that are not among them."""
    # What the names of a set have in common -> its files, by folder.
    sets: dict[tuple[str, str, str], dict[str, list[_Numbered]]] = {}
    for path, glob in files:
        folder, match = filesystem.dirname(path), _OF_A_SET.fullmatch(filesystem.basename(path))
        if match:
            start, number, count, end = match.groups()
            by_folder = sets.setdefault((start, count, end), {})
            place = by_folder.setdefault(_one_spelling(folder), [])
            place.append(_Numbered(folder, glob, number))
    for (start, count, end), by_folder in sets.items():
        groups = list(by_folder.values())
        numbers = [{file.number for file in group} for group in groups]
        # Folders with a number in common hold sets of their own; others share one set.
        if len(set().union(*numbers)) == sum(map(len, numbers)):
            groups = [[file for group in groups for file in group]]
        for group in groups:
            yield from _missing_of_set(group, start, count, end)


def _missing_of_set(group: list[_Numbered], start: str, count: str, end: str) -> Iterator[str]:
    numbers = {file.number for file in group}
    if not _is_set(numbers, count):
        return
    there = set(map(int, numbers))
    first = 1 if int(count) in there else 0
    places = {(file.folder, file.glob) for file in group}
    for number in set(range(first, first + int(count))) - there:
        name = f"{start}{number:0{len(count)}d}-of-{count}{end}"
        fitting = [folder for folder, glob in places if fnmatch.fnmatchcase(name, glob)]
        if fitting:
            yield filesystem.join(min(fitting), name)


def _is_set(numbers: set[str], count: str) -> bool:
    """Whether names with these numbers are files of a set of `count`. Without leading zeros it
    cannot be told how the others would be written, and a single file may have its name by chance.
    """
    if int(count) > _MAX_FILES_OF_A_SET or any(len(number) != len(count) for number in numbers):
        return False
    has_zeros = any(number.startswith("0") for number in numbers)
    return len(count) == _USUAL_DIGITS or (len(numbers) > 1 and has_zeros)
