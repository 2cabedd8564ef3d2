// A walk over the markers of a JPEG (T.81 B.1) without decoding it: where its
// segments and scans lie and what its frame header says.
//
// The input may be hostile: nothing outside it is read, and memory grows with the
// bytes that are there, never with sizes that a header claims.

#ifndef PCR_OPS_JPEG_SYNTAX_MARKERS_H_
#define PCR_OPS_JPEG_SYNTAX_MARKERS_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "ops/base/status.h"
#include "ops/jpeg/syntax/scan_header.h"

namespace pcr {

// Second bytes of markers, after 0xff.
namespace marker {
inline constexpr uint8_t kSof0 = 0xc0;  // baseline
inline constexpr uint8_t kSof1 = 0xc1;  // extended sequential
inline constexpr uint8_t kSof2 = 0xc2;  // progressive
inline constexpr uint8_t kSof3 = 0xc3;  // lossless
inline constexpr uint8_t kSof5 = 0xc5;  // differential (hierarchical) from here: c5, c6, c7
inline constexpr uint8_t kDht = 0xc4;
inline constexpr uint8_t kJpg = 0xc8;
inline constexpr uint8_t kSof9 = 0xc9;   // arithmetic, sequential
inline constexpr uint8_t kSof10 = 0xca;  // arithmetic, progressive
inline constexpr uint8_t kSof11 = 0xcb;  // arithmetic, lossless
inline constexpr uint8_t kDac = 0xcc;
inline constexpr uint8_t kSof15 = 0xcf;  // arithmetic, differential: cd, ce, cf
inline constexpr uint8_t kRst0 = 0xd0;
inline constexpr uint8_t kRst7 = 0xd7;
inline constexpr uint8_t kSoi = 0xd8;
inline constexpr uint8_t kEoi = 0xd9;
inline constexpr uint8_t kSos = 0xda;
inline constexpr uint8_t kDqt = 0xdb;
inline constexpr uint8_t kDnl = 0xdc;
inline constexpr uint8_t kDri = 0xdd;
inline constexpr uint8_t kDhp = 0xde;
inline constexpr uint8_t kApp0 = 0xe0;
inline constexpr uint8_t kApp14 = 0xee;
inline constexpr uint8_t kApp15 = 0xef;
inline constexpr uint8_t kCom = 0xfe;
inline constexpr uint8_t kTem = 0x01;
}  // namespace marker

struct Segment {
  uint8_t marker = 0;
  uint64_t offset = 0;  // of the marker's 0xff
  uint64_t size = 0;    // marker, length and parameters
};

enum class SegmentKind {
  kJfif,       // APP0 that begins with "JFIF\0"
  kAdobe,      // APP14 that begins with "Adobe"
  kAncillary,  // every other APPn, and COM: no influence on pixels
  kCoding,     // tables, frame and scan headers
};

struct FrameComponent {
  int id = 0;
  int h = 0;
  int v = 0;
};

struct Frame {
  uint8_t marker = 0;  // SOFn
  int precision = 0;   // bits per sample
  int width = 0;
  int height = 0;  // 0: a DNL segment states it
  std::vector<FrameComponent> components;
};

struct ScanExtent {
  uint64_t sos_offset = 0;
  uint64_t end = 0;  // just past the last byte of entropy-coded data
  ScanHeader header;
};

struct JpegLayout {
  std::vector<Segment> segments;  // all but SOI, EOI, RSTn and TEM
  std::vector<ScanExtent> scans;
  std::optional<Frame> frame;  // the first one
  bool has_eoi = false;
  bool has_undefined_markers = false;  // in the data of scans with restart intervals
  uint64_t end = 0;                    // just past EOI, or the size of the input without one
};

// What may stand where a marker should begin.
enum class BetweenSegments {
  kMarkersOnly,  // what T.81 says
  // As libjpeg takes it: bytes without meaning are passed over (its next_marker), a length below 2
  // is that of an empty segment where IsSkipped, and with restart intervals undefined markers are
  // part of a scan's data.
  kAnythingGoes,
};

// Walks from SOI to EOI, or to the end of the input if a prefix of scans is given: a
// missing EOI is no error, a segment cut short is. Errors are DATA_LOSS: "byte 4096:
// <rule>; expected <x>, got <y>".
Result<JpegLayout> WalkMarkers(std::string_view jpeg,
                               BetweenSegments between = BetweenSegments::kMarkersOnly);

// The segments before the first scan, as decoders walk them (kAnythingGoes), up to the first error,
// which is not reported here.
std::vector<Segment> SegmentsBeforeFirstScan(std::string_view jpeg);

// Whether libjpeg skips a segment with this marker by its length, whatever its contents: APPn, COM
// and DNL. A length below 2 skips nothing.
bool IsSkipped(uint8_t code);

// Requires a segment of a layout of `jpeg`.
SegmentKind KindOf(std::string_view jpeg, const Segment& segment);

}  // namespace pcr

#endif  // PCR_OPS_JPEG_SYNTAX_MARKERS_H_
