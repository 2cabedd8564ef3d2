#include "ops/format/record_order.h"

#include <map>
#include <numeric>
#include <string>
#include <utility>

namespace pcr {
namespace {

// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
// generators, OOPSLA 2014). Own code rather than <random>'s distributions,
// whose results differ between standard libraries.
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t state) : state_(state) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound), without bias: values of the incomplete last stretch are drawn again.
  uint64_t Below(uint64_t bound) {
    const uint64_t incomplete = (0 - bound) % bound;  // 2^64 mod bound
    uint64_t value = Next();
    while (value < incomplete) value = Next();
    return value % bound;
  }

 private:
  uint64_t state_;
};

}  // namespace

Status RecordOrderOptions::Validate() const {
  if (num_shards < 1) return InvalidArgument(Expected("num_shards", "at least 1", num_shards));
  if (shard_index >= num_shards) {
    return InvalidArgument(
        Expected("shard_index", "0 to " + std::to_string(num_shards - 1), shard_index));
  }
  return Status();
}

std::vector<uint64_t> RecordOrder(const std::vector<uint64_t>& example_counts,
                                  const RecordOrderOptions& options, uint64_t epoch) {
  std::vector<uint64_t> order(example_counts.size());
  std::iota(order.begin(), order.end(), uint64_t{0});
  if (options.shuffle) {
    SplitMix64 seeder(options.seed);
    SplitMix64 random(seeder.Next() ^ (epoch * 0xd1342543de82ef95ULL));
    for (uint64_t left = order.size(); left > 1; --left) {
      std::swap(order[left - 1], order[random.Below(left)]);
    }
  }
  if (options.num_shards == 1) return order;

  // For each number of examples, whose turn it is. The classes' first turns
  // follow on from one another, so that small classes do not all go to shard 0.
  std::map<uint64_t, uint64_t> next_shard;
  for (const uint64_t count : example_counts) ++next_shard[count];
  uint64_t first = 0;
  for (auto& [count, turn] : next_shard) {
    const uint64_t records = turn;
    turn = first;
    first = (first + records) % options.num_shards;
  }
  std::vector<uint64_t> own;
  own.reserve(order.size() / options.num_shards + 1);
  for (const uint64_t record : order) {
    uint64_t& turn = next_shard[example_counts[record]];
    if (turn == options.shard_index) own.push_back(record);
    turn = turn + 1 == options.num_shards ? 0 : turn + 1;
  }
  return own;
}

}  // namespace pcr
