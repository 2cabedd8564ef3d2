#include "ops/jpeg/progressive_encoder.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "ops/jpeg/bit_reader.h"
#include "ops/jpeg/bit_writer.h"
#include "ops/jpeg/huffman_code.h"
#include "ops/jpeg/markers.h"

namespace pcr {
namespace {

constexpr int kMaxAcBits = 10;
constexpr int kMaxDcBits = kMaxAcBits + 1;
constexpr int kZeroRun = 0xf0;      // symbol of 16 zeros
constexpr int kMaxEndRun = 0x7fff;  // blocks
// Decoders keep none. It is libjpeg's encoder that keeps them, in 1,000 places.
constexpr int kMaxRunCorrections = 937;

// Bits k..63.
uint64_t From(int k) { return k < 64 ? ~uint64_t{0} << k : 0; }

int BitLength(uint32_t value) { return value == 0 ? 0 : 32 - __builtin_clz(value); }

// The low `size` bits that stand for a value of that size (T.81 F.1.2.1.1).
uint32_t ValueBits(int value, int size) {
  return static_cast<uint32_t>(value < 0 ? value - 1 : value) & ((1U << size) - 1);
}

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
  void Clear() {
    in_use_ = 0;
    left_ = 0;
    counts_.fill(0);
  }

  // Room for so many more calls of Add, up to kPageTokens.
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

  // Calls for_token(token) for each, in order.
  template <typename ForToken>
  void ForEach(const ForToken& for_token) {
    if (in_use_ > 0) pages_[in_use_ - 1]->end = next_;
    for (size_t i = 0; i < in_use_; ++i) {
      const Page& page = *pages_[i];
      for (const Token* token = page.tokens; token != page.end; ++token) for_token(*token);
    }
  }

  // Of the symbols of a code, the first or the second.
  SymbolCounts CountsOf(int code) const {
    SymbolCounts counts;
    std::copy_n(counts_.begin() + Token::kCodeSymbols * code, counts.size(), counts.begin());
    return counts;
  }

 private:
  static constexpr size_t kPageTokens = 8192;
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

// The AC coefficients of a component by their bits: of each block, for the coefficients in
// zigzag order.
class BitPlanes {
 public:
  // Of bit positions 0..highest, the last with all above it.
  BitPlanes(const EncodedComponent& component, int highest)
      : highest_(highest),
        words_(static_cast<size_t>(component.width) * component.height * (highest + 2)) {
    Fill(component);
  }

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
  // Four coefficients are looked at at once, each in 16 bits of a word.
  static constexpr uint64_t kOnes = 0x0001000100010001;

  // Of each of the four, its lowest bit.
  static uint64_t LowBits(uint64_t four) { return (four & kOnes) * 0x0001000200040008 >> 48 & 15; }

  PCR_BIT_INSTRUCTIONS
  void Fill(const EncodedComponent& component) {
    const int highest = highest_;
    uint64_t* words = words_.data();
    for (const CoefficientBlock* const row : component.rows) {
      for (int x = 0; x < component.width; ++x, words += highest + 2) {
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
  }

  int highest_;
  std::vector<uint64_t> words_;
};

class ProgressiveEncoder {
 public:
  ProgressiveEncoder(const EncodedFrame& frame, std::string* out)
      : frame_(frame), planes_(frame.components.size()), out_(*out) {}

  bool Run(const std::vector<Scan>& scans) {
    std::vector<int> highest(frame_.components.size());
    for (const Scan& scan : scans) {
      if (scan.ss > 0) {
        int& position = highest[scan.components[0]];
        position = std::max({position, scan.ah, scan.al});
      }
    }
    WriteFrameHeader();
    for (const Scan& scan : scans) {
      tokens_.Clear();
      if (scan.ss == 0) {
        if (!(scan.ah == 0 ? TokenizeDc(scan) : RefineDc(scan))) return false;
      } else {
        const int c = scan.components[0];
        if (!planes_[c]) planes_[c].emplace(frame_.components[c], highest[c]);
        if (scan.ah == 0) {
          if (!TokenizeAc(scan)) return false;
        } else {
          RefineAc(scan);
        }
      }
      WriteScan(scan);
    }
    return true;
  }

 private:
  void Byte(int value) { out_.push_back(static_cast<char>(value)); }
  void TwoBytes(size_t value) {
    Byte(static_cast<int>(value >> 8));
    Byte(static_cast<int>(value & 255));
  }
  void Marker(int code, size_t parameter_bytes) {
    Byte(0xff);
    Byte(code);
    TwoBytes(parameter_bytes + 2);
  }

  void WriteFrameHeader() {
    bool written[4] = {};
    for (const EncodedComponent& component : frame_.components) {
      const int slot = component.quantization_table;
      if (written[slot]) continue;
      written[slot] = true;
      WriteQuantizationTable(slot);
    }
    Marker(marker::kSof2, 6 + 3 * frame_.components.size());
    Byte(8);
    TwoBytes(frame_.height);
    TwoBytes(frame_.width);
    Byte(static_cast<int>(frame_.components.size()));
    for (const EncodedComponent& component : frame_.components) {
      Byte(component.id);
      Byte(component.h << 4 | component.v);
      Byte(component.quantization_table);
    }
  }

  void WriteQuantizationTable(int slot) {
    const uint16_t* const table = frame_.quantization_tables[slot];
    const bool wide = std::any_of(table, table + 64, [](int value) { return value > 255; });
    Marker(marker::kDqt, wide ? 129 : 65);
    Byte((wide ? 0x10 : 0) | slot);
    for (const int place : kNaturalOrder) {
      if (wide) {
        TwoBytes(table[place]);
      } else {
        Byte(table[place]);
      }
    }
  }

  void WriteHuffmanTable(int slot, const HuffmanCode& code) {
    Marker(marker::kDht, 17 + code.symbols.size());
    Byte(slot);
    for (const int count : code.lengths) Byte(count);
    out_ += code.symbols;
  }

  // With the tokens of the scan.
  void WriteScan(const Scan& scan) {
    const bool has_dc_codes = scan.ss == 0 && scan.ah == 0;
    HuffmanCode::Word words[Token::kSymbols] = {};
    bool written[2] = {};
    for (const int c : scan.components) {
      const int table = frame_.components[c].huffman_table;
      if ((scan.ss == 0 && scan.ah != 0) || written[table]) continue;
      written[table] = true;
      const HuffmanCode code(tokens_.CountsOf(table));
      WriteHuffmanTable((scan.ss == 0 ? 0 : 0x10) | table, code);
      std::copy(code.words.begin(), code.words.end(), words + Token::kCodeSymbols * table);
    }
    Marker(marker::kSos, 4 + 2 * scan.components.size());
    Byte(static_cast<int>(scan.components.size()));
    for (const int c : scan.components) {
      const EncodedComponent& component = frame_.components[c];
      Byte(component.id);
      Byte((has_dc_codes ? component.huffman_table << 4 : 0) |
           (scan.ss > 0 ? component.huffman_table : 0));
    }
    Byte(scan.ss);
    Byte(scan.se);
    Byte(scan.ah << 4 | scan.al);
    WriteTokens(words);
  }

  PCR_BIT_INSTRUCTIONS
  void WriteTokens(const HuffmanCode::Word* words) {
    size_t num_bits = 0;
    tokens_.ForEach(
        [&](Token token) { num_bits += words[token.symbol()].length + token.num_bits(); });
    const size_t begin = out_.size();
    out_.resize(begin + num_bits / 8 * 2 + BitWriter::kSpareBytes);
    BitWriter bits(out_.data() + begin);
    tokens_.ForEach([&](Token token) {
      const HuffmanCode::Word word = words[token.symbol()];
      bits.Write(word.bits << token.num_bits() | token.bits(), word.length + token.num_bits());
    });
    out_.resize(bits.Finish() - out_.data());
  }

  // Calls for_block(i, block) for all blocks of a scan, i-th component. Blocks that only fill up
  // an MCU are nullptr.
  template <typename ForBlock>
  bool ForBlocks(const Scan& scan, const ForBlock& for_block) {
    if (scan.components.size() == 1) {
      const EncodedComponent& component = frame_.components[scan.components[0]];
      for (int y = 0; y < component.height; ++y) {
        for (int x = 0; x < component.width; ++x) {
          if (!for_block(0, &component.rows[y][x])) return false;
        }
      }
      return true;
    }
    int max_h = 1;
    int max_v = 1;
    for (const EncodedComponent& component : frame_.components) {
      max_h = std::max(max_h, component.h);
      max_v = std::max(max_v, component.v);
    }
    const int mcus_per_row = (frame_.width + 8 * max_h - 1) / (8 * max_h);
    const int mcu_rows = (frame_.height + 8 * max_v - 1) / (8 * max_v);
    for (int my = 0; my < mcu_rows; ++my) {
      for (int mx = 0; mx < mcus_per_row; ++mx) {
        for (size_t i = 0; i < scan.components.size(); ++i) {
          const EncodedComponent& component = frame_.components[scan.components[i]];
          for (int y = my * component.v; y < (my + 1) * component.v; ++y) {
            for (int x = mx * component.h; x < (mx + 1) * component.h; ++x) {
              const bool inside = y < component.height && x < component.width;
              if (!for_block(static_cast<int>(i), inside ? &component.rows[y][x] : nullptr)) {
                return false;
              }
            }
          }
        }
      }
    }
    return true;
  }

  PCR_BIT_INSTRUCTIONS
  bool TokenizeDc(const Scan& scan) {
    int predictions[4] = {};
    return ForBlocks(scan, [&](int i, const CoefficientBlock* block) {
      int& prediction = predictions[i];
      const int value = block == nullptr ? prediction : (*block)[0] >> scan.al;
      const int difference = value - prediction;
      prediction = value;
      const int size = BitLength(std::abs(difference));
      if (size > kMaxDcBits) return false;
      const int table = frame_.components[scan.components[i]].huffman_table;
      tokens_.Reserve(1);
      tokens_.Add(Token::kCodeSymbols * table + size, ValueBits(difference, size), size);
      return true;
    });
  }

  bool RefineDc(const Scan& scan) {
    int last = 0;
    return ForBlocks(scan, [&](int /*i*/, const CoefficientBlock* block) {
      if (block != nullptr) last = (*block)[0];
      tokens_.Reserve(1);
      tokens_.Add(Token::kNoSymbol, last >> scan.al & 1, 1);
      return true;
    });
  }

  // Ends the run of blocks without further coefficients, if there is one.
  void EndRun() {
    if (end_run_ == 0) return;
    const int size = BitLength(end_run_) - 1;
    tokens_.Set(end_run_token_, first_symbol_ + (size << 4), end_run_ & ((1U << size) - 1), size);
    end_run_ = 0;
    run_corrections_ = 0;
  }

  // The rest of the block, with `corrections` bits for it, joins the run.
  void ExtendRun(uint64_t which, uint64_t values) {
    if (end_run_ == 0) end_run_token_ = tokens_.Add(Token::kNoSymbol, 0, 0);
    ++end_run_;
    if (which != 0) {
      AddWithCorrections(Token::kNoSymbol, 0, 0, which, values);
      run_corrections_ += __builtin_popcountll(which);
    }
    if (end_run_ == kMaxEndRun || run_corrections_ > kMaxRunCorrections) EndRun();
  }

  // A symbol and its bits, and behind them those of `values` that `which` names.
  void AddWithCorrections(int symbol, uint32_t bits, int num_bits, uint64_t which,
                          uint64_t values) {
    for (; which != 0; which &= which - 1) {
      if (num_bits == Token::kMaxBits) {
        tokens_.Add(symbol, bits, num_bits);
        symbol = Token::kNoSymbol;
        bits = 0;
        num_bits = 0;
      }
      bits = bits << 1 | (values >> __builtin_ctzll(which) & 1);
      ++num_bits;
    }
    tokens_.Add(symbol, bits, num_bits);
  }

  void BeginAc(const EncodedComponent& component) {
    first_symbol_ = Token::kCodeSymbols * component.huffman_table;
    end_run_ = 0;
    run_corrections_ = 0;
  }

  PCR_BIT_INSTRUCTIONS
  bool TokenizeAc(const Scan& scan) {
    const EncodedComponent& component = frame_.components[scan.components[0]];
    const BitPlanes& planes = *planes_[scan.components[0]];
    const uint64_t band = From(scan.ss) & ~From(scan.se + 1);
    BeginAc(component);
    size_t index = 0;
    for (int y = 0; y < component.height; ++y) {
      for (int x = 0; x < component.width; ++x, ++index) {
        tokens_.Reserve(kMaxTokens);
        uint64_t left = planes.block(index).reaching(scan.al) & band;
        if (left != 0) EndRun();
        const CoefficientBlock& block = component.rows[y][x];
        int next = scan.ss;
        for (; left != 0; left &= left - 1) {
          const int k = __builtin_ctzll(left);
          int zeros = k - next;
          next = k + 1;
          for (; zeros > 15; zeros -= 16) tokens_.Add(first_symbol_ + kZeroRun, 0, 0);
          const int value = block[kNaturalOrder[k]];
          const int magnitude = std::abs(value) >> scan.al;
          const int size = BitLength(magnitude);
          if (size > kMaxAcBits) return false;
          tokens_.Add(first_symbol_ + (zeros << 4 | size),
                      ValueBits(value < 0 ? -magnitude : magnitude, size), size);
        }
        if (next <= scan.se) ExtendRun(0, 0);
      }
    }
    EndRun();
    return true;
  }

  PCR_BIT_INSTRUCTIONS
  void RefineAc(const Scan& scan) {
    const EncodedComponent& component = frame_.components[scan.components[0]];
    const BitPlanes& planes = *planes_[scan.components[0]];
    const uint64_t band = From(scan.ss) & ~From(scan.se + 1);
    BeginAc(component);
    const size_t num_blocks = static_cast<size_t>(component.width) * component.height;
    for (size_t index = 0; index < num_blocks; ++index) {
      tokens_.Reserve(kMaxTokens);
      const BitPlanes::Block block = planes.block(index);
      const uint64_t known = block.reaching(scan.ah);
      const uint64_t values = block.at(scan.al);
      const uint64_t negative = block.negative();
      uint64_t left = band;  // coefficients not told of yet
      uint64_t fresh = values & ~known & band;
      if (fresh != 0) EndRun();
      for (; fresh != 0; fresh &= fresh - 1) {
        const uint64_t place = fresh & -fresh;
        const uint64_t before = left & (place - 1);
        uint64_t zeros = before & ~known;
        uint64_t corrected = before & known;
        int run = __builtin_popcountll(zeros);
        for (; run > 15; run -= 16) {
          for (int i = 0; i < 15; ++i) zeros &= zeros - 1;
          const uint64_t passed = (zeros & -zeros) - 1;
          zeros &= zeros - 1;
          AddWithCorrections(first_symbol_ + kZeroRun, 0, 0, corrected & passed, values);
          corrected &= ~passed;
        }
        const uint32_t positive = (negative & place) == 0 ? 1 : 0;
        AddWithCorrections(first_symbol_ + (run << 4 | 1), positive, 1, corrected, values);
        left &= ~(place | (place - 1));
      }
      if (left != 0) ExtendRun(left & known, values);
    }
    EndRun();
  }

  // Of a block: a symbol or less for each coefficient, a run's place, and what more than 16
  // corrections take.
  static constexpr size_t kMaxTokens = 64 + 1 + 64 / Token::kMaxBits;

  const EncodedFrame& frame_;
  std::vector<std::optional<BitPlanes>> planes_;
  std::string& out_;
  Tokens tokens_;
  // Of the AC scan under way.
  int first_symbol_ = 0;
  uint32_t end_run_ = 0;  // blocks
  Token* end_run_token_ = nullptr;
  int run_corrections_ = 0;
};

}  // namespace

bool EncodeProgressive(const EncodedFrame& frame, const std::vector<Scan>& scans,
                       std::string* out) {
  return ProgressiveEncoder(frame, out).Run(scans);
}

}  // namespace pcr
