#include "ops/kernels/split_reader.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ops/base/catch_exceptions.h"
#include "ops/kernels/dataset_opener.h"
#include "ops/kernels/retry.h"

namespace pcr {

struct SplitReader::Shared {
  std::shared_ptr<tensorflow::data::SplitProvider> provider;
  std::mutex mutex;
  std::condition_variable changed;
  bool asked = false;
  bool answered = false;
  bool cancelled = false;
  // The answer.
  absl::Status status;
  tensorflow::Tensor split;
  bool end = false;
};

SplitReader::SplitReader(std::shared_ptr<tensorflow::data::SplitProvider> provider)
    : shared_(std::make_shared<Shared>()) {
  shared_->provider = std::move(provider);
}

SplitReader::~SplitReader() { Cancel(); }

tensorflow::data::SplitProvider& SplitReader::provider() const { return *shared_->provider; }

void SplitReader::Work(const std::shared_ptr<Shared>& shared) {
  std::unique_lock<std::mutex> lock(shared->mutex);
  while (true) {
    shared->changed.wait(lock, [&] { return shared->asked || shared->cancelled; });
    if (shared->cancelled) return;
    shared->asked = false;
    lock.unlock();
    absl::Status status;
    tensorflow::Tensor split;
    bool end = false;
    const Status thrown = CatchExceptions([&] {
      status = shared->provider->GetNext(&split, &end);
      return Status();
    });
    if (!thrown.ok()) status = ToTensorFlow(thrown);
    lock.lock();
    shared->status = status;
    if (!status.ok()) {
      shared->status = WithReachingCode(absl::Status(
          status.code(),
          absl::StrCat("asking the tf.data service for the next record: ", status.message())));
    }
    shared->split = std::move(split);
    shared->end = end;
    shared->answered = true;
    shared->changed.notify_all();
  }
}

absl::Status SplitReader::Next(tensorflow::Tensor* split, bool* end) {
  if (!has_thread_) {
    std::thread([shared = shared_] { Work(shared); }).detach();
    has_thread_ = true;
  }
  std::unique_lock<std::mutex> lock(shared_->mutex);
  shared_->asked = true;
  shared_->answered = false;
  shared_->changed.notify_all();
  shared_->changed.wait(lock, [this] { return shared_->answered || shared_->cancelled; });
  if (shared_->cancelled) return absl::CancelledError("reading was cancelled");
  *split = std::move(shared_->split);
  *end = shared_->end;
  return shared_->status;
}

void SplitReader::Cancel() {
  {
    std::lock_guard<std::mutex> lock(shared_->mutex);
    shared_->cancelled = true;
    shared_->changed.notify_all();
  }
  shared_->provider->Cancel();
}

}  // namespace pcr
