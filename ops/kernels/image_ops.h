// What the ops on images have in common.

#ifndef PCR_OPS_KERNELS_IMAGE_OPS_H_
#define PCR_OPS_KERNELS_IMAGE_OPS_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "ops/base/status.h"
#include "ops/jpeg/pixels/decoder.h"
#include "ops/jpeg/syntax/limits.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace pcr {

// From the attributes dct_method, fancy_upsampling and block_smoothing.
absl::Status GetPixelOptions(tensorflow::OpKernelConstruction* ctx, PixelOptions* options);

// From the attributes max_pixels and max_scans.
absl::Status GetDecodeLimits(tensorflow::OpKernelConstruction* ctx, DecodeLimits* limits);

// Calls image(i) for each of the `contents` on the op's thread pool, until one fails. The
// error returned is that of the lowest i that failed, with "contents[i]: " before its message
// ("contents: " for a scalar). CANCELLED if the step was cancelled.
absl::Status ForEachImage(tensorflow::OpKernelContext* ctx, const tensorflow::Tensor& contents,
                          const std::function<Status(int64_t i)>& image);

// Ends the op with a status, which is logged unless it is CANCELLED: abandoning a data set is not
// an error.
void Finish(tensorflow::OpKernelContext* ctx, const absl::Status& status);

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_IMAGE_OPS_H_
