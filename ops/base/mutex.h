// Mutex, MutexLock and CondVar: the standard library's, with the annotations by which Clang proves
// that guarded members are only used under their mutex (-Wthread-safety; `make lint` runs it).

#ifndef PCR_OPS_BASE_MUTEX_H_
#define PCR_OPS_BASE_MUTEX_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#if defined(__clang__)
#define PCR_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define PCR_THREAD_ANNOTATION(x)
#endif

// Of a member: use it only while `mutex` is held. Of a pointer: its target.
#define PCR_GUARDED_BY(mutex) PCR_THREAD_ANNOTATION(guarded_by(mutex))
#define PCR_PT_GUARDED_BY(mutex) PCR_THREAD_ANNOTATION(pt_guarded_by(mutex))
// Of a function: call it with the mutex held, or not held.
#define PCR_REQUIRES(...) PCR_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define PCR_EXCLUDES(...) PCR_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))

namespace pcr {

class PCR_THREAD_ANNOTATION(capability("mutex")) Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() PCR_THREAD_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void Unlock() PCR_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

// Holds a mutex for as long as it lives.
class PCR_THREAD_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) PCR_THREAD_ANNOTATION(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() PCR_THREAD_ANNOTATION(release_capability()) { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

// A wait may end without a notification, so call it in a loop that tests the condition: a lambda
// would hide the guarded members from the analysis.
class CondVar {
 public:
  void Wait(Mutex* mutex) PCR_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    changed_.wait(lock);
    lock.release();
  }

  // Returns false once `deadline` has passed.
  bool WaitUntil(Mutex* mutex, std::chrono::steady_clock::time_point deadline) PCR_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    const bool in_time = changed_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return in_time;
  }

  void NotifyOne() { changed_.notify_one(); }
  void NotifyAll() { changed_.notify_all(); }

 private:
  std::condition_variable changed_;
};

}  // namespace pcr

#endif  // PCR_OPS_BASE_MUTEX_H_
