// FidelityCell: the value of a pcr_tf.Fidelity, which running data sets read.
//
// tf.data copies a data set's graph for every iterator, so a graph holds the name of a cell, not
// the cell: either the id of one that this process made, or the path of a file, which every process
// can read.

#ifndef PCR_OPS_KERNELS_FIDELITY_CELL_H_
#define PCR_OPS_KERNELS_FIDELITY_CELL_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "ops/base/cancellation.h"
#include "ops/base/mutex.h"
#include "ops/format/fidelity_mixture.h"
#include "ops/kernels/shared_dataset.h"
#include "tensorflow/core/platform/env.h"

namespace pcr {

// How a graph names a cell.
struct FidelityName {
  std::string name;     // id of a cell of this process, or a path
  int64_t poll_ms = 0;  // least time between two looks at the file; 0: name is an id
  bool empty() const { return name.empty(); }
};

// Thread-safe. Cells are not freed: data sets and graphs that obey a handle may outlive it.
class FidelityCell {
 public:
  using Value = std::shared_ptr<const FidelityMixture>;

  // FAILED_PRECONDITION for an id that is not of this process.
  static absl::Status Find(tensorflow::Env* env, const FidelityName& name, FidelityCell** cell);
  static FidelityCell* FindOrMake(tensorflow::Env* env, const FidelityName& name);

  void Set(FidelityMixture value);
  // Null for a cell with a file until the first Set or Look.
  Value value() const;

  // Reads the file, if it has one, unless that was done in the last `poll_ms`. Fails only while no
  // value is known: after that the last one stays in force.
  absl::Status Look(int64_t poll_ms, const Cancellation& cancellation);

  // Remembers, as long as `shared` lives, that a data set obeys this.
  void AddDataset(const std::string& name, const std::shared_ptr<SharedDataset>& shared);

  // The living data set with the fewest scan groups; {"", 0} if there is none.
  std::pair<std::string, int> SmallestDataset() const;

 private:
  using Clock = std::chrono::steady_clock;

  FidelityCell(tensorflow::Env* env, std::string path) : env_(env), path_(std::move(path)) {}

  absl::Status ReadFile(const Cancellation& cancellation, Value* value) const;

  tensorflow::Env* const env_;
  const std::string path_;  // empty: without a file

  mutable Mutex mutex_;
  Value value_ PCR_GUARDED_BY(mutex_);
  int64_t num_sets_ PCR_GUARDED_BY(mutex_) = 0;
  bool looking_ PCR_GUARDED_BY(mutex_) = false;
  Clock::time_point looked_ PCR_GUARDED_BY(mutex_);  // when the last look, or Set, was
  std::vector<std::pair<std::string, std::weak_ptr<SharedDataset>>> datasets_
      PCR_GUARDED_BY(mutex_);
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_FIDELITY_CELL_H_
