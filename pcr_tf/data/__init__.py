"""The tf.data face of pcr_tf: data sets of serialized tf.train.Examples at a fidelity."""

from pcr_tf.data.dataset import EpochProgress, PcrDataset

__all__ = ["EpochProgress", "PcrDataset"]
