#include "ops/augment/turn.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "ops/augment/turning_writer.h"

namespace pcr {
namespace {

struct Place {
  int x = 0;
  int y = 0;
};

// Where EXIF has the pixel (x, y) of the upright image of what is stored as width x height.
Place StoredPlace(int orientation, int x, int y, int width, int height) {
  switch (orientation) {
    case 2:
      return {width - 1 - x, y};
    case 3:
      return {width - 1 - x, height - 1 - y};
    case 4:
      return {x, height - 1 - y};
    case 5:
      return {y, x};
    case 6:
      return {y, height - 1 - x};
    case 7:
      return {width - 1 - y, height - 1 - x};
    case 8:
      return {width - 1 - y, x};
    default:
      return {x, y};
  }
}

TEST(StoredWindow, HoldsThePixelsOfEveryWindowOfTheUprightImage) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Turn turn = UprightTurn(orientation);
    for (const auto& [width, height] : {std::pair{5, 4}, {4, 5}, {1, 6}, {3, 3}}) {
      const int upright_width = turn.transposes ? height : width;
      const int upright_height = turn.transposes ? width : height;
      EXPECT_EQ(turn.transposes, orientation > 4);
      for (int x = 0; x < upright_width; ++x) {
        for (int y = 0; y < upright_height; ++y) {
          for (int right = x + 1; right <= upright_width; ++right) {
            for (int bottom = y + 1; bottom <= upright_height; ++bottom) {
              const CropWindow window =
                  StoredWindow({x, y, right - x, bottom - y}, turn, width, height);
              const Place one = StoredPlace(orientation, x, y, width, height);
              const Place other = StoredPlace(orientation, right - 1, bottom - 1, width, height);
              EXPECT_EQ(window.x, std::min(one.x, other.x));
              EXPECT_EQ(window.y, std::min(one.y, other.y));
              EXPECT_EQ(window.x + window.width - 1, std::max(one.x, other.x));
              EXPECT_EQ(window.y + window.height - 1, std::max(one.y, other.y));
            }
          }
        }
      }
    }
  }
}

// More rows than are moved together, and fewer; of every size of pixel.
TEST(TurningWriter, PutsEveryPixelWhereTheOrientationSays) {
  TurningWriter writer;
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const bool flips : {false, true}) {
      const Turn upright = UprightTurn(orientation);
      const Turn turn = flips ? Flipped(upright) : upright;
      for (const auto& [width, height] : {std::pair{7, 37}, {37, 7}, {32, 48}, {1, 16}, {5, 1}}) {
        for (const size_t pixel_bytes : {1, 2, 3, 4, 6, 12}) {
          const size_t row_bytes = width * pixel_bytes;
          std::vector<uint8_t> stored(row_bytes * height);
          for (size_t i = 0; i < stored.size(); ++i)
            stored[i] = static_cast<uint8_t>(i * 7 + i / 251);
          std::vector<uint8_t> output(stored.size());
          writer.Start(turn, height, width, pixel_bytes, output.data());
          for (int y = 0; y < height; ++y) {
            std::memcpy(writer.NextRow(), &stored[y * row_bytes], row_bytes);
          }
          writer.Finish();
          const int upright_width = turn.transposes ? height : width;
          const int upright_height = turn.transposes ? width : height;
          std::vector<uint8_t> expected;
          for (int y = 0; y < upright_height; ++y) {
            for (int x = 0; x < upright_width; ++x) {
              const int from = flips ? upright_width - 1 - x : x;
              const Place place = StoredPlace(orientation, from, y, width, height);
              const auto* pixel = &stored[place.y * row_bytes + place.x * pixel_bytes];
              expected.insert(expected.end(), pixel, pixel + pixel_bytes);
            }
          }
          EXPECT_EQ(output, expected) << "orientation " << orientation << ", " << width << " x "
                                      << height << ", " << pixel_bytes << " bytes";
        }
      }
    }
  }
}

}  // namespace
}  // namespace pcr
