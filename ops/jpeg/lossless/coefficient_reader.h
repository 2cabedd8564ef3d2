// The quantized DCT coefficients of a JPEG. Included only inside ops/jpeg.

#ifndef PCR_OPS_JPEG_LOSSLESS_COEFFICIENT_READER_H_
#define PCR_OPS_JPEG_LOSSLESS_COEFFICIENT_READER_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "ops/jpeg/libjpeg/libjpeg.h"
#include "ops/jpeg/syntax/markers.h"
#include "ops/jpeg/syntax/zigzag.h"

namespace pcr {

// Make a new one for each image: libjpeg keeps quantization and Huffman tables from one
// image to the next, so an image without its own would otherwise be decoded differently after
// different predecessors.
class CoefficientReader {
 public:
  explicit CoefficientReader(JpegErrors* errors) : info_() { errors->Watch(&info_); }
  ~CoefficientReader() { jpeg_destroy_decompress(&info_); }
  CoefficientReader(const CoefficientReader&) = delete;
  CoefficientReader& operator=(const CoefficientReader&) = delete;

  // Reads header and coefficients of `jpeg`, which must outlive the reader. Either of the two
  // below, once, inside JpegErrors::Run().

  // With libjpeg.
  void Read(std::string_view jpeg);

  // The header with libjpeg, the coefficients with DecodeProgressiveScans, in half of the
  // time. False if the image, of which this is the layout, is not one for it, or does not send all
  // bits of all coefficients.
  bool ReadProgression(std::string_view jpeg, const JpegLayout& layout);

  const jpeg_decompress_struct& info() const { return info_; }

  // Of each component, its rows of blocks, without those that only fill up MCUs.
  using Rows = std::vector<const CoefficientBlock*>;
  const Rows& rows(int component) const { return rows_[component]; }

 private:
  void ReadHeader(std::string_view jpeg);

  jpeg_decompress_struct info_;
  std::vector<Rows> rows_;
  std::vector<int16_t> blocks_;  // those that are not libjpeg's
};

}  // namespace pcr

#endif  // PCR_OPS_JPEG_LOSSLESS_COEFFICIENT_READER_H_
