"""The tf.data face of pcr_tf: serialized tf.train.Examples at a fidelity, and training batches.

Importing it loads pcr_tf's ops into TensorFlow, so that a process that only runs what others built,
such as a worker of the tf.data service, knows them.
"""

from pcr_tf._op_library import load_op_library
from pcr_tf.data.dataset import EpochProgress, PcrDataset
from pcr_tf.data.image_pipeline import image_batches

__all__ = ["EpochProgress", "PcrDataset", "image_batches"]

load_op_library()
