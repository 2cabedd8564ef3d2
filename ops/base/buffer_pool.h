// BufferPool: large scratch buffers that are used again, since the pages of a fresh one cost about
// as much as filling it.

#ifndef PCR_OPS_BASE_BUFFER_POOL_H_
#define PCR_OPS_BASE_BUFFER_POOL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "ops/base/mutex.h"

namespace pcr {

// Thread-safe. The most recently returned buffer, warm in the cache, goes out first.
class BufferPool {
 public:
  // Keeps at most about `max_idle_bytes` of returned buffers.
  explicit BufferPool(uint64_t max_idle_bytes) : max_idle_bytes_(max_idle_bytes) {}

  // A buffer on loan, returned to the pool, which must outlive it, on destruction.
  class Loan {
   public:
    Loan(BufferPool* pool, std::unique_ptr<char[]> data, size_t capacity)
        : pool_(pool), data_(std::move(data)), capacity_(capacity) {}
    ~Loan() { pool_->Return(std::move(data_), capacity_); }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    char* data() { return data_.get(); }

   private:
    BufferPool* pool_;
    std::unique_ptr<char[]> data_;
    size_t capacity_;
  };

  // At least `size` bytes, contents undefined.
  Loan Take(size_t size) {
    {
      MutexLock lock(&mutex_);
      if (!idle_.empty()) {
        Idle idle = std::move(idle_.back());
        idle_.pop_back();
        idle_bytes_ -= idle.capacity;
        if (idle.capacity >= size) return Loan(this, std::move(idle.data), idle.capacity);
      }
    }
    // NOLINTNEXTLINE(modernize-make-unique): make_unique would fill it with zeros.
    return Loan(this, std::unique_ptr<char[]>(new char[size]), size);
  }

 private:
  struct Idle {
    std::unique_ptr<char[]> data;
    size_t capacity;
  };

  void Return(std::unique_ptr<char[]> data, size_t capacity) {
    MutexLock lock(&mutex_);
    if (idle_bytes_ + capacity > max_idle_bytes_) return;
    idle_bytes_ += capacity;
    idle_.push_back({std::move(data), capacity});
  }

  const uint64_t max_idle_bytes_;
  Mutex mutex_;
  std::vector<Idle> idle_ PCR_GUARDED_BY(mutex_);
  uint64_t idle_bytes_ PCR_GUARDED_BY(mutex_) = 0;
};

}  // namespace pcr

#endif  // PCR_OPS_BASE_BUFFER_POOL_H_
