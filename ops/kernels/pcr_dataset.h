// PcrDataset: what the op PcrDataset yields, a data set of tf.data.

#ifndef PCR_OPS_KERNELS_PCR_DATASET_H_
#define PCR_OPS_KERNELS_PCR_DATASET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "ops/format/record_order.h"
#include "ops/kernels/dataset_inputs.h"
#include "ops/kernels/fidelity_cell.h"
#include "ops/kernels/record_fidelity.h"
#include "ops/kernels/record_stream.h"
#include "ops/kernels/shared_dataset.h"
#include "tensorflow/core/framework/dataset.h"

namespace pcr {

class PcrDataset : public tensorflow::data::DatasetBase {
 public:
  static constexpr const char* const kDatasetType = "Pcr";

  // Without a `fidelity_cell`, scan_groups is the fidelity.
  PcrDataset(tensorflow::OpKernelContext* ctx, DatasetInputs inputs,
             std::shared_ptr<SharedDataset> shared, FidelityCell* fidelity_cell);

  std::unique_ptr<tensorflow::data::IteratorBase> MakeIteratorInternal(
      const std::string& prefix) const override;
  const tensorflow::DataTypeVector& output_dtypes() const override;
  const std::vector<tensorflow::PartialTensorShape>& output_shapes() const override;
  std::string DebugString() const override { return "PcrDatasetOp::Dataset"; }
  int64_t CardinalityInternal(tensorflow::data::CardinalityOptions /*options*/) const override {
    return cardinality_;
  }
  absl::Status InputDatasets(std::vector<const DatasetBase*>* /*inputs*/) const override {
    return absl::OkStatus();
  }
  absl::Status CheckExternalState() const override { return absl::OkStatus(); }
  absl::Status MakeSplitProviders(std::vector<std::unique_ptr<tensorflow::data::SplitProvider>>*
                                      split_providers) const override;

  absl::Status CheckSharding(const tensorflow::data::IteratorContext& ctx,
                             const std::string& prefix) const;
  // Whether a seed that the user gave decides what an epoch is like.
  bool seed_decides() const;

  const std::shared_ptr<SharedDataset>& shared() const { return shared_; }
  int64_t num_records() const { return num_records_; }  // of this reader's share of an epoch
  bool provenance() const { return inputs_.provenance; }
  RecordOrderOptions order_options() const { return inputs_.order_options(); }
  ReadOptions read_options() const;
  RecordFidelity fidelity() const;

 protected:
  absl::Status AsGraphDefInternal(tensorflow::data::SerializationContext* ctx,
                                  DatasetGraphDefBuilder* b,
                                  tensorflow::Node** output) const override;

 private:
  const DatasetInputs inputs_;
  const std::shared_ptr<SharedDataset> shared_;
  FidelityCell* const fidelity_cell_;  // null: scan_groups is the fidelity
  int64_t cardinality_ = 0;
  int64_t num_records_ = 0;
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_PCR_DATASET_H_
