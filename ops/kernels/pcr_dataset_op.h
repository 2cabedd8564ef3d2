// PcrDataset: the source op. pcr_tf/data/dataset.py documents it for users.

#ifndef PCR_OPS_KERNELS_PCR_DATASET_OP_H_
#define PCR_OPS_KERNELS_PCR_DATASET_OP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tensorflow/core/framework/dataset.h"

namespace pcr {

class PcrDatasetOp : public tensorflow::data::DatasetOpKernel {
 public:
  static constexpr const char* const kDatasetType = "Pcr";
  static constexpr const char* const kPaths = "paths";
  static constexpr const char* const kScanGroups = "scan_groups";
  static constexpr const char* const kShuffle = "shuffle";
  static constexpr const char* const kSeed = "seed";
  static constexpr const char* const kSeedIsPrivate = "seed_is_private";
  static constexpr const char* const kSeededShuffles = "seeded_shuffles";
  static constexpr const char* const kNumShards = "num_shards";
  static constexpr const char* const kShardIndex = "shard_index";
  static constexpr const char* const kReadsInFlight = "reads_in_flight";
  static constexpr const char* const kBytesInFlight = "bytes_in_flight";
  static constexpr const char* const kSharedId = "shared_id";
  static constexpr const char* const kFirstEpoch = "first_epoch";
  static constexpr const char* const kResumeNumShards = "resume_num_shards";
  static constexpr const char* const kResumeExamples = "resume_examples";
  static constexpr const char* const kFidelity = "fidelity";
  static constexpr const char* const kFidelityPollMs = "fidelity_poll_ms";

  static constexpr const char* const kProvenance = "provenance";

  using DatasetOpKernel::DatasetOpKernel;

  struct Info {
    std::vector<std::string> image_features;
    int64_t num_records = 0;  // of this reader's share of an epoch
    int64_t num_scan_groups = 0;
    int64_t format_minor = 0;
  };
  // INVALID_ARGUMENT for another data set than a PcrDataset.
  static absl::Status Describe(const tensorflow::data::DatasetBase* dataset, Info* info);

 protected:
  void MakeDataset(tensorflow::OpKernelContext* ctx,
                   tensorflow::data::DatasetBase** output) override;

 private:
  class Dataset;
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_PCR_DATASET_OP_H_
