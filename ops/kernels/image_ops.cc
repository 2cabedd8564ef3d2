#include "ops/kernels/image_ops.h"

#include <atomic>
#include <limits>
#include <string>

#include "ops/base/catch_exceptions.h"
#include "ops/kernels/dataset_opener.h"
#include "tensorflow/core/framework/cancellation.h"
#include "tensorflow/core/platform/errors.h"
#include "tensorflow/core/platform/mutex.h"
#include "tensorflow/core/util/work_sharder.h"

namespace pcr {
namespace {

// A low estimate of the cycles an image takes: enough for one image to be worth a thread.
constexpr int64_t kCyclesPerImage = 1'000'000;

}  // namespace

absl::Status GetPixelOptions(tensorflow::OpKernelConstruction* ctx, PixelOptions* options) {
  std::string method;
  TF_RETURN_IF_ERROR(ctx->GetAttr("dct_method", &method));
  options->dct_method = method == "ifast"   ? DctMethod::kIfast
                        : method == "float" ? DctMethod::kFloat
                                            : DctMethod::kIslow;
  TF_RETURN_IF_ERROR(ctx->GetAttr("fancy_upsampling", &options->fancy_upsampling));
  return ctx->GetAttr("block_smoothing", &options->block_smoothing);
}

absl::Status GetDecodeLimits(tensorflow::OpKernelConstruction* ctx, DecodeLimits* limits) {
  int64_t max_pixels = 0;
  int64_t max_scans = 0;
  TF_RETURN_IF_ERROR(ctx->GetAttr("max_pixels", &max_pixels));
  TF_RETURN_IF_ERROR(ctx->GetAttr("max_scans", &max_scans));
  limits->max_pixels = static_cast<uint64_t>(max_pixels);
  limits->max_scans = static_cast<uint64_t>(max_scans);
  return absl::OkStatus();
}

absl::Status ForEachImage(tensorflow::OpKernelContext* ctx, const tensorflow::Tensor& contents,
                          const std::function<Status(int64_t i)>& image) {
  const bool scalar = contents.dims() == 0;
  tensorflow::CancellationManager* const cancellation = ctx->cancellation_manager();
  std::atomic<int64_t> first_failed{std::numeric_limits<int64_t>::max()};
  tensorflow::mutex mu;
  Status error;  // of first_failed
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end && i < first_failed; ++i) {
      Status status = cancellation != nullptr && cancellation->IsCancelled()
                          ? Status(Code::kCancelled, "decoding was cancelled")
                          : CatchExceptions([&image, i] { return image(i); });
      if (status.ok()) continue;
      const tensorflow::mutex_lock lock(mu);
      if (i < first_failed) {
        first_failed = i;
        error = status.WithContext(scalar ? "contents" : "contents[" + std::to_string(i) + "]");
      }
    }
  };
  const auto* const workers = ctx->device()->tensorflow_cpu_worker_threads();
  tensorflow::Shard(workers->num_threads, workers->workers, contents.NumElements(), kCyclesPerImage,
                    run);
  return ToTensorFlow(error);
}

void Finish(tensorflow::OpKernelContext* ctx, const absl::Status& status) {
  if (absl::IsCancelled(status)) {
    ctx->SetStatus(status);
  } else {
    OP_REQUIRES_OK(ctx, status);
  }
}

}  // namespace pcr
