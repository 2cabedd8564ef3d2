#include "ops/kernels/record_fidelity.h"

#include <algorithm>

#include "ops/kernels/tensorflow_status.h"
#include "tensorflow/core/platform/errors.h"
#include "tensorflow/core/platform/logging.h"

namespace pcr {

absl::Status CheckFidelity(const DatasetIndex& index, const FidelityMixture& fidelity) {
  return ToTensorFlow(index.CheckScanGroups(fidelity.max_scan_groups())
                          .WithContext(index.shards().front().name + ": pcr_tf.Fidelity"));
}

absl::Status RecordFidelity::Choose(const DatasetIndex& index, uint64_t seed, uint64_t epoch,
                                    uint64_t record, int* scan_groups) const {
  if (cell_ == nullptr) {
    *scan_groups = scan_groups_;
    return absl::Status();
  }
  const FidelityCell::Value value = cell_->value();
  if (value == nullptr) return tensorflow::errors::Internal("a fidelity without a value");
  const int num_groups = index.header().num_groups();
  if (value->max_scan_groups() > num_groups) {
    LOG_FIRST_N(WARNING, 3) << CheckFidelity(index, *value).message()
                            << "; all scan groups are read in place of those";
  }
  *scan_groups = std::min(value->Draw(seed, epoch, record), num_groups);
  return absl::Status();
}

absl::Status RecordFidelity::Look(const Cancellation& cancellation) const {
  return cell_ == nullptr ? absl::Status() : cell_->Look(poll_ms_, cancellation);
}

}  // namespace pcr
