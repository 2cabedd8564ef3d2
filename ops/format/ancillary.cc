#include "ops/format/ancillary.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

#include "ops/format/frame.h"
#include "ops/format/layout.h"

namespace pcr {
namespace {

// Deflate's densest code is 258 bytes in two bits.
constexpr uint64_t kMaxExpansion = 1032;

static_assert(layout::kMaxFrameDataBytes <= std::numeric_limits<uInt>::max());

}  // namespace

Result<std::string> DeflateAncillary(std::string_view bytes) {
  if (bytes.empty()) return std::string();
  PCR_RETURN_IF_ERROR(CheckFrameDataBytes("ancillary and trailing data of a record", bytes.size()));
  uLongf size = compressBound(bytes.size());
  std::string stream(size, '\0');
  if (compress2(reinterpret_cast<Bytef*>(stream.data()), &size,
                reinterpret_cast<const Bytef*>(bytes.data()), bytes.size(),
                Z_DEFAULT_COMPRESSION) != Z_OK) {
    return Internal("zlib has no memory to deflate " + std::to_string(bytes.size()) + " bytes");
  }
  stream.resize(size);
  return stream;
}

Result<std::string> InflateAncillary(std::string_view stream, uint64_t size) {
  if (size == 0) {
    if (stream.empty()) return std::string();
    return DataLoss(Expected("size of an ancillary stream that holds nothing", 0, stream.size()));
  }
  if (size > layout::kMaxFrameDataBytes || size > kMaxExpansion * stream.size()) {
    return DataLoss(
        Expected("ancillary and trailing bytes that a stream of " + std::to_string(stream.size()) +
                     " bytes may hold",
                 "at most " + std::to_string(std::min<uint64_t>(layout::kMaxFrameDataBytes,
                                                                kMaxExpansion * stream.size())),
                 size));
  }
  std::string bytes(size, '\0');
  uLongf found = size;
  uLong used = stream.size();
  const int code = uncompress2(reinterpret_cast<Bytef*>(bytes.data()), &found,
                               reinterpret_cast<const Bytef*>(stream.data()), &used);
  if (code != Z_OK) {
    return DataLoss(
        Expected("an ancillary stream is a zlib stream of " + std::to_string(size) + " bytes",
                 "a whole one", zError(code)));
  }
  if (found != size) return DataLoss(Expected("bytes of the ancillary stream", size, found));
  if (used != stream.size()) {
    return DataLoss(Expected("bytes behind the ancillary stream", 0, stream.size() - used));
  }
  return bytes;
}

}  // namespace pcr
