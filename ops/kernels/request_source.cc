#include "ops/kernels/request_source.h"

#include <utility>

#include "ops/base/check.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/platform/errors.h"

namespace pcr {

RequestSource::RequestSource(std::shared_ptr<SharedDataset> shared, const RecordOrderOptions& order,
                             const RecordFidelity& fidelity,
                             std::shared_ptr<tensorflow::data::SplitProvider> splits)
    : shared_(std::move(shared)),
      order_options_(order),
      fidelity_(fidelity),
      splits_(splits == nullptr ? nullptr : std::make_unique<SplitReader>(std::move(splits))) {
  if (splits_ != nullptr) epoch_ = shared_->epochs->First();  // for its seed
}

EpochCounter::Epoch RequestSource::Begin() {
  MutexLock lock(&mutex_);
  return BeginLocked();
}

EpochCounter::Epoch RequestSource::BeginLocked() {
  if (!epoch_.has_value()) {
    epoch_ = order_options_.resume.empty() ? shared_->epochs->Next(shared_->files())
                                           : shared_->epochs->First();
    order_ = OrderOf(*epoch_);
  }
  return *epoch_;
}

std::vector<RecordPart> RequestSource::OrderOf(const EpochCounter::Epoch& epoch) const {
  RecordOrderOptions options = order_options_;
  options.seed = epoch.seed;
  return RecordOrder(shared_->index.columns().example_counts, options,
                     static_cast<uint64_t>(epoch.number));
}

absl::Status RequestSource::Take(std::optional<RecordRequest>* request) {
  request->reset();
  MutexLock taking(&take_mutex_);
  RecordPart part{0, 0};
  EpochCounter::Epoch epoch{};
  {
    MutexLock lock(&mutex_);
    PCR_DCHECK(epoch_.has_value());
    has_taken_ = true;
    if (!restored_.empty()) {
      *request = restored_.front();
      pending_.push_back(restored_.front());
      restored_.pop_front();
      return absl::OkStatus();
    }
    epoch = *epoch_;
    if (splits_ == nullptr) {
      if (next_position_ == order_.size()) return absl::OkStatus();
      part = order_[next_position_];
    }
  }
  if (splits_ != nullptr) {
    bool end = false;
    TF_RETURN_IF_ERROR(TakeSplit(&part, &epoch.number, &end));
    if (end) return absl::OkStatus();
  }
  if (!std::exchange(looked_at_fidelity_, true)) TF_RETURN_IF_ERROR(LookAtFidelity(Cancellation()));
  int scan_groups = 0;
  TF_RETURN_IF_ERROR(fidelity_.Choose(
      shared_->index, epoch.seed, static_cast<uint64_t>(epoch.number), part.record, &scan_groups));
  *request = RecordRequest{part.record, scan_groups, part.first_example, epoch.number};
  MutexLock lock(&mutex_);
  pending_.push_back(**request);
  if (splits_ == nullptr) ++next_position_;
  return absl::OkStatus();
}

absl::Status RequestSource::TakeSplit(RecordPart* part, int64_t* epoch, bool* end) {
  tensorflow::Tensor split;
  TF_RETURN_IF_ERROR(splits_->Next(&split, end));
  if (*end) return absl::Status();
  if (split.dtype() != tensorflow::DT_INT64 || split.dims() != 1 || split.NumElements() != 2) {
    return tensorflow::errors::InvalidArgument("split of a PcrDataset; expected two int64, got ",
                                               split.DebugString());
  }
  *epoch = split.vec<int64_t>()(0);
  *part = {static_cast<uint64_t>(split.vec<int64_t>()(1)), 0};
  if (part->record >= shared_->index.num_records()) {
    return tensorflow::errors::InvalidArgument(
        "record that the tf.data service deals out; expected one of the ",
        shared_->index.num_records(), " that ", shared_->index.shards().front().name,
        " and the files beside it hold, got ", split.vec<int64_t>()(1),
        "; the dispatcher found another data set at this path than this worker: give both the same "
        "files, by an absolute path");
  }
  return absl::Status();
}

void RequestSource::FinishOldest() {
  MutexLock lock(&mutex_);
  PCR_DCHECK(!pending_.empty());
  pending_.pop_front();
  ++num_finished_;
}

uint64_t RequestSource::num_finished() const {
  MutexLock lock(&mutex_);
  return num_finished_;
}

void RequestSource::Cancel() {
  if (splits_ != nullptr) splits_->Cancel();
}

}  // namespace pcr
