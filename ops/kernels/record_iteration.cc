#include "ops/kernels/record_iteration.h"

#include <functional>
#include <limits>
#include <utility>

#include "ops/base/status.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/platform/errors.h"
#include "tensorflow/core/platform/logging.h"

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

std::array<int64_t, 2> ExampleOrigin::StatelessSeed() const {
  // An odd factor keeps all epochs apart; a record holds less than 2^31 examples.
  return {static_cast<int64_t>(seed + static_cast<uint64_t>(epoch) * 0x9e3779b97f4a7c15ULL),
          static_cast<int64_t>(record << 32 | example)};
}

RecordIteration::RecordIteration(std::shared_ptr<SharedDataset> shared,
                                 const RecordOrderOptions& order, const ReadOptions& read,
                                 const RecordFidelity& fidelity,
                                 std::shared_ptr<tensorflow::data::SplitProvider> splits)
    : shared_(std::move(shared)),
      order_options_(order),
      read_options_(read),
      fidelity_(fidelity),
      splits_(splits == nullptr ? nullptr : std::make_unique<SplitReader>(std::move(splits))) {
  if (splits_ != nullptr) epoch_ = shared_->epochs->First();  // for its seed: splits name epochs
}

// A thread of the stream, which the stream waits for, may be waiting for a split.
RecordIteration::~RecordIteration() { Cancel(); }

void RecordIteration::TakeEpoch() {
  if (epoch_.has_value()) return;
  epoch_ = order_options_.resume.empty() ? shared_->epochs->Next(shared_->files())
                                         : shared_->epochs->First();
  order_ = OrderOf(*epoch_);
}

std::vector<RecordPart> RecordIteration::OrderOf(const EpochCounter::Epoch& epoch) const {
  RecordOrderOptions options = order_options_;
  options.seed = epoch.seed;
  return RecordOrder(shared_->index.columns().example_counts, options,
                     static_cast<uint64_t>(epoch.number));
}

void RecordIteration::StartStream() {
  auto stream = std::make_unique<RecordStream>(
      shared_, read_options_,
      [this](std::optional<RecordRequest>* request) { return NextRequest(request); },
      // Should it fail, a value is known: NextRequest has looked before.
      [this](const Cancellation& cancellation) { fidelity_.Look(cancellation).IgnoreError(); });
  std::lock_guard<std::mutex> lock(stream_mutex_);
  stream_ = std::move(stream);
  if (cancelled_) stream_->Cancel();
}

void RecordIteration::Cancel() {
  // It may be waiting for a dispatcher, on a thread of the stream.
  if (splits_ != nullptr) splits_->Cancel();
  std::lock_guard<std::mutex> lock(stream_mutex_);
  cancelled_ = true;
  if (stream_ != nullptr) stream_->Cancel();
}

absl::Status RecordIteration::NextRequest(std::optional<RecordRequest>* request) {
  request->reset();
  if (!restored_.empty()) {
    *request = restored_.front();
    restored_.pop_front();
    return absl::Status();
  }
  RecordPart part{0, 0};
  int64_t epoch = epoch_->number;
  if (splits_ == nullptr) {
    if (next_position_ == order_.size()) return absl::Status();
    part = order_[next_position_++];
  } else {
    bool end = false;
    TF_RETURN_IF_ERROR(NextSplit(&part, &epoch, &end));
    if (end) return absl::Status();
  }
  if (!std::exchange(looked_at_fidelity_, true)) {
    TF_RETURN_IF_ERROR(fidelity_.Look(Cancellation()));
  }
  int scan_groups = 0;
  TF_RETURN_IF_ERROR(fidelity_.Choose(shared_->index, epoch_->seed, static_cast<uint64_t>(epoch),
                                      part.record, &scan_groups));
  *request = RecordRequest{part.record, scan_groups, part.first_example, epoch};
  return absl::Status();
}

absl::Status RecordIteration::NextSplit(RecordPart* part, int64_t* epoch, bool* end) {
  tensorflow::Tensor split;
  TF_RETURN_IF_ERROR(splits_->Next(&split, end));
  if (*end) return absl::Status();
  if (split.dtype() != tensorflow::DT_INT64 || split.dims() != 1 || split.NumElements() != 2) {
    return InvalidArgument("split of a PcrDataset; expected two int64, got ", split.DebugString());
  }
  *epoch = split.vec<int64_t>()(0);
  *part = {static_cast<uint64_t>(split.vec<int64_t>()(1)), 0};
  if (part->record >= shared_->index.num_records()) {
    return InvalidArgument(
        "record that the tf.data service deals out; expected one of the ",
        shared_->index.num_records(), " that ", shared_->index.shards().front().name,
        " and the files beside it hold, got ", split.vec<int64_t>()(1),
        "; the dispatcher found another data set at this path than this worker: give both the same "
        "files, by an absolute path");
  }
  return absl::Status();
}

std::string RecordIteration::NumImages(const LoadedRecord& record, uint64_t example) const {
  if (record.image_counts.empty()) return "";
  const std::vector<std::string>& features = shared_->index.header().image_features;
  std::string text;
  for (size_t f = 0; f < features.size(); ++f) {
    const uint64_t count = record.image_counts[example * features.size() + f];
    if (count == 1) continue;
    text += (text.empty() ? " (" : ", ") + std::to_string(count) + " images in " +
            Printable(features[f]);
  }
  return text.empty() ? text : text + ")";
}

absl::Status RecordIteration::Next(tensorflow::tstring* example, ExampleOrigin* origin, bool* end) {
  *end = false;
  if (stream_ == nullptr) {
    TakeEpoch();
    StartStream();
  }
  if (!current_.has_value()) {
    TF_RETURN_IF_ERROR(stream_->Next(&current_));
    if (!current_.has_value()) {
      *end = true;
      ReportIgnoredErrors();
      return absl::Status();
    }
    if (!current_->status.ok()) {
      const absl::Status status = current_->status;
      ++num_failed_;
      current_.reset();
      ++num_delivered_;
      return status;
    }
    next_example_ = current_->request.first_example;
  }
  *origin = {current_->request.record, next_example_, epoch_->seed, current_->request.epoch,
             NumImages(*current_, next_example_)};
  *example = std::move(current_->examples[next_example_++]);
  if (next_example_ == current_->examples.size()) {
    current_.reset();
    ++num_delivered_;
  }
  return absl::Status();
}

void RecordIteration::ReportIgnoredErrors() {
  if (num_failed_ == 0) return;
  const std::string text =
      shared_->index.shards().front().name + " and the files beside it: epoch " +
      std::to_string(epoch_->number) + ": " + std::to_string(num_failed_) + " of " +
      std::to_string(num_delivered_) + " records could not be read, and their errors were ignored";
  if (num_failed_ < num_delivered_) {
    LOG(WARNING) << text;
  } else {
    LOG(ERROR) << text << ": nothing is left; run pcr-verify on the data set";
  }
  num_failed_ = 0;
}

absl::Status RecordIteration::Save(const std::string& prefix, IteratorStateWriter* writer) {
  const auto write = [&](const std::string& name, int64_t value) {
    return writer->WriteScalar(prefix, name, value);
  };
  // Where other iterators save the same counts, none of them may change these in between; such a
  // one takes its epoch when it begins, here and where it is restored.
  if (!shared_->made_by_function || !order_options_.resume.empty()) TakeEpoch();
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
  TF_RETURN_IF_ERROR(write(kNumDelivered, static_cast<int64_t>(num_delivered_)));
  TF_RETURN_IF_ERROR(write(kUsesSplits, splits_ != nullptr ? 1 : 0));

  // Without splits the order says what comes after the record in delivery; the records that splits
  // named are nowhere else but here, nor is the fidelity of those requested under another value.
  std::vector<RecordRequest> unfinished;
  if (current_.has_value()) {
    unfinished.push_back(current_->request);
    unfinished.back().first_example = next_example_;
  }
  const auto write_unfinished = [&]() -> absl::Status {
    TF_RETURN_IF_ERROR(write(kNumPending, static_cast<int64_t>(unfinished.size())));
    for (uint64_t i = 0; i < unfinished.size(); ++i) {
      const RecordRequest& request = unfinished[i];
      TF_RETURN_IF_ERROR(write(Pending(i, kRecord), static_cast<int64_t>(request.record)));
      TF_RETURN_IF_ERROR(
          write(Pending(i, kFirstExample), static_cast<int64_t>(request.first_example)));
      TF_RETURN_IF_ERROR(write(Pending(i, kScanGroups), request.scan_groups));
      TF_RETURN_IF_ERROR(write(Pending(i, kEpoch), request.epoch));
    }
    if (splits_ == nullptr) return absl::Status();
    return splits_->provider().Save(FullName(prefix), writer);
  };
  if ((splits_ == nullptr && !fidelity_.changes()) || stream_ == nullptr) {
    if (stream_ == nullptr) unfinished.assign(restored_.begin(), restored_.end());
    return write_unfinished();
  }
  absl::Status status;
  stream_->WithPendingRequests([&](const std::vector<RecordRequest>& pending) {
    unfinished.insert(unfinished.end(), pending.begin(), pending.end());
    unfinished.insert(unfinished.end(), restored_.begin(), restored_.end());
    status = write_unfinished();
  });
  return status;
}

absl::Status RecordIteration::CheckRestored(const RecordRequest& request) const {
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

absl::Status RecordIteration::Restore(const std::string& prefix, IteratorStateReader* reader) {
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

  // All is checked before any of it is taken: a state that is refused must not
  // change the epochs of other iterators.
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
    next_position_ = static_cast<uint64_t>(num_delivered);
    for (const RecordRequest& request : pending) {
      if (request.record != order[next_position_++].record) {
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
  } else {
    TF_RETURN_IF_ERROR(splits_->provider().Restore(FullName(prefix), reader));
  }
  epoch_ = epoch;
  num_delivered_ = static_cast<uint64_t>(num_delivered);
  restored_ = std::move(pending);
  return absl::Status();
}

}  // namespace pcr
