#include "ops/jpeg/encoding/progressive_encoder.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <optional>

#include "ops/base/bit_instructions.h"
#include "ops/jpeg/encoding/bit_planes.h"
#include "ops/jpeg/encoding/bit_writer.h"
#include "ops/jpeg/encoding/huffman_code.h"
#include "ops/jpeg/encoding/scan_tokens.h"
#include "ops/jpeg/syntax/markers.h"
#include "ops/jpeg/syntax/mcus.h"

namespace pcr {
namespace {

constexpr int kMaxAcBits = 10;
constexpr int kMaxDcBits = kMaxAcBits + 1;
constexpr int kZeroRun = 0xf0;      // symbol of 16 zeros
constexpr int kMaxEndRun = 0x7fff;  // blocks
// Where libjpeg's encoder ends a run, which keeps the corrections of it in 1,000 places.
constexpr int kMaxRunCorrections = 937;

// Mask of coefficients k..63 in zigzag order, the first one lowest (2^k, as in BitPlanes).
uint64_t From(int k) { return k < 64 ? ~uint64_t{0} << k : 0; }

int BitLength(uint32_t value) { return value == 0 ? 0 : 32 - __builtin_clz(value); }

// The low `size` bits that stand for a value of that size (T.81 F.1.2.1.1).
uint32_t ValueBits(int value, int size) {
  return static_cast<uint32_t>(value < 0 ? value - 1 : value) & ((1U << size) - 1);
}

class ProgressiveEncoder {
 public:
  ProgressiveEncoder(const EncodedFrame& frame, std::string* out)
      : frame_(frame), planes_(frame.components.size()), out_(*out) {}

  bool Run(const std::vector<Scan>& scans) {
    WriteFrameHeader();
    for (size_t i = 0; i < scans.size(); ++i) {
      const Scan& scan = scans[i];
      tokens_.Clear();
      if (scan.ss == 0) {
        if (!(scan.ah == 0 ? TokenizeDc(scan) : RefineDc(scan))) return false;
      } else {
        if (!TokenizeAc(scan, scans)) return false;
        const auto has_same_component = [&scan](const Scan& later) {
          return later.ss > 0 && later.components == scan.components;
        };
        if (std::none_of(scans.begin() + i + 1, scans.end(), has_same_component)) {
          planes_[scan.components[0]].reset();
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
    const bool is_dc = scan.ss == 0;
    const bool has_codes = !is_dc || scan.ah == 0;
    HuffmanCode::Word words[Token::kSymbols] = {};
    bool written[2] = {};
    for (const int c : scan.components) {
      const int table = frame_.components[c].huffman_table;
      if (!has_codes || written[table]) continue;
      written[table] = true;
      const HuffmanCode code(tokens_.CountsOf(table));
      WriteHuffmanTable((is_dc ? 0 : 0x10) | table, code);
      std::copy(code.words.begin(), code.words.end(), words + Token::kCodeSymbols * table);
    }
    Marker(marker::kSos, 4 + 2 * scan.components.size());
    Byte(static_cast<int>(scan.components.size()));
    for (const int c : scan.components) {
      const EncodedComponent& component = frame_.components[c];
      const int table = has_codes ? component.huffman_table : 0;
      Byte(component.id);
      Byte(is_dc ? table << 4 : table);
    }
    Byte(scan.ss);
    Byte(scan.se);
    Byte(scan.ah << 4 | scan.al);
    WriteTokens(words);
  }

  void WriteTokens(const HuffmanCode::Word* words) {
    BitWriter bits;
    page_.resize(Tokens::kPageTokens * kMaxTokenBytes + BitWriter::kSpareBytes);
    tokens_.ForEachPage([&](const Token* begin, const Token* end) {
      bits.SetOutput(page_.data());
      WritePage(begin, end, words, &bits);
      out_.append(page_.data(), bits.output());
    });
    bits.SetOutput(page_.data());
    bits.Finish();
    out_.append(page_.data(), bits.output());
  }

  PCR_BIT_INSTRUCTIONS
  static void WritePage(const Token* begin, const Token* end, const HuffmanCode::Word* words,
                        BitWriter* writer) noexcept {
    BitWriter bits = *writer;  // in registers
    for (const Token* token = begin; token != end; ++token) {
      const HuffmanCode::Word word = words[token->symbol()];
      bits.Write(word.bits << token->num_bits() | token->bits(), word.length + token->num_bits());
    }
    *writer = bits;
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
    const McuGrid grid(frame_.width, frame_.height, frame_.components);
    const auto component_at = [&](int i) -> const EncodedComponent& {
      return frame_.components[scan.components[i]];
    };
    const auto with_block = [&](int i, int x, int y) {
      const EncodedComponent& component = component_at(i);
      const bool inside = y < component.height && x < component.width;
      return for_block(i, inside ? &component.rows[y][x] : nullptr);
    };
    const int num_components = static_cast<int>(scan.components.size());
    for (int row = 0; row < grid.rows; ++row) {
      if (!ForBlocksOfMcuRow(grid, row, num_components, component_at, with_block)) return false;
    }
    return true;
  }

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
      tokens_.Add(static_cast<int>(Token::kCodeSymbols) * table + size, ValueBits(difference, size),
                  size);
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

  // The rest of a block joins the run, with those bits of `values` that `which` names.
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

  bool TokenizeAc(const Scan& scan, const std::vector<Scan>& scans) {
    const int c = scan.components[0];
    const EncodedComponent& component = frame_.components[c];
    if (!planes_[c]) planes_[c].emplace(component.rows, component.width, Highest(scans, c));
    const BitPlanes& planes = *planes_[c];
    first_symbol_ = static_cast<int>(Token::kCodeSymbols) * component.huffman_table;
    end_run_ = 0;
    run_corrections_ = 0;
    size_t index = 0;
    for (const CoefficientBlock* const row : component.rows) {
      for (int x = 0; x < component.width; x += kBlocksAtOnce) {
        const int count = std::min(kBlocksAtOnce, component.width - x);
        tokens_.Reserve(count * kMaxTokens);
        if (scan.ah != 0) {
          RefineBlocks(scan, planes, index, count);
        } else if (!TokenizeBlocks(scan, row + x, planes, index, count)) {
          return false;
        }
        index += count;
      }
    }
    EndRun();
    return true;
  }

  // The highest bit position that AC scans of the component name.
  static int Highest(const std::vector<Scan>& scans, int component) {
    int highest = 0;
    for (const Scan& scan : scans) {
      if (scan.ss == 0 || scan.components[0] != component) continue;
      highest = std::max({highest, scan.ah, scan.al});
    }
    return highest;
  }

  PCR_BIT_INSTRUCTIONS
  bool TokenizeBlocks(const Scan& scan, const CoefficientBlock* blocks, const BitPlanes& planes,
                      size_t index, int count) noexcept {
    const uint64_t band = From(scan.ss) & ~From(scan.se + 1);
    for (int i = 0; i < count; ++i) {
      uint64_t left = planes.block(index + i).reaching(scan.al) & band;
      if (left != 0) EndRun();
      int next = scan.ss;
      for (; left != 0; left &= left - 1) {
        const int k = __builtin_ctzll(left);
        int zeros = k - next;
        next = k + 1;
        for (; zeros > 15; zeros -= 16) tokens_.Add(first_symbol_ + kZeroRun, 0, 0);
        const int value = blocks[i][kNaturalOrder[k]];
        const int magnitude = std::abs(value) >> scan.al;
        const int size = BitLength(magnitude);
        if (size > kMaxAcBits) return false;
        tokens_.Add(first_symbol_ + (zeros << 4 | size),
                    ValueBits(value < 0 ? -magnitude : magnitude, size), size);
      }
      if (next <= scan.se) ExtendRun(0, 0);
    }
    return true;
  }

  PCR_BIT_INSTRUCTIONS
  void RefineBlocks(const Scan& scan, const BitPlanes& planes, size_t index, int count) noexcept {
    const uint64_t band = From(scan.ss) & ~From(scan.se + 1);
    for (int i = 0; i < count; ++i) {
      const BitPlanes::Block block = planes.block(index + i);
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
          for (int zero = 0; zero < 15; ++zero) zeros &= zeros - 1;
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
  }

  // Of a block: a symbol or less for each coefficient, a run's place, and what more than 16
  // corrections take.
  static constexpr size_t kMaxTokens = 64 + 1 + 64 / Token::kMaxBits;
  static constexpr int kBlocksAtOnce = 16;
  static_assert(kBlocksAtOnce * kMaxTokens <= Tokens::kPageTokens);
  // A word and the bits behind it, if a zero follows each byte.
  static constexpr size_t kMaxTokenBytes = 2 * (16 + Token::kMaxBits) / 8;

  const EncodedFrame& frame_;
  std::vector<std::optional<BitPlanes>> planes_;
  std::string& out_;
  Tokens tokens_;
  std::vector<char> page_;  // of tokens, coded
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
