// SharedDataset: what all copies of one PcrDataset in a process share.
//
// tf.data rewrites a data set's graph for every iterator and so makes a new DatasetBase each time.
// That must neither read the index again nor restart the count of epochs.

#ifndef PCR_OPS_KERNELS_SHARED_DATASET_H_
#define PCR_OPS_KERNELS_SHARED_DATASET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "ops/format/dataset_index.h"
#include "ops/kernels/dataset_inputs.h"
#include "ops/kernels/epoch_counter.h"
#include "ops/kernels/range_reader.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/env.h"

namespace pcr {

struct SharedDataset {
  explicit SharedDataset(tensorflow::Env* env) : reader(env, &ReadStatistics::Global()) {}

  // These do not change once Get has returned.
  DatasetIndex index;
  RangeReader reader;
  std::vector<std::string> paths;
  std::shared_ptr<EpochCounter> epochs;
  bool made_by_function = false;  // `epochs` counts those of other files too
  std::string copy_id;            // unique in the process

  EpochCounter::Files files() const { return index.ContentsChecksum(); }
  // The op's input shared_id of its copies.
  std::string id_of_copies() const;

  // What the data set of these inputs shares with its copies: for a copy, what its original has;
  // otherwise the files are opened.
  static absl::Status Get(tensorflow::OpKernelContext* ctx, const DatasetInputs& inputs,
                          std::shared_ptr<SharedDataset>* shared);
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_SHARED_DATASET_H_
