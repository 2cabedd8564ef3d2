#include "ops/jpeg/entropy/sequential_scan.h"

#include <algorithm>

#include "ops/base/bit_instructions.h"
#include "ops/jpeg/syntax/mcus.h"

namespace pcr {
namespace {

// By its markers.
bool IsPlain(const JpegLayout& layout) {
  if (!layout.frame || layout.scans.size() != 1 || layout.frame->precision != 8 ||
      (layout.frame->marker != marker::kSof0 && layout.frame->marker != marker::kSof1)) {
    return false;
  }
  const std::vector<FrameComponent>& components = layout.frame->components;
  const size_t count = components.size();
  const ScanHeader& scan = layout.scans[0].header;
  if (count < 1 || count > 4 || scan.components.size() != count) return false;
  int blocks = 0;
  for (size_t i = 0; i < count; ++i) {
    const FrameComponent& c = components[i];
    if (c.id != scan.components[i].id || c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4) return false;
    for (size_t j = 0; j < i; ++j) {
      if (components[j].id == c.id) return false;
    }
    blocks += c.h * c.v;
  }
  // The scan of a single component has no MCUs of several blocks, whatever its factors.
  if (blocks > (count == 1 ? 1 : kMaxBlocksInMcu)) return false;
  if (scan.ss != 0 || scan.se != 63 || scan.ah != 0 || scan.al != 0) return false;
  int frames = 0;
  for (const Segment& segment : layout.segments) {
    const uint8_t code = segment.marker;
    if (code == marker::kDac || code == marker::kDnl || code == marker::kDri) return false;
    if (code >= marker::kSof0 && code <= marker::kSof15 && code != marker::kDht) ++frames;
  }
  return frames == 1;
}

// Takes a coefficient that one look showed. False if it lies behind the block's last.
template <bool kStore>
inline __attribute__((always_inline)) bool Take(HuffmanTable::Entry look, BitReader* bits, int* k,
                                                CoefficientBlock* block) {
  *k += look.run();
  if (*k > 63) return false;
  if (kStore) {
    (*block)[kNaturalOrder[*k]] =
        static_cast<int16_t>(bits->PeekSigned(look.length(), look.size()));
  }
  bits->Skip(look.bits());
  return true;
}

// Reads the AC coefficients of a block. False if they are not well-formed.
template <bool kStore>
inline __attribute__((always_inline)) bool ReadAc(const HuffmanTable& table, BitReader* bits,
                                                  CoefficientBlock* block) {
  static_assert(HuffmanTable::kMaxEntryBits + 16 + 15 <= 56, "one Refill for both");
  for (int k = 1; k < 64; ++k) {
    bits->Refill();
    HuffmanTable::Entry look = table.Look(*bits);
    if (look.bits() != 0) {
      if (!Take<kStore>(look, bits, &k, block)) return false;
      if (++k == 64) return true;
      look = table.Look(*bits);
      if (look.bits() != 0) {
        if (!Take<kStore>(look, bits, &k, block)) return false;
        continue;
      }
    }
    // The end of the block, a run of 16 zeros, or a rare code.
    const int symbol = look.length() != 0 ? look.symbol() : table.ReadLong(bits);
    bits->Skip(look.length());
    if (symbol == 0) return true;
    if (symbol < 0) return false;
    const int size = symbol & 15;
    k += symbol >> 4;
    if (k > 63 || (size == 0 && symbol != 0xf0)) return false;
    if (size == 0) continue;
    const int value = bits->ReadSigned(size);
    if (kStore) (*block)[kNaturalOrder[k]] = static_cast<int16_t>(value);
  }
  return true;
}

// A call of memset, or the string instruction that compilers make of it, takes longer.
inline void Clear(CoefficientBlock* block) {
  using Vector = int64_t __attribute__((vector_size(32), aligned(alignof(int16_t)), may_alias));
  auto* const vectors = reinterpret_cast<Vector*>(block);
  for (int i = 0; i < 4; ++i) vectors[i] = Vector{};
}

}  // namespace

bool SequentialScan::Start(std::string_view jpeg, const JpegLayout& layout) {
  well_formed_ = IsPlain(layout) && ReadHeader(jpeg, layout);
  return well_formed_;
}

bool SequentialScan::ReadHeader(std::string_view jpeg, const JpegLayout& layout) {
  const Frame& frame = *layout.frame;
  const ScanExtent& scan = layout.scans[0];
  uint64_t data = 0;
  tables_.Clear();
  for (const Segment& segment : layout.segments) {
    if (segment.marker == marker::kDht && !tables_.Add(jpeg, segment)) return false;
    if (segment.marker != marker::kSos) continue;
    data = segment.offset + segment.size;
    break;
  }
  components_.resize(frame.components.size());
  const McuGrid grid(frame.width, frame.height, frame.components);
  mcus_per_row_ = grid.columns;
  mcu_rows_ = grid.rows;
  size_t num_blocks = 0;
  for (size_t i = 0; i < components_.size(); ++i) {
    const auto& [id, dc, ac] = scan.header.components[i];
    if (dc > 3 || ac > 3) return false;
    Component& component = components_[i];
    component.h = frame.components[i].h;
    component.v = frame.components[i].v;
    component.dc = tables_.dc(dc);
    component.ac = tables_.ac(ac);
    component.prediction = 0;
    if (component.dc == nullptr || component.ac == nullptr) return false;
    num_blocks += static_cast<size_t>(component.v) * component.h * mcus_per_row_;
  }
  blocks_.resize(std::max(blocks_.size(), 64 * num_blocks));
  auto* next = reinterpret_cast<CoefficientBlock*>(blocks_.data());
  for (Component& component : components_) {
    component.rows.resize(component.v);
    for (CoefficientBlock*& row : component.rows) {
      row = next;
      next += static_cast<ptrdiff_t>(component.h) * mcus_per_row_;
    }
  }
  bits_ = BitReader(jpeg.substr(data, scan.end - data));
  rows_read_ = 0;
  KeepColumns(0, mcus_per_row_);
  return true;
}

void SequentialScan::KeepColumns(int begin, int end) {
  first_kept_ = begin;
  end_kept_ = std::min(end, mcus_per_row_);
}

CoefficientBlock** SequentialScan::Rows(int component, int mcu_row) {
  while (well_formed_ && rows_read_ <= mcu_row) {
    well_formed_ = rows_read_ < mcu_rows_ && ReadRow(rows_read_ == mcu_row) && !bits_.overrun();
    ++rows_read_;
  }
  // The rows before are gone.
  if (rows_read_ != mcu_row + 1) well_formed_ = false;
  return well_formed_ ? components_[component].rows.data() : nullptr;
}

bool SequentialScan::ReadRow(bool store) {
  if (!store) return PassMcus(mcus_per_row_);
  return PassMcus(first_kept_) && StoreMcus(first_kept_, end_kept_) &&
         PassMcus(mcus_per_row_ - end_kept_);
}

template <bool kStore>
inline __attribute__((always_inline)) bool SequentialScan::ReadMcus(int begin, int end) {
  BitReader bits = bits_;  // in registers
  CoefficientBlock nowhere;
  for (int mx = begin; mx < end; ++mx) {
    for (Component& component : components_) {
      const HuffmanTable& dc = *component.dc;
      const HuffmanTable& ac = *component.ac;
      for (int y = 0; y < component.v; ++y) {
        for (int x = 0; x < component.h; ++x) {
          bits.Refill();
          const int size = dc.Read(&bits);
          if (size < 0 || size > 15) return false;
          if (size > 0) component.prediction += bits.ReadSigned(size);
          const auto value = static_cast<int16_t>(component.prediction);
          if (value != component.prediction) return false;
          CoefficientBlock* block = &nowhere;
          if (kStore) {
            block = component.rows[y] + static_cast<ptrdiff_t>(mx) * component.h + x;
            Clear(block);
            (*block)[0] = value;
          }
          if (!ReadAc<kStore>(ac, &bits, block)) return false;
        }
      }
    }
  }
  bits_ = bits;
  return true;
}

PCR_BIT_INSTRUCTIONS
bool SequentialScan::StoreMcus(int begin, int end) noexcept { return ReadMcus<true>(begin, end); }

PCR_BIT_INSTRUCTIONS
bool SequentialScan::PassMcus(int count) noexcept { return ReadMcus<false>(0, count); }

}  // namespace pcr
