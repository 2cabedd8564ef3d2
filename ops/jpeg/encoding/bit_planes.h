// The coefficients of a component by their bits, so that a scan of some of the bits looks at these
// only.

#ifndef PCR_OPS_JPEG_ENCODING_BIT_PLANES_H_
#define PCR_OPS_JPEG_ENCODING_BIT_PLANES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ops/jpeg/syntax/zigzag.h"

namespace pcr {

// Of each block a word for each bit position: 2^k for the k-th coefficient in zigzag order.
class BitPlanes {
 public:
  // Of bit positions 0..highest, the last with all above it.
  BitPlanes(const std::vector<const CoefficientBlock*>& rows, int width, int highest);

  class Block {
   public:
    Block(const uint64_t* words, int highest) : words_(words), highest_(highest) {}
    uint64_t negative() const { return words_[0]; }
    // Whose magnitude has a bit at this position, which is below the highest.
    uint64_t at(int position) const { return words_[1 + position]; }
    // Whose magnitude has a bit at this position or above it.
    uint64_t reaching(int position) const {
      uint64_t result = 0;
      for (int p = position; p <= highest_; ++p) result |= words_[1 + p];
      return result;
    }

   private:
    const uint64_t* words_;
    int highest_;
  };
  Block block(size_t index) const {
    return Block(words_.data() + index * (highest_ + 2), highest_);
  }

 private:
  // Fills the words of a row of blocks.
  void Fill(const CoefficientBlock* row, int width, uint64_t* words) const noexcept;

  int highest_;
  std::vector<uint64_t> words_;
};

}  // namespace pcr

#endif  // PCR_OPS_JPEG_ENCODING_BIT_PLANES_H_
