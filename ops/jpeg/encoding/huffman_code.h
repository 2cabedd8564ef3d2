// The best Huffman code for known counts of symbols.

#ifndef PCR_OPS_JPEG_ENCODING_HUFFMAN_CODE_H_
#define PCR_OPS_JPEG_ENCODING_HUFFMAN_CODE_H_

#include <array>
#include <cstdint>
#include <string>

namespace pcr {

// How often each symbol comes.
using SymbolCounts = std::array<uint32_t, 256>;

struct HuffmanCode {
  struct Word {
    uint16_t bits = 0;
    uint8_t length = 0;  // 1..16, or 0 if the symbol never comes
  };

  // By T.81 K.2, and where that leaves a choice, as libjpeg chooses.
  explicit HuffmanCode(const SymbolCounts& counts);

  std::array<uint8_t, 16> lengths{};  // number of words of 1, 2, ... 16 bits, as in a DHT segment
  std::string symbols;                // in the order of their words
  std::array<Word, 256> words{};      // by symbol
};

}  // namespace pcr

#endif  // PCR_OPS_JPEG_ENCODING_HUFFMAN_CODE_H_
