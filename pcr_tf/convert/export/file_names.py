"""Names for the images of examples that are exported to files."""

from __future__ import annotations

import dataclasses
import os
import posixpath
from collections.abc import Sequence
from typing import Any

from pcr_tf.convert.errors import ConvertError
from pcr_tf.convert.sources.images import IMAGE_SUFFIXES, image_format
from pcr_tf.format.example import bytes_features, int_feature

_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "BMP": ".bmp", "WEBP": ".webp"}
_MAX_NAME_BYTES = 255  # of one component, on the usual file systems


@dataclasses.dataclass(frozen=True)
class FileNames:
    """How files are named after features; an empty key: the feature is not looked at.

    Attributes:
        class_feature: bytes feature with the name of the class: the folder.
        label_feature: int64 feature with the label: the folder where there is no name.
        name_feature: bytes feature with the file's name.
        class_names: names of the classes, in the order of the labels; may be empty.
        digits: width of the numbers of examples.
    """

    class_feature: str
    label_feature: str
    name_feature: str
    class_names: tuple[str, ...]
    digits: int

    def of_images(self, example: bytes, number: int, images: Sequence[bytes]) -> list[str]:
        """Paths, with "/", of the images of example `number` of the data set.

        The folder is the class; the file has its own name, or the example's number where the
        example has no name that is safe to use. Several images of an example get their positions
        behind the name. A name without the suffix of an image gets one.

        Raises:
            ValueError: `example` is not a serialized ``tf.train.Example``.
            ConvertError: it has several classes or names.
        """
        folder, name = self._folder(example), self._name(example)
        if name and not folder:
            folder = posixpath.dirname(name)
        base = posixpath.basename(name) or f"{number:0{self.digits}d}"
        stem, suffix = posixpath.splitext(base)
        if suffix.lower() not in IMAGE_SUFFIXES:  # "img.v2" is no file that is taken for an image.
            stem, suffix = base, ""
        paths = []
        for position, image in enumerate(images):
            ordinal = f"-{position}" if len(images) > 1 else ""
            ending = suffix or _SUFFIXES.get(image_format(image), ".bin")
            paths.append(posixpath.join(folder, f"{stem}{ordinal}{ending}"))
        return paths

    def label(self, example: bytes) -> int | None:
        """The label of `example`; None where it has none, or it is not looked at.

        Raises:
            ConvertError: it has several.
        """
        labels = int_feature(example, self.label_feature) if self.label_feature else []
        return _only(labels, "label_feature", self.label_feature)

    def _folder(self, example: bytes) -> str:
        text = _text(example, "class_feature", self.class_feature)
        if _is_safe(text):
            return text
        label = self.label(example)
        if label is None:
            return ""
        if 0 <= label < len(self.class_names) and _is_safe(self.class_names[label]):
            return self.class_names[label]
        return f"{label:05d}"

    def _name(self, example: bytes) -> str:
        name = _text(example, "name_feature", self.name_feature)
        return name if _is_safe(name) else ""


def add_label(labels: dict[str, int], folder: str, label: int) -> None:
    """Notes in `labels` that the images of class `label` are in `folder`.

    Raises:
        ConvertError: those of another class are: they could not be told apart.
    """
    other = labels.setdefault(folder, label)
    if other != label:
        raise ConvertError(
            f"{folder}: the folder of label {min(label, other)} and of label {max(label, other)}, "
            "which have one name; `class_feature=` names folders by the manifest's names or the "
            "labels, `label_feature=` puts both into one; name a new folder with `output`"
        )


def _text(example: bytes, flag: str, key: str) -> str:
    values = bytes_features(example, [key]).get(key, []) if key else []
    return os.fsdecode(_only(values, flag, key) or b"")


def _only(values: Sequence[Any], flag: str, key: str) -> Any:
    """The value of a feature that has one; None where it has none."""
    if len(values) > 1:
        raise ConvertError(
            f"{key}: expected one value in each example, since a file is in one folder and has one "
            f"name, got {len(values)}: {values!r:.80}; look at another feature, or at none with "
            f"`{flag}=`, or export with `format=tfrecord`, which keeps all features"
        )
    return values[0] if values else None


def _is_safe(path: str) -> bool:
    """Whether a path names something visible below the folder that it is joined to."""
    return "\0" not in path and all(
        part and not part.startswith(".") and len(os.fsencode(part)) <= _MAX_NAME_BYTES - 16
        for part in path.split("/")
    )
