// Limits against decompression bombs, judged from the markers before libjpeg allocates
// or decodes anything.

#ifndef PCR_OPS_JPEG_SYNTAX_LIMITS_H_
#define PCR_OPS_JPEG_SYNTAX_LIMITS_H_

#include <cstdint>
#include <string>

#include "ops/jpeg/syntax/markers.h"

namespace pcr {

struct DecodeLimits {
  uint64_t max_pixels = uint64_t{512} << 20;  // width x height
  uint64_t max_scans = 1000;
  // Sum over the scans of the 8x8 blocks that each goes through, four times for arithmetic coding:
  // what bounds the time of a progressive image, whose scans may be a few bytes long. A visit takes
  // 20 to 40 ns.
  uint64_t max_block_visits = uint64_t{1} << 30;
};

// "" if the image lies within the limits, else which one it exceeds.
std::string ExceededLimit(const JpegLayout& layout, const DecodeLimits& limits);

// "" if the scans are worth the time that they take, by their bytes, else the contradiction. Up to
// each scan there may be 2^22 visits, and 256 more for every byte. A block takes at least a bit in
// the first scan of its component, so that 32 scans of each component are always within this. If
// an image is, so is each prefix of its scans.
std::string ExceededWork(const JpegLayout& layout);

// "" if the image has as many bytes in its scans as its blocks need, else the contradiction. Bounds
// the memory of coefficients and marks, 136 bytes per block. 2^18 blocks (36 MB) are free. Of more,
// every block of a component with a scan needs a bit, which Huffman coding spends at least: 1088
// times the image's bytes. Components without a scan, as a prefix may have, bring no data and yet
// take memory: of all blocks together, every sixteenth needs a bit.
// Re-coding takes up to 96 bytes per block beside them, 4 for each coefficient that a scan tells
// of, and the proof afterwards 136.
std::string MissingData(const JpegLayout& layout);

}  // namespace pcr

#endif  // PCR_OPS_JPEG_SYNTAX_LIMITS_H_
