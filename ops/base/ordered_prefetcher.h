// OrderedPrefetcher: loads requests on several threads, a bounded number and size of them ahead of
// the consumer, and hands the results over in the order of the requests.

#ifndef PCR_OPS_BASE_ORDERED_PREFETCHER_H_
#define PCR_OPS_BASE_ORDERED_PREFETCHER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "ops/base/catch_exceptions.h"
#include "ops/base/mutex.h"
#include "ops/base/status.h"

namespace pcr {

// Thread-safe. The functions are called on the prefetcher's own threads; what they throw becomes
// their status.
template <typename Request, typename Loaded>
class OrderedPrefetcher {
 public:
  struct Options {
    int num_threads = 1;     // also the bound on loads under way
    uint64_t max_bytes = 0;  // bound on the size of what is loaded or waits to be handed over
    // Where loads end out of order, those that wait for a slow one keep others from beginning,
    // unless more may wait than may be loaded at once. 0: the two bounds above.
    int max_requests = 0;            // as max_bytes, in requests
    uint64_t max_loading_bytes = 0;  // bound on the size of loads under way
  };
  // Raises the size of the request being loaded to `bytes` in total, once there is room for that.
  // CANCELLED if Cancel is called first.
  using Grow = std::function<Status(uint64_t bytes)>;
  struct Functions {
    // The next request, or none at the end. Never called by two threads at once.
    std::function<Status(std::optional<Request>*)> next;
    std::function<uint64_t(const Request&)> size_bytes;
    // Calls `grow` before it takes more memory than size_bytes said.
    std::function<Status(const Request&, const Grow& grow, Loaded*)> load;
  };
  struct Item {
    Request request;
    Status status;  // of load
    Loaded loaded;
  };

  // Uses fewer threads where the system grants no more; without any, Next fails with
  // RESOURCE_EXHAUSTED.
  OrderedPrefetcher(const Options& options, Functions functions)
      : options_(Completed(options)), functions_(std::move(functions)) {
    threads_.reserve(options_.num_threads);
    try {
      for (int i = 0; i < options_.num_threads; ++i) {
        threads_.emplace_back([this] { Work(); });
      }
    } catch (const std::system_error& error) {
      if (!threads_.empty()) return;
      ended_ = true;
      end_status_ =
          Status(Code::kResourceExhausted, "no thread to read with: " + std::string(error.what()));
    }
  }

  ~OrderedPrefetcher() {
    Cancel();
    for (std::thread& thread : threads_) thread.join();
  }

  OrderedPrefetcher(const OrderedPrefetcher&) = delete;
  OrderedPrefetcher& operator=(const OrderedPrefetcher&) = delete;

  // Blocks for the next result in order; none at the end. A request larger
  // than max_bytes is loaded alone; one that grows beyond what there is room
  // for goes on once the consumer waits for it, so that never more than one
  // exceeds the bound. Fails once Cancel was called, or with the
  // status of `next` after the results of the requests before it.
  Status Next(std::optional<Item>* item) {
    item->reset();
    std::unique_ptr<Slot> slot;
    {
      MutexLock lock(&mutex_);
      ++consumers_waiting_;
      Changed();
      while (!cancelled_ && !(slots_.empty() ? ended_ : slots_.front()->done)) AwaitChange();
      --consumers_waiting_;
      if (cancelled_) return Status(Code::kCancelled, "reading was cancelled");
      if (slots_.empty()) return end_status_;
      slot = std::move(slots_.front());
      slots_.pop_front();
      bytes_in_flight_ -= slot->bytes;
      Changed();
    }
    item->emplace(std::move(slot->item));
    return Status();
  }

  // Makes this and every later Next fail, and starts no further load. Does not wait for loads under
  // way.
  void Cancel() {
    MutexLock lock(&mutex_);
    cancelled_ = true;
    Changed();
  }

  // How many threads, consumers among them, have found that they cannot go on as things stand. A
  // test that waits for all of them knows that nothing happens any more, without a look at a clock.
  int num_blocked() {
    MutexLock lock(&mutex_);
    return num_blocked_;
  }

 private:
  struct Slot {
    Item item;
    uint64_t sequence = 0;
    uint64_t bytes = 0;
    bool done = false;
  };

  // Called after what another thread may wait for.
  void Changed() PCR_REQUIRES(mutex_) {
    ++num_changes_;
    num_blocked_ = 0;  // until they have looked again
    changed_.NotifyAll();
  }

  // Waits for the next change: to be called in a loop that tests what the thread waits for.
  void AwaitChange() PCR_REQUIRES(mutex_) {
    ++num_blocked_;
    for (const uint64_t seen = num_changes_; num_changes_ == seen;) changed_.Wait(&mutex_);
  }

  static Options Completed(Options options) {
    if (options.max_requests == 0) options.max_requests = options.num_threads;
    if (options.max_loading_bytes == 0) options.max_loading_bytes = options.max_bytes;
    return options;
  }

  // Takes one request, in turns, so that slots_ is in the order of the requests.
  Slot* Issue() PCR_REQUIRES(mutex_) {
    while (!cancelled_ && !ended_ &&
           (issuing_ || slots_.size() >= static_cast<size_t>(options_.max_requests))) {
      AwaitChange();
    }
    if (cancelled_ || ended_) return nullptr;
    issuing_ = true;
    mutex_.Unlock();
    std::unique_ptr<Slot> slot;
    Status status = CatchExceptions([&] {
      std::optional<Request> request;
      PCR_RETURN_IF_ERROR(functions_.next(&request));
      if (!request.has_value()) return Status();
      auto taken = std::make_unique<Slot>();
      taken->bytes = functions_.size_bytes(*request);
      taken->item.request = std::move(*request);
      slot = std::move(taken);
      return Status();
    });
    mutex_.Lock();
    issuing_ = false;
    Changed();
    if (slot == nullptr) {
      ended_ = true;
      end_status_ = std::move(status);
      return nullptr;
    }
    slot->sequence = num_issued_++;
    slots_.push_back(std::move(slot));
    return slots_.back().get();
  }

  static bool Fits(uint64_t more, uint64_t held, uint64_t bound) {
    return held <= bound && more <= bound - held;
  }

  bool IsTurnOf(const Slot& slot) const PCR_REQUIRES(mutex_) {
    return slot.sequence == num_granted_ &&
           (bytes_in_flight_ == 0 || Fits(slot.bytes, bytes_in_flight_, options_.max_bytes)) &&
           (loading_bytes_ == 0 || Fits(slot.bytes, loading_bytes_, options_.max_loading_bytes));
  }

  // Waits for room. Granted in order, so that the first in line, which the
  // consumer waits for, is never kept out by later ones.
  bool MayLoad(Slot* slot) PCR_REQUIRES(mutex_) {
    while (!cancelled_ && !IsTurnOf(*slot)) AwaitChange();
    if (cancelled_) return false;
    ++num_granted_;
    bytes_in_flight_ += slot->bytes;
    loading_bytes_ += slot->bytes;
    Changed();
    return true;
  }

  Status GrowSlot(Slot* slot, uint64_t bytes) {
    MutexLock lock(&mutex_);
    if (bytes <= slot->bytes) return Status();
    const uint64_t more = bytes - slot->bytes;
    while (!cancelled_ && !Fits(more, bytes_in_flight_, options_.max_bytes) &&
           !(consumers_waiting_ > 0 && slots_.front().get() == slot)) {
      AwaitChange();
    }
    if (cancelled_) return Status(Code::kCancelled, "reading was cancelled");
    slot->bytes = bytes;
    bytes_in_flight_ += more;
    loading_bytes_ += more;
    return Status();
  }

  void Work() {
    MutexLock lock(&mutex_);
    Slot* slot = nullptr;
    while ((slot = Issue()) != nullptr && MayLoad(slot)) {
      mutex_.Unlock();
      Status status = CatchExceptions([&] {
        const Grow grow = [this, slot](uint64_t bytes) { return GrowSlot(slot, bytes); };
        return functions_.load(slot->item.request, grow, &slot->item.loaded);
      });
      mutex_.Lock();
      loading_bytes_ -= slot->bytes;
      slot->item.status = std::move(status);
      slot->done = true;
      Changed();
    }
  }

  const Options options_;
  const Functions functions_;
  Mutex mutex_;
  CondVar changed_;
  uint64_t num_changes_ PCR_GUARDED_BY(mutex_) = 0;
  // Threads that have found nothing to do since the last change.
  int num_blocked_ PCR_GUARDED_BY(mutex_) = 0;
  // Issued and not yet handed over, in order.
  std::deque<std::unique_ptr<Slot>> slots_ PCR_GUARDED_BY(mutex_);
  uint64_t num_issued_ PCR_GUARDED_BY(mutex_) = 0;
  uint64_t num_granted_ PCR_GUARDED_BY(mutex_) = 0;
  uint64_t bytes_in_flight_ PCR_GUARDED_BY(mutex_) = 0;  // of slots granted and not yet handed over
  uint64_t loading_bytes_ PCR_GUARDED_BY(mutex_) = 0;    // of slots granted and not yet loaded
  int consumers_waiting_ PCR_GUARDED_BY(mutex_) = 0;
  bool issuing_ PCR_GUARDED_BY(mutex_) = false;
  bool ended_ PCR_GUARDED_BY(mutex_) = false;
  bool cancelled_ PCR_GUARDED_BY(mutex_) = false;
  Status end_status_ PCR_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;  // last: they use all of the above
};

}  // namespace pcr

#endif  // PCR_OPS_BASE_ORDERED_PREFETCHER_H_
