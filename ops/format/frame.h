// TFRecord framing (docs/FORMAT.md, section 2).

#ifndef PCR_OPS_FORMAT_FRAME_H_
#define PCR_OPS_FORMAT_FRAME_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ops/base/status.h"

namespace pcr {

struct FrameView {
  std::string_view data;
  uint32_t checksum = 0;  // masked CRC-32C of data, as stored
  uint64_t frame_size = 0;
};

// INVALID_ARGUMENT, with the remedy, if `what` is of more bytes than a frame may hold.
Status CheckFrameDataBytes(std::string_view what, uint64_t bytes);

// Appends a frame around `data`; returns its checksum.
uint32_t AppendFrame(std::string_view data, std::string* out);

// The frame at the start of `bytes`, both CRCs checked. `offset`, where the
// bytes begin in the file, is for error messages only.
Result<FrameView> ParseFrame(std::string_view bytes, uint64_t offset);

// Size of the frame that begins with `bytes`, as its length field says. None if
// that field is not all there, is damaged, or claims what no frame may have.
std::optional<uint64_t> ClaimedFrameSize(std::string_view bytes);

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_FRAME_H_
