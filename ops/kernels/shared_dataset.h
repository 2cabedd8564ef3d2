// SharedDataset: what all copies of one PcrDataset in a process share.
//
// tf.data rewrites a data set's graph for every iterator and so makes a new
// DatasetBase each time. The index must not be read again for that, and the
// count of epochs must go on.

#ifndef PCR_OPS_KERNELS_SHARED_DATASET_H_
#define PCR_OPS_KERNELS_SHARED_DATASET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "ops/format/dataset_index.h"
#include "ops/kernels/epoch_counter.h"
#include "ops/kernels/range_reader.h"
#include "tensorflow/core/platform/env.h"

namespace pcr {

struct SharedDataset {
  explicit SharedDataset(tensorflow::Env* env) : reader(env, &ReadStatistics::Global()) {}

  // These are not changed once Open has returned.
  DatasetIndex index;
  RangeReader reader;
  std::shared_ptr<EpochCounter> epochs;
  std::string copy_id;  // unique in the process

  EpochCounter::Epoch NextEpoch() { return epochs->Next(index.ContentsChecksum()); }
  absl::Status ContinueAfter(const EpochCounter::Epoch& epoch,
                             const tensorflow::tstring& epoch_counts) {
    return epochs->ContinueAfter(index.ContentsChecksum(), epoch, epoch_counts);
  }

  // Opens the files.
  static absl::Status Open(tensorflow::Env* env, const std::vector<std::string>& paths,
                           std::shared_ptr<EpochCounter> epochs,
                           std::shared_ptr<SharedDataset>* shared);

  // The one of that copy_id that is still in use, or null.
  static std::shared_ptr<SharedDataset> Find(const std::string& copy_id);
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_SHARED_DATASET_H_
