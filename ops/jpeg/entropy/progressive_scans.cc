#include "ops/jpeg/entropy/progressive_scans.h"

#include <algorithm>

#include "ops/base/bit_instructions.h"
#include "ops/jpeg/entropy/bit_deposit.h"
#include "ops/jpeg/entropy/bit_reader.h"
#include "ops/jpeg/entropy/huffman_table.h"
#include "ops/jpeg/syntax/mcus.h"

namespace pcr {
namespace {

constexpr int kMaxBitPosition = 13;
constexpr int kMaxDcSize = 15;  // libjpeg refuses tables with larger ones, used or not

// Masks of a block's coefficients in zigzag order, the first one on top (2^(63-k), as in
// CoefficientPlane::nonzero): coefficient k, and coefficients k..63.
uint64_t Bit(int k) { return uint64_t{1} << 63 >> k; }
uint64_t From(int k) { return k < 64 ? ~uint64_t{0} >> k : 0; }

// A scan header whose components are found in the frame, and whose values are supported.
struct ProgressiveScan {
  int num_components = 0;
  struct {
    int index = 0;
    int dc_table = 0;
    int ac_table = 0;
  } components[4];
  int ss = 0;
  int se = 0;
  int ah = 0;
  int al = 0;
};

class ProgressiveDecoder {
 public:
  ProgressiveDecoder(std::string_view jpeg, const JpegLayout& layout, LeftoverData leftover,
                     std::vector<CoefficientPlane>* planes)
      : jpeg_(jpeg), layout_(layout), leftover_(leftover), planes_(*planes) {}

  bool Run() {
    size_t scan = 0;
    for (const Segment& segment : layout_.segments) {
      if (segment.marker == marker::kDht && !tables_.Add(jpeg_, segment)) return false;
      if (segment.marker != marker::kSos) continue;
      if (!ReadScan(layout_.scans[scan++], segment)) return false;
    }
    return true;
  }

 private:
  // False if the values are not those of a progressive scan of this frame.
  bool Resolve(const ScanHeader& header, ProgressiveScan* scan) {
    if (header.components.empty() || header.components.size() > 4) return false;
    const std::vector<FrameComponent>& components = layout_.frame->components;
    for (const ScanComponent& selected : header.components) {
      const auto component =
          std::find_if(components.begin(), components.end(),
                       [&](const FrameComponent& c) { return c.id == selected.id; });
      if (component == components.end()) return false;
      const int index = static_cast<int>(component - components.begin());
      for (int j = 0; j < scan->num_components; ++j) {
        if (scan->components[j].index == index) return false;
      }
      if (selected.dc_table > 3 || selected.ac_table > 3) return false;
      scan->components[scan->num_components++] = {index, selected.dc_table, selected.ac_table};
    }
    scan->ss = header.ss;
    scan->se = header.se;
    scan->ah = header.ah;
    scan->al = header.al;
    if (header.ss == 0 ? header.se != 0
                       : header.se < header.ss || header.se > 63 || header.components.size() != 1) {
      return false;
    }
    return header.al <= kMaxBitPosition && (header.ah == 0 || header.ah == header.al + 1);
  }

  // Whether each coefficient of the scan comes in its turn; then notes what it brings.
  bool Advance(const ProgressiveScan& scan) {
    for (int i = 0; i < scan.num_components; ++i) {
      CoefficientPlane& plane = planes_[scan.components[i].index];
      if (scan.ss > 0 && plane.missing_bits[0] < 0) return false;
      for (int k = scan.ss; k <= scan.se; ++k) {
        int& missing = plane.missing_bits[k];
        if (missing != (scan.ah == 0 ? -1 : scan.ah)) return false;
        missing = scan.al;
      }
    }
    return true;
  }

  bool ReadScan(const ScanExtent& extent, const Segment& segment) {
    ProgressiveScan scan;
    if (!Resolve(extent.header, &scan) || !Advance(scan)) return false;
    const uint64_t begin = segment.offset + segment.size;
    BitReader bits(jpeg_.substr(begin, extent.end - begin));
    const bool decoded = scan.ss == 0   ? ReadDc(scan, &bits)
                         : scan.ah == 0 ? ReadAc(scan, &bits)
                                        : RefineAc(scan, &bits);
    return decoded && (leftover_ == LeftoverData::kIsRefused ? bits.at_end() : !bits.overrun());
  }

  bool ReadDc(const ProgressiveScan& scan, BitReader* bits) {
    int predictions[4] = {};
    const auto read_block = [&](int i, CoefficientBlock* block) {
      bits->Refill();
      if (scan.ah != 0) {
        (*block)[0] = static_cast<int16_t>((*block)[0] | bits->Read(1) << scan.al);
        return true;
      }
      const int size = tables_.dc(scan.components[i].dc_table)->Read(bits);
      if (size < 0) return false;
      int& prediction = predictions[i];
      if (size > 0) prediction += bits->ReadSigned(size);
      const int value = prediction * (1 << scan.al);
      (*block)[0] = static_cast<int16_t>(value);
      return value == (*block)[0];
    };
    for (int i = 0; scan.ah == 0 && i < scan.num_components; ++i) {
      const HuffmanTable* const table = tables_.dc(scan.components[i].dc_table);
      if (table == nullptr || table->max_symbol() > kMaxDcSize) return false;
    }
    if (scan.num_components == 1) {
      CoefficientPlane& plane = planes_[scan.components[0].index];
      for (int y = 0; y < plane.height; ++y) {
        for (int x = 0; x < plane.width; ++x) {
          if (!read_block(0, plane.rows[y] + x)) return false;
        }
        if (bits->overrun()) return false;
      }
      return true;
    }
    return ReadMcus(scan, *bits, read_block);
  }

  template <typename ReadBlock>
  bool ReadMcus(const ProgressiveScan& scan, const BitReader& bits, const ReadBlock& read_block) {
    const Frame& frame = *layout_.frame;
    const auto component_at = [&](int i) -> const FrameComponent& {
      return frame.components[scan.components[i].index];
    };
    int blocks = 0;
    for (int i = 0; i < scan.num_components; ++i) blocks += component_at(i).h * component_at(i).v;
    if (blocks > kMaxBlocksInMcu) return false;
    CoefficientBlock filling = {};  // blocks beyond the component's edge go here
    const auto read = [&](int i, int x, int y) {
      CoefficientPlane& plane = planes_[scan.components[i].index];
      const bool inside = y < plane.height && x < plane.width;
      return read_block(i, inside ? plane.rows[y] + x : &filling);
    };
    const McuGrid grid(frame.width, frame.height, frame.components);
    for (int row = 0; row < grid.rows; ++row) {
      if (!ForBlocksOfMcuRow(grid, row, scan.num_components, component_at, read)) return false;
      if (bits.overrun()) return false;
    }
    return true;
  }

  // The length of a run of blocks without further coefficients, from its symbol.
  static int EndRun(int r, BitReader* bits) {
    return (1 << r) + (r > 0 ? static_cast<int>(bits->Read(r)) : 0);
  }

  PCR_BIT_INSTRUCTIONS
  bool ReadAc(const ProgressiveScan& scan, BitReader* input) noexcept {
    const HuffmanTable* const defined = tables_.ac(scan.components[0].ac_table);
    if (defined == nullptr) return false;
    const HuffmanTable& table = *defined;
    CoefficientPlane& plane = planes_[scan.components[0].index];
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
        for (int k = scan.ss; k <= scan.se; ++k) {
          bits.Refill();
          int value;
          if (const auto look = table.Look(bits); look.bits() != 0) {
            value = bits.PeekSigned(look.length(), look.size());
            bits.Skip(look.bits());
            k += look.run();
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
          if (k > scan.se) return false;
          block[kNaturalOrder[k]] = static_cast<int16_t>(value * (1 << scan.al));
          nonzero |= Bit(k);
        }
        plane.nonzero[static_cast<size_t>(y) * plane.width + x] |= nonzero;
      }
      if (bits.overrun()) return false;
    }
    *input = bits;
    return end_run == 0;
  }

  // Reads a bit for each coefficient of `which`. Returns those whose bit is set. At most 32 of
  // them need no Refill.
  static uint64_t ReadCorrections(uint64_t which, const BitDeposit& deposit, BitReader* bits) {
    const int count = __builtin_popcountll(which);
    if (count <= 32) return deposit(bits->ReadAny(count), which);
    const uint64_t high = static_cast<uint64_t>(bits->Read(32)) << (count - 32);
    bits->Refill();
    return deposit(high | bits->Read(count - 32), which);
  }

  PCR_BIT_INSTRUCTIONS
  bool RefineAc(const ProgressiveScan& scan, BitReader* input) noexcept {
    const HuffmanTable* const defined = tables_.ac(scan.components[0].ac_table);
    if (defined == nullptr) return false;
    const HuffmanTable& table = *defined;
    CoefficientPlane& plane = planes_[scan.components[0].index];
    BitReader bits = *input;  // in registers
    const BitDeposit deposit;
    const int step = 1 << scan.al;
    const uint64_t band = From(scan.ss) & ~From(scan.se + 1);
    int end_run = 0;
    for (int y = 0; y < plane.height; ++y) {
      for (int x = 0; x < plane.width; ++x) {
        CoefficientBlock& block = plane.rows[y][x];
        uint64_t& nonzero = plane.nonzero[static_cast<size_t>(y) * plane.width + x];
        const uint64_t known = nonzero;
        uint64_t corrected = 0;
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
          const uint64_t place = deposit.BitFromTop(left & ~known, r);
          if (place == 0) return false;
          corrected |= ReadCorrections(left & known & ~(place | (place - 1)), deposit, &bits);
          left &= place - 1;
          if (value != 0) {
            block[kNaturalOrder[__builtin_clzll(place)]] = static_cast<int16_t>(value);
            nonzero |= place;
          }
        }
        if (end_run > 0) {
          bits.Refill();
          corrected |= ReadCorrections(left & known, deposit, &bits);
          --end_run;
        }
        while (corrected != 0) {
          const int k = __builtin_clzll(corrected);
          corrected ^= Bit(k);
          int16_t& coefficient = block[kNaturalOrder[k]];
          const int sign = coefficient >> 15;
          coefficient = static_cast<int16_t>(coefficient + ((step ^ sign) - sign));
        }
      }
      if (bits.overrun()) return false;
    }
    *input = bits;
    return end_run == 0;
  }

  std::string_view jpeg_;
  const JpegLayout& layout_;
  LeftoverData leftover_;
  std::vector<CoefficientPlane>& planes_;
  HuffmanTables tables_;
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
  if (first.header.components.size() != layout.frame->components.size() || first.header.ss != 0) {
    return false;
  }
  int frames = 0;
  for (const Segment& segment : layout.segments) {
    const bool in_front = segment.offset < first.sos_offset;
    switch (KindOf(jpeg, segment)) {
      case SegmentKind::kAncillary:
        continue;
      case SegmentKind::kJfif:
      case SegmentKind::kAdobe:
        // They say what the colours mean. libjpeg reads all scans, and what stands between them,
        // before it makes pixels.
        if (!in_front) return false;
        continue;
      case SegmentKind::kCoding:
        break;
    }
    if (segment.marker == marker::kDht || segment.marker == marker::kSos) continue;
    // libjpeg reads quantization tables up to the first scan that needs them.
    if (segment.marker == marker::kDqt && in_front) continue;
    if (segment.marker != marker::kSof2) return false;
    ++frames;
  }
  return frames == 1;
}

bool DecodeProgressiveScans(std::string_view jpeg, const JpegLayout& layout, LeftoverData leftover,
                            std::vector<CoefficientPlane>* planes) {
  for (CoefficientPlane& plane : *planes) {
    plane.nonzero.assign(static_cast<size_t>(plane.width) * plane.height, 0);
    plane.missing_bits.fill(-1);
  }
  return ProgressiveDecoder(jpeg, layout, leftover, planes).Run();
}

}  // namespace pcr
