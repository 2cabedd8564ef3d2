"""The PCR file format: writing, reading and checking files, without TensorFlow."""

from __future__ import annotations

from pcr_tf.format.dataset_index import OpenedDataset, open_dataset, write_side_index
from pcr_tf.format.reader import PcrReader
from pcr_tf.format.writer import PcrWriter

__all__ = ["OpenedDataset", "PcrReader", "PcrWriter", "open_dataset", "write_side_index"]
