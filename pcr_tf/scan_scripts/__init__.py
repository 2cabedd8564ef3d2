"""Which scan script suits a set of photographs: measuring given ones, and searching for better."""

from __future__ import annotations

from pcr_tf.format.object_stores import configure_gcs

configure_gcs()  # Before TensorFlow is imported, if it is not yet.

from pcr_tf.scan_scripts.measure import GroupFigures, ScriptFigures, measure_scripts  # noqa: E402
from pcr_tf.scan_scripts.sample import ImageSample, draw_sample  # noqa: E402
from pcr_tf.scan_scripts.scan_costs import ScanCosts, measure_costs  # noqa: E402
from pcr_tf.scan_scripts.search import FoundScript, Goal, find_script, pareto_front  # noqa: E402
from pcr_tf.scan_scripts.space import Band, Scan, ScanSpace, script_text  # noqa: E402

__all__ = [
    "draw_sample",
    "ImageSample",
    "measure_scripts",
    "ScriptFigures",
    "GroupFigures",
    "measure_costs",
    "ScanCosts",
    "ScanSpace",
    "Band",
    "Scan",
    "script_text",
    "Goal",
    "find_script",
    "pareto_front",
    "FoundScript",
]
