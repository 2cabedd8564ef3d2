// ReadStatistics: what this process has asked of file systems, and waited for.

#ifndef PCR_OPS_KERNELS_READ_STATISTICS_H_
#define PCR_OPS_KERNELS_READ_STATISTICS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

namespace pcr {

// Sums over all PcrDatasets of the process since it began. Thread-safe.
class ReadStatistics {
 public:
  // Bucket n counts reads that took [2^(n-1), 2^n) microseconds, bucket 0 those below 1; the last,
  // all that took longer.
  static constexpr int kNumBuckets = 32;

  static ReadStatistics& Global();

  // A range read that returned, with or without an error.
  void AddRead(int64_t bytes, int64_t wait_us);
  // A question that reads no bytes: a file's size, a folder's names.
  void AddLookup() { ++lookups_; }
  void AddRetry() { ++retries_; }
  void AddFailure() { ++failures_; }
  void AddReread() { ++rereads_; }
  // Time that a consumer of examples was blocked.
  void AddConsumerWait(int64_t wait_us) { consumer_wait_us_ += wait_us; }

  // reads, bytes, lookups, retries, rereads, failures, wait (us), longest wait (us), consumer's
  // wait (us), then the buckets: the output of the op PcrReadStatistics.
  static constexpr int kNumValues = 9 + kNumBuckets;
  std::vector<int64_t> Values() const;

 private:
  std::atomic<int64_t> reads_{0};
  std::atomic<int64_t> bytes_{0};
  std::atomic<int64_t> lookups_{0};
  std::atomic<int64_t> retries_{0};
  std::atomic<int64_t> rereads_{0};
  std::atomic<int64_t> failures_{0};
  std::atomic<int64_t> wait_us_{0};
  std::atomic<int64_t> max_wait_us_{0};
  std::atomic<int64_t> consumer_wait_us_{0};
  std::array<std::atomic<int64_t>, kNumBuckets> buckets_{};
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_READ_STATISTICS_H_
