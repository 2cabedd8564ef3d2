#include "ops/jpeg/syntax/limits.h"

#include <algorithm>
#include <array>
#include <vector>

#include "ops/base/status.h"

namespace pcr {
namespace {

// libjpeg's JPEG_MAX_DIMENSION.
constexpr int kMaxDimension = 65500;

uint64_t CeilDivide(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

constexpr uint64_t kFreeBlocks = uint64_t{1} << 18;
constexpr uint64_t kBlocksPerBitWithoutScan = 16;
constexpr uint64_t kFreeVisits = uint64_t{1} << 22;
constexpr uint64_t kVisitsPerByte = 256;
// Arithmetic coding spends no bit on what it expects, nor can it pass over runs of blocks.
constexpr uint64_t kArithmeticVisits = 4;

// Blocks of each component, without those that only fill up MCUs.
std::vector<uint64_t> BlocksOfComponents(const Frame& frame) {
  uint64_t max_h = 1;
  uint64_t max_v = 1;
  for (const FrameComponent& c : frame.components) {
    max_h = std::max<uint64_t>(max_h, c.h);
    max_v = std::max<uint64_t>(max_v, c.v);
  }
  std::vector<uint64_t> blocks;
  for (const FrameComponent& c : frame.components) {
    blocks.push_back(CeilDivide(uint64_t(frame.width) * c.h, 8 * max_h) *
                     CeilDivide(uint64_t(frame.height) * c.v, 8 * max_v));
  }
  return blocks;
}

// Blocks that the first 0, 1, ... scans go through, weighed by what a visit takes.
std::vector<uint64_t> BlockVisits(const JpegLayout& layout) {
  const Frame& frame = *layout.frame;
  const std::vector<uint64_t> blocks = BlocksOfComponents(frame);
  // Of components with one identifier a scan may mean any.
  std::array<uint64_t, 256> most_blocks{};
  for (size_t c = 0; c < blocks.size(); ++c) {
    uint64_t& most = most_blocks[frame.components[c].id];
    most = std::max(most, blocks[c]);
  }
  const uint64_t weight = frame.marker >= marker::kSof9 ? kArithmeticVisits : 1;
  std::vector<uint64_t> visits = {0};
  for (const ScanExtent& scan : layout.scans) {
    uint64_t sum = visits.back();
    for (const ScanComponent& c : scan.header.components) sum += weight * most_blocks[c.id];
    visits.push_back(sum);
  }
  return visits;
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
  const uint64_t visits = BlockVisits(layout).back();
  if (visits > limits.max_block_visits) {
    return Expected("the blocks of all scans together are limited", limits.max_block_visits,
                    visits);
  }
  return "";
}

std::string ExceededWork(const JpegLayout& layout) {
  if (!layout.frame) return "";
  const std::vector<uint64_t> visits = BlockVisits(layout);
  uint64_t most = kFreeVisits;
  for (size_t i = 0; i < layout.scans.size(); ++i) {
    most += kVisitsPerByte * (layout.scans[i].end - layout.scans[i].sos_offset);
    if (visits[i + 1] > most) {
      return Expected("the blocks of all scans together are limited by the bytes of the scans",
                      most, visits[i + 1]);
    }
  }
  return "";
}

std::string MissingData(const JpegLayout& layout) {
  if (!layout.frame) return "";
  std::array<bool, 256> has_scan{};
  uint64_t data_bytes = 0;
  for (const ScanExtent& scan : layout.scans) {
    data_bytes += scan.end - scan.sos_offset;
    for (const ScanComponent& c : scan.header.components) has_scan[c.id] = true;
  }
  const std::vector<uint64_t> blocks = BlocksOfComponents(*layout.frame);
  uint64_t all = 0;
  uint64_t with_scan = 0;
  for (size_t c = 0; c < blocks.size(); ++c) {
    all += blocks[c];
    if (has_scan[layout.frame->components[c].id]) with_scan += blocks[c];
  }
  const uint64_t bits = std::max(with_scan, all / kBlocksPerBitWithoutScan);
  if (all <= kFreeBlocks || bits <= 8 * data_bytes) return "";
  return Expected("every block takes at least one bit", std::to_string(bits) + " bits",
                  8 * data_bytes);
}

}  // namespace pcr
