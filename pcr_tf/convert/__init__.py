"""Conversion of labelled photographs to PCR data sets, back again, and the proof."""

from __future__ import annotations

from pcr_tf.convert.errors import ConvertError
from pcr_tf.convert.export.export import Export, ExportSummary
from pcr_tf.convert.export.options import ExportOptions
from pcr_tf.convert.job.conversion import Conversion, ConvertSummary, split_conversions
from pcr_tf.convert.job.options import ConvertOptions, SplitPart
from pcr_tf.convert.sources import SourceOptions
from pcr_tf.convert.verify.verification import Verification

__all__ = [
    "Conversion",
    "ConvertError",
    "ConvertOptions",
    "ConvertSummary",
    "Export",
    "ExportOptions",
    "ExportSummary",
    "SourceOptions",
    "SplitPart",
    "Verification",
    "split_conversions",
]
