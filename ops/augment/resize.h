// Bilinear resize of a window of an image whose rows come one by one, with turn, flip and
// normalisation in the same pass.
//
// Samples as tf.image.resize(..., "bilinear") does: pixel i of n covers [i, i + 1) of a
// window stretched to n, and its centre is interpolated between the two nearest pixel centres
// of the window. With antialias the triangle is as wide as an output pixel, as with
// tf.image.resize(..., antialias=True).

#ifndef PCR_OPS_AUGMENT_RESIZE_H_
#define PCR_OPS_AUGMENT_RESIZE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ops/augment/turn.h"
#include "ops/augment/turning_writer.h"

namespace pcr {

// How the pixels of one axis of the output are made of those of the source.
class AxisWeights {
 public:
  // The window is [begin, end) in source pixels, 0 <= begin < end; only pixels that it
  // touches are used. With `mirror`, output pixels come in reverse order.
  void Set(double begin, double end, int output_size, bool antialias, bool mirror);

  int output_size() const { return static_cast<int>(first_.size()); }
  int taps() const { return taps_; }
  // Output pixel i is the sum of weights(i)[k] x source pixel first(i) + k, k < taps().
  int first(int i) const { return first_[i]; }
  const float* weights(int i) const { return &weights_[static_cast<size_t>(i) * taps_]; }

 private:
  int taps_ = 0;
  std::vector<int> first_;
  std::vector<float> weights_;
};

enum class PixelType { kUint8, kFloat32, kBfloat16 };

size_t BytesOf(PixelType type);

struct ResizeSpec {
  // Window in pixels of the source, which may be fractional: the source begins at the pixel
  // that holds (x_begin, y_begin), which are in [0, 1).
  double x_begin = 0;
  double x_end = 0;
  double y_begin = 0;
  double y_end = 0;
  int output_width = 0;
  int output_height = 0;
  int channels = 3;  // 1 or 3, interleaved
  bool antialias = false;
  Turn turn;  // of the window as the source has it, to the output
  // output = resized x scale + offset per channel, on the scale 0..255. Of kUint8 they are 1
  // and 0; its values are rounded.
  float scale[3] = {1, 1, 1};
  float offset[3] = {0, 0, 0};
  PixelType type = PixelType::kUint8;
};

// Reusable; one per thread. For each image Start(), then, while NextRow() gives one, fill it.
class Resizer {
 public:
  // Rows given have row_bytes bytes, the source's first pixel at row_offset. The output is
  // output_height x output_width x channels values of spec.type, without gaps.
  void Start(const ResizeSpec& spec, size_t row_bytes, size_t row_offset, void* output);

  // Where to write the next row of the source, from the first on; nullptr when the output is
  // complete. The row given before counts as written.
  uint8_t* NextRow();

 private:
  void Blend(int resized_row);
  void Store();
  uint8_t* SourceRow(int y);

  ResizeSpec spec_;
  size_t row_bytes_ = 0;
  size_t row_offset_ = 0;
  size_t row_stride_ = 0;
  // Of the source's columns and rows, which the output has as they are or transposed.
  AxisWeights x_;
  AxisWeights y_;
  TurningWriter writer_;
  std::vector<uint8_t> rows_;   // ring of the last y_.taps() rows
  std::vector<float> blended_;  // of the rows behind one output row, and padding
  std::vector<float> resized_;  // a resized row, and padding
  int given_ = 0;               // source rows given out
  int emitted_ = 0;             // resized rows written
};

}  // namespace pcr

#endif  // PCR_OPS_AUGMENT_RESIZE_H_
