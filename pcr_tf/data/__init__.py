"""The tf.data face of pcr_tf: data sets of serialized tf.train.Examples at a fidelity."""

from pcr_tf.format.object_stores import configure_gcs

configure_gcs()  # Before TensorFlow is imported, if it is not yet.

from pcr_tf.data.dataset import PcrDataset  # noqa: E402
from pcr_tf.data.statistics import ReadStatistics, read_statistics  # noqa: E402

__all__ = ["PcrDataset", "ReadStatistics", "read_statistics"]
