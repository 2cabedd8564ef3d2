// Which part of an image a training or evaluation example shows.

#ifndef PCR_OPS_AUGMENT_CROP_H_
#define PCR_OPS_AUGMENT_CROP_H_

#include "ops/augment/random.h"

namespace pcr {

// In pixels of the full image, within it and not empty.
struct CropWindow {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
};

struct RandomCropOptions {
  double min_area = 0.08;  // of the image's; 0 < min_area <= max_area <= 1
  double max_area = 1;
  double min_aspect_ratio = 3.0 / 4;  // width / height; 0 < min <= max
  double max_aspect_ratio = 4.0 / 3;
  int max_attempts = 100;  // at least 1
};

// The distribution of tf.image.sample_distorted_bounding_box for a bounding box of the whole
// image and min_object_covered 0: an aspect ratio, uniform; then a height, uniform over those
// with which the area is in range; then a place, uniform. An attempt fails where no height
// suits the aspect ratio; after max_attempts, the window is the whole image.
CropWindow RandomCropWindow(int width, int height, const RandomCropOptions& options,
                            Random* random);

// The largest window of the output's aspect ratio in the middle of the image, times
// `fraction` in (0, 1]. For a square output, `fraction` of the shorter side.
CropWindow CenterCropWindow(int width, int height, int output_width, int output_height,
                            double fraction);

}  // namespace pcr

#endif  // PCR_OPS_AUGMENT_CROP_H_
