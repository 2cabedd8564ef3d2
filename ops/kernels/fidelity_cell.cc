#include "ops/kernels/fidelity_cell.h"

#include <algorithm>
#include <map>
#include <utility>

#include "ops/base/catch_exceptions.h"
#include "ops/kernels/range_reader.h"
#include "ops/kernels/retry.h"
#include "ops/kernels/tensorflow_status.h"
#include "tensorflow/core/platform/errors.h"
#include "tensorflow/core/platform/logging.h"

namespace pcr {
namespace {

// More than the text of any mixture.
constexpr uint64_t kMaxFileBytes = 16 << 10;

struct Registry {
  Mutex mutex;
  // By: has a file; name.
  std::map<std::pair<bool, std::string>, FidelityCell*> cells PCR_GUARDED_BY(mutex);
};

Registry& GlobalRegistry() {
  static auto* const registry = new Registry;  // never destroyed: kernels may outlive main
  return *registry;
}

}  // namespace

absl::Status FidelityCell::Find(tensorflow::Env* env, const FidelityName& name,
                                FidelityCell** cell) {
  if (name.poll_ms > 0) {
    *cell = FindOrMake(env, name);
    return absl::Status();
  }
  Registry& registry = GlobalRegistry();
  MutexLock lock(&registry.mutex);
  const auto entry = registry.cells.find({false, name.name});
  if (entry == registry.cells.end()) {
    return tensorflow::errors::FailedPrecondition(
        "fidelity of a PcrDataset; expected a pcr_tf.Fidelity of this process, got one that "
        "another process made, such as the client of this tf.data service worker, or one that has "
        "ended; give it a file that all processes reach: pcr_tf.Fidelity(value, path=...)");
  }
  *cell = entry->second;
  return absl::Status();
}

FidelityCell* FidelityCell::FindOrMake(tensorflow::Env* env, const FidelityName& name) {
  const bool has_file = name.poll_ms > 0;
  Registry& registry = GlobalRegistry();
  MutexLock lock(&registry.mutex);
  FidelityCell*& cell = registry.cells[{has_file, name.name}];
  if (cell == nullptr) cell = new FidelityCell(env, has_file ? name.name : "");
  return cell;
}

void FidelityCell::Set(FidelityMixture value) {
  auto taken = std::make_shared<const FidelityMixture>(std::move(value));
  MutexLock lock(&mutex_);
  value_ = std::move(taken);
  ++num_sets_;
  looked_ = Clock::now();
}

FidelityCell::Value FidelityCell::value() const {
  MutexLock lock(&mutex_);
  return value_;
}

absl::Status FidelityCell::ReadFile(const Cancellation& cancellation, Value* value) const {
  // A reader of its own, since an open file keeps showing what was at its path when it was opened.
  ReadStatistics statistics;  // apart from the data sets' own: this reads no record
  RangeReader reader(env_, &statistics);
  std::string text(kMaxFileBytes, '\0');
  uint64_t num_read = 0;
  absl::Status status =
      reader.ReadUpTo(path_, 0, text.size(), text.data(), &num_read, cancellation);
  if (absl::IsNotFound(status)) {
    return WithReadableMessage(tensorflow::errors::NotFound(
        path_, ": no file of a fidelity; write it with pcr_tf.Fidelity(value, path=...) first: ",
        status.message()));
  }
  TF_RETURN_IF_ERROR(status);
  text.resize(num_read);
  auto parsed = FidelityMixture::Parse(text);
  if (!parsed.ok()) return ToTensorFlow(parsed.status().WithContext(path_));
  *value = std::make_shared<const FidelityMixture>(std::move(parsed).value());
  return absl::Status();
}

absl::Status FidelityCell::Look(int64_t poll_ms, const Cancellation& cancellation) {
  if (path_.empty()) return absl::Status();
  int64_t sets_before = 0;
  {
    MutexLock lock(&mutex_);
    const bool is_due = Clock::now() - looked_ >= std::chrono::milliseconds(poll_ms);
    if (value_ != nullptr && (looking_ || !is_due)) return absl::Status();
    looking_ = true;
    sets_before = num_sets_;
  }
  Value value;
  absl::Status status;
  const Status thrown = CatchExceptions([&] {
    status = ReadFile(cancellation, &value);
    return Status();
  });
  if (!thrown.ok()) status = ToTensorFlow(thrown.WithContext(path_));
  MutexLock lock(&mutex_);
  looking_ = false;
  looked_ = Clock::now();
  // A value that this process has set in the meantime is newer than what was read.
  if (status.ok() && num_sets_ == sets_before) value_ = std::move(value);
  if (status.ok() || value_ == nullptr) return status;
  if (!absl::IsCancelled(status)) {
    LOG(WARNING) << "the last known fidelity stays in force: " << status.message();
  }
  return absl::Status();
}

void FidelityCell::AddDataset(const std::string& name,
                              const std::shared_ptr<SharedDataset>& shared) {
  MutexLock lock(&mutex_);
  bool is_known = false;
  const auto last = std::remove_if(datasets_.begin(), datasets_.end(), [&](const auto& entry) {
    const std::shared_ptr<SharedDataset> living = entry.second.lock();
    is_known = is_known || living == shared;
    return living == nullptr;
  });
  datasets_.erase(last, datasets_.end());
  if (!is_known) datasets_.emplace_back(name, shared);
}

std::pair<std::string, int> FidelityCell::SmallestDataset() const {
  MutexLock lock(&mutex_);
  std::pair<std::string, int> smallest{"", 0};
  for (const auto& [name, dataset] : datasets_) {
    const std::shared_ptr<SharedDataset> living = dataset.lock();
    if (living == nullptr) continue;
    const int num_groups = living->index.header().num_groups();
    if (smallest.second == 0 || num_groups < smallest.second) smallest = {name, num_groups};
  }
  return smallest;
}

}  // namespace pcr
