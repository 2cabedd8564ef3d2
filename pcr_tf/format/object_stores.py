"""What TensorFlow's file systems of object stores need before they are first used.

`prepare` is called with every remote path that this package opens. It loads tensorflow-io for the
schemes that TensorFlow does not have, sets environment variables that make a read fetch what was
asked for and no more, and keeps the process's exit status (docs/OBJECT_STORES.md). A variable that
is set already is left alone.
"""

from __future__ import annotations

import errno
import importlib.util
import logging
import os
import sys
import threading

from pcr_tf import _native

_LOGGER = logging.getLogger("pcr_tf")

# Read by tensorflow-io when its first client is made.
_S3_DEFAULTS = {
    # One ranged GET for each read, in place of a HEAD and a download in parts.
    "S3_DISABLE_MULTI_PART_DOWNLOAD": "1",
    # In place of 5 minutes each: a connection that stalls is given up and tried again.
    "S3_CONNECT_TIMEOUT_MSEC": "10000",
    "S3_REQUEST_TIMEOUT_MSEC": "60000",
}

# Read when TensorFlow is imported. Both, since the second alone buffers a block of the first.
_GCS_DEFAULTS = {
    "GCS_READ_CACHE_BLOCK_SIZE_MB": "0",
    "GCS_READAHEAD_BUFFER_SIZE_BYTES": "0",
}

# The schemes of tensorflow-io's last release.
_TENSORFLOW_IO_SCHEMES = frozenset({"az", "har", "hdfs", "http", "https", "s3", "viewfs"})

_lock = threading.RLock()
_prepared: set[str] = set()
_gcs_is_exact: bool | None = None  # None: not looked at yet


def scheme_of(path: str) -> str:
    """The scheme of `path` in lower case: "s3" of ``s3://bucket/key``, "" of a local path."""
    scheme, separator, _ = path.partition("://")
    return scheme.lower() if separator else ""


def configure_gcs() -> None:
    """Makes gs:// read exact ranges, where TensorFlow has not been imported yet.

    TensorFlow makes its Cloud Storage client while it is imported, and reads the variables then.
    """
    global _gcs_is_exact
    with _lock:
        if _gcs_is_exact is not None:
            return
        too_late = "tensorflow" in sys.modules
        missing = [name for name in _GCS_DEFAULTS if name not in os.environ]
        if not too_late:
            os.environ.update({name: _GCS_DEFAULTS[name] for name in missing})
        _gcs_is_exact = not (too_late and missing)


def prepare(path: str) -> None:
    """Makes the file system of `path` ready; the first call for a scheme does the work.

    Raises:
        OSError: TensorFlow has no file system for the scheme; names what would bring one.
    """
    scheme = scheme_of(path)
    if not scheme or scheme in _prepared:
        return
    with _lock:
        if scheme in _prepared:
            return
        configure_gcs()  # Before anything here imports TensorFlow.
        if scheme == "gs":
            _say_how_gcs_reads()
        if scheme == "s3":
            missing = {n: v for n, v in _S3_DEFAULTS.items() if n not in os.environ}
            os.environ.update(missing)
            _LOGGER.info("s3://: set %s", _as_text(missing))
        _load_file_system(scheme, path)
        if scheme == "s3":
            _native.skip_static_destructors_at_exit()
        _prepared.add(scheme)


def _say_how_gcs_reads() -> None:
    if _gcs_is_exact:
        settings = {name: os.environ.get(name, "") for name in _GCS_DEFAULTS}
        _LOGGER.info("gs://: reads with %s", _as_text(settings))
        return
    _LOGGER.warning(
        "gs://: TensorFlow was imported before it could be told to read exact ranges, and fetches "
        "a block of 64 MiB for every smaller read. Import pcr_tf.data before tensorflow, or start "
        "the program with %s",
        _as_text(_GCS_DEFAULTS),
    )


def _as_text(settings: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in settings.items()) or "nothing"


def _load_file_system(scheme: str, path: str) -> None:
    import tensorflow as tf

    def known() -> bool:
        return scheme in tf.io.gfile.get_registered_schemes()

    if known():
        return
    remedy = f"TensorFlow {tf.__version__} has {', '.join(sorted(_named_schemes(tf)))}"
    if scheme in _TENSORFLOW_IO_SCHEMES:
        remedy = remedy_by_tensorflow_io(scheme, tf.__version__)
        if importlib.util.find_spec("tensorflow_io") is not None:
            importlib.import_module("tensorflow_io")
            if known():
                return
    raise OSError(errno.EPROTONOSUPPORT, f"no file system for {scheme}://; {remedy}", path)


def remedy_by_tensorflow_io(scheme: str, tensorflow_version: str) -> str:
    """What brings a scheme of tensorflow-io, or what to use in its place, as text.

    The last release of tensorflow-io loads into TensorFlow 2.16 and 2.17 alone.

    Example:
        >>> remedy_by_tensorflow_io("s3", "2.17.1")
        'tensorflow-io brings it: pip install tensorflow-io==0.37.1'
    """
    if tensorflow_version.startswith(("2.16.", "2.17.")):
        return "tensorflow-io brings it: pip install tensorflow-io==0.37.1"
    place = "mount the bucket as a folder (mountpoint-s3, s3fs, rclone) and name that"
    if scheme != "s3":
        place = "mount it as a folder, or copy it, and name that"
    return (
        f"no release of tensorflow-io brings it to TensorFlow {tensorflow_version}; {place}, or "
        "use gs://, which TensorFlow has itself, or use TensorFlow 2.17 with tensorflow-io 0.37.1"
    )


def _named_schemes(tf: object) -> list[str]:
    schemes = tf.io.gfile.get_registered_schemes()  # type: ignore[attr-defined]
    return [f"{scheme}://" for scheme in schemes if scheme]
