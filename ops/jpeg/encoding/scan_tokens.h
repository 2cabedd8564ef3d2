// A scan as symbols and bits, before its Huffman codes are known.

#ifndef PCR_OPS_JPEG_ENCODING_SCAN_TOKENS_H_
#define PCR_OPS_JPEG_ENCODING_SCAN_TOKENS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "ops/jpeg/encoding/huffman_code.h"

namespace pcr {

// What a scan says, in the order of its bits: a symbol, and up to 16 bits as they are.
class Token {
 public:
  static constexpr int kMaxBits = 16;
  // Symbols are those of a first and a second code, and one for bits without a symbol.
  static constexpr ptrdiff_t kCodeSymbols = 256;
  static constexpr int kNoSymbol = 2 * kCodeSymbols;
  static constexpr int kSymbols = kNoSymbol + 1;

  Token() = default;
  Token(int symbol, uint32_t bits, int num_bits)
      : packed_(static_cast<uint32_t>(symbol) << 21 | static_cast<uint32_t>(num_bits) << 16 |
                bits) {}

  int symbol() const { return static_cast<int>(packed_ >> 21); }
  int num_bits() const { return static_cast<int>(packed_ >> 16 & 31); }
  uint32_t bits() const { return packed_ & 0xffff; }

 private:
  uint32_t packed_ = 0;
};

// The tokens of a scan and how often each symbol is among them. Tokens do not move.
class Tokens {
 public:
  static constexpr size_t kPageTokens = 8192;

  void Clear() {
    in_use_ = 0;
    left_ = 0;
    counts_.fill(0);
  }

  // Room for so many more calls of Add, up to kPageTokens. They do not throw.
  void Reserve(size_t count) {
    if (left_ < count) TurnPage();
  }

  Token* Add(int symbol, uint32_t bits, int num_bits) {
    ++counts_[symbol];
    --left_;
    *next_ = Token(symbol, bits, num_bits);
    return next_++;
  }

  // Puts a symbol in the place of none.
  void Set(Token* token, int symbol, uint32_t bits, int num_bits) {
    ++counts_[symbol];
    *token = Token(symbol, bits, num_bits);
  }

  // Calls for_page(begin, end) for runs of tokens, up to kPageTokens each, in order.
  template <typename ForPage>
  void ForEachPage(const ForPage& for_page) const {
    for (size_t i = 0; i < in_use_; ++i) {
      const Page& page = *pages_[i];
      for_page(page.tokens, i + 1 < in_use_ ? page.end : next_);
    }
  }

  // Of the symbols of a code, the first or the second.
  SymbolCounts CountsOf(int code) const {
    SymbolCounts counts;
    std::copy_n(counts_.begin() + Token::kCodeSymbols * code, counts.size(), counts.begin());
    return counts;
  }

 private:
  struct Page {
    Token tokens[kPageTokens];
    const Token* end = tokens;
  };

  void TurnPage() {
    if (in_use_ > 0) pages_[in_use_ - 1]->end = next_;
    if (in_use_ == pages_.size()) pages_.push_back(std::make_unique<Page>());
    next_ = pages_[in_use_++]->tokens;
    left_ = kPageTokens;
  }

  std::vector<std::unique_ptr<Page>> pages_;
  size_t in_use_ = 0;  // pages
  Token* next_ = nullptr;
  size_t left_ = 0;  // on the last page in use
  std::array<uint32_t, Token::kSymbols> counts_{};
};

}  // namespace pcr

#endif  // PCR_OPS_JPEG_ENCODING_SCAN_TOKENS_H_
