"""The walk through folders of images."""

from __future__ import annotations

import collections
import os
from collections.abc import Sequence

from pcr_tf.convert.errors import ListingError, UnreadableItemError
from pcr_tf.convert.sources.images import IMAGE_SUFFIXES
from pcr_tf.format import filesystem

# Folders that operating systems make beside those of users: skipped like hidden ones.
_SYSTEM_FOLDERS = frozenset(
    ("__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information")
)


def without_root(path: str, roots: Sequence[str]) -> str:
    """`path` relative to the longest of `roots` that holds it: roots may be nested."""
    root = max((r for r in roots if path.startswith(_slashed(r))), key=len)
    return path[len(_slashed(root)) :]


def check_roots_are_apart(roots: Sequence[str]) -> None:
    """Refuses folders inside others, whose images would come twice, under two classes.

    Raises:
      ListingError: names both.
    """
    real = {root: root if filesystem.is_remote(root) else os.path.realpath(root) for root in roots}
    for inner in roots:
        for outer in roots:
            if real[inner].startswith(_slashed(real[outer])) and real[inner] != real[outer]:
                raise ListingError(
                    f"{inner}: is inside {outer}, which is an input as well; its images would be "
                    "read twice; name one of the two"
                )


def _slashed(root: str) -> str:
    return root if root.endswith("/") else root + "/"


class ImageWalk:
    """The image files below some roots, by the name of the folder that holds them.

    Hidden files and folders are skipped, and so are those that operating systems make. Links to
    folders are followed, but not in circles.

    Attributes:
      roots: the folders that `add_root` walked.
      images: folder relative to its root -> (path, path relative to the root, size in bytes,
        ns of last change). Includes folders that cannot be listed or whose images cannot be read.
      unreadable: (name, reason) of what could not be listed, where `skip_unreadable`.
      ignored: files without the suffix of an image.
    """

    def __init__(self, skip_unreadable: bool, *, folders_are_classes: bool) -> None:
        """Begins empty.

        Args:
          skip_unreadable: whether to go on where something cannot be listed.
          folders_are_classes: whether a name without a suffix must be listed or reported: it may be
            a folder, and leaving a class out would shift the labels after it.
        """
        self.roots: list[str] = []
        self.images: dict[str, list[tuple[str, str, int, int]]] = {}
        self.unreadable: list[tuple[str, str]] = []
        self.ignored: list[str] = []
        self._skip_unreadable = skip_unreadable
        self._folders_are_classes = folders_are_classes
        # Folder below a root -> whether it holds no folder in any root.
        self._is_leaf: dict[str, bool] = {}
        # Folder below a root -> files in it that are no images.
        self._num_others = collections.Counter[str]()

    def add_root(self, root: str) -> None:
        """Walks `root`.

        Raises:
          ListingError: it is not a folder.
          UnreadableItemError: something cannot be listed and `skip_unreadable` is False.
        """
        _check_root(root)
        self.roots.append(root)
        self._add_folder(root, "", ())

    def add_top(self, root: str, top: str) -> None:
        """Walks the folder `top` in `root`, if it exists; for "", only the files of `root` itself.
        That and all its `top_folders` together are what `add_root` walks.

        Raises:
          As `add_root`.
        """
        _check_root(root)
        if not top:
            self._add_folder(root, "", (), enter=False)
            return
        folder = filesystem.join(root, top)
        try:
            is_folder = filesystem.status(folder).is_dir
        except OSError as error:
            # Another root may hold it. A dangling link, however, is a fault of this one.
            if not isinstance(error, FileNotFoundError) or _is_link(folder):
                self._add_without_status(folder, top, error)
            return
        if is_folder:
            self._add_folder(folder, top, _identity(root))

    def folders_without_images(self) -> dict[str, int]:
        """The folders below the roots that are empty or only hold other files, sorted bytewise ->
        the number of these files."""
        leaves = (folder for folder, is_leaf in self._is_leaf.items() if is_leaf)
        names = sorted((f for f in leaves if f not in self.images), key=os.fsencode)
        return {name: self._num_others[name] for name in names}

    def _add_folder(
        self,
        folder: str,
        relative: str,
        above: tuple[tuple[int, int], ...],
        *,
        enter: bool = True,
    ) -> None:
        try:
            names = filesystem.listdir(folder)
            identity = _identity(folder)
            if set(identity) & set(above):
                return
            above += identity
        except OSError as error:
            self._unreadable(folder, relative, f"cannot be listed: {error.strerror}", error)
            if relative:
                self.images.setdefault(relative, [])
            return
        is_leaf = True
        for name in filter(_is_visible, names):
            path = filesystem.join(folder, name)
            below = f"{relative}/{name}" if relative else name
            is_image = _suffix(name) in IMAGE_SUFFIXES
            try:
                status = filesystem.status(path)
            except OSError as error:
                if enter:  # Otherwise `top_folders` has it.
                    self._add_without_status(path, below, error)
                if is_image and relative:
                    self.images.setdefault(relative, [])
                is_leaf = is_leaf and _suffix(name) != ""
                self._num_others[relative] += 1
                continue
            if status.is_dir:
                is_leaf = False
                if enter:
                    self._add_folder(path, below, above)
            elif is_image:
                image = (path, below, status.size_bytes, status.modified_ns)
                self.images.setdefault(relative, []).append(image)
            else:
                self.ignored.append(path)
                self._num_others[relative] += 1
        if relative:
            self._is_leaf[relative] = is_leaf and self._is_leaf.get(relative, True)

    def _add_without_status(self, path: str, name: str, error: OSError) -> None:
        """Adds a path whose status is unknown: its name decides what it counts as."""
        suffix = _suffix(path)
        if suffix not in IMAGE_SUFFIXES and (suffix or not self._folders_are_classes):
            self.ignored.append(path)
            return
        why = f"cannot be read: {error.strerror}"
        if isinstance(error, FileNotFoundError) and _is_link(path):
            why += "; remove the link"
        self._unreadable(path, name, why, error)

    def _unreadable(self, path: str, name: str, why: str, error: OSError) -> None:
        if not self._skip_unreadable:
            raise UnreadableItemError(path, why) from error
        self.unreadable.append((name or path, why))


def top_folders(root: str) -> list[str]:
    """Names of the folders in `root`, and of what may be one but has no readable status.

    They are sorted bytewise, without those that `ImageWalk` skips. Empty where
    `root` cannot be listed: `ImageWalk` reports what cannot be read or listed.

    Raises:
      ListingError: it is not a folder.
    """
    _check_root(root)
    try:
        names = filesystem.listdir(root)
    except OSError:
        return []
    return [
        name for name in filter(_is_visible, names) if _may_be_folder(filesystem.join(root, name))
    ]


def holds_folders_of_images(root: str) -> bool:
    """Whether a folder in `root`, or a folder in that one, holds an image, like class folders."""
    return any(
        _holds_image(folder) or any(map(_holds_image, _folders_in(folder)))
        for folder in _folders_in(root)
    )


def _folders_in(folder: str) -> list[str]:
    paths = [filesystem.join(folder, name) for name in top_folders(folder)]
    return [path for path in paths if filesystem.is_dir(path)]


def _holds_image(folder: str) -> bool:
    try:
        names = filesystem.listdir(folder)
    except OSError:
        return False
    return any(_is_visible(name) and _suffix(name) in IMAGE_SUFFIXES for name in names)


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name not in _SYSTEM_FOLDERS


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _may_be_folder(path: str) -> bool:
    try:
        return filesystem.status(path).is_dir
    except OSError:
        return True


def _is_link(path: str) -> bool:
    return not filesystem.is_remote(path) and os.path.islink(path)


def _check_root(root: str) -> None:
    if not filesystem.is_dir(root):
        raise ListingError(f"{root}: not a folder; expected a folder of images")


def _identity(folder: str) -> tuple[tuple[int, int], ...]:
    """Tells a folder from all others; empty where no link can lead to it again."""
    if filesystem.is_remote(folder):
        return ()
    status = os.stat(folder)
    return ((status.st_dev, status.st_ino),)
