#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "ops/jpeg/pixels/decoder.h"
#include "ops/jpeg/syntax/limits.h"
#include "ops/jpeg/syntax/markers.h"
#include "tests/cpp/jpeg_test_images.h"
#include "tests/cpp/random_region.h"

namespace pcr {
namespace {

using testing::FindMarker;
using testing::Insert;
using testing::JpegSpec;
using testing::MakeJpeg;

constexpr char kEoi[] = "\xff\xd9";

struct Pixels {
  int width = 0;
  int height = 0;
  int channels = 0;
  std::vector<uint8_t> values;
};

// What libjpeg makes of the whole image, warnings notwithstanding.
Pixels Reference(std::string_view jpeg, J_COLOR_SPACE space, int eighths = 8,
                 const PixelOptions& options = {}) {
  jpeg_error_mgr errors;
  jpeg_decompress_struct info;
  info.err = jpeg_std_error(&errors);
  errors.emit_message = [](j_common_ptr, int) {};
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(jpeg.data()), jpeg.size());
  jpeg_read_header(&info, TRUE);
  info.out_color_space = space;
  info.scale_num = eighths;
  info.scale_denom = 8;
  info.dct_method = options.dct_method == DctMethod::kIslow   ? JDCT_ISLOW
                    : options.dct_method == DctMethod::kIfast ? JDCT_IFAST
                                                              : JDCT_FLOAT;
  info.do_fancy_upsampling = options.fancy_upsampling ? TRUE : FALSE;
  info.do_block_smoothing = options.block_smoothing ? TRUE : FALSE;
  jpeg_start_decompress(&info);
  Pixels pixels{static_cast<int>(info.output_width),
                static_cast<int>(info.output_height),
                info.output_components,
                {}};
  const size_t row_bytes = size_t{info.output_width} * info.output_components;
  pixels.values.resize(row_bytes * info.output_height);
  while (info.output_scanline < info.output_height) {
    JSAMPROW rows[] = {&pixels.values[info.output_scanline * row_bytes]};
    jpeg_read_scanlines(&info, rows, 1);
  }
  jpeg_destroy_decompress(&info);
  return pixels;
}

Pixels Crop(const Pixels& of, const Region& region) {
  Pixels crop{region.width, region.height, of.channels, {}};
  for (int y = region.y; y < region.y + region.height; ++y) {
    const auto row =
        of.values.begin() + (static_cast<ptrdiff_t>(y) * of.width + region.x) * of.channels;
    crop.values.insert(crop.values.end(), row, row + ptrdiff_t{region.width} * of.channels);
  }
  return crop;
}

Result<Pixels> Decode(JpegDecoder* decoder, std::string_view jpeg, const Region* region = nullptr,
                      int channels = 3, int eighths = 8, const PixelOptions& options = {},
                      const DecodeLimits& limits = {}) {
  PCR_RETURN_IF_ERROR(decoder->Open(jpeg, limits));
  if (channels == 0) channels = decoder->natural_channels();
  const Region all{0, 0, ScaledSize(decoder->width(), eighths),
                   ScaledSize(decoder->height(), eighths)};
  const Region& part = region != nullptr ? *region : all;
  PCR_RETURN_IF_ERROR(decoder->Start(part, eighths, channels, options));
  // A buffer of the exact size, so that the sanitizer sees a byte too many.
  std::vector<uint8_t> row(decoder->row_bytes());
  Pixels pixels{part.width, part.height, channels, {}};
  for (int y = 0; y < part.height; ++y) {
    PCR_RETURN_IF_ERROR(decoder->ReadRow(row.data()));
    const auto begin = row.begin() + static_cast<ptrdiff_t>(decoder->row_offset());
    pixels.values.insert(pixels.values.end(), begin, begin + ptrdiff_t{part.width} * channels);
  }
  return pixels;
}

std::string ErrorOf(std::string_view jpeg, const DecodeLimits& limits = {}) {
  JpegDecoder decoder;
  const Result<Pixels> pixels = Decode(&decoder, jpeg, nullptr, 0, 8, {}, limits);
  if (pixels.ok()) return "";
  EXPECT_EQ(pixels.status().code(), Code::kInvalidArgument);
  return pixels.status().message();
}

std::string ToString(const Region& region) {
  return "region " + std::to_string(region.x) + " " + std::to_string(region.y) + " " +
         std::to_string(region.width) + " " + std::to_string(region.height);
}

void ExpectSame(const Result<Pixels>& got, const Pixels& expected) {
  ASSERT_TRUE(got.ok()) << got.status().message();
  EXPECT_EQ(got.value().width, expected.width);
  EXPECT_EQ(got.value().height, expected.height);
  EXPECT_EQ(got.value().channels, expected.channels);
  EXPECT_TRUE(got.value().values == expected.values);
}

JpegSpec Large(std::vector<std::pair<int, int>> sampling = {}) {
  JpegSpec spec;
  spec.width = 131;
  spec.height = 97;
  spec.sampling = std::move(sampling);
  return spec;
}

std::string Progressive(JpegSpec spec) {
  spec.simple_progression = true;
  return MakeJpeg(spec);
}

// The scans up to number n.
std::string Prefix(const std::string& jpeg, int n) {
  return jpeg.substr(0, WalkMarkers(jpeg).value().scans[n - 1].end) + kEoi;
}

std::vector<std::vector<std::pair<int, int>>> Samplings() {
  return {{},       {{2, 2}}, {{2, 1}},         {{1, 2}},
          {{4, 1}}, {{4, 2}}, {{2, 2}, {2, 1}}, {{1, 1}, {2, 2}, {1, 1}}};
}

TEST(JpegDecoder, DecodesEverySamplingAsLibjpegDoes) {
  JpegDecoder decoder;
  for (const auto& sampling : Samplings()) {
    for (const std::string& jpeg : {MakeJpeg(Large(sampling)), Progressive(Large(sampling))}) {
      ExpectSame(Decode(&decoder, jpeg), Reference(jpeg, JCS_RGB));
      ExpectSame(Decode(&decoder, jpeg, nullptr, 1), Reference(jpeg, JCS_GRAYSCALE));
    }
  }
}

TEST(JpegDecoder, ARegionHoldsThePixelsOfTheWholeImage) {
  std::mt19937 random(1);
  JpegDecoder decoder;
  for (const auto& sampling : Samplings()) {
    for (const std::string& jpeg : {MakeJpeg(Large(sampling)), Progressive(Large(sampling))}) {
      for (const int eighths : {8, 4, 2, 1}) {
        for (const bool fancy : {true, false}) {
          const PixelOptions options{DctMethod::kIslow, fancy, true};
          const Pixels whole = Reference(jpeg, JCS_RGB, eighths, options);
          for (int trial = 0; trial < 12; ++trial) {
            const Region region = RandomRegion(whole.width, whole.height, &random);
            SCOPED_TRACE(::testing::Message()
                         << "sampling " << ::testing::PrintToString(sampling) << " eighths "
                         << eighths << " fancy " << fancy << ", " << ToString(region));
            ExpectSame(Decode(&decoder, jpeg, &region, 3, eighths, options), Crop(whole, region));
          }
        }
      }
    }
  }
}

TEST(JpegDecoder, DecodesAPrefixOfScansWithAndWithoutSmoothing) {
  JpegDecoder decoder;
  const std::string jpeg = Progressive(Large({{2, 2}}));
  for (int scans = 1; scans <= 10; ++scans) {
    const std::string prefix = Prefix(jpeg, scans);
    for (const bool smoothing : {true, false}) {
      const PixelOptions options{DctMethod::kIslow, true, smoothing};
      ExpectSame(Decode(&decoder, prefix, nullptr, 3, 8, options),
                 Reference(prefix, JCS_RGB, 8, options));
    }
  }
  EXPECT_NE(Decode(&decoder, Prefix(jpeg, 1), nullptr, 3, 8, {DctMethod::kIslow, true, true})
                .value()
                .values,
            Decode(&decoder, Prefix(jpeg, 1), nullptr, 3, 8, {DctMethod::kIslow, true, false})
                .value()
                .values);
}

TEST(JpegDecoder, ARegionOfAPrefixHoldsThePixelsOfTheWholeImage) {
  std::mt19937 random(5);
  JpegDecoder decoder;
  const std::string jpeg = Progressive(Large({{2, 1}}));
  for (const int scans : {1, 2, 5, 9}) {
    const std::string prefix = Prefix(jpeg, scans);
    for (const bool smoothing : {true, false}) {
      const PixelOptions options{DctMethod::kIslow, true, smoothing};
      const Pixels whole = Reference(prefix, JCS_RGB, 8, options);
      for (int trial = 0; trial < 20; ++trial) {
        const Region region = RandomRegion(whole.width, whole.height, &random);
        SCOPED_TRACE(::testing::Message()
                     << scans << " scans, smoothing " << smoothing << ", " << ToString(region));
        ExpectSame(Decode(&decoder, prefix, &region, 3, 8, options), Crop(whole, region));
      }
    }
  }
}

using Sampling = std::vector<std::pair<int, int>>;  // (h, v) of each component

// All that libjpeg can decode of one or three components: each factor must divide the largest.
std::vector<Sampling> EverySampling(int components) {
  std::vector<Sampling> samplings = {{}};
  for (int c = 0; c < components; ++c) {
    std::vector<Sampling> longer;
    for (const Sampling& sampling : samplings) {
      for (int factors = 0; factors < 16; ++factors) {
        longer.push_back(sampling);
        longer.back().emplace_back(1 + factors / 4, 1 + factors % 4);
      }
    }
    samplings = std::move(longer);
  }
  const auto is_unknown = [](const Sampling& sampling) {
    int max_h = 1;
    int max_v = 1;
    for (const auto& [h, v] : sampling) {
      max_h = std::max(max_h, h);
      max_v = std::max(max_v, v);
    }
    return std::any_of(sampling.begin(), sampling.end(), [&](const std::pair<int, int>& factors) {
      return max_h % factors.first != 0 || max_v % factors.second != 0;
    });
  };
  samplings.erase(std::remove_if(samplings.begin(), samplings.end(), is_unknown), samplings.end());
  return samplings;
}

int BlocksInMcu(const Sampling& sampling) {
  int blocks = 0;
  for (const auto& [h, v] : sampling) blocks += h * v;
  return blocks;
}

// Of these parities, and every third one narrow, where upsampling has no neighbours to look at.
Region RegionOfParity(int width, int height, int parity, std::mt19937* random) {
  Region region = RandomRegion(width, height, random);
  if ((*random)() % 3 == 0) {
    region.x %= 4;
    region.width = std::min(region.width, 2);
  }
  region.x = std::min(width - 1, (region.x & ~1) | (parity & 1));
  region.y = std::min(height - 1, (region.y & ~1) | (parity >> 1 & 1));
  region.width = std::clamp((region.width & ~1) | (parity >> 2 & 1), 1, width - region.x);
  region.height = std::clamp((region.height & ~1) | (parity >> 3 & 1), 1, height - region.y);
  return region;
}

// Compares regions of an image at every scale, with and without fancy upsampling.
void SweepRegions(std::string_view jpeg, const std::string& what, bool smoothing,
                  std::mt19937* random) {
  // Of each image and scale. With 16 the test takes half a minute.
  constexpr int kRegions = 2;
  JpegDecoder decoder;
  for (const int eighths : {8, 4, 2, 1}) {
    for (const bool fancy : {true, false}) {
      const PixelOptions options{DctMethod::kIslow, fancy, smoothing};
      const Pixels whole = Reference(jpeg, JCS_RGB, eighths, options);
      for (int i = 0; i < kRegions; ++i) {
        const int parity = static_cast<int>((*random)() % 16);
        const Region region = RegionOfParity(whole.width, whole.height, parity, random);
        SCOPED_TRACE(::testing::Message()
                     << what << ", eighths " << eighths << ", fancy " << fancy << ", smoothing "
                     << smoothing << ", " << ToString(region));
        ExpectSame(Decode(&decoder, jpeg, &region, 3, eighths, options), Crop(whole, region));
      }
    }
  }
}

TEST(JpegDecoder, ARegionHoldsThePixelsOfTheWholeImageWhateverSamplingAndScale) {
  std::mt19937 random(7);
  for (const int components : {1, 3}) {
    for (const Sampling& sampling : EverySampling(components)) {
      const std::string name = "sampling " + ::testing::PrintToString(sampling);
      JpegSpec spec = Large(sampling);
      if (components == 1) spec.color_space = JCS_GRAYSCALE;
      // More blocks than an MCU may have come in scans of their own.
      const bool interleaved = components == 1 || BlocksInMcu(sampling) <= 10;
      for (int c = 0; !interleaved && c < components; ++c) {
        spec.scans.push_back(testing::LibjpegScan({c}, 0, 63, 0, 0));
      }
      SweepRegions(MakeJpeg(spec), name, true, &random);
      if (!interleaved) continue;
      const std::string progressive = Progressive(spec);
      const int scans = components == 1 ? 6 : 10;
      for (const int prefix : {1, scans / 2, scans}) {
        for (const bool smoothing : {true, false}) {
          SweepRegions(Prefix(progressive, prefix), name + ", " + std::to_string(prefix) + " scans",
                       smoothing, &random);
        }
      }
    }
  }
}

TEST(JpegDecoder, RefusesTwoComponentsWhateverTheirSampling) {
  for (const Sampling& sampling : EverySampling(2)) {
    if (BlocksInMcu(sampling) > 10) continue;
    JpegSpec spec = Large(sampling);
    spec.color_space = JCS_UNKNOWN;
    spec.components = 2;
    EXPECT_EQ(ErrorOf(MakeJpeg(spec)), "Unsupported color conversion request");
  }
}

TEST(JpegDecoder, UsesTheDctMethodAskedFor) {
  JpegDecoder decoder;
  const std::string jpeg = MakeJpeg(Large({{2, 2}}));
  for (const DctMethod method : {DctMethod::kIslow, DctMethod::kIfast, DctMethod::kFloat}) {
    const PixelOptions options{method, true, true};
    ExpectSame(Decode(&decoder, jpeg, nullptr, 3, 8, options),
               Reference(jpeg, JCS_RGB, 8, options));
  }
}

TEST(JpegDecoder, DecodesEveryColorSpaceThatHasAnRgbForm) {
  JpegDecoder decoder;
  for (const J_COLOR_SPACE space : {JCS_GRAYSCALE, JCS_RGB, JCS_YCbCr}) {
    JpegSpec spec = Large();
    spec.color_space = space;
    const std::string jpeg = MakeJpeg(spec);
    ExpectSame(Decode(&decoder, jpeg), Reference(jpeg, JCS_RGB));
    ExpectSame(Decode(&decoder, jpeg, nullptr, 1), Reference(jpeg, JCS_GRAYSCALE));
  }
}

TEST(JpegDecoder, ConvertsFourComponentsByTheFormulaOfTensorFlow) {
  JpegDecoder decoder;
  for (const J_COLOR_SPACE space : {JCS_CMYK, JCS_YCCK}) {
    for (const bool adobe : {true, false}) {
      JpegSpec spec = Large();
      spec.color_space = space;
      std::string jpeg = MakeJpeg(spec);
      if (!adobe) {
        // Without Adobe's segment four components are taken for CMYK.
        jpeg[FindMarker(jpeg, marker::kApp14) + 4] = 'a';
      }
      const Pixels cmyk = Reference(jpeg, JCS_CMYK);
      Pixels rgb{cmyk.width, cmyk.height, 3, {}};
      for (size_t i = 0; i < cmyk.values.size(); i += 4) {
        const auto ink = [&](size_t c) {
          return adobe ? cmyk.values[i + c] : 255 - cmyk.values[i + c];
        };
        for (size_t c = 0; c < 3; ++c) {
          rgb.values.push_back(static_cast<uint8_t>(ink(3) * ink(c) / 255));
        }
      }
      ExpectSame(Decode(&decoder, jpeg), rgb);
      const Region region{17, 5, 60, 40};
      ExpectSame(Decode(&decoder, jpeg, &region), Crop(rgb, region));
      EXPECT_EQ(decoder.natural_channels(), 3);
      EXPECT_FALSE(Decode(&decoder, jpeg, nullptr, 1).ok()) << "libjpeg has no such conversion";
    }
  }
}

TEST(JpegDecoder, IsNotInfluencedByTheImagesBefore) {
  JpegDecoder decoder;
  JpegSpec coarse = Large();
  coarse.quality = 10;
  const std::string first = MakeJpeg(coarse);
  std::string without_tables = MakeJpeg(Large());
  // Its Huffman and quantization tables become comments.
  for (const uint8_t code : {uint8_t{0xdb}, marker::kDht}) {
    for (size_t at; (at = FindMarker(without_tables, code)) != std::string::npos;) {
      without_tables[at + 1] = static_cast<char>(marker::kCom);
    }
  }
  ASSERT_TRUE(Decode(&decoder, first).ok());
  const Result<Pixels> pixels = Decode(&decoder, without_tables);
  ASSERT_FALSE(pixels.ok());
  EXPECT_EQ(pixels.status().message(), "Quantization table 0x00 was not defined");
  ExpectSame(Decode(&decoder, first), Reference(first, JCS_RGB));
}

TEST(JpegDecoder, AnImageMayBeLeftAtAnyPoint) {
  JpegDecoder decoder;
  const std::string jpeg = Progressive(Large());
  ASSERT_TRUE(decoder.Open(jpeg).ok());
  ASSERT_TRUE(decoder.Open(jpeg).ok());
  ASSERT_TRUE(decoder.Start({0, 0, 50, 50}, 8, 3, {}).ok());
  ExpectSame(Decode(&decoder, jpeg), Reference(jpeg, JCS_RGB));
}

TEST(JpegDecoder, AFileWithoutItsEndIsAnErrorWhereverTheRegionLies) {
  const std::string jpeg = MakeJpeg(Large());
  const Region top{0, 0, 16, 16};
  JpegDecoder decoder;
  for (const size_t size : {jpeg.size() - 2, jpeg.size() - 400}) {
    const Result<Pixels> pixels = Decode(&decoder, jpeg.substr(0, size), &top);
    ASSERT_FALSE(pixels.ok());
    EXPECT_EQ(pixels.status().message(),
              "byte " + std::to_string(size) + ": the image is cut short: no EOI");
  }
}

TEST(JpegDecoder, DamagedDataThatEndProperlyAreDecodedAsFarAsTheyGo) {
  const std::string jpeg = MakeJpeg(Large());
  JpegDecoder decoder;
  const std::string cut = jpeg.substr(0, jpeg.size() / 2) + kEoi;
  ExpectSame(Decode(&decoder, cut), Reference(cut, JCS_RGB));
  const std::string extraneous =
      Insert(jpeg, FindMarker(jpeg, marker::kDqt), std::string("\0\x12\xff\0", 4));
  ExpectSame(Decode(&decoder, extraneous), Reference(jpeg, JCS_RGB));
}

TEST(JpegDecoder, SaysWhatIsWrong) {
  EXPECT_EQ(ErrorOf(""), "not a JPEG: no bytes");
  EXPECT_EQ(ErrorOf("\x89PNG\r\n"),
            "not a JPEG but a PNG; pcr-convert --on_unsupported=encode makes JPEGs of such");
  EXPECT_EQ(ErrorOf("GIF89a"),
            "not a JPEG but a GIF; pcr-convert --on_unsupported=encode makes JPEGs of such");
  EXPECT_EQ(ErrorOf("RIFF1234WEBPVP8 "),
            "not a JPEG but a WebP; pcr-convert --on_unsupported=encode makes JPEGs of such");
  EXPECT_EQ(ErrorOf("<html>"),
            "not a JPEG: it begins with SOI and a marker; expected \\xff\\xd8\\xff, got <ht");
  EXPECT_EQ(ErrorOf("RIFF"),
            "not a JPEG: it begins with SOI and a marker; expected \\xff\\xd8\\xff, got RIF");
  const std::string jpeg = MakeJpeg();
  std::string twelve_bit = jpeg;
  twelve_bit[FindMarker(jpeg, marker::kSof0) + 4] = 12;
  EXPECT_EQ(ErrorOf(twelve_bit), "Unsupported JPEG data precision 12");
  EXPECT_EQ(ErrorOf(jpeg.substr(0, FindMarker(jpeg, marker::kSos)) + kEoi),
            "Invalid JPEG file structure: missing SOS marker");
}

TEST(JpegDecoder, LimitsAreJudgedBeforeMemoryIsSpent) {
  DecodeLimits limits;
  const std::string jpeg = MakeJpeg();
  limits.max_pixels = 1919;
  EXPECT_EQ(ErrorOf(jpeg, limits), "the number of pixels is limited; expected 1919, got 1920");
  limits.max_pixels = 1920;
  EXPECT_EQ(ErrorOf(jpeg, limits), "");
  limits.max_scans = 9;
  EXPECT_EQ(ErrorOf(Progressive({}), limits), "the number of scans is limited; expected 9, got 10");

  std::string huge = jpeg;
  huge.replace(FindMarker(jpeg, marker::kSof0) + 5, 4, "\xea\x60\xea\x60");  // 60000 x 60000
  EXPECT_EQ(ErrorOf(huge).substr(0, 31), "the number of pixels is limited");
  huge.replace(FindMarker(jpeg, marker::kSof0) + 5, 4, "\x40\x01\x40\x01");
  EXPECT_EQ(ErrorOf(huge).substr(0, 35), "every block takes at least one bit;");

  const std::string progressive = Progressive({});
  const Segment last_scan = [&] {
    const JpegLayout layout = WalkMarkers(progressive).value();
    const ScanExtent& scan = layout.scans.back();
    return Segment{marker::kSos, scan.sos_offset, scan.end - scan.sos_offset};
  }();
  std::string bomb = progressive.substr(0, progressive.size() - 2);
  for (int i = 0; i < 10000; ++i) bomb += progressive.substr(last_scan.offset, last_scan.size);
  EXPECT_EQ(ErrorOf(bomb + kEoi), "the number of scans is limited; expected 1000, got 10010");
}

TEST(JpegDecoder, AFileThatBeginsLikeAnotherFormatIsRefusedHoweverShort) {
  for (const std::string_view whole :
       {"RIFF1234WEBPVP8 ", "\x89PNG\r\n\x1a\n", "GIF89a", "BM6", "\xff\xd8\xff\xe0"}) {
    for (size_t size = 0; size <= whole.size(); ++size) {
      // Of its own, so that the sanitizer sees a byte too many.
      const std::vector<char> begin(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
      EXPECT_NE(ErrorOf({begin.data(), begin.size()}), "") << whole << " up to byte " << size;
    }
  }
}

// The frame header's parameters: precision 8, then (identifier, sampling) of each component.
std::string FrameOf(int code, int height, int width,
                    const std::vector<std::pair<int, int>>& components) {
  std::string parameters = {8,
                            static_cast<char>(height >> 8),
                            static_cast<char>(height),
                            static_cast<char>(width >> 8),
                            static_cast<char>(width),
                            static_cast<char>(components.size())};
  for (const auto& [id, sampling] : components) {
    parameters += {static_cast<char>(id), static_cast<char>(sampling), 0};
  }
  return testing::SegmentBytes(code, parameters);
}

std::string ScanOf(const std::vector<int>& ids, int last, std::string_view data) {
  std::string parameters = {static_cast<char>(ids.size())};
  for (const int id : ids) parameters += {static_cast<char>(id), 0};
  parameters += {0, static_cast<char>(last), 0};
  return testing::SegmentBytes(marker::kSos, parameters) + std::string(data);
}

TEST(JpegDecoder, AnImageOfMoreBlocksThanItsDataHoldIsRefusedByItsMarkersInEveryCoding) {
  const std::string tables = "\xff\xd8" + testing::SegmentBytes(0xdb, '\0' + std::string(64, 1));
  const std::string data(16, '\0');
  const std::vector<std::pair<int, int>> alike = {{0, 0x11}, {0, 0x11}, {0, 0x11}};
  const std::vector<std::pair<int, int>> three = {{1, 0x11}, {2, 0x11}, {3, 0x11}};
  const std::string bombs[] = {
      // Arithmetic coding may spend less than a bit on a block.
      FrameOf(marker::kSof10, 0x1ffe, 0xffdc, alike) + ScanOf({0, 0, 0}, 0, data),
      FrameOf(marker::kSof9, 8192, 65500, three) + ScanOf({1, 2, 3}, 63, data),
      FrameOf(marker::kSof2, 8192, 65500, alike) + ScanOf({0, 0, 0}, 0, data),
      // The first of those with one identifier is the smallest.
      FrameOf(marker::kSof2, 8192, 65500, {{0, 0x11}, {0, 0x44}, {0, 0x44}}) +
          ScanOf({0}, 0, std::string(1 << 18, '\0')),
      // No scan names the large ones.
      FrameOf(marker::kSof2, 8192, 65500, {{1, 0x11}, {2, 0x44}, {3, 0x44}}) +
          ScanOf({1}, 0, std::string(1 << 16, '\0')),
      FrameOf(marker::kSof2, 8192, 65500, three) + ScanOf({}, 0, data),
  };
  for (const std::string& bomb : bombs) {
    const std::string jpeg = tables + bomb + kEoi;
    EXPECT_EQ(ErrorOf(jpeg).substr(0, 35), "every block takes at least one bit;") << jpeg.size();
  }
}

TEST(JpegDecoder, AnImageMayHaveNoDataWhereItsBlocksTakeLittleMemory) {
  JpegSpec spec = Large();
  spec.color_space = JCS_GRAYSCALE;
  std::string jpeg = MakeJpeg(spec);
  const size_t size_at = FindMarker(jpeg, marker::kSof0) + 5;
  jpeg = jpeg.substr(0, WalkMarkers(jpeg).value().segments.back().offset + 10) + kEoi;
  jpeg.replace(size_at, 4, "\x0f\xf8\x0f\xf8");  // 4088 x 4088: 511 x 511 blocks
  EXPECT_EQ(ErrorOf(jpeg), "");
  jpeg.replace(size_at, 4, "\x10\x08\x10\x08");  // 4104 x 4104
  EXPECT_EQ(ErrorOf(jpeg).substr(0, 35), "every block takes at least one bit;");
}

TEST(JpegDecoder, TheWorkOfAllScansIsLimitedByTheirBytes) {
  JpegSpec spec;
  spec.width = spec.height = 3000;
  spec.color_space = JCS_GRAYSCALE;
  spec.quality = 1;  // blocks of a few bits
  spec.wide_quantization = true;
  spec.scans = {testing::LibjpegScan({0}, 0, 0, 0, 0)};
  for (int k = 1; k < 64; ++k) {
    spec.scans.push_back(testing::LibjpegScan({0}, k, k, 0, 1));
    spec.scans.push_back(testing::LibjpegScan({0}, k, k, 1, 0));
  }
  const std::string image = MakeJpeg(spec);
  const JpegLayout layout = WalkMarkers(image).value();
  EXPECT_NE(ExceededWork(layout), "") << image.size();
  spec.scans.resize(40);
  EXPECT_EQ(ErrorOf(MakeJpeg(spec)), "");
  // Scans of a few bytes that bring nothing, as often as max_scans allows.
  const ScanExtent& last = layout.scans.back();
  std::string bomb = image.substr(0, image.size() - 2);
  for (int i = 0; i < 800; ++i) {
    bomb += image.substr(last.sos_offset, last.end - last.sos_offset);
  }
  EXPECT_EQ(ErrorOf(bomb + kEoi).substr(0, 42), "the blocks of all scans together are limit");
}

TEST(JpegDecoder, EveryPrefixOfAnImageWithinTheLimitsIsWithinThem) {
  JpegSpec spec;
  spec.width = 4096;
  spec.height = 2048;
  spec.sampling = {{1, 1}};
  spec.simple_progression = true;
  const std::string image = MakeJpeg(spec);
  ASSERT_EQ(ExceededWork(WalkMarkers(image).value()), "");
  for (int scans = 1; scans <= 10; ++scans) {
    const JpegLayout prefix = WalkMarkers(Prefix(image, scans)).value();
    EXPECT_EQ(ExceededWork(prefix) + MissingData(prefix), "");
  }
}

TEST(JpegDecoder, WhatFollowsTheOnlyScanIsJudgedWhereverTheRegionLies) {
  JpegSpec restarts = Large();
  restarts.restart_interval = 4;
  JpegSpec arithmetic = Large();
  arithmetic.arithmetic = true;
  const Region top{0, 0, 16, 16};
  JpegDecoder decoder;
  for (const std::string& jpeg : {MakeJpeg(Large()), MakeJpeg(restarts), MakeJpeg(arithmetic)}) {
    const size_t end = jpeg.size() - 2;
    const JpegLayout layout = WalkMarkers(jpeg).value();
    const auto segment = [&](uint8_t code) {
      for (const Segment& s : layout.segments) {
        if (s.marker == code) return jpeg.substr(s.offset, s.size);
      }
      return std::string();
    };
    const std::string scan = jpeg.substr(layout.scans[0].sos_offset, 100);
    for (const std::string& refused :
         {segment(layout.frame->marker), scan, testing::SegmentBytes(marker::kDht, "x"),
          testing::SegmentBytes(0xdb, "\x09"), testing::SegmentBytes(marker::kDri, "abc"),
          testing::SegmentBytes(0xf3, ""), testing::SegmentBytes(marker::kJpg, "")}) {
      const std::string changed = Insert(jpeg, end, refused);
      EXPECT_FALSE(Decode(&decoder, changed).ok()) << int{static_cast<uint8_t>(refused[1])};
      EXPECT_FALSE(Decode(&decoder, changed, &top).ok()) << int{static_cast<uint8_t>(refused[1])};
    }
    for (const std::string& taken :
         {segment(0xdb), testing::SegmentBytes(marker::kCom, "c"), std::string("\xff\xd3"),
          testing::SegmentBytes(marker::kDnl, "x"), std::string("\xff\xe3\0\0", 4)}) {
      const std::string changed = Insert(jpeg, end, taken);
      ExpectSame(Decode(&decoder, changed), Reference(jpeg, JCS_RGB));
      ExpectSame(Decode(&decoder, changed, &top), Crop(Reference(jpeg, JCS_RGB), top));
    }
  }
}

TEST(JpegDecoder, AnUndefinedMarkerInPlaceOfARestartIsDamageInTheData) {
  JpegSpec spec = Large();
  spec.restart_interval = 4;
  std::string jpeg = MakeJpeg(spec);
  jpeg[FindMarker(jpeg, marker::kRst0 + 2) + 1] = '\x02';
  JpegDecoder decoder;
  ExpectSame(Decode(&decoder, jpeg), Reference(jpeg, JCS_RGB));
  const std::string sound = MakeJpeg(Large());
  EXPECT_NE(ErrorOf(Insert(sound, sound.size() / 2, "\xff\x02")), "");
}

TEST(JpegDecoder, SurvivesEveryChangeOfBytes) {
  std::mt19937 random(3);
  JpegSpec spec = Large({{2, 2}});
  const std::string images[] = {MakeJpeg(spec), Progressive(spec), Prefix(Progressive(spec), 4)};
  JpegDecoder decoder;
  DecodeLimits limits;
  limits.max_pixels = 1 << 20;
  limits.max_block_visits = 1 << 20;
  int decoded = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    const std::string& image = images[trial % 3];
    // Exactly as large as the data, so that the sanitizer sees a read behind them.
    std::vector<char> changed(image.begin(), image.end());
    for (int i = 0; i <= trial % 4; ++i) {
      changed[random() % changed.size()] = static_cast<char>(random());
    }
    if (trial % 5 == 0) changed.resize(random() % changed.size());
    const std::string_view jpeg(changed.data(), changed.size());
    const int eighths = trial % 7 == 0 ? 4 : 8;
    Status opened = decoder.Open(jpeg, limits);
    if (!opened.ok()) continue;
    const int width = ScaledSize(decoder.width(), eighths);
    const int height = ScaledSize(decoder.height(), eighths);
    const Region region = RandomRegion(width, height, &random);
    decoded += Decode(&decoder, jpeg, &region, 3, eighths, {}, limits).ok();
  }
  EXPECT_GT(decoded, 1000) << "most changes give other pixels only";
}

TEST(JpegDecoder, DecodesPhotographsOddAndBrokenFilesAsLibjpegDoes) {
  if (testing::TestImagesFolder().empty()) GTEST_SKIP() << testing::kNoTestImages;
  JpegDecoder decoder;
  DecodeLimits limits;
  limits.max_pixels = 4 << 20;
  limits.max_block_visits = 1 << 22;
  int decoded = 0;
  for (const auto& file : testing::JpegFilesUnder(testing::TestImagesFolder())) {
    const std::string jpeg = testing::ReadFile(file);
    const Result<Pixels> pixels = Decode(&decoder, jpeg, nullptr, 3, 8, {}, limits);
    if (!pixels.ok()) continue;
    SCOPED_TRACE(file.string());
    ++decoded;
    const bool four =
        !jpeg.empty() && decoder.natural_channels() == 3 &&
        WalkMarkers(jpeg, BetweenSegments::kAnythingGoes).value().frame->components.size() == 4;
    if (!four) ExpectSame(pixels, Reference(jpeg, JCS_RGB));
  }
  EXPECT_GT(decoded, 300);
}

}  // namespace
}  // namespace pcr
