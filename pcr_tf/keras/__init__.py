"""Keras callbacks. The only part of pcr_tf that imports Keras."""

from pcr_tf.keras.read_statistics import ReadStatisticsLogger

__all__ = ["ReadStatisticsLogger"]
