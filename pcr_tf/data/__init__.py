"""The tf.data face of pcr_tf: data sets of serialized tf.train.Examples at a fidelity.

Importing it loads pcr_tf's ops into TensorFlow, so that a process that only runs what others built,
such as a worker of the tf.data service, knows them.
"""

from pcr_tf.data._op_library import load_op_library
from pcr_tf.data.dataset import EpochProgress, PcrDataset

__all__ = ["EpochProgress", "PcrDataset"]

load_op_library()
