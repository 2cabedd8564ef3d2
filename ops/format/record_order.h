// The order in which a shard of readers goes through the records in an epoch.

#ifndef PCR_OPS_FORMAT_RECORD_ORDER_H_
#define PCR_OPS_FORMAT_RECORD_ORDER_H_

#include <cstdint>
#include <vector>

#include "ops/base/status.h"

namespace pcr {

struct RecordOrderOptions {
  bool shuffle = false;
  uint64_t seed = 0;
  uint64_t num_shards = 1;
  uint64_t shard_index = 0;

  // INVALID_ARGUMENT unless 0 <= shard_index < num_shards.
  Status Validate() const;
};

// The records (global ordinals) that this shard reads in `epoch`, in order.
//
// With shuffle, one permutation of all records is drawn from (seed, epoch), the
// same in every shard, and dealt out to the shards; so the shards are disjoint,
// together complete, and different in every epoch. Records are dealt out
// separately for each number of examples, so a shard has the same number of
// examples in every epoch. The order is part of the checkpoint format: a change
// of it must change the version that checkpoints carry.
std::vector<uint64_t> RecordOrder(const std::vector<uint64_t>& example_counts,
                                  const RecordOrderOptions& options, uint64_t epoch);

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_RECORD_ORDER_H_
