// RecordSplitProvider: deals the records of a data set out to the workers of
// the tf.data service. A split is int64 [2]: an epoch, and the global ordinal of
// a record.

#ifndef PCR_OPS_KERNELS_RECORD_SPLIT_PROVIDER_H_
#define PCR_OPS_KERNELS_RECORD_SPLIT_PROVIDER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ops/base/mutex.h"
#include "ops/format/record_order.h"
#include "ops/kernels/shared_dataset.h"
#include "tensorflow/core/framework/dataset.h"
#include "tensorflow/core/framework/tensor.h"

namespace pcr {

// Each Reset begins the next epoch, in its own order.
class RecordSplitProvider : public tensorflow::data::SplitProvider {
 public:
  // Not for an epoch that others began: a split is a whole record.
  RecordSplitProvider(std::shared_ptr<const SharedDataset> shared,
                      const RecordOrderOptions& options, int64_t first_epoch);

  absl::Status GetNext(tensorflow::Tensor* split, bool* end_of_splits) override;
  absl::Status Reset() override;
  absl::Status Save(std::function<std::string(std::string)> full_name,
                    tensorflow::data::IteratorStateWriter* writer) override;
  absl::Status Restore(std::function<std::string(std::string)> full_name,
                       tensorflow::data::IteratorStateReader* reader) override;
  int64_t Cardinality() const override;

 private:
  void StartEpochLocked(int64_t epoch) PCR_REQUIRES(mutex_);

  const std::shared_ptr<const SharedDataset> shared_;
  const RecordOrderOptions options_;
  mutable Mutex mutex_;
  int64_t epoch_ PCR_GUARDED_BY(mutex_) = 0;
  size_t position_ PCR_GUARDED_BY(mutex_) = 0;
  std::vector<RecordPart> order_ PCR_GUARDED_BY(mutex_);
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_RECORD_SPLIT_PROVIDER_H_
