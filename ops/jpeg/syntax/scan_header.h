// The header of a scan (SOS, T.81 B.2.3): the only place that reads its bytes.

#ifndef PCR_OPS_JPEG_SYNTAX_SCAN_HEADER_H_
#define PCR_OPS_JPEG_SYNTAX_SCAN_HEADER_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "ops/base/status.h"

namespace pcr {

struct ScanComponent {
  int id = 0;
  int dc_table = 0;  // 0 to 15; T.81 has 0 to 3
  int ac_table = 0;
};

struct ScanHeader {
  std::vector<ScanComponent> components;
  int ss = 0;  // first coefficient in zigzag order; 0: DC
  int se = 0;  // last coefficient
  int ah = 0;  // bit position of the scan before; 0: the first scan of these coefficients
  int al = 0;  // bit position of this one
};

// Parses a whole SOS segment, marker and length included. Checks its size, not its values: what
// they may be depends on the coding. Errors are DATA_LOSS without a place.
Result<ScanHeader> ParseScanHeader(std::string_view segment);

}  // namespace pcr

#endif  // PCR_OPS_JPEG_SYNTAX_SCAN_HEADER_H_
