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
  bool is_private = false;  // drawn by this process: others have another
  // Of the shuffles of tf.data behind it: those that all processes do alike.
  int64_t seeded_shuffles = 0;
};

// FAILED_PRECONDITION with the remedy, for an iterator `prefix` and the options in `ctx`, if a
// shard of the examples is read and
// - the order is private;
// - or, unless tf.data's automatic sharding (the likely reason) is switched off, what is sharded is
//   a share already, or examples come through something that processes may not do alike.
absl::Status CheckSharding(const tensorflow::data::IteratorContext& ctx, const std::string& prefix,
                           const OrderSource& order);

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_SHARDING_CHECK_H_
