#include "ops/kernels/record_split_provider.h"

#include <utility>

#include "tensorflow/core/platform/errors.h"

namespace pcr {
namespace {

constexpr char kEpoch[] = "record_split_epoch";
constexpr char kPosition[] = "record_split_position";

}  // namespace

RecordSplitProvider::RecordSplitProvider(std::shared_ptr<const SharedDataset> shared,
                                         const RecordOrderOptions& options, int64_t first_epoch)
    : shared_(std::move(shared)), options_(options) {
  MutexLock lock(&mutex_);
  StartEpochLocked(first_epoch);
}

void RecordSplitProvider::StartEpochLocked(int64_t epoch) {
  epoch_ = epoch;
  position_ = 0;
  order_ =
      RecordOrder(shared_->index.columns().example_counts, options_, static_cast<uint64_t>(epoch));
}

absl::Status RecordSplitProvider::GetNext(tensorflow::Tensor* split, bool* end_of_splits) {
  MutexLock lock(&mutex_);
  *end_of_splits = position_ == order_.size();
  if (*end_of_splits) return absl::Status();
  *split = tensorflow::Tensor(tensorflow::DT_INT64, tensorflow::TensorShape({2}));
  split->vec<int64_t>()(0) = epoch_;
  split->vec<int64_t>()(1) = static_cast<int64_t>(order_[position_++].record);
  return absl::Status();
}

absl::Status RecordSplitProvider::Reset() {
  MutexLock lock(&mutex_);
  StartEpochLocked(epoch_ + 1);
  return absl::Status();
}

absl::Status RecordSplitProvider::Save(std::function<std::string(std::string)> full_name,
                                       tensorflow::data::IteratorStateWriter* writer) {
  MutexLock lock(&mutex_);
  TF_RETURN_IF_ERROR(writer->WriteScalar(full_name(kEpoch), epoch_));
  return writer->WriteScalar(full_name(kPosition), static_cast<int64_t>(position_));
}

absl::Status RecordSplitProvider::Restore(std::function<std::string(std::string)> full_name,
                                          tensorflow::data::IteratorStateReader* reader) {
  int64_t epoch = 0;
  int64_t position = 0;
  TF_RETURN_IF_ERROR(reader->ReadScalar(full_name(kEpoch), &epoch));
  TF_RETURN_IF_ERROR(reader->ReadScalar(full_name(kPosition), &position));
  MutexLock lock(&mutex_);
  if (epoch < 0) {
    return tensorflow::errors::InvalidArgument("restored epoch; expected >= 0, got ", epoch);
  }
  StartEpochLocked(epoch);
  if (position < 0 || static_cast<size_t>(position) > order_.size()) {
    return tensorflow::errors::InvalidArgument(
        "restored position among the records; expected 0 to ", order_.size(), ", got ", position);
  }
  position_ = static_cast<size_t>(position);
  return absl::Status();
}

int64_t RecordSplitProvider::Cardinality() const {
  MutexLock lock(&mutex_);
  return static_cast<int64_t>(order_.size());
}

}  // namespace pcr
