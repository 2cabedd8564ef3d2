#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <thread>

#include "ops/jpeg/lossless/coefficients.h"
#include "ops/jpeg/lossless/transcode.h"
#include "ops/jpeg/lossless/transcode_fault.h"
#include "ops/jpeg/syntax/exif_orientation.h"
#include "ops/jpeg/syntax/markers.h"
#include "tests/cpp/jpeg_test_images.h"

namespace pcr {
namespace {

using testing::DecodePixels;
using testing::FindMarker;
using testing::Insert;
using testing::JpegSpec;
using testing::kNoRefinementScans;
using testing::kStandardScans;
using testing::LibjpegScan;
using testing::MakeJpeg;
using testing::Script;
using testing::SegmentBytes;

constexpr char kEoi[] = "\xff\xd9";

const ScanScript& Standard() {
  static const ScanScript script = Script(kStandardScans);
  return script;
}

Transcoded Coded(std::string_view image, const ScanScript& script = Standard()) {
  Result<Transcoded> result = Transcode(image, script);
  EXPECT_TRUE(result.ok()) << result.status().message();
  return result.ok() ? std::move(result).value() : Transcoded();
}

// The image at fidelity g, 1..G-1.
std::string Prefix(const CodedImage& image, int g) {
  const auto end = image.group_sizes.begin() + g;
  return image.scans.substr(0, std::accumulate(image.group_sizes.begin(), end, uint64_t{0})) + kEoi;
}

// Either opaque and identical, or progressive and lossless.
void ExpectNothingLost(std::string_view image, const Transcoded& result, int num_groups) {
  const CodedImage& coded = result.image;
  ASSERT_EQ(coded.group_sizes.size(), static_cast<size_t>(num_groups));
  ASSERT_EQ(std::accumulate(coded.group_sizes.begin(), coded.group_sizes.end(), uint64_t{0}),
            coded.scans.size());
  if (coded.coding == Coding::kOpaque) {
    EXPECT_NE(result.reason, OpaqueReason::kNone);
    EXPECT_FALSE(result.detail.empty());
    EXPECT_TRUE(coded.scans == image);
    EXPECT_EQ(coded.group_sizes[0], image.size());
    EXPECT_EQ(coded.ancillary + coded.trailing, "");
    EXPECT_EQ(coded.ancillary_offset, 0u);
    return;
  }
  EXPECT_EQ(result.reason, OpaqueReason::kNone);
  EXPECT_EQ(result.detail, "");
  EXPECT_GE(coded.ancillary_offset, 2u);
  EXPECT_LE(coded.ancillary_offset, coded.group_sizes[0]);
  EXPECT_EQ(SameCoefficients(image, FullImage(coded)), "");
}

// Progressive, lossless to the pixel, and decodable at every fidelity.
void ExpectProgressive(const std::string& image, const ScanScript& script = Standard()) {
  const Transcoded result = Coded(image, script);
  ASSERT_EQ(result.reason, OpaqueReason::kNone) << result.detail;
  ExpectNothingLost(image, result, script.num_groups());
  const std::string full = FullImage(result.image);
  EXPECT_TRUE(DecodePixels(image) == DecodePixels(full));
  const Result<JpegLayout> layout = WalkMarkers(full);
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout.value().frame->marker, marker::kSof2);
  for (int g = 1; g < script.num_groups(); ++g) {
    EXPECT_EQ(CheckJpeg(Prefix(result.image, g)), "") << "fidelity " << g;
  }
}

void ExpectOpaque(std::string_view image, OpaqueReason reason, std::string_view detail) {
  const Transcoded result = Coded(image);
  EXPECT_STREQ(OpaqueReasonName(result.reason), OpaqueReasonName(reason)) << result.detail;
  EXPECT_NE(result.detail.find(detail), std::string::npos) << result.detail;
  ExpectNothingLost(image, result, Standard().num_groups());
}

std::vector<std::string> SegmentsOf(std::string_view jpeg, SegmentKind kind) {
  const JpegLayout layout = WalkMarkers(jpeg).value();
  std::vector<std::string> segments;
  for (const Segment& segment : layout.segments) {
    if (KindOf(jpeg, segment) == kind) {
      segments.emplace_back(jpeg.substr(segment.offset, segment.size));
    }
  }
  return segments;
}

JpegSpec OfSampling(std::vector<std::pair<int, int>> sampling) {
  JpegSpec spec;
  spec.sampling = std::move(sampling);
  return spec;
}

JpegSpec OfColorSpace(J_COLOR_SPACE color_space, int components = 0) {
  JpegSpec spec;
  spec.color_space = color_space;
  spec.components = components;
  return spec;
}

JpegSpec OfSize(int width, int height) {
  JpegSpec spec;
  spec.width = width;
  spec.height = height;
  return spec;
}

TEST(Transcode, EveryCommonSamplingComesOutProgressive) {
  ExpectProgressive(MakeJpeg(OfSampling({{1, 1}})));
  ExpectProgressive(MakeJpeg(OfSampling({{2, 1}})));
  ExpectProgressive(MakeJpeg(OfSampling({{2, 2}})));
  ExpectProgressive(MakeJpeg(OfSampling({{1, 2}})));
  ExpectProgressive(MakeJpeg(OfSampling({{4, 1}})));
}

TEST(Transcode, OddSamplingComesOutProgressive) {
  ExpectProgressive(MakeJpeg(OfSampling({{2, 2}, {2, 1}, {1, 2}})));
  ExpectProgressive(MakeJpeg(OfSampling({{1, 1}, {2, 2}, {1, 1}})));
  ExpectProgressive(MakeJpeg(OfSampling({{3, 1}, {1, 1}, {3, 1}})));
  ExpectProgressive(MakeJpeg(OfSampling({{1, 4}, {1, 2}, {1, 1}})));
}

TEST(Transcode, ScansOfMoreThanTenBlocksPerMcuAreSplit) {
  JpegSpec spec = OfSampling({{4, 2}, {2, 2}, {1, 1}});
  spec.scans = {LibjpegScan({0}, 0, 63, 0, 0), LibjpegScan({1}, 0, 63, 0, 0),
                LibjpegScan({2}, 0, 63, 0, 0)};
  ExpectProgressive(MakeJpeg(spec));
}

TEST(Transcode, EveryColourSpaceComesOutProgressive) {
  ExpectProgressive(MakeJpeg(OfColorSpace(JCS_GRAYSCALE)));
  ExpectProgressive(MakeJpeg(OfColorSpace(JCS_RGB)));
  ExpectProgressive(MakeJpeg(OfColorSpace(JCS_CMYK)));
  ExpectProgressive(MakeJpeg(OfColorSpace(JCS_YCCK)));
  ExpectProgressive(MakeJpeg(OfColorSpace(JCS_UNKNOWN, 2)));
  JpegSpec spec = OfColorSpace(JCS_YCCK);
  spec.sampling = {{2, 2}, {1, 1}, {1, 1}, {2, 2}};
  ExpectProgressive(MakeJpeg(spec));
}

TEST(Transcode, ExtremeSizesComeOutProgressive) {
  ExpectProgressive(MakeJpeg(OfSize(1, 1)));
  ExpectProgressive(MakeJpeg(OfSize(65500, 1)));
  ExpectProgressive(MakeJpeg(OfSize(3, 4000)));
  JpegSpec spec = OfSize(1, 1);
  spec.sampling = {{2, 2}};
  ExpectProgressive(MakeJpeg(spec));
}

TEST(Transcode, RestartMarkersComeOutProgressive) {
  JpegSpec spec;
  spec.restart_interval = 3;
  ExpectProgressive(MakeJpeg(spec));
  spec.simple_progression = true;
  ExpectProgressive(MakeJpeg(spec));
}

TEST(Transcode, AnotherProgressionIsReplaced) {
  JpegSpec spec;
  spec.scans = {LibjpegScan({0, 1, 2}, 0, 0, 0, 0), LibjpegScan({1}, 1, 63, 0, 0),
                LibjpegScan({2}, 1, 63, 0, 0), LibjpegScan({0}, 1, 20, 0, 0),
                LibjpegScan({0}, 21, 63, 0, 0)};
  const std::string image = MakeJpeg(spec);
  ExpectProgressive(image);
  JpegSpec standard;
  standard.simple_progression = true;
  // libjpeg's own file of these coefficients and scans is the same, byte for byte.
  EXPECT_TRUE(FullImage(Coded(image).image) == MakeJpeg(standard));
}

TEST(Transcode, SequentialScansPerComponentComeOutProgressive) {
  JpegSpec spec = OfSampling({{2, 2}});
  spec.scans = {LibjpegScan({0}, 0, 63, 0, 0), LibjpegScan({1, 2}, 0, 63, 0, 0)};
  ExpectProgressive(MakeJpeg(spec));
}

TEST(Transcode, AQuantizationTableRedefinedBetweenScansComesOutProgressive) {
  JpegSpec spec;
  spec.one_quantization_slot = true;
  spec.scans = {LibjpegScan({0}, 0, 63, 0, 0), LibjpegScan({1}, 0, 63, 0, 0),
                LibjpegScan({2}, 0, 63, 0, 0)};
  const std::string image = MakeJpeg(spec);
  const std::string table = SegmentBytes(0xdb, std::string(1, '\0') + std::string(64, '\x07'));
  const size_t second_scan = WalkMarkers(image).value().scans[0].end;
  ExpectProgressive(Insert(image, second_scan, table));
}

TEST(Transcode, CoarseAndSixteenBitQuantizationComesOutProgressive) {
  JpegSpec spec;
  spec.quality = 1;
  ExpectProgressive(MakeJpeg(spec));
  spec.wide_quantization = true;
  ExpectProgressive(MakeJpeg(spec));
  spec.quality = 100;
  ExpectProgressive(MakeJpeg(spec));
}

TEST(Transcode, GroupsOfSeveralScansAreCutAtTheirLastScan) {
  const ScanScript script = Script(
      "# group\n0,1,2: 0-0,0,0;\n0: 1-5,0,0;\n# group\n1: 1-63,0,0; 2: 1-63,0,0;\n"
      "# group\n0: 6-63,0,0;\n");
  ExpectProgressive(MakeJpeg(), script);
  const Transcoded result = Coded(MakeJpeg(), script);
  EXPECT_EQ(WalkMarkers(Prefix(result.image, 1)).value().scans.size(), 2u);
  EXPECT_EQ(WalkMarkers(Prefix(result.image, 2)).value().scans.size(), 4u);
}

TEST(Transcode, AGreyImageHasEmptyGroupsWhereColourWouldBe) {
  const Transcoded result =
      Coded(MakeJpeg(OfColorSpace(JCS_GRAYSCALE)), Script(kNoRefinementScans));
  ASSERT_EQ(result.reason, OpaqueReason::kNone);
  EXPECT_GT(result.image.group_sizes[1], 0u);
  EXPECT_EQ(result.image.group_sizes[2], 0u);
  EXPECT_EQ(result.image.group_sizes[3], 0u);
  EXPECT_GT(result.image.group_sizes[4], 0u);
}

TEST(Transcode, AncillarySegmentsComeBackBehindJfifAtFullFidelityOnly) {
  const std::string exif = {"Exif\0\0", 6};
  JpegSpec spec;
  spec.markers = {{0xe1, exif + std::string(60000, 'x')}, {0xfe, "a comment"}, {0xe2, "ICC"}};
  const std::string image = MakeJpeg(spec) + "trailing";
  ExpectProgressive(image);
  const CodedImage coded = Coded(image).image;
  const std::string jfif = SegmentsOf(image, SegmentKind::kJfif).at(0);
  EXPECT_EQ(coded.ancillary_offset, 2 + jfif.size());
  EXPECT_EQ(coded.ancillary.size(), 60000 + 6 + 9 + 3 + 3 * 4u);
  EXPECT_EQ(coded.trailing, "trailing");
  EXPECT_EQ(SegmentsOf(FullImage(coded), SegmentKind::kAncillary),
            SegmentsOf(image, SegmentKind::kAncillary));
  EXPECT_EQ(SegmentsOf(Prefix(coded, 9), SegmentKind::kAncillary), std::vector<std::string>());
}

TEST(Transcode, ColourDecidingSegmentsStayInFrontByteForByte) {
  std::string image = MakeJpeg(OfColorSpace(JCS_YCCK));
  // Exif before Adobe, and a JFIF segment with a density and version of its own behind it.
  const std::string jfif = SegmentBytes(0xe0, std::string("JFIF\0\1\1\1\0\x48\0\x48\0\0", 14));
  image = Insert(image, 2, SegmentBytes(0xe1, "Exif"));
  image = Insert(image, FindMarker(image, 0xdb), jfif);
  ExpectProgressive(image);
  const std::string prefix = Prefix(Coded(image).image, 1);
  EXPECT_EQ(SegmentsOf(prefix, SegmentKind::kJfif), std::vector<std::string>{jfif});
  EXPECT_EQ(SegmentsOf(prefix, SegmentKind::kAdobe), SegmentsOf(image, SegmentKind::kAdobe));
  EXPECT_LT(FindMarker(prefix, 0xe0), FindMarker(prefix, 0xee));
}

TEST(Transcode, NoJfifSegmentIsInvented) {
  JpegSpec spec;
  std::string image = MakeJpeg(spec);
  const std::string jfif = SegmentsOf(image, SegmentKind::kJfif).at(0);
  image.erase(2, jfif.size());
  ExpectProgressive(image);
  EXPECT_TRUE(SegmentsOf(FullImage(Coded(image).image), SegmentKind::kJfif).empty());
}

TEST(Transcode, SegmentsBetweenScansAreAncillaryToo) {
  JpegSpec spec;
  spec.simple_progression = true;
  const std::string image = MakeJpeg(spec);
  const size_t between = WalkMarkers(image).value().scans[3].end;
  const std::string comment = SegmentBytes(0xfe, "between");
  ExpectProgressive(Insert(image, between, comment));
  EXPECT_EQ(Coded(Insert(image, between, comment)).image.ancillary, comment);
  ExpectOpaque(Insert(image, between, SegmentBytes(0xee, {"Adobe\0\x64\0\0\0\0\0", 12})),
               OpaqueReason::kUnsupported, "after the first scan");
}

TEST(Transcode, AResultDoesNotDependOnImagesBefore) {
  const std::string whole = MakeJpeg();
  std::string without_tables = whole;
  for (size_t at; (at = FindMarker(without_tables, 0xdb)) != std::string::npos;) {
    without_tables.erase(at, 2 + 67);
  }
  EXPECT_EQ(Coded(whole).reason, OpaqueReason::kNone);
  ExpectOpaque(without_tables, OpaqueReason::kDamaged, "Quantization table 0x00 was not defined");
}

TEST(Transcode, ThreadsDoNotDisturbEachOther) {
  const std::string small = MakeJpeg();
  const std::string large = MakeJpeg(OfSize(700, 500));
  const std::string small_result = FullImage(Coded(small).image);
  const std::string large_result = FullImage(Coded(large).image);
  const auto work = [](const std::string& image, const std::string& expected) {
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(FullImage(Coded(image).image) == expected);
  };
  std::thread a(work, small, small_result);
  std::thread b(work, large, large_result);
  a.join();
  b.join();
}

TEST(Transcode, AnOutputLargerThanTheFirstBufferIsWhole) {
  JpegSpec spec = OfSize(1500, 1200);
  spec.quality = 100;
  const std::string image = MakeJpeg(spec);
  ASSERT_GT(image.size(), size_t{1} << 20);
  ExpectProgressive(image, Script(kNoRefinementScans));
}

TEST(Transcode, WhatIsNoJpegIsKeptAndNamed) {
  ExpectOpaque("", OpaqueReason::kNotAJpeg, "empty");
  ExpectOpaque("\x89PNG\r\n\x1a\n....", OpaqueReason::kNotAJpeg, "PNG");
  ExpectOpaque("plain text", OpaqueReason::kNotAJpeg, "does not begin with SOI");
  ExpectOpaque("\xff\xd8", OpaqueReason::kDamaged, "no frame header");
}

TEST(Transcode, ArithmeticCodingIsKept) {
  JpegSpec spec;
  spec.arithmetic = true;
  ExpectOpaque(MakeJpeg(spec), OpaqueReason::kArithmetic, "arithmetic");
  spec.simple_progression = true;
  ExpectOpaque(MakeJpeg(spec), OpaqueReason::kArithmetic, "arithmetic");
}

TEST(Transcode, OtherProcessesAreKeptAndNamed) {
  const std::string image = MakeJpeg();
  const size_t frame = FindMarker(image, 0xc0);
  const auto with = [&](size_t offset, int byte) {
    std::string changed = image;
    changed[frame + offset] = static_cast<char>(byte);
    return changed;
  };
  ExpectOpaque(with(1, 0xc3), OpaqueReason::kLossless, "lossless");
  ExpectOpaque(with(1, 0xcb), OpaqueReason::kLossless, "lossless");
  ExpectOpaque(with(1, 0xc6), OpaqueReason::kHierarchical, "differential");
  ExpectOpaque(with(1, 0xcd), OpaqueReason::kHierarchical, "differential");
  ExpectOpaque(Insert(image, 2, SegmentBytes(0xde, {"\x08\0\x28\0\x30\0", 6})),
               OpaqueReason::kHierarchical, "DHP");
  ExpectOpaque(with(4, 12), OpaqueReason::kTwelveBit, "12 bits");
  ExpectOpaque(with(4, 16), OpaqueReason::kUnsupported, "16 bits");
}

TEST(Transcode, ADnlSegmentIsKept) {
  std::string image = MakeJpeg();
  image.insert(image.size() - 2, SegmentBytes(0xdc, {"\0\x28", 2}));
  ExpectOpaque(image, OpaqueReason::kUnsupported, "DNL");
}

TEST(Transcode, MoreThanFourComponentsAreKept) {
  JpegSpec spec = OfColorSpace(JCS_UNKNOWN, 5);
  for (int c = 0; c < 5; ++c) spec.scans.push_back(LibjpegScan({c}, 0, 63, 0, 0));
  ExpectOpaque(MakeJpeg(spec), OpaqueReason::kTooManyComponents, "expected 4, got 5");
}

TEST(Transcode, AnIncompleteProgressionIsKept) {
  JpegSpec spec;
  spec.simple_progression = true;
  const std::string image = MakeJpeg(spec);
  const JpegLayout layout = WalkMarkers(image).value();
  for (size_t scans = 1; scans < layout.scans.size(); ++scans) {
    ExpectOpaque(image.substr(0, layout.scans[scans - 1].end) + kEoi,
                 OpaqueReason::kIncompleteProgression, "component 0, coefficient");
  }
}

TEST(Transcode, AComponentWithoutAScanIsDamage) {
  JpegSpec spec;
  spec.scans = {LibjpegScan({0, 1}, 0, 63, 0, 0), LibjpegScan({2}, 0, 63, 0, 0)};
  const std::string image = MakeJpeg(spec);
  const uint64_t first_end = WalkMarkers(image).value().scans[0].end;
  ExpectOpaque(image.substr(0, first_end) + kEoi, OpaqueReason::kDamaged,
               "component with identifier 3 has no scan");
}

// The image with `id` for the identifier of a component, in the frame and in all scans.
std::string Renamed(std::string image, size_t component, int id) {
  const JpegLayout layout = WalkMarkers(image).value();
  const Frame frame = layout.frame.value();
  const int before = frame.components[component].id;
  image[FindMarker(image, frame.marker) + 10 + 3 * component] = static_cast<char>(id);
  for (const ScanExtent& scan : layout.scans) {
    const auto& selected = scan.header.components;
    for (size_t i = 0; i < selected.size(); ++i) {
      if (selected[i].id == before) image[scan.sos_offset + 5 + 2 * i] = static_cast<char>(id);
    }
  }
  return image;
}

// libjpeg decodes such an image: it takes the n-th of equal identifiers of one scan for the n-th
// component that has it. Scans of one component cannot tell them apart.
TEST(Transcode, ComponentsThatShareAnIdentifierAreKeptWithAndWithoutProof) {
  for (const auto& [component, id] : {std::pair(2, 1), std::pair(1, 1), std::pair(1, 3)}) {
    const std::string image = Renamed(MakeJpeg(), component, id);
    ASSERT_EQ(CheckJpeg(image), "");
    ExpectOpaque(image, OpaqueReason::kUnsupported, "share identifier " + std::to_string(id));
    TranscodeOptions options;
    options.prove = false;
    const Transcoded result = Transcode(image, Standard(), options).value();
    EXPECT_STREQ(OpaqueReasonName(result.reason), "unsupported");
    EXPECT_TRUE(result.image.scans == image);
  }
  JpegSpec spec;
  for (int c = 0; c < 3; ++c) spec.scans.push_back(LibjpegScan({c}, 0, 63, 0, 0));
  ExpectOpaque(Renamed(MakeJpeg(spec), 1, 1), OpaqueReason::kUnsupported, "share identifier 1");
}

// Changes of headers that decoders may read in more than one way.
class HeaderChanges {
 public:
  explicit HeaderChanges(unsigned seed) : random_(seed) {}

  std::string Image() {
    JpegSpec spec;
    const J_COLOR_SPACE color_spaces[] = {JCS_GRAYSCALE, JCS_RGB,  JCS_YCbCr,  JCS_YCbCr,
                                          JCS_CMYK,      JCS_YCCK, JCS_UNKNOWN};
    spec.color_space = color_spaces[Below(std::size(color_spaces))];
    spec.components = 2 + Below(2);
    spec.width = 1 + Below(40);
    spec.height = 1 + Below(40);
    const int components = testing::NumComponents(spec);
    spec.sampling = {{1 + Below(4), 1 + Below(2)}};
    if (Below(3) == 0) spec.sampling.emplace_back(1, 1 + Below(2));
    spec.quality = 25 + Below(76);
    spec.restart_interval = Below(3) == 0 ? 1 + Below(3) : 0;
    spec.one_quantization_slot = Below(3) == 0;
    const int blocks = spec.sampling[0].first * spec.sampling[0].second;
    if (blocks > 6 || Below(4) == 0) {
      for (int c = 0; c < components; ++c) spec.scans.push_back(LibjpegScan({c}, 0, 63, 0, 0));
    } else if (Below(3) == 0) {
      spec.simple_progression = true;
    }
    return MakeJpeg(spec);
  }

  void Apply(std::string* image) {
    for (int n = 1 + Below(3); n > 0; --n) {
      const Result<JpegLayout> walked = WalkMarkers(*image);
      if (!walked.ok() || !walked.value().frame || walked.value().scans.empty()) return;
      Change(walked.value(), image);
    }
  }

 private:
  int Below(size_t n) { return static_cast<int>(random_() % n); }

  void Change(const JpegLayout& layout, std::string* image) {
    const auto& segments = layout.segments;
    const Segment& segment = segments[Below(segments.size())];
    const Segment& other = segments[Below(segments.size())];
    const auto byte_of = [&](const Segment& s) { return s.offset + 4 + Below(s.size - 4); };
    const size_t components = layout.frame->components.size();
    switch (Below(8)) {
      case 0:
        (*image)[byte_of(segment)] = static_cast<char>(Below(256));
        break;
      case 1:
        (*image)[byte_of(segment)] = (*image)[byte_of(segment)];
        break;
      case 2:
        (*image)[byte_of(segment)] ^= static_cast<char>(1 << Below(8));
        break;
      case 3:
        *image = Renamed(*image, Below(components), Below(5));
        break;
      case 4:
        image->insert(segment.offset, image->substr(other.offset, other.size));
        break;
      case 5: {  // quantization tables of one or two bytes, in any slot
        std::string table(1, static_cast<char>(Below(2) << 4 | Below(4)));
        for (int k = table[0] < 16 ? 64 : 128; k > 0; --k) table += static_cast<char>(Below(256));
        image->insert(segment.offset, SegmentBytes(marker::kDqt, table));
        break;
      }
      case 6: {
        const std::string_view parameters[] = {{"Adobe\0\x64\0\0\0\0\0", 12},
                                               {"Adobe\0\x64\0\0\0\0\1", 12},
                                               {"Adobe\0\x64\0\0\0\0\2", 12},
                                               {"Adobe", 5}};
        image->insert(segment.offset, SegmentBytes(marker::kApp14, parameters[Below(4)]));
        break;
      }
      default:
        image->erase(segment.offset, segment.size);
    }
  }

  std::minstd_rand random_;
};

// What the encoder cannot express is refused before it is coded: the proof is a net, no part of
// the rule.
TEST(Transcode, TheProofChangesNoResultWhateverHeadersSay) {
  HeaderChanges changes(11);
  const ScanScript scripts[] = {Script(kStandardScans), Script(kNoRefinementScans)};
  std::map<std::string, int> counts;
  for (int trial = 0; trial < 6000; ++trial) {
    SCOPED_TRACE(trial);
    std::string image = changes.Image();
    changes.Apply(&image);
    const ScanScript& script = scripts[trial % 2];
    TranscodeOptions options;
    const Transcoded proved = Transcode(image, script, options).value();
    options.prove = false;
    const Transcoded unproved = Transcode(image, script, options).value();
    EXPECT_STREQ(OpaqueReasonName(proved.reason), OpaqueReasonName(unproved.reason))
        << proved.detail;
    EXPECT_EQ(proved.detail, unproved.detail);
    EXPECT_TRUE(FullImage(proved.image) == FullImage(unproved.image));
    EXPECT_EQ(proved.image.group_sizes, unproved.image.group_sizes);
    ++counts[OpaqueReasonName(proved.reason)];
  }
  EXPECT_GT(counts[""], 500);
  EXPECT_GT(counts["damaged"], 500);
  EXPECT_GT(counts["unsupported"], 50);
}

TEST(Transcode, ALibjpegWarningIsDamage) {
  const std::string image = MakeJpeg();
  ExpectOpaque(image.substr(0, image.size() / 2), OpaqueReason::kDamaged, "no EOI");
  ExpectOpaque(image.substr(0, image.size() - 60) + kEoi, OpaqueReason::kDamaged,
               "premature end of data segment");
  ExpectOpaque(Insert(image, 2, std::string("\0", 1)), OpaqueReason::kDamaged, "byte 2");
}

TEST(Transcode, LimitsStopDecompressionBombs) {
  TranscodeOptions options;
  options.limits.max_pixels = 1919;  // of 48 x 40
  const std::string image = MakeJpeg();
  EXPECT_EQ(Transcode(image, Standard(), options).value().reason, OpaqueReason::kTooLarge);
  options.limits.max_pixels = 1920;
  EXPECT_EQ(Transcode(image, Standard(), options).value().reason, OpaqueReason::kNone);
  options.limits.max_block_visits = 89;  // of 3 components of 6 x 5 blocks
  EXPECT_EQ(Transcode(image, Standard(), options).value().reason, OpaqueReason::kTooLarge);
  options.limits.max_block_visits = 90;
  EXPECT_EQ(Transcode(image, Standard(), options).value().reason, OpaqueReason::kNone);
  options.limits.max_scans = 0;
  EXPECT_EQ(Transcode(image, Standard(), options).value().reason, OpaqueReason::kTooLarge);
}

TEST(Transcode, AScriptOfMoreScansThanReadersTakeOfAnImageLeavesItOpaque) {
  std::string text = "# group\n0,1,2: 0-0,0,0;\n# group\n1: 1-63,0,0;\n2: 1-63,0,0;\n";
  for (int k = 1; k < 64; ++k) {
    const std::string band = "0: " + std::to_string(k) + "-" + std::to_string(k);
    text.append(band).append(",0,1;\n").append(band).append(",1,0;\n");
  }
  JpegSpec spec;
  spec.color_space = JCS_GRAYSCALE;
  spec.quality = 1;  // blocks of a few bits
  spec.wide_quantization = true;
  const ScanScript script = testing::Script(text);
  spec.width = spec.height = 1000;
  EXPECT_EQ(Transcode(MakeJpeg(spec), script).value().reason, OpaqueReason::kNone);
  spec.width = spec.height = 3000;
  const Transcoded large = Transcode(MakeJpeg(spec), script).value();
  EXPECT_EQ(large.reason, OpaqueReason::kTooLarge);
  EXPECT_EQ(large.detail.substr(0, 27), "in the scans of the script:");
}

TEST(Transcode, AHeaderThatClaimsMorePixelsThanItsDataHoldCostsNothing) {
  std::string image = MakeJpeg();
  const size_t frame = FindMarker(image, 0xc0);
  image.replace(frame + 5, 4, "\x40\x01\x40\x01");  // 16385 x 16385
  ExpectOpaque(image, OpaqueReason::kDamaged, "every block takes at least one bit");
  image.replace(frame + 5, 4, "\xff\xff\x40\x01");
  ExpectOpaque(image, OpaqueReason::kTooLarge, "65500");
  image.replace(frame + 5, 4, std::string("\0\0\x40\x01", 4));
  ExpectOpaque(image, OpaqueReason::kUnsupported, "DNL not supported");
}

TEST(Transcode, LosesNothingOfAnImageCutAtEveryByte) {
  const std::string images[] = {MakeJpeg(OfSize(16, 16)), [] {
                                  JpegSpec spec = OfSize(16, 16);
                                  spec.simple_progression = true;
                                  return MakeJpeg(spec);
                                }()};
  for (const std::string& image : images) {
    for (size_t size = 0; size < image.size(); ++size) {
      const std::string_view cut = std::string_view(image).substr(0, size);
      const Transcoded result = Coded(cut);
      EXPECT_NE(result.reason, OpaqueReason::kNone) << size;
      ExpectNothingLost(cut, result, Standard().num_groups());
    }
  }
}

TEST(Transcode, LosesNothingOfAnImageWithRandomBytesChanged) {
  std::mt19937 random(2);  // NOLINT(bugprone-random-generator-seed): reproducible
  JpegSpec spec = OfSize(40, 24);
  spec.restart_interval = 2;
  const std::string sequential = MakeJpeg(spec);
  spec.simple_progression = true;
  const std::string progressive = MakeJpeg(spec);
  int kept_progressive = 0;
  for (int trial = 0; trial < 4000; ++trial) {
    std::string changed = trial % 2 == 0 ? sequential : progressive;
    for (int i = 0; i <= trial % 3; ++i) {
      changed[random() % changed.size()] ^= static_cast<char>(1 << random() % 8);
    }
    const Transcoded result = Coded(changed);
    kept_progressive += result.reason == OpaqueReason::kNone;
    ExpectNothingLost(changed, result, Standard().num_groups());
  }
  EXPECT_GT(kept_progressive, 100) << "changes in coefficients decode without a warning";
}

// With the fault the image is kept as it came; without a proof it would not be, if the fault is one
// that only a proof finds.
void ExpectProofFails(const TranscodeFault& fault, std::string_view detail, bool only_by_proof) {
  const std::string image = MakeJpeg();
  const auto coded = [&](bool prove) {
    TranscodeOptions options;
    options.prove = prove;
    return TranscodeWithFault(image, Standard(), options, fault).value();
  };
  const Transcoded result = coded(true);
  EXPECT_STREQ(OpaqueReasonName(result.reason), "proof_failed");
  EXPECT_NE(result.detail.find(detail), std::string::npos) << result.detail;
  EXPECT_EQ(result.image.coding, Coding::kOpaque);
  ExpectNothingLost(image, result, Standard().num_groups());
  EXPECT_EQ(coded(false).image.coding, only_by_proof ? Coding::kProgressive : Coding::kOpaque);
}

// The written image with its scans in this order, tables included; the first brings SOI and frame.
std::string WithScans(std::string_view written, const std::vector<int>& order) {
  const JpegLayout layout = WalkMarkers(written).value();
  std::string result;
  for (const int scan : order) {
    const uint64_t begin = scan == 0 ? 0 : layout.scans[scan - 1].end;
    result.append(written.substr(begin, layout.scans[scan].end - begin));
  }
  return result + kEoi;
}

TEST(Transcode, AChangedBitOfACoefficientFailsTheProof) {
  // Bit 0 of the last byte but two of each scan, one at a time: neither stuffing nor padding.
  for (int scan = 0; scan < 10; ++scan) {
    SCOPED_TRACE(scan);
    const auto flip = [scan](std::string* written) {
      (*written)[WalkMarkers(*written).value().scans[scan].end - 3] ^= 1;
    };
    ExpectProofFails(flip, "", /*only_by_proof=*/true);
  }
}

TEST(Transcode, TwoSwappedScansFailTheProof) {
  const auto swap = [](std::string* written) {
    *written = WithScans(*written, {0, 1, 2, 3, 4, 9, 6, 7, 8, 5});
  };
  ExpectProofFails(swap, "", /*only_by_proof=*/true);
}

TEST(Transcode, AChangedSegmentInFrontFailsTheProof) {
  const auto change = [](std::string* written) {
    (*written)[FindMarker(*written, 0xe0) + 12] ^= 1;
  };
  ExpectProofFails(change, "APPn, COM or trailing bytes differ", /*only_by_proof=*/true);
}

TEST(Transcode, AChangedQuantizationTableFailsTheProof) {
  const auto change = [](std::string* written) { (*written)[FindMarker(*written, 0xdb) + 8] ^= 1; };
  ExpectProofFails(change, "quantization table", /*only_by_proof=*/true);
}

TEST(Transcode, BytesLeftOverInAScanFailTheProof) {
  for (int scan = 0; scan < 10; ++scan) {
    SCOPED_TRACE(scan);
    const auto append = [scan](std::string* written) {
      written->insert(WalkMarkers(*written).value().scans[scan].end, std::string(40, '\x55'));
    };
    ExpectProofFails(append, "extraneous bytes", /*only_by_proof=*/true);
  }
}

TEST(Transcode, ASegmentThatLibjpegRefusesFailsTheProof) {
  const auto insert = [](std::string* written) {
    *written = Insert(*written, FindMarker(*written, 0xdb), SegmentBytes(0xf7, "x"));
  };
  ExpectProofFails(insert, "Unsupported marker type 0xf7", /*only_by_proof=*/true);
}

TEST(Transcode, BitsThatNoScanSendsFailTheProofThoughTheyAreZero) {
  JpegSpec spec;
  spec.quality = 5;
  const auto shorten = [](std::string* written) {
    // Se of the last scan, of luma: 62 in place of 63.
    const JpegLayout layout = WalkMarkers(*written).value();
    (*written)[layout.scans.back().sos_offset + 8] = 62;
  };
  const Transcoded result = TranscodeWithFault(MakeJpeg(spec), Standard(), {}, shorten).value();
  EXPECT_STREQ(OpaqueReasonName(result.reason), "proof_failed");
  EXPECT_EQ(result.detail, "component 0, coefficient 63 lacks its last 1 bits");
}

TEST(Transcode, AnOutputThatIsNotWhatWasOrderedIsNotCut) {
  ExpectProofFails([](std::string* written) { *written = WithScans(*written, {0, 1, 2}); },
                   "number of scans", /*only_by_proof=*/false);
  ExpectProofFails([](std::string* written) { written->append("x"); }, "EOI",
                   /*only_by_proof=*/false);
  ExpectProofFails([](std::string* written) { written->resize(written->size() - 2); }, "EOI",
                   /*only_by_proof=*/false);
  ExpectProofFails([](std::string* written) { written->erase(2, 1); }, "byte 2",
                   /*only_by_proof=*/false);
}

TEST(SameCoefficients, FindsTheFirstDifference) {
  JpegSpec spec;
  const std::string image = MakeJpeg(spec);
  EXPECT_EQ(SameCoefficients(image, image), "");
  spec.quality = 80;
  EXPECT_EQ(SameCoefficients(image, MakeJpeg(spec)), "component 0, quantization table: 3 and 6");
  EXPECT_EQ(SameCoefficients(image, MakeJpeg(OfSize(49, 40))), "width: 48 and 49");
  EXPECT_EQ(SameCoefficients(image, MakeJpeg(OfColorSpace(JCS_GRAYSCALE))),
            "number of components: 3 and 1");
  EXPECT_EQ(SameCoefficients(image, MakeJpeg(OfSampling({{2, 1}}))),
            "component 0, horizontal sampling: 1 and 2");
  EXPECT_EQ(SameCoefficients(image, MakeJpeg(OfColorSpace(JCS_RGB))).substr(0, 13),
            "colour space:");
}

TEST(SameCoefficients, NamesTheBlockThatDiffers) {
  JpegSpec spec;
  spec.simple_progression = true;
  const std::string image = MakeJpeg(spec);
  const std::string without_last = image.substr(0, WalkMarkers(image).value().scans[8].end) + kEoi;
  const std::string difference = SameCoefficients(image, without_last);
  EXPECT_EQ(difference.substr(0, 35), "component 0, block row 0, column 0,") << difference;
}

TEST(SameCoefficients, SaysWhichImageIsDamaged) {
  const std::string image = MakeJpeg();
  const std::string cut = image.substr(0, image.size() - 60) + kEoi;
  EXPECT_EQ(SameCoefficients(cut, image).substr(0, 13), "first image: ");
  EXPECT_EQ(SameCoefficients(image, cut).substr(0, 14), "second image: ");
}

TEST(CheckJpeg, SaysWhatLibjpegSays) {
  const std::string image = MakeJpeg();
  EXPECT_EQ(CheckJpeg(image), "");
  EXPECT_EQ(CheckJpeg(image.substr(0, image.size() - 60) + kEoi),
            "Corrupt JPEG data: premature end of data segment");
  EXPECT_NE(CheckJpeg(""), "");
  JpegSpec spec;
  spec.arithmetic = true;
  EXPECT_EQ(CheckJpeg(MakeJpeg(spec)), "");
}

void ExpectNothingLostOf(const std::vector<std::filesystem::path>& files, size_t stride) {
  const ScanScript scripts[] = {Script(kStandardScans), Script(kNoRefinementScans)};
  std::map<std::string, int> counts;
  for (size_t i = 0; i < files.size(); i += stride) {
    SCOPED_TRACE(files[i].string());
    const std::string image = testing::ReadFile(files[i]);
    const ScanScript& script = scripts[i / stride % 2];
    const Transcoded result = Coded(image, script);
    ExpectNothingLost(image, result, script.num_groups());
    const std::string name = OpaqueReasonName(result.reason);
    ++counts[name.empty() ? "progressive" : name];
    EXPECT_EQ(ExifOrientation(FullImage(result.image)), ExifOrientation(image));
    if (result.reason == OpaqueReason::kNone) {
      EXPECT_EQ(CheckJpeg(image), "");
      EXPECT_EQ(CheckJpeg(Prefix(result.image, 1)), "");
    }
  }
  for (const auto& [name, count] : counts) std::cout << count << " " << name << "\n";
}

TEST(Transcode, LosesNothingOfUnusualDamagedAndHostileFiles) {
  if (testing::TestImagesFolder().empty()) GTEST_SKIP() << testing::kNoTestImages;
  ExpectNothingLostOf(testing::JpegFilesUnder(testing::TestImagesFolder() + "/odd-jpeg"), 1);
}

TEST(Transcode, MakesPhotographsProgressiveWithoutLoss) {
  if (testing::TestImagesFolder().empty()) GTEST_SKIP() << testing::kNoTestImages;
  ExpectNothingLostOf(testing::JpegFilesUnder(testing::TestImagesFolder() + "/imagenet-sample"), 6);
}

}  // namespace
}  // namespace pcr
