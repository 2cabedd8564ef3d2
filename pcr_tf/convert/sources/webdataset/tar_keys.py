"""Where the members of a tar file are, by WebDataset's keys."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from typing import IO, NamedTuple

from pcr_tf.convert.errors import UnreadableItemError
from pcr_tf.format import filesystem

_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"\x28\xb5": "zstd"}
_BLOCK_BYTES = 512
_VOLUME_LABEL = b"V"  # What GNU's tar --label writes first.
# Zeros behind the end of an archive fill up a block of the tape: 10 KiB, or a multiple of it.
_MAX_PADDING_BYTES = 1 << 20


_NO_FILE = "is a link, or no file; pack the file itself (tar --dereference)"


class Member(NamedTuple):
    """One member: its bytes are [offset, offset + size_bytes) of the file."""

    extension: str
    offset: int
    size_bytes: int


class TarKeys:
    """The members of one tar file, as far as it could be read.

    Attributes:
        path: the file.
        keys: key -> extension -> member, in the order in which the keys begin.
        ignored: members that are links, or no files, and belong to no key.
        broken: key -> why, for a key with a member that is there twice, has no bytes of its own, or
            has no name that a feature can have.
        fault: where and why nothing behind can be read; None where the file is sound.
    """

    def __init__(self, path: str, is_image: Callable[[str], bool]) -> None:
        """Begins without members. `is_image` says of an extension whether it is the image's."""
        self.path = path
        self.keys: dict[str, dict[str, Member]] = {}
        self.broken: dict[str, str] = {}
        self.ignored: list[str] = []
        self.fault: UnreadableItemError | None = None
        self._is_image = is_image
        self._are_together = True
        # Links and such, of which it is not known yet whether they belong to a key.
        self._without_bytes: list[tarfile.TarInfo] = []

    def add(self, info: tarfile.TarInfo, file_bytes: int) -> None:
        """Takes the next member of a file of `file_bytes` bytes.

        Raises:
            UnreadableItemError: the file is not sound here.
        """
        key, extension = _key_and_extension(info.name)
        if not key or info.isdir() or info.type == _VOLUME_LABEL:
            return
        again = self.keys.get(key, {}).get(extension)
        if again is not None:
            # Not even a sign that the members of keys stand apart.
            why = f"again; the first one's data is at byte {again.offset}; remove one"
            self._break(key, info, why)
            return
        if key in self.keys:
            self._are_together &= key == next(reversed(self.keys))
        has_bytes = info.isfile() or info.islnk()
        if not has_bytes and not self._is_image(extension):
            self._without_bytes.append(info)
            return
        members = self.keys.setdefault(key, {})
        why, member = "", Member(extension, info.offset_data, info.size)
        if info.islnk():
            of, its_extension = _key_and_extension(info.linkname)
            target = self.keys.get(of, {}).get(its_extension)
            if target is None:
                why = f"is a hard link to {info.linkname!r}, which is not before it in the file"
            else:
                member = target._replace(extension=extension)
        elif info.issparse():
            why = "is sparse"
        elif not has_bytes:
            why = _NO_FILE
        elif info.offset_data + info.size > file_bytes:
            raise UnreadableItemError(
                self.path,
                f"byte {info.offset}: member {info.name!r} ends behind the end of the file",
            )
        if not _is_utf8(extension):
            why = "has an extension that is not UTF-8, as names of features are; rename it"
        if why:
            self._break(key, info, why)
        else:
            members[extension] = member

    def leave_out_incomplete(self) -> None:
        """Removes keys that may have members behind a fault: half an example is none.

        That is the last one where the members of each key stand together, and all where they do
        not.
        """
        if not self._are_together:
            self.keys.clear()
        elif self.keys:
            self.keys.popitem()

    def settle(self) -> None:
        """Once there are no more members: a link breaks the key that it belongs to."""
        for info in self._without_bytes:
            key, _ = _key_and_extension(info.name)
            if key in self.keys:
                self._break(key, info, _NO_FILE)
            else:
                self.ignored.append(info.name)

    def _break(self, key: str, info: tarfile.TarInfo, why: str) -> None:
        self.broken.setdefault(key, f"byte {info.offset}: member {info.name!r} {why}")


def scan(path: str, is_image: Callable[[str], bool]) -> TarKeys:
    """Reads the headers of a tar file. Behind a fault nothing is known, and keys that may be
    incomplete for it are left out. `is_image` as for `TarKeys`.

    Raises:
        OSError: the file cannot be read.
    """
    found = TarKeys(path, is_image)
    file_bytes = filesystem.size(path)
    with filesystem.open_file(path) as file:
        magic = file.read(2)
        if magic in _COMPRESSED:
            why = f"byte 0: {_COMPRESSED[magic]}-compressed; members cannot be located; decompress"
            found.fault = UnreadableItemError(path, f"{why} it first")
            return found
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for info in tar:
                    found.add(info, file_bytes)
                end = tar.offset
        except tarfile.TarError as error:
            found.fault = UnreadableItemError(path, f"not a tar file, or damaged: {error}")
        except UnreadableItemError as error:
            found.fault = error
        else:
            why = _fault_behind(file, end, file_bytes)
            found.fault = UnreadableItemError(path, why) if why else None
    found.settle()
    if found.fault is not None:
        found.leave_out_incomplete()
    return found


def _key_and_extension(name: str) -> tuple[str, str]:
    """Both of a member's name; the key is "" for a hidden file."""
    folder, slash, base = name.removeprefix("./").rpartition("/")
    stem, _, extension = base.partition(".")
    return folder + slash + stem if stem else "", extension.lower()


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fault_behind(file: IO[bytes], end: int, file_bytes: int) -> str:
    """What is wrong behind the last member: tarfile takes a damaged header for the end."""
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
            f"byte {end}: the archive ends here, the file at {file_bytes}; are several archives "
            "in it? Take them apart"
        )
    return ""
