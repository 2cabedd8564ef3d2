"""The tf.data face of pcr_tf: serialized tf.train.Examples at a fidelity, and training batches."""

from pcr_tf.data.dataset import PcrDataset
from pcr_tf.data.image_pipeline import image_batches

__all__ = ["PcrDataset", "image_batches"]
