"""Options of a conversion are declared once: flags, checks and the job's identity follow."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from pcr_tf.cli.convert_flags import define_flags, to_options
from pcr_tf.convert import ConvertOptions, SourceOptions
from pcr_tf.convert.option import declared, option
from pcr_tf.convert.sources import KINDS

ROOT = Path(__file__).resolve().parent.parent


def _parsed(*arguments: str) -> ConvertOptions:
    values = define_flags()
    values(["pcr-convert", "--input=in", "--output=out", *arguments])
    return to_options(values)


def test_a_field_that_is_not_declared_is_an_error() -> None:
    @dataclasses.dataclass
    class Options:
        kept: int = option(1, identity=True)
        forgotten: int = 2

    with pytest.raises(TypeError, match=r"^Options.forgotten; expected a field made by option"):
        declared(Options)


def test_whether_an_option_is_part_of_the_jobs_identity_must_be_said() -> None:
    with pytest.raises(TypeError, match="identity"):
        option(1)  # type: ignore[call-arg]


# Flag -> a value of it that is not the default.
_OTHER = {
    "classes": "ant,bee",
    "encode_upright": "true",
    "examples_per_record": "7",
    "image_feature": "other",
    "input_format": "tfrecord",
    "max_memory": "3G",
    "on_unreadable": "skip",
    "on_unsupported": "encode",
    "prove": "false",
    "prefix": "part",
    "scan_script": "standard",
    "shuffle": "false",
    "split": "a:0.5,b:0.5",
    "table_format": "csv",
    "on_unmatched": "ignore",
}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        *((ConvertOptions, name) for name in declared(ConvertOptions)),
        *((SourceOptions, name) for name in declared(SourceOptions)),
    ],
)
def test_every_flag_reaches_its_option_and_those_of_identity_the_fingerprint(
    options: type, name: str, tmp_path: Path
) -> None:
    declaration = declared(options)[name]
    if not declaration.section or name in ("inputs", "output", "classes_from"):
        return
    defaults = {"ConvertOptions": _parsed(), "SourceOptions": _parsed().source_options}
    default: Any = getattr(defaults[options.__name__], name)
    other = _OTHER.get(declaration.flag)
    if other is None:
        other = str(default + 1) if isinstance(default, int) else "1" if default is None else ".x"
    if name == "table_encoding":
        other = "latin-1"
    # What other options require.
    needs = {
        "encode_quality": ["--on_unsupported=encode"],
        "encode_upright": ["--on_unsupported=encode"],
        "first_label": ["--label_names=names", "--label_column=x"],
        "label_names": ["--label_column=x"],
        "label_pattern": ["--label_column=x"],
        "label_otherwise": ["--label_column=x", "--label_pattern=x"],
        "split_column": ["--split=a:0.5,b:0.5"],
        "split_seed": ["--split=a:0.5,b:0.5"],
    }.get(name, [])
    before, after = _parsed(*needs), _parsed(*needs, f"--{declaration.flag}={other}")
    holder = {"ConvertOptions": after, "SourceOptions": after.source_options}[options.__name__]
    assert getattr(holder, name) != default
    assert (after.fingerprint() != before.fingerprint()) == declaration.identity


def test_an_option_of_some_kinds_of_sources_names_kinds_that_there_are() -> None:
    for name, declaration in declared(SourceOptions).items():
        assert declaration.kinds, name
        assert set(declaration.kinds) <= set(KINDS), name


def test_the_documents_name_every_flag() -> None:
    text = (ROOT / "docs" / "CONVERTING.md").read_text()
    flags = [
        option.flag
        for options in (ConvertOptions, SourceOptions)
        for option in declared(options).values()
        if option.section
    ]
    missing = [flag for flag in flags if f"--{flag}" not in text and f"--no{flag}" not in text]
    assert missing == []
