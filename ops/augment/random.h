// Random numbers without state: Philox4x32-10 (Salmon et al., "Parallel random numbers: as
// easy as 1, 2, 3", SC 2011). A seed names a sequence; no draw depends on another sequence.

#ifndef PCR_OPS_AUGMENT_RANDOM_H_
#define PCR_OPS_AUGMENT_RANDOM_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace pcr {

// As TensorFlow's stateless ops take it: two int64.
using Seed = std::array<int64_t, 2>;

class Random {
 public:
  explicit Random(const Seed& seed)
      : key_(static_cast<uint64_t>(seed[0])), stream_(static_cast<uint64_t>(seed[1])) {}

  uint32_t Next() {
    if (used_ == block_.size()) NextBlock();
    return block_[used_++];
  }
  // In [0, 1): a multiple of 2^-24, exact in float.
  double Uniform() { return (Next() >> 8) * 0x1p-24; }
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  // In 0..n-1, for n in 1..2^32-1. No value is more than n / 2^32 likelier than another.
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(uint64_t{Next()} * n >> 32); }

 private:
  void NextBlock() {
    std::array<uint32_t, 4> x = {Low(blocks_), High(blocks_), Low(stream_), High(stream_)};
    uint32_t k0 = Low(key_);
    uint32_t k1 = High(key_);
    for (int round = 0; round < 10; ++round) {
      const uint64_t a = uint64_t{0xd2511f53} * x[0];
      const uint64_t b = uint64_t{0xcd9e8d57} * x[2];
      x = {High(b) ^ x[1] ^ k0, Low(b), High(a) ^ x[3] ^ k1, Low(a)};
      k0 += 0x9e3779b9;
      k1 += 0xbb67ae85;
    }
    block_ = x;
    used_ = 0;
    ++blocks_;
  }
  static uint32_t Low(uint64_t x) { return static_cast<uint32_t>(x); }
  static uint32_t High(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

  uint64_t key_;
  uint64_t stream_;
  uint64_t blocks_ = 0;  // drawn so far
  std::array<uint32_t, 4> block_{};
  size_t used_ = 4;
};

}  // namespace pcr

#endif  // PCR_OPS_AUGMENT_RANDOM_H_
