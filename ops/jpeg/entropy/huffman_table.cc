#include "ops/jpeg/entropy/huffman_table.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <numeric>

namespace pcr {

bool HuffmanTable::Set(const uint8_t* counts, const uint8_t* symbols) {
  const int num_symbols = std::accumulate(counts, counts + 16, 0);
  if (complete_ && std::memcmp(counts_, counts, sizeof counts_) == 0 &&
      std::memcmp(symbols_, symbols, num_symbols) == 0) {
    return true;
  }
  complete_ = false;
  std::memcpy(counts_, counts, sizeof counts_);
  std::memcpy(symbols_, symbols, num_symbols);
  max_symbol_ = num_symbols == 0 ? 0 : *std::max_element(symbols, symbols + num_symbols);
  std::fill(std::begin(entries_), std::end(entries_), Entry());
  uint32_t code = 0;
  int index = 0;
  for (int length = 1; length <= 16; ++length) {
    first_index_[length] = index - static_cast<int>(code);
    for (int i = 0; i < counts[length - 1]; ++i, ++code, ++index) {
      if (code >= 1U << length) return false;
      if (length > kFastBits) continue;
      const Entry entry(length, symbols[index]);
      const int shift = kFastBits - length;
      std::fill_n(entries_ + (code << shift), size_t{1} << shift, entry);
    }
    limit_[length] = code << (16 - length);
    code <<= 1;
  }
  complete_ = true;
  return true;
}

void HuffmanTables::Clear() { std::memset(defined_, 0, sizeof defined_); }

bool HuffmanTables::Add(std::string_view jpeg, const Segment& segment) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(jpeg.data());
  const uint64_t end = segment.offset + segment.size;
  for (uint64_t p = segment.offset + 4; p < end;) {
    if (end - p < 17) return false;
    const int slot = bytes[p];
    const uint8_t* const counts = bytes + p + 1;
    const int num_symbols = std::accumulate(counts, counts + 16, 0);
    p += 17;
    if ((slot & ~0x13) != 0 || num_symbols > 256 || end - p < static_cast<uint64_t>(num_symbols)) {
      return false;
    }
    const int kind = slot >> 4;
    const int id = slot & 3;
    if (!tables_[kind][id].Set(counts, bytes + p)) return false;
    defined_[kind][id] = true;
    p += num_symbols;
  }
  return true;
}

}  // namespace pcr
