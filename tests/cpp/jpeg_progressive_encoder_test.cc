#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "ops/jpeg/encoding/bit_writer.h"
#include "ops/jpeg/encoding/progressive_encoder.h"
#include "ops/jpeg/lossless/coefficients.h"
#include "ops/jpeg/lossless/transcode.h"
#include "ops/jpeg/syntax/markers.h"
#include "tests/cpp/jpeg_test_images.h"

namespace pcr {
namespace {

using testing::FindMarker;
using testing::JpegSpec;
using testing::kNoRefinementScans;
using testing::kStandardScans;
using testing::LibjpegScan;
using testing::MakeJpeg;
using testing::Script;
using testing::SegmentBytes;

// libjpeg's objects of one image; an error exits the test.
struct Libjpeg {
  jpeg_error_mgr errors;
  jpeg_compress_struct target;
  unsigned char* output = nullptr;
  unsigned long output_bytes = 0;  // NOLINT(google-runtime-int): libjpeg's type

  Libjpeg() {
    target.err = jpeg_std_error(&errors);
    jpeg_create_compress(&target);
    jpeg_mem_dest(&target, &output, &output_bytes);
  }
  Libjpeg(const Libjpeg&) = delete;
  Libjpeg& operator=(const Libjpeg&) = delete;
  ~Libjpeg() {
    jpeg_destroy_compress(&target);
    std::free(output);
  }

  std::string Write(jvirt_barray_ptr* coefficients) {
    jpeg_write_coefficients(&target, coefficients);
    jpeg_finish_compress(&target);
    return {reinterpret_cast<const char*>(output), output_bytes};
  }
};

// Of an image by libjpeg, from the quantization tables on.
std::string WithoutSegments(const std::string& jpeg) { return jpeg.substr(FindMarker(jpeg, 0xdb)); }

// A sound image in the scans of a script, by libjpeg.
std::string LibjpegTranscode(const std::string& jpeg, const ScanScript& script) {
  const JpegLayout layout = WalkMarkers(jpeg).value();
  std::vector<SamplingFactors> sampling;
  for (const FrameComponent& c : layout.frame.value().components) sampling.push_back({c.h, c.v});
  std::vector<jpeg_scan_info> scans;
  for (const Scan& scan : script.ForImage(sampling)) {
    scans.push_back(LibjpegScan(scan.components, scan.ss, scan.se, scan.ah, scan.al));
  }
  Libjpeg libjpeg;
  jpeg_decompress_struct source;
  source.err = &libjpeg.errors;
  jpeg_create_decompress(&source);
  jpeg_mem_src(&source, reinterpret_cast<const unsigned char*>(jpeg.data()), jpeg.size());
  jpeg_read_header(&source, TRUE);
  jvirt_barray_ptr* const coefficients = jpeg_read_coefficients(&source);
  jpeg_copy_critical_parameters(&source, &libjpeg.target);
  libjpeg.target.scan_info = scans.data();
  libjpeg.target.num_scans = static_cast<int>(scans.size());
  libjpeg.target.optimize_coding = TRUE;
  std::string result = libjpeg.Write(coefficients);
  jpeg_destroy_decompress(&source);
  return result;
}

void ExpectBytesOfLibjpeg(const std::string& jpeg, const ScanScript& script) {
  const Transcoded result = Transcode(jpeg, script).value();
  ASSERT_EQ(result.reason, OpaqueReason::kNone) << result.detail;
  const std::string ours = WithoutSegments(result.image.scans + "\xff\xd9");
  EXPECT_TRUE(ours == WithoutSegments(LibjpegTranscode(jpeg, script))) << script.text();
}

void ExpectBytesOfLibjpeg(const std::string& jpeg) {
  ExpectBytesOfLibjpeg(jpeg, Script(kStandardScans));
  ExpectBytesOfLibjpeg(jpeg, Script(kNoRefinementScans));
}

using Random = std::mt19937;

// A coefficient in natural order, k = 0: DC.
using Draw = std::function<int(int component, int k)>;

using Sampling = std::vector<std::pair<int, int>>;

// An image of the coefficients that draw() gives. The first component has the largest factors.
std::string OfCoefficients(int width, int height, J_COLOR_SPACE color_space,
                           const Sampling& sampling, const Draw& draw) {
  Libjpeg libjpeg;
  jpeg_compress_struct* const info = &libjpeg.target;
  info->image_width = width;
  info->image_height = height;
  info->input_components = static_cast<int>(sampling.size());
  info->in_color_space = color_space;
  jpeg_set_defaults(info);
  jpeg_set_colorspace(info, color_space);
  for (size_t c = 0; c < sampling.size(); ++c) {
    info->comp_info[c].h_samp_factor = sampling[c].first;
    info->comp_info[c].v_samp_factor = sampling[c].second;
  }
  info->optimize_coding = TRUE;
  const auto common = reinterpret_cast<j_common_ptr>(info);
  std::vector<jvirt_barray_ptr> arrays;
  std::vector<JDIMENSION> sizes[2];
  for (int c = 0; c < info->input_components; ++c) {
    const int own_h = info->comp_info[c].h_samp_factor;
    const int own_v = info->comp_info[c].v_samp_factor;
    const auto up = [](int size, int step) { return (size + step - 1) / step; };
    sizes[0].push_back(up(width, 8 * sampling[0].first) * own_h);
    sizes[1].push_back(up(height, 8 * sampling[0].second) * own_v);
    arrays.push_back(
        info->mem->request_virt_barray(common, JPOOL_IMAGE, TRUE, sizes[0][c], sizes[1][c], own_v));
  }
  info->mem->realize_virt_arrays(common);
  for (int c = 0; c < info->input_components; ++c) {
    for (JDIMENSION y = 0; y < sizes[1][c]; ++y) {
      const JBLOCKROW row = info->mem->access_virt_barray(common, arrays[c], y, 1, TRUE)[0];
      for (JDIMENSION x = 0; x < sizes[0][c]; ++x) {
        for (int k = 0; k < DCTSIZE2; ++k) row[x][k] = static_cast<JCOEF>(draw(c, k));
      }
    }
  }
  return libjpeg.Write(arrays.data());
}

// Any progression that gets to all bits of all coefficients.
ScanScript RandomScript(Random* random) {
  const auto below = [random](int n) { return static_cast<int>((*random)() % n); };
  const auto entry = [](const std::string& components, int ss, int se, int ah, int al) {
    return components + ": " + std::to_string(ss) + "-" + std::to_string(se) + ", " +
           std::to_string(ah) + ", " + std::to_string(al) + ";\n";
  };
  struct Band {
    std::string components;
    int ss;
    int se;
    int al;
  };
  const int max_al = below(4) == 0 ? 10 : 3;
  std::vector<Band> bands;
  switch (below(3)) {
    case 0:
      bands = {{"0", 0, 0, below(4)}, {"1, 2", 0, 0, below(4)}};
      break;
    case 1:
      bands = {{"0", 0, 0, 0}, {"1", 0, 0, below(4)}, {"2", 0, 0, below(4)}};
      break;
    default:
      bands = {{"0, 1, 2", 0, 0, below(max_al + 1)}};
  }
  const auto num_dc = static_cast<ptrdiff_t>(bands.size());
  for (const char* component : {"0", "1", "2"}) {
    for (int ss = 1; ss < 64;) {
      const int se = below(3) == 0 ? 63 : std::min(63, ss + below(64 - ss));
      bands.push_back({component, ss, se, below(max_al + 1)});
      ss = se + 1;
    }
  }
  std::shuffle(bands.begin() + num_dc, bands.end(), *random);
  std::string text = "# group\n";  // one, as 100 are the most
  for (const Band& band : bands) text += entry(band.components, band.ss, band.se, 0, band.al);
  for (int al = max_al - 1; al >= 0; --al) {
    for (const Band& band : bands) {
      if (band.al > al) text += entry(band.components, band.ss, band.se, al + 1, al);
    }
  }
  return Script(text);
}

TEST(ProgressiveEncoder, WritesTheBytesOfLibjpegForEverySamplingAndColourSpace) {
  for (const Sampling& sampling :
       {Sampling{{1, 1}}, Sampling{{2, 1}}, Sampling{{2, 2}}, Sampling{{1, 2}}, Sampling{{4, 1}},
        Sampling{{2, 2}, {2, 1}, {1, 2}}, Sampling{{1, 1}, {2, 2}, {1, 1}},
        Sampling{{3, 1}, {1, 1}, {3, 1}}, Sampling{{1, 4}, {1, 2}, {1, 1}}}) {
    for (const auto& [width, height] :
         {std::pair(48, 40), std::pair(1, 1), std::pair(33, 17), std::pair(65, 9)}) {
      JpegSpec spec;
      spec.width = width;
      spec.height = height;
      spec.sampling = sampling;
      ExpectBytesOfLibjpeg(MakeJpeg(spec));
    }
  }
  for (const J_COLOR_SPACE color_space :
       {JCS_GRAYSCALE, JCS_RGB, JCS_YCbCr, JCS_CMYK, JCS_YCCK, JCS_UNKNOWN}) {
    JpegSpec spec;
    spec.color_space = color_space;
    spec.components = 2;
    ExpectBytesOfLibjpeg(MakeJpeg(spec));
  }
}

TEST(ProgressiveEncoder, WritesTheBytesOfLibjpegForQuantizationOfOneAndTwoBytes) {
  JpegSpec spec;
  spec.quality = 5;
  ExpectBytesOfLibjpeg(MakeJpeg(spec));
  spec.wide_quantization = true;
  ExpectBytesOfLibjpeg(MakeJpeg(spec));
}

TEST(ProgressiveEncoder, WritesTheBytesOfLibjpegForAnyCoefficientsAndScript) {
  Random random(5);  // NOLINT(bugprone-random-generator-seed): reproducible
  for (int trial = 0; trial < 600; ++trial) {
    SCOPED_TRACE(trial);
    const uint32_t density = random() % 101;  // % of coefficients that are not zero
    const uint32_t max_bits = 1 + random() % 10;
    const auto draw = [&](int /*component*/, int k) {
      if (k > 0 && random() % 100 >= density) return 0;
      const int magnitude = static_cast<int>(random() % (1U << (1 + random() % max_bits)));
      return random() % 2 == 0 ? magnitude : -magnitude;
    };
    const int width = 1 + static_cast<int>(random() % 100);
    const int height = 1 + static_cast<int>(random() % 100);
    const J_COLOR_SPACE color_spaces[] = {JCS_GRAYSCALE, JCS_YCbCr, JCS_YCbCr, JCS_RGB, JCS_YCCK};
    const size_t components[] = {1, 3, 3, 3, 4};
    const size_t kind = random() % std::size(components);
    const auto upto = [&random](int n) { return 1 + static_cast<int>(random() % n); };
    Sampling sampling = {{upto(3), upto(2)}};  // Up to 9 blocks in an MCU.
    for (size_t c = 1; c < components[kind]; ++c) sampling.emplace_back(1, 1);
    if (sampling.size() > 1) sampling.back().second = upto(sampling[0].second);
    const std::string jpeg = OfCoefficients(width, height, color_spaces[kind], sampling, draw);
    ExpectBytesOfLibjpeg(jpeg, RandomScript(&random));
  }
}

TEST(ProgressiveEncoder, EndsARunAtTheLongestThatHasASymbol) {
  int dc = 0;
  const auto flat = [&dc](int, int k) { return k == 0 ? dc++ % 3 : 0; };
  // 250 x 138 blocks, more than 0x7fff.
  ExpectBytesOfLibjpeg(OfCoefficients(2000, 1100, JCS_GRAYSCALE, {{1, 1}}, flat));
}

TEST(ProgressiveEncoder, EndsARunOfManyCorrectionsWhereLibjpegDoes) {
  // Each block of the last scans is corrections alone, 63 of them.
  const auto known = [](int, int k) { return k % 2 == 0 ? 5 : -6; };
  ExpectBytesOfLibjpeg(OfCoefficients(400, 80, JCS_GRAYSCALE, {{1, 1}}, known));
  int block = 0;
  const auto sometimes = [&block](int, int k) {
    block += k == 63 ? 1 : 0;
    return block % 7 == 0 && k > 50 ? 1 : k % 3 == 0 ? -4 : 0;
  };
  ExpectBytesOfLibjpeg(OfCoefficients(400, 80, JCS_GRAYSCALE, {{1, 1}}, sometimes));
}

TEST(ProgressiveEncoder, TakesTheLargestCoefficientsOfEightBitsAndNoLargerOnes) {
  int16_t block[64] = {};
  const uint16_t quantization[64] = {1};
  EncodedFrame frame;
  frame.width = frame.height = 8;
  frame.quantization_tables[0] = quantization;
  EncodedComponent component;
  component.width = component.height = 1;
  component.rows = {&block};
  frame.components = {component};
  const std::vector<Scan> scans = Script(kNoRefinementScans).ForImage({{1, 1}});
  const auto encodes = [&](int k, int value) {
    std::string out;
    std::fill(std::begin(block), std::end(block), int16_t{0});
    block[k] = static_cast<int16_t>(value);
    return EncodeProgressive(frame, scans, &out);
  };
  for (const int sign : {1, -1}) {
    EXPECT_TRUE(encodes(0, sign * 2047));
    EXPECT_FALSE(encodes(0, sign * 2048));
    for (const int k : {1, 63}) {
      EXPECT_TRUE(encodes(k, sign * 1023));
      EXPECT_FALSE(encodes(k, sign * 1024));
    }
  }
  EXPECT_FALSE(encodes(0, -32768));
  EXPECT_FALSE(encodes(5, -32768));
}

TEST(ProgressiveEncoder, AnImageOfLargerCoefficientsIsKept) {
  const auto segment = [](int code, const std::string& parameters) {
    return SegmentBytes(code, parameters);
  };
  const auto table = [&segment](int slot, int length, const std::string& symbols) {
    std::string lengths(16, '\0');
    lengths[length - 1] = static_cast<char>(symbols.size());
    return segment(0xc4, static_cast<char>(slot) + lengths + symbols);
  };
  std::string jpeg = "\xff\xd8";
  jpeg += segment(0xdb, std::string(1, '\0') + std::string(64, '\1'));
  jpeg += segment(0xc0, std::string("\x08\0\x08\0\x08\1\1\x11\0", 9));
  jpeg += table(0, 1, std::string(1, '\0'));
  jpeg += table(0x10, 2, std::string("\x0b\0", 2));
  jpeg += segment(0xda, std::string("\1\1\0\0\x3f\0", 6));
  char data[8 + BitWriter::kSpareBytes];
  BitWriter bits;
  bits.SetOutput(data);
  bits.Write(0, 1);      // DC 0
  bits.Write(0, 2);      // an AC coefficient of 11 bits:
  bits.Write(1500, 11);  // 1500
  bits.Write(1, 2);      // no further ones
  bits.Finish();
  jpeg.append(data, bits.output());
  jpeg += "\xff\xd9";
  ASSERT_EQ(CheckJpeg(jpeg), "");
  const Transcoded result = Transcode(jpeg, Script(kNoRefinementScans)).value();
  EXPECT_STREQ(OpaqueReasonName(result.reason), "unsupported");
  EXPECT_EQ(result.detail, "DCT coefficient out of range");
  EXPECT_TRUE(result.image.scans == jpeg);
}

void ExpectBytesOfLibjpegOf(const std::string& folder, size_t stride) {
  if (testing::TestImagesFolder().empty()) GTEST_SKIP() << testing::kNoTestImages;
  const auto files = testing::JpegFilesUnder(testing::TestImagesFolder() + folder);
  const ScanScript script = Script(kStandardScans);
  int compared = 0;
  for (size_t i = 0; i < files.size(); i += stride) {
    SCOPED_TRACE(files[i].string());
    const std::string jpeg = testing::ReadFile(files[i]);
    if (Transcode(jpeg, script).value().reason != OpaqueReason::kNone) continue;
    // An APPn segment may hold an image, with quantization tables of its own.
    const std::string ours = Transcode(jpeg, script).value().image.scans + "\xff\xd9";
    const std::string theirs = LibjpegTranscode(jpeg, script);
    const auto coded = [](const std::string& image) {
      return image.substr(WalkMarkers(image).value().scans[0].sos_offset);
    };
    EXPECT_TRUE(coded(ours) == coded(theirs));
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

TEST(ProgressiveEncoder, WritesTheBytesOfLibjpegForUnusualFiles) {
  ExpectBytesOfLibjpegOf("/odd-jpeg", 1);
}

TEST(ProgressiveEncoder, WritesTheBytesOfLibjpegForPhotographs) {
  ExpectBytesOfLibjpegOf("/imagenet-sample", 3);
}

}  // namespace
}  // namespace pcr
