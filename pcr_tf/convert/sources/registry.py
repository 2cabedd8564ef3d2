"""The kinds of sources, and how the kind of some inputs is found out."""

from __future__ import annotations

import collections
import importlib
from collections.abc import Sequence

from pcr_tf.convert.errors import ConvertError
from pcr_tf.convert.sources.base import Match, Source
from pcr_tf.convert.sources.inputs import check_not_pcr, expand_patterns
from pcr_tf.convert.sources.options import SourceOptions
from pcr_tf.format import filesystem

# Kind -> the module and class of its `Source`, imported on first use. A new kind is one line here.
SOURCE_CLASSES = {
    "class_folders": "pcr_tf.convert.sources.files.class_folders:ClassFolderSource",
    "tfrecord": "pcr_tf.convert.sources.files.tfrecord:TfRecordSource",
    "table": "pcr_tf.convert.sources.tables.table:TableSource",
    "webdataset": "pcr_tf.convert.sources.webdataset.webdataset:WebDatasetSource",
    "tfds": "pcr_tf.convert.sources.files.tfds:TfdsSource",
}

# The kinds, and the values of `input_format`: "auto" too. Views, which always follow the table.
KINDS = SOURCE_CLASSES.keys()
INPUT_FORMATS = collections.ChainMap(SOURCE_CLASSES, {"auto": ""}).keys()


def source_class(kind: str) -> type[Source]:
    """The class of a registered kind."""
    module, _, name = SOURCE_CLASSES[kind].partition(":")
    cls: type[Source] = getattr(importlib.import_module(module), name)
    return cls


def make_source(
    kind: str,
    inputs: Sequence[str],
    image_features: Sequence[str],
    options: SourceOptions | None = None,
) -> Source:
    """The source of kind `kind` over paths and globs `inputs`.

    Args:
      kind: one of `KINDS`; "auto" looks at the options and the inputs.
      image_features: keys of the features that hold images.

    Raises:
      ConvertError: nothing is there, the inputs are of several kinds or of none that can be
        recognized, they are PCR files, or an option belongs to another kind of source.
    """
    options = options or SourceOptions()
    if not inputs:
        raise ConvertError("no input; name a folder, files or a pattern with `inputs`")
    if kind == "auto":
        kind = _detect_kind(inputs, options)
    if kind not in KINDS:
        raise ConvertError(
            f"`input_format`; expected one of {', '.join(INPUT_FORMATS)}, got {kind!r}"
        )
    options.check_kind(kind)
    return source_class(kind).create(inputs, image_features, options)


def _detect_kind(inputs: Sequence[str], options: SourceOptions) -> str:
    for kind in KINDS:
        if source_class(kind).is_chosen_by(options):
            return kind
    kinds = {_kind_of(path) for path in expand_patterns(inputs)}
    if len(kinds) > 1:
        raise ConvertError(
            f"{', '.join(inputs)}: the inputs are of several kinds ({', '.join(sorted(kinds))}), "
            "or folders and files are mixed; choose with `input_format`"
        )
    return kinds.pop()


def _kind_of(path: str) -> str:
    """The kind that matches `path` best; of several, the first in the registry."""
    check_not_pcr(path)
    is_folder = filesystem.is_dir(path)
    matches = {kind: source_class(kind).match(path, is_folder=is_folder) for kind in KINDS}
    best = max(matches, key=matches.__getitem__)
    if matches[best] == Match.NO:
        raise ConvertError(
            f"{path}: matches no kind of source ({', '.join(KINDS)}); choose with `input_format`"
        )
    return best
