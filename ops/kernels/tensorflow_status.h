// The core's errors as TensorFlow's: the core returns Status, kernels return absl::Status, and this
// is the only way from one to the other.

#ifndef PCR_OPS_KERNELS_TENSORFLOW_STATUS_H_
#define PCR_OPS_KERNELS_TENSORFLOW_STATUS_H_

#include "absl/status/status.h"
#include "ops/base/status.h"

namespace pcr {

absl::Status ToTensorFlow(const Status& status);

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_TENSORFLOW_STATUS_H_
