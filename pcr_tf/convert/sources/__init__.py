"""Sources of a conversion, one kind per module; `make_source` makes one."""

from __future__ import annotations

from pcr_tf.convert.sources.base import (
    Listing,
    ListingSummary,
    PartedSource,
    Source,
    SourceContext,
    SourceItem,
)
from pcr_tf.convert.sources.options import SourceOptions
from pcr_tf.convert.sources.registry import INPUT_FORMATS, KINDS, make_source

__all__ = [
    "INPUT_FORMATS",
    "KINDS",
    "Listing",
    "ListingSummary",
    "PartedSource",
    "Source",
    "SourceContext",
    "SourceItem",
    "SourceOptions",
    "make_source",
]
