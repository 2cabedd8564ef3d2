// Regions of images, for tests of what decodes them.

#ifndef PCR_TESTS_CPP_RANDOM_REGION_H_
#define PCR_TESTS_CPP_RANDOM_REGION_H_

#include <random>

#include "ops/jpeg/pixels/decoder.h"

namespace pcr {

inline Region RandomRegion(int width, int height, std::mt19937* random) {
  Region region;
  region.x = static_cast<int>((*random)() % width);
  region.y = static_cast<int>((*random)() % height);
  region.width = 1 + static_cast<int>((*random)() % (width - region.x));
  region.height = 1 + static_cast<int>((*random)() % (height - region.y));
  return region;
}

}  // namespace pcr

#endif  // PCR_TESTS_CPP_RANDOM_REGION_H_
