"""The index of a data set: from its side index, or from the tails of its shards."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Sequence

from pcr_tf._native import (
    DataLossError,
    DatasetIndex,
    ShardIndex,
    check_shard_names,
    masked_crc32c,
)
from pcr_tf.format import filesystem
from pcr_tf.format.names import is_utf8
from pcr_tf.format.tfrecord import FRAME_FOOTER, FRAME_HEADER

SIDE_INDEX_NAME = "dataset.pcr-index"
SHARD_SUFFIX = ".pcr"

# What a web server says of a side index that is not there, a file standing where its folder would.
_IS_A_FILE = frozenset((errno.ENOENT, errno.EACCES, errno.EINVAL))

# A footer may claim more than there is: beyond this, the frame is asked first.
_LARGE_TAIL_BYTES = 64 << 20

PathLike = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class OpenedDataset:
    """An index, and where the shards that it speaks of are.

    Attributes:
        index: every record and its ranges.
        paths: paths of the shards, in the order of the index.
        folder: the folder that was opened; None where files were named.
        from_side_index: whether the index is the folder's side index.
    """

    index: DatasetIndex
    paths: list[str]
    folder: str | None = None
    from_side_index: bool = False


def load_shard_index(path: PathLike) -> ShardIndex:
    """The index of one file, from its tail: one read, or two where the index is over 64 KiB.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no PCR file of a version that this package reads.
        DataLossError: its tail is damaged.
    """
    path = os.fspath(path)
    file_bytes = filesystem.size(path)
    tail_bytes = min(file_bytes, ShardIndex.tail_bytes())
    for _ in range(2):
        tail = filesystem.read_range(path, file_bytes - tail_bytes, tail_bytes)
        index = ShardIndex.from_tail(path, tail, file_bytes)
        if isinstance(index, ShardIndex):
            return index
        tail_bytes = index
        if tail_bytes > _LARGE_TAIL_BYTES:
            _check_index_length(path, file_bytes - tail_bytes, tail_bytes)
    raise DataLossError(f"{path}: footer: size of the index; it asks for more bytes at each read")


def _check_index_length(path: str, offset: int, tail_bytes: int) -> None:
    """Refuses an index frame that is not as long as the footer says, before it is read."""
    expected = tail_bytes - ShardIndex.footer_bytes() - FRAME_HEADER.size - FRAME_FOOTER.size
    begin = filesystem.read_range(path, offset, FRAME_HEADER.size)
    length, stored = FRAME_HEADER.unpack(begin) if len(begin) == FRAME_HEADER.size else (-1, -1)
    if length != expected or stored != masked_crc32c(begin[:8]):
        raise DataLossError(
            f"{path}: index at byte {offset}: length of the frame, as the footer has it; "
            f"expected {expected}, got {length if length >= 0 else 'the end of the file'}"
        )


def shard_names(folder: PathLike) -> list[str]:
    """Names of the PCR files of a folder, sorted bytewise; hidden ones are not shards."""
    names = filesystem.listdir(os.fspath(folder))
    return [name for name in names if name.endswith(SHARD_SUFFIX) and not name.startswith(".")]


def check_complete(folder: PathLike, names: Sequence[str]) -> None:
    """Refuses the shards of a conversion that has not ended, which read as a smaller data set.

    Raises:
        ValueError: of a set NAME-00000-of-00008.pcr and so on some are among `names`, not all.
    """
    try:
        check_shard_names(list(names))
    except ValueError as error:
        raise ValueError(f"{os.fspath(folder)}: {error}") from None


def no_shards(folder: PathLike) -> str:
    """What to say of a folder without PCR files: the data sets below it, as a split has them."""
    folder = os.fspath(folder)
    parts = [
        name
        for name in filesystem.listdir(folder)
        if filesystem.is_dir(path := filesystem.join(folder, name)) and shard_names(path)
    ]
    hint = f"; holds {', '.join(parts)}; name one" if parts else ""
    return f"{folder}: no *{SHARD_SUFFIX} files{hint}"


def index_from_shards(folder: PathLike) -> DatasetIndex:
    """The index of a folder as its shards give it, all or not; the side index is not read.

    Raises:
        ValueError: there are no shards, or the headers of two of them differ.
    """
    return _index_of(os.fspath(folder), shard_names(folder))


def _index_of(folder: str, names: Sequence[str]) -> DatasetIndex:
    if not names:
        raise ValueError(no_shards(folder))
    shards = [(name, load_shard_index(filesystem.join(folder, name))) for name in names]
    return DatasetIndex.from_shards(shards)


def write_side_index(folder: PathLike) -> DatasetIndex:
    """Makes `dataset.pcr-index` of a folder from the shards that are there, replacing what was.

    Raises:
        ValueError: see `index_from_shards`; or a name is not UTF-8.
    """
    for name in shard_names(folder):
        if not is_utf8(name):
            raise ValueError(
                f"{filesystem.join(os.fspath(folder), name)}: name of a shard; expected UTF-8, "
                "since the side index holds it; rename the file"
            )
    index = index_from_shards(folder)
    path = filesystem.join(os.fspath(folder), SIDE_INDEX_NAME)
    filesystem.write_atomic(path, index.to_bytes())
    return index


def open_dataset(paths: PathLike | Sequence[PathLike]) -> OpenedDataset:
    """Opens a data set.

    Args:
        paths: a folder (its side index is used where there is one; else it must hold all
            files of a set NAME-00000-of-00008.pcr and so on), a file, or a list of files, whose
            order is kept.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: no PCR files, not all of a folder's, or files that are not of one data set.
        DataLossError: the side index or the tail of a shard is damaged.
    """
    if isinstance(paths, (str, os.PathLike)):
        path = os.fspath(paths)
        if filesystem.is_web(path):
            try:
                return _open_side_index(path)
            except OSError as error:
                if error.errno not in _IS_A_FILE:
                    raise
        elif filesystem.is_dir(path):
            return _open_folder(path)
    paths = shard_paths(paths)
    index = DatasetIndex.from_shards([(path, load_shard_index(path)) for path in paths])
    return OpenedDataset(index, paths)


def shard_paths(paths: PathLike | Sequence[PathLike]) -> list[str]:
    """The PCR files that a folder holds, or those that are named.

    Raises:
        FileNotFoundError: nothing is there; patterns are not expanded, as by `PcrDataset`.
    """
    if isinstance(paths, (str, os.PathLike)):
        folder = os.fspath(paths)
        if filesystem.is_dir(folder):
            return [filesystem.join(folder, name) for name in shard_names(folder)]
        paths = [folder]
    names = [os.fspath(path) for path in paths]
    for name in names:
        if filesystem.exists(name):
            continue
        why = os.strerror(errno.ENOENT)
        if any(character in name for character in "*?["):
            why += "; patterns are not expanded: name the folder, or give the files of "
            why += "tf.io.gfile.glob"
        raise FileNotFoundError(errno.ENOENT, why, name)
    return names


def _open_folder(folder: str) -> OpenedDataset:
    if filesystem.exists(filesystem.join(folder, SIDE_INDEX_NAME)):
        return _open_side_index(folder)
    names = shard_names(folder)
    check_complete(folder, names)
    return _opened(_index_of(folder, names), folder, from_side_index=False)


def _open_side_index(folder: str) -> OpenedDataset:
    side_index = filesystem.join(folder, SIDE_INDEX_NAME)
    index = DatasetIndex.from_bytes(side_index, filesystem.read_bytes(side_index))
    return _opened(index, folder, from_side_index=True)


def _opened(index: DatasetIndex, folder: str, *, from_side_index: bool) -> OpenedDataset:
    names = [index.shard(shard)[0] for shard in range(index.num_shards)]
    paths = [filesystem.join(folder, name) for name in names]
    return OpenedDataset(index, paths, folder, from_side_index)
