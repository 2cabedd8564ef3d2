#include <cstdint>
#include <vector>

#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace pcr {
namespace {

using ::tensorflow::shape_inference::DimensionHandle;
using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;

// Sets output 0 to contents' shape followed by `image`.
absl::Status SetImageShape(InferenceContext* c, const std::vector<DimensionHandle>& image) {
  ShapeHandle contents;
  TF_RETURN_IF_ERROR(c->WithRankAtMost(c->input(0), 1, &contents));
  ShapeHandle images;
  TF_RETURN_IF_ERROR(c->Concatenate(contents, c->MakeShape(image), &images));
  c->set_output(0, images);
  return absl::OkStatus();
}

REGISTER_OP("PcrDecodeJpeg")
    .Input("contents: string")
    .Output("image: uint8")
    .Attr("channels: int = 0")
    .Attr("dct_method: {'islow', 'ifast', 'float'} = 'islow'")
    .Attr("fancy_upsampling: bool = true")
    .Attr("block_smoothing: bool")
    .Attr("honor_orientation: bool = false")
    .Attr("max_pixels: int >= 1")
    .Attr("max_scans: int >= 1")
    .SetShapeFn([](InferenceContext* c) {
      int64_t channels = 0;
      TF_RETURN_IF_ERROR(c->GetAttr("channels", &channels));
      return SetImageShape(c, {c->UnknownDim(), c->UnknownDim(),
                               channels == 0 ? c->UnknownDim() : c->MakeDim(channels)});
    })
    .Doc(R"doc(
The pixels of a JPEG, full or a prefix of its scans, or of a batch of them.

contents: [] or [B] JPEGs.
image: [height, width, channels] or [B, height, width, channels]. The images of a batch must be
  of one size.
channels: 1: greyscale; 3: RGB; 0: 1 for a greyscale image, else 3.
dct_method: Inverse DCT: accurate integers, less accurate ones, or floating point.
fancy_upsampling: Interpolate subsampled chroma instead of repeating it.
block_smoothing: Smooth over block borders where a progressive image lacks scans.
honor_orientation: Turn the image upright, by its EXIF orientation, before all else.
max_pixels: Bound on width x height.
max_scans: Bound on the number of scans.
)doc");

REGISTER_OP("PcrDecodeCropResize")
    .Input("contents: string")
    .Input("seed: int64")
    .Input("names: string")
    .Output("image: T")
    .Output("decoded: bool")
    .Attr("size: list(int) >= 2")
    .Attr("mode: {'random', 'center'}")
    // Doubles are text: an attribute of type float has the precision of float32.
    .Attr("area_range: list(string) = ['0.08', '1']")
    .Attr("aspect_ratio_range: list(string) = ['0.75', '1.3333333333333333']")
    .Attr("max_attempts: int = 100")
    .Attr("crop_fraction: string = '0.875'")
    .Attr("flip_probability: string = '0.5'")
    .Attr("channels: int = 3")
    .Attr("mean: list(string) = []")
    .Attr("stddev: list(string) = []")
    .Attr("T: {uint8, float, bfloat16} = DT_UINT8")
    .Attr("antialias: bool = false")
    .Attr("dct_scaling: bool = true")
    .Attr("dct_method: {'islow', 'ifast', 'float'} = 'islow'")
    .Attr("fancy_upsampling: bool = true")
    .Attr("block_smoothing: bool")
    .Attr("honor_orientation: bool = false")
    .Attr("max_pixels: int >= 1")
    .Attr("max_scans: int >= 1")
    .Attr("on_error: {'raise', 'mark'} = 'raise'")
    .SetShapeFn([](InferenceContext* c) {
      std::vector<int64_t> size;
      int64_t channels = 0;
      TF_RETURN_IF_ERROR(c->GetAttr("size", &size));
      TF_RETURN_IF_ERROR(c->GetAttr("channels", &channels));
      if (size.size() != 2) {
        return absl::InvalidArgumentError("size; expected [height, width], got another length");
      }
      TF_RETURN_IF_ERROR(
          SetImageShape(c, {c->MakeDim(size[0]), c->MakeDim(size[1]), c->MakeDim(channels)}));
      c->set_output(1, c->input(0));
      return absl::OkStatus();
    })
    .Doc(R"doc(
Training or evaluation examples from JPEGs: crop, resize, flip and normalise while decoding.

contents: [] or [B] JPEGs.
seed: [2] or [B, 2]: what the crop and flip of each image are drawn from. Ignored, and of any
  shape, with mode "center".
names: [] or [B]: what messages call the images. Empty, of any shape: they have no names.
image: [height, width, channels] or [B, height, width, channels].
decoded: [] or [B]. False, with on_error "mark", where an image is broken: its pixels are 0.
size: [height, width] of the output.
mode: "random": a crop as tf.image.sample_distorted_bounding_box draws it, and a flip. "center":
  the largest window of the output's aspect ratio, times crop_fraction, in the middle.
area_range: Of a random crop, as a share of the image's area.
aspect_ratio_range: Of a random crop, width / height.
max_attempts: Draws of a random crop, after which it is the whole image.
crop_fraction: Of the center crop.
flip_probability: Of a flip left to right, with mode "random".
channels: 1: greyscale; 3: RGB.
mean: Per channel on the scale 0..255; output = (pixel - mean) / stddev. Empty: as it is,
  the only choice for uint8.
stddev: Per channel, like mean. Like all numbers with a fraction, decimal text of a double.
antialias: As in tf.image.resize(method="bilinear").
dct_scaling: Whether to decode at 1/2, 1/4 or 1/8 of the size where the crop is then still no
  smaller than the output.
dct_method: Inverse DCT: accurate integers, less accurate ones, or floating point.
fancy_upsampling: Interpolate subsampled chroma instead of repeating it.
block_smoothing: Smooth over block borders where a progressive image lacks scans.
honor_orientation: Turn the image upright, by its EXIF orientation, before all else.
max_pixels: Bound on width x height.
max_scans: Bound on the number of scans.
on_error: "raise", or "mark" and count a broken image; the first ones that have names are logged.
)doc");

REGISTER_OP("PcrDecodeErrors")
    .Output("count: int64")
    // Stateful, so that constant folding does not run it.
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::ScalarShape)
    .Doc(R"doc(
How many broken images PcrDecodeCropResize has marked in this process.
)doc");

}  // namespace
}  // namespace pcr
