#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "ops/jpeg/entropy/progressive_scans.h"
#include "ops/jpeg/syntax/markers.h"
#include "tests/cpp/jpeg_test_images.h"

namespace pcr {
namespace {

using testing::FindMarker;
using testing::JpegSpec;
using testing::LibjpegScan;
using testing::MakeJpeg;

constexpr char kEoi[] = "\xff\xd9";

// Planes with blocks of their own, and the blocks that libjpeg reads.
struct Coefficients {
  std::vector<CoefficientPlane> planes;
  std::vector<std::vector<std::vector<int16_t>>> blocks;  // [component][row][x * 64 + k]
};

// Also sets the size of the planes.
Coefficients Libjpeg(std::string_view jpeg) {
  jpeg_error_mgr errors;
  jpeg_decompress_struct info;
  info.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(jpeg.data()), jpeg.size());
  jpeg_read_header(&info, TRUE);
  jvirt_barray_ptr* const arrays = jpeg_read_coefficients(&info);
  Coefficients result;
  const auto common = reinterpret_cast<j_common_ptr>(&info);
  for (int c = 0; c < info.num_components; ++c) {
    CoefficientPlane plane;
    plane.width = static_cast<int>(info.comp_info[c].width_in_blocks);
    plane.height = static_cast<int>(info.comp_info[c].height_in_blocks);
    std::vector<std::vector<int16_t>> rows;
    for (int y = 0; y < plane.height; ++y) {
      const JBLOCKROW row = info.mem->access_virt_barray(common, arrays[c], y, 1, FALSE)[0];
      rows.emplace_back(row[0], row[0] + ptrdiff_t{64} * plane.width);
    }
    result.planes.push_back(plane);
    result.blocks.push_back(rows);
  }
  jpeg_destroy_decompress(&info);
  return result;
}

// False if the decoder leaves the image to libjpeg.
bool Decode(std::string_view jpeg, Coefficients* coefficients,
            LeftoverData leftover = LeftoverData::kIsIgnored) {
  const JpegLayout layout = WalkMarkers(jpeg).value();
  if (!HasPlainProgression(jpeg, layout)) return false;
  coefficients->blocks.resize(coefficients->planes.size());
  for (size_t c = 0; c < coefficients->planes.size(); ++c) {
    CoefficientPlane& plane = coefficients->planes[c];
    coefficients->blocks[c].assign(plane.height, std::vector<int16_t>(size_t{64} * plane.width));
    plane.rows.clear();
    for (auto& row : coefficients->blocks[c]) {
      plane.rows.push_back(reinterpret_cast<CoefficientBlock*>(row.data()));
    }
  }
  return DecodeProgressiveScans(jpeg, layout, leftover, &coefficients->planes);
}

void ExpectCoefficientsOfLibjpeg(const std::string& jpeg) {
  const Coefficients expected = Libjpeg(jpeg);
  Coefficients got;
  got.planes = expected.planes;
  ASSERT_TRUE(Decode(jpeg, &got));
  EXPECT_TRUE(got.blocks == expected.blocks);
}

// An image of the size of a sound one.
bool IsLeftToLibjpeg(const std::string& jpeg, const std::string& sound) {
  Coefficients got;
  got.planes = Libjpeg(sound).planes;
  return !Decode(jpeg, &got);
}

bool IsLeftToLibjpeg(const std::string& jpeg) { return IsLeftToLibjpeg(jpeg, jpeg); }

JpegSpec Progressive() {
  JpegSpec spec;
  spec.width = 131;
  spec.height = 97;
  spec.quality = 95;
  spec.simple_progression = true;
  return spec;
}

TEST(DecodeProgressiveScans, GivesLibjpegsCoefficientsForEveryPrefix) {
  for (const auto& sampling : std::vector<std::vector<std::pair<int, int>>>{
           {}, {{2, 2}}, {{2, 1}}, {{1, 2}}, {{4, 1}}, {{1, 1}, {2, 2}, {1, 1}}}) {
    JpegSpec spec = Progressive();
    spec.sampling = sampling;
    const std::string jpeg = MakeJpeg(spec);
    const JpegLayout layout = WalkMarkers(jpeg).value();
    for (const ScanExtent& scan : layout.scans) {
      ExpectCoefficientsOfLibjpeg(jpeg.substr(0, scan.end) + kEoi);
    }
  }
}

TEST(DecodeProgressiveScans, DecodesGreyscaleFourComponentsAndSpectralSelectionAlone) {
  JpegSpec spec = Progressive();
  for (const J_COLOR_SPACE space : {JCS_GRAYSCALE, JCS_RGB, JCS_CMYK, JCS_YCCK}) {
    spec.color_space = space;
    ExpectCoefficientsOfLibjpeg(MakeJpeg(spec));
  }
  spec = Progressive();
  spec.simple_progression = false;
  spec.scans = {LibjpegScan({0, 1, 2}, 0, 0, 0, 0), LibjpegScan({0}, 1, 63, 0, 0),
                LibjpegScan({1}, 1, 63, 0, 0), LibjpegScan({2}, 1, 63, 0, 0)};
  ExpectCoefficientsOfLibjpeg(MakeJpeg(spec));
  spec.scans = {LibjpegScan({0, 1, 2}, 0, 0, 0, 3), LibjpegScan({0, 1, 2}, 0, 0, 3, 2),
                LibjpegScan({1}, 0, 0, 2, 1),       LibjpegScan({0}, 1, 20, 0, 3),
                LibjpegScan({0}, 1, 20, 3, 2),      LibjpegScan({0}, 1, 20, 2, 1)};
  ExpectCoefficientsOfLibjpeg(MakeJpeg(spec));
}

TEST(DecodeProgressiveScans, SaysHowManyBitsAreMissing) {
  const std::string jpeg = MakeJpeg(Progressive());
  Coefficients got;
  got.planes = Libjpeg(jpeg).planes;
  ASSERT_TRUE(Decode(jpeg.substr(0, WalkMarkers(jpeg).value().scans[1].end) + kEoi, &got));
  EXPECT_EQ(got.planes[0].missing_bits[0], 1);
  EXPECT_EQ(got.planes[0].missing_bits[5], 2);
  EXPECT_EQ(got.planes[0].missing_bits[6], -1);
  EXPECT_EQ(got.planes[2].missing_bits[1], -1);
}

TEST(DecodeProgressiveScans, LeavesOtherImagesToLibjpeg) {
  EXPECT_TRUE(IsLeftToLibjpeg(MakeJpeg())) << "sequential";
  JpegSpec spec = Progressive();
  spec.restart_interval = 4;
  EXPECT_TRUE(IsLeftToLibjpeg(MakeJpeg(spec))) << "restart markers";
  spec = Progressive();
  spec.arithmetic = true;
  EXPECT_TRUE(IsLeftToLibjpeg(MakeJpeg(spec))) << "arithmetic";
}

TEST(DecodeProgressiveScans, LeavesSegmentsThatLibjpegHeedsOrRefusesToIt) {
  const std::string jpeg = MakeJpeg(Progressive());
  const uint64_t behind_first = WalkMarkers(jpeg).value().scans[0].end;
  const auto is_left_with = [&jpeg](uint64_t at, int code, std::string_view parameters) {
    return IsLeftToLibjpeg(testing::Insert(jpeg, at, testing::SegmentBytes(code, parameters)),
                           jpeg);
  };
  const std::string_view adobe{"Adobe\0\x64\0\0\0\0\0", 12};
  EXPECT_FALSE(is_left_with(2, 0xee, adobe));
  EXPECT_TRUE(is_left_with(behind_first, 0xee, adobe));
  EXPECT_TRUE(is_left_with(behind_first, 0xe0, {"JFIF\0\1\1\0\0\1\0\1\0\0", 14}));
  EXPECT_FALSE(is_left_with(behind_first, 0xe1, "Exif"));
  EXPECT_FALSE(is_left_with(behind_first, 0xfe, "a comment"));
  EXPECT_TRUE(is_left_with(2, 0xf7, "x"));
  EXPECT_TRUE(is_left_with(2, 0xdd, {"\0\0", 2})) << "no restarts, but a DRI";
}

TEST(DecodeProgressiveScans, LeavesDcTablesThatLibjpegRefusesToIt) {
  const std::string sound = MakeJpeg(Progressive());
  std::string jpeg = sound;
  const size_t table = FindMarker(jpeg, 0xc4);
  // One more word of 16 bits, which no block has, for a symbol that is no size of DC.
  const int symbols =
      (static_cast<uint8_t>(jpeg[table + 2]) << 8) + static_cast<uint8_t>(jpeg[table + 3]) - 19;
  ++jpeg[table + 3];
  ++jpeg[table + 20];
  jpeg.insert(table + 21 + symbols, 1, '\x20');
  EXPECT_TRUE(IsLeftToLibjpeg(jpeg, sound));
}

TEST(DecodeProgressiveScans, RefusesDataLeftOverInAScanIfToldTo) {
  const std::string jpeg = MakeJpeg(Progressive());
  const JpegLayout layout = WalkMarkers(jpeg).value();
  for (const ScanExtent& scan : layout.scans) {
    for (const size_t bytes : {1, 40}) {
      const std::string longer = testing::Insert(jpeg, scan.end, std::string(bytes, '\x55'));
      Coefficients got;
      got.planes = Libjpeg(jpeg).planes;
      EXPECT_TRUE(Decode(longer, &got, LeftoverData::kIsIgnored));
      EXPECT_FALSE(Decode(longer, &got, LeftoverData::kIsRefused));
    }
  }
  Coefficients got;
  got.planes = Libjpeg(jpeg).planes;
  EXPECT_TRUE(Decode(jpeg, &got, LeftoverData::kIsRefused));
}

TEST(DecodeProgressiveScans, LeavesDamagedScansToLibjpeg) {
  const std::string jpeg = MakeJpeg(Progressive());
  const JpegLayout layout = WalkMarkers(jpeg).value();
  const auto decodes = [&](const std::string& changed) {
    Coefficients got;
    got.planes = Libjpeg(jpeg).planes;
    return Decode(changed, &got);
  };
  EXPECT_TRUE(decodes(jpeg));
  for (const ScanExtent& scan : layout.scans) {
    std::string cut = jpeg;
    cut.erase(scan.end - 40, 40);
    EXPECT_FALSE(decodes(cut)) << "scan at " << scan.sos_offset << " ends early";
  }
  const std::string again =
      jpeg.substr(layout.scans[9].sos_offset, layout.scans[9].end - layout.scans[9].sos_offset);
  EXPECT_FALSE(decodes(jpeg.substr(0, jpeg.size() - 2) + again + kEoi)) << "a scan twice";
}

TEST(DecodeProgressiveScans, StaysInItsBuffersWhateverTheBytes) {
  std::mt19937 random(6);
  JpegSpec spec = Progressive();
  spec.sampling = {{2, 2}};
  const std::string jpeg = MakeJpeg(spec);
  const std::vector<CoefficientPlane> planes = Libjpeg(jpeg).planes;
  const JpegLayout whole = WalkMarkers(jpeg).value();
  const size_t header = whole.scans[0].sos_offset;
  int decoded = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    std::vector<char> changed(jpeg.begin(), jpeg.end());
    for (int i = 0; i <= trial % 3; ++i) {
      // The frame stays: its size is that of the planes.
      changed[header + random() % (changed.size() - header)] = static_cast<char>(random());
    }
    const std::string_view bytes(changed.data(), changed.size());
    const Result<JpegLayout> layout = WalkMarkers(bytes);
    if (!layout.ok() || !HasPlainProgression(bytes, layout.value())) continue;
    Coefficients got;
    got.planes = planes;
    decoded += Decode(bytes, &got);
  }
  EXPECT_GT(decoded, 20);
}

}  // namespace
}  // namespace pcr
