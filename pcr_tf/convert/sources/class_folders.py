"""Folders whose names are classes: ``<root>/<class>/image.jpg``, or one level more."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from pcr_tf.convert.errors import ListingError
from pcr_tf.convert.sources.base import Listing, Source, SourceItem
from pcr_tf.convert.sources.images import ImageWalk, image_format, read_image, without_root
from pcr_tf.format import filesystem
from pcr_tf.format.example import Values, encode_example

_SPLIT_NAMES = frozenset(("train", "val", "valid", "validation", "test"))


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
        walk = ImageWalk(skip_unreadable)
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
        image = read_image(item)
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
        return without_root(item.path, self.roots)

    def _check_layout(self, names: list[str], walk: ImageWalk) -> None:
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
