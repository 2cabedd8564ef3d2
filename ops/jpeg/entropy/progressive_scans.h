// Entropy decoder of progressive Huffman JPEG: from scans to DCT coefficients, about twice as fast
// as libjpeg-turbo's.
//
// Handles well-formed images only; returns false for anything else, and the caller falls back to
// libjpeg.

#ifndef PCR_OPS_JPEG_ENTROPY_PROGRESSIVE_SCANS_H_
#define PCR_OPS_JPEG_ENTROPY_PROGRESSIVE_SCANS_H_

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "ops/jpeg/syntax/markers.h"
#include "ops/jpeg/syntax/zigzag.h"

namespace pcr {

struct CoefficientPlane {
  int width = 0;  // in blocks, without those that only fill up MCUs
  int height = 0;
  std::vector<CoefficientBlock*> rows;  // of blocks, at least `height`
  // Per block, for each coefficient whether it is not zero: 2^(63-k) for the k-th in zigzag
  // order. AC only.
  std::vector<uint64_t> nonzero;
  // Per coefficient in zigzag order: how many low bits no scan has sent yet; -1: all.
  std::array<int, 64> missing_bits{};
};

// Whether an image is one for DecodeProgressiveScans, by its markers: 8 bits, Huffman coding,
// 1 to 4 components, no restarts, a first scan with the DC of all components, and no segments that
// such an image has no use for.
bool HasPlainProgression(std::string_view jpeg, const JpegLayout& layout);

// What data of a scan means that stand behind its last block: libjpeg warns of more than a few
// bytes, and decodes the image all the same.
enum class LeftoverData { kIsIgnored, kIsRefused };

// Decodes all scans into `planes`, one per component of the frame. Requires
// HasPlainProgression, and rows whose AC coefficients are zero. False if the image is not
// well-formed; the planes then hold anything.
bool DecodeProgressiveScans(std::string_view jpeg, const JpegLayout& layout, LeftoverData leftover,
                            std::vector<CoefficientPlane>* planes);

}  // namespace pcr

#endif  // PCR_OPS_JPEG_ENTROPY_PROGRESSIVE_SCANS_H_
