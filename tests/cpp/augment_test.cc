#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "ops/augment/crop.h"
#include "ops/augment/decode_augment.h"
#include "ops/augment/random.h"
#include "ops/augment/resize.h"
#include "ops/jpeg/lossless/transcode.h"
#include "tests/cpp/jpeg_test_images.h"

namespace pcr {
namespace {

using testing::JpegSpec;
using testing::MakeJpeg;

TEST(Random, GivesTheKnownAnswersOfPhilox4x32With10Rounds) {
  // From the authors' Random123 distribution: counter and key all zero, and all ones.
  Random zero({0, 0});
  EXPECT_EQ(zero.Next(), 0x6627e8d5U);
  EXPECT_EQ(zero.Next(), 0xe169c58dU);
  EXPECT_EQ(zero.Next(), 0xbc57ac4cU);
  EXPECT_EQ(zero.Next(), 0x9b00dbd8U);
}

TEST(Random, SequencesOfNearSeedsAreUnrelated) {
  double sum = 0;
  double products = 0;
  constexpr int kSeeds = 20000;
  double last = 0.5;
  for (int64_t i = 0; i < kSeeds; ++i) {
    const double x = Random({7, i}).Uniform();
    sum += x;
    products += (x - 0.5) * (last - 0.5);
    last = x;
  }
  EXPECT_NEAR(sum / kSeeds, 0.5, 0.01);
  EXPECT_NEAR(products / kSeeds, 0, 0.005);
}

TEST(RandomCropWindow, KeepsAreaAndAspectRatioInRange) {
  RandomCropOptions options;
  for (int64_t i = 0; i < 20000; ++i) {
    Random random({1, i});
    const CropWindow window = RandomCropWindow(500, 375, options, &random);
    ASSERT_GE(window.x, 0);
    ASSERT_GE(window.y, 0);
    ASSERT_LE(window.x + window.width, 500);
    ASSERT_LE(window.y + window.height, 375);
    const double area = window.width * window.height / (500.0 * 375);
    ASSERT_GE(area, 0.08);
    ASSERT_LE(area, 1);
    // Half a pixel of rounding.
    ASSERT_GE((window.width + 0.5) / window.height, 3.0 / 4);
    ASSERT_LE((window.width - 0.5) / window.height, 4.0 / 3);
  }
}

TEST(RandomCropWindow, HeightsAreUniformBetweenTheBoundsOfOneAspectRatio) {
  RandomCropOptions options;
  options.min_aspect_ratio = options.max_aspect_ratio = 1;
  options.min_area = 0.25;
  std::vector<int> counts(51);
  constexpr int kDraws = 51000;
  for (int64_t i = 0; i < kDraws; ++i) {
    Random random({2, i});
    const CropWindow window = RandomCropWindow(100, 100, options, &random);
    ASSERT_EQ(window.width, window.height);
    ++counts.at(window.height - 50);
  }
  double chi_squared = 0;
  for (const int count : counts) chi_squared += (count - 1000.0) * (count - 1000.0) / 1000;
  EXPECT_LT(chi_squared, 90) << "of 50 degrees of freedom; 1 in 2500 exceeds it by chance";
}

TEST(RandomCropWindow, PlacesAreUniform) {
  RandomCropOptions options;
  options.min_area = options.max_area = 0.25;
  options.min_aspect_ratio = options.max_aspect_ratio = 1;
  double x = 0;
  double y = 0;
  int last_column = 0;
  constexpr int kDraws = 20000;
  for (int64_t i = 0; i < kDraws; ++i) {
    Random random({3, i});
    const CropWindow window = RandomCropWindow(100, 100, options, &random);
    ASSERT_EQ(window.width, 50);
    x += window.x;
    y += window.y;
    last_column += window.x == 50;
  }
  EXPECT_NEAR(x / kDraws, 25, 0.5);
  EXPECT_NEAR(y / kDraws, 25, 0.5);
  EXPECT_NEAR(last_column, kDraws / 51.0, 80);
}

TEST(RandomCropWindow, IsTheWholeImageWhereNoWindowFits) {
  RandomCropOptions options;
  options.min_area = 0.9;
  Random random({4, 0});
  const CropWindow window = RandomCropWindow(1000, 10, options, &random);
  EXPECT_EQ(window.width, 1000);
  EXPECT_EQ(window.height, 10);
}

TEST(RandomCropWindow, LiesInImagesOfEverySize) {
  RandomCropOptions options;
  options.min_aspect_ratio = 1e-4;
  options.max_aspect_ratio = 1e4;
  options.max_attempts = 3;
  for (int64_t i = 0; i < 20000; ++i) {
    Random random({5, i});
    const int width = 1 + static_cast<int>(random.Below(i % 3 == 0 ? 65500 : 7));
    const int height = 1 + static_cast<int>(random.Below(i % 5 == 0 ? 65500 : 7));
    const CropWindow window = RandomCropWindow(width, height, options, &random);
    ASSERT_GE(window.width, 1);
    ASSERT_GE(window.height, 1);
    ASSERT_GE(window.x, 0);
    ASSERT_GE(window.y, 0);
    ASSERT_LE(window.x + window.width, width);
    ASSERT_LE(window.y + window.height, height);
  }
}

TEST(CenterCropWindow, IsTheLargestOfTheOutputsShapeTimesTheFraction) {
  const auto expect = [](const CropWindow& window, int x, int y, int width, int height) {
    EXPECT_EQ(window.x, x);
    EXPECT_EQ(window.y, y);
    EXPECT_EQ(window.width, width);
    EXPECT_EQ(window.height, height);
  };
  expect(CenterCropWindow(500, 375, 224, 224, 0.875), 86, 24, 328, 328);
  expect(CenterCropWindow(256, 256, 224, 224, 0.875), 16, 16, 224, 224);
  expect(CenterCropWindow(500, 375, 224, 224, 1), 63, 0, 375, 375);
  expect(CenterCropWindow(500, 375, 200, 100, 1), 0, 63, 500, 250);
  expect(CenterCropWindow(1, 1, 224, 224, 0.1), 0, 0, 1, 1);
  expect(CenterCropWindow(1000, 1, 100, 224, 0.5), 500, 0, 1, 1);
}

TEST(CenterCropWindow, IsAsWideAsItsDecimalFractionSays) {
  for (int percent = 1; percent <= 100; ++percent) {
    const CropWindow window = CenterCropWindow(200, 200, 100, 100, percent / 100.0);
    EXPECT_EQ(window.width, 2 * percent);
    EXPECT_EQ(window.height, 2 * percent);
  }
}

TEST(RandomCropWindow, HasTheOneAreaAskedForThoughItsProductIsRounded) {
  RandomCropOptions options;
  options.min_aspect_ratio = options.max_aspect_ratio = 1;
  for (int side = 1; side <= 100; ++side) {
    options.min_area = options.max_area = side * side / 10000.0;
    for (int64_t i = 0; i < 20; ++i) {
      Random random({6, i});
      const CropWindow window = RandomCropWindow(100, 100, options, &random);
      EXPECT_EQ(window.width, side);
      EXPECT_EQ(window.height, side);
    }
  }
}

// The definition, in double precision: every output value from all source values.
std::vector<double> NaiveResize(const std::vector<uint8_t>& image, int width, int height,
                                const ResizeSpec& spec) {
  const auto weights_of = [&](int i, int n, double begin, double end, int size) {
    const double step = (end - begin) / n;
    const double radius = spec.antialias ? std::max(1.0, step) : 1.0;
    std::vector<double> weights(size);
    for (int j = 0; j < size; ++j) {
      weights[j] = std::max(0.0, 1 - std::abs(j + 0.5 - (begin + (i + 0.5) * step)) / radius);
    }
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (double& weight : weights) weight /= sum;
    return weights;
  };
  const Turn& turn = spec.turn;
  std::vector<double> output;
  for (int y = 0; y < spec.output_height; ++y) {
    for (int x = 0; x < spec.output_width; ++x) {
      int column = turn.transposes ? y : x;
      int row = turn.transposes ? x : y;
      const int num_columns = turn.transposes ? spec.output_height : spec.output_width;
      const int num_rows = turn.transposes ? spec.output_width : spec.output_height;
      if (turn.mirrors_columns) column = num_columns - 1 - column;
      if (turn.mirrors_rows) row = num_rows - 1 - row;
      const auto columns = weights_of(column, num_columns, spec.x_begin, spec.x_end, width);
      const auto rows = weights_of(row, num_rows, spec.y_begin, spec.y_end, height);
      for (int c = 0; c < spec.channels; ++c) {
        double sum = 0;
        for (int v = 0; v < height; ++v) {
          if (rows[v] == 0) continue;
          for (int u = 0; u < width; ++u) {
            if (columns[u] == 0) continue;
            sum += rows[v] * columns[u] * image[(size_t(v) * width + u) * spec.channels + c];
          }
        }
        output.push_back(sum * spec.scale[c] + spec.offset[c]);
      }
    }
  }
  return output;
}

std::vector<uint8_t> Noise(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> bytes(n);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

// Rows of the source with some bytes before and behind them that must not matter.
std::vector<uint8_t> Resized(Resizer* resizer, const std::vector<uint8_t>& image, int width,
                             int height, const ResizeSpec& spec) {
  constexpr size_t kBefore = 9;
  constexpr size_t kBehind = 5;
  const size_t row_bytes = size_t(width) * spec.channels;
  std::vector<uint8_t> output(size_t(spec.output_width) * spec.output_height * spec.channels *
                              BytesOf(spec.type));
  resizer->Start(spec, kBefore + row_bytes + kBehind, kBefore, output.data());
  int y = 0;
  while (uint8_t* const row = resizer->NextRow()) {
    EXPECT_LT(y, height);
    std::memset(row, 0xee, kBefore + row_bytes + kBehind);
    std::memcpy(row + kBefore, &image[y++ * row_bytes], row_bytes);
  }
  return output;
}

float FloatOf(const std::vector<uint8_t>& output, PixelType type, size_t i) {
  if (type == PixelType::kUint8) return output[i];
  uint32_t bits = 0;
  if (type == PixelType::kBfloat16) {
    uint16_t high;
    std::memcpy(&high, &output[2 * i], 2);
    bits = uint32_t{high} << 16;
  } else {
    std::memcpy(&bits, &output[4 * i], 4);
  }
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

TEST(Resizer, AgreesWithTheDefinitionInDoublePrecision) {
  std::mt19937 random(1);
  Resizer resizer;
  for (int trial = 0; trial < 300; ++trial) {
    const int width = 1 + static_cast<int>(random() % 40);
    const int height = 1 + static_cast<int>(random() % 40);
    ResizeSpec spec;
    spec.channels = trial % 2 == 0 ? 3 : 1;
    spec.output_width = 1 + static_cast<int>(random() % 30);
    spec.output_height = 1 + static_cast<int>(random() % 30);
    spec.antialias = random() % 2 == 0;
    spec.turn.mirrors_columns = random() % 2 == 0;
    spec.turn.mirrors_rows = random() % 2 == 0;
    spec.turn.transposes = random() % 2 == 0;
    spec.type = trial % 3 == 0   ? PixelType::kUint8
                : trial % 3 == 1 ? PixelType::kFloat32
                                 : PixelType::kBfloat16;
    spec.x_begin = trial % 4 == 0 ? (random() % 8) / 8.0 : 0;
    spec.y_begin = trial % 4 == 0 ? (random() % 8) / 8.0 : 0;
    spec.x_end = width - (trial % 4 == 0 && width > 1 ? (random() % 8) / 8.0 : 0);
    spec.y_end = height - (trial % 4 == 0 && height > 1 ? (random() % 8) / 8.0 : 0);
    if (spec.type != PixelType::kUint8) {
      for (int c = 0; c < 3; ++c) {
        spec.scale[c] = 1.0F / static_cast<float>(50 + c);
        spec.offset[c] = -2.0F - static_cast<float>(c);
      }
    }
    const std::vector<uint8_t> image = Noise(size_t(width) * height * spec.channels, trial);
    const std::vector<double> expected = NaiveResize(image, width, height, spec);
    const std::vector<uint8_t> output = Resized(&resizer, image, width, height, spec);
    for (size_t i = 0; i < expected.size(); ++i) {
      const double tolerance = spec.type == PixelType::kUint8     ? 0.5 + 1e-3
                               : spec.type == PixelType::kFloat32 ? 1e-4
                                                                  : 4.0 / 256;
      ASSERT_NEAR(FloatOf(output, spec.type, i), expected[i], tolerance)
          << "trial " << trial << " value " << i;
    }
  }
}

TEST(Resizer, ARowIsCopiedWhereNothingIsResized) {
  ResizeSpec spec;
  spec.x_end = spec.output_width = 31;
  spec.y_end = spec.output_height = 7;
  const std::vector<uint8_t> image = Noise(size_t{31} * 7 * 3, 1);
  Resizer resizer;
  EXPECT_EQ(Resized(&resizer, image, 31, 7, spec), image);
}

TEST(Resizer, BytesAreRoundedAndBfloat16TiesGoToEven) {
  ResizeSpec spec;
  spec.channels = 1;
  spec.x_end = 2;
  spec.y_end = spec.output_width = spec.output_height = 1;
  Resizer resizer;
  EXPECT_EQ(Resized(&resizer, {0, 255}, 2, 1, spec)[0], 128);
  EXPECT_EQ(Resized(&resizer, {255, 255}, 2, 1, spec)[0], 255);
  spec.type = PixelType::kBfloat16;
  spec.scale[0] = 0;
  for (const auto& [value, rounded] :
       {std::pair{257.0F, 256.0F}, {259.0F, 260.0F}, {258.0F, 258.0F}}) {
    spec.offset[0] = value;
    EXPECT_EQ(FloatOf(Resized(&resizer, {0, 0}, 2, 1, spec), spec.type, 0), rounded);
  }
}

TEST(DctScale, IsTheSmallestAtWhichTheWindowCoversTheOutput) {
  EXPECT_EQ(DctScale({0, 0, 447, 1000}, 224, 224), 8);
  EXPECT_EQ(DctScale({0, 0, 448, 448}, 224, 224), 4);
  EXPECT_EQ(DctScale({0, 0, 895, 896}, 224, 224), 4);
  EXPECT_EQ(DctScale({0, 0, 896, 896}, 224, 224), 2);
  EXPECT_EQ(DctScale({0, 0, 5000, 5000}, 224, 224), 1);
  EXPECT_EQ(DctScale({0, 0, 100, 100}, 224, 224), 8);
}

std::vector<uint8_t> Augmented(DecodeAugmenter* augmenter, const std::string& jpeg,
                               const AugmentOptions& options, const Seed& seed = {}) {
  EXPECT_TRUE(options.Validate().ok()) << options.Validate().message();
  std::vector<uint8_t> output(options.output_bytes());
  const Status status = augmenter->Run(jpeg, options, seed, output.data());
  EXPECT_TRUE(status.ok()) << status.message();
  return output;
}

JpegSpec OfSize(int width, int height) {
  JpegSpec spec;
  spec.width = width;
  spec.height = height;
  return spec;
}

TEST(DecodeAugmenter, OneSeedGivesTheSamePixelsWhateverCameBefore) {
  AugmentOptions options;
  options.width = options.height = 32;
  const std::string jpeg = MakeJpeg(OfSize(120, 90));
  DecodeAugmenter used;
  DecodeAugmenter fresh;
  const auto first = Augmented(&used, jpeg, options, {1, 2});
  const auto other = Augmented(&used, jpeg, options, {1, 3});
  EXPECT_NE(first, other);
  EXPECT_NE(first, Augmented(&used, jpeg, options, {2, 2}));
  EXPECT_EQ(Augmented(&used, jpeg, options, {1, 2}), first);
  EXPECT_EQ(Augmented(&fresh, jpeg, options, {1, 3}), other);
}

TEST(DecodeAugmenter, FlipsWithTheProbabilityAskedFor) {
  AugmentOptions options;
  options.width = options.height = 16;
  options.random_crop = {1, 1, 1, 1, 1};
  const std::string jpeg = MakeJpeg(OfSize(16, 16));
  DecodeAugmenter augmenter;
  options.flip_probability = 0;
  const auto plain = Augmented(&augmenter, jpeg, options);
  options.flip_probability = 1;
  auto mirrored = Augmented(&augmenter, jpeg, options);
  EXPECT_NE(mirrored, plain);
  for (int y = 0; y < 16; ++y) {
    for (int x = 0; x < 8; ++x) {
      const auto pixel = [&](ptrdiff_t at) { return &mirrored[y * size_t{48}] + 3 * at; };
      std::swap_ranges(pixel(x), pixel(x) + 3, pixel(15 - x));
    }
  }
  EXPECT_EQ(mirrored, plain);
  options.flip_probability = 0.25;
  int flipped = 0;
  for (int64_t i = 0; i < 2000; ++i)
    flipped += Augmented(&augmenter, jpeg, options, {0, i}) != plain;
  EXPECT_NEAR(flipped, 500, 80);
}

// A plane in x and y: the value at a place tells where it was taken from.
std::string Gradient(int width, int height) {
  jpeg_error_mgr errors;
  jpeg_compress_struct info;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* output = nullptr;
  unsigned long output_bytes = 0;  // NOLINT(google-runtime-int): libjpeg's type
  jpeg_mem_dest(&info, &output, &output_bytes);
  info.image_width = width;
  info.image_height = height;
  info.input_components = 1;
  info.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 100, TRUE);
  jpeg_start_compress(&info, TRUE);
  std::vector<JSAMPLE> row(width);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      row[x] = static_cast<JSAMPLE>(20 + 200.0 * x / width + 30.0 * y / height);
    }
    JSAMPROW rows[] = {row.data()};
    jpeg_write_scanlines(&info, rows, 1);
  }
  jpeg_finish_compress(&info);
  std::string jpeg(reinterpret_cast<const char*>(output), output_bytes);
  jpeg_destroy_compress(&info);
  std::free(output);
  return jpeg;
}

TEST(DecodeAugmenter, DctScalingDoesNotShiftTheImage) {
  DecodeAugmenter augmenter;
  AugmentOptions options;
  options.width = options.height = 24;
  options.type = PixelType::kFloat32;
  options.channels = 1;
  for (const auto& [width, height] : {std::pair{403, 397}, {211, 205}, {97, 113}}) {
    const std::string jpeg = Gradient(width, height);
    for (int64_t i = 0; i < 100; ++i) {
      options.dct_scaling = true;
      const auto scaled = Augmented(&augmenter, jpeg, options, {6, i});
      options.dct_scaling = false;
      const auto full = Augmented(&augmenter, jpeg, options, {6, i});
      double shift = 0;
      for (size_t k = 0; k < size_t{24} * 24; ++k) {
        shift += FloatOf(scaled, options.type, k) - FloatOf(full, options.type, k);
      }
      // A pixel of the full image is 200 / width values wide.
      EXPECT_NEAR(shift / (24 * 24), 0, 0.4 * 200 / width) << "seed " << i;
    }
  }
}

TEST(DecodeAugmenter, NormalisesEachChannel) {
  DecodeAugmenter augmenter;
  AugmentOptions options;
  options.width = 20;
  options.height = 12;
  options.crop = CropMode::kCenter;
  options.type = PixelType::kFloat32;
  const std::string jpeg = MakeJpeg(OfSize(64, 50));
  const auto plain = Augmented(&augmenter, jpeg, options);
  options.mean = {100, 110, 120};
  options.stddev = {50, 60, 70};
  const auto normalised = Augmented(&augmenter, jpeg, options);
  for (size_t i = 0; i < size_t{20} * 12 * 3; ++i) {
    const float value = FloatOf(plain, options.type, i);
    EXPECT_NEAR(FloatOf(normalised, options.type, i),
                (value - options.mean[i % 3]) / options.stddev[i % 3], 1e-5);
  }
}

TEST(DecodeAugmenter, PassesOnWhatIsWrongWithAnImage) {
  DecodeAugmenter augmenter;
  AugmentOptions options;
  std::vector<uint8_t> output(options.output_bytes());
  EXPECT_EQ(augmenter.Run("GIF89a", options, {}, output.data()).message(),
            "not a JPEG but a GIF; pcr-convert --on_unsupported=encode makes JPEGs of such");
  options.limits.max_pixels = 100;
  EXPECT_EQ(augmenter.Run(MakeJpeg(), options, {}, output.data()).message(),
            "the number of pixels is limited; expected 100, got 1920");
}

// Exactly as large as the image, so that the sanitizer sees a read behind it.
std::vector<char> WithFlippedBits(std::string_view image, int bits, std::mt19937* random) {
  std::vector<char> changed(image.begin(), image.end());
  for (int i = 0; i < bits; ++i) {
    changed[(*random)() % changed.size()] ^= static_cast<char>(1 << (*random)() % 8);
  }
  return changed;
}

TEST(DecodeAugmenter, SurvivesEveryChangeOfBytes) {
  std::mt19937 random(4);
  JpegSpec spec = OfSize(150, 120);
  spec.sampling = {{2, 2}};
  const std::string sequential = MakeJpeg(spec);
  spec.simple_progression = true;
  const std::string progressive = MakeJpeg(spec);
  DecodeAugmenter augmenter;
  AugmentOptions options;
  options.width = 40;
  options.height = 30;
  options.limits.max_pixels = 1 << 20;
  options.limits.max_block_visits = 1 << 20;
  int decoded = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    const std::vector<char> changed =
        WithFlippedBits(trial % 2 == 0 ? sequential : progressive, 1 + trial % 3, &random);
    std::vector<uint8_t> output(options.output_bytes());
    const std::string_view jpeg(changed.data(), changed.size());
    decoded += augmenter.Run(jpeg, options, {trial, 0}, output.data()).ok();
  }
  EXPECT_GT(decoded, 1000);
}

TEST(DecodeAugmenter, SurvivesChangedBytesOfTurnedImages) {
  std::mt19937 random(5);
  JpegSpec spec = OfSize(61, 83);
  spec.sampling = {{2, 2}};
  const std::string sequential = MakeJpeg(spec);
  spec.simple_progression = true;
  const std::string progressive = MakeJpeg(spec);
  DecodeAugmenter augmenter;
  AugmentOptions options;
  options.width = 33;
  options.height = 20;
  options.honor_orientation = true;
  options.limits.max_pixels = 1 << 20;
  options.limits.max_block_visits = 1 << 20;
  int decoded = 0;
  for (int trial = 0; trial < 1000; ++trial) {
    std::string exif("Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", 25);
    exif += static_cast<char>(1 + trial % 8) + std::string(6, '\0');
    const std::string turned = testing::Insert(trial % 2 == 0 ? sequential : progressive, 2,
                                               testing::SegmentBytes(0xe1, exif));
    const std::vector<char> changed = WithFlippedBits(turned, trial % 4, &random);
    options.dct_scaling = trial % 3 == 0;
    options.type = trial % 5 == 0 ? PixelType::kUint8 : PixelType::kBfloat16;
    std::vector<uint8_t> output(options.output_bytes());
    const std::string_view jpeg(changed.data(), changed.size());
    decoded += augmenter.Run(jpeg, options, {trial, 0}, output.data()).ok();
  }
  EXPECT_GT(decoded, 500);
}

TEST(DecodeAugmenter, SurvivesChangedBytesOfPhotographs) {
  if (testing::TestImagesFolder().empty()) GTEST_SKIP() << testing::kNoTestImages;
  const ScanScript script = testing::Script(testing::kStandardScans);
  std::mt19937 random(6);
  DecodeAugmenter augmenter;
  AugmentOptions options;
  options.width = 224;
  options.height = 224;
  options.limits.max_pixels = 16 << 20;
  int64_t photographs = 0, decoded = 0;
  for (const auto& file :
       testing::JpegFilesUnder(testing::TestImagesFolder() + "/imagenet-sample")) {
    SCOPED_TRACE(file.string());
    const std::string original = testing::ReadFile(file);
    const std::string progressive = FullImage(Transcode(original, script).value().image);
    ++photographs;
    for (int trial = 0; trial < 8; ++trial) {
      const std::vector<char> changed =
          WithFlippedBits(trial % 2 == 0 ? original : progressive, 1 + trial, &random);
      std::vector<uint8_t> output(options.output_bytes());
      const std::string_view jpeg(changed.data(), changed.size());
      decoded += augmenter.Run(jpeg, options, {photographs, trial}, output.data()).ok();
    }
  }
  EXPECT_GE(photographs, 300);
  EXPECT_GT(decoded, photographs);
}

TEST(AugmentOptions, NamesTheOptionThatIsOutOfRange) {
  const auto message = [](auto change) {
    AugmentOptions options;
    change(&options);
    return options.Validate().message();
  };
  EXPECT_EQ(message([](AugmentOptions*) {}), "");
  EXPECT_EQ(message([](AugmentOptions* o) { o->width = 0; }).substr(0, 24),
            "width; expected 1..16384");
  EXPECT_EQ(message([](AugmentOptions* o) { o->random_crop.min_area = NAN; }).substr(0, 11),
            "area_range;");
  EXPECT_EQ(
      message([](AugmentOptions* o) { o->random_crop.max_aspect_ratio = INFINITY; }).substr(0, 19),
      "aspect_ratio_range;");
  EXPECT_EQ(message([](AugmentOptions* o) { o->mean = {1}; }),
            "mean and stddev; expected none or 3 values each, got 1 and 0");
  EXPECT_EQ(message([](AugmentOptions* o) {
              o->mean = {1, 1, 1};
              o->stddev = {1, 1, 0};
              o->type = PixelType::kFloat32;
            }).substr(0, 7),
            "stddev;");
  EXPECT_EQ(message([](AugmentOptions* o) { o->mean = o->stddev = {1, 1, 1}; }),
            "type of a normalised output; expected float32 or bfloat16, got uint8");
}

}  // namespace
}  // namespace pcr
