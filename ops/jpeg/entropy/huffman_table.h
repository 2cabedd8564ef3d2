// Huffman codes of JPEG, made for speed: one look gives a symbol and how many bits it and
// the coefficient behind it take.

#ifndef PCR_OPS_JPEG_ENTROPY_HUFFMAN_TABLE_H_
#define PCR_OPS_JPEG_ENTROPY_HUFFMAN_TABLE_H_

#include <cstdint>
#include <string_view>

#include "ops/jpeg/entropy/bit_reader.h"
#include "ops/jpeg/syntax/markers.h"

namespace pcr {

class HuffmanTable {
 public:
  // From a DHT segment's 16 counts and its symbols, as many as the counts say, 256 at most.
  // False if the code is not one. Free of cost if the table has this code already.
  bool Set(const uint8_t* counts, const uint8_t* symbols);

  // 0 if there is none.
  int max_symbol() const { return max_symbol_; }

  // What the next bits begin with.
  class Entry {
   public:
    Entry() = default;
    Entry(int length, uint8_t symbol) : packed_((symbol & 15) == 0 ? 0 : length + (symbol & 15)) {
      packed_ |= length << 8 | symbol << 16;
    }
    // Of code and coefficient, at most kMaxEntryBits; 0 if there is no coefficient, or the
    // code is too long for one look.
    int bits() const { return static_cast<int>(packed_ & 63); }
    // Of the code; 0: too long for one look.
    int length() const { return static_cast<int>(packed_ >> 8 & 63); }
    int symbol() const { return static_cast<int>(packed_ >> 16); }
    int run() const { return static_cast<int>(packed_ >> 20); }
    int size() const { return static_cast<int>(packed_ >> 16 & 15); }

   private:
    uint32_t packed_ = 0;
  };
  static constexpr int kFastBits = 10;
  static constexpr int kMaxEntryBits = kFastBits + 15;
  Entry Look(const BitReader& bits) const { return entries_[bits.Peek(kFastBits)]; }

  // The next symbol, or -1. After a Refill.
  int Read(BitReader* bits) const {
    const Entry entry = Look(*bits);
    if (entry.length() == 0) return ReadLong(bits);
    bits->Skip(entry.length());
    return entry.symbol();
  }

  // The same for a Look that found length 0.
  int ReadLong(BitReader* bits) const {
    const uint32_t next = bits->Peek(16);
    int length = kFastBits + 1;
    while (length <= 16 && next >= limit_[length]) ++length;
    if (length > 16) return -1;
    bits->Skip(length);
    return symbols_[first_index_[length] + static_cast<int>(next >> (16 - length))];
  }

 private:
  bool complete_ = false;
  int max_symbol_ = 0;
  uint8_t counts_[16] = {};
  uint8_t symbols_[256] = {};
  Entry entries_[1 << kFastBits];
  uint32_t limit_[17];   // codes of this length and less, as 16 bits, lie below it
  int first_index_[17];  // index of a symbol minus its code
};

// The tables that an image has defined so far.
class HuffmanTables {
 public:
  // Forgets them, for the next image.
  void Clear();

  // Adds those of a DHT segment of a layout of `jpeg`. False if it is not well-formed.
  bool Add(std::string_view jpeg, const Segment& segment);

  // nullptr if not defined. id in 0..3.
  const HuffmanTable* dc(int id) const { return Get(0, id); }
  const HuffmanTable* ac(int id) const { return Get(1, id); }

 private:
  const HuffmanTable* Get(int kind, int id) const {
    return defined_[kind][id] ? &tables_[kind][id] : nullptr;
  }

  bool defined_[2][4] = {};
  HuffmanTable tables_[2][4];
};

}  // namespace pcr

#endif  // PCR_OPS_JPEG_ENTROPY_HUFFMAN_TABLE_H_
