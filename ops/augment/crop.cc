#include "ops/augment/crop.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace pcr {
namespace {

// A product that is whole but for rounding counts as whole.
constexpr double kRounding = 1e-6;

// A window's size at an aspect ratio; width 0 if none has an area in range.
CropWindow RandomSize(int width, int height, const RandomCropOptions& options, double ratio,
                      Random* random) {
  const auto width_of = [ratio](int64_t h) { return std::llrint(static_cast<double>(h) * ratio); };
  const double area = static_cast<double>(width) * height;
  const double min_area = options.min_area * area - kRounding;
  const double max_area = options.max_area * area + kRounding;
  // The largest height whose width, rounded, still fits. Bounded by the image's height first,
  // so that extreme ratios do not overflow.
  const double fitting = std::min<double>((width + 0.5) / ratio, height);
  int64_t max_height =
      std::min<int64_t>(std::llrint(std::min<double>(std::sqrt(max_area / ratio), height)),
                        static_cast<int64_t>(fitting));
  if (max_height > 0 && width_of(max_height) > width) --max_height;
  int64_t h = std::llrint(std::min<double>(std::sqrt(min_area / ratio), height));
  h = std::min(h, max_height);
  if (h < max_height) h += random->Below(static_cast<uint32_t>(max_height - h + 1));
  // Rounding may have left the range by one row.
  const auto area_of = [&](int64_t rows) { return static_cast<double>(rows * width_of(rows)); };
  if (area_of(h) < min_area) ++h;
  if (area_of(h) > max_area) --h;
  const int64_t w = width_of(h);
  if (area_of(h) < min_area || area_of(h) > max_area || w < 1 || w > width || h < 1 || h > height) {
    return {};
  }
  return {0, 0, static_cast<int>(w), static_cast<int>(h)};
}

}  // namespace

CropWindow RandomCropWindow(int width, int height, const RandomCropOptions& options,
                            Random* random) {
  for (int attempt = 0; attempt < options.max_attempts; ++attempt) {
    const double ratio = random->Uniform(options.min_aspect_ratio, options.max_aspect_ratio);
    CropWindow window = RandomSize(width, height, options, ratio, random);
    if (window.width == 0) continue;
    window.x = static_cast<int>(random->Below(width - window.width + 1));
    window.y = static_cast<int>(random->Below(height - window.height + 1));
    return window;
  }
  return {0, 0, width, height};
}

CropWindow CenterCropWindow(int width, int height, int output_width, int output_height,
                            double fraction) {
  const double scale = fraction * std::min(static_cast<double>(width) / output_width,
                                           static_cast<double>(height) / output_height);
  const auto side = [scale](int output, int size) {
    return std::clamp(static_cast<int>(scale * output + kRounding), 1, size);
  };
  CropWindow window{0, 0, side(output_width, width), side(output_height, height)};
  // Half a pixel to the right and down where there is no middle, as the usual TensorFlow
  // evaluation pipelines have it.
  window.x = (width - window.width + 1) / 2;
  window.y = (height - window.height + 1) / 2;
  return window;
}

}  // namespace pcr
