// Header: what a file's records have in common (docs/FORMAT.md, section 5).

#ifndef PCR_OPS_FORMAT_HEADER_H_
#define PCR_OPS_FORMAT_HEADER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/base/status.h"
#include "ops/format/example_wire.h"
#include "ops/format/layout.h"

namespace pcr {

struct Header {
  uint64_t major_version = layout::kMajorVersion;
  uint64_t minor_version = layout::kMinorVersion;
  std::vector<uint64_t> scans_per_group;  // one entry for each scan group
  std::string scan_script;
  std::vector<std::string> image_features;
  std::string created_by;

  int num_groups() const { return static_cast<int>(scans_per_group.size()); }

  // Adds `pcr/frame` = kind and the header's features.
  void AddTo(std::string_view kind, ExampleBuilder* builder) const;

  // Reads them back. INVALID_ARGUMENT for a version or flag this reader must
  // refuse, DATA_LOSS for a frame that is not what section 5 says.
  static Result<Header> Parse(std::string_view kind, const ExampleView& view);

  // OK if files with these headers may form one data set; else the difference.
  Status CheckCompatible(const Header& other) const;
};

// INVALID_ARGUMENT unless this reader reads files of that version and flags.
Status CheckVersion(uint64_t major_version, uint64_t minor_version, uint64_t flags);

// DATA_LOSS unless the frame is of that kind.
Status CheckKind(std::string_view kind, const ExampleView& view);

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_HEADER_H_
