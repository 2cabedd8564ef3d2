// PcrDataset, the source op, and PcrDatasetInfo. pcr_tf/data/dataset.py documents them for users.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "ops/format/record_order.h"
#include "ops/kernels/dataset_inputs.h"
#include "ops/kernels/fidelity_cell.h"
#include "ops/kernels/pcr_dataset.h"
#include "ops/kernels/record_fidelity.h"
#include "ops/kernels/shared_dataset.h"
#include "ops/kernels/tensorflow_status.h"
#include "tensorflow/core/framework/dataset.h"
#include "tensorflow/core/platform/errors.h"

namespace pcr {
namespace {

using ::tensorflow::OpKernelContext;
using ::tensorflow::Tensor;
using ::tensorflow::tstring;
using ::tensorflow::data::DatasetBase;

// Opens the data set of these inputs, and checks those whose range depends on it.
absl::Status MakePcrDataset(OpKernelContext* ctx, DatasetInputs inputs, DatasetBase** output) {
  FidelityCell* fidelity_cell = nullptr;
  if (!inputs.fidelity.empty()) {
    TF_RETURN_IF_ERROR(
        FidelityCell::Find(ctx->env(), {inputs.fidelity, inputs.fidelity_poll_ms}, &fidelity_cell));
  }
  std::shared_ptr<SharedDataset> shared;
  TF_RETURN_IF_ERROR(SharedDataset::Get(ctx, inputs, &shared));
  const std::string place(inputs.paths.front());
  if (fidelity_cell != nullptr) {
    TF_RETURN_IF_ERROR(fidelity_cell->Look(inputs.fidelity_poll_ms, Cancellation()));
    fidelity_cell->AddDataset(place, shared);
    const FidelityCell::Value value = fidelity_cell->value();
    if (value != nullptr) TF_RETURN_IF_ERROR(CheckFidelity(shared->index, *value));
  } else if (inputs.scan_groups != kAllScanGroups) {
    TF_RETURN_IF_ERROR(
        ToTensorFlow(shared->index.CheckScanGroups(inputs.scan_groups).WithContext(place)));
  }
  TF_RETURN_IF_ERROR(
      ToTensorFlow(CheckResume(shared->index.columns().example_counts, inputs.order_options(),
                               static_cast<uint64_t>(inputs.first_epoch))
                       .WithContext(place)));
  *output = new PcrDataset(ctx, std::move(inputs), std::move(shared), fidelity_cell);
  return absl::OkStatus();
}

class PcrDatasetOp : public tensorflow::data::DatasetOpKernel {
 public:
  using DatasetOpKernel::DatasetOpKernel;

 protected:
  void MakeDataset(OpKernelContext* ctx, DatasetBase** output) override {
    DatasetInputs inputs;
    OP_REQUIRES_OK(ctx, ParseInputs(ctx, &inputs));
    OP_REQUIRES_OK(ctx, MakePcrDataset(ctx, std::move(inputs), output));
  }
};

class PcrDatasetInfoOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* ctx) override {
    DatasetBase* dataset = nullptr;
    OP_REQUIRES_OK(ctx, tensorflow::data::GetDatasetFromVariantTensor(ctx->input(0), &dataset));
    const auto* const pcr_dataset = dynamic_cast<const PcrDataset*>(dataset);
    OP_REQUIRES(ctx, pcr_dataset != nullptr,
                tensorflow::errors::InvalidArgument("data set; expected a PcrDataset, got ",
                                                    dataset->DebugString()));
    const Header& header = pcr_dataset->shared()->index.header();
    Tensor* image_features = nullptr;
    OP_REQUIRES_OK(ctx,
                   ctx->allocate_output(0, {static_cast<int64_t>(header.image_features.size())},
                                        &image_features));
    std::copy(header.image_features.begin(), header.image_features.end(),
              image_features->vec<tstring>().data());
    int output = 1;
    for (const int64_t number : {pcr_dataset->num_records(), int64_t{header.num_groups()},
                                 static_cast<int64_t>(header.minor_version)}) {
      Tensor* scalar = nullptr;
      OP_REQUIRES_OK(ctx, ctx->allocate_output(output++, {}, &scalar));
      scalar->scalar<int64_t>()() = number;
    }
  }
};

REGISTER_KERNEL_BUILDER(Name("PcrDataset").Device(tensorflow::DEVICE_CPU), PcrDatasetOp);
REGISTER_KERNEL_BUILDER(Name("PcrDatasetInfo").Device(tensorflow::DEVICE_CPU), PcrDatasetInfoOp);

}  // namespace
}  // namespace pcr
