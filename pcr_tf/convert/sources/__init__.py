"""Kinds of sources, one per module; `make_source` picks one."""

from __future__ import annotations

from collections.abc import Sequence

from pcr_tf.convert.errors import ConvertError
from pcr_tf.convert.sources.base import (
    Listing,
    ListingSummary,
    PartedSource,
    Source,
    SourceItem,
)
from pcr_tf.convert.sources.files.class_folders import ClassFolderSource
from pcr_tf.convert.sources.files.images import holds_folders_of_images
from pcr_tf.convert.sources.files.inputs import expand_patterns
from pcr_tf.convert.sources.files.tfds import TfdsSource
from pcr_tf.convert.sources.files.tfrecord import TfRecordSource, looks_like_tfrecords
from pcr_tf.convert.sources.options import SourceOptions
from pcr_tf.convert.sources.tables.table import TableSource
from pcr_tf.convert.sources.webdataset.webdataset import (
    TAR_SUFFIXES,
    WebDatasetSource,
    looks_like_tar_shards,
)
from pcr_tf.format import filesystem
from pcr_tf.format.dataset_index import SHARD_SUFFIX, SIDE_INDEX_NAME, shard_names

__all__ = [
    "KINDS",
    "Listing",
    "ListingSummary",
    "PartedSource",
    "Source",
    "SourceItem",
    "SourceOptions",
    "make_source",
]

KINDS = (
    ClassFolderSource.kind,
    TfRecordSource.kind,
    TableSource.kind,
    WebDatasetSource.kind,
    TfdsSource.kind,
)

# What sources of files make beside the image.
_FEATURES_OF_ITEMS = frozenset(
    (
        "image/filename",
        "image/format",
        "image/class/label",
        "image/class/text",
        "image/class/coarse_label",
        "image/class/coarse_text",
    )
)


def make_source(
    kind: str,
    inputs: Sequence[str],
    image_features: Sequence[str],
    options: SourceOptions | None = None,
) -> Source:
    """The source of kind `kind` ("auto" looks at the inputs) over paths and globs `inputs`.

    Raises:
        ConvertError: nothing is there, the kinds of the inputs are mixed or cannot be told, they
            are PCR files, or an option belongs to another kind of source.
    """
    options = options or SourceOptions()
    if not inputs:
        raise ConvertError("no input; name a folder, files or a pattern with --input")
    if kind == "auto":
        kind = TableSource.kind if options.table else _kind_of_all(inputs)
    if kind not in KINDS:
        raise ConvertError(f"unknown kind of source {kind!r}; expected auto, {', '.join(KINDS)}")
    options.check_kind(kind)
    if kind == TfRecordSource.kind:
        for path in expand_patterns(inputs):
            _check_is_no_pcr(path)  # Its files are TFRecords, but not of these examples.
        return TfRecordSource(inputs, image_features)
    if kind == TfdsSource.kind:
        return TfdsSource(inputs, image_features, options)
    if len(image_features) != 1:
        raise ConvertError(
            f"a source of kind {kind} has one image feature; got "
            f"--image_feature={','.join(image_features)}"
        )
    (image_feature,) = image_features
    if image_feature in _FEATURES_OF_ITEMS:
        raise ConvertError(
            f"--image_feature={image_feature}: a source of kind {kind} makes a feature of this "
            "name; choose another"
        )
    if kind == WebDatasetSource.kind:
        return WebDatasetSource(
            inputs, image_feature, options.image_extension, options.class_list()
        )
    if kind == TableSource.kind:
        if not options.table:
            raise ConvertError("no table; name its file with --table")
        return TableSource(expand_patterns(inputs), image_feature, options)
    return ClassFolderSource(expand_patterns(inputs), image_feature, options.class_list())


def _kind_of_all(inputs: Sequence[str]) -> str:
    kinds = {_kind_of(path) for path in expand_patterns(inputs)}
    if len(kinds) > 1:
        raise ConvertError(
            f"{', '.join(inputs)}: the inputs are of several kinds ({', '.join(sorted(kinds))}), "
            "or folders and files are mixed; choose with --source"
        )
    return kinds.pop()


def _kind_of(path: str) -> str:
    _check_is_no_pcr(path)
    if filesystem.is_dir(path):
        if looks_like_tar_shards(path):
            if holds_folders_of_images(path):
                raise ConvertError(
                    f"{path}: holds tar files and folders of images; choose with "
                    f"--source={WebDatasetSource.kind} or --source={ClassFolderSource.kind}"
                )
            return WebDatasetSource.kind
        if not looks_like_tfrecords(path):
            return ClassFolderSource.kind
    elif path.lower().endswith(TAR_SUFFIXES):
        return WebDatasetSource.kind
    return TfRecordSource.kind


def _check_is_no_pcr(path: str) -> None:
    if _is_pcr(path):
        raise ConvertError(
            f"{path}: a PCR data set; make TFRecords of it first: "
            f"pcr-export --input={path} --output=..."
        )


def _is_pcr(path: str) -> bool:
    if not filesystem.is_dir(path):
        return path.endswith(SHARD_SUFFIX)
    # A folder may have such a name: a class, or a data set beside others.
    return any(
        not filesystem.is_dir(filesystem.join(path, name)) for name in shard_names(path)
    ) or filesystem.exists(filesystem.join(path, SIDE_INDEX_NAME))
