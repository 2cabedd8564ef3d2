#include "ops/format/ancillary.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>

#include "ops/format/frame.h"
#include "ops/format/layout.h"

namespace pcr {
namespace {

// Deflate's densest code is 258 bytes in two bits.
constexpr uint64_t kMaxExpansion = 1032;

constexpr size_t kStepBytes = size_t{64} << 10;

static_assert(layout::kMaxFrameDataBytes <= std::numeric_limits<uInt>::max());

// Appends what the stream yields and no more, so that what it only claims costs
// no memory: an allocation of this size has no pages before they are written.
Result<std::string> InflateInSteps(std::string_view stream, uint64_t size) {
  z_stream inflater{};
  if (inflateInit(&inflater) != Z_OK) return Internal("zlib has no memory to inflate with");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&inflater, inflateEnd);
  inflater.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(stream.data()));
  inflater.avail_in = static_cast<uInt>(stream.size());
  std::string bytes;
  bytes.reserve(size);
  std::array<char, kStepBytes> step;
  int code = Z_OK;
  while (code == Z_OK) {
    inflater.next_out = reinterpret_cast<Bytef*>(step.data());
    inflater.avail_out = static_cast<uInt>(step.size());
    code = inflate(&inflater, Z_NO_FLUSH);
    const size_t found = step.size() - inflater.avail_out;
    if (found > size - bytes.size()) {
      return DataLoss(Expected("bytes of the ancillary stream", size, "more"));
    }
    bytes.append(step.data(), found);
  }
  if (code != Z_STREAM_END) {
    return DataLoss(Expected(
        "an ancillary stream is a zlib stream of " + std::to_string(size) + " bytes", "a whole one",
        std::string(zError(code)) + " after " + std::to_string(bytes.size()) + " bytes"));
  }
  if (bytes.size() != size) {
    return DataLoss(Expected("bytes of the ancillary stream", size, bytes.size()));
  }
  if (inflater.avail_in != 0) {
    return DataLoss(Expected("bytes behind the ancillary stream", 0, inflater.avail_in));
  }
  return bytes;
}

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
  return InflateInSteps(stream, size);
}

}  // namespace pcr
