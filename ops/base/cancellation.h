// Cancellation: a flag that other threads can wait for.

#ifndef PCR_OPS_BASE_CANCELLATION_H_
#define PCR_OPS_BASE_CANCELLATION_H_

#include <chrono>
#include <cstdint>

#include "ops/base/mutex.h"

namespace pcr {

// Thread-safe.
class Cancellation {
 public:
  void Cancel() {
    MutexLock lock(&mutex_);
    cancelled_ = true;
    changed_.NotifyAll();
  }

  bool cancelled() const {
    MutexLock lock(&mutex_);
    return cancelled_;
  }

  // Waits that long, or until Cancel. Returns whether it was cancelled.
  bool WaitMs(int64_t wait_ms) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
    MutexLock lock(&mutex_);
    while (!cancelled_ && changed_.WaitUntil(&mutex_, deadline)) {
    }
    return cancelled_;
  }

 private:
  mutable Mutex mutex_;
  mutable CondVar changed_;
  bool cancelled_ PCR_GUARDED_BY(mutex_) = false;
};

}  // namespace pcr

#endif  // PCR_OPS_BASE_CANCELLATION_H_
