"""Locates the members of a tar file, by WebDataset's keys."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from typing import IO, NamedTuple

from pcr_tf.convert.errors import UnreadableItemError
from pcr_tf.format import filesystem

_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"\x28\xb5": "zstd"}
_BLOCK_BYTES = 512
_VOLUME_LABEL = b"V"  # What GNU's tar --label writes first.
# Zeros after the end of an archive fill up a tape block: 10 KiB, or a multiple of it.
_MAX_PADDING_BYTES = 1 << 20


_NOT_A_FILE = "is a link or otherwise not a file; pack the file itself (tar --dereference)"


class Member(NamedTuple):
    """One member: its bytes are [offset, offset + size_bytes) of the file."""

    extension: str
    offset: int
    size_bytes: int


class TarKeys:
    """The members of one tar file, as far as it could be read.

    Attributes:
      path: the file.
      keys: key -> extension -> member, in the order of the keys' first members.
      ignored: members that are links or otherwise not files, and belong to no key.
      broken: key -> reason, for a key with a member that occurs twice, has no bytes of its own, or
        has a name that no feature can have.
      fault: where and why the rest cannot be read; None where the file is intact.
    """

    def __init__(self, path: str, is_image: Callable[[str], bool]) -> None:
        """Begins without members. `is_image` tells whether an extension is the image's."""
        self.path = path
        self.keys: dict[str, dict[str, Member]] = {}
        self.broken: dict[str, str] = {}
        self.ignored: list[str] = []
        self.fault: UnreadableItemError | None = None
        self._is_image = is_image
        self._are_adjacent = True
        # Links and the like, until it is known whether they belong to a key.
        self._without_bytes: list[tarfile.TarInfo] = []

    def add(self, info: tarfile.TarInfo, file_bytes: int) -> None:
        """Adds the next member of a file of `file_bytes` bytes.

        Raises:
          UnreadableItemError: the file is damaged here.
        """
        key, extension = _key_and_extension(info.name)
        if not key or info.isdir() or info.type == _VOLUME_LABEL:
            return
        first = self.keys.get(key, {}).get(extension)
        if first is not None:
            # This does not mean that members of a key are apart in general.
            why = f"occurs again; the first one's data is at byte {first.offset}; remove one"
            self._break(key, info, why)
            return
        if key in self.keys:
            self._are_adjacent &= key == next(reversed(self.keys))
        has_bytes = info.isfile() or info.islnk()
        if not has_bytes and not self._is_image(extension):
            self._without_bytes.append(info)
            return
        members = self.keys.setdefault(key, {})
        why, member = "", Member(extension, info.offset_data, info.size)
        if info.islnk():
            target_key, target_extension = _key_and_extension(info.linkname)
            target = self.keys.get(target_key, {}).get(target_extension)
            if target is None:
                why = f"is a hard link to {info.linkname!r}, which is not before it in the file"
            else:
                member = target._replace(extension=extension)
        elif info.issparse():
            why = "is sparse"
        elif not has_bytes:
            why = _NOT_A_FILE
        elif info.offset_data + info.size > file_bytes:
            raise UnreadableItemError(
                self.path,
                f"byte {info.offset}: member {info.name!r} ends after the end of the file",
            )
        if not _is_utf8(extension):
            why = "has an extension that is not UTF-8, as names of features are; rename it"
        if why:
            self._break(key, info, why)
        else:
            members[extension] = member

    def drop_incomplete(self) -> None:
        """Removes keys that may have members after a fault, since half an example is none.

        That is the last key where the members of each key are adjacent, and else every key.
        """
        if not self._are_adjacent:
            self.keys.clear()
        elif self.keys:
            self.keys.popitem()

    def finish(self) -> None:
        """Ends the list of members: a link breaks the key that it belongs to."""
        for info in self._without_bytes:
            key, _ = _key_and_extension(info.name)
            if key in self.keys:
                self._break(key, info, _NOT_A_FILE)
            else:
                self.ignored.append(info.name)

    def _break(self, key: str, info: tarfile.TarInfo, why: str) -> None:
        self.broken.setdefault(key, f"byte {info.offset}: member {info.name!r} {why}")


def scan(path: str, is_image: Callable[[str], bool]) -> TarKeys:
    """Reads the headers of a tar file. Nothing is known after a fault, and keys that may be
    incomplete because of it are dropped. `is_image` is as for `TarKeys`.

    Raises:
      OSError: the file cannot be read.
    """
    tar_keys = TarKeys(path, is_image)
    file_bytes = filesystem.size(path)
    with filesystem.open_file(path) as file:
        magic = file.read(2)
        if magic in _COMPRESSED:
            why = f"byte 0: {_COMPRESSED[magic]}-compressed; members cannot be located; decompress"
            tar_keys.fault = UnreadableItemError(path, f"{why} it first")
            return tar_keys
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for info in tar:
                    tar_keys.add(info, file_bytes)
                end = tar.offset
        except tarfile.TarError as error:
            tar_keys.fault = UnreadableItemError(path, f"not a tar file, or damaged: {error}")
        except UnreadableItemError as error:
            tar_keys.fault = error
        else:
            why = _fault_after(file, end, file_bytes)
            tar_keys.fault = UnreadableItemError(path, why) if why else None
    tar_keys.finish()
    if tar_keys.fault is not None:
        tar_keys.drop_incomplete()
    return tar_keys


def _key_and_extension(name: str) -> tuple[str, str]:
    """The key and the extension in a member's name; the key is "" for a hidden file."""
    folder, slash, base = name.removeprefix("./").rpartition("/")
    stem, _, extension = base.partition(".")
    return folder + slash + stem if stem else "", extension.lower()


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fault_after(file: IO[bytes], end: int, file_bytes: int) -> str:
    """What is wrong after the last member: tarfile takes a damaged header for the end."""
    file.seek(end)
    block = file.read(_BLOCK_BYTES)
    if len(block) < _BLOCK_BYTES:
        return (
            f"byte {end}: expected {_BLOCK_BYTES} zero bytes, the end of the archive, got "
            f"{len(block)} bytes; the file is cut short"
        )
    if any(block):
        return f"byte {end}: neither the header of a member nor the end of the archive"
    if file_bytes - end > _MAX_PADDING_BYTES or any(file.read(_MAX_PADDING_BYTES)):
        return (
            f"byte {end}: the archive ends here, the file at {file_bytes}; does it hold "
            "several archives? Split it"
        )
    return ""
