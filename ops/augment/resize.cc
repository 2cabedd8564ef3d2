#include "ops/augment/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

// The compiler makes these loops twice, and the loader takes the one that the processor can
// run. Both give the same bits: neither contracts a product and a sum.
#if defined(PCR_VECTORIZED)
// ThreadSanitizer leaves it out: the loader would choose before the sanitizer has begun.
#elif defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define PCR_VECTORIZED __attribute__((target_clones("avx2", "default")))
#else
#define PCR_VECTORIZED
#endif

namespace pcr {
namespace {

// Four channels, of which up to three are used.
using Pixel = float __attribute__((vector_size(16)));

// Vectorized loops handle whole vectors; rows of float have this much room behind them.
constexpr size_t kPadding = 16;

constexpr size_t kAlignment = 64;

Pixel LoadPixel(const float* from) {
  Pixel pixel;
  std::memcpy(&pixel, from, sizeof pixel);
  return pixel;
}

PCR_VECTORIZED
void BlendTwo(const uint8_t* __restrict a, const uint8_t* __restrict b, float weight, size_t n,
              float* __restrict to) {
  for (size_t i = 0; i < n; ++i) {
    const int x = a[i];
    to[i] = static_cast<float>(x) + static_cast<float>(b[i] - x) * weight;
  }
}

PCR_VECTORIZED
void Scale(const uint8_t* __restrict from, float weight, size_t n, float* __restrict to) {
  for (size_t i = 0; i < n; ++i) to[i] = static_cast<float>(from[i]) * weight;
}

PCR_VECTORIZED
void AddScaled(const uint8_t* __restrict from, float weight, size_t n, float* __restrict to) {
  for (size_t i = 0; i < n; ++i) to[i] += static_cast<float>(from[i]) * weight;
}

// Rounded to nearest, ties up. The values are averages of bytes.
PCR_VECTORIZED
void ToUint8(const float* __restrict from, size_t n, uint8_t* __restrict to) {
  for (size_t i = 0; i < n; ++i) {
    // NOLINTNEXTLINE(bugprone-incorrect-roundings): right for values that are not negative
    to[i] = static_cast<uint8_t>(static_cast<int>(from[i] + 0.5F));
  }
}

// Rounded to nearest, ties to even. The values are finite.
PCR_VECTORIZED
void ToBfloat16(const float* __restrict from, size_t n, uint16_t* __restrict to) {
  for (size_t i = 0; i < n; ++i) {
    uint32_t bits;
    std::memcpy(&bits, from + i, sizeof bits);
    to[i] = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
}

// Of `row`, pixels of 3 channels. Writes 4 values for each pixel, the last of them over the
// first of the next pixel, so that `to` has room for one more.
// kTaps, if not 0, is axis.taps().
template <int kTaps>
void ResizeColor(const float* row, const AxisWeights& axis, Pixel scale, Pixel offset, float* to) {
  const int n = axis.output_size();
  const int taps = kTaps != 0 ? kTaps : axis.taps();
  for (int i = 0; i < n; ++i) {
    const float* const from = row + ptrdiff_t{3} * axis.first(i);
    const float* const weights = axis.weights(i);
    Pixel sum = LoadPixel(from) * weights[0];
    for (int k = 1; k < taps; ++k) sum += LoadPixel(from + ptrdiff_t{3} * k) * weights[k];
    sum = sum * scale + offset;
    std::memcpy(to + ptrdiff_t{3} * i, &sum, sizeof sum);
  }
}

void ResizeGrey(const float* row, const AxisWeights& axis, float scale, float offset, float* to) {
  const int n = axis.output_size();
  const int taps = axis.taps();
  for (int i = 0; i < n; ++i) {
    const float* const from = row + axis.first(i);
    const float* const weights = axis.weights(i);
    float sum = from[0] * weights[0];
    for (int k = 1; k < taps; ++k) sum += from[k] * weights[k];
    to[i] = sum * scale + offset;
  }
}

}  // namespace

void AxisWeights::Set(double begin, double end, int output_size, bool antialias, bool mirror) {
  const double step = (end - begin) / output_size;
  const double radius = antialias ? std::max(step, 1.0) : 1.0;
  const int low = static_cast<int>(std::floor(begin));
  const int high = static_cast<int>(std::ceil(end)) - 1;
  // So many pixel centres at most lie in an open interval of length 2 x radius.
  taps_ = std::min(static_cast<int>(std::ceil(2 * radius)), high - low + 1);
  first_.resize(output_size);
  weights_.assign(static_cast<size_t>(output_size) * taps_, 0);
  for (int i = 0; i < output_size; ++i) {
    const double center = begin + (i + 0.5) * step;
    const int to = mirror ? output_size - 1 - i : i;
    const int first =
        std::clamp(static_cast<int>(std::floor(center - radius - 0.5)) + 1, low, high + 1 - taps_);
    float* const weights = &weights_[static_cast<size_t>(to) * taps_];
    double sum = 0;
    for (int k = 0; k < taps_; ++k) {
      sum += std::max(0.0, 1 - std::abs(first + k + 0.5 - center) / radius);
    }
    for (int k = 0; k < taps_; ++k) {
      const double weight = std::max(0.0, 1 - std::abs(first + k + 0.5 - center) / radius);
      weights[k] = static_cast<float>(weight / sum);
    }
    first_[to] = first;
  }
}

size_t BytesOf(PixelType type) {
  switch (type) {
    case PixelType::kUint8:
      return 1;
    case PixelType::kBfloat16:
      return 2;
    case PixelType::kFloat32:
      break;
  }
  return 4;
}

void Resizer::Start(const ResizeSpec& spec, size_t row_bytes, size_t row_offset, void* output) {
  spec_ = spec;
  row_bytes_ = row_bytes;
  row_offset_ = row_offset;
  int columns = spec.output_width;
  int rows = spec.output_height;
  if (spec.turn.transposes) std::swap(columns, rows);
  x_.Set(spec.x_begin, spec.x_end, columns, spec.antialias, spec.turn.mirrors_columns);
  y_.Set(spec.y_begin, spec.y_end, rows, spec.antialias, false);
  Turn left = spec.turn;
  left.mirrors_columns = false;  // x_ does that
  writer_.Start(left, rows, columns, spec.channels * BytesOf(spec.type), output);
  row_stride_ = (row_bytes + kAlignment - 1) / kAlignment * kAlignment;
  rows_.resize(row_stride_ * y_.taps() + 2 * kAlignment);
  blended_.resize(row_bytes + kPadding);
  resized_.resize(static_cast<size_t>(columns) * spec.channels + kPadding);
  given_ = 0;
  emitted_ = 0;
}

// libjpeg-turbo writes an aligned row past the caches, from which it is read at once here: so
// every row begins one byte behind an aligned address.
uint8_t* Resizer::SourceRow(int y) {
  const size_t to_aligned = -reinterpret_cast<uintptr_t>(rows_.data()) % kAlignment;
  return &rows_[to_aligned + static_cast<size_t>(y % y_.taps()) * row_stride_ + 1];
}

uint8_t* Resizer::NextRow() {
  while (emitted_ < y_.output_size() && y_.first(emitted_) + y_.taps() <= given_) {
    Blend(emitted_++);
    Store();
  }
  if (emitted_ == y_.output_size()) {
    writer_.Finish();
    return nullptr;
  }
  return SourceRow(given_++);
}

void Resizer::Blend(int resized_row) {
  const auto row = [this, resized_row](int k) {
    return SourceRow(y_.first(resized_row) + k) + row_offset_;
  };
  const float* const weights = y_.weights(resized_row);
  const size_t n = row_bytes_ - row_offset_;
  float* const blended = blended_.data();
  if (y_.taps() == 2) {
    BlendTwo(row(0), row(1), weights[1], n, blended);
    return;
  }
  Scale(row(0), weights[0], n, blended);
  for (int k = 1; k < y_.taps(); ++k) {
    if (weights[k] != 0) AddScaled(row(k), weights[k], n, blended);
  }
}

void Resizer::Store() {
  float* const resized = resized_.data();
  if (spec_.channels == 3) {
    const Pixel scale = {spec_.scale[0], spec_.scale[1], spec_.scale[2], 0};
    const Pixel offset = {spec_.offset[0], spec_.offset[1], spec_.offset[2], 0};
    const auto resize = x_.taps() == 2 ? ResizeColor<2> : ResizeColor<0>;
    resize(blended_.data(), x_, scale, offset, resized);
  } else {
    ResizeGrey(blended_.data(), x_, spec_.scale[0], spec_.offset[0], resized);
  }
  const size_t n = static_cast<size_t>(x_.output_size()) * spec_.channels;
  uint8_t* const to = writer_.NextRow();
  switch (spec_.type) {
    case PixelType::kUint8:
      ToUint8(resized, n, to);
      break;
    case PixelType::kFloat32:
      std::memcpy(to, resized, n * sizeof(float));
      break;
    case PixelType::kBfloat16:
      ToBfloat16(resized, n, reinterpret_cast<uint16_t*>(to));
      break;
  }
}

}  // namespace pcr
