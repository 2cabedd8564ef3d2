#include "ops/kernels/image_ops.h"

#include <atomic>
#include <limits>
#include <string>
#include <utility>

#include "ops/base/catch_exceptions.h"
#include "ops/base/mutex.h"
#include "ops/kernels/tensorflow_status.h"
#include "tensorflow/core/framework/cancellation.h"
#include "tensorflow/core/platform/errors.h"
#include "tensorflow/core/util/work_sharder.h"

namespace pcr {
namespace {

// A low estimate of the cycles an image takes: enough for one image to be worth a thread.
constexpr int64_t kCyclesPerImage = 1'000'000;

// The error of the lowest index among those that are added. Thread-safe.
class FirstError {
 public:
  void Add(int64_t index, Status status) {
    MutexLock lock(&mutex_);
    if (index >= index_) return;
    index_ = index;
    status_ = std::move(status);
  }
  int64_t index() const { return index_; }
  Status status() {
    MutexLock lock(&mutex_);
    return status_;
  }

 private:
  Mutex mutex_;
  std::atomic<int64_t> index_{std::numeric_limits<int64_t>::max()};  // written under the mutex
  Status status_ PCR_GUARDED_BY(mutex_);
};

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
  FirstError first_error;
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end && i < first_error.index(); ++i) {
      Status status = cancellation != nullptr && cancellation->IsCancelled()
                          ? Status(Code::kCancelled, "decoding was cancelled")
                          : CatchExceptions([&image, i] { return image(i); });
      if (status.ok()) continue;
      first_error.Add(
          i, status.WithContext(scalar ? "contents" : "contents[" + std::to_string(i) + "]"));
    }
  };
  const auto* const workers = ctx->device()->tensorflow_cpu_worker_threads();
  tensorflow::Shard(workers->num_threads, workers->workers, contents.NumElements(), kCyclesPerImage,
                    run);
  return ToTensorFlow(first_error.status());
}

void Finish(tensorflow::OpKernelContext* ctx, const absl::Status& status) {
  if (absl::IsCancelled(status)) {
    ctx->SetStatus(status);
  } else {
    OP_REQUIRES_OK(ctx, status);
  }
}

}  // namespace pcr
