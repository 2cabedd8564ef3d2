// The order in which a shard of readers goes through the records in an epoch.

#ifndef PCR_OPS_FORMAT_RECORD_ORDER_H_
#define PCR_OPS_FORMAT_RECORD_ORDER_H_

#include <cstdint>
#include <vector>

#include "ops/base/status.h"

namespace pcr {

// How far readers have come: each of `num_shards` has read `examples` examples,
// or its whole share, if that is less.
struct RecordProgress {
  uint64_t num_shards = 1;
  uint64_t examples = 0;
};

struct RecordOrderOptions {
  bool shuffle = false;
  uint64_t seed = 0;
  uint64_t num_shards = 1;
  uint64_t shard_index = 0;
  // What is left of an epoch after the readers of the first had begun it, those of the second had
  // gone on with the rest of that, and so on; none: the whole epoch.
  std::vector<RecordProgress> resume;

  // INVALID_ARGUMENT unless 0 <= shard_index < num_shards, and each progress is
  // one of at least 1 reader.
  Status Validate() const;
};

// The examples of a record (a global ordinal) from `first_example` on.
struct RecordPart {
  uint64_t record;
  uint64_t first_example;
};

// What this shard reads in `epoch`, in order.
//
// With shuffle, one permutation of all records is drawn from (seed, epoch), the
// same in every shard, and dealt out to the shards; so the shards are disjoint,
// together complete, and different in every epoch. Records are dealt out
// separately for each number of examples, so a shard has the same number of
// examples in every epoch. What is left of an epoch that was begun is dealt out
// in the same way, so it may be read by another number of shards than began it;
// parts of records count with the examples they have left. The order is part of the checkpoint
// format: a change of it must change the version that checkpoints carry.
std::vector<RecordPart> RecordOrder(const std::vector<uint64_t>& example_counts,
                                    const RecordOrderOptions& options, uint64_t epoch);

// INVALID_ARGUMENT if a progress of `options` is beyond the largest share of what was left then.
Status CheckResume(const std::vector<uint64_t>& example_counts, const RecordOrderOptions& options,
                   uint64_t epoch);

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_RECORD_ORDER_H_
