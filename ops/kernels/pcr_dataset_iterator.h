// PcrDatasetIterator: tf.data's face of a RecordIteration.

#ifndef PCR_OPS_KERNELS_PCR_DATASET_ITERATOR_H_
#define PCR_OPS_KERNELS_PCR_DATASET_ITERATOR_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "ops/kernels/pcr_dataset.h"
#include "ops/kernels/record_iteration.h"
#include "tensorflow/core/framework/cancellation.h"
#include "tensorflow/core/framework/dataset.h"
#include "tensorflow/core/framework/model.h"

namespace pcr {

class PcrDatasetIterator : public tensorflow::data::DatasetIterator<PcrDataset> {
 public:
  explicit PcrDatasetIterator(const Params& params) : DatasetIterator<PcrDataset>(params) {}
  ~PcrDatasetIterator() override;

  bool SymbolicCheckpointCompatible() const override { return true; }
  absl::Status Initialize(tensorflow::data::IteratorContext* ctx) override;
  absl::Status GetNextInternal(tensorflow::data::IteratorContext* ctx,
                               std::vector<tensorflow::Tensor>* out_tensors,
                               bool* end_of_sequence) override;

 protected:
  std::shared_ptr<tensorflow::data::model::Node> CreateNode(
      tensorflow::data::IteratorContext* ctx,
      tensorflow::data::model::Node::Args args) const override;
  absl::Status SaveInternal(tensorflow::data::SerializationContext* ctx,
                            tensorflow::data::IteratorStateWriter* writer) override;
  absl::Status RestoreInternal(tensorflow::data::IteratorContext* ctx,
                               tensorflow::data::IteratorStateReader* reader) override;

 private:
  // Appends the example's name and its seed.
  void AddProvenance(tensorflow::data::IteratorContext* ctx, const ExampleOrigin& origin,
                     std::vector<tensorflow::Tensor>* out_tensors) const;
  absl::Status CheckInterleaving(tensorflow::data::IteratorContext* ctx);
  absl::Status RegisterCancellation(tensorflow::CancellationManager* manager);

  // Set once, by Initialize, before anything can be cancelled.
  std::unique_ptr<RecordIteration> iteration_;
  std::function<void()> deregister_;
  const void* claimed_for_ = nullptr;
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_PCR_DATASET_ITERATOR_H_
