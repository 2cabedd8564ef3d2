"""The flags of pcr-convert and pcr-convert-beam, by section, and the options that they make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from pcr_tf.cli.command import as_usage_errors, define_worker_flags, split_paths
from pcr_tf.convert import ConvertError, ConvertOptions, SourceOptions
from pcr_tf.convert.job.memory import parse_bytes
from pcr_tf.convert.job.options import ON_UNREADABLE, ON_UNSUPPORTED, parse_split
from pcr_tf.convert.sources import KINDS
from pcr_tf.convert.sources.options import ON_UNMATCHED, TABLE_FORMATS
from pcr_tf.format import scan_scripts
from pcr_tf.format.names import stored_name

# In an installed package configs/ travels inside it; in a source tree it is at the root.
_PACKAGE = Path(__file__).resolve().parent.parent
_CONFIGS_IN = (_PACKAGE, _PACKAGE.parent)

# The first flag of a section -> its heading.
SECTIONS = {
    "input": "What goes in:",
    "table": "Tables (--input_format=table): a file names the images and their labels:",
    "label_column": "Labels of a table:",
    "classes": "Classes of class folders, tables and tar shards:",
    "image_extension": "Tables and tar shards (--input_format=table, webdataset):",
    "tfds_split": "TensorFlow Datasets (--input_format=tfds; pip install pcr-tf[tfds]):",
    "output": "What comes out:",
    "split": "Train and validation:",
    "scan_script": "How images are coded:",
    "on_unsupported": "What becomes of what does not fit:",
    "num_workers": "How the job runs:",
}


def define_flags() -> flags.FlagValues:
    """All flags of pcr-convert, in the order of the help."""
    values = define_job_flags()
    _define_run(values)
    return values


def define_job_flags() -> flags.FlagValues:
    """The flags that say what a conversion does, but not how this machine does it."""
    values = flags.FlagValues()
    _define_input(values)
    _define_table(values)
    _define_classes(values)
    _define_output(values)
    _define_coding(values)
    return values


def with_flag_files_of_the_package(arguments: Sequence[str]) -> list[str]:
    """A command line whose ``--flagfile=configs/NAME.flags`` is found from any working folder.

    A file that is there goes before one of the package.
    """
    found = list(arguments)
    for n, argument in enumerate(found):
        flag, equals, value = argument.partition("=")
        if n > 0 and found[n - 1] in ("--flagfile", "-flagfile"):
            found[n] = _flag_file(argument)
        elif equals and flag in ("--flagfile", "-flagfile"):
            found[n] = f"{flag}={_flag_file(value)}"
    return found


def _flag_file(name: str) -> str:
    path = Path(name)
    if path.exists() or path.parent != Path("configs"):
        return name
    return next((str(there / path) for there in _CONFIGS_IN if (there / path).exists()), name)


@as_usage_errors(ConvertError)
def to_options(values: flags.FlagValues, num_workers: int, max_memory: str = "") -> ConvertOptions:
    """The options that parsed flags stand for.

    Raises:
        UsageError: a flag is out of range; names it.
    """
    for flag in ("classes", "classes_from"):
        # As of a shell's variable that is not set: without the list, labels would be others.
        if values[flag].present and not values[flag].value:
            raise ConvertError(f"--{flag}: expected the classes, got nothing; leave the flag out")
    return ConvertOptions(
        inputs=split_paths(values.input),
        output=values.output,
        input_format=values.input_format,
        image_features=tuple(map(stored_name, values.image_feature)),
        examples_per_record=values.examples_per_record,
        num_shards=values.num_shards,
        shard_size_mib=values.shard_size_mib,
        shuffle=values.shuffle,
        shuffle_seed=values.shuffle_seed,
        scan_script=values.scan_script,
        prove=values.prove,
        on_unsupported=values.on_unsupported,
        encode_quality=values.encode_quality,
        encode_upright=values.encode_upright,
        on_unreadable=values.on_unreadable,
        prefix=values.prefix,
        num_workers=num_workers,
        max_memory_bytes=parse_bytes(max_memory) if max_memory else None,
        profile_images=values.profile_images,
        split=parse_split(values.split),
        split_seed=values.split_seed,
        source_options=SourceOptions(
            image_extension=values.image_extension,
            table=values.table,
            table_format=values.table_format,
            table_encoding=values.table_encoding,
            table_columns=tuple(values.table_columns),
            image_column=values.image_column,
            label_column=values.label_column,
            on_unmatched=values.on_unmatched,
            label_names=values.label_names,
            first_label=values.first_label,
            label_pattern=values.label_pattern,
            label_otherwise=values.label_otherwise,
            classes=tuple(values.classes),
            classes_from=values.classes_from,
            split_column=values.split_column,
            tfds_split=values.tfds_split,
            tfds_data_dir=values.tfds_data_dir,
        ),
    )


def _define_input(values: flags.FlagValues) -> None:
    flags.DEFINE_multi_string(
        "input",
        [],
        "folder of class folders, folders of the images of a table, TFRecord files, tar shards, or "
        "a builder of TensorFlow Datasets: paths and quoted patterns, separated by commas; may be "
        "repeated",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "input_format",
        "auto",
        ["auto", *KINDS],
        "what the input is; auto looks at it",
        flag_values=values,
    )
    flags.DEFINE_list(
        "image_feature",
        ["image/encoded"],
        "key of the feature that holds the image; several, separated by commas, for several images "
        "per example",
        flag_values=values,
    )


def _define_table(values: flags.FlagValues) -> None:
    def text(name: str, default: str, help_text: str) -> None:
        flags.DEFINE_string(name, default, help_text, flag_values=values)

    text("table", "", "the file; --input names the folders of the images")
    flags.DEFINE_enum(
        "table_format",
        "auto",
        list(TABLE_FORMATS),
        "auto goes by the suffix: .csv, .tsv, .mat (a struct array of MATLAB); all others have "
        "their columns apart by whitespace, and may begin with the number of rows",
        flag_values=values,
    )
    text("table_encoding", "utf-8", "encoding of its text; a byte order mark is fine")
    flags.DEFINE_list(
        "table_columns",
        [],
        "names of the columns, separated by commas, for a table that has no header",
        flag_values=values,
    )
    text(
        "image_column",
        "",
        "the column that names the image; by default the only one whose cells do",
    )
    flags.DEFINE_enum(
        "on_unmatched",
        "raise",
        list(ON_UNMATCHED),
        "what becomes of rows without an image and images without a row: raise an error that names "
        "them, or leave out and count such rows, such images, or (ignore) both",
        flag_values=values,
    )
    text(
        "label_column",
        "",
        "the column that holds the label; its values, sorted (numbers as numbers), become the "
        "classes 0, 1, ...",
    )
    text(
        "label_names",
        "",
        "file of names, one a line, or a .mat file with one cell array of strings: the label "
        "column holds positions in it, and the classes are its names in their order",
    )
    flags.DEFINE_integer(
        "first_label",
        None,
        "from where --label_names is counted: 0 or 1 must be given unless 0 is among the positions",
        flag_values=values,
    )
    text(
        "label_pattern",
        "",
        "regular expression: the class is what it finds in the label, or what its group holds",
    )
    text("label_otherwise", "", "the class of labels that --label_pattern does not fit")
    text(
        "image_extension",
        "",
        "table: what is added to names without the suffix of an image, as .jpg; webdataset: which "
        "member is the image, where a key has several",
    )
    text("tfds_split", "train", "split of the builder, or a slice of it: train, train[:80%]")
    text("tfds_data_dir", "", "where builders are prepared")


def _define_classes(values: flags.FlagValues) -> None:
    flags.DEFINE_list(
        "classes",
        [],
        "all classes, separated by commas, in the order of their labels 0, 1, ..., instead of "
        "those that are found, sorted; @FILE for a file of them, one a line. A class that is found "
        "and not listed is an error; one without images keeps its label. value=name gives one "
        "another name",
        flag_values=values,
    )
    flags.DEFINE_string(
        "classes_from",
        "",
        "the classes of a data set that was converted before: give train and validation the same "
        "labels by --classes_from=train.pcr",
        flag_values=values,
    )


def _define_output(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "output", "", "folder of the data set; new, empty, or this job's own", flag_values=values
    )
    flags.DEFINE_integer(
        "examples_per_record",
        None,
        "examples per record, the unit of reading and of shuffling; 2 MB or more at the fidelity "
        "that is read suits object stores; by default 256, and fewer for less than 16,384 images, "
        "so that there are at least 64 records",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "num_shards",
        None,
        "number of files; by default it follows from --shard_size_mib",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "shard_size_mib",
        128,
        "source MiB per file; small data sets get 8 files or one per record, so that workers share "
        "the work",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "shuffle", True, "shuffle all examples, over all files", flag_values=values
    )
    flags.DEFINE_integer(
        "shuffle_seed", 0, "the order follows from it and the names", flag_values=values
    )
    flags.DEFINE_string(
        "prefix", "shard", "how file names begin: <prefix>-00000-of-00010.pcr", flag_values=values
    )
    flags.DEFINE_string(
        "split",
        "",
        "parts and their shares, as train:0.8,validation:0.2: each becomes a data set of its own, "
        "<output>/<part>; an item's part follows from its name and --split_seed alone",
        flag_values=values,
    )
    flags.DEFINE_integer("split_seed", 0, "another seed gives other parts", flag_values=values)
    flags.DEFINE_string(
        "split_column",
        "",
        "column of a table: rows that agree in it (a patient, a lesion) stay in one part",
        flag_values=values,
    )


def _define_coding(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "scan_script",
        scan_scripts.DEFAULT,
        f"a scan script of the package ({', '.join(scan_scripts.named_scripts())}), or a file in "
        "the form that jpegtran -scans reads",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "prove",
        True,
        "decode every stored image again and compare its coefficients with the source's; takes "
        "about a third more time",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "on_unsupported",
        "keep",
        list(ON_UNSUPPORTED),
        "what becomes of an image that cannot be re-coded losslessly (PNG, damaged JPEG, ...): "
        "keep it byte for byte, raise an error, skip its example, or encode it as JPEG, which "
        "loses information",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "encode_quality",
        95,
        "JPEG quality of --on_unsupported=encode, 1 to 100",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "encode_upright",
        False,
        "turn images by their EXIF orientation where --on_unsupported=encode encodes them anew, "
        "and store no orientation; other features, as boxes or image/height, stay as they are",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "on_unreadable",
        "raise",
        list(ON_UNREADABLE),
        "what becomes of what cannot be read (no permission, wrong checksum, no image feature, a "
        "row of the wrong length): raise an error, or skip and name it",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "profile_images",
        64,
        "images to measure the MS-SSIM of each fidelity on, for tuning; takes some seconds and "
        "TensorFlow at the end; 0: none",
        flag_values=values,
    )


def _define_run(values: flags.FlagValues) -> None:
    define_worker_flags(values)
    flags.DEFINE_string(
        "max_memory",
        "",
        "what the workers share for images that are being re-coded, as 8G: a large image waits "
        "until there is room for it; half of the machine's or the container's memory by default",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "dry_run",
        False,
        "print the plan, with size and time expected from a sample, and write nothing",
        flag_values=values,
    )
