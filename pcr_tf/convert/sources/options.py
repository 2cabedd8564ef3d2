"""What a source needs to know beyond its inputs: one value type, checked once."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from pcr_tf.convert.errors import ConvertError, check_choice
from pcr_tf.convert.option import declared, option
from pcr_tf.convert.sources.class_list import ClassList, class_entries
from pcr_tf.format.names import local_name

TABLE_FORMATS = ("auto", "csv", "tsv", "whitespace", "mat")
ON_UNMATCHED = ("raise", "ignore_rows", "ignore_images", "ignore")

_TABLE = ("table",)
_TFDS = ("tfds",)
_WITH_CLASSES = ("class_folders", "table", "webdataset")


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

    table: str = option(
        "",
        identity=False,  # its digest is the source's
        kinds=_TABLE,
        section="table",
        help="the file; `inputs` names the folders of the images",
    )
    table_format: str = option(
        "auto",
        identity=True,
        kinds=_TABLE,
        section="table",
        choices=TABLE_FORMATS,
        help="auto goes by the suffix: .csv, .tsv, .mat (a struct array of MATLAB); all others "
        "have their columns apart by whitespace, and may begin with the number of rows",
    )
    table_encoding: str = option(
        "utf-8",
        identity=True,
        kinds=_TABLE,
        section="table",
        help="encoding of its text; a byte order mark is fine",
    )
    table_columns: tuple[str, ...] = option(
        (),
        identity=True,
        kinds=_TABLE,
        section="table",
        help="names of the columns, separated by commas, for a table that has no header",
    )
    image_column: str = option(
        "",
        identity=True,
        kinds=_TABLE,
        section="table",
        help="the column that names the image; by default the only one whose cells do",
    )
    on_unmatched: str = option(
        "raise",
        identity=True,
        kinds=_TABLE,
        section="table",
        choices=ON_UNMATCHED,
        help="what becomes of rows without an image and images without a row: raise an error that "
        "names them, or leave out and count such rows, such images, or (ignore) both",
    )
    label_column: str = option(
        "",
        identity=True,
        kinds=_TABLE,
        section="labels",
        help="the column that holds the label; its values, sorted (numbers as numbers), become the "
        "classes 0, 1, ...",
    )
    label_names: str = option(
        "",
        identity=False,  # its digest is the source's
        kinds=_TABLE,
        section="labels",
        help="file of names, one a line, or a .mat file with one cell array of strings: the label "
        "column holds positions in it, and the classes are its names in their order",
    )
    first_label: int | None = option(
        None,
        identity=True,
        kinds=_TABLE,
        section="labels",
        help="from where `label_names` is counted: 0 or 1 must be given unless 0 is among the "
        "positions",
    )
    label_pattern: str = option(
        "",
        identity=True,
        kinds=_TABLE,
        section="labels",
        help="regular expression: the class is what it finds in the label, or what its group holds",
    )
    label_otherwise: str = option(
        "",
        identity=True,
        kinds=_TABLE,
        section="labels",
        help="the class of labels that `label_pattern` does not fit",
    )
    image_extension: str = option(
        "",
        identity=True,
        kinds=("table", "webdataset"),
        section="image_extension",
        help="table: what is added to names without the suffix of an image, as .jpg; webdataset: "
        "which member is the image, where a key has several",
    )
    tfds_split: str = option(
        "train",
        identity=True,
        kinds=_TFDS,
        section="tfds",
        help="split of the builder, or a slice of it: train, train[:80%]",
    )
    tfds_data_dir: str = option(
        "",
        identity=False,  # the files of the builder have digests
        kinds=_TFDS,
        section="tfds",
        help="where builders are prepared",
    )
    classes: tuple[str, ...] = option(
        (),
        identity=True,
        kinds=_WITH_CLASSES,
        section="classes",
        help="all classes, separated by commas, in the order of their labels 0, 1, ..., instead of "
        "those that are found, sorted; @FILE for a file of them, one a line. A class that is found "
        "and not listed is an error; one without images keeps its label. value=name gives one "
        "another name",
    )
    classes_from: str = option(
        "",
        identity=True,  # held as `classes`
        kinds=_WITH_CLASSES,
        section="classes",
        help="the classes of a data set that was converted before: give train and validation the "
        "same labels by `classes_from=train.pcr`",
    )
    split_column: str = option(
        "",
        identity=True,
        kinds=_TABLE,
        section="split",
        help="column of a table: rows that agree in it (a patient, a lesion) stay in one part",
    )

    def __post_init__(self) -> None:
        for name, declaration in _DECLARED.items():
            if declaration.choices:
                check_choice(name, getattr(self, name), declaration.choices)
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
            owners = _DECLARED[name].kinds
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
            if _DECLARED[name].identity
        }

    def _set(self) -> dict[str, Any]:
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }


_DECLARED = declared(SourceOptions)
