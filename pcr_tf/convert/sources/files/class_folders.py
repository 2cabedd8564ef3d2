"""Folders whose names are classes: ``<root>/<class>/image.jpg``, or one level more."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence

from pcr_tf.convert.errors import ListingError, some
from pcr_tf.convert.sources.base import (
    Listing,
    ListingSummary,
    Match,
    PartedSource,
    SourceContext,
    SourceItem,
    merge_summaries,
    only_image_feature,
)
from pcr_tf.convert.sources.class_list import ClassList, twins
from pcr_tf.convert.sources.image_walk import (
    ImageWalk,
    check_roots_are_apart,
    top_folders,
    without_root,
)
from pcr_tf.convert.sources.images import image_format, read_image
from pcr_tf.convert.sources.inputs import expand_to_roots
from pcr_tf.convert.sources.options import SourceOptions
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

# Names of folders of photographs, and of the folders of their masks or labels.
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


@dataclasses.dataclass(frozen=True)
class ClassFolderContext(SourceContext):
    """What reading images of class folders needs.

    Attributes:
      coarse_names: first components of the classes' folders, in the order of the coarse labels;
        empty where the folders are not nested.
    """

    coarse_names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ClassFolderSource(PartedSource):
    """Images in folders named after their classes.

    An example holds image/encoded, image/filename (relative to the root, with "/"), image/format
    (from the contents), and, where the image is in a folder, image/class/text and
    image/class/label: the name of its folder relative to the root, and the 0-based position of that
    name among all of them, sorted bytewise. Where the folders are nested, image/class/coarse_text
    and image/class/coarse_label do the same for the first component of the name.

    Where a list of classes is given, labels are positions in it: a folder that it lacks is an
    error, and a class without images keeps its place.

    Without a list, an empty folder is an error, since it may stand for a class; a folder that only
    holds other files is not a class, and is listed. A folder that cannot be listed, or whose images
    cannot be read, is a class without images.

    Hidden files and folders, and folders that operating systems make, are skipped; files without
    the suffix of an image are skipped and counted.

    Attributes:
      roots: the root folders; their classes are united by name.
      classes: all classes, in the order of their labels; empty for those that have a folder.
    """

    kind = "class_folders"

    roots: tuple[str, ...]
    image_features: tuple[str, ...]
    classes: ClassList

    @classmethod
    def create(
        cls, inputs: Sequence[str], image_features: Sequence[str], options: SourceOptions
    ) -> ClassFolderSource:
        image_feature = only_image_feature(cls.kind, image_features)
        roots = expand_to_roots(inputs)
        check_roots_are_apart(roots)
        return cls(roots, (image_feature,), options.class_list())

    @classmethod
    def match(cls, path: str, *, is_folder: bool) -> Match:
        return Match.FALLBACK if is_folder else Match.NO

    def part_names(self) -> list[str]:
        """The folders in the roots, each with all below it; "" stands for the files there."""
        folders = {top for root in self.roots for top in top_folders(root)}
        return ["", *sorted(folders, key=os.fsencode)]

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
        listed = self.classes.label_of
        class_names = [self.classes.names[listed[f]] if f in listed else f for f in folders]
        return Listing(
            items=tuple(items),
            digests=digests,
            context=SourceContext(tuple(class_names)),
            unreadable=tuple(walk.unreadable),
            ignored=tuple(sorted(walk.ignored, key=os.fsencode)),
            folders_without_images={
                folder: count
                for folder, count in walk.folders_without_images().items()
                if folder not in listed
            },
            unlisted_folders=tuple(f for f in folders if f not in listed) if listed else (),
        )

    def merge(self, parts: Sequence[ListingSummary]) -> ListingSummary:
        digests = {name: digest for part in parts for name, digest in part.digests.items()}
        class_names = sorted((n for part in parts for n in part.class_names), key=os.fsencode)
        # The first part is that of the files without a class.
        if parts[0].num_items == sum(part.num_items for part in parts):
            class_names = []  # Folders that cannot be listed beside a flat folder's images.
        whole = merge_summaries(parts, digests, SourceContext(tuple(class_names)))
        if not whole.num_items:
            others = f"; {whole.num_ignored} other files are there" if whole.num_ignored else ""
            raise ListingError(
                f"{', '.join(self.roots)}: no images{others}; "
                "expected files named *.jpg, *.jpeg, *.png, ... in folders named after their "
                "classes"
            )
        self._check_no_stray(class_names, parts[0].first_item)
        if not self.classes or whole.unlisted_folders:
            self._check_layout(class_names, list(whole.folders_without_images))
        folders: Sequence[str] = class_names
        if self.classes:
            self._check_all_are_listed(class_names, whole.unlisted_folders)
            folders = list(self.classes.label_of)
            class_names = list(self.classes.names)
        elif class_names:
            self._check_none_is_empty(whole.folders_without_images)
            self._check_all_look_different(class_names)
        coarse_names: set[str] = set()
        # Of the whole list: two data sets that share one share the coarse labels as well.
        if any("/" in folder for folder in folders):
            coarse_names = {folder.split("/")[0] for folder in folders}
        context = ClassFolderContext(
            tuple(class_names), tuple(sorted(coarse_names, key=os.fsencode))
        )
        return merge_summaries(parts, digests, context)

    def read(self, item: SourceItem, context: SourceContext) -> bytes:
        assert isinstance(context, ClassFolderContext)
        image = read_image(item)
        relative = self.key(item)
        features: dict[str, Values] = {
            self.image_features[0]: [image],
            "image/filename": [os.fsencode(relative)],
            "image/format": [image_format(image).encode()],
        }
        if item.label >= 0:
            features["image/class/label"] = [item.label]
            features["image/class/text"] = [os.fsencode(context.class_names[item.label])]
            if context.coarse_names:
                coarse = relative.split("/")[0]
                features["image/class/coarse_label"] = [context.coarse_names.index(coarse)]
                features["image/class/coarse_text"] = [os.fsencode(coarse)]
        return encode_example(features)

    def reencoded_features(self) -> dict[str, list[bytes]]:
        return {"image/format": [b"JPEG"]}

    def key(self, item: SourceItem) -> str:
        return without_root(item.path, self.roots)

    def _check_all_are_listed(self, class_names: list[str], unlisted: Sequence[str]) -> None:
        if not class_names:
            raise ListingError(
                f"{', '.join(self.roots)}: only images, no class folders; expected folders of "
                "the classes of `classes` or `classes_from`"
            )
        if unlisted:
            more = f" ({_and_more(unlisted)})" if len(unlisted) > 1 else ""
            raise ListingError(
                f"{self._path_of(unlisted[0])}: {self.classes.unlisted(unlisted[0])}{more}"
            )

    def _check_none_is_empty(self, without_image: Mapping[str, int]) -> None:
        empty = [folder for folder, count in without_image.items() if not count]
        if empty:
            more = f" ({_and_more(empty)})" if len(empty) > 1 else ""
            raise ListingError(
                f"{self._path_of(empty[0])}: an empty folder{more}; expected images in each class "
                "folder, because labels count folders; remove it if it is not a class, or list all "
                "classes with `classes` or `classes_from`: one without images then keeps its label"
            )

    def _check_all_look_different(self, class_names: Sequence[str]) -> None:
        pair = twins(class_names)
        if pair is not None:
            first, second = pair
            raise ListingError(
                f"{self._path_of(second)}: expected one folder per name, got {second!a} beside "
                f"{first!a}, which look the same; merge the two, or, if they are two classes, list "
                "both with `classes`"
            )

    def _path_of(self, folder: str) -> str:
        paths = [filesystem.join(root, folder) for root in self.roots]
        return next(filter(filesystem.exists, paths), paths[0])

    def _check_no_stray(self, names: list[str], without_class: str) -> None:
        if names and without_class:
            raise ListingError(
                f"{without_class}: an image without a class beside class folders "
                f"({names[0]}, ...); move it into a folder, or name one class folder with `inputs`"
            )

    def _check_layout(self, names: list[str], without_image: list[str]) -> None:
        roots = ", ".join(self.roots)
        if not names:
            return
        # One such name may be a class, like a train among vehicles. Where two are side by side and
        # one holds folders, those folders are the classes. The other may be flat, or without an
        # image, and anything else may be beside them.
        folders = [name.split("/") for name in (*names, *without_image)]
        for level in range(max(map(len, folders)) - 1):
            deep = [folder for folder in folders if len(folder) > level]
            splits = sorted({f[level] for f in deep if f[level].lower() in _SPLIT_NAMES})
            nested = {folder[level] for folder in deep if len(folder) > level + 1}
            if len(splits) > 1 and nested.intersection(splits):
                # The one that has all classes, so that the others can take them from it.
                main = min(splits, key=lambda name: not name.lower().startswith("train"))
                first = next(folder[: level + 1] for folder in deep if folder[level] == main)
                raise ListingError(
                    f"{roots}: {', '.join(splits)} look like splits, not classes; convert each "
                    f"separately: `inputs={filesystem.join(self.roots[0], *first)}`; give the "
                    "others the same labels with `classes_from`; if they are classes, rename one, "
                    "or list all with `classes`"
                )
        if not self.classes:
            self._check_no_masks(folders)
        if all(name.count("/") > 1 for name in names):
            top = filesystem.join(self.roots[0], names[0].split("/")[0])
            raise ListingError(
                f"{roots}: all classes are three folders deep or more ({names[0]}, ...); name the "
                f"folders that hold the class folders: `inputs={top}`"
            )

    def _check_no_masks(self, folders: list[list[str]]) -> None:
        """Refuses a folder of photographs beside one of their masks: each would become a class."""
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
                    f"{path}: beside {masks[0]}: photographs and their masks, not two "
                    "classes; put each image and its mask into one example: docs/CONVERTING.md, "
                    "Images with masks; if they are classes, name them with `classes`"
                )


def _and_more(folders: Sequence[str]) -> str:
    return f"one of {len(folders)} such folders: {some(folders)}"
