"""Which scan script suits a set of photographs: measuring given ones, and searching for better."""

from __future__ import annotations

from pcr_tf.scan_scripts.measure import GroupFigures, ScriptFigures, measure_scripts
from pcr_tf.scan_scripts.sample import ImageSample, draw_sample
from pcr_tf.scan_scripts.scan_costs import ScanCosts, measure_costs
from pcr_tf.scan_scripts.search import FoundScript, Goal, find_script, pareto_front
from pcr_tf.scan_scripts.space import Band, Scan, ScanSpace, script_text

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
