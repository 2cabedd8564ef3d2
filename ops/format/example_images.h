// Takes the images out of a serialized tf.train.Example (docs/FORMAT.md,
// section 6): the writer's counterpart of RecordPrefix::WriteExample.

#ifndef PCR_OPS_FORMAT_EXAMPLE_IMAGES_H_
#define PCR_OPS_FORMAT_EXAMPLE_IMAGES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/base/status.h"

namespace pcr {

struct SplitExample {
  std::string stored;                    // the example without its images
  std::vector<uint64_t> image_counts;    // [F]
  std::vector<std::string_view> images;  // views into the example, by feature, then position
};

// INVALID_ARGUMENT if the bytes are not an Example, or an image feature is not
// a bytes_list.
Result<SplitExample> TakeImages(std::string_view example,
                                const std::vector<std::string>& image_features);

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_EXAMPLE_IMAGES_H_
