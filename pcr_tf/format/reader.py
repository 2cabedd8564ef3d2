"""`PcrReader`: reads records of a data set without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pcr_tf import _native
from pcr_tf.format import filesystem
from pcr_tf.format.dataset_index import PathLike, open_dataset


class StoredImage(NamedTuple):
    """An image of a record.

    Attributes:
        example: its place in the record, from 0.
        feature: the key of the feature that holds it.
        coding: "progressive", or "opaque" where it is stored as it came.
        data: the image at the fidelity that was asked for.
    """

    example: int
    feature: str
    coding: str
    data: bytes


class PcrReader:
    """The records of a PCR file or data set, at any fidelity, by exact range reads.

    For programs and tools; training reads through `pcr_tf.data.PcrDataset`, which keeps several
    reads in flight.

    Example:
        reader = PcrReader("photos.pcr")
        for example in reader.examples(scan_groups=2):
            ...  # A serialized tf.train.Example whose image is a JPEG of 2 scan groups.
    """

    def __init__(self, paths: PathLike | Sequence[PathLike]) -> None:
        """Opens the index, and reads no record; arguments and errors are `open_dataset`'s."""
        opened = open_dataset(paths)
        self.index = opened.index
        self.paths = opened.paths

    def __len__(self) -> int:
        """Number of examples."""
        return self.index.num_examples

    @property
    def num_records(self) -> int:
        """Number of records."""
        return self.index.num_records

    @property
    def num_groups(self) -> int:
        """Number of scan groups: the highest fidelity."""
        return self.index.header.num_groups

    def read_prefix(self, record: int, scan_groups: int | None = None) -> bytes:
        """The stored bytes of a record at a fidelity.

        From a local file nothing outside them is requested; of a remote one, TensorFlow's file
        interface reads steps of 512 KiB.

        Args:
            record: global ordinal, 0 to num_records - 1.
            scan_groups: 1 to num_groups; None for all.

        Raises:
            IndexError: `record` is out of range. ValueError: `scan_groups` is.
            DataLossError: the shard is shorter than the index says.
        """
        if not 0 <= record < self.num_records:
            raise IndexError(f"record; expected 0 to {self.num_records - 1}, got {record}")
        shard, offset, size_bytes = self.index.prefix(record, self._groups(scan_groups))
        prefix = filesystem.read_range(self.paths[shard], offset, size_bytes)
        if len(prefix) != size_bytes:
            raise _native.DataLossError(
                f"{self.paths[shard]}: record {record}, byte {offset}: the file ends inside the "
                "record; "
                f"expected {size_bytes} bytes, got {len(prefix)}; "
                "if the file was replaced, rebuild the side index with pcr-index"
            )
        return prefix

    def read_record(self, record: int, scan_groups: int | None = None) -> list[bytes]:
        """The serialized ``tf.train.Example`` strings of a record at a fidelity.

        Every checksum of the bytes read is checked. Arguments and errors are those of
        `read_prefix`.
        """
        groups = self._groups(scan_groups)
        return _native.parse_record(self.index, record, groups, self.read_prefix(record, groups))

    def read_images(self, record: int, scan_groups: int | None = None) -> list[StoredImage]:
        """The images of a record, in the order of its examples.

        Arguments and errors are those of `read_prefix`.
        """
        groups = self._groups(scan_groups)
        prefix = self.read_prefix(record, groups)
        images = _native.record_images(self.index, record, groups, prefix)
        return [StoredImage(*image) for image in images]

    def examples(self, scan_groups: int | None = None) -> Iterator[bytes]:
        """All examples in order. Arguments and errors are those of `read_prefix`."""
        for record in range(self.num_records):
            yield from self.read_record(record, scan_groups)

    def _groups(self, scan_groups: int | None) -> int:
        if scan_groups is None:
            return self.num_groups
        if not 1 <= scan_groups <= self.num_groups:
            raise ValueError(f"scan_groups; expected 1 to {self.num_groups}, got {scan_groups}")
        return scan_groups
