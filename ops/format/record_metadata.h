// RecordMetadata: the metadata frame of a record (docs/FORMAT.md, section 6).

#ifndef PCR_OPS_FORMAT_RECORD_METADATA_H_
#define PCR_OPS_FORMAT_RECORD_METADATA_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/base/status.h"
#include "ops/format/coded_image.h"

namespace pcr {

// Examples are views: into the frame when read, into the writer's memory when written.
struct RecordMetadata {
  uint64_t record = 0;
  std::vector<std::string_view> examples;   // [N]
  std::vector<uint64_t> image_counts;       // [N x F]
  std::vector<Coding> codings;              // [M]
  std::vector<uint64_t> slice_sizes;        // [G x M]
  std::vector<uint64_t> ancillary_offsets;  // [M]
  std::vector<uint64_t> ancillary_sizes;    // [M]
  std::vector<uint64_t> trailing_sizes;     // [M]
  std::vector<uint64_t> group_checksums;    // [G]
  std::vector<uint64_t> orientations;       // [M]; all 0 where the frame has none
  // Of all images, when inflated; follows from the sizes.
  uint64_t ancillary_stream_bytes = 0;

  uint64_t num_examples() const { return examples.size(); }
  uint64_t num_images() const { return codings.size(); }

  // The data of the frame.
  std::string Serialize() const;

  // Checks everything that can be checked within the frame: counts agree, and
  // the parts of each image fit together (section 10).
  static Result<RecordMetadata> Parse(std::string_view data, int num_groups,
                                      int num_image_features);
};

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_RECORD_METADATA_H_
