#include "ops/jpeg/syntax/exif_orientation.h"

#include <cstddef>
#include <cstdint>
#include <optional>

#include "ops/jpeg/syntax/markers.h"

namespace pcr {
namespace {

constexpr uint8_t kApp1 = 0xe1;
constexpr std::string_view kExif{"Exif\0\0", 6};
constexpr size_t kMarkerAndLengthBytes = 4;

constexpr uint16_t kOrientationTag = 0x0112;
constexpr uint16_t kShort = 3;
constexpr size_t kEntryBytes = 12;

// The numbers of a TIFF structure; none where they would lie outside of it.
class Tiff {
 public:
  explicit Tiff(std::string_view bytes) : bytes_(bytes) {
    const std::string_view begin = bytes.substr(0, 4);
    big_endian_ = begin == std::string_view("MM\0*", 4);
    valid_ = big_endian_ || begin == std::string_view("II*\0", 4);
  }

  std::optional<uint16_t> Word(size_t offset) const {
    if (!valid_ || bytes_.size() < 2 || offset > bytes_.size() - 2) return std::nullopt;
    const auto first = static_cast<uint8_t>(bytes_[offset]);
    const auto second = static_cast<uint8_t>(bytes_[offset + 1]);
    return static_cast<uint16_t>(big_endian_ ? first << 8 | second : second << 8 | first);
  }

  std::optional<uint32_t> Long(size_t offset) const {
    const std::optional<uint16_t> first = Word(offset);
    const std::optional<uint16_t> second = Word(offset + 2);
    if (!first || !second) return std::nullopt;
    const uint32_t high = big_endian_ ? *first : *second;
    return high << 16 | (big_endian_ ? *second : *first);
  }

  bool Holds(size_t offset, size_t size) const {
    return offset <= bytes_.size() && size <= bytes_.size() - offset;
  }

 private:
  std::string_view bytes_;
  bool big_endian_ = false;
  bool valid_ = false;
};

int OrientationOfEntry(const Tiff& tiff, size_t entry) {
  const int value = tiff.Word(entry + 8).value_or(0);
  const bool sound = tiff.Word(entry + 2) == kShort && tiff.Long(entry + 4) == 1U;
  return sound && value >= kUprightOrientation && value <= kMaxOrientation ? value
                                                                           : kUprightOrientation;
}

int OrientationOfTiff(const Tiff& tiff) {
  int orientation = kUprightOrientation;
  const std::optional<uint32_t> ifd = tiff.Long(4);
  if (!ifd) return orientation;
  const std::optional<uint16_t> num_entries = tiff.Word(*ifd);
  if (!num_entries) return orientation;
  size_t entry = size_t{*ifd} + 2;
  for (int i = 0; i < *num_entries && tiff.Holds(entry, kEntryBytes); ++i, entry += kEntryBytes) {
    if (tiff.Word(entry) == kOrientationTag) orientation = OrientationOfEntry(tiff, entry);
  }
  return orientation;
}

}  // namespace

int ExifOrientation(std::string_view jpeg) {
  for (const Segment& segment : SegmentsBeforeFirstScan(jpeg)) {
    if (segment.marker != kApp1) continue;
    const std::string_view parameters =
        jpeg.substr(segment.offset, segment.size).substr(kMarkerAndLengthBytes);
    if (parameters.substr(0, kExif.size()) != kExif) continue;
    return OrientationOfTiff(Tiff(parameters.substr(kExif.size())));
  }
  return kUprightOrientation;
}

}  // namespace pcr
