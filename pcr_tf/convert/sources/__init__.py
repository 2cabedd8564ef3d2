"""Kinds of sources, one per module; `make_source` picks one."""

from __future__ import annotations

from collections.abc import Sequence

from pcr_tf.convert.errors import ConvertError
from pcr_tf.convert.sources.base import Listing, Source, SourceItem, expand_patterns
from pcr_tf.convert.sources.class_folders import ClassFolderSource
from pcr_tf.convert.sources.tfrecord import TfRecordSource, looks_like_tfrecords
from pcr_tf.format import filesystem

__all__ = ["KINDS", "Listing", "Source", "SourceItem", "make_source"]

KINDS = (ClassFolderSource.kind, TfRecordSource.kind)


def make_source(kind: str, inputs: Sequence[str], image_features: Sequence[str]) -> Source:
    """The source of kind `kind` ("auto" looks at the inputs) over paths and globs `inputs`.

    Raises:
        ConvertError: nothing is there, or the kinds of the inputs are mixed.
    """
    if not inputs:
        raise ConvertError("no input; name a folder, files or a pattern with --input")
    if kind == "auto":
        kinds = {_kind_of(path) for path in expand_patterns(inputs)}
        if len(kinds) > 1:
            raise ConvertError(
                f"{', '.join(inputs)}: folders and files are mixed; choose with --source"
            )
        (kind,) = kinds
    if kind == ClassFolderSource.kind:
        if len(image_features) != 1:
            raise ConvertError(
                "class folders have one image feature; got "
                f"--image_feature={','.join(image_features)}"
            )
        return ClassFolderSource(expand_patterns(inputs), image_features[0])
    if kind == TfRecordSource.kind:
        return TfRecordSource(inputs, image_features)
    raise ConvertError(f"unknown kind of source {kind!r}; expected auto, {', '.join(KINDS)}")


def _kind_of(path: str) -> str:
    if filesystem.is_dir(path) and not looks_like_tfrecords(path):
        return ClassFolderSource.kind
    return TfRecordSource.kind
