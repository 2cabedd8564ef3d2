// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
// generators, OOPSLA 2014). Own code rather than <random>'s distributions,
// whose results differ between standard libraries.

#ifndef PCR_OPS_FORMAT_SPLIT_MIX64_H_
#define PCR_OPS_FORMAT_SPLIT_MIX64_H_

#include <cstdint>

#include "ops/base/check.h"

namespace pcr {

class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t state) : state_(state) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound), without bias: values of the incomplete stretch are drawn again. Requires
  // bound > 0.
  uint64_t Below(uint64_t bound) {
    PCR_DCHECK(bound > 0);
    const uint64_t incomplete = (0 - bound) % bound;  // 2^64 mod bound
    uint64_t value = Next();
    while (value < incomplete) value = Next();
    return value % bound;
  }

 private:
  uint64_t state_;
};

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_SPLIT_MIX64_H_
