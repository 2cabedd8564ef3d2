// CheckSharding: refuses to read where a shard of a shard, or of an order that other processes do
// not have, would lose examples.

#ifndef PCR_OPS_KERNELS_SHARDING_CHECK_H_
#define PCR_OPS_KERNELS_SHARDING_CHECK_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "tensorflow/core/framework/dataset.h"

namespace pcr {

// How a reader's order comes about.
struct OrderSource {
  int64_t num_shards = 1;
  bool is_private = false;      // drawn by this process: others have another
  int64_t seeded_shuffles = 0;  // of the shuffles of tf.data behind it: those that all processes
                                // do alike
};

// FAILED_PRECONDITION with the remedy, for an iterator `prefix` and the options in `ctx`:
// - if there are several readers, and what they read is sharded once more, while tf.data's
// automatic
//   sharding, which is the likely reason, is not switched off;
// - if a private order is sharded;
// - if examples are sharded that were shuffled further, unless that is known to be the same in all
//   processes, or the automatic sharding is switched off.
absl::Status CheckSharding(const tensorflow::data::IteratorContext& ctx, const std::string& prefix,
                           const OrderSource& order);

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_SHARDING_CHECK_H_
