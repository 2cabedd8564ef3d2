// The ancillary stream of a record: the ancillary and trailing bytes of all its
// images, deflated together (docs/FORMAT.md, section 6).

#ifndef PCR_OPS_FORMAT_ANCILLARY_H_
#define PCR_OPS_FORMAT_ANCILLARY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "ops/base/status.h"

namespace pcr {

// The zlib stream of `bytes`; no bytes at all for no bytes.
// INVALID_ARGUMENT if `bytes` are more than a stream may hold.
Result<std::string> DeflateAncillary(std::string_view bytes);

// The `size` bytes of `stream`. DATA_LOSS unless it is whole, holds exactly
// `size` bytes and nothing follows it. Spends memory on what the stream yields,
// not on what it is said to hold.
Result<std::string> InflateAncillary(std::string_view stream, uint64_t size);

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_ANCILLARY_H_
