// The transcode with a fault in what was written. For tests of the proof alone: no image is
// known with which it fails.

#ifndef PCR_OPS_JPEG_LOSSLESS_TRANSCODE_FAULT_H_
#define PCR_OPS_JPEG_LOSSLESS_TRANSCODE_FAULT_H_

#include <functional>
#include <string>
#include <string_view>

#include "ops/base/status.h"
#include "ops/jpeg/lossless/transcode.h"
#include "ops/jpeg/syntax/scan_script.h"

namespace pcr {

// Changes the progressive JPEG that was written, before it is cut into groups and proved.
using TranscodeFault = std::function<void(std::string* written)>;

// Transcode(), but for the fault; with an empty one, the same.
Result<Transcoded> TranscodeWithFault(std::string_view image, const ScanScript& script,
                                      const TranscodeOptions& options, const TranscodeFault& fault);

}  // namespace pcr

#endif  // PCR_OPS_JPEG_LOSSLESS_TRANSCODE_FAULT_H_
