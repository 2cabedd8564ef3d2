// RecordFidelity: which fidelity an iterator reads a record at.

#ifndef PCR_OPS_KERNELS_RECORD_FIDELITY_H_
#define PCR_OPS_KERNELS_RECORD_FIDELITY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "ops/base/cancellation.h"
#include "ops/format/dataset_index.h"
#include "ops/kernels/fidelity_cell.h"

namespace pcr {

// The same for all records, or the current value of a cell. Thread-safe.
class RecordFidelity {
 public:
  explicit RecordFidelity(int scan_groups) : scan_groups_(scan_groups) {}
  RecordFidelity(FidelityCell* cell, int64_t poll_ms) : cell_(cell), poll_ms_(poll_ms) {}

  bool changes() const { return cell_ != nullptr; }

  // How many scan groups of a record to read: all that `index` has, with a warning, where the cell
  // holds more than that.
  absl::Status Choose(const DatasetIndex& index, uint64_t seed, uint64_t epoch, uint64_t record,
                      int* scan_groups) const;

  // Looks at the cell's file, if that is due; may take as long as a read.
  absl::Status Look(const Cancellation& cancellation) const;

 private:
  int scan_groups_ = 0;
  FidelityCell* cell_ = nullptr;
  int64_t poll_ms_ = 0;
};

// INVALID_ARGUMENT if there are no such scan groups in the data set.
absl::Status CheckFidelity(const DatasetIndex& index, const FidelityMixture& fidelity);

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_RECORD_FIDELITY_H_
