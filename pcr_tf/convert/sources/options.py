"""What a source needs to know beyond its inputs: one value type, checked once."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from pcr_tf.convert.errors import ConvertError
from pcr_tf.convert.sources.class_list import ClassList, class_entries
from pcr_tf.format.names import local_name

TABLE_FORMATS = ("auto", "csv", "tsv", "whitespace", "mat")
ON_UNMATCHED = ("raise", "ignore_rows", "ignore_images", "ignore")

# Where the source stands is not part of what it is: its digests say what these files hold.
_PLACES = frozenset({"table", "label_names", "tfds_data_dir"})

_TABLE_ONLY = frozenset(
    (
        "table",
        "table_format",
        "table_encoding",
        "table_columns",
        "image_column",
        "label_column",
        "on_unmatched",
        "label_names",
        "first_label",
        "label_pattern",
        "label_otherwise",
        "split_column",
    )
)

_OWNERS = {
    "image_extension": ("table", "webdataset"),
    "classes": ("class_folders", "table", "webdataset"),
}


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    """Options of single kinds of sources. Construction checks every field and raises ConvertError.

    Attributes:
        image_extension: table: what is added to names that end in no suffix of an image.
            webdataset: which member is the image, where a key has several.
        table: the file of the table; see `pcr_tf.convert.sources.tables.table_file`.
        table_format: one of `TABLE_FORMATS`; "auto" goes by the file's suffix.
        table_encoding: of its text.
        table_columns: names of the columns, where the table has no header.
        image_column: the column that names the image; "" for the only one whose cells do.
        label_column: the column that names the class; "" for none.
        on_unmatched: what becomes of rows without an image and images without a row: "raise", or
            rows, images or both are left out and counted.
        label_names, first_label, label_pattern, label_otherwise: how values of the label column
            become classes; see `pcr_tf.convert.sources.tables.labels`.
        classes: class_folders, table, webdataset: the classes in the order of their labels, as
            entries of `pcr_tf.convert.sources.class_list`; ("@FILE",) for the lines of a file. Held
            as the entries.
        classes_from: folder of a data set whose classes are taken. Held as `classes`.
        split_column: rows that agree in this column stay in one part of a split, however a number
            is written; "": single rows.
        tfds_split: split of the builder, slices included: "train", "train[:80%]".
        tfds_data_dir: where builders are prepared; "" for the default of TensorFlow Datasets.
    """

    image_extension: str = ""
    table: str = ""
    table_format: str = "auto"
    table_encoding: str = "utf-8"
    table_columns: tuple[str, ...] = ()
    image_column: str = ""
    label_column: str = ""
    on_unmatched: str = "raise"
    label_names: str = ""
    first_label: int | None = None
    label_pattern: str = ""
    label_otherwise: str = ""
    classes: tuple[str, ...] = ()
    classes_from: str = ""
    split_column: str = ""
    tfds_split: str = "train"
    tfds_data_dir: str = ""

    def __post_init__(self) -> None:
        for flag, choices in (("table_format", TABLE_FORMATS), ("on_unmatched", ON_UNMATCHED)):
            value = getattr(self, flag)
            if value not in choices:
                raise ConvertError(f"`{flag}`; expected one of {', '.join(choices)}, got {value!r}")
        if self.image_extension and not re.fullmatch(r"\.[^/]+", self.image_extension):
            raise ConvertError(
                "`image_extension`; expected a suffix with its dot, as .jpg; "
                f"got {self.image_extension!r}"
            )
        try:
            "".encode(self.table_encoding)
        except LookupError as error:
            raise ConvertError(f"`table_encoding`: {error}; utf-8, latin-1 are two") from error
        try:
            pattern = re.compile(self.label_pattern)
        except re.error as error:
            raise ConvertError(
                f"`label_pattern`: not a regular expression: {error}; got {self.label_pattern!r}"
            ) from error
        if pattern.groups > 1:
            raise ConvertError(
                "`label_pattern`; expected at most one group, which is the class; "
                f"got {pattern.groups}; write the others as (?:...)"
            )
        if self.label_otherwise and not self.label_pattern:
            raise ConvertError("`label_otherwise`: is for values that `label_pattern` does not fit")
        if not self.label_column:
            needing = ["label_names", "label_pattern"]
            # Other sources know their labels without a column.
            needing += ["classes", "classes_from"] if self.table else []
            for flag in needing:
                if getattr(self, flag):
                    raise ConvertError(
                        f"`{flag}`: says what the labels are; requires `label_column`"
                    )
        if self.first_label is not None and not self.label_names:
            raise ConvertError("`first_label`: counts positions in `label_names`; requires it")
        encoding = self.table_encoding if self.table else ""
        entries = class_entries(self.classes, self.classes_from, encoding)
        # Files hold them as UTF-8; names of folders are as this process decodes them.
        entries = tuple(map(local_name, entries))
        object.__setattr__(self, "classes", entries)
        object.__setattr__(self, "classes_from", "")
        ClassList(entries)

    def class_list(self) -> ClassList:
        """`classes`, taken apart."""
        return ClassList(self.classes)

    def check_kind(self, kind: str) -> None:
        """Refuses options that have no effect on a source of kind `kind`.

        Raises:
            ConvertError: names the option.
        """
        for name in self._set():
            owners = ("table",) if name in _TABLE_ONLY else _OWNERS.get(name, ("tfds",))
            if kind not in owners:
                flag, remedy = name, ""
                if owners == ("table",):
                    remedy = "; name the table's file with `table`"
                elif name == "classes":
                    # That of a data set is held as `classes` too.
                    flag, remedy = "classes`, `classes_from", ", whose labels pass through"
                raise ConvertError(
                    f"`{flag}`: belongs to `input_format` {' or '.join(owners)}; this source is "
                    f"{kind}{remedy}"
                )

    def fingerprint(self) -> dict[str, Any]:
        """The options that differ from their defaults and that the result depends on, as JSON
        values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self._set().items()
            if name not in _PLACES
        }

    def _set(self) -> dict[str, Any]:
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }
