"""What a conversion will take, estimated by converting a sample."""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
import tempfile
import time
from typing import NamedTuple

from pcr_tf.convert.job.options import ConvertOptions
from pcr_tf.convert.job.plan import Plan, ShardPlan
from pcr_tf.convert.job.shard import convert_shard
from pcr_tf.convert.sources import Source, SourceContext, SourceItem

# The sample grows until it holds this many items or has taken this long.
SAMPLE_ITEMS = 128
SAMPLE_S = 5.0
_FIRST_STEP_ITEMS = 16


class Estimate(NamedTuple):
    """What a job will take, if the rest is like the sample.

    Attributes:
      sampled_items, sampled_bytes: size of the sample.
      sample_s: time that the sample took in one process.
      stored_share: bytes stored per byte of the source.
      output_bytes: size of all shards.
      remaining_s: time for the shards that are not finished.
      opaque, encoded, skipped: numbers of images of the sample that were kept, encoded or skipped.
    """

    sampled_items: int
    sampled_bytes: int
    sample_s: float
    stored_share: float
    output_bytes: int
    remaining_s: float
    opaque: int
    encoded: int
    skipped: int


def estimate(
    plan: Plan,
    source: Source,
    context: SourceContext,
    options: ConvertOptions,
    waiting: list[int],
) -> Estimate:
    """Converts a sample to a temporary folder on this machine, with the code of the job itself.

    Which items are in the sample follows only from their names; how many, from how long they take.
    The estimated time is that of the sample, scaled by bytes and divided among the workers.

    Args:
      waiting: numbers of the shards that are not written yet.

    Raises:
      ConvertError: an item of the sample would stop the job.
      OSError: the temporary folder cannot be written.
    """
    sample = _sample(plan, source)
    items = source_bytes = stored_bytes = opaque = encoded = skipped = 0
    elapsed_s = 0.0
    with tempfile.TemporaryDirectory(prefix="pcr-convert-sample-") as folder:
        options = dataclasses.replace(options, output=folder)
        while items < len(sample):
            # Steps grow, so that the overhead of a file matters less and less.
            step = sample[items : max(_FIRST_STEP_ITEMS, 2 * items)]
            begun = time.monotonic()
            sampled = ShardPlan(0, "sample.pcr", step, plan.cuts.examples_per_record)
            result = convert_shard(sampled, source, context, options, lambda *_: None)
            elapsed_s += time.monotonic() - begun
            items += len(step)
            source_bytes += sum(item.size_bytes for item in step)
            stored_bytes += result.file_bytes
            opaque += len(result.opaque)
            encoded += len(result.encoded)
            skipped += len(result.skipped)
            if elapsed_s >= SAMPLE_S:
                break
    share = stored_bytes / max(source_bytes, 1)
    remaining_bytes = sum(plan.shard(number).source_bytes for number in waiting)
    workers = max(1, min(options.num_workers, len(waiting)))
    return Estimate(
        sampled_items=items,
        sampled_bytes=source_bytes,
        sample_s=elapsed_s,
        stored_share=share,
        output_bytes=round(share * plan.cuts.source_bytes),
        remaining_s=elapsed_s * remaining_bytes / max(source_bytes, 1) / workers,
        opaque=opaque,
        encoded=encoded,
        skipped=skipped,
    )


def _sample(plan: Plan, source: Source) -> list[SourceItem]:
    def rank(item: SourceItem) -> bytes:
        name = source.key(item).encode(errors="surrogateescape")
        return hashlib.blake2b(name, digest_size=16, person=b"sample").digest()

    return heapq.nsmallest(SAMPLE_ITEMS, plan.items, key=rank)
