#include "ops/jpeg/limits.h"

#include <algorithm>
#include <array>

#include "ops/base/status.h"

namespace pcr {
namespace {

// libjpeg's JPEG_MAX_DIMENSION.
constexpr int kMaxDimension = 65500;

uint64_t CeilDivide(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

// Blocks of the frame's components by identifier (of equal identifiers the first counts),
// without those that only fill up MCUs.
std::array<uint64_t, 256> BlocksById(const Frame& frame) {
  std::array<uint64_t, 256> blocks{};
  uint64_t max_h = 1;
  uint64_t max_v = 1;
  for (const FrameComponent& c : frame.components) {
    max_h = std::max<uint64_t>(max_h, c.h);
    max_v = std::max<uint64_t>(max_v, c.v);
  }
  for (const FrameComponent& c : frame.components) {
    uint64_t& count = blocks[c.id];
    if (count != 0) continue;
    count = CeilDivide(uint64_t(frame.width) * c.h, 8 * max_h) *
            CeilDivide(uint64_t(frame.height) * c.v, 8 * max_v);
  }
  return blocks;
}

}  // namespace

std::string ExceededLimit(const JpegLayout& layout, const DecodeLimits& limits) {
  if (!layout.frame) return "";
  const Frame& frame = *layout.frame;
  if (frame.width > kMaxDimension || frame.height > kMaxDimension) {
    return Expected("width and height must be at most 65500 for libjpeg", kMaxDimension,
                    std::max(frame.width, frame.height));
  }
  const uint64_t pixels = uint64_t(frame.width) * frame.height;
  if (pixels > limits.max_pixels) {
    return Expected("the number of pixels is limited", limits.max_pixels, pixels);
  }
  if (layout.scans.size() > limits.max_scans) {
    return Expected("the number of scans is limited", limits.max_scans, layout.scans.size());
  }
  const std::array<uint64_t, 256> blocks = BlocksById(frame);
  uint64_t visits = 0;
  for (const ScanExtent& scan : layout.scans) {
    for (const uint8_t id : scan.component_ids) visits += blocks[id];
  }
  if (visits > limits.max_block_visits) {
    return Expected("the blocks of all scans together are limited", limits.max_block_visits,
                    visits);
  }
  return "";
}

std::string MissingData(const JpegLayout& layout) {
  if (!layout.frame || layout.frame->marker > marker::kSof2) return "";
  std::array<uint64_t, 256> blocks = BlocksById(*layout.frame);
  uint64_t bits = 0;
  uint64_t data_bytes = 0;
  for (const ScanExtent& scan : layout.scans) {
    data_bytes += scan.end - scan.sos_offset;
    for (const uint8_t id : scan.component_ids) {
      bits += blocks[id];
      blocks[id] = 0;
    }
  }
  if (bits <= 8 * data_bytes) return "";
  return Expected("every block takes at least one bit", std::to_string(bits) + " bits",
                  8 * data_bytes);
}

}  // namespace pcr
