#include "ops/kernels/split_reader.h"

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ops/base/catch_exceptions.h"
#include "ops/base/mutex.h"
#include "ops/kernels/retry.h"
#include "ops/kernels/tensorflow_status.h"

namespace pcr {

struct SplitReader::Shared {
  std::shared_ptr<tensorflow::data::SplitProvider> provider;
  Mutex mutex;
  CondVar changed;
  bool asked PCR_GUARDED_BY(mutex) = false;
  bool answered PCR_GUARDED_BY(mutex) = false;
  bool cancelled PCR_GUARDED_BY(mutex) = false;
  // The answer.
  absl::Status status PCR_GUARDED_BY(mutex);
  tensorflow::Tensor split PCR_GUARDED_BY(mutex);
  bool end PCR_GUARDED_BY(mutex) = false;
};

SplitReader::SplitReader(std::shared_ptr<tensorflow::data::SplitProvider> provider)
    : shared_(std::make_shared<Shared>()) {
  shared_->provider = std::move(provider);
}

SplitReader::~SplitReader() { Cancel(); }

tensorflow::data::SplitProvider& SplitReader::provider() const { return *shared_->provider; }

void SplitReader::Work(Shared* shared) {
  MutexLock lock(&shared->mutex);
  while (true) {
    while (!shared->asked && !shared->cancelled) shared->changed.Wait(&shared->mutex);
    if (shared->cancelled) return;
    shared->asked = false;
    shared->mutex.Unlock();
    absl::Status status;
    tensorflow::Tensor split;
    bool end = false;
    const Status thrown = CatchExceptions([&] {
      status = shared->provider->GetNext(&split, &end);
      return Status();
    });
    if (!thrown.ok()) status = ToTensorFlow(thrown);
    shared->mutex.Lock();
    shared->status = status;
    if (!status.ok()) {
      shared->status = WithReachingCode(absl::Status(
          status.code(),
          absl::StrCat("asking the tf.data service for the next record: ", status.message())));
    }
    shared->split = std::move(split);
    shared->end = end;
    shared->answered = true;
    shared->changed.NotifyAll();
  }
}

absl::Status SplitReader::Next(tensorflow::Tensor* split, bool* end) {
  if (!has_thread_) {
    std::thread([shared = shared_] { Work(shared.get()); }).detach();
    has_thread_ = true;
  }
  MutexLock lock(&shared_->mutex);
  shared_->asked = true;
  shared_->answered = false;
  shared_->changed.NotifyAll();
  while (!shared_->answered && !shared_->cancelled) shared_->changed.Wait(&shared_->mutex);
  if (shared_->cancelled) return absl::CancelledError("reading was cancelled");
  *split = std::move(shared_->split);
  *end = shared_->end;
  return shared_->status;
}

void SplitReader::Cancel() {
  {
    MutexLock lock(&shared_->mutex);
    shared_->cancelled = true;
    shared_->changed.NotifyAll();
  }
  shared_->provider->Cancel();
}

}  // namespace pcr
