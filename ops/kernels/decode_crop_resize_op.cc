#ifdef __linux__
#include <sys/mman.h>
#endif

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "ops/augment/decode_augment.h"
#include "ops/base/catch_exceptions.h"
#include "ops/kernels/image_ops.h"
#include "ops/kernels/tensorflow_status.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/lib/monitoring/counter.h"
#include "tensorflow/core/platform/errors.h"
#include "tensorflow/core/platform/logging.h"
#include "tensorflow/core/platform/numbers.h"

namespace pcr {
namespace {

using ::tensorflow::OpKernelConstruction;
using ::tensorflow::OpKernelContext;
using ::tensorflow::Tensor;
using ::tensorflow::TensorShape;
using ::tensorflow::tstring;

// Broken images that the log names; all are counted.
constexpr int64_t kMaxLogged = 10;

DecodeAugmenter* ThreadAugmenter() {
  thread_local DecodeAugmenter augmenter;
  return &augmenter;
}

tensorflow::monitoring::CounterCell* DecodeErrors() {
  static auto* const counter = tensorflow::monitoring::Counter<0>::New(
      "/pcr_tf/decode_errors", "Broken images that PcrDecodeCropResize marked.");
  return counter->GetCell();
}

// Large outputs are mapped anew each time. The system clears and maps fewer and larger pages
// faster.
void PreferHugePages(char* data, size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr size_t kMinBytes = size_t{4} << 20;
  constexpr size_t kPageBytes = size_t{2} << 20;
  if (bytes < kMinBytes) return;
  const size_t to_first_page = -reinterpret_cast<uintptr_t>(data) % kPageBytes;
  const size_t whole_pages = (bytes - to_first_page) / kPageBytes * kPageBytes;
  // Only a hint: a refusal does no harm.
  static_cast<void>(madvise(data + to_first_page, whole_pages, MADV_HUGEPAGE));
#else
  static_cast<void>(data);
  static_cast<void>(bytes);
#endif
}

// Attributes hold doubles as text, since those of type float have the precision of float32.
absl::Status ParseDouble(const char* name, const std::string& text, double* value) {
  if (tensorflow::strings::safe_strtod(text, value)) return absl::OkStatus();
  return ToTensorFlow(InvalidArgument(Expected(name, "a decimal number", text)));
}

absl::Status GetDouble(OpKernelConstruction* ctx, const char* name, double* value) {
  std::string text;
  TF_RETURN_IF_ERROR(ctx->GetAttr(name, &text));
  return ParseDouble(name, text, value);
}

absl::Status GetDoubles(OpKernelConstruction* ctx, const char* name, std::vector<double>* values) {
  std::vector<std::string> texts;
  TF_RETURN_IF_ERROR(ctx->GetAttr(name, &texts));
  values->resize(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    TF_RETURN_IF_ERROR(ParseDouble(name, texts[i], &(*values)[i]));
  }
  return absl::OkStatus();
}

absl::Status RequireTwo(const char* name, size_t got) {
  if (got == 2) return absl::OkStatus();
  return tensorflow::errors::InvalidArgument(name, "; expected 2 values, got ", got);
}

absl::Status GetRange(OpKernelConstruction* ctx, const char* name, double* low, double* high) {
  std::vector<double> range;
  TF_RETURN_IF_ERROR(GetDoubles(ctx, name, &range));
  TF_RETURN_IF_ERROR(RequireTwo(name, range.size()));
  *low = range[0];
  *high = range[1];
  return absl::OkStatus();
}

absl::Status GetAugmentOptions(OpKernelConstruction* ctx, AugmentOptions* options) {
  std::vector<int> size;
  TF_RETURN_IF_ERROR(ctx->GetAttr("size", &size));
  TF_RETURN_IF_ERROR(RequireTwo("size", size.size()));
  options->height = size[0];
  options->width = size[1];
  TF_RETURN_IF_ERROR(ctx->GetAttr("channels", &options->channels));
  std::string mode;
  TF_RETURN_IF_ERROR(ctx->GetAttr("mode", &mode));
  options->crop = mode == "random" ? CropMode::kRandom : CropMode::kCenter;
  RandomCropOptions* const crop = &options->random_crop;
  TF_RETURN_IF_ERROR(GetRange(ctx, "area_range", &crop->min_area, &crop->max_area));
  TF_RETURN_IF_ERROR(
      GetRange(ctx, "aspect_ratio_range", &crop->min_aspect_ratio, &crop->max_aspect_ratio));
  TF_RETURN_IF_ERROR(ctx->GetAttr("max_attempts", &crop->max_attempts));
  TF_RETURN_IF_ERROR(GetDouble(ctx, "crop_fraction", &options->center_fraction));
  TF_RETURN_IF_ERROR(GetDouble(ctx, "flip_probability", &options->flip_probability));
  TF_RETURN_IF_ERROR(GetDoubles(ctx, "mean", &options->mean));
  TF_RETURN_IF_ERROR(GetDoubles(ctx, "stddev", &options->stddev));
  tensorflow::DataType type = tensorflow::DT_INVALID;
  TF_RETURN_IF_ERROR(ctx->GetAttr("T", &type));
  options->type = type == tensorflow::DT_UINT8   ? PixelType::kUint8
                  : type == tensorflow::DT_FLOAT ? PixelType::kFloat32
                                                 : PixelType::kBfloat16;
  TF_RETURN_IF_ERROR(ctx->GetAttr("antialias", &options->antialias));
  TF_RETURN_IF_ERROR(ctx->GetAttr("dct_scaling", &options->dct_scaling));
  TF_RETURN_IF_ERROR(ctx->GetAttr("honor_orientation", &options->honor_orientation));
  TF_RETURN_IF_ERROR(GetPixelOptions(ctx, &options->pixels));
  TF_RETURN_IF_ERROR(GetDecodeLimits(ctx, &options->limits));
  return ToTensorFlow(options->Validate());
}

class DecodeCropResizeOp : public tensorflow::OpKernel {
 public:
  explicit DecodeCropResizeOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, GetAugmentOptions(ctx, &options_));
    std::string on_error;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("on_error", &on_error));
    mark_ = on_error == "mark";
  }

  void Compute(OpKernelContext* ctx) override {
    const Tensor& contents = ctx->input(0);
    const Tensor& seed = ctx->input(1);
    OP_REQUIRES(
        ctx, contents.dims() <= 1,
        tensorflow::errors::InvalidArgument("contents; expected a scalar or a vector, got shape ",
                                            contents.shape().DebugString()));
    TensorShape seed_shape = contents.shape();
    OP_REQUIRES_OK(ctx, seed_shape.AddDimWithStatus(2));
    const bool random = options_.crop == CropMode::kRandom;
    OP_REQUIRES(
        ctx, !random || seed.shape() == seed_shape,
        tensorflow::errors::InvalidArgument("shape of seed; expected ", seed_shape.DebugString(),
                                            ", got ", seed.shape().DebugString()));
    const Tensor& names = ctx->input(2);
    const bool named = names.NumElements() > 0;
    OP_REQUIRES(ctx, !named || names.shape() == contents.shape(),
                tensorflow::errors::InvalidArgument("shape of names; expected ",
                                                    contents.shape().DebugString(), ", got ",
                                                    names.shape().DebugString()));
    TensorShape shape = contents.shape();
    for (const int side : {options_.height, options_.width, options_.channels}) {
      OP_REQUIRES_OK(ctx, shape.AddDimWithStatus(side));
    }
    Tensor* image = nullptr;
    Tensor* decoded = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, shape, &image));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, contents.shape(), &decoded));

    const auto jpegs = contents.flat<tstring>();
    const auto seeds = seed.flat<int64_t>();
    auto marks = decoded->flat<bool>();
    char* const pixels = static_cast<char*>(image->data());
    PreferHugePages(pixels, image->TotalBytes());
    const size_t image_bytes = options_.output_bytes();
    Finish(ctx, ForEachImage(ctx, contents, [&](int64_t i) {
             const Seed of_image = random ? Seed{seeds(2 * i), seeds(2 * i + 1)} : Seed{};
             char* const to = pixels + i * image_bytes;
             // Any failure here, a lack of memory included, is an error of this image alone.
             Status status = CatchExceptions(
                 [&] { return ThreadAugmenter()->Run(jpegs(i), options_, of_image, to); });
             marks(i) = status.ok();
             if (status.ok()) return status;
             if (named) status = status.WithContext(names.flat<tstring>()(i));
             if (!mark_) return status;
             std::memset(to, 0, image_bytes);
             DecodeErrors()->IncrementBy(1);
             if (named && DecodeErrors()->value() <= kMaxLogged) {
               LOG(WARNING) << "broken image left out: " << status.message();
             }
             return Status();
           }));
  }

 private:
  AugmentOptions options_;
  bool mark_ = false;
};

class DecodeErrorsOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* ctx) override {
    Tensor* count = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, TensorShape({}), &count));
    count->scalar<int64_t>()() = DecodeErrors()->value();
  }
};

REGISTER_KERNEL_BUILDER(Name("PcrDecodeCropResize").Device(tensorflow::DEVICE_CPU),
                        DecodeCropResizeOp);
REGISTER_KERNEL_BUILDER(Name("PcrDecodeErrors").Device(tensorflow::DEVICE_CPU), DecodeErrorsOp);

}  // namespace
}  // namespace pcr
