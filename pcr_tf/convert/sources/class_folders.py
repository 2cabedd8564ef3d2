"""Folders whose names are classes: ``<root>/<class>/image.jpg``, or one level more."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from pcr_tf.convert.errors import ListingError, UnreadableItemError
from pcr_tf.convert.sources.base import Listing, Source, SourceItem
from pcr_tf.format import filesystem
from pcr_tf.format.example import Values, encode_example

# Suffixes of files that are taken for images. The contents decide later what can be re-coded.
IMAGE_SUFFIXES = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".gif",
        ".bmp",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".heic",
        ".avif",
        ".jp2",
        ".jxl",
    )
)

_SPLIT_NAMES = frozenset(("train", "val", "valid", "validation", "test"))

_MAGICS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
)


def image_format(image: bytes) -> str:
    """JPEG, PNG, GIF, BMP, WEBP or "" (unknown), by the first bytes, not the file's name."""
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return "WEBP"
    return next((name for magic, name in _MAGICS if image.startswith(magic)), "")


class ClassFolderSource(Source):
    """Images in folders named after their classes.

    An example holds image/encoded, image/filename (relative to the root, with "/"), image/format
    (from the contents), and, where the image is in a folder, image/class/text and
    image/class/label: the name of its folder relative to the root, and the 0-based position of that
    name among all of them, sorted bytewise. Where the folders are nested, image/class/coarse_text
    and image/class/coarse_label do the same for the first component of the name.

    Hidden files and folders are left out; files without the suffix of an image are left out and
    listed.
    """

    kind = "class_folders"

    def __init__(self, roots: Sequence[str], image_feature: str = "image/encoded") -> None:
        """Names the root folders; their classes are united by name."""
        self.roots = tuple(root.rstrip("/") or "/" for root in roots)
        self.image_features = (image_feature,)
        self._coarse_names: tuple[str, ...] = ()

    def list_items(self, *, skip_unreadable: bool) -> Listing:
        walk = _Walk(skip_unreadable)
        for root in self.roots:
            walk.add_root(root)
        if not walk.images:
            seen = f"; {len(walk.ignored)} other files are there" if walk.ignored else ""
            raise ListingError(
                f"{', '.join(self.roots)}: no images{seen}; "
                "expected files named *.jpg, *.jpeg, *.png, ... in folders named after their "
                "classes"
            )
        names = sorted(walk.images, key=os.fsencode)
        self._check_layout(names, walk)
        class_names = [name for name in names if name]
        coarse = dict.fromkeys(name.split("/")[0] for name in class_names)
        if any("/" in name for name in class_names):
            self._coarse_names = tuple(sorted(coarse, key=os.fsencode))

        labels = {name: label for label, name in enumerate(class_names)}
        items: list[SourceItem] = []
        digests: dict[str, str] = {}
        for name in names:
            digest = hashlib.sha256()
            label = labels.get(name, -1)
            for path, relative, size_bytes, modified_ns in walk.images[name]:
                items.append(SourceItem(path, 0, size_bytes, label=label))
                digest.update(os.fsencode(f"{relative}\0{size_bytes}\0{modified_ns}\n"))
            count = len(walk.images[name])
            digests[name or "."] = f"{count} files, {digest.hexdigest()[:16]}"
        return Listing(items, digests, class_names, walk.unreadable, sorted(walk.ignored))

    def read(self, item: SourceItem) -> bytes:
        try:
            image = filesystem.read_bytes(item.path)
        except OSError as error:
            raise UnreadableItemError(item.name, f"cannot be read: {error.strerror}") from error
        relative = self.key(item)
        features: dict[str, Values] = {
            self.image_features[0]: [image],
            "image/filename": [os.fsencode(relative)],
            "image/format": [image_format(image).encode()],
        }
        if item.label >= 0:
            text = relative.rpartition("/")[0]
            features["image/class/label"] = [item.label]
            features["image/class/text"] = [os.fsencode(text)]
            if self._coarse_names:
                coarse = text.split("/")[0]
                features["image/class/coarse_label"] = [self._coarse_names.index(coarse)]
                features["image/class/coarse_text"] = [os.fsencode(coarse)]
        return encode_example(features)

    def reencoded_features(self) -> dict[str, list[bytes]]:
        return {"image/format": [b"JPEG"]}

    def key(self, item: SourceItem) -> str:
        # The longest root that holds the path: roots may be nested.
        root = max((r for r in self.roots if item.path.startswith(_slashed(r))), key=len)
        return item.path[len(_slashed(root)) :]

    def _check_layout(self, names: list[str], walk: _Walk) -> None:
        roots = ", ".join(self.roots)
        if "" in names and len(names) > 1:
            raise ListingError(
                f"{walk.images[''][0][0]}: an image without a class beside class folders "
                f"({names[1]}, ...); move it into a folder, or name one class folder as --input"
            )
        top = {name.split("/")[0] for name in names}
        if len(top) > 1 and top <= _SPLIT_NAMES and all("/" in name for name in names):
            raise ListingError(
                f"{roots}: {', '.join(sorted(top))} look like splits, not classes; "
                f"convert each by itself: --input={filesystem.join(self.roots[0], sorted(top)[0])}"
            )


def _slashed(root: str) -> str:
    return root if root.endswith("/") else root + "/"


class _Walk:
    """The image files below some roots, by the name of the folder that holds them."""

    def __init__(self, skip_unreadable: bool) -> None:
        # Folder relative to its root -> (path, the same relative, bytes, ns of last change).
        self.images: dict[str, list[tuple[str, str, int, int]]] = {}
        self.unreadable: list[tuple[str, str]] = []
        self.ignored: list[str] = []
        self._skip_unreadable = skip_unreadable

    def add_root(self, root: str) -> None:
        if not filesystem.is_dir(root):
            raise ListingError(f"{root}: not a folder; expected a folder of class folders")
        self._add_folder(root, "", ())

    def _add_folder(self, folder: str, relative: str, above: tuple[tuple[int, int], ...]) -> None:
        try:
            names = filesystem.listdir(folder)
            if not filesystem.is_remote(folder):
                # Links to folders are followed, but not round in a circle.
                identity = os.stat(folder).st_dev, os.stat(folder).st_ino
                if identity in above:
                    return
                above = (*above, identity)
        except OSError as error:
            self._unreadable(folder, relative, f"cannot be listed: {error.strerror}", error)
            return
        for name in names:
            if name.startswith("."):
                continue
            path = filesystem.join(folder, name)
            below = f"{relative}/{name}" if relative else name
            is_image = os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
            try:
                status = filesystem.status(path)
            except OSError as error:
                if is_image:
                    self._unreadable(path, below, f"cannot be read: {error.strerror}", error)
                continue
            if status.is_dir:
                self._add_folder(path, below, above)
            elif is_image:
                image = (path, below, status.size_bytes, status.modified_ns)
                self.images.setdefault(relative, []).append(image)
            else:
                self.ignored.append(path)

    def _unreadable(self, path: str, name: str, why: str, error: OSError) -> None:
        if not self._skip_unreadable:
            raise UnreadableItemError(path, why) from error
        self.unreadable.append((name or path, why))
