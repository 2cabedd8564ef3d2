#include "ops/kernels/tensorflow_status.h"

namespace pcr {

absl::Status ToTensorFlow(const Status& status) {
  const auto code = [&status] {
    switch (status.code()) {
      case Code::kOk:
        return absl::StatusCode::kOk;
      case Code::kCancelled:
        return absl::StatusCode::kCancelled;
      case Code::kInvalidArgument:
        return absl::StatusCode::kInvalidArgument;
      case Code::kUnavailable:
        return absl::StatusCode::kUnavailable;
      case Code::kDataLoss:
        return absl::StatusCode::kDataLoss;
      case Code::kResourceExhausted:
        return absl::StatusCode::kResourceExhausted;
      case Code::kInternal:
        return absl::StatusCode::kInternal;
    }
    return absl::StatusCode::kUnknown;
  };
  return absl::Status(code(), ReadableUtf8(status.message()));
}

}  // namespace pcr
