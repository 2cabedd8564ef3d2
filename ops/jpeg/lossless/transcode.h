// Lossless transcode of a JPEG to the progression of a scan script, cut into scan groups.
//
// Thread-safe: the functions share no state. A result depends on the arguments alone, never on
// images transcoded before. libjpeg decides whether a source is valid.

#ifndef PCR_OPS_JPEG_LOSSLESS_TRANSCODE_H_
#define PCR_OPS_JPEG_LOSSLESS_TRANSCODE_H_

#include <string>
#include <string_view>

#include "ops/base/status.h"
#include "ops/format/coded_image.h"
#include "ops/jpeg/syntax/limits.h"
#include "ops/jpeg/syntax/scan_script.h"

namespace pcr {

// Why an image is kept as it came. The names are those of the second column.
enum class OpaqueReason {
  kNone,                   // ""                       it is progressive
  kNotAJpeg,               // "not_a_jpeg"             does not begin with SOI; may be empty
  kDamaged,                // "damaged"                a libjpeg error or warning; a broken marker
                           //                          structure; no EOI; a component without a scan
  kIncompleteProgression,  // "incomplete_progression" progressive, but some coefficient bits are
                           //                          never sent: decoders smooth such images, and
                           //                          a complete progression would end that
  kArithmetic,             // "arithmetic"             arithmetic coding: few decoders have it
  kLossless,               // "lossless"               SOF3, SOF11: no DCT coefficients
  kHierarchical,           // "hierarchical"           DHP, SOF5..7, SOF13..15
  kTwelveBit,              // "twelve_bit"             12 bits per sample
  kTooManyComponents,      // "too_many_components"    more than the 4 of a progressive frame
                           //                          (T.81 B.2.2)
  kTooLarge,               // "too_large"              beyond a DecodeLimits, or libjpeg's own
  kUnsupported,            // "unsupported"            valid, but libjpeg or T.81 has no progressive
                           //                          form of it; the detail says what
  kProofFailed,            // "proof_failed"           the result did not decode to the source's
                           //                          coefficients
};

const char* OpaqueReasonName(OpaqueReason reason);

struct TranscodeOptions {
  // Decode every result and compare it with the source: about half as much time again.
  bool prove = true;
  DecodeLimits limits;
};

struct Transcoded {
  CodedImage image;  // group_sizes has script.num_groups() values
  OpaqueReason reason = OpaqueReason::kNone;
  std::string detail;        // what the marker walk or libjpeg said; "" when progressive
  int exif_orientation = 1;  // of the source, progressive or not: 1 to 8, 1 without
};

// Any bytes may be given: what cannot be re-coded without loss comes back opaque. The
// JFIF APP0 and Adobe APP14 segments are kept in front, in this order and byte for byte, so
// that every decoder takes the same decision on colour; other APPn and COM segments are the
// ancillary bytes.
// Errors: RESOURCE_EXHAUSTED when memory runs out.
Result<Transcoded> Transcode(std::string_view image, const ScanScript& script,
                             const TranscodeOptions& options = {});

// The image at full fidelity, as section 10 of docs/FORMAT.md puts it together.
std::string FullImage(const CodedImage& image);

}  // namespace pcr

#endif  // PCR_OPS_JPEG_LOSSLESS_TRANSCODE_H_
