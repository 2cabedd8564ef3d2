#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "ops/augment/turn.h"
#include "ops/augment/turning_writer.h"
#include "ops/base/catch_exceptions.h"
#include "ops/jpeg/pixels/decoder.h"
#include "ops/jpeg/syntax/exif_orientation.h"
#include "ops/kernels/image_ops.h"
#include "ops/kernels/tensorflow_status.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/errors.h"

namespace pcr {
namespace {

using ::tensorflow::Tensor;
using ::tensorflow::TensorShape;
using ::tensorflow::tstring;

JpegDecoder& ThreadDecoder() {
  thread_local JpegDecoder decoder;
  return decoder;
}

TurningWriter& ThreadWriter() {
  thread_local TurningWriter writer;
  return writer;
}

struct ImageSize {
  int height = 0;
  int width = 0;
  int channels = 0;

  bool operator==(const ImageSize& other) const {
    return height == other.height && width == other.width && channels == other.channels;
  }
  std::string ToString() const {
    return "[" + std::to_string(height) + ", " + std::to_string(width) + ", " +
           std::to_string(channels) + "]";
  }
};

class DecodeJpegOp : public tensorflow::OpKernel {
 public:
  explicit DecodeJpegOp(tensorflow::OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("channels", &channels_));
    OP_REQUIRES(
        ctx, channels_ == 0 || channels_ == 1 || channels_ == 3,
        tensorflow::errors::InvalidArgument("channels; expected 0, 1 or 3, got ", channels_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("honor_orientation", &honor_orientation_));
    OP_REQUIRES_OK(ctx, GetPixelOptions(ctx, &pixels_));
    OP_REQUIRES_OK(ctx, GetDecodeLimits(ctx, &limits_));
  }

  void Compute(tensorflow::OpKernelContext* ctx) override {
    const Tensor& contents = ctx->input(0);
    OP_REQUIRES(
        ctx, contents.dims() <= 1,
        tensorflow::errors::InvalidArgument("contents; expected a scalar or a vector, got shape ",
                                            contents.shape().DebugString()));
    const auto jpegs = contents.flat<tstring>();
    // The first image decides the size of all: the output is allocated before they are decoded in
    // parallel.
    ImageSize size{0, 0, channels_};
    if (jpegs.size() > 0) {
      const Status opened = CatchExceptions([&] {
        Turn turn;
        return Open(jpegs(0), &turn, &size);
      });
      OP_REQUIRES_OK(
          ctx, ToTensorFlow(opened.WithContext(contents.dims() == 0 ? "contents" : "contents[0]")));
    }
    TensorShape shape = contents.shape();
    for (const int side : {size.height, size.width, size.channels}) {
      OP_REQUIRES_OK(ctx, shape.AddDimWithStatus(side));
    }
    Tensor* image = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, shape, &image));
    const size_t image_bytes = size_t(size.height) * size.width * size.channels;
    uint8_t* const pixels = image->flat<uint8_t>().data();
    Finish(ctx, ForEachImage(ctx, contents, [&](int64_t i) {
             return Decode(jpegs(i), size, pixels + i * image_bytes);
           }));
  }

 private:
  Status Open(std::string_view jpeg, Turn* turn, ImageSize* size) const {
    JpegDecoder& decoder = ThreadDecoder();
    PCR_RETURN_IF_ERROR(decoder.Open(jpeg, limits_));
    *size = {decoder.height(), decoder.width(),
             channels_ == 0 ? decoder.natural_channels() : channels_};
    if (honor_orientation_) *turn = UprightTurn(ExifOrientation(jpeg));
    if (turn->transposes) std::swap(size->height, size->width);
    return Status();
  }

  Status Decode(std::string_view jpeg, const ImageSize& expected, uint8_t* to) const {
    Turn turn;
    ImageSize size;
    PCR_RETURN_IF_ERROR(Open(jpeg, &turn, &size));
    if (!(size == expected)) {
      return InvalidArgument(Expected("the images of a batch must be of one size",
                                      expected.ToString() + " as contents[0]", size.ToString()));
    }
    JpegDecoder& decoder = ThreadDecoder();
    const int width = decoder.width();
    const int height = decoder.height();
    PCR_RETURN_IF_ERROR(decoder.Start({0, 0, width, height}, 8, size.channels, pixels_));
    TurningWriter& writer = ThreadWriter();
    writer.Start(turn, height, width, size.channels, to);
    for (int y = 0; y < height; ++y) PCR_RETURN_IF_ERROR(decoder.ReadRow(writer.NextRow()));
    writer.Finish();
    return Status();
  }

  int channels_ = 0;
  bool honor_orientation_ = false;
  PixelOptions pixels_;
  DecodeLimits limits_;
};

REGISTER_KERNEL_BUILDER(Name("PcrDecodeJpeg").Device(tensorflow::DEVICE_CPU), DecodeJpegOp);

}  // namespace
}  // namespace pcr
