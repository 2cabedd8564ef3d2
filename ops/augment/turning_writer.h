// Writes the rows of an image, which come one by one, into the turned image.

#ifndef PCR_OPS_AUGMENT_TURNING_WRITER_H_
#define PCR_OPS_AUGMENT_TURNING_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ops/augment/turn.h"

namespace pcr {

// Reusable; one per thread. For each image Start(), then `rows` times NextRow(), each filled, then
// Finish().
class TurningWriter {
 public:
  // The image has `rows` rows of row_pixels pixels, each of 1 or 3 values of 1, 2 or 4 bytes. The
  // turned image has no gaps between its rows. Unless it is transposed, NextRow() points into
  // `output`.
  void Start(const Turn& turn, int rows, int row_pixels, size_t pixel_bytes, void* output);

  // Where to write the next row. The row before counts as written.
  uint8_t* NextRow();

  // The last row counts as written.
  void Finish();

 private:
  uint8_t* OutputRow(int row) const;
  void PlaceLastRow();
  void PlaceBlock();

  Turn turn_;
  int rows_ = 0;
  int row_pixels_ = 0;
  size_t pixel_bytes_ = 0;
  uint8_t* output_ = nullptr;
  std::vector<uint8_t> block_;  // of rows that become columns, until there are enough of them
  int given_ = 0;               // rows given out
};

}  // namespace pcr

#endif  // PCR_OPS_AUGMENT_TURNING_WRITER_H_
