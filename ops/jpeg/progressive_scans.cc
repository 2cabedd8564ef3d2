#include "ops/jpeg/progressive_scans.h"

#include <algorithm>
#include <cstring>

// The compiler makes these functions twice, and the loader takes the one that the processor
// can run: counting and shifting of bits has instructions that not every x86-64 has.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && \
    __GNUC__ >= 12
#define PCR_BIT_INSTRUCTIONS __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define PCR_BIT_INSTRUCTIONS
#endif

namespace pcr {
namespace {

constexpr std::array<uint8_t, 64> kNaturalOrder = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

constexpr int kMaxBlocksInMcu = 10;  // T.81 B.2.3
constexpr int kMaxBitPosition = 13;

// Bits k..63.
uint64_t From(int k) { return k < 64 ? ~uint64_t{0} << k : 0; }

// The bits of a scan's entropy-coded data. Behind their end come zeros, and overrun() tells.
class BitReader {
 public:
  explicit BitReader(std::string_view data)
      : next_(reinterpret_cast<const uint8_t*>(data.data())), end_(next_ + data.size()) {}

  // Makes 56 bits or more available to the calls below.
  void Refill() {
    if (end_ - next_ >= 8) {
      uint64_t bytes;
      std::memcpy(&bytes, next_, sizeof bytes);
      bytes = __builtin_bswap64(bytes);
      const bool has_ff = ((~bytes - 0x0101010101010101) & bytes & 0x8080808080808080) != 0;
      if (!has_ff) {
        bits_ |= bytes >> count_;
        next_ += (63 - count_) >> 3;
        count_ |= 56;
        return;
      }
    }
    RefillByBytes();
  }

  uint32_t Peek(int n) const { return static_cast<uint32_t>(bits_ >> (64 - n)); }
  void Skip(int n) {
    bits_ <<= n;
    count_ -= n;
  }
  // n in 1..32.
  uint32_t Read(int n) {
    const uint32_t value = Peek(n);
    Skip(n);
    return value;
  }
  // A value of n bits, 1..16, by T.81 F.2.2.1 (EXTEND).
  int ReadSigned(int n) {
    const int value = static_cast<int>(Read(n));
    return value < 1 << (n - 1) ? value - (1 << n) + 1 : value;
  }

  bool overrun() const { return padding_ > count_; }

 private:
  void RefillByBytes() {
    while (count_ < 56) {
      uint64_t byte = 0;
      if (next_ < end_) {
        byte = *next_++;
        // In the data of a scan 0xff is followed by 0x00, or there are restart markers, which
        // plain progressions have not; a last lone 0xff is fill.
        if (byte == 0xff) {
          if (next_ < end_ && *next_ == 0) {
            ++next_;
          } else {
            padding_ = kBroken;
          }
        }
      } else if (padding_ < kBroken) {
        padding_ += 8;
      }
      bits_ |= byte << (56 - count_);
      count_ += 8;
    }
  }

  static constexpr int kBroken = 1 << 30;

  const uint8_t* next_;
  const uint8_t* end_;
  uint64_t bits_ = 0;  // the next one on top
  int count_ = 0;
  int padding_ = 0;  // zeros put behind the data, in bits; looked at after each row of blocks
};

class HuffmanTable {
 public:
  // From a DHT segment's 16 counts and its symbols. False if the code is not one.
  bool Set(const uint8_t* counts, const uint8_t* symbols, int num_symbols) {
    std::memcpy(symbols_, symbols, num_symbols);
    std::memset(fast_, 0, sizeof fast_);
    std::memset(values_, 0, sizeof values_);
    uint32_t code = 0;
    int index = 0;
    for (int length = 1; length <= 16; ++length) {
      first_index_[length] = index - static_cast<int>(code);
      for (int i = 0; i < counts[length - 1]; ++i, ++code, ++index) {
        if (code >= 1U << length) return false;
        if (length > kFastBits) continue;
        const int shift = kFastBits - length;
        for (uint32_t rest = 0; rest < 1U << shift; ++rest) {
          SetFast(code << shift | rest, length, symbols[index]);
        }
      }
      limit_[length] = code << (16 - length);
      code <<= 1;
    }
    defined_ = true;
    return true;
  }
  bool defined() const { return defined_; }

  // The next symbol, or -1. After a Refill.
  int Read(BitReader* bits) const {
    const uint16_t fast = fast_[bits->Peek(kFastBits)];
    if (fast != 0) {
      bits->Skip(fast & 31);
      return fast >> 5;
    }
    const uint32_t next = bits->Peek(16);
    int length = kFastBits + 1;
    while (length <= 16 && next >= limit_[length]) ++length;
    if (length > 16) return -1;
    bits->Skip(length);
    return symbols_[first_index_[length] + static_cast<int>(next >> (16 - length))];
  }

  // A run of zeros and the coefficient behind it where one look shows both.
  struct RunValue {
    int16_t value;  // 0: one look does not show it
    uint8_t run;
    uint8_t bits;
  };
  RunValue PeekRunValue(const BitReader& bits) const { return values_[bits.Peek(kFastBits)]; }

 private:
  static constexpr int kFastBits = 10;

  void SetFast(uint32_t bits, int length, int symbol) {
    fast_[bits] = static_cast<uint16_t>(symbol << 5 | length);
    const int size = symbol & 15;
    if (size == 0 || length + size > kFastBits) return;
    const int raw = static_cast<int>(bits >> (kFastBits - length - size) & ((1U << size) - 1));
    const int value = raw < 1 << (size - 1) ? raw - (1 << size) + 1 : raw;
    values_[bits] = {static_cast<int16_t>(value), static_cast<uint8_t>(symbol >> 4),
                     static_cast<uint8_t>(length + size)};
  }

  bool defined_ = false;
  uint16_t fast_[1 << kFastBits];  // symbol << 5 | length; 0: a longer code
  RunValue values_[1 << kFastBits];
  uint32_t limit_[17];   // codes of this length and less, as 16 bits, lie below it
  int first_index_[17];  // index of a symbol minus its code
  uint8_t symbols_[256];
};

struct ScanHeader {
  int num_components = 0;
  struct {
    int index = 0;
    int dc_table = 0;
    int ac_table = 0;
  } components[4];
  int first = 0;  // Ss
  int last = 0;   // Se
  int high = 0;   // Ah
  int low = 0;    // Al
};

class ProgressiveDecoder {
 public:
  ProgressiveDecoder(std::string_view jpeg, const JpegLayout& layout,
                     std::vector<CoefficientPlane>* planes)
      : jpeg_(jpeg), layout_(layout), planes_(*planes) {}

  bool Run() {
    size_t scan = 0;
    for (const Segment& segment : layout_.segments) {
      if (segment.marker == marker::kDht && !ReadTables(segment)) return false;
      if (segment.marker != marker::kSos) continue;
      if (!ReadScan(layout_.scans[scan++], segment)) return false;
    }
    return true;
  }

 private:
  uint8_t Byte(uint64_t offset) const { return static_cast<uint8_t>(jpeg_[offset]); }

  bool ReadTables(const Segment& segment) {
    const uint64_t end = segment.offset + segment.size;
    for (uint64_t p = segment.offset + 4; p < end;) {
      if (end - p < 17) return false;
      const int slot = Byte(p);
      uint8_t counts[16];
      int num_symbols = 0;
      for (int i = 0; i < 16; ++i) num_symbols += counts[i] = Byte(p + 1 + i);
      p += 17;
      if ((slot & ~0x13) != 0 || num_symbols > 256 || end - p < uint64_t(num_symbols)) return false;
      const auto* const symbols = reinterpret_cast<const uint8_t*>(jpeg_.data()) + p;
      if (!tables_[slot >> 4][slot & 3].Set(counts, symbols, num_symbols)) return false;
      p += num_symbols;
    }
    return true;
  }

  bool ReadHeader(const ScanExtent& extent, const Segment& segment, ScanHeader* header) {
    header->num_components = static_cast<int>(extent.component_ids.size());
    if (header->num_components < 1 || header->num_components > 4) return false;
    const std::vector<FrameComponent>& components = layout_.frame->components;
    uint64_t p = segment.offset + 5;
    for (int i = 0; i < header->num_components; ++i, p += 2) {
      auto& component = header->components[i];
      const auto found =
          std::find_if(components.begin(), components.end(),
                       [&](const FrameComponent& c) { return c.id == extent.component_ids[i]; });
      if (found == components.end()) return false;
      component.index = static_cast<int>(found - components.begin());
      for (int j = 0; j < i; ++j) {
        if (header->components[j].index == component.index) return false;
      }
      component.dc_table = Byte(p + 1) >> 4;
      component.ac_table = Byte(p + 1) & 15;
      if (component.dc_table > 3 || component.ac_table > 3) return false;
    }
    header->first = Byte(p);
    header->last = Byte(p + 1);
    header->high = Byte(p + 2) >> 4;
    header->low = Byte(p + 2) & 15;
    if (header->first == 0
            ? header->last != 0
            : header->last < header->first || header->last > 63 || header->num_components != 1) {
      return false;
    }
    return header->low <= kMaxBitPosition && (header->high == 0 || header->high == header->low + 1);
  }

  // Whether each coefficient of the scan comes in its turn; then notes what it brings.
  bool Advance(const ScanHeader& header) {
    for (int i = 0; i < header.num_components; ++i) {
      CoefficientPlane& plane = planes_[header.components[i].index];
      if (header.first > 0 && plane.missing_bits[0] < 0) return false;
      for (int k = header.first; k <= header.last; ++k) {
        int& missing = plane.missing_bits[k];
        if (missing != (header.high == 0 ? -1 : header.high)) return false;
        missing = header.low;
      }
    }
    return true;
  }

  bool ReadScan(const ScanExtent& extent, const Segment& segment) {
    ScanHeader header;
    if (!ReadHeader(extent, segment, &header) || !Advance(header)) return false;
    const uint64_t begin = segment.offset + segment.size;
    BitReader bits(jpeg_.substr(begin, extent.end - begin));
    const bool decoded = header.first == 0  ? ReadDc(header, &bits)
                         : header.high == 0 ? ReadAc(header, &bits)
                                            : RefineAc(header, &bits);
    return decoded && !bits.overrun();
  }

  bool ReadDc(const ScanHeader& header, BitReader* bits) {
    int predictions[4] = {};
    const auto read_block = [&](int i, CoefficientBlock* block) {
      bits->Refill();
      if (header.high != 0) {
        (*block)[0] = static_cast<int16_t>((*block)[0] | bits->Read(1) << header.low);
        return true;
      }
      const HuffmanTable& table = tables_[0][header.components[i].dc_table];
      const int size = table.Read(bits);
      if (size < 0 || size > 15) return false;
      int& prediction = predictions[i];
      if (size > 0) prediction += bits->ReadSigned(size);
      const int value = prediction * (1 << header.low);
      (*block)[0] = static_cast<int16_t>(value);
      return value == (*block)[0];
    };
    for (int i = 0; header.high == 0 && i < header.num_components; ++i) {
      if (!tables_[0][header.components[i].dc_table].defined()) return false;
    }
    if (header.num_components == 1) {
      CoefficientPlane& plane = planes_[header.components[0].index];
      for (int y = 0; y < plane.height; ++y) {
        for (int x = 0; x < plane.width; ++x) {
          if (!read_block(0, plane.rows[y] + x)) return false;
        }
        if (bits->overrun()) return false;
      }
      return true;
    }
    return ReadMcus(header, *bits, read_block);
  }

  template <typename ReadBlock>
  bool ReadMcus(const ScanHeader& header, const BitReader& bits, const ReadBlock& read_block) {
    const Frame& frame = *layout_.frame;
    int max_h = 1;
    int max_v = 1;
    for (const FrameComponent& c : frame.components) {
      max_h = std::max(max_h, c.h);
      max_v = std::max(max_v, c.v);
    }
    int blocks = 0;
    for (int i = 0; i < header.num_components; ++i) {
      const FrameComponent& c = frame.components[header.components[i].index];
      blocks += c.h * c.v;
    }
    if (blocks > kMaxBlocksInMcu) return false;
    const int mcus_per_row = (frame.width + 8 * max_h - 1) / (8 * max_h);
    const int mcu_rows = (frame.height + 8 * max_v - 1) / (8 * max_v);
    CoefficientBlock filling = {};  // blocks beyond the component's edge go here
    for (int my = 0; my < mcu_rows; ++my) {
      for (int mx = 0; mx < mcus_per_row; ++mx) {
        for (int i = 0; i < header.num_components; ++i) {
          const int index = header.components[i].index;
          const FrameComponent& c = frame.components[index];
          CoefficientPlane& plane = planes_[index];
          for (int y = my * c.v; y < (my + 1) * c.v; ++y) {
            for (int x = mx * c.h; x < (mx + 1) * c.h; ++x) {
              const bool inside = y < plane.height && x < plane.width;
              if (!read_block(i, inside ? plane.rows[y] + x : &filling)) return false;
            }
          }
        }
      }
      if (bits.overrun()) return false;
    }
    return true;
  }

  // The length of a run of blocks without further coefficients, from its symbol.
  static int EndRun(int r, BitReader* bits) {
    return (1 << r) + (r > 0 ? static_cast<int>(bits->Read(r)) : 0);
  }

  PCR_BIT_INSTRUCTIONS
  bool ReadAc(const ScanHeader& header, BitReader* input) {
    const HuffmanTable& table = tables_[1][header.components[0].ac_table];
    if (!table.defined()) return false;
    CoefficientPlane& plane = planes_[header.components[0].index];
    BitReader bits = *input;  // in registers
    int end_run = 0;
    for (int y = 0; y < plane.height; ++y) {
      for (int x = 0; x < plane.width; ++x) {
        if (end_run > 0) {
          --end_run;
          continue;
        }
        CoefficientBlock& block = plane.rows[y][x];
        uint64_t nonzero = 0;
        for (int k = header.first; k <= header.last; ++k) {
          bits.Refill();
          int value;
          if (const auto look = table.PeekRunValue(bits); look.value != 0) {
            bits.Skip(look.bits);
            k += look.run;
            value = look.value;
          } else {
            const int symbol = table.Read(&bits);
            if (symbol < 0) return false;
            const int r = symbol >> 4;
            const int size = symbol & 15;
            if (size == 0) {
              if (r < 15) {
                end_run = EndRun(r, &bits) - 1;
                break;
              }
              k += 15;
              continue;
            }
            k += r;
            value = bits.ReadSigned(size);
          }
          if (k > header.last) return false;
          block[kNaturalOrder[k]] = static_cast<int16_t>(value * (1 << header.low));
          nonzero |= uint64_t{1} << k;
        }
        plane.nonzero[static_cast<size_t>(y) * plane.width + x] |= nonzero;
      }
      if (bits.overrun()) return false;
    }
    *input = bits;
    return end_run == 0;
  }

  // Reads a bit for each coefficient of `which` and adds it at its place.
  static void Correct(uint64_t which, int step, BitReader* bits, CoefficientBlock* block) {
    while (which != 0) {
      const int count = std::min(__builtin_popcountll(which), 32);
      bits->Refill();
      uint32_t corrections = bits->Read(count) << (32 - count);
      // Without branches: the bits are as good as random. The bit of `step` is never set in
      // a coefficient whose turn it is.
      for (int i = 0; i < count; ++i, corrections <<= 1) {
        int16_t& value = (*block)[kNaturalOrder[__builtin_ctzll(which)]];
        which &= which - 1;
        const int added = step & -static_cast<int>(corrections >> 31);
        const int sign = value >> 15;
        value = static_cast<int16_t>(value + ((added ^ sign) - sign));
      }
    }
  }

  PCR_BIT_INSTRUCTIONS
  bool RefineAc(const ScanHeader& header, BitReader* input) {
    const HuffmanTable& table = tables_[1][header.components[0].ac_table];
    if (!table.defined()) return false;
    CoefficientPlane& plane = planes_[header.components[0].index];
    BitReader bits = *input;  // in registers
    const int step = 1 << header.low;
    const uint64_t band = From(header.first) & ~From(header.last + 1);
    int end_run = 0;
    for (int y = 0; y < plane.height; ++y) {
      for (int x = 0; x < plane.width; ++x) {
        CoefficientBlock& block = plane.rows[y][x];
        uint64_t& nonzero = plane.nonzero[static_cast<size_t>(y) * plane.width + x];
        uint64_t left = band;
        while (end_run == 0 && left != 0) {
          bits.Refill();
          const int symbol = table.Read(&bits);
          if (symbol < 0) return false;
          const int r = symbol >> 4;
          const int size = symbol & 15;
          int value = 0;
          if (size == 1) {
            value = bits.Read(1) != 0 ? step : -step;
          } else if (size != 0) {
            return false;
          } else if (r < 15) {
            end_run = EndRun(r, &bits);
            break;
          }
          // Behind r zeros of the scans before stands the place of the new value, or of the
          // last zero of a run of 16.
          uint64_t zeros = left & ~nonzero;
          for (int i = 0; i < r; ++i) zeros &= zeros - 1;
          if (zeros == 0) return false;
          const int k = __builtin_ctzll(zeros);
          Correct(left & nonzero & ~From(k), step, &bits, &block);
          left &= From(k + 1);
          if (value != 0) {
            block[kNaturalOrder[k]] = static_cast<int16_t>(value);
            nonzero |= zeros & -zeros;
          }
        }
        if (end_run > 0) {
          Correct(left & nonzero, step, &bits, &block);
          --end_run;
        }
      }
      if (bits.overrun()) return false;
    }
    *input = bits;
    return end_run == 0;
  }

  std::string_view jpeg_;
  const JpegLayout& layout_;
  std::vector<CoefficientPlane>& planes_;
  HuffmanTable tables_[2][4];  // DC, AC
};

}  // namespace

bool HasPlainProgression(std::string_view jpeg, const JpegLayout& layout) {
  if (!layout.frame || layout.frame->marker != marker::kSof2 || layout.frame->precision != 8 ||
      layout.scans.empty() || layout.frame->components.empty() ||
      layout.frame->components.size() > 4) {
    return false;
  }
  for (const FrameComponent& c : layout.frame->components) {
    if (c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4) return false;
  }
  const ScanExtent& first = layout.scans[0];
  const size_t first_spectrum = first.sos_offset + 5 + 2 * first.component_ids.size();
  if (first.component_ids.size() != layout.frame->components.size() || jpeg[first_spectrum] != 0) {
    return false;
  }
  int frames = 0;
  for (const Segment& segment : layout.segments) {
    const uint8_t code = segment.marker;
    if (code == marker::kDac || code == marker::kDnl || code == marker::kDri) return false;
    // libjpeg reads quantization tables up to the first scan that needs them.
    if (code == marker::kDqt && segment.offset > first.sos_offset) return false;
    if (code >= marker::kSof0 && code <= marker::kSof15 && code != marker::kDht) ++frames;
  }
  return frames == 1;
}

bool DecodeProgressiveScans(std::string_view jpeg, const JpegLayout& layout,
                            std::vector<CoefficientPlane>* planes) {
  for (CoefficientPlane& plane : *planes) {
    plane.nonzero.assign(static_cast<size_t>(plane.width) * plane.height, 0);
    plane.missing_bits.fill(-1);
  }
  return ProgressiveDecoder(jpeg, layout, planes).Run();
}

}  // namespace pcr
