#include "ops/augment/decode_augment.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>

#include "ops/augment/turn.h"
#include "ops/jpeg/syntax/exif_orientation.h"

namespace pcr {
namespace {

// Bounds what one output costs, far above any use.
constexpr int kMaxSide = 1 << 14;
constexpr double kMaxAspectRatio = 1e4;

std::string NumberText(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", number);
  return text;
}

Status Require(bool ok, std::string_view option, std::string_view expected, double got) {
  return ok ? Status() : InvalidArgument(Expected(option, expected, NumberText(got)));
}

Status CheckRange(std::string_view option, double low, double high, double min, double max,
                  std::string_view expected) {
  // Comparisons with NaN are false.
  PCR_RETURN_IF_ERROR(Require(low >= min && low <= max, option, expected, low));
  return Require(high >= low && high <= max, option, expected, high);
}

ResizeSpec SpecOf(const AugmentOptions& options) {
  ResizeSpec spec;
  spec.output_width = options.width;
  spec.output_height = options.height;
  spec.channels = options.channels;
  spec.antialias = options.antialias;
  spec.type = options.type;
  for (size_t c = 0; c < options.stddev.size(); ++c) {
    spec.scale[c] = static_cast<float>(1 / options.stddev[c]);
    spec.offset[c] = static_cast<float>(-options.mean[c] / options.stddev[c]);
  }
  return spec;
}

}  // namespace

Status AugmentOptions::Validate() const {
  const auto side = [](std::string_view option, int value) {
    return Require(value >= 1 && value <= kMaxSide, option, "1..16384", value);
  };
  PCR_RETURN_IF_ERROR(side("height", height));
  PCR_RETURN_IF_ERROR(side("width", width));
  PCR_RETURN_IF_ERROR(Require(channels == 1 || channels == 3, "channels", "1 or 3", channels));
  PCR_RETURN_IF_ERROR(CheckRange("area_range", random_crop.min_area, random_crop.max_area, 1e-9, 1,
                                 "two numbers, 0 < low <= high <= 1"));
  PCR_RETURN_IF_ERROR(CheckRange("aspect_ratio_range", random_crop.min_aspect_ratio,
                                 random_crop.max_aspect_ratio, 1 / kMaxAspectRatio, kMaxAspectRatio,
                                 "two numbers, 0.0001 <= low <= high <= 10000"));
  PCR_RETURN_IF_ERROR(Require(random_crop.max_attempts >= 1, "max_attempts", "1 or more",
                              random_crop.max_attempts));
  PCR_RETURN_IF_ERROR(Require(flip_probability >= 0 && flip_probability <= 1, "flip_probability",
                              "0..1", flip_probability));
  PCR_RETURN_IF_ERROR(Require(center_fraction > 0 && center_fraction <= 1, "crop_fraction",
                              "0 < crop_fraction <= 1", center_fraction));
  if (mean.size() != stddev.size() || (!mean.empty() && mean.size() != size_t(channels))) {
    return InvalidArgument("mean and stddev; expected none or " + std::to_string(channels) +
                           " values each, got " + std::to_string(mean.size()) + " and " +
                           std::to_string(stddev.size()));
  }
  if (!mean.empty() && type == PixelType::kUint8) {
    return InvalidArgument("type of a normalised output; expected float32 or bfloat16, got uint8");
  }
  const auto is_float = [](double value) {
    return std::abs(value) <= std::numeric_limits<float>::max();
  };
  for (const double value : stddev) {
    PCR_RETURN_IF_ERROR(Require(value > 0 && std::isfinite(value) && is_float(255 / value),
                                "stddev", "numbers above 0 by which float32 can divide 255",
                                value));
  }
  for (size_t c = 0; c < mean.size(); ++c) {
    PCR_RETURN_IF_ERROR(Require(is_float(mean[c] / stddev[c]), "mean",
                                "numbers whose quotient by stddev float32 can hold", mean[c]));
  }
  return Status();
}

int DctScale(const CropWindow& window, int output_width, int output_height) {
  int eighths = 8;
  while (eighths > 1 && int64_t{window.width} * eighths / 2 >= int64_t{8} * output_width &&
         int64_t{window.height} * eighths / 2 >= int64_t{8} * output_height) {
    eighths /= 2;
  }
  return eighths;
}

Status DecodeAugmenter::Run(std::string_view jpeg, const AugmentOptions& options, const Seed& seed,
                            void* output) {
  PCR_RETURN_IF_ERROR(decoder_.Open(jpeg, options.limits));
  ResizeSpec spec = SpecOf(options);
  if (options.honor_orientation) spec.turn = UprightTurn(ExifOrientation(jpeg));
  const Turn turn = spec.turn;
  int width = decoder_.width();
  int height = decoder_.height();
  if (turn.transposes) std::swap(width, height);
  CropWindow window;
  if (options.crop == CropMode::kRandom) {
    Random random(seed);
    if (random.Uniform() < options.flip_probability) spec.turn = Flipped(turn);
    window = RandomCropWindow(width, height, options.random_crop, &random);
  } else {
    window =
        CenterCropWindow(width, height, options.width, options.height, options.center_fraction);
  }

  const int eighths = options.dct_scaling ? DctScale(window, options.width, options.height) : 8;
  window = StoredWindow(window, turn, decoder_.width(), decoder_.height());
  const double scale = eighths / 8.0;
  const auto first = [eighths](int begin) { return begin * eighths / 8; };
  const Region region = {first(window.x), first(window.y),
                         ScaledSize(window.x + window.width, eighths) - first(window.x),
                         ScaledSize(window.y + window.height, eighths) - first(window.y)};
  PCR_RETURN_IF_ERROR(decoder_.Start(region, eighths, options.channels, options.pixels));
  spec.x_begin = window.x * scale - region.x;
  spec.y_begin = window.y * scale - region.y;
  spec.x_end = spec.x_begin + window.width * scale;
  spec.y_end = spec.y_begin + window.height * scale;
  resizer_.Start(spec, decoder_.row_bytes(), decoder_.row_offset(), output);
  while (uint8_t* const row = resizer_.NextRow()) {
    PCR_RETURN_IF_ERROR(decoder_.ReadRow(row));
  }
  return Status();
}

}  // namespace pcr
