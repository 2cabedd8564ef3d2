#include "ops/jpeg/encoding/bit_planes.h"

#include <cstring>

#include "ops/base/bit_instructions.h"

namespace pcr {
namespace {

// Four coefficients are looked at at once, each in 16 bits of a word.
constexpr uint64_t kOnes = 0x0001000100010001;

// Of each of the four, its lowest bit.
uint64_t LowBits(uint64_t four) { return (four & kOnes) * 0x0001000200040008 >> 48 & 15; }

}  // namespace

BitPlanes::BitPlanes(const std::vector<const CoefficientBlock*>& rows, int width, int highest)
    : highest_(highest), words_(rows.size() * width * (highest + 2)) {
  uint64_t* words = words_.data();
  for (const CoefficientBlock* const row : rows) {
    Fill(row, width, words);
    words += static_cast<ptrdiff_t>(width) * (highest + 2);
  }
}

PCR_BIT_INSTRUCTIONS
void BitPlanes::Fill(const CoefficientBlock* row, int width, uint64_t* words) const noexcept {
  const int highest = highest_;
  for (int x = 0; x < width; ++x, words += highest + 2) {
    int16_t coded[64];
    for (int k = 0; k < 64; ++k) coded[k] = row[x][kNaturalOrder[k]];
    for (int k = 0; k < 64; k += 4) {
      uint64_t four;
      std::memcpy(&four, coded + k, sizeof four);
      if (four == 0) continue;
      const uint64_t sign = four >> 15 & kOnes;
      // Its complement if negative, and one more.
      const uint64_t magnitude = (four ^ sign * 0xffff) + sign;
      words[0] |= LowBits(sign) << k;
      for (int position = 0; position < highest; ++position) {
        words[1 + position] |= LowBits(magnitude >> position) << k;
      }
      // Its top bit is set by the addition if any is.
      const uint64_t high = magnitude >> highest & kOnes * (0xffff >> highest);
      words[1 + highest] |= LowBits((high + kOnes * 0x7fff) >> 15) << k;
    }
  }
}

}  // namespace pcr
