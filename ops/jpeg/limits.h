// Limits against decompression bombs, judged from the markers before libjpeg allocates
// or decodes anything.

#ifndef PCR_OPS_JPEG_LIMITS_H_
#define PCR_OPS_JPEG_LIMITS_H_

#include <cstdint>
#include <string>

#include "ops/jpeg/markers.h"

namespace pcr {

struct DecodeLimits {
  uint64_t max_pixels = uint64_t{512} << 20;  // width x height
  uint64_t max_scans = 1000;
  // Sum over the scans of the 8x8 blocks that each goes through: what bounds the time
  // of a progressive image, whose scans may be a few bytes long. 2^30 take 5 to 10 s.
  uint64_t max_block_visits = uint64_t{1} << 30;
};

// "" if the image lies within the limits, else which one it exceeds.
std::string ExceededLimit(const JpegLayout& layout, const DecodeLimits& limits);

// "" if the image has at least the one bit that Huffman coding spends on every block of
// the components in its scans, else the contradiction. Bounds the memory of coefficients,
// 128 bytes per block, by 1024 times the image's bytes. Re-coding takes up to 96 bytes per block
// beside them, 4 for each coefficient that a scan tells of, and the proof afterwards 136.
std::string MissingData(const JpegLayout& layout);

}  // namespace pcr

#endif  // PCR_OPS_JPEG_LIMITS_H_
