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

}  // namespace

absl::Status CheckSharding(const tensorflow::data::IteratorContext& ctx, const std::string& prefix,
                           const OrderSource& order) {
  const std::vector<std::string_view> consumers = ConsumersOf(prefix);
  const auto shard = std::find_if(consumers.begin(), consumers.end(),
                                  [](std::string_view name) { return IsOp(name, "Shard"); });
  if (shard == consumers.end()) return absl::Status();
  if (order.is_private) {
    return tensorflow::errors::FailedPrecondition(
        "PcrDataset with shuffle=True: seed; expected one, since a shard of the examples is read "
        "(by "
        "tf.data's automatic sharding, or .shard()), got None: each process would draw an order of "
        "its own, and examples would be lost and repeated; give all processes the same seed");
  }
  if (IsSwitchedOff(ctx)) return absl::Status();
  if (order.num_shards > 1) {
    return tensorflow::errors::FailedPrecondition(
        "PcrDataset with num_shards=", order.num_shards,
        ": its share; expected to be read whole, got one that is sharded again, which would leave "
        "examples out: under a distribution strategy tf.data shards by itself; set "
        "options.experimental_distribute.auto_shard_policy = "
        "tf.data.experimental.AutoShardPolicy.OFF on the data set that the strategy is given, or "
        "leave out num_shards");
  }
  const auto shuffles = std::count_if(consumers.begin(), shard, [](std::string_view name) {
    return IsOp(name, "Shuffle") || IsOp(name, "ShuffleAndRepeat");
  });
  if (shuffles > order.seeded_shuffles) {
    return tensorflow::errors::FailedPrecondition(
        "PcrDataset: its examples; expected to be sharded before a .shuffle(), got a shard behind "
        "one: where processes do not shuffle alike, examples would be lost and repeated; under a "
        "distribution strategy give PcrDataset num_shards and shard_index, by "
        "strategy.distribute_datasets_from_function; if every .shuffle() has a seed, you can "
        "instead set options.experimental_distribute.auto_shard_policy = "
        "tf.data.experimental.AutoShardPolicy.OFF and call .shard() yourself");
  }
  return absl::Status();
}

}  // namespace pcr
