// How a RequestSource is saved and restored.

#include <deque>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "ops/base/check.h"
#include "ops/format/layout.h"
#include "ops/kernels/request_source.h"
#include "tensorflow/core/platform/errors.h"

namespace pcr {
namespace {

using ::tensorflow::data::IteratorStateReader;
using ::tensorflow::data::IteratorStateWriter;
using ::tensorflow::errors::InvalidArgument;

// Of the state below, of the order of records (record_order.h) and of the draws of a mixture
// (fidelity_mixture.h).
constexpr int64_t kStateVersion = 4;

constexpr char kVersion[] = "version";
constexpr char kSeed[] = "seed";
constexpr char kEpoch[] = "epoch";
constexpr char kEpochCounts[] = "epoch_counts";
constexpr char kBegun[] = "begun";
constexpr char kShuffle[] = "shuffle";
constexpr char kNumRecords[] = "num_records";
constexpr char kContents[] = "contents";
constexpr char kNumShards[] = "num_shards";
constexpr char kShardIndex[] = "shard_index";
constexpr char kNumResumed[] = "num_resumed";
constexpr char kExamples[] = "examples";
constexpr char kNumDelivered[] = "num_delivered";
constexpr char kUsesSplits[] = "uses_splits";
constexpr char kNumPending[] = "num_pending";
constexpr char kRecord[] = "record";
constexpr char kFirstExample[] = "first_example";
constexpr char kScanGroups[] = "scan_groups";

// How a split provider's keys become keys of this iterator's state.
std::function<std::string(std::string)> FullName(const std::string& prefix) {
  return [prefix](const std::string& key) { return prefix + ":" + key; };
}

std::string Pending(uint64_t i, const char* name) {
  return "pending[" + std::to_string(i) + "]." + name;
}

std::string Resumed(uint64_t i, const char* name) {
  return "resume[" + std::to_string(i) + "]." + name;
}

}  // namespace

std::vector<RecordRequest> RequestSource::Unfinished(std::optional<uint64_t> next_example) const {
  std::vector<RecordRequest> unfinished(pending_.begin(), pending_.end());
  if (next_example.has_value()) {
    PCR_DCHECK(!unfinished.empty());
    unfinished.front().first_example = *next_example;
  }
  // Without splits the order says what comes after the record in delivery. The records that splits
  // named are known only here, and so is the fidelity of requests made under another value.
  if (splits_ == nullptr && !fidelity_.changes() && has_taken_) {
    unfinished.resize(next_example.has_value() ? 1 : 0);
    return unfinished;
  }
  unfinished.insert(unfinished.end(), restored_.begin(), restored_.end());
  return unfinished;
}

absl::Status RequestSource::Save(const std::string& prefix, std::optional<uint64_t> next_example,
                                 IteratorStateWriter* writer) {
  MutexLock no_take(&take_mutex_);
  MutexLock lock(&mutex_);
  const auto write = [&](const std::string& name, int64_t value) {
    return writer->WriteScalar(prefix, name, value);
  };
  // An iterator in a function saves counts that other iterators save too, and none of them may
  // change these in between: it takes its epoch when it begins, here and where it is restored.
  if (!shared_->made_by_function || !order_options_.resume.empty()) BeginLocked();
  const EpochCounter::Epoch epoch = epoch_.value_or(shared_->epochs->First());
  TF_RETURN_IF_ERROR(write(kVersion, kStateVersion));
  TF_RETURN_IF_ERROR(write(kBegun, epoch_.has_value() ? 1 : 0));
  TF_RETURN_IF_ERROR(write(kSeed, static_cast<int64_t>(epoch.seed)));
  TF_RETURN_IF_ERROR(write(kEpoch, epoch.number));
  TF_RETURN_IF_ERROR(write(kNumRecords, static_cast<int64_t>(shared_->index.num_records())));
  TF_RETURN_IF_ERROR(write(kContents, shared_->index.ContentsChecksum()));
  TF_RETURN_IF_ERROR(writer->WriteScalar(prefix, kEpochCounts, shared_->epochs->Serialize()));
  TF_RETURN_IF_ERROR(write(kShuffle, order_options_.shuffle ? 1 : 0));
  TF_RETURN_IF_ERROR(write(kNumShards, static_cast<int64_t>(order_options_.num_shards)));
  TF_RETURN_IF_ERROR(write(kShardIndex, static_cast<int64_t>(order_options_.shard_index)));
  const auto& resume = order_options_.resume;
  TF_RETURN_IF_ERROR(write(kNumResumed, static_cast<int64_t>(resume.size())));
  for (uint64_t i = 0; i < resume.size(); ++i) {
    TF_RETURN_IF_ERROR(write(Resumed(i, kNumShards), static_cast<int64_t>(resume[i].num_shards)));
    TF_RETURN_IF_ERROR(write(Resumed(i, kExamples), static_cast<int64_t>(resume[i].examples)));
  }
  TF_RETURN_IF_ERROR(write(kNumDelivered, static_cast<int64_t>(num_finished_)));
  TF_RETURN_IF_ERROR(write(kUsesSplits, splits_ != nullptr ? 1 : 0));

  const std::vector<RecordRequest> unfinished = Unfinished(next_example);
  TF_RETURN_IF_ERROR(write(kNumPending, static_cast<int64_t>(unfinished.size())));
  for (uint64_t i = 0; i < unfinished.size(); ++i) {
    const RecordRequest& request = unfinished[i];
    TF_RETURN_IF_ERROR(write(Pending(i, kRecord), static_cast<int64_t>(request.record)));
    TF_RETURN_IF_ERROR(
        write(Pending(i, kFirstExample), static_cast<int64_t>(request.first_example)));
    TF_RETURN_IF_ERROR(write(Pending(i, kScanGroups), request.scan_groups));
    TF_RETURN_IF_ERROR(write(Pending(i, kEpoch), request.epoch));
  }
  if (splits_ == nullptr) return absl::OkStatus();
  return splits_->provider().Save(FullName(prefix), writer);
}

absl::Status RequestSource::CheckRestored(const RecordRequest& request) const {
  const DatasetIndex& index = shared_->index;
  if (request.record >= index.num_records() ||
      request.first_example >= index.columns().example_counts[request.record]) {
    return InvalidArgument("checkpoint of a PcrDataset: position; expected an example of one of ",
                           index.num_records(), " records, got record ", request.record,
                           ", example ", request.first_example);
  }
  if (const auto status = index.CheckScanGroups(request.scan_groups); !status.ok()) {
    return InvalidArgument("checkpoint of a PcrDataset: ", status.message());
  }
  return absl::Status();
}

absl::Status RequestSource::Restore(const std::string& prefix, IteratorStateReader* reader) {
  MutexLock no_take(&take_mutex_);
  MutexLock lock(&mutex_);
  PCR_DCHECK(!has_taken_);
  absl::Status status;
  const auto read = [&](const std::string& name) {
    int64_t value = 0;
    if (status.ok()) status = reader->ReadScalar(prefix, name, &value);
    return value;
  };
  const auto require = [&](const char* what, int64_t expected, int64_t got) {
    if (status.ok() && expected != got) {
      status =
          InvalidArgument("checkpoint of a PcrDataset: ", what, "; expected ", expected, ", got ",
                          got, "; restore it into the data set that it was made from");
    }
  };
  if (const int64_t version = read(kVersion); status.ok() && version != kStateVersion) {
    return InvalidArgument(
        "checkpoint of a PcrDataset: version of its state; expected ", kStateVersion, ", got ",
        version, "; another version of pcr_tf made it: go on with first_epoch or resume instead");
  }
  require("number of records", static_cast<int64_t>(shared_->index.num_records()),
          read(kNumRecords));
  require("checksum of its files' contents, in their order", shared_->index.ContentsChecksum(),
          read(kContents));
  require(kShuffle, order_options_.shuffle ? 1 : 0, read(kShuffle));
  require(kNumShards, static_cast<int64_t>(order_options_.num_shards), read(kNumShards));
  require(kShardIndex, static_cast<int64_t>(order_options_.shard_index), read(kShardIndex));
  const auto& resume = order_options_.resume;
  require("number of progresses in resume", static_cast<int64_t>(resume.size()), read(kNumResumed));
  for (uint64_t i = 0; i < resume.size() && status.ok(); ++i) {
    const auto require_resumed = [&](const char* name, uint64_t expected) {
      const std::string key = Resumed(i, name);
      require(key.c_str(), static_cast<int64_t>(expected), read(key));
    };
    require_resumed(kNumShards, resume[i].num_shards);
    require_resumed(kExamples, resume[i].examples);
  }
  require("use of splits", splits_ != nullptr ? 1 : 0, read(kUsesSplits));
  EpochCounter::Epoch epoch{};
  epoch.seed = static_cast<uint64_t>(read(kSeed));
  epoch.number = read(kEpoch);
  const bool begun = read(kBegun) != 0;
  const int64_t num_delivered = read(kNumDelivered);
  const int64_t num_pending = read(kNumPending);
  TF_RETURN_IF_ERROR(status);
  tensorflow::tstring epoch_counts;
  TF_RETURN_IF_ERROR(reader->ReadScalar(prefix, kEpochCounts, &epoch_counts));

  // Everything is checked before any of it is taken over: a state that is refused must not change
  // the epochs of other iterators.
  std::vector<RecordPart> order;
  if (splits_ == nullptr) order = OrderOf(epoch);
  const auto num_records = static_cast<int64_t>(shared_->index.num_records());
  const auto limit = splits_ == nullptr ? static_cast<int64_t>(order.size()) : num_records;
  if (epoch.number < 0 || epoch.number == std::numeric_limits<int64_t>::max() ||
      num_delivered < 0 || num_delivered > limit || num_pending < 0 ||
      num_pending > (splits_ == nullptr ? limit - num_delivered : num_records)) {
    return InvalidArgument("checkpoint of a PcrDataset: epoch ", epoch.number, ", ", num_delivered,
                           " records delivered and ", num_pending, " begun; expected at most ",
                           limit);
  }
  std::deque<RecordRequest> pending;
  for (int64_t i = 0; i < num_pending; ++i) {
    RecordRequest request;
    request.record = static_cast<uint64_t>(read(Pending(i, kRecord)));
    request.first_example = static_cast<uint64_t>(read(Pending(i, kFirstExample)));
    const int64_t scan_groups = read(Pending(i, kScanGroups));
    request.epoch = read(Pending(i, kEpoch));
    TF_RETURN_IF_ERROR(status);
    request.scan_groups =
        scan_groups < 0 || scan_groups > layout::kMaxGroups ? 0 : static_cast<int>(scan_groups);
    TF_RETURN_IF_ERROR(CheckRestored(request));
    pending.push_back(request);
  }
  if (splits_ == nullptr) {
    auto position = static_cast<uint64_t>(num_delivered);
    for (const RecordRequest& request : pending) {
      if (request.record != order[position++].record) {
        return InvalidArgument(
            "checkpoint of a PcrDataset: the record begun is not the one that its "
            "epoch's order has there");
      }
    }
    if (order_options_.resume.empty()) {
      TF_RETURN_IF_ERROR(
          shared_->epochs->Restore(epoch.seed, epoch_counts, shared_->files(),
                                   begun ? std::optional<int64_t>(epoch.number) : std::nullopt));
    }
    if (!begun) return absl::Status();
    order_ = std::move(order);
    next_position_ = position;
  } else {
    TF_RETURN_IF_ERROR(splits_->provider().Restore(FullName(prefix), reader));
  }
  epoch_ = epoch;
  num_finished_ = static_cast<uint64_t>(num_delivered);
  restored_ = std::move(pending);
  return absl::Status();
}

}  // namespace pcr
