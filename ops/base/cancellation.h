// Cancellation: a flag that other threads can wait for.

#ifndef PCR_OPS_BASE_CANCELLATION_H_
#define PCR_OPS_BASE_CANCELLATION_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace pcr {

// Thread-safe.
class Cancellation {
 public:
  void Cancel() {
    std::lock_guard<std::mutex> lock(mutex_);
    cancelled_ = true;
    changed_.notify_all();
  }

  bool cancelled() const { return cancelled_; }

  // Waits that long, or until Cancel. Whether it was cancelled.
  bool WaitMs(int64_t wait_ms) const {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(wait_ms),
                             [this] { return cancelled(); });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::atomic<bool> cancelled_{false};  // written under the mutex
};

}  // namespace pcr

#endif  // PCR_OPS_BASE_CANCELLATION_H_
