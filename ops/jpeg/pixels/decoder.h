// Pixels of a JPEG, full or a prefix of its scans: a region of it, row by row, at full size
// or shrunk inside the inverse DCT.
//
// Errors are INVALID_ARGUMENT. What decodes and what does not is as in tf.io.decode_jpeg: a
// file that ends before EOI is an error, wherever the region lies; data that is damaged but
// ends properly is decoded as far as it goes, which libjpeg calls a warning.

#ifndef PCR_OPS_JPEG_PIXELS_DECODER_H_
#define PCR_OPS_JPEG_PIXELS_DECODER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "ops/base/status.h"
#include "ops/jpeg/syntax/limits.h"

namespace pcr {

enum class DctMethod {
  kIslow,  // accurate integers
  kIfast,  // less accurate integers; not faster where libjpeg-turbo has AVX2
  kFloat,
};

struct PixelOptions {
  DctMethod dct_method = DctMethod::kIslow;
  // Interpolate subsampled chroma instead of repeating it.
  bool fancy_upsampling = true;
  // Smooth over block borders where a progressive image lacks scans.
  bool block_smoothing = true;
};

struct Region {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
};

// Width or height of an image that is decoded at eighths/8 of its size. Pixel i then covers
// [i, i + 1) * 8 / eighths of the full image: shrinking does not shift it.
inline int ScaledSize(int size, int eighths) {
  return static_cast<int>((static_cast<int64_t>(size) * eighths + 7) / 8);
}

// One per thread. For each image: Open, Start, then ReadRow up to region.height times. Any
// of them may be the last call of an image.
class JpegDecoder {
 public:
  JpegDecoder();
  ~JpegDecoder();
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  // Judges the image by its markers, within `limits`, and reads its headers. `jpeg` must
  // outlive the image's last ReadRow.
  Status Open(std::string_view jpeg, const DecodeLimits& limits = {});

  // Of the opened image.
  int width() const;
  int height() const;
  // That tf.io.decode_jpeg gives it by itself: 1 for greyscale, else 3.
  int natural_channels() const;

  // Prepares rows of `region` of the image at eighths/8 of its size, eighths in 1..8.
  // channels is 1, 3, or 0 for natural_channels(). The region lies within the scaled image
  // and is not empty. Of a progressive image all scans are decoded here, of a sequential
  // one only what the rows asked for need.
  Status Start(const Region& region, int eighths, int channels, const PixelOptions& options);

  // Layout of a row: row_bytes() are written, of which the region's pixels begin at
  // row_offset(), interleaved (R, G, B). The others are neighbours that came for free.
  size_t row_bytes() const;
  size_t row_offset() const;

  // Writes the next row of the region.
  Status ReadRow(uint8_t* row);

 private:
  class Image;
  std::unique_ptr<Image> image_;
};

}  // namespace pcr

#endif  // PCR_OPS_JPEG_PIXELS_DECODER_H_
