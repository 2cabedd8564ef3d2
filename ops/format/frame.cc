#include "ops/format/frame.h"

#include "ops/base/byte_reader.h"
#include "ops/base/byte_writer.h"
#include "ops/base/crc32c.h"
#include "ops/format/layout.h"

namespace pcr {

using layout::kFrameHeaderBytes;
using layout::kFrameOverheadBytes;

Status CheckFrameDataBytes(std::string_view what, uint64_t bytes) {
  if (bytes <= layout::kMaxFrameDataBytes) return Status();
  return InvalidArgument(Expected(std::string(what) + " (bytes)",
                                  "at most " + std::to_string(layout::kMaxFrameDataBytes), bytes) +
                         "; put fewer images into a record");
}

uint32_t AppendFrame(std::string_view data, std::string* out) {
  const size_t start = out->size();
  AppendLittle64(data.size(), out);
  AppendLittle32(MaskedCrc32c(std::string_view(*out).substr(start, 8)), out);
  out->append(data);
  const uint32_t checksum = MaskedCrc32c(data);
  AppendLittle32(checksum, out);
  return checksum;
}

Result<FrameView> ParseFrame(std::string_view bytes, uint64_t offset) {
  const auto place = [offset](uint64_t at) { return "byte " + std::to_string(offset + at); };
  if (bytes.size() < kFrameOverheadBytes) {
    return DataLoss(Expected("a frame does not end early", kFrameOverheadBytes, bytes.size()))
        .WithContext(place(0));
  }
  const char* const header = bytes.data();
  const uint64_t length = LoadLittle64(header);
  const uint32_t length_checksum = LoadLittle32(header + 8);
  if (const uint32_t computed = MaskedCrc32c(bytes.substr(0, 8)); computed != length_checksum) {
    return DataLoss(Expected("checksum of a frame's length", length_checksum, computed))
        .WithContext(place(0));
  }
  if (length > bytes.size() - kFrameOverheadBytes) {
    return DataLoss(Expected("a frame's data lie inside the range read (bytes)",
                             bytes.size() - kFrameOverheadBytes, length))
        .WithContext(place(0));
  }
  FrameView frame;
  frame.data = bytes.substr(kFrameHeaderBytes, length);
  frame.checksum = LoadLittle32(bytes.data() + kFrameHeaderBytes + length);
  frame.frame_size = length + kFrameOverheadBytes;
  if (const uint32_t computed = MaskedCrc32c(frame.data); computed != frame.checksum) {
    return DataLoss(Expected("checksum of a frame's data", frame.checksum, computed))
        .WithContext(place(kFrameHeaderBytes));
  }
  return frame;
}

std::optional<uint64_t> ClaimedFrameSize(std::string_view bytes) {
  if (bytes.size() < kFrameHeaderBytes) return std::nullopt;
  const char* const header = bytes.data();
  const uint64_t length = LoadLittle64(header);
  if (MaskedCrc32c(bytes.substr(0, 8)) != LoadLittle32(header + 8)) return std::nullopt;
  if (length > layout::kMaxFrameDataBytes) return std::nullopt;
  return length + kFrameOverheadBytes;
}

}  // namespace pcr
