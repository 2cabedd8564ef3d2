"""The flags of pcr-convert and pcr-convert-beam, by section, and the options that they make.

They follow from the declarations of `ConvertOptions` and `SourceOptions`: a new option needs
nothing here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pcr_tf.cli.command import (
    as_flags,
    as_usage_errors,
    define_worker_flags,
    flags_by_field,
    split_paths,
)
from pcr_tf.convert import ConvertError, ConvertOptions, SourceOptions
from pcr_tf.convert.option import Declaration, declared

# In an installed package configs/ travels inside it; in a source tree it is at the root.
_PACKAGE = Path(__file__).resolve().parent.parent
_CONFIGS_IN = (_PACKAGE, _PACKAGE.parent)

# Sections of the help, in their order.
_HEADINGS = {
    "input": "What goes in:",
    "table": "Tables (--input_format=table): a file names the images and their labels:",
    "labels": "Labels of a table:",
    "image_extension": "Tables and tar shards (--input_format=table, webdataset):",
    "tfds": "TensorFlow Datasets (--input_format=tfds; pip install pcr-tf[tfds]):",
    "classes": "Classes of class folders, tables and tar shards:",
    "output": "What comes out:",
    "split": "Train and validation:",
    "coding": "How images are coded:",
    "policies": "What becomes of what does not fit:",
    "run": "How the job runs:",
}


def _flagged(options: type) -> Iterator[tuple[dataclasses.Field[Any], Declaration]]:
    """The fields of a dataclass of options that have a flag."""
    declarations = declared(options)
    for field in dataclasses.fields(options):
        if declarations[field.name].section:
            yield field, declarations[field.name]


def _of_section(section: str) -> list[tuple[dataclasses.Field[Any], Declaration]]:
    both = [*_flagged(ConvertOptions), *_flagged(SourceOptions)]
    return [(field, option) for field, option in both if option.section == section]


# The first flag of a section -> its heading.
SECTIONS = {_of_section(section)[0][1].flag: heading for section, heading in _HEADINGS.items()}


def define_flags() -> flags.FlagValues:
    """All flags of pcr-convert, in the order of the help."""
    values = define_job_flags()
    define_worker_flags(values)
    for field, option in _of_section("run"):
        if option.flag not in values:
            _define(field, option, values)
    flags.DEFINE_boolean(
        "dry_run",
        False,
        "print the plan, with size and time expected from a sample, and write nothing",
        flag_values=values,
    )
    return values


def define_job_flags() -> flags.FlagValues:
    """The flags that say what a conversion does, but not how this machine does it."""
    values = flags.FlagValues()
    for section in _HEADINGS:
        for field, option in _of_section(section) if section != "run" else []:
            _define(field, option, values)
    return values


def _define(field: dataclasses.Field[Any], option: Declaration, values: flags.FlagValues) -> None:
    default: Any = field.default if option.flag_default is None else option.flag_default
    text = as_flags(option.help, flags_by_field().values())
    kind = str(field.type)
    if option.choices:
        flags.DEFINE_enum(option.flag, default, list(option.choices), text, flag_values=values)
    elif option.is_repeated:
        flags.DEFINE_multi_string(option.flag, default, text, flag_values=values)
    elif isinstance(default, str):
        flags.DEFINE_string(option.flag, default, text, flag_values=values)
    elif kind == "bool":
        flags.DEFINE_boolean(option.flag, default, text, flag_values=values)
    elif kind.startswith("int"):
        flags.DEFINE_integer(option.flag, default, text, flag_values=values)
    else:
        flags.DEFINE_list(option.flag, list(default), text, flag_values=values)


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
def to_options(values: flags.FlagValues) -> ConvertOptions:
    """The options that parsed flags stand for. Without flags for running the job, as Beam's
    command has none, it runs in this process.

    Raises:
        UsageError: a flag is out of range; names it.
    """
    for flag in ("classes", "classes_from"):
        # As of a shell's variable that is not set: without the list, labels would be others.
        if values[flag].present and not values[flag].value:
            raise ConvertError(f"`{flag}`; expected the classes, got nothing; leave the flag out")
    source_options = SourceOptions(**_fields(SourceOptions, values))
    fields = {"num_workers": 0, **_fields(ConvertOptions, values)}
    return ConvertOptions(**fields, source_options=source_options)


def _fields(options: type, values: flags.FlagValues) -> dict[str, Any]:
    fields = {}
    for field, option in _flagged(options):
        if option.flag not in values:
            continue
        value = values[option.flag].value
        if option.is_repeated:
            value = split_paths(value)
        elif option.parse is not None:
            value = option.parse(value)
        elif isinstance(value, list):
            value = tuple(value)
        fields[field.name] = value
    return fields
