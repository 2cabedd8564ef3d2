// SharedDataset: what all copies of one PcrDataset in a process share.
//
// tf.data rewrites a data set's graph for every iterator and so makes a new
// DatasetBase each time. The index must not be read again for that, and the
// count of epochs must go on.

#ifndef PCR_OPS_KERNELS_SHARED_DATASET_H_
#define PCR_OPS_KERNELS_SHARED_DATASET_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "ops/format/dataset_index.h"
#include "ops/kernels/range_reader.h"
#include "tensorflow/core/platform/env.h"

namespace pcr {

// Hands out epochs to iterators. Thread-safe.
class EpochCounter {
 public:
  EpochCounter(uint64_t seed, int64_t first) : seed_(seed), first_(first), next_(first) {}

  struct Epoch {
    uint64_t seed;
    int64_t number;  // from 0
  };
  Epoch First() {
    std::lock_guard<std::mutex> lock(mutex_);
    return {seed_, first_};
  }
  Epoch Next() {
    std::lock_guard<std::mutex> lock(mutex_);
    return {seed_, next_++};
  }
  // Makes the epochs that follow those of a restored iterator.
  void ContinueAfter(const Epoch& epoch) {
    std::lock_guard<std::mutex> lock(mutex_);
    seed_ = epoch.seed;
    next_ = epoch.number + 1;
  }

 private:
  std::mutex mutex_;
  uint64_t seed_;
  const int64_t first_;
  int64_t next_;
};

struct SharedDataset {
  SharedDataset(tensorflow::Env* env, uint64_t seed, int64_t first_epoch)
      : reader(env, &ReadStatistics::Global()), epochs(seed, first_epoch) {}

  DatasetIndex index;  // not changed once Open has returned
  RangeReader reader;
  EpochCounter epochs;

  // The one opened under the same id and paths that is still in use, or a new one.
  static absl::Status Open(tensorflow::Env* env, const std::string& id,
                           const std::vector<std::string>& paths, uint64_t seed,
                           int64_t first_epoch, std::shared_ptr<SharedDataset>* shared);
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_SHARED_DATASET_H_
