"""Folders whose names are classes: ``<root>/<class>/image.jpg``, or one level more."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from pcr_tf.convert.errors import ListingError
from pcr_tf.convert.sources.base import (
    Listing,
    ListingSummary,
    PartedSource,
    SourceItem,
    added_up,
)
from pcr_tf.convert.sources.images import (
    ImageWalk,
    check_distinct_to_the_eye,
    check_roots_are_apart,
    image_format,
    read_image,
    top_folders,
    without_root,
)
from pcr_tf.format import filesystem
from pcr_tf.format.example import Values, encode_example

_SPLIT_NAMES = frozenset(
    (
        "train",
        "training",
        "val",
        "valid",
        "validation",
        "eval",
        "evaluation",
        "test",
        "testing",
    )
)


class ClassFolderSource(PartedSource):
    """Images in folders named after their classes.

    An example holds image/encoded, image/filename (relative to the root, with "/"), image/format
    (from the contents), and, where the image is in a folder, image/class/text and
    image/class/label: the name of its folder relative to the root, and the 0-based position of that
    name among all of them, sorted bytewise. Where the folders are nested, image/class/coarse_text
    and image/class/coarse_label do the same for the first component of the name.

    A folder that is empty, or holds other files alone, is no class, and is listed. One that cannot
    be listed, or whose images cannot be read, is a class without images.

    Hidden files and folders, and folders that systems make, are left out; files without the suffix
    of an image are left out and listed.
    """

    kind = "class_folders"

    def __init__(self, roots: Sequence[str], image_feature: str = "image/encoded") -> None:
        """Names the root folders; their classes are united by name.

        Raises:
            ListingError: one of them is inside another.
        """
        self.roots = tuple(root.rstrip("/") or "/" for root in roots)
        check_roots_are_apart(self.roots)
        self.image_features = (image_feature,)
        self._coarse_names: tuple[str, ...] = ()

    def part_names(self) -> list[str]:
        """The folders in the roots, each with all below it; "" stands for the files there."""
        found = {top for root in self.roots for top in top_folders(root)}
        return ["", *sorted(found, key=os.fsencode)]

    def list_part(self, part: str, *, skip_unreadable: bool) -> Listing:
        walk = ImageWalk(skip_unreadable, folders_are_classes=True)
        for root in self.roots:
            walk.add_top(root, part)
        names = sorted(walk.images, key=os.fsencode)
        class_names = [name for name in names if name]
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
        return Listing(
            items,
            digests,
            class_names,
            walk.unreadable,
            sorted(walk.ignored),
            walk.without_image(),
        )

    def unite(self, parts: Sequence[ListingSummary]) -> ListingSummary:
        digests = {name: digest for part in parts for name, digest in part.digests.items()}
        class_names = sorted((n for part in parts for n in part.class_names), key=os.fsencode)
        # The first part is that of the files without a class.
        if parts[0].num_items == sum(part.num_items for part in parts):
            class_names = []  # Folders that cannot be listed beside a flat folder's images.
        whole = added_up(parts, digests, class_names)
        if not whole.num_items:
            seen = f"; {whole.num_ignored} other files are there" if whole.num_ignored else ""
            raise ListingError(
                f"{', '.join(self.roots)}: no images{seen}; "
                "expected files named *.jpg, *.jpeg, *.png, ... in folders named after their "
                "classes"
            )
        check_distinct_to_the_eye(class_names, ", ".join(self.roots))
        self._check_layout(class_names, whole.without_image, parts[0].first_item)
        coarse = {name.split("/")[0] for name in class_names}
        if any("/" in name for name in class_names):
            self._coarse_names = tuple(sorted(coarse, key=os.fsencode))
        return whole

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

    def _check_layout(self, names: list[str], without_image: list[str], without_class: str) -> None:
        roots = ", ".join(self.roots)
        if not names:
            return
        if without_class:
            raise ListingError(
                f"{without_class}: an image without a class beside class folders "
                f"({names[0]}, ...); move it into a folder, or name one class folder as --input"
            )
        # One such name may be a class, as a train among vehicles; of two side by side, one with
        # folders, the folders are the classes. The other may be flat, or without an image, and
        # anything else may stand beside them.
        folders = [name.split("/") for name in (*names, *without_image)]
        for level in range(max(map(len, folders)) - 1):
            deep = [folder for folder in folders if len(folder) > level]
            splits = sorted({f[level] for f in deep if f[level].lower() in _SPLIT_NAMES})
            nested = {folder[level] for folder in deep if len(folder) > level + 1}
            if len(splits) > 1 and nested.intersection(splits):
                first = next(folder[: level + 1] for folder in deep if folder[level] == splits[0])
                raise ListingError(
                    f"{roots}: {', '.join(splits)} look like splits, not classes; convert each "
                    f"by itself: --input={filesystem.join(self.roots[0], *first)}; if they "
                    "are classes, rename one"
                )
        if all(name.count("/") > 1 for name in names):
            top = filesystem.join(self.roots[0], names[0].split("/")[0])
            raise ListingError(
                f"{roots}: all classes are three folders deep or more ({names[0]}, ...); name the "
                f"folders that hold the class folders, as --input={top}"
            )
