// Opens a data set: from names of folders and files to a DatasetIndex.

#ifndef PCR_OPS_KERNELS_DATASET_OPENER_H_
#define PCR_OPS_KERNELS_DATASET_OPENER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "ops/format/dataset_index.h"
#include "ops/kernels/range_reader.h"
#include "tensorflow/core/platform/env.h"

namespace pcr {

// `paths` is the folder of a data set, or one or more PCR files. A folder with a side index costs
// one read, two if the index is larger than 1 MiB; a folder without one, and files, cost one read
// of the tail of each file (two if its index is larger than layout::kTailBytes). Shard names in the
// result are paths to open. After a path of s3:// the process exits as clean_exit.h describes.
absl::Status OpenDataset(tensorflow::Env* env, const std::vector<std::string>& paths,
                         RangeReader* reader, DatasetIndex* index);

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_DATASET_OPENER_H_
