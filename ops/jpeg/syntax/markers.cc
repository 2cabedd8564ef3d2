#include "ops/jpeg/syntax/markers.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace pcr {
namespace {

constexpr uint8_t kMarkerPrefix = 0xff;

std::string Hex(uint8_t byte) {
  constexpr char kDigits[] = "0123456789abcdef";
  return std::string("0x") + kDigits[byte >> 4] + kDigits[byte & 15];
}

Status At(uint64_t offset, std::string message) {
  return DataLoss("byte " + std::to_string(offset) + ": " + std::move(message));
}

bool IsRestart(uint8_t code) { return code >= marker::kRst0 && code <= marker::kRst7; }

bool IsFrameHeader(uint8_t code) {
  return code >= marker::kSof0 && code <= marker::kSof15 && code != marker::kDht &&
         code != marker::kJpg && code != marker::kDac;
}

class MarkerWalk {
 public:
  MarkerWalk(std::string_view jpeg, BetweenSegments between) : jpeg_(jpeg), between_(between) {}

  Result<JpegLayout> Run() {
    PCR_RETURN_IF_ERROR(ReadSoi());
    while (position_ < jpeg_.size() && !layout_.has_eoi) PCR_RETURN_IF_ERROR(ReadMarker());
    layout_.end = position_;
    return std::move(layout_);
  }

  std::vector<Segment> RunToFirstScan() {
    stops_at_scan_ = true;
    Status status = ReadSoi();
    while (status.ok() && position_ < jpeg_.size() && !layout_.has_eoi && !at_scan_) {
      status = ReadMarker();
    }
    return std::move(layout_.segments);
  }

 private:
  Status ReadSoi() {
    if (jpeg_.size() < 2 || Byte(0) != kMarkerPrefix || Byte(1) != marker::kSoi) {
      return At(0, Expected("a JPEG begins with SOI", "ff d8",
                            jpeg_.size() < 2 ? std::to_string(jpeg_.size()) + " bytes"
                                             : Hex(Byte(0)) + " " + Hex(Byte(1))));
    }
    position_ = 2;
    return Status();
  }

  uint8_t Byte(uint64_t offset) const { return static_cast<uint8_t>(jpeg_[offset]); }
  int Word(uint64_t offset) const { return Byte(offset) << 8 | Byte(offset + 1); }

  Status ReadMarker() {
    if (between_ == BetweenSegments::kAnythingGoes && !FindMarker()) return Status();
    const uint64_t begin = position_;
    if (Byte(begin) != kMarkerPrefix) {
      return At(begin, Expected("a marker begins with 0xff", "0xff", Hex(Byte(begin))));
    }
    // Any number of 0xff may fill the space before a marker (T.81 B.1.1.2).
    while (position_ < jpeg_.size() && Byte(position_) == kMarkerPrefix) ++position_;
    if (position_ == jpeg_.size()) return At(begin, "a marker must be complete");
    const uint8_t code = Byte(position_++);
    if (code == marker::kEoi) {
      layout_.has_eoi = true;
      return Status();
    }
    if (code == marker::kSoi) return At(position_ - 2, "a JPEG has one SOI");
    if (IsRestart(code) || code == marker::kTem) return Status();
    if (code == marker::kSos && stops_at_scan_) {
      at_scan_ = true;
      return Status();
    }
    if (code < marker::kSof0) {
      return At(position_ - 2,
                Expected("a marker's code must be defined", "0x01 or 0xc0..0xfe", Hex(code)));
    }
    return ReadSegment(code);
  }

  // Moves to the next 0xff that begins a marker; false, at the end of the input, without one.
  bool FindMarker() {
    const std::string_view left = jpeg_.substr(position_);
    for (size_t at = 0; (at = left.find(static_cast<char>(kMarkerPrefix), at)) != left.npos; ++at) {
      const size_t code = left.find_first_not_of(static_cast<char>(kMarkerPrefix), at);
      if (code == left.npos) break;
      if (left[code] != 0) {
        position_ += at;
        return true;
      }
      at = code;
    }
    position_ = jpeg_.size();
    return false;
  }

  // position_ is at the segment's length.
  Status ReadSegment(uint8_t code) {
    const uint64_t left = jpeg_.size() - position_;
    int length = left < 2 ? 2 : Word(position_);
    if (between_ == BetweenSegments::kAnythingGoes && IsSkipped(code)) length = std::max(length, 2);
    if (length < 2) {
      return At(position_, Expected("a segment's length counts itself", "2 or more", length));
    }
    if (left < static_cast<uint64_t>(length)) {
      return At(position_, Expected("segment " + Hex(code) + " must lie in the image",
                                    std::to_string(length) + " bytes", left));
    }
    const Segment segment{code, position_ - 2, 2 + static_cast<uint64_t>(length)};
    position_ += length;
    layout_.segments.push_back(segment);
    if (code == marker::kDri) restarts_ = length == 4 && Word(segment.offset + 4) != 0;
    if (IsFrameHeader(code) && !layout_.frame) return ReadFrame(segment);
    if (code == marker::kSos) return ReadScan(segment);
    return Status();
  }

  Status ReadFrame(const Segment& segment) {
    constexpr uint64_t kFixedBytes = 2 + 8;
    const uint64_t at = segment.offset;
    const uint64_t num_components = segment.size < kFixedBytes ? 0 : Byte(at + 9);
    if (segment.size != kFixedBytes + 3 * num_components) {
      return At(at, Expected("a frame header holds 8 bytes and 3 for each component",
                             8 + 3 * num_components, segment.size - 2));
    }
    Frame frame;
    frame.marker = segment.marker;
    frame.precision = Byte(at + 4);
    frame.height = Word(at + 5);
    frame.width = Word(at + 7);
    for (uint64_t p = at + kFixedBytes; p < at + segment.size; p += 3) {
      frame.components.push_back({Byte(p), Byte(p + 1) >> 4, Byte(p + 1) & 15});
    }
    layout_.frame = std::move(frame);
    return Status();
  }

  Status ReadScan(const Segment& segment) {
    const uint64_t at = segment.offset;
    Result<ScanHeader> header = ParseScanHeader(jpeg_.substr(at, segment.size));
    if (!header.ok()) return header.status().WithContext("byte " + std::to_string(at));
    ScanExtent scan;
    scan.sos_offset = at;
    scan.header = std::move(header).value();
    position_ = scan.end = EntropyCodedEnd(position_);
    layout_.scans.push_back(std::move(scan));
    return Status();
  }

  // The end of the entropy-coded data that begin at `begin`: where a marker other than
  // RSTn, or the fill bytes before it, begins. Where anything goes, an undefined one that stands
  // where a restart is due does not end them.
  uint64_t EntropyCodedEnd(uint64_t begin) {
    const bool pass_undefined = restarts_ && between_ == BetweenSegments::kAnythingGoes;
    const char* const last = jpeg_.data() + jpeg_.size();
    const char* p = jpeg_.data() + begin;
    while (p < last) {
      p = static_cast<const char*>(std::memchr(p, kMarkerPrefix, last - p));
      if (p == nullptr) break;
      const char* const prefix = p;
      while (p < last && static_cast<uint8_t>(*p) == kMarkerPrefix) ++p;
      if (p == last) break;
      const auto code = static_cast<uint8_t>(*p++);
      if (code == 0 || IsRestart(code)) continue;
      if (!pass_undefined || code >= marker::kSof0) return prefix - jpeg_.data();
      layout_.has_undefined_markers = true;
    }
    return jpeg_.size();
  }

  std::string_view jpeg_;
  BetweenSegments between_;
  uint64_t position_ = 0;
  bool restarts_ = false;  // a restart interval is defined
  JpegLayout layout_;
  bool stops_at_scan_ = false;
  bool at_scan_ = false;
};

}  // namespace

bool IsSkipped(uint8_t code) {
  return (code >= marker::kApp0 && code <= marker::kApp15) || code == marker::kCom ||
         code == marker::kDnl;
}

Result<JpegLayout> WalkMarkers(std::string_view jpeg, BetweenSegments between) {
  return MarkerWalk(jpeg, between).Run();
}

std::vector<Segment> SegmentsBeforeFirstScan(std::string_view jpeg) {
  return MarkerWalk(jpeg, BetweenSegments::kAnythingGoes).RunToFirstScan();
}

SegmentKind KindOf(std::string_view jpeg, const Segment& segment) {
  const std::string_view parameters = jpeg.substr(segment.offset, segment.size).substr(4);
  const auto begins_with = [parameters](std::string_view text) {
    return parameters.substr(0, text.size()) == text;
  };
  if (segment.marker == marker::kApp0 && begins_with(std::string_view("JFIF\0", 5))) {
    return SegmentKind::kJfif;
  }
  if (segment.marker == marker::kApp14 && begins_with("Adobe")) return SegmentKind::kAdobe;
  const bool application = segment.marker >= marker::kApp0 && segment.marker <= marker::kApp15;
  if (application || segment.marker == marker::kCom) return SegmentKind::kAncillary;
  return SegmentKind::kCoding;
}

}  // namespace pcr
