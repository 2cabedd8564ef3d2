#include "ops/jpeg/pixels/decoder.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "ops/jpeg/entropy/progressive_scans.h"
#include "ops/jpeg/entropy/sequential_scan.h"
#include "ops/jpeg/libjpeg/libjpeg.h"
#include "ops/jpeg/pixels/libjpeg_coefficient_source.h"
#include "ops/jpeg/syntax/markers.h"

namespace pcr {
namespace {

// Fancy upsampling looks at the chroma samples beside a pixel. So many more pixels on each
// side of a region give the same pixels inside it as in the whole image.
constexpr int kUpsamplingMargin = 2;

// How tf.io.decode_jpeg recognizes a JPEG.
constexpr std::string_view kBeginning = "\xff\xd8\xff";

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

// Names the format that the bytes begin as, for callers who passed a file of another format.
std::string NotAJpeg(std::string_view bytes) {
  const auto begins_with = [bytes](std::string_view text) {
    return bytes.substr(0, text.size()) == text;
  };
  const auto but_a = [](const std::string& format) {
    return "not a JPEG but a " + format +
           "; pcr-convert --on_unsupported=encode makes JPEGs of such";
  };
  if (bytes.empty()) return "not a JPEG: no bytes";
  if (begins_with("\x89PNG")) return but_a("PNG");
  if (begins_with("GIF8")) return but_a("GIF");
  if (begins_with("BM")) return but_a("BMP");
  if (begins_with("RIFF") && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP") {
    return but_a("WebP");
  }
  return "not a JPEG: " +
         Expected("it begins with SOI and a marker", kBeginning, bytes.substr(0, 3));
}

// The image's layout, or the reason why it is not passed to libjpeg.
Result<JpegLayout> Judge(std::string_view jpeg, const DecodeLimits& limits) {
  if (jpeg.substr(0, 3) != kBeginning) return InvalidArgument(NotAJpeg(jpeg));
  Result<JpegLayout> walked = WalkMarkers(jpeg, BetweenSegments::kAnythingGoes);
  if (!walked.ok()) return InvalidArgument(walked.status().message());
  std::string refused = ExceededLimit(walked.value(), limits);
  if (refused.empty()) refused = MissingData(walked.value());
  if (refused.empty()) refused = ExceededWork(walked.value());
  if (refused.empty() && !walked.value().has_eoi) {
    refused = "byte " + std::to_string(jpeg.size()) + ": the image is cut short: no EOI";
  }
  if (!refused.empty()) return InvalidArgument(std::move(refused));
  return walked;
}

// Whether libjpeg would judge, and not skip, a segment behind the first scan, or a marker in it.
bool GoesOnBehindFirstScan(const JpegLayout& layout) {
  if (layout.scans.empty()) return false;
  if (layout.has_undefined_markers) return true;
  return std::any_of(layout.segments.rbegin(), layout.segments.rend(), [&](const Segment& segment) {
    return segment.offset > layout.scans[0].sos_offset && !IsSkipped(segment.marker);
  });
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
    Result<JpegLayout> layout = Judge(jpeg, limits);
    if (!layout.ok()) return layout.status();
    layout_ = std::move(layout).value();
    jpeg_ = jpeg;
    return ReadHeader();
  }

  Status Start(const Region& region, int eighths, int channels, const PixelOptions& options) {
    channels_ = channels == 0 ? natural_channels() : channels;
    if (channels_ == 1 && is_cmyk()) {
      return InvalidArgument(Expected("channels of a CMYK or YCCK image", 3, 1) +
                             "; decode it to RGB, then tf.image.rgb_to_grayscale");
    }
    region_ = region;
    eighths_ = eighths;
    options_ = options;
    rows_read_ = 0;
    SetOptions();
    streams_ = !GoesOnBehindFirstScan(layout_) && scan_.Start(jpeg_, layout_);
    if (streams_) {
      if (coefficients_.StartSequential(&scan_, &info_, &errors_) &&
          errors_.Run([this] { GoToRegion(); })) {
        return Status();
      }
      return StartAgain();
    }
    if (!HasPlainProgression(jpeg_, layout_)) return StartLibjpeg();
    if (!coefficients_.StartProgressive(jpeg_, layout_, &info_, &errors_)) return StartAgain();
    return Run([this] { GoToRegion(); });
  }

  Status ReadRow(uint8_t* row) {
    Status read = TryReadRow(row);
    if (!read.ok() && streams_) {
      // Damage below the rows read so far, which are the same as libjpeg's.
      PCR_RETURN_IF_ERROR(StartAgain());
      for (int i = 0; i < rows_read_; ++i) PCR_RETURN_IF_ERROR(TryReadRow(row));
      read = TryReadRow(row);
    }
    ++rows_read_;
    return read;
  }

  int width() const { return static_cast<int>(info_.image_width); }
  int height() const { return static_cast<int>(info_.image_height); }
  int natural_channels() const { return info_.num_components == 1 ? 1 : 3; }
  size_t row_bytes() const { return size_t{info_.output_width} * channels_; }
  size_t row_offset() const { return static_cast<size_t>(offset_) * channels_; }

 private:
  Status ReadHeader() {
    return Run([this] {
      jpeg_create_decompress(&info_);
      jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(jpeg_.data()), jpeg_.size());
      jpeg_read_header(&info_, TRUE);
    });
  }

  void SetOptions() {
    info_.out_color_space = channels_ == 1 ? JCS_GRAYSCALE : is_cmyk() ? JCS_CMYK : JCS_RGB;
    info_.scale_num = eighths_;
    info_.scale_denom = 8;
    info_.dct_method = LibjpegMethod(options_.dct_method);
    info_.do_fancy_upsampling = options_.fancy_upsampling ? TRUE : FALSE;
    info_.do_block_smoothing = options_.block_smoothing ? TRUE : FALSE;
  }

  Status StartLibjpeg() {
    return Run([this] {
      // Of an image that should have one scan it reads no more than the rows asked for need. What
      // follows counts too: by its end the image may turn out to be none.
      const bool read_to_end = !jpeg_has_multiple_scans(&info_) && GoesOnBehindFirstScan(layout_);
      info_.buffered_image = read_to_end ? TRUE : FALSE;
      jpeg_start_decompress(&info_);
      if (read_to_end) {
        while (jpeg_consume_input(&info_) != JPEG_REACHED_EOI) {
        }
        jpeg_start_output(&info_, info_.input_scan_number);
      }
      GoToRegion();
    });
  }

  // With libjpeg alone.
  Status StartAgain() {
    streams_ = false;
    Close();
    PCR_RETURN_IF_ERROR(ReadHeader());
    SetOptions();
    return StartLibjpeg();
  }

  // Of a started image. Inside Run().
  void GoToRegion() {
    // At least a column of each component on either side: of rows in which one has a single column
    // libjpeg chooses the way of upsampling anew, for the others too.
    const int margin =
        info_.do_fancy_upsampling ? std::max(kUpsamplingMargin, info_.max_h_samp_factor) : 0;
    const int begin = std::max(0, region_.x - margin - smoothing_margin());
    const int end = std::min<int>(info_.output_width, region_.x + region_.width + margin);
    JDIMENSION x = begin;
    JDIMENSION width = end - begin;
    // It refuses the whole width of an image narrower than an MCU.
    if (can_crop_rows() && width < info_.output_width) {
      jpeg_crop_scanline(&info_, &x, &width);
      const int mcu_width = info_.max_h_samp_factor * eighths_;
      scan_.KeepColumns(static_cast<int>(x) / mcu_width,
                        static_cast<int>(x + width + mcu_width - 1) / mcu_width);
    } else {
      x = 0;
    }
    offset_ = region_.x - static_cast<int>(x);
    if (region_.y > 0) jpeg_skip_scanlines(&info_, region_.y);
  }

  Status TryReadRow(uint8_t* row) {
    const bool cmyk = info_.out_color_space == JCS_CMYK;
    if (cmyk) cmyk_.resize(size_t{4} * info_.output_width);
    JSAMPROW rows[] = {cmyk ? cmyk_.data() : row};
    PCR_RETURN_IF_ERROR(Run([this, &rows] { jpeg_read_scanlines(&info_, rows, 1); }));
    if (cmyk) CmykToRgb(cmyk_.data(), info_.output_width, info_.saw_Adobe_marker != 0, row);
    return Status();
  }

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
  // has a quarter of the width or of the height of another: such a component is shrunk less than
  // the image, and yet to be upsampled, and cropping forgets the former. And where it merges
  // upsampling with the conversion of colours, up to 2.1.2 it writes rows of the whole width into
  // those of cropped ones.
  bool can_crop_rows() const {
    const bool may_merge = !info_.do_fancy_upsampling && info_.max_v_samp_factor == 2;
    const bool halves_at_most = info_.max_h_samp_factor <= 2 && info_.max_v_samp_factor <= 2;
    return !may_merge && (halves_at_most || info_.scale_num == info_.scale_denom);
  }

  bool is_cmyk() const {
    return info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
  }

  JpegErrors errors_;
  jpeg_decompress_struct info_;
  std::string_view jpeg_;
  JpegLayout layout_;
  LibjpegCoefficientSource coefficients_;
  SequentialScan scan_;
  bool streams_ = false;  // libjpeg has its coefficients from scan_
  Region region_;
  int eighths_ = 8;
  int channels_ = 0;
  PixelOptions options_;
  int rows_read_ = 0;
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
