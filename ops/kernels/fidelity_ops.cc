// PcrSetFidelity, PcrFidelity, PcrFidelityBound: the ops behind pcr_tf.Fidelity.

#include <string>
#include <utility>

#include "ops/base/cancellation.h"
#include "ops/format/fidelity_mixture.h"
#include "ops/kernels/fidelity_cell.h"
#include "ops/kernels/tensorflow_status.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/errors.h"

namespace pcr {
namespace {

using ::tensorflow::OpKernelContext;
using ::tensorflow::tstring;

// Inputs 0 and 1: scalars, as the shape functions require.
FidelityName NameOf(OpKernelContext* ctx) {
  return {std::string(ctx->input(0).scalar<tstring>()()), ctx->input(1).scalar<int64_t>()()};
}

template <typename T>
void SetOutput(OpKernelContext* ctx, int n, const T& value) {
  tensorflow::Tensor* output = nullptr;
  OP_REQUIRES_OK(ctx, ctx->allocate_output(n, {}, &output));
  output->scalar<T>()() = value;
}

class PcrSetFidelityOp : public tensorflow::OpKernel {
 public:
  using tensorflow::OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    auto parsed = FidelityMixture::Parse(ctx->input(2).scalar<tstring>()());
    OP_REQUIRES(ctx, parsed.ok(), ToTensorFlow(parsed.status()));
    FidelityCell::FindOrMake(ctx->env(), NameOf(ctx))->Set(std::move(parsed).value());
  }
};

class PcrFidelityOp : public tensorflow::OpKernel {
 public:
  using tensorflow::OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    const FidelityName name = NameOf(ctx);
    FidelityCell* cell = nullptr;
    OP_REQUIRES_OK(ctx, FidelityCell::Find(ctx->env(), name, &cell));
    OP_REQUIRES_OK(ctx, cell->Look(name.poll_ms, Cancellation()));
    const FidelityCell::Value value = cell->value();
    OP_REQUIRES(ctx, value != nullptr, tensorflow::errors::Internal("a fidelity without a value"));
    SetOutput(ctx, 0, tstring(value->text()));
  }
};

class PcrFidelityBoundOp : public tensorflow::OpKernel {
 public:
  using tensorflow::OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    // A handle may ask before its first value is set.
    const auto [dataset, num_groups] =
        FidelityCell::FindOrMake(ctx->env(), NameOf(ctx))->SmallestDataset();
    SetOutput(ctx, 0, tstring(dataset));
    SetOutput(ctx, 1, static_cast<int64_t>(num_groups));
  }
};

REGISTER_KERNEL_BUILDER(Name("PcrSetFidelity").Device(tensorflow::DEVICE_CPU), PcrSetFidelityOp);
REGISTER_KERNEL_BUILDER(Name("PcrFidelity").Device(tensorflow::DEVICE_CPU), PcrFidelityOp);
REGISTER_KERNEL_BUILDER(Name("PcrFidelityBound").Device(tensorflow::DEVICE_CPU),
                        PcrFidelityBoundOp);

}  // namespace
}  // namespace pcr
