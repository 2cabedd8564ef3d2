"""What a PCR file or data set holds: totals, scan groups, shards and records."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from pcr_tf._native import DatasetIndex
from pcr_tf.format import filesystem
from pcr_tf.format.dataset_index import OpenedDataset, PathLike, open_dataset
from pcr_tf.format.example import bytes_features, int_feature
from pcr_tf.format.tfrecord import FRAME_FOOTER, FRAME_HEADER


@dataclasses.dataclass(frozen=True)
class GroupSummary:
    """One scan group, and the fidelity that ends with it.

    Attributes:
        scan_groups: the fidelity: this group and those before it.
        scans: scans of the script in this group.
        group_bytes: bytes of this group in all records; those of fidelity 1 include the metadata.
        share: group_bytes as a share of the bytes of all records, 0 to 1.
        cumulative_share: bytes of this fidelity as a share, 0 to 1.
        mean_bytes_per_image: bytes read at this fidelity, per image.
    """

    scan_groups: int
    scans: int
    group_bytes: int
    share: float
    cumulative_share: float
    mean_bytes_per_image: float


@dataclasses.dataclass(frozen=True)
class ShardSummary:
    """One file."""

    name: str
    file_bytes: int
    records: int
    footer_checksum: str


@dataclasses.dataclass(frozen=True)
class RecordSummary:
    """One record: where it is, what it holds, and the bytes to read for each fidelity, 1 first.

    `turned` counts the progressive images whose EXIF orientation is not upright.
    """

    record: int
    shard: str
    ordinal: int
    offset: int
    examples: int
    images: int
    opaque: int
    turned: int
    metadata_bytes: int
    prefix_bytes: list[int]


@dataclasses.dataclass(frozen=True)
class DatasetSummary:
    """A file or data set. `records` is empty unless they were asked for."""

    path: str
    version: str
    created_by: str
    image_features: list[str]
    scan_script: str
    side_index: bool
    file_bytes: int
    num_shards: int
    num_records: int
    num_examples: int
    images: int
    opaque: int
    turned: int
    metadata_bytes: int
    groups: list[GroupSummary]
    shards: list[ShardSummary]
    records: list[RecordSummary]


def summarize(
    files_or_dir: PathLike | Sequence[PathLike], *, records: bool = False
) -> DatasetSummary:
    """Summarizes a data set. Reads the index and the metadata frame of every record, no image.

    Args:
        files_or_dir: as for `open_dataset`.
        records: whether to list every record.

    Raises:
        OSError: nothing is there, or it cannot be read.
        ValueError: it is not a PCR data set, or its index is damaged.
    """
    opened = open_dataset(files_or_dir)
    index = opened.index
    shards = [index.shard(number) for number in range(index.num_shards)]
    entries = [_record(opened, record) for record in range(index.num_records)]
    images = sum(entry.images for entry in entries)
    major, minor = index.header.version
    return DatasetSummary(
        path=str(files_or_dir),
        version=f"{major}.{minor}",
        created_by=index.header.created_by,
        image_features=index.header.image_features,
        scan_script=index.header.scan_script,
        side_index=opened.from_side_index,
        file_bytes=sum(shard[1] for shard in shards),
        num_shards=index.num_shards,
        num_records=index.num_records,
        num_examples=index.num_examples,
        images=images,
        opaque=sum(entry.opaque for entry in entries),
        turned=sum(entry.turned for entry in entries),
        metadata_bytes=sum(entry.metadata_bytes for entry in entries),
        groups=_groups(index, images),
        shards=[
            ShardSummary(name, file_bytes, num_records, f"{checksum:08x}")
            for name, file_bytes, checksum, _, num_records in shards
        ],
        records=entries if records else [],
    )


def _groups(index: DatasetIndex, images: int) -> list[GroupSummary]:
    header = index.header
    prefix_bytes = [0, *(index.prefix_bytes(g) for g in range(1, header.num_groups + 1))]
    total = max(prefix_bytes[-1], 1)
    return [
        GroupSummary(
            scan_groups=g,
            scans=header.scans_per_group[g - 1],
            group_bytes=prefix_bytes[g] - prefix_bytes[g - 1],
            share=(prefix_bytes[g] - prefix_bytes[g - 1]) / total,
            cumulative_share=prefix_bytes[g] / total,
            mean_bytes_per_image=prefix_bytes[g] / max(images, 1),
        )
        for g in range(1, header.num_groups + 1)
    ]


def _record(opened: OpenedDataset, record: int) -> RecordSummary:
    index = opened.index
    entry = index.record(record)
    path = opened.paths[entry.shard]
    frame = filesystem.read_range(path, entry.offset, entry.frame_sizes[0])
    metadata = frame[FRAME_HEADER.size : len(frame) - FRAME_FOOTER.size]
    try:
        if bytes_features(metadata, ["pcr/frame"]).get("pcr/frame") != [b"metadata"]:
            raise ValueError("kind of the frame; expected metadata")
        codings = int_feature(metadata, "pcr/codings")
        orientations = int_feature(metadata, "pcr/orientations")
    except ValueError as error:
        raise ValueError(
            f"{path}: record {entry.ordinal}, metadata, byte {entry.offset}: {error}; "
            "see all faults with pcr-verify"
        ) from error
    return RecordSummary(
        record=record,
        shard=filesystem.basename(path),
        ordinal=entry.ordinal,
        offset=entry.offset,
        examples=entry.num_examples,
        images=len(codings),
        opaque=sum(coding == 1 for coding in codings),
        turned=sum(orientation != 0 for orientation in orientations),
        metadata_bytes=entry.frame_sizes[0],
        prefix_bytes=[index.prefix(record, g)[2] for g in range(1, index.header.num_groups + 1)],
    )
