#include "ops/base/utf8.h"

#include <cstddef>
#include <cstdint>

namespace pcr {
namespace {

constexpr uint32_t kFirstSurrogate = 0xd800;
constexpr uint32_t kLastSurrogate = 0xdfff;
constexpr uint32_t kLastCodePoint = 0x10ffff;

// Of the sequence that begins with a byte; 0 if none does.
size_t SequenceBytes(uint8_t first) {
  if (first < 0x80) return 1;
  if (first >> 5 == 0b110) return 2;
  if (first >> 4 == 0b1110) return 3;
  if (first >> 3 == 0b11110) return 4;
  return 0;
}

}  // namespace

bool IsUtf8(std::string_view bytes) {
  // The least that a sequence of 1 to 4 bytes may stand for.
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  while (!bytes.empty()) {
    const auto first = static_cast<uint8_t>(bytes.front());
    const size_t size = SequenceBytes(first);
    if (size == 0 || size > bytes.size()) return false;
    uint32_t value = size == 1 ? first : first & (0xffU >> (size + 1));
    for (size_t i = 1; i < size; ++i) {
      const auto byte = static_cast<uint8_t>(bytes[i]);
      if (byte >> 6 != 0b10) return false;
      value = value << 6 | (byte & 0x3fU);
    }
    if (value < kLeast[size] || value > kLastCodePoint) return false;
    if (value >= kFirstSurrogate && value <= kLastSurrogate) return false;
    bytes.remove_prefix(size);
  }
  return true;
}

}  // namespace pcr
