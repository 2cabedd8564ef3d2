#include "ops/augment/turning_writer.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace pcr {
namespace {

// Rows that become columns are moved together, so that what is written lies side by side.
constexpr int kBlockRows = 16;

// Calls move(bytes) with the size as a constant, so that pixels are copied without a loop.
template <typename Move>
void WithConstant(size_t pixel_bytes, const Move& move) {
  switch (pixel_bytes) {
    case 1:
      return move(std::integral_constant<size_t, 1>());
    case 2:
      return move(std::integral_constant<size_t, 2>());
    case 3:
      return move(std::integral_constant<size_t, 3>());
    case 4:
      return move(std::integral_constant<size_t, 4>());
    case 6:
      return move(std::integral_constant<size_t, 6>());
    default:
      return move(std::integral_constant<size_t, 12>());
  }
}

}  // namespace

void TurningWriter::Start(const Turn& turn, int rows, int row_pixels, size_t pixel_bytes,
                          void* output) {
  turn_ = turn;
  rows_ = rows;
  row_pixels_ = row_pixels;
  pixel_bytes_ = pixel_bytes;
  output_ = static_cast<uint8_t*>(output);
  given_ = 0;
  if (turn.transposes) block_.resize(kBlockRows * pixel_bytes * row_pixels);
}

uint8_t* TurningWriter::NextRow() {
  PlaceLastRow();
  const int row = given_++;
  if (!turn_.transposes) return OutputRow(row);
  return &block_[(row % kBlockRows) * pixel_bytes_ * row_pixels_];
}

void TurningWriter::Finish() {
  PlaceLastRow();
  given_ = 0;
}

// Of an image that is not transposed.
uint8_t* TurningWriter::OutputRow(int row) const {
  const int to = turn_.mirrors_rows ? rows_ - 1 - row : row;
  return output_ + pixel_bytes_ * row_pixels_ * to;
}

void TurningWriter::PlaceLastRow() {
  if (given_ == 0) return;
  if (turn_.transposes) {
    if (given_ % kBlockRows == 0 || given_ == rows_) PlaceBlock();
  } else if (turn_.mirrors_columns) {
    uint8_t* const row = OutputRow(given_ - 1);
    WithConstant(pixel_bytes_, [this, row](const auto bytes) {
      uint8_t* left = row;
      uint8_t* right = row + bytes * (row_pixels_ - 1);
      for (; left < right; left += bytes, right -= bytes) {
        std::swap_ranges(left, left + bytes, right);
      }
    });
  }
}

void TurningWriter::PlaceBlock() {
  const int begin = (given_ - 1) / kBlockRows * kBlockRows;
  const int n = given_ - begin;
  WithConstant(pixel_bytes_, [this, begin, n](const auto bytes) {
    const size_t row_bytes = bytes * row_pixels_;
    const size_t output_row_bytes = bytes * rows_;
    for (int x = 0; x < row_pixels_; ++x) {
      const int y = turn_.mirrors_columns ? row_pixels_ - 1 - x : x;
      uint8_t* const to = output_ + output_row_bytes * y;
      const uint8_t* const from = block_.data() + bytes * x;
      for (int k = 0; k < n; ++k) {
        const int column = turn_.mirrors_rows ? rows_ - 1 - (begin + k) : begin + k;
        std::memcpy(to + bytes * column, from + row_bytes * k, bytes);
      }
    }
  });
}

}  // namespace pcr
