"""Files, local or behind TensorFlow's file systems, in the few verbs that this package uses.

A path that contains ``://`` goes through ``tf.io.gfile``, which is imported on first use; every
other path goes through the standard library and never loads TensorFlow. All functions raise OSError
(or a subclass of it) that names the path. What looks or reads as a whole is repeated after errors
of a remote store that may pass, as the kernels do (ops/kernels/retry.h); `open_file` is not.
"""

from __future__ import annotations

import contextlib
import errno
import glob as _glob
import os
import posixpath
import random
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple, TypeVar

from pcr_tf.format import object_stores

_MAX_ATTEMPTS = 6
_FIRST_BACKOFF_S = 0.1  # doubled before each later attempt; half of it to all of it is waited

_Result = TypeVar("_Result")


def is_remote(path: str) -> bool:
    """Whether `path` is served by TensorFlow's file systems rather than by the operating system."""
    return "://" in path


def is_web(path: str) -> bool:
    """Whether `path` is of a web server, which knows no folders and lists none."""
    return path.startswith(("http://", "https://"))


def join(folder: str, *names: str) -> str:
    """`folder` and `names` as one path."""
    return (posixpath if is_remote(folder) else os.path).join(folder, *names)


def basename(path: str) -> str:
    """The last component of `path`; a trailing separator is ignored."""
    return (posixpath if is_remote(path) else os.path).basename(path.rstrip("/"))


def dirname(path: str) -> str:
    """The folder that holds `path`; "." for a bare local name."""
    return (posixpath if is_remote(path) else os.path).dirname(path) or "."


def _gfile(path: str) -> Any:
    try:
        path.encode()
    except UnicodeEncodeError:
        rule = "names of remote files are UTF-8; expected such, or set PYTHONUTF8=1 if it is one"
        raise OSError(errno.EINVAL, rule, path) from None
    object_stores.prepare(path)
    import tensorflow as tf

    return tf.io.gfile


@contextlib.contextmanager
def _as_os_errors(path: str) -> Iterator[None]:
    """Turns TensorFlow's errors into OSError, so that callers know one family of errors."""
    object_stores.prepare(path)
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        kinds = (
            (tf.errors.NotFoundError, errno.ENOENT),
            (tf.errors.PermissionDeniedError, errno.EACCES),
            (tf.errors.AlreadyExistsError, errno.EEXIST),
            (tf.errors.ResourceExhaustedError, errno.ENOSPC),
            (tf.errors.InvalidArgumentError, errno.EINVAL),
            (tf.errors.FailedPreconditionError, errno.EINVAL),
            (tf.errors.UnimplementedError, errno.EINVAL),
        )
        number = next((n for kind, n in kinds if isinstance(error, kind)), errno.EIO)
        raise OSError(number, error.message, path) from error


@contextlib.contextmanager
def open_file(path: str, mode: str = "rb") -> Iterator[IO[bytes]]:
    """Opens `path` in a binary mode ("rb" or "wb") for the length of a ``with`` block."""
    if is_remote(path):
        with _as_os_errors(path), _gfile(path).GFile(path, mode) as file:
            yield file
    else:
        with open(path, mode) as file:
            yield file


def open_for_writing(path: str) -> Any:
    """A new binary file at `path` with write, flush and close; an existing file is replaced."""
    return _RemoteWriter(path) if is_remote(path) else open(path, "wb")


class _RemoteWriter:
    """A file being written through TensorFlow, with the errors of this module."""

    def __init__(self, path: str) -> None:
        self._path = path
        with _as_os_errors(path):
            self._file = _gfile(path).GFile(path, "wb")

    def write(self, data: bytes) -> None:
        with _as_os_errors(self._path):
            self._file.write(data)

    def flush(self) -> None:
        with _as_os_errors(self._path):
            self._file.flush()

    def close(self) -> None:
        with _as_os_errors(self._path):
            self._file.close()


def _with_retries(path: str, attempt: Callable[[], _Result]) -> _Result:
    """Calls `attempt`, whose errors are TensorFlow's, up to six times; returns what it returns."""
    object_stores.prepare(path)
    import tensorflow as tf

    may_pass = (
        tf.errors.UnavailableError,
        tf.errors.DeadlineExceededError,
        tf.errors.AbortedError,
        tf.errors.InternalError,
        tf.errors.UnknownError,
        tf.errors.ResourceExhaustedError,
    )
    number, backoff_s = 1, _FIRST_BACKOFF_S
    with _as_os_errors(path):
        while True:
            try:
                return attempt()
            except may_pass as error:
                if path.startswith(("file://", "ram://")):
                    raise
                if number == _MAX_ATTEMPTS:
                    said = f"failed {number} times, last with: {error.message}"
                    raise OSError(errno.EIO, said, path) from error
            time.sleep(backoff_s * random.uniform(0.5, 1))
            number, backoff_s = number + 1, 2 * backoff_s


def _read_remote(path: str, offset: int, size_bytes: int) -> bytes:
    """As `read_range`; with size -1, up to the end."""

    def read() -> bytes:
        with _gfile(path).GFile(path, "rb") as file:
            if offset:
                file.seek(offset)
            return bytes(file.read(size_bytes))

    return _with_retries(path, read)


def read_bytes(path: str) -> bytes:
    """All bytes of `path`."""
    if is_remote(path):
        return _read_remote(path, 0, -1)
    with open(path, "rb") as file:
        return file.read()


def read_range(path: str, offset: int, size_bytes: int) -> bytes:
    """Bytes [offset, offset + size_bytes) of `path`, fewer where the file ends earlier."""
    if is_remote(path):
        return _read_remote(path, offset, size_bytes)
    # Unbuffered: no byte outside the range is requested.
    with open(path, "rb", buffering=0) as raw:
        raw.seek(offset)
        parts = []
        while size_bytes > 0 and (part := raw.read(size_bytes)):
            parts.append(part)
            size_bytes -= len(part)
        return b"".join(parts)


def write_atomic(path: str, data: bytes) -> None:
    """Writes `data` under a temporary name, makes it durable, and renames it to `path`."""
    temporary = temporary_name(path)
    try:
        file = open_for_writing(temporary)
        try:
            file.write(data)
            make_durable(file, temporary)
        finally:
            file.close()
        rename(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            remove(temporary)
        raise naming(error, path) from error


def temporary_name(path: str) -> str:
    """A new hidden name in the folder of `path`, that no other process or machine will choose; see
    `is_temporary`.
    """
    return join(dirname(path), f".{basename(path)}.{secrets.token_hex(8)}.tmp")


def is_temporary(name: str) -> bool:
    """Whether `name` (without a folder) is one that `temporary_name` makes."""
    return name.startswith(".") and name.endswith(".tmp")


def make_durable(file: Any, path: str) -> None:
    """Flushes an open file and, where the operating system holds it, its pages to the device."""
    file.flush()
    if not is_remote(path):
        os.fsync(file.fileno())


def naming(error: OSError, path: str) -> OSError:
    """The same error, naming `path`: a failed write(2) does not know its file.

    The reason stays: a store's own, or what would bring the file system, is no errno's.
    """
    if error.errno is None:
        return OSError(f"{path}: {error}")
    return OSError(error.errno, error.strerror or os.strerror(error.errno), path)


def rename(source: str, target: str) -> None:
    """Renames a file over `target`: atomic and durable on a local file system."""
    if is_remote(target):
        with _as_os_errors(target):
            _gfile(target).rename(source, target, overwrite=True)
        return
    os.replace(source, target)
    # The name is durable once its folder is; some file systems cannot sync a folder.
    with contextlib.suppress(OSError):
        folder = os.open(dirname(target), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def rename_new(source: str, target: str) -> bool:
    """Renames a file unless `target` exists, and says whether it did.

    On local file systems no other process can come between, but on those without hard links.
    """
    if is_remote(target):
        if exists(target):
            return False
        with _as_os_errors(target):
            _gfile(target).rename(source, target, overwrite=False)
        return True
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError:
        if os.path.lexists(target):
            return False
        os.rename(source, target)
    else:
        os.remove(source)
    return True


def same_contents(first: str, second: str) -> bool:
    """Whether two files hold the same bytes."""
    if size(first) != size(second):
        return False
    with open_file(first) as one, open_file(second) as other:
        while part := one.read(1 << 20):
            if part != other.read(1 << 20):
                return False
    return True


def exists(path: str) -> bool:
    """Whether `path` is a file or folder."""
    if is_remote(path):
        return bool(_with_retries(path, lambda: _gfile(path).exists(path)))
    return os.path.exists(path)


def is_dir(path: str) -> bool:
    """Whether `path` is a folder."""
    if not is_remote(path):
        return os.path.isdir(path)
    # gfile.isdir says no where it could not find out.
    try:
        return status(path).is_dir
    except FileNotFoundError:
        return False


def listdir(path: str) -> list[str]:
    """Names in folder `path`, sorted bytewise, without trailing separators."""
    if not is_remote(path):
        return sorted(os.listdir(path), key=os.fsencode)
    object_stores.prepare(path)
    import tensorflow as tf

    def names() -> list[str]:
        try:
            return list(_gfile(path).listdir(path))
        except tf.errors.NotFoundError:
            # It says so too where it could not find out; stat says why.
            _gfile(path).stat(path)
            return list(_gfile(path).listdir(path))

    return sorted((name.rstrip("/") for name in _with_retries(path, names)), key=os.fsencode)


def glob(pattern: str) -> list[str]:
    """Paths that match `pattern` (``*``, ``?``, ``[...]``), sorted bytewise."""
    if is_remote(pattern):
        found = _with_retries(pattern, lambda: _gfile(pattern).glob(pattern))
        return sorted(found, key=os.fsencode)
    return sorted(_glob.glob(pattern), key=os.fsencode)


class FileStatus(NamedTuple):
    """What one request says of a path: `modified_ns` counts from 1970."""

    is_dir: bool
    size_bytes: int
    modified_ns: int


def status(path: str) -> FileStatus:
    """Kind, size and time of the last change of a file or folder; links are followed."""
    if is_remote(path):
        found = _with_retries(path, lambda: _gfile(path).stat(path))
        return FileStatus(bool(found.is_directory), int(found.length), int(found.mtime_nsec))
    local = os.stat(path)
    return FileStatus(stat.S_ISDIR(local.st_mode), local.st_size, local.st_mtime_ns)


def size(path: str) -> int:
    """Size of a file in bytes."""
    return status(path).size_bytes


def makedirs(path: str) -> None:
    """Makes folder `path` and those above it; an existing folder is fine."""
    if is_remote(path):
        with _as_os_errors(path):
            _gfile(path).makedirs(path)
    else:
        os.makedirs(path, exist_ok=True)


def remove(path: str) -> None:
    """Removes a file."""
    if is_remote(path):
        with _as_os_errors(path):
            _gfile(path).remove(path)
    else:
        os.remove(path)
