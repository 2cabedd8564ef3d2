"""Folders whose names are classes: ``<root>/<class>/image.jpg``, or one level more."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence

from pcr_tf.convert.errors import ListingError
from pcr_tf.convert.job.job_state import some
from pcr_tf.convert.sources.base import (
    Listing,
    ListingSummary,
    PartedSource,
    SourceItem,
    added_up,
)
from pcr_tf.convert.sources.class_list import ClassList, twins
from pcr_tf.convert.sources.files.images import (
    ImageWalk,
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

# What stands beside a folder of photographs and is drawn on them.
_IMAGES_NAMES = frozenset(
    ("image", "images", "img", "imgs", "jpegimages", "leftimg8bit", "photo", "photos", "rgb")
)
_MASKS_NAMES = frozenset(
    (
        "annotation",
        "annotations",
        "depth",
        "groundtruth",
        "ground_truth",
        "gt",
        "gtfine",
        "label",
        "labels",
        "mask",
        "masks",
        "segmentation",
        "segmentationclass",
        "segmentations",
        "trimaps",
    )
)


class ClassFolderSource(PartedSource):
    """Images in folders named after their classes.

    An example holds image/encoded, image/filename (relative to the root, with "/"), image/format
    (from the contents), and, where the image is in a folder, image/class/text and
    image/class/label: the name of its folder relative to the root, and the 0-based position of that
    name among all of them, sorted bytewise. Where the folders are nested, image/class/coarse_text
    and image/class/coarse_label do the same for the first component of the name.

    Where a list of classes is given, labels are positions in it: a folder that it lacks is an
    error, and a class without images keeps its place.

    Without a list, an empty folder is an error, since it may stand for a class; one that holds
    other files alone is no class, and is listed. One that cannot be listed, or whose images cannot
    be read, is a class without images.

    Hidden files and folders, and folders that systems make, are left out; files without the suffix
    of an image are left out and listed.
    """

    kind = "class_folders"

    def __init__(
        self,
        roots: Sequence[str],
        image_feature: str = "image/encoded",
        classes: ClassList | None = None,
    ) -> None:
        """Names the root folders; their classes are united by name.

        Args:
            classes: all classes, in the order of their labels; none: those that are found.

        Raises:
            ListingError: one of them is inside another.
        """
        self.roots = tuple(root.rstrip("/") or "/" for root in roots)
        check_roots_are_apart(self.roots)
        self.image_features = (image_feature,)
        self._classes = classes or ClassList(())
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
        folders = [name for name in names if name]
        labels = {name: label for label, name in enumerate(folders)}
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
        listed = self._classes.label_of
        without_image = walk.without_image()
        return Listing(
            items,
            digests,
            [self._classes.names[listed[f]] if f in listed else f for f in folders],
            walk.unreadable,
            sorted(walk.ignored, key=os.fsencode),
            {f: count for f, count in without_image.items() if f not in listed},
            [f for f in folders if f not in listed] if listed else [],
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
        self._check_no_stray(class_names, parts[0].first_item)
        if not self._classes or whole.unlisted:
            self._check_layout(class_names, list(whole.without_image))
        folders: Sequence[str] = class_names
        if self._classes:
            self._check_all_are_listed(class_names, whole.unlisted)
            folders = list(self._classes.label_of)
            whole = added_up(parts, digests, self._classes.names)
        elif class_names:
            self._check_none_is_empty(whole.without_image)
            self._check_all_look_different(class_names)
        # Of the whole list: two data sets that share one share the coarse labels as well.
        if any("/" in folder for folder in folders):
            coarse = {folder.split("/")[0] for folder in folders}
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
            name = self._classes.names[item.label] if self._classes else text
            features["image/class/text"] = [os.fsencode(name)]
            if self._coarse_names:
                coarse = text.split("/")[0]
                features["image/class/coarse_label"] = [self._coarse_names.index(coarse)]
                features["image/class/coarse_text"] = [os.fsencode(coarse)]
        return encode_example(features)

    def reencoded_features(self) -> dict[str, list[bytes]]:
        return {"image/format": [b"JPEG"]}

    def key(self, item: SourceItem) -> str:
        return without_root(item.path, self.roots)

    def _check_all_are_listed(self, class_names: list[str], unlisted: list[str]) -> None:
        if not class_names:
            raise ListingError(
                f"{', '.join(self.roots)}: no class folders, but images alone; expected folders of "
                "the classes of --classes or --classes_from"
            )
        if unlisted:
            more = f" ({_and_more(unlisted)})" if len(unlisted) > 1 else ""
            raise ListingError(
                f"{self._path_of(unlisted[0])}: {self._classes.unlisted(unlisted[0])}{more}"
            )

    def _check_none_is_empty(self, without_image: Mapping[str, int]) -> None:
        empty = [folder for folder, count in without_image.items() if not count]
        if empty:
            more = f" ({_and_more(empty)})" if len(empty) > 1 else ""
            raise ListingError(
                f"{self._path_of(empty[0])}: an empty folder{more}; expected images in each class "
                "folder, for labels count them; remove it if it is no class, or list all classes "
                "with --classes or --classes_from: one without images then keeps its label"
            )

    def _check_all_look_different(self, class_names: Sequence[str]) -> None:
        pair = twins(class_names)
        if pair is not None:
            one, other = pair
            raise ListingError(
                f"{self._path_of(other)}: expected one folder of a name, got {other!a} beside "
                f"{one!a}, which look the same; make one folder of them, or, where they are "
                "two classes, say so with --classes"
            )

    def _path_of(self, folder: str) -> str:
        paths = [filesystem.join(root, folder) for root in self.roots]
        return next(filter(filesystem.exists, paths), paths[0])

    def _check_no_stray(self, names: list[str], without_class: str) -> None:
        if names and without_class:
            raise ListingError(
                f"{without_class}: an image without a class beside class folders "
                f"({names[0]}, ...); move it into a folder, or name one class folder as --input"
            )

    def _check_layout(self, names: list[str], without_image: list[str]) -> None:
        roots = ", ".join(self.roots)
        if not names:
            return
        # One such name may be a class, as a train among vehicles; of two side by side, one with
        # folders, the folders are the classes. The other may be flat, or without an image, and
        # anything else may stand beside them.
        folders = [name.split("/") for name in (*names, *without_image)]
        for level in range(max(map(len, folders)) - 1):
            deep = [folder for folder in folders if len(folder) > level]
            splits = sorted({f[level] for f in deep if f[level].lower() in _SPLIT_NAMES})
            nested = {folder[level] for folder in deep if len(folder) > level + 1}
            if len(splits) > 1 and nested.intersection(splits):
                # The one that has all classes, for the others to take them from.
                begin = min(splits, key=lambda name: not name.lower().startswith("train"))
                first = next(folder[: level + 1] for folder in deep if folder[level] == begin)
                raise ListingError(
                    f"{roots}: {', '.join(splits)} look like splits, not classes; convert each "
                    f"by itself: --input={filesystem.join(self.roots[0], *first)}; give the "
                    "others the same labels with --classes_from; if they are classes, rename one, "
                    "or list all with --classes"
                )
        if not self._classes:
            self._check_no_masks(folders)
        if all(name.count("/") > 1 for name in names):
            top = filesystem.join(self.roots[0], names[0].split("/")[0])
            raise ListingError(
                f"{roots}: all classes are three folders deep or more ({names[0]}, ...); name the "
                f"folders that hold the class folders, as --input={top}"
            )

    def _check_no_masks(self, folders: list[list[str]]) -> None:
        """Of a folder of photographs beside one of their masks, each would be a class."""
        children: dict[tuple[str, ...], set[str]] = {}
        for folder in folders:
            for level, name in enumerate(folder):
                children.setdefault(tuple(folder[:level]), set()).add(name)
        for above, names in children.items():
            images = sorted(name for name in names if name.lower() in _IMAGES_NAMES)
            masks = sorted(name for name in names if name.lower() in _MASKS_NAMES)
            if images and masks:
                path = filesystem.join(self.roots[0], *above, images[0])
                raise ListingError(
                    f"{path}: beside {masks[0]}: photographs and what is drawn on them, not two "
                    "classes; put each image and its mask into one example: docs/CONVERTING.md, "
                    "Images with masks; if they are classes, name them with --classes"
                )


def _and_more(folders: Sequence[str]) -> str:
    return f"one of {len(folders)} such folders: {some(folders)}"
