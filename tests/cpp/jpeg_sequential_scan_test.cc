#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "ops/jpeg/entropy/sequential_scan.h"
#include "ops/jpeg/lossless/coefficient_reader.h"
#include "ops/jpeg/pixels/decoder.h"
#include "ops/jpeg/syntax/markers.h"
#include "tests/cpp/jpeg_test_images.h"
#include "tests/cpp/random_region.h"

namespace pcr {
namespace {

using testing::FindMarker;
using testing::JpegSpec;
using testing::LibjpegScan;
using testing::MakeJpeg;

constexpr char kEoi[] = "\xff\xd9";

JpegSpec Large(std::vector<std::pair<int, int>> sampling = {}) {
  JpegSpec spec;
  spec.width = 131;
  spec.height = 97;
  spec.quality = 95;
  spec.sampling = std::move(sampling);
  return spec;
}

bool Starts(const std::string& jpeg) {
  SequentialScan scan;
  return scan.Start(jpeg, WalkMarkers(jpeg).value());
}

// Compares all coefficients with those that libjpeg reads, those that only fill up MCUs left
// out. Only of MCU columns begin..end - 1 and of every `step`-th row of MCUs.
void ExpectCoefficientsOfLibjpeg(const std::string& jpeg, SequentialScan* scan, int begin = 0,
                                 int end = 1 << 16, int step = 1) {
  const JpegLayout layout = WalkMarkers(jpeg).value();
  JpegErrors errors;
  CoefficientReader reader(&errors);
  ASSERT_TRUE(errors.Run([&] { reader.Read(jpeg); }));
  ASSERT_TRUE(scan->Start(jpeg, layout));
  scan->KeepColumns(begin, end);
  const jpeg_decompress_struct& info = reader.info();
  for (int my = 0; my < static_cast<int>(info.total_iMCU_rows); my += step) {
    for (int c = 0; c < info.num_components; ++c) {
      const jpeg_component_info& component = info.comp_info[c];
      const int v = component.v_samp_factor;
      const int width = static_cast<int>(component.width_in_blocks);
      CoefficientBlock** const rows = scan->Rows(c, my);
      ASSERT_NE(rows, nullptr);
      for (int y = 0; y < v && my * v + y < static_cast<int>(component.height_in_blocks); ++y) {
        const CoefficientBlock* const expected = reader.rows(c)[my * v + y];
        for (int x = begin * component.h_samp_factor;
             x < std::min(width, end * component.h_samp_factor); ++x) {
          ASSERT_EQ(std::memcmp(rows[y][x], expected[x], sizeof(CoefficientBlock)), 0)
              << "component " << c << ", block " << x << ", " << my * v + y;
        }
      }
    }
  }
}

// What a decoder makes of a part of an image, or its error.
struct Decoded {
  std::string error;
  std::vector<uint8_t> pixels;
};

Decoded Decode(JpegDecoder* decoder, std::string_view jpeg, const Region& region, int eighths) {
  Decoded decoded;
  Status status = decoder->Open(jpeg);
  if (status.ok()) status = decoder->Start(region, eighths, 3, {});
  if (status.ok()) {
    std::vector<uint8_t> row(decoder->row_bytes());
    for (int y = 0; y < region.height && status.ok(); ++y) {
      status = decoder->ReadRow(row.data());
      const auto begin = row.begin() + static_cast<ptrdiff_t>(decoder->row_offset());
      decoded.pixels.insert(decoded.pixels.end(), begin, begin + ptrdiff_t{3} * region.width);
    }
  }
  if (!status.ok()) decoded = {std::string(status.message()), {}};
  return decoded;
}

// The same from libjpeg alone, by decoding the whole width of all rows down to the region's end.
Decoded DecodeWithLibjpeg(std::string_view jpeg, const Region& region, int eighths) {
  Decoded decoded;
  std::vector<uint8_t> row;
  JpegErrors errors(JpegWarnings::kAreTolerated);
  jpeg_decompress_struct info{};
  errors.Watch(&info);
  const bool done = errors.Run([&] {
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(jpeg.data()), jpeg.size());
    jpeg_read_header(&info, TRUE);
    info.out_color_space = JCS_RGB;
    info.scale_num = eighths;
    info.scale_denom = 8;
    info.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&info);
    row.resize(size_t{3} * info.output_width);
    for (int y = 0; y < region.y + region.height; ++y) {
      JSAMPROW rows[] = {row.data()};
      jpeg_read_scanlines(&info, rows, 1);
      if (y < region.y) continue;
      const auto begin = row.begin() + ptrdiff_t{3} * region.x;
      decoded.pixels.insert(decoded.pixels.end(), begin, begin + ptrdiff_t{3} * region.width);
    }
  });
  jpeg_destroy_decompress(&info);
  if (!done) return {errors.message(), {}};
  return decoded;
}

// False if the image is refused.
bool ExpectPixelsOfLibjpeg(JpegDecoder* decoder, std::string_view jpeg, const Region& region,
                           int eighths = 8) {
  const Decoded got = Decode(decoder, jpeg, region, eighths);
  const Decoded expected = DecodeWithLibjpeg(jpeg, region, eighths);
  EXPECT_TRUE(expected.error.empty() || !got.error.empty()) << "libjpeg says: " << expected.error;
  // The walk over the markers refuses what libjpeg may decode.
  if (!got.error.empty()) return false;
  EXPECT_TRUE(got.pixels == expected.pixels);
  return true;
}

TEST(SequentialScan, GivesLibjpegsCoefficientsForEverySamplingAndOddSizes) {
  SequentialScan scan;
  for (const auto& sampling : std::vector<std::vector<std::pair<int, int>>>{{},
                                                                            {{2, 2}},
                                                                            {{2, 1}},
                                                                            {{1, 2}},
                                                                            {{4, 1}},
                                                                            {{4, 2}},
                                                                            {{2, 2}, {2, 1}},
                                                                            {{1, 1}, {2, 2}}}) {
    for (const int width : {1, 16, 17, 131}) {
      for (const int height : {1, 8, 33}) {
        for (const int quality : {5, 75, 100}) {
          for (const bool optimize : {false, true}) {
            JpegSpec spec = Large(sampling);
            spec.width = width;
            spec.height = height;
            spec.quality = quality;
            spec.optimize = optimize;
            ExpectCoefficientsOfLibjpeg(MakeJpeg(spec), &scan);
          }
        }
      }
    }
  }
}

TEST(SequentialScan, DecodesOneAndFourComponents) {
  SequentialScan scan;
  JpegSpec spec = Large();
  for (const J_COLOR_SPACE space : {JCS_GRAYSCALE, JCS_RGB, JCS_CMYK, JCS_YCCK}) {
    spec.color_space = space;
    ExpectCoefficientsOfLibjpeg(MakeJpeg(spec), &scan);
  }
}

TEST(SequentialScan, KeepsTheColumnsAndRowsAskedFor) {
  SequentialScan scan;
  const std::string jpeg = MakeJpeg(Large({{2, 2}}));
  ExpectCoefficientsOfLibjpeg(jpeg, &scan, 2, 5);
  ExpectCoefficientsOfLibjpeg(jpeg, &scan, 0, 1, 2);
  ExpectCoefficientsOfLibjpeg(jpeg, &scan, 3, 9, 3);
}

TEST(SequentialScan, GoesDownwardsOnly) {
  SequentialScan scan;
  const std::string jpeg = MakeJpeg(Large());
  ASSERT_TRUE(scan.Start(jpeg, WalkMarkers(jpeg).value()));
  EXPECT_NE(scan.Rows(0, 2), nullptr);
  EXPECT_NE(scan.Rows(1, 2), nullptr);
  EXPECT_EQ(scan.Rows(0, 1), nullptr);
  ASSERT_TRUE(scan.Start(jpeg, WalkMarkers(jpeg).value()));
  EXPECT_NE(scan.Rows(0, 12), nullptr);
  EXPECT_EQ(scan.Rows(0, 13), nullptr) << "there are 13 rows of MCUs";
}

TEST(SequentialScan, LeavesOtherImagesToLibjpeg) {
  const std::string plain = MakeJpeg(Large());
  EXPECT_TRUE(Starts(plain));
  JpegSpec spec = Large();
  spec.simple_progression = true;
  EXPECT_FALSE(Starts(MakeJpeg(spec))) << "progressive";
  spec = Large();
  spec.restart_interval = 4;
  EXPECT_FALSE(Starts(MakeJpeg(spec))) << "restart markers";
  spec = Large();
  spec.arithmetic = true;
  EXPECT_FALSE(Starts(MakeJpeg(spec))) << "arithmetic";
  spec = Large();
  spec.scans = {LibjpegScan({0}, 0, 63, 0, 0), LibjpegScan({1, 2}, 0, 63, 0, 0)};
  EXPECT_FALSE(Starts(MakeJpeg(spec))) << "two scans";
  spec = Large({{2, 2}});
  spec.color_space = JCS_GRAYSCALE;
  EXPECT_FALSE(Starts(MakeJpeg(spec))) << "one component whose factors mean nothing";
  std::string changed = plain;
  changed[FindMarker(plain, marker::kSof0) + 4] = 12;
  EXPECT_FALSE(Starts(changed)) << "12 bits";
  changed = plain;
  changed[FindMarker(plain, marker::kDht) + 1] = static_cast<char>(marker::kCom);
  EXPECT_FALSE(Starts(changed)) << "a table is missing";
}

TEST(SequentialScan, EndsAtDamage) {
  const std::string jpeg = MakeJpeg(Large());
  const JpegLayout whole = WalkMarkers(jpeg).value();
  const std::string cut = jpeg.substr(0, whole.scans[0].end - 400) + kEoi;
  const JpegLayout layout = WalkMarkers(cut).value();
  SequentialScan scan;
  ASSERT_TRUE(scan.Start(cut, layout));
  EXPECT_NE(scan.Rows(0, 0), nullptr);
  EXPECT_EQ(scan.Rows(0, 12), nullptr);
  EXPECT_EQ(scan.Rows(0, 12), nullptr);
}

TEST(SequentialScan, ACutOrLongerImageIsDecodedAsByLibjpeg) {
  JpegDecoder decoder;
  JpegSpec spec = Large({{2, 2}});
  spec.width = 67;
  spec.height = 50;
  const std::string jpeg = MakeJpeg(spec);
  const size_t end = WalkMarkers(jpeg).value().scans[0].end;
  const Region all{0, 0, spec.width, spec.height};
  const size_t begin = FindMarker(jpeg, marker::kSos) + 14;
  for (size_t size = begin + 60; size <= end; ++size) {
    SCOPED_TRACE(size);
    EXPECT_TRUE(ExpectPixelsOfLibjpeg(&decoder, jpeg.substr(0, size) + kEoi, all));
  }
  for (const std::string& more :
       {std::string("\x12\x34"), std::string("\xff\0", 2), std::string("\xff\xff"),
        std::string("\xff\xd0\x55"), std::string("\xff\xfe\0\2", 4)}) {
    for (const size_t at : {begin, begin + (end - begin) / 2, end}) {
      ExpectPixelsOfLibjpeg(&decoder, testing::Insert(jpeg, at, more), all);
    }
  }
}

TEST(SequentialScan, ADamagedImageIsDecodedAsByLibjpeg) {
  std::mt19937 random(4);
  JpegDecoder decoder;
  int decoded = 0;
  for (const auto& sampling :
       std::vector<std::vector<std::pair<int, int>>>{{}, {{2, 2}}, {{2, 1}}}) {
    const JpegSpec spec = Large(sampling);
    const std::string jpeg = MakeJpeg(spec);
    // The frame stays, so that regions lie within it.
    const size_t frame = FindMarker(jpeg, marker::kSof0);
    for (int trial = 0; trial < 1500; ++trial) {
      // Exactly as large as the data, so that the sanitizer sees a read behind them.
      std::vector<char> changed(jpeg.begin(), jpeg.end());
      for (int i = 0; i <= trial % 3; ++i) {
        const size_t at = 2 + random() % (changed.size() - 4);
        if (at >= frame && at < frame + 19) continue;
        changed[at] = static_cast<char>(random());
      }
      const std::string_view bytes(changed.data(), changed.size());
      const int eighths = trial % 5 == 0 ? 4 : 8;
      const Region region =
          RandomRegion(ScaledSize(spec.width, eighths), ScaledSize(spec.height, eighths), &random);
      SCOPED_TRACE(trial);
      decoded += ExpectPixelsOfLibjpeg(&decoder, bytes, region, eighths);
    }
  }
  EXPECT_GT(decoded, 2000);
}

TEST(SequentialScan, PhotographsAreDecodedAsByLibjpeg) {
  if (testing::TestImagesFolder().empty()) GTEST_SKIP() << testing::kNoTestImages;
  std::mt19937 random(5);
  JpegDecoder decoder;
  SequentialScan scan;
  int taken = 0;
  for (const auto& file : testing::JpegFilesUnder(testing::TestImagesFolder())) {
    SCOPED_TRACE(file.string());
    const std::string jpeg = testing::ReadFile(file);
    const Result<JpegLayout> layout = WalkMarkers(jpeg, BetweenSegments::kAnythingGoes);
    if (!layout.ok() || !scan.Start(jpeg, layout.value()) ||
        layout.value().frame->components.size() > 3) {
      continue;
    }
    ++taken;
    const Frame& frame = *layout.value().frame;
    if (int64_t{frame.width} * frame.height > 4 << 20 || !decoder.Open(jpeg).ok()) continue;
    EXPECT_TRUE(ExpectPixelsOfLibjpeg(&decoder, jpeg, {0, 0, frame.width, frame.height}));
    ExpectPixelsOfLibjpeg(&decoder, jpeg, RandomRegion(frame.width, frame.height, &random));
  }
  EXPECT_GT(taken, 250);
}

}  // namespace
}  // namespace pcr
