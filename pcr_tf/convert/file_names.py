"""Names for the images of examples that are exported to files."""

from __future__ import annotations

import dataclasses
import os
import posixpath
from collections.abc import Sequence

from pcr_tf.convert.errors import ConvertError
from pcr_tf.convert.sources.class_folders import image_format
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
        behind the name.

        Raises:
            ValueError: `example` is not a serialized ``tf.train.Example``.
        """
        folder, name = self._folder(example), self._name(example)
        if name and not folder:
            folder = posixpath.dirname(name)
        base = posixpath.basename(name) or f"{number:0{self.digits}d}"
        stem, suffix = posixpath.splitext(base)
        paths = []
        for position, image in enumerate(images):
            ordinal = f"-{position}" if len(images) > 1 else ""
            ending = suffix or _SUFFIXES.get(image_format(image), ".bin")
            paths.append(posixpath.join(folder, f"{stem}{ordinal}{ending}"))
        return paths

    def label(self, example: bytes) -> int | None:
        """The label of `example`; None where it has none, or it is not looked at."""
        labels = int_feature(example, self.label_feature) if self.label_feature else []
        return labels[0] if labels else None

    def _folder(self, example: bytes) -> str:
        text = _first(example, self.class_feature)
        if _is_safe(text):
            return text
        label = self.label(example)
        if label is None:
            return ""
        if 0 <= label < len(self.class_names) and _is_safe(self.class_names[label]):
            return self.class_names[label]
        return f"{label:05d}"

    def _name(self, example: bytes) -> str:
        name = _first(example, self.name_feature)
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
            "which have one name; --class_feature= names folders by the manifest's names or the "
            "labels, --label_feature= puts both into one; name a new folder with --output"
        )


def _first(example: bytes, key: str) -> str:
    values = bytes_features(example, [key]).get(key) if key else None
    return os.fsdecode(values[0]) if values else ""


def _is_safe(path: str) -> bool:
    """Whether a path names something visible below the folder that it is joined to."""
    return "\0" not in path and all(
        part and not part.startswith(".") and len(os.fsencode(part)) <= _MAX_NAME_BYTES - 16
        for part in path.split("/")
    )
