// An image as a record stores it (docs/FORMAT.md, section 10): what the jpeg
// layer makes and the shard writer lays out.

#ifndef PCR_OPS_FORMAT_CODED_IMAGE_H_
#define PCR_OPS_FORMAT_CODED_IMAGE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace pcr {

enum class Coding : uint8_t { kProgressive = 0, kOpaque = 1 };

struct CodedImage {
  Coding coding = Coding::kOpaque;
  // Progressive: from SOI to the end of the last scan, without EOI.
  // Opaque: the image's bytes as they came.
  std::string scans;
  // Bytes of `scans` in each scan group; their sum is scans.size().
  // Opaque: all in group 1.
  std::vector<uint64_t> group_sizes;
  // Segments that do not change pixels, and where in the full stream they go.
  std::string ancillary;
  uint64_t ancillary_offset = 0;
  // Bytes that followed EOI in the source.
  std::string trailing;
  // The EXIF orientation in `ancillary`, 2 to 8; 0 where there is none or it is upright (1).
  uint8_t orientation = 0;
};

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_CODED_IMAGE_H_
