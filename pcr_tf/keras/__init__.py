"""Keras callbacks. The only part of pcr_tf that imports Keras.

Those that choose the fidelity set a `pcr_tf.Fidelity`, which the training data set was given;
docs/TUNING.md says which helps when.
"""

from pcr_tf.format.object_stores import configure_gcs

configure_gcs()  # Before TensorFlow is imported, if it is not yet.

from pcr_tf.keras.bandwidth import BandwidthFidelity  # noqa: E402
from pcr_tf.keras.fidelity_callback import FidelityCallback  # noqa: E402
from pcr_tf.keras.gradient_similarity import GradientSimilarityFidelity  # noqa: E402
from pcr_tf.keras.ms_ssim import MsSsimFidelity  # noqa: E402
from pcr_tf.keras.plateau import PlateauFidelity  # noqa: E402
from pcr_tf.keras.read_statistics import ReadStatisticsLogger  # noqa: E402
from pcr_tf.keras.schedule import FidelitySchedule  # noqa: E402

__all__ = [
    "BandwidthFidelity",
    "FidelityCallback",
    "FidelitySchedule",
    "GradientSimilarityFidelity",
    "MsSsimFidelity",
    "PlateauFidelity",
    "ReadStatisticsLogger",
]
