// Entropy encoder of progressive Huffman JPEG: from DCT coefficients to the scans of a script,
// several times as fast as libjpeg-turbo's, whose bytes it writes.

#ifndef PCR_OPS_JPEG_ENCODING_PROGRESSIVE_ENCODER_H_
#define PCR_OPS_JPEG_ENCODING_PROGRESSIVE_ENCODER_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "ops/jpeg/syntax/scan_script.h"
#include "ops/jpeg/syntax/zigzag.h"

namespace pcr {

struct EncodedComponent {
  int id = 0;
  int h = 1;  // sampling factors
  int v = 1;
  int quantization_table = 0;  // 0..3
  int huffman_table = 0;       // 0 or 1, of DC and AC
  int width = 0;               // in blocks, without those that only fill up MCUs
  int height = 0;
  std::vector<const CoefficientBlock*> rows;  // of blocks, `height` of them
};

// 8 bits per sample.
struct EncodedFrame {
  int width = 0;
  int height = 0;
  std::vector<EncodedComponent> components;              // 1 to 4
  std::array<const uint16_t*, 4> quantization_tables{};  // natural order
};

// Appends the quantization tables, the frame header and the scans, each with its own best
// Huffman codes: all of an image but SOI, APPn, COM and EOI. `scans` are those of
// ScanScript::ForImage. False if a coefficient or a difference of DC is larger than JPEG of 8 bits
// can code (T.81 F.1.2.1.1, F.1.2.2.1); `out` then holds anything.
bool EncodeProgressive(const EncodedFrame& frame, const std::vector<Scan>& scans, std::string* out);

}  // namespace pcr

#endif  // PCR_OPS_JPEG_ENCODING_PROGRESSIVE_ENCODER_H_
