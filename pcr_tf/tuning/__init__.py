"""Fidelity policies: from measurements to the number of scan groups to read.

Plain Python that knows neither TensorFlow nor Keras: what is measured comes as numbers. The
callbacks of `pcr_tf.keras` measure, ask a policy, and set a `pcr_tf.Fidelity`. docs/TUNING.md says
which policy helps when.
"""

from pcr_tf.tuning.bandwidth import BandwidthPolicy, ReadWindow, reads_to_keep_in_flight, roofline
from pcr_tf.tuning.plateau import PlateauDetector, best_trial
from pcr_tf.tuning.schedule import EpochSchedule
from pcr_tf.tuning.threshold import lowest_passing
from pcr_tf.tuning.value import (
    FidelityHandle,
    FidelityValue,
    mean_over_fidelities,
    mean_scan_groups,
    mixture,
)

__all__ = [
    "BandwidthPolicy",
    "EpochSchedule",
    "FidelityHandle",
    "FidelityValue",
    "PlateauDetector",
    "ReadWindow",
    "best_trial",
    "lowest_passing",
    "mean_over_fidelities",
    "mean_scan_groups",
    "mixture",
    "reads_to_keep_in_flight",
    "roofline",
]
