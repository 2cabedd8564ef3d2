// Footer: locates the index and names the contents (docs/FORMAT.md, section 8).

#ifndef PCR_OPS_FORMAT_FOOTER_H_
#define PCR_OPS_FORMAT_FOOTER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "ops/base/status.h"
#include "ops/format/layout.h"

namespace pcr {

struct Footer {
  uint64_t major_version = layout::kMajorVersion;
  uint64_t minor_version = layout::kMinorVersion;
  uint64_t index_offset = 0;
  uint64_t index_frame_size = 0;
  uint64_t num_records = 0;
  uint64_t num_examples = 0;
  uint32_t contents_checksum = 0;
  uint32_t index_checksum = 0;
  uint32_t footer_checksum = 0;  // of the footer frame itself; set by Parse and AppendFooter

  // The footer of a file of `file_bytes` bytes whose last bytes are `tail`.
  static Result<Footer> Parse(std::string_view tail, uint64_t file_bytes);
};

// Appends the footer frame; returns its checksum.
uint32_t AppendFooter(const Footer& footer, std::string* out);

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_FOOTER_H_
