#include "ops/jpeg/syntax/scan_header.h"

#include <cstddef>

namespace pcr {

Result<ScanHeader> ParseScanHeader(std::string_view segment) {
  // Marker, length, number of components; Ss, Se, Ah and Al.
  constexpr size_t kFixedBytes = 2 + 6;
  const auto byte = [segment](size_t at) { return static_cast<uint8_t>(segment[at]); };
  const size_t num_components = segment.size() < kFixedBytes ? 0 : byte(4);
  if (segment.size() != kFixedBytes + 2 * num_components) {
    return DataLoss(Expected("a scan header holds 6 bytes and 2 for each component",
                             6 + 2 * num_components, segment.size() - 2));
  }
  ScanHeader header;
  header.components.reserve(num_components);
  size_t at = 5;
  for (size_t i = 0; i < num_components; ++i, at += 2) {
    const uint8_t tables = byte(at + 1);
    header.components.push_back({byte(at), tables >> 4, tables & 15});
  }
  header.ss = byte(at);
  header.se = byte(at + 1);
  header.ah = byte(at + 2) >> 4;
  header.al = byte(at + 2) & 15;
  return header;
}

}  // namespace pcr
