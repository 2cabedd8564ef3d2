"""Keras callbacks. The only part of pcr_tf that imports Keras.

Those that choose the fidelity set a `pcr_tf.Fidelity`, which the training data set was given;
docs/TUNING.md says which helps when.
"""

from pcr_tf.keras.bandwidth import BandwidthFidelity
from pcr_tf.keras.fidelity_callback import FidelityCallback
from pcr_tf.keras.gradient_similarity import GradientSimilarityFidelity
from pcr_tf.keras.ms_ssim import MsSsimFidelity
from pcr_tf.keras.plateau import PlateauFidelity
from pcr_tf.keras.read_statistics import ReadStatisticsLogger
from pcr_tf.keras.schedule import FidelitySchedule

__all__ = [
    "BandwidthFidelity",
    "FidelityCallback",
    "FidelitySchedule",
    "GradientSimilarityFidelity",
    "MsSsimFidelity",
    "PlateauFidelity",
    "ReadStatisticsLogger",
]
