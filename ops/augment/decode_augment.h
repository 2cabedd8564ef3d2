// From the bytes of a JPEG to a training or evaluation example, in one pass: turn, crop, resize,
// flip and normalise while decoding only what the crop needs.

#ifndef PCR_OPS_AUGMENT_DECODE_AUGMENT_H_
#define PCR_OPS_AUGMENT_DECODE_AUGMENT_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "ops/augment/crop.h"
#include "ops/augment/random.h"
#include "ops/augment/resize.h"
#include "ops/base/status.h"
#include "ops/jpeg/pixels/decoder.h"
#include "ops/jpeg/syntax/limits.h"

namespace pcr {

enum class CropMode {
  kRandom,  // RandomCropWindow, and a flip
  kCenter,  // CenterCropWindow
};

struct AugmentOptions {
  int height = 224;
  int width = 224;
  int channels = 3;  // 1 or 3
  CropMode crop = CropMode::kRandom;
  RandomCropOptions random_crop;
  double flip_probability = 0.5;
  double center_fraction = 0.875;
  // output = (pixel - mean) / stddev per channel, on the scale 0..255. Both empty: as it is,
  // the only choice for kUint8.
  std::vector<double> mean;
  std::vector<double> stddev;
  PixelType type = PixelType::kUint8;
  bool antialias = false;
  // Decode at 1/2, 1/4 or 1/8 of the size where the crop is then no smaller than the output.
  // An image so shrunk holds averages, where bilinear resize of the full one without
  // antialias skips pixels.
  bool dct_scaling = true;
  // Whether the image is turned upright, by its EXIF orientation, before all else.
  bool honor_orientation = false;
  PixelOptions pixels;
  DecodeLimits limits;

  // INVALID_ARGUMENT: "<option>; expected <range>, got <value>".
  Status Validate() const;
  size_t output_bytes() const {
    return static_cast<size_t>(height) * width * channels * BytesOf(type);
  }
};

// One per thread.
class DecodeAugmenter {
 public:
  // Writes height x width x channels values of options.type to `output`. The result depends
  // on the arguments alone. CropMode::kCenter ignores `seed`. Requires valid options. After an
  // error the contents of `output` are undefined.
  // Errors: INVALID_ARGUMENT, as JpegDecoder's.
  Status Run(std::string_view jpeg, const AugmentOptions& options, const Seed& seed, void* output);

 private:
  JpegDecoder decoder_;
  Resizer resizer_;
};

// The smallest of 8, 4, 2 and 1 eighths at which the window is no smaller than the output.
int DctScale(const CropWindow& window, int output_width, int output_height);

}  // namespace pcr

#endif  // PCR_OPS_AUGMENT_DECODE_AUGMENT_H_
