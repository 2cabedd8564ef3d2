#include "ops/kernels/record_iteration.h"

#include <utility>

#include "ops/base/status.h"
#include "tensorflow/core/platform/errors.h"
#include "tensorflow/core/platform/logging.h"

namespace pcr {

using ::tensorflow::data::IteratorStateReader;
using ::tensorflow::data::IteratorStateWriter;

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
      read_options_(read),
      source_(shared_, order, fidelity, std::move(splits)) {}

// A thread of the stream, which the stream waits for, may be waiting for a split.
RecordIteration::~RecordIteration() { Cancel(); }

RecordStream* RecordIteration::Stream() {
  MutexLock lock(&stream_mutex_);
  if (stream_ == nullptr) {
    epoch_ = source_.Begin();
    stream_ = std::make_unique<RecordStream>(shared_, read_options_, &source_);
    if (cancelled_) stream_->Cancel();
  }
  return stream_.get();
}

void RecordIteration::Cancel() {
  source_.Cancel();
  MutexLock lock(&stream_mutex_);
  cancelled_ = true;
  if (stream_ != nullptr) stream_->Cancel();
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
  MutexLock lock(&mutex_);
  RecordStream* const stream = Stream();
  if (!current_.has_value()) {
    TF_RETURN_IF_ERROR(stream->Next(&current_));
    if (!current_.has_value()) {
      *end = true;
      ReportIgnoredErrors();
      return absl::OkStatus();
    }
    if (!current_->status.ok()) {
      const absl::Status status = current_->status;
      ++num_failed_;
      current_.reset();
      source_.FinishOldest();
      return status;
    }
    next_example_ = current_->request.first_example;
  }
  *origin = {current_->request.record, next_example_, epoch_.seed, current_->request.epoch,
             NumImages(*current_, next_example_)};
  *example = std::move(current_->examples[next_example_++]);
  if (next_example_ == current_->examples.size()) {
    current_.reset();
    source_.FinishOldest();
  }
  return absl::OkStatus();
}

void RecordIteration::ReportIgnoredErrors() {
  if (num_failed_ == 0) return;
  const uint64_t num_delivered = source_.num_finished();
  const std::string text =
      shared_->index.shards().front().name + " and the files beside it: epoch " +
      std::to_string(epoch_.number) + ": " + std::to_string(num_failed_) + " of " +
      std::to_string(num_delivered) + " records could not be read, and their errors were ignored";
  if (num_failed_ < num_delivered) {
    LOG(WARNING) << text;
  } else {
    LOG(ERROR) << text << ": nothing is left; run pcr-verify on the data set";
  }
  num_failed_ = 0;
}

absl::Status RecordIteration::Save(const std::string& prefix, IteratorStateWriter* writer) {
  MutexLock lock(&mutex_);
  return source_.Save(
      prefix, current_.has_value() ? std::optional<uint64_t>(next_example_) : std::nullopt, writer);
}

absl::Status RecordIteration::Restore(const std::string& prefix, IteratorStateReader* reader) {
  MutexLock lock(&mutex_);
  return source_.Restore(prefix, reader);
}

}  // namespace pcr
