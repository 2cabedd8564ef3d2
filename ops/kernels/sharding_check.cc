#include "ops/kernels/sharding_check.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "ops/kernels/iterator_consumers.h"
#include "tensorflow/core/framework/dataset_options.pb.h"
#include "tensorflow/core/platform/errors.h"

namespace pcr {
namespace {

bool IsSwitchedOff(const tensorflow::data::IteratorContext& ctx) {
  return ctx.options() != nullptr && ctx.options()->distribute_options().auto_shard_policy() ==
                                         tensorflow::data::AutoShardPolicy::OFF;
}

// Whether processes may yield other elements, or in another order, behind such an iterator: they
// may shuffle or choose otherwise, and what a function is given, names of files for example, may
// come in another order.
bool MayDiffer(std::string_view name) {
  for (const char* op : {"Shuffle", "ShuffleAndRepeat", "FlatMap", "Interleave",
                         "ParallelInterleave", "LegacyParallelInterleave", "DirectedInterleave"}) {
    if (IsOp(name, op)) return true;
  }
  return false;
}

}  // namespace

absl::Status CheckSharding(const tensorflow::data::IteratorContext& ctx, const std::string& prefix,
                           const OrderSource& order) {
  const std::vector<std::string_view> consumers = ConsumersOf(prefix);
  const auto is_shard = [](std::string_view name) { return IsOp(name, "Shard"); };
  const auto shard = std::find_if(consumers.begin(), consumers.end(), is_shard);
  if (shard == consumers.end()) return absl::Status();
  if (order.is_private) {
    return tensorflow::errors::FailedPrecondition(
        "PcrDataset with shuffle=True: seed; expected one, since a shard of the examples is read, "
        "by tf.data's automatic sharding or .shard(), got None: each process would draw an order "
        "of its own, and examples would be lost and repeated; give all processes the same seed");
  }
  if (IsSwitchedOff(ctx)) return absl::Status();
  const bool is_share = order.num_shards > 1;
  if (is_share || std::count_if(shard, consumers.end(), is_shard) > 1) {
    return tensorflow::errors::FailedPrecondition(
        "PcrDataset: its share, of num_shards or .shard(); expected to be read whole, got one that "
        "is sharded again, which would leave examples out: under a distribution strategy tf.data "
        "shards by itself; set options.experimental_distribute.auto_shard_policy = "
        "tf.data.experimental.AutoShardPolicy.OFF on the data set that the strategy is given, or "
        "share it only once");
  }
  if (std::count_if(consumers.begin(), shard, MayDiffer) > order.seeded_shuffles) {
    return tensorflow::errors::FailedPrecondition(
        "PcrDataset: its examples; expected to be sharded first, got a shard behind a .shuffle(), "
        "flat_map, interleave or sample_from_datasets: where processes do not do that alike, "
        "examples would be lost and repeated. Under a distribution strategy give PcrDataset the "
        "list of files, num_shards and shard_index, by strategy.distribute_datasets_from_function. "
        "In a single process, or if you know that all do it alike, set "
        "options.experimental_distribute.auto_shard_policy = "
        "tf.data.experimental.AutoShardPolicy.OFF behind your .shard()");
  }
  return absl::Status();
}

}  // namespace pcr
