#include "ops/format/record_order.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "ops/base/check.h"
#include "ops/format/split_mix64.h"

namespace pcr {
namespace {

// The permutation of `num_records` records that belongs to (seed, epoch).
std::vector<RecordPart> AllRecords(size_t num_records, const RecordOrderOptions& options,
                                   uint64_t epoch) {
  std::vector<RecordPart> order(num_records);
  for (size_t record = 0; record < num_records; ++record) order[record] = {record, 0};
  if (!options.shuffle) return order;
  SplitMix64 seeder(options.seed);
  SplitMix64 random(seeder.Next() ^ (epoch * 0xd1342543de82ef95ULL));
  for (uint64_t left = order.size(); left > 1; --left) {
    std::swap(order[left - 1], order[random.Below(left)]);
  }
  return order;
}

// Calls visit(part, examples, shard) for each part, in order, with the shard it is dealt to.
template <typename Visitor>
void Deal(const std::vector<RecordPart>& parts, const std::vector<uint64_t>& example_counts,
          uint64_t num_shards, Visitor visit) {
  const auto examples_of = [&](const RecordPart& part) {
    return example_counts[part.record] - part.first_example;
  };
  // For each number of examples, whose turn it is. The classes' first turns
  // follow on from one another, so that small classes do not all go to shard 0.
  std::map<uint64_t, uint64_t> next_shard;
  for (const RecordPart& part : parts) ++next_shard[examples_of(part)];
  uint64_t first = 0;
  for (auto& [examples, turn] : next_shard) {
    const uint64_t members = turn;
    turn = first;
    first = (first + members) % num_shards;
  }
  for (const RecordPart& part : parts) {
    const uint64_t examples = examples_of(part);
    uint64_t& turn = next_shard[examples];
    visit(part, examples, turn);
    turn = turn + 1 == num_shards ? 0 : turn + 1;
  }
}

// What is left of `parts`, in order, when readers that share them have come as far as `progress`.
std::vector<RecordPart> RestOf(const std::vector<RecordPart>& parts,
                               const std::vector<uint64_t>& example_counts,
                               const RecordProgress& progress) {
  std::vector<uint64_t> to_skip(progress.num_shards, progress.examples);
  std::vector<RecordPart> left;
  Deal(parts, example_counts, progress.num_shards,
       [&](const RecordPart& part, uint64_t examples, uint64_t shard) {
         const uint64_t skipped = std::min(to_skip[shard], examples);
         to_skip[shard] -= skipped;
         if (skipped < examples) left.push_back({part.record, part.first_example + skipped});
       });
  return left;
}

}  // namespace

Status RecordOrderOptions::Validate() const {
  if (num_shards < 1) return InvalidArgument(Expected("num_shards", "at least 1", num_shards));
  if (shard_index >= num_shards) {
    return InvalidArgument(
        Expected("shard_index", "0 to " + std::to_string(num_shards - 1), shard_index));
  }
  for (const RecordProgress& progress : resume) {
    if (progress.num_shards < 1) {
      return InvalidArgument(
          Expected("num_shards of a progress", "at least 1", progress.num_shards));
    }
  }
  return Status();
}

std::vector<RecordPart> RecordOrder(const std::vector<uint64_t>& example_counts,
                                    const RecordOrderOptions& options, uint64_t epoch) {
  PCR_DCHECK(options.Validate().ok());
  std::vector<RecordPart> parts = AllRecords(example_counts.size(), options, epoch);
  for (const RecordProgress& progress : options.resume) {
    parts = RestOf(parts, example_counts, progress);
  }
  if (options.num_shards == 1) return parts;
  std::vector<RecordPart> own;
  own.reserve(parts.size() / options.num_shards + 1);
  Deal(parts, example_counts, options.num_shards,
       [&](const RecordPart& part, uint64_t /*examples*/, uint64_t shard) {
         if (shard == options.shard_index) own.push_back(part);
       });
  return own;
}

Status CheckResume(const std::vector<uint64_t>& example_counts, const RecordOrderOptions& options,
                   uint64_t epoch) {
  PCR_DCHECK(options.Validate().ok());
  std::vector<RecordPart> parts = AllRecords(example_counts.size(), options, epoch);
  for (size_t i = 0; i < options.resume.size(); ++i) {
    const RecordProgress& progress = options.resume[i];
    std::vector<uint64_t> shares(progress.num_shards);
    Deal(parts, example_counts, progress.num_shards,
         [&](const RecordPart& /*part*/, uint64_t examples, uint64_t shard) {
           shares[shard] += examples;
         });
    const uint64_t most = *std::max_element(shares.begin(), shares.end());
    if (progress.examples > most) {
      return InvalidArgument(Expected("resume[" + std::to_string(i) + "]: examples that each of " +
                                          std::to_string(progress.num_shards) +
                                          " readers had read of " +
                                          (i == 0 ? "the epoch" : "what was left of the epoch"),
                                      "at most " + std::to_string(most), progress.examples));
    }
    parts = RestOf(parts, example_counts, progress);
  }
  return Status();
}

}  // namespace pcr
