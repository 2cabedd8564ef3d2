// How long to wait before a request that failed is repeated.

#ifndef PCR_OPS_BASE_BACKOFF_H_
#define PCR_OPS_BASE_BACKOFF_H_

#include <cstdint>

namespace pcr {

// The longest wait before the second attempt; doubled before each later one.
constexpr int64_t kFirstBackoffMs = 100;

// The wait after `num_failed` attempts, from 1 on: between half of the longest and all of it, as
// the random number `draw` has it, so that readers that failed together do not come back together.
inline int64_t BackoffMs(int num_failed, uint64_t draw) {
  const int64_t half_ms = (kFirstBackoffMs << (num_failed - 1)) / 2;
  return half_ms + static_cast<int64_t>(draw % static_cast<uint64_t>(half_ms + 1));
}

}  // namespace pcr

#endif  // PCR_OPS_BASE_BACKOFF_H_
