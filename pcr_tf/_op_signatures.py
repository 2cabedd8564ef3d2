"""The types of pcr_tf's ops as `tf.load_op_library` wraps them.

TensorFlow makes their Python functions when the library is loaded, so no type checker sees them. A
test compares this with the functions that are loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol


class DecodedCrops(NamedTuple):
    """What `pcr_decode_crop_resize` gives.

    Attributes:
      image: of type T, [height, width, channels] or [B, height, width, channels].
      decoded: bool, [] or [B].
    """

    image: Any
    decoded: Any


class DatasetInfo(NamedTuple):
    """What `pcr_dataset_info` gives.

    Attributes:
      image_features: string, [F].
      num_records: int64, [].
      num_scan_groups: int64, [].
      format_minor: int64, [].
    """

    image_features: Any
    num_records: Any
    num_scan_groups: Any
    format_minor: Any


class FidelityBound(NamedTuple):
    """What `pcr_fidelity_bound` gives.

    Attributes:
      dataset: string, [].
      num_scan_groups: int64, [].
    """

    dataset: Any
    num_scan_groups: Any


class PcrOps(Protocol):
    """The ops that the library registers; ops/op_defs documents their arguments."""

    @staticmethod
    def pcr_dataset(
        paths: Any,
        scan_groups: Any,
        shuffle: Any,
        seed: Any,
        seed_is_private: Any,
        seeded_shuffles: Any,
        num_shards: Any,
        shard_index: Any,
        reads_in_flight: Any,
        bytes_in_flight: Any,
        shared_id: Any,
        first_epoch: Any,
        resume_num_shards: Any,
        resume_examples: Any,
        provenance: Any,
        fidelity: Any,
        fidelity_poll_ms: Any,
        metadata: str = "",
        file_sharding: str = "",
        name: str | None = None,
    ) -> Any:
        """A scalar `tf.variant`: a data set of serialized tf.train.Examples."""

    @staticmethod
    def pcr_set_fidelity(
        fidelity: Any, fidelity_poll_ms: Any, value: Any, name: str | None = None
    ) -> Any:
        """Sets the value of a `pcr_tf.Fidelity` in this process; gives nothing."""

    @staticmethod
    def pcr_fidelity(fidelity: Any, fidelity_poll_ms: Any, name: str | None = None) -> Any:
        """A scalar string: the value of a `pcr_tf.Fidelity`."""

    @staticmethod
    def pcr_fidelity_bound(
        fidelity: Any, fidelity_poll_ms: Any, name: str | None = None
    ) -> FidelityBound:
        """How many scan groups its data sets have."""

    @staticmethod
    def pcr_decode_jpeg(
        contents: Any,
        block_smoothing: bool,
        max_pixels: int,
        max_scans: int,
        channels: int = 0,
        dct_method: str = "islow",
        fancy_upsampling: bool = True,
        honor_orientation: bool = False,
        name: str | None = None,
    ) -> Any:
        """uint8, [height, width, channels] or [B, height, width, channels]."""

    @staticmethod
    def pcr_decode_crop_resize(
        contents: Any,
        seed: Any,
        names: Any,
        size: Sequence[int],
        mode: str,
        block_smoothing: bool,
        max_pixels: int,
        max_scans: int,
        area_range: Sequence[str] = ...,
        aspect_ratio_range: Sequence[str] = ...,
        max_attempts: int = 100,
        crop_fraction: str = "0.875",
        flip_probability: str = "0.5",
        channels: int = 3,
        mean: Sequence[str] = ...,
        stddev: Sequence[str] = ...,
        T: Any = ...,  # noqa: N803  (the op's attribute)
        antialias: bool = False,
        dct_scaling: bool = True,
        dct_method: str = "islow",
        fancy_upsampling: bool = True,
        honor_orientation: bool = False,
        on_error: str = "raise",
        name: str | None = None,
    ) -> DecodedCrops:
        """Crops of a batch of images or of one."""

    @staticmethod
    def pcr_decode_errors(name: str | None = None) -> Any:
        """A scalar int64: the images that were marked as broken in this process."""

    @staticmethod
    def pcr_dataset_info(dataset: Any, name: str | None = None) -> DatasetInfo:
        """What is known of a PcrDataset since it was opened."""

    @staticmethod
    def pcr_read_statistics(name: str | None = None) -> Any:
        """int64 [N]: counts and times of reading; `pcr_tf.data.statistics` has their order."""
