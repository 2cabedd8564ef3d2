"""JPEGs to pixels: whole images, or training and evaluation crops in one pass.

These ops run on the CPU, also inside `tf.data`, and take JPEGs of any kind, full or a prefix of a
progressive image's scans.
"""

from pcr_tf.format.object_stores import configure_gcs

configure_gcs()  # Before TensorFlow is imported, if it is not yet.

from pcr_tf.image.augmentation import (  # noqa: E402
    decode_and_center_crop_resize,
    decode_and_random_crop_resize,
    decode_errors,
)
from pcr_tf.image.decoding import MAX_PIXELS, MAX_SCANS, decode_jpeg  # noqa: E402
from pcr_tf.image.similarity import MeanMsSsim, compared_luma, compared_part  # noqa: E402

__all__ = [
    "decode_jpeg",
    "decode_and_random_crop_resize",
    "decode_and_center_crop_resize",
    "decode_errors",
    "compared_luma",
    "compared_part",
    "MeanMsSsim",
    "MAX_PIXELS",
    "MAX_SCANS",
]
