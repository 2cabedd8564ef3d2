#include "ops/jpeg/decoder.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "ops/jpeg/libjpeg.h"
#include "ops/jpeg/markers.h"

namespace pcr {
namespace {

// Fancy upsampling looks at the chroma samples beside a pixel. So many more pixels on each
// side of a region give the same pixels inside it as in the whole image.
constexpr int kUpsamplingMargin = 2;

J_DCT_METHOD LibjpegMethod(DctMethod method) {
  switch (method) {
    case DctMethod::kIfast:
      return JDCT_IFAST;
    case DctMethod::kFloat:
      return JDCT_FLOAT;
    case DctMethod::kIslow:
      break;
  }
  return JDCT_ISLOW;
}

// What the bytes begin as, for those who gave a file of another format.
std::string NotAJpeg(std::string_view bytes) {
  const auto begins_with = [bytes](std::string_view text) {
    return bytes.substr(0, text.size()) == text;
  };
  if (bytes.empty()) return "not a JPEG: no bytes";
  if (begins_with("\x89PNG")) return "not a JPEG but a PNG";
  if (begins_with("GIF8")) return "not a JPEG but a GIF";
  if (begins_with("BM")) return "not a JPEG but a BMP";
  if (begins_with("RIFF") && bytes.substr(0, 12).substr(8) == "WEBP")
    return "not a JPEG but a WebP";
  return "not a JPEG: " + Expected("it begins with SOI", "\xff\xd8", bytes.substr(0, 2));
}

// "" or why `jpeg` is not given to libjpeg.
std::string Refuse(std::string_view jpeg, const DecodeLimits& limits) {
  if (jpeg.substr(0, 2) != "\xff\xd8") return NotAJpeg(jpeg);
  const Result<JpegLayout> walked = WalkMarkers(jpeg, BetweenSegments::kAnythingGoes);
  if (!walked.ok()) return walked.status().message();
  std::string exceeded = ExceededLimit(walked.value(), limits);
  if (exceeded.empty()) exceeded = MissingData(walked.value());
  if (exceeded.empty() && !walked.value().has_eoi) {
    return "byte " + std::to_string(jpeg.size()) + ": the image is cut short: no EOI";
  }
  return exceeded;
}

// The formula of tf.io.decode_jpeg. With an Adobe segment the samples are inverted.
void CmykToRgb(const uint8_t* cmyk, size_t pixels, bool adobe, uint8_t* rgb) {
  const int invert = adobe ? 0 : 255;
  for (size_t i = 0; i < pixels; ++i, cmyk += 4, rgb += 3) {
    const int k = cmyk[3] ^ invert;
    for (int c = 0; c < 3; ++c) rgb[c] = static_cast<uint8_t>((cmyk[c] ^ invert) * k / 255);
  }
}

}  // namespace

// An opened image. The errors outlive the libjpeg object that reports to them.
class JpegDecoder::Image {
 public:
  Image() : errors_(JpegWarnings::kAreTolerated), info_() { errors_.Watch(&info_); }
  ~Image() { Close(); }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  Status Open(std::string_view jpeg, const DecodeLimits& limits) {
    Close();
    std::string refused = Refuse(jpeg, limits);
    if (!refused.empty()) return InvalidArgument(std::move(refused));
    return Run([this, jpeg] {
      jpeg_create_decompress(&info_);
      jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(jpeg.data()), jpeg.size());
      jpeg_read_header(&info_, TRUE);
    });
  }

  Status Start(const Region& region, int eighths, int channels, const PixelOptions& options) {
    if (channels == 0) channels = natural_channels();
    info_.out_color_space = channels == 1 ? JCS_GRAYSCALE : is_cmyk() ? JCS_CMYK : JCS_RGB;
    info_.scale_num = eighths;
    info_.scale_denom = 8;
    info_.dct_method = LibjpegMethod(options.dct_method);
    info_.do_fancy_upsampling = options.fancy_upsampling ? TRUE : FALSE;
    info_.do_block_smoothing = options.block_smoothing ? TRUE : FALSE;
    channels_ = channels;
    const Status started = Run([this, &region, &options] {
      jpeg_start_decompress(&info_);
      const int margin = options.fancy_upsampling ? kUpsamplingMargin : 0;
      const int begin = std::max(0, region.x - margin - smoothing_margin());
      const int end = std::min<int>(info_.output_width, region.x + region.width + margin);
      JDIMENSION x = begin;
      JDIMENSION width = end - begin;
      if (can_crop_rows() && width < info_.output_width) {
        jpeg_crop_scanline(&info_, &x, &width);
      } else {
        x = 0;
      }
      offset_ = region.x - static_cast<int>(x);
      if (region.y > 0) jpeg_skip_scanlines(&info_, region.y);
    });
    if (started.ok() && info_.out_color_space == JCS_CMYK) {
      cmyk_.resize(size_t{4} * info_.output_width);
    }
    return started;
  }

  Status ReadRow(uint8_t* row) {
    const bool cmyk = info_.out_color_space == JCS_CMYK;
    JSAMPROW rows[] = {cmyk ? cmyk_.data() : row};
    PCR_RETURN_IF_ERROR(Run([this, &rows] { jpeg_read_scanlines(&info_, rows, 1); }));
    if (cmyk) CmykToRgb(cmyk_.data(), info_.output_width, info_.saw_Adobe_marker != 0, row);
    return Status();
  }

  int width() const { return static_cast<int>(info_.image_width); }
  int height() const { return static_cast<int>(info_.image_height); }
  int natural_channels() const { return info_.num_components == 1 ? 1 : 3; }
  size_t row_bytes() const { return size_t{info_.output_width} * channels_; }
  size_t row_offset() const { return static_cast<size_t>(offset_) * channels_; }

 private:
  template <typename Body>
  Status Run(const Body& body) {
    return errors_.Run(body) ? Status() : InvalidArgument(errors_.message());
  }

  // libjpeg keeps quantization and Huffman tables from one image to the next, so that an
  // image without its own would be decoded by those of its predecessor: each one gets a new
  // decompressor. Also right for one that was not created.
  void Close() { jpeg_destroy_decompress(&info_); }

  // Smoothing looks at two blocks on either side, which at the left of cropped rows libjpeg
  // takes for the border of the image.
  int smoothing_margin() const {
    if (!info_.do_block_smoothing || info_.coef_bits == nullptr) return 0;
    const auto is_incomplete = [this](int component) {
      const int* const bits = info_.coef_bits[component];
      return std::any_of(bits, bits + DCTSIZE2, [](int missing) { return missing != 0; });
    };
    for (int c = 0; c < info_.num_components; ++c) {
      if (is_incomplete(c)) return 2 * info_.max_h_samp_factor * DCTSIZE;
    }
    return 0;
  }

  // libjpeg-turbo 2.1 gives wrong columns of an image that is shrunk and of which a component
  // has a quarter of the width of another.
  bool can_crop_rows() const {
    return info_.max_h_samp_factor <= 2 || info_.scale_num == info_.scale_denom;
  }

  bool is_cmyk() const {
    return info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
  }

  JpegErrors errors_;
  jpeg_decompress_struct info_;
  int channels_ = 0;
  int offset_ = 0;             // of the region's first pixel in a row
  std::vector<uint8_t> cmyk_;  // a row
};

JpegDecoder::JpegDecoder() : image_(std::make_unique<Image>()) {}
JpegDecoder::~JpegDecoder() = default;

Status JpegDecoder::Open(std::string_view jpeg, const DecodeLimits& limits) {
  return image_->Open(jpeg, limits);
}
int JpegDecoder::width() const { return image_->width(); }
int JpegDecoder::height() const { return image_->height(); }
int JpegDecoder::natural_channels() const { return image_->natural_channels(); }
Status JpegDecoder::Start(const Region& region, int eighths, int channels,
                          const PixelOptions& options) {
  return image_->Start(region, eighths, channels, options);
}
size_t JpegDecoder::row_bytes() const { return image_->row_bytes(); }
size_t JpegDecoder::row_offset() const { return image_->row_offset(); }
Status JpegDecoder::ReadRow(uint8_t* row) { return image_->ReadRow(row); }

}  // namespace pcr
