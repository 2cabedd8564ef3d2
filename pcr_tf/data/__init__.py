"""The tf.data face of pcr_tf: serialized tf.train.Examples at a fidelity, and training batches.

Importing it loads pcr_tf's ops into TensorFlow, so that a process that only runs what others built,
such as a worker of the tf.data service, knows them.
"""

from pcr_tf.format.object_stores import configure_gcs

configure_gcs()  # Before TensorFlow is imported, if it is not yet.

from pcr_tf._op_library import load_op_library  # noqa: E402
from pcr_tf.data.dataset import EpochProgress, PcrDataset  # noqa: E402
from pcr_tf.data.fidelity import Fidelity  # noqa: E402
from pcr_tf.data.image_pipeline import image_batches  # noqa: E402
from pcr_tf.data.statistics import ReadStatistics, read_statistics  # noqa: E402

__all__ = [
    "EpochProgress",
    "Fidelity",
    "PcrDataset",
    "ReadStatistics",
    "image_batches",
    "read_statistics",
]

load_op_library()
