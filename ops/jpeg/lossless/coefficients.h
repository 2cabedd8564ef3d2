// Comparing and checking JPEG by their quantized DCT coefficients, which are what a
// lossless transcode must keep.

#ifndef PCR_OPS_JPEG_LOSSLESS_COEFFICIENTS_H_
#define PCR_OPS_JPEG_LOSSLESS_COEFFICIENTS_H_

#include <string>
#include <string_view>

#include "ops/jpeg/syntax/limits.h"

namespace pcr {

class CoefficientReader;

// "" if libjpeg decodes `jpeg` without error or warning, else what it said, or which
// limit stopped it. Reads all scans; the steps from coefficients to pixels are not run,
// as no value can make them fail.
std::string CheckJpeg(std::string_view jpeg, const DecodeLimits& limits = {});

// "" if both images decode to the same pixels in every decoder: equal dimensions,
// components, sampling, colour space, quantization tables and coefficients. Else the first
// difference, or what is wrong with one of the images.
// Example: "component 1, block row 3, column 0, coefficient 5 (natural order): 7 and 8".
std::string SameCoefficients(std::string_view a, std::string_view b,
                             const DecodeLimits& limits = {});

// The same for two images whose coefficients are read.
std::string FirstDifference(const CoefficientReader& a, const CoefficientReader& b);

}  // namespace pcr

#endif  // PCR_OPS_JPEG_LOSSLESS_COEFFICIENTS_H_
