"""Conversion of labelled photographs to PCR data sets."""

from __future__ import annotations

from pcr_tf.convert.errors import ConvertError
from pcr_tf.convert.job import Conversion, ConvertSummary, split_conversions
from pcr_tf.convert.options import ConvertOptions
from pcr_tf.convert.sources import SourceOptions

__all__ = [
    "Conversion",
    "ConvertError",
    "ConvertOptions",
    "ConvertSummary",
    "SourceOptions",
    "split_conversions",
]
