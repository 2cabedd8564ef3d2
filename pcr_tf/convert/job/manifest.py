"""`manifest.json`: what a data set holds, for people and tools. No reader needs it.

It depends on the source's contents and the flags alone: no dates, hosts or times.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from pcr_tf._native import DatasetIndex
from pcr_tf.convert.errors import ConvertError, some
from pcr_tf.convert.job.options import ConvertOptions
from pcr_tf.convert.job.shard import ShardResult
from pcr_tf.convert.sources import ListingSummary, Source
from pcr_tf.format import filesystem
from pcr_tf.format.dataset_index import check_complete, write_side_index
from pcr_tf.format.manifest import MANIFEST_NAME, MANIFEST_VERSION, read_manifest
from pcr_tf.format.names import local_name, name_bytes, to_json
from pcr_tf.format.writer import created_by


def write_manifest(
    index: DatasetIndex,
    options: ConvertOptions,
    source: Source,
    listing: ListingSummary,
    results: Sequence[ShardResult],
    profile: dict[str, Any] | None,
) -> dict[str, Any]:
    """Writes and returns the manifest of a finished conversion.

    Args:
        profile: of `fidelity_profile`.
    """
    opaque = _sorted_entries(results, "opaque")
    skipped = _sorted_entries(results, "skipped")
    skipped += [
        {"name": name, "reason": "unreadable", "detail": why} for name, why in listing.unreadable
    ]
    described = describe_listing(
        source, listing, [label for result in results for label in result.skipped_labels]
    )
    manifest = {
        "manifest_version": MANIFEST_VERSION,
        "created_by": created_by(),
        "source": described["source"],
        "flags": options.fingerprint(),
        "counts": {
            "images": sum(result.images for result in results),
            "turned": sum(result.turned for result in results),
            "opaque": len(opaque),
            "opaque_reasons": _reasons(opaque),
            "encoded": sum(len(result.encoded) for result in results),
            "skipped": len(skipped),
        },
        "bytes": {
            "source_images": sum(result.source_bytes for result in results),
            "slices": sum(result.stored_bytes for result in results),
        },
        "class_names": described["class_names"],
        **shard_table(index),
        "profile": profile,
        "opaque": opaque,
        "encoded": _sorted_entries(results, "encoded"),
        "skipped": skipped,
    }
    _write(options.output, manifest)
    return manifest


def describe_listing(
    source: Source, listing: ListingSummary, skipped_labels: Sequence[int] = ()
) -> dict[str, Any]:
    """The parts of a manifest that are known once the source is listed: `source`, `class_names`;
    and which classes are without an image once items of `skipped_labels` were skipped."""
    return {
        "source": {
            "kind": source.kind,
            "items": listing.num_items,
            "ignored_files": listing.num_ignored,
            "folders_without_image": list(listing.folders_without_images),
            "classes_without_image": listing.classes_without_items(skipped_labels),
        },
        "class_names": list(listing.class_names),
    }


def shard_table(index: DatasetIndex) -> dict[str, Any]:
    """The parts of a manifest that follow from the shards: totals, groups and shards."""
    shards = []
    examples = collections.Counter[int]()
    for record in range(index.num_records):
        entry = index.record(record)
        examples[entry.shard] += entry.num_examples
    for number in range(index.num_shards):
        name, file_bytes, footer_checksum, _, records = index.shard(number)
        shards.append(
            {
                "name": name,
                "bytes": file_bytes,
                "records": records,
                "examples": examples[number],
                "footer_checksum": f"{footer_checksum:08x}",
            }
        )
    prefix_bytes = [index.prefix_bytes(g) for g in range(1, index.header.num_groups + 1)]
    return {
        "dataset": {
            "shards": index.num_shards,
            "records": index.num_records,
            "examples": index.num_examples,
            "shard_bytes": sum(shard["bytes"] for shard in shards),
            # Bytes that one pass over the data set reads at fidelity 1, 2, ...
            "prefix_bytes": prefix_bytes,
        },
        "shards": shards,
    }


@dataclasses.dataclass(frozen=True)
class RebuiltIndex:
    """What `rebuild_index` made.

    Attributes:
        index: the index; has_manifest: whether there is a manifest.
        remarks: what the data set may lack, or have of another one: lines for people.
    """

    index: DatasetIndex
    has_manifest: bool
    remarks: list[str]


def rebuild_index(folder: str) -> RebuiltIndex:
    """Makes the side index of a folder from its shards, and the manifest's shard table where there
    is a manifest.

    Raises:
        ValueError: no shards, shards of different data sets, or a manifest that is not one.
        OSError: a file cannot be read or written.
    """
    index = write_side_index(folder)
    remarks = []
    try:
        check_complete(folder, [index.shard(number)[0] for number in range(index.num_shards)])
    except ValueError as error:
        remarks.append(str(error))
    manifest = read_manifest(folder)
    if manifest is None:
        return RebuiltIndex(index, False, remarks)
    table = shard_table(index)
    changes = list(_changes(manifest, table))
    if changes:  # It was measured on other images.
        manifest["profile"] = None
    remarks += [f"{folder}: {change}" for change in changes]
    _write(folder, {**manifest, **table})
    return RebuiltIndex(index, True, remarks)


def _changes(manifest: dict[str, Any], table: dict[str, Any]) -> Iterator[str]:
    """In what shards differ from those that a manifest has named so far."""
    before, after = (
        {shard["name"]: shard["footer_checksum"] for shard in found["shards"]}
        for found in (manifest, table)
    )
    gone = [name for name in before if name not in after]
    if gone:
        yield f"shards of the manifest that are not there: {some(gone)}"
    foreign = [name for name, checksum in after.items() if before.get(name) != checksum]
    if foreign:
        yield (
            f"shards that the manifest did not have, or had with other contents: {some(foreign)}; "
            "their labels must be positions in its class_names"
        )


def finished_manifest(output: str) -> dict[str, Any]:
    """The manifest of a finished conversion, whose shards are looked at.

    Raises:
        ConvertError: it is damaged, or a shard is gone or has another size.
    """
    try:
        manifest = read_manifest(output)
        if manifest is None:
            raise ValueError(f"{filesystem.join(output, MANIFEST_NAME)}: no such file")
        for shard in manifest["shards"]:
            path = filesystem.join(output, local_name(shard["name"]))
            found = filesystem.size(path)
            if found != shard["bytes"]:
                raise ValueError(f"{path}: expected {shard['bytes']} bytes, got {found}")
    except (OSError, ValueError) as error:
        raise ConvertError(
            f"the finished data set has changed: {error}; remove {output} and convert again"
        ) from error
    return manifest


def _write(folder: str, manifest: dict[str, Any]) -> None:
    filesystem.write_atomic(filesystem.join(folder, MANIFEST_NAME), to_json(manifest))


def _sorted_entries(results: Sequence[ShardResult], field: str) -> list[dict[str, str]]:
    entries = [entry for result in results for entry in dataclasses.asdict(result)[field]]
    return sorted(entries, key=lambda entry: (name_bytes(entry["name"]), entry["reason"]))


def _reasons(entries: Sequence[dict[str, str]]) -> dict[str, int]:
    return dict(sorted(collections.Counter(entry["reason"] for entry in entries).items()))
