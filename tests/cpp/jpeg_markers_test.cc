#include <gtest/gtest.h>

#include <random>
#include <string>

#include "ops/jpeg/syntax/markers.h"
#include "tests/cpp/jpeg_test_images.h"

namespace pcr {
namespace {

using testing::Insert;
using testing::JpegSpec;
using testing::MakeJpeg;
using testing::SegmentBytes;

std::string Soi() { return "\xff\xd8"; }
constexpr char kEoi[] = "\xff\xd9";

// A frame header of one 8x8 component, and a scan header of it.
std::string SmallFrame() { return SegmentBytes(marker::kSof0, {"\x08\0\x08\0\x08\1\1\x11\0", 9}); }
std::string SmallScan() { return SegmentBytes(marker::kSos, {"\1\1\0\0\x3f\0", 6}); }

JpegLayout Walk(std::string_view jpeg) {
  Result<JpegLayout> layout = WalkMarkers(jpeg);
  EXPECT_TRUE(layout.ok()) << layout.status().message();
  return layout.ok() ? layout.value() : JpegLayout();
}

std::string ErrorOf(std::string_view jpeg) {
  const Result<JpegLayout> layout = WalkMarkers(jpeg);
  if (layout.ok()) return "";
  EXPECT_EQ(layout.status().code(), Code::kDataLoss);
  return layout.status().message();
}

TEST(WalkMarkers, ReadsTheFrameOfABaselineImage) {
  JpegSpec spec;
  spec.width = 321;
  spec.height = 200;
  spec.sampling = {{2, 1}};
  const std::string jpeg = MakeJpeg(spec);
  const JpegLayout layout = Walk(jpeg);
  ASSERT_TRUE(layout.frame);
  EXPECT_EQ(layout.frame->marker, marker::kSof0);
  EXPECT_EQ(layout.frame->precision, 8);
  EXPECT_EQ(layout.frame->width, 321);
  EXPECT_EQ(layout.frame->height, 200);
  ASSERT_EQ(layout.frame->components.size(), 3u);
  EXPECT_EQ(layout.frame->components[0].h, 2);
  EXPECT_EQ(layout.frame->components[0].v, 1);
  EXPECT_EQ(layout.frame->components[2].id, 3);
  ASSERT_EQ(layout.scans.size(), 1u);
  const ScanHeader& header = layout.scans[0].header;
  ASSERT_EQ(header.components.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(header.components[i].id, i + 1);
    EXPECT_EQ(header.components[i].dc_table, i == 0 ? 0 : 1);
    EXPECT_EQ(header.components[i].ac_table, i == 0 ? 0 : 1);
  }
  EXPECT_EQ(header.ss, 0);
  EXPECT_EQ(header.se, 63);
  EXPECT_EQ(header.ah, 0);
  EXPECT_EQ(header.al, 0);
  EXPECT_EQ(layout.scans[0].end, jpeg.size() - 2);
  EXPECT_TRUE(layout.has_eoi);
  EXPECT_EQ(layout.end, jpeg.size());
}

TEST(WalkMarkers, FindsTheEndOfEveryScan) {
  JpegSpec spec;
  spec.simple_progression = true;
  const std::string jpeg = MakeJpeg(spec);
  const JpegLayout layout = Walk(jpeg);
  ASSERT_EQ(layout.scans.size(), 10u);
  for (const ScanExtent& scan : layout.scans) {
    EXPECT_EQ(jpeg.substr(scan.sos_offset, 2), "\xff\xda");
    // A table, a scan header or EOI follows at once.
    const auto next = static_cast<uint8_t>(jpeg[scan.end + 1]);
    EXPECT_EQ(jpeg[scan.end], '\xff');
    EXPECT_TRUE(next == marker::kDht || next == marker::kSos || next == marker::kEoi) << int(next);
  }
}

TEST(WalkMarkers, RestartMarkersStuffingAndFillBytesAreInsideAScan) {
  const std::string data = std::string("\x12\xff\0\x34\xff\xd0\xff\xff\0\xff\xff\xd7\x56", 13);
  const std::string jpeg = Soi() + SmallFrame() + SmallScan() + data + "\xff\xff\xff" + kEoi;
  const JpegLayout layout = Walk(jpeg);
  ASSERT_EQ(layout.scans.size(), 1u);
  EXPECT_EQ(layout.scans[0].end, jpeg.size() - 5) << "the fill bytes belong to EOI";
  EXPECT_TRUE(layout.has_eoi);
}

TEST(WalkMarkers, APrefixOfScansNeedsNoEoi) {
  const std::string jpeg = MakeJpeg();
  const JpegLayout layout = Walk(std::string_view(jpeg).substr(0, jpeg.size() - 2));
  EXPECT_FALSE(layout.has_eoi);
  ASSERT_EQ(layout.scans.size(), 1u);
  EXPECT_EQ(layout.scans[0].end, jpeg.size() - 2);
  EXPECT_EQ(layout.end, jpeg.size() - 2);
}

TEST(WalkMarkers, BytesAfterEoiAreNotWalked) {
  const std::string jpeg = MakeJpeg();
  EXPECT_EQ(Walk(jpeg + "garbage \xff\xc4" + jpeg).end, jpeg.size());
}

TEST(WalkMarkers, SegmentsKeepTheirPlaceAndSize) {
  std::string jpeg = MakeJpeg();
  const std::string comment = SegmentBytes(marker::kCom, "hello");
  jpeg = Insert(jpeg, 2, comment);
  const JpegLayout layout = Walk(jpeg);
  EXPECT_EQ(layout.segments[0].marker, marker::kCom);
  EXPECT_EQ(jpeg.substr(layout.segments[0].offset, layout.segments[0].size), comment);
  EXPECT_EQ(layout.segments[1].offset, 2 + comment.size());
}

TEST(KindOf, OnlyJfifAndAdobeAndTablesTouchPixels) {
  const auto kind_of = [](int code, std::string_view parameters) {
    const std::string jpeg = Soi() + SegmentBytes(code, parameters);
    return KindOf(jpeg, Walk(jpeg).segments.at(0));
  };
  EXPECT_EQ(kind_of(0xe0, {"JFIF\0\1\2\0\0\1\0\1\0\0", 14}), SegmentKind::kJfif);
  EXPECT_EQ(kind_of(0xe0, {"JFXX\0\x10", 6}), SegmentKind::kAncillary);
  EXPECT_EQ(kind_of(0xe0, "JFIF"), SegmentKind::kAncillary);
  EXPECT_EQ(kind_of(0xe0, ""), SegmentKind::kAncillary);
  EXPECT_EQ(kind_of(0xee, {"Adobe\0\x64\0\0\0\0\1", 12}), SegmentKind::kAdobe);
  EXPECT_EQ(kind_of(0xee, "Adob"), SegmentKind::kAncillary);
  EXPECT_EQ(kind_of(0xe1, {"JFIF\0", 5}), SegmentKind::kAncillary);
  EXPECT_EQ(kind_of(0xed, "Adobe"), SegmentKind::kAncillary);
  EXPECT_EQ(kind_of(0xfe, "JFIF"), SegmentKind::kAncillary);
  EXPECT_EQ(kind_of(0xdb, "Adobe"), SegmentKind::kCoding);
}

TEST(WalkMarkers, ErrorsNameTheByteAndTheRule) {
  EXPECT_EQ(ErrorOf(""), "byte 0: a JPEG begins with SOI; expected ff d8, got 0 bytes");
  EXPECT_EQ(ErrorOf("\x89PNG"), "byte 0: a JPEG begins with SOI; expected ff d8, got 0x89 0x50");
  EXPECT_EQ(ErrorOf(Soi() + "x"), "byte 2: a marker begins with 0xff; expected 0xff, got 0x78");
  EXPECT_EQ(ErrorOf(Soi() + "\xff"), "byte 2: a marker must be complete");
  EXPECT_EQ(ErrorOf(Soi() + Soi()), "byte 2: a JPEG has one SOI");
  EXPECT_EQ(ErrorOf(Soi() + std::string("\xff\0", 2)),
            "byte 2: a marker's code must be defined; expected 0x01 or 0xc0..0xfe, got 0x00");
  EXPECT_EQ(ErrorOf(Soi() + std::string("\xff\xe1\0\1", 4)),
            "byte 4: a segment's length counts itself; expected 2 or more, got 1");
  EXPECT_EQ(ErrorOf(Soi() + "\xff\xe1\x12\x34more"),
            "byte 4: segment 0xe1 must lie in the image; expected 4660 bytes, got 6");
  EXPECT_EQ(ErrorOf(Soi() + "\xff\xe1\x12"),
            "byte 4: segment 0xe1 must lie in the image; expected 2 bytes, got 1");
}

TEST(WalkMarkers, HeadersMustHoldTheComponentsThatTheyClaim) {
  const std::string frame = SegmentBytes(marker::kSof0, {"\x08\0\x08\0\x08\xff\1\x11\0", 9});
  EXPECT_EQ(ErrorOf(Soi() + frame),
            "byte 2: a frame header holds 8 bytes and 3 for each component; expected 773, got 11");
  EXPECT_NE(ErrorOf(Soi() + SegmentBytes(marker::kSof0, "")).find("a frame header"),
            std::string::npos);
  const std::string scan = SegmentBytes(marker::kSos, {"\4\1\0\0\x3f\0", 6});
  EXPECT_EQ(ErrorOf(Soi() + SmallFrame() + scan),
            "byte 15: a scan header holds 6 bytes and 2 for each component; expected 14, got 8");
  EXPECT_NE(ErrorOf(Soi() + SmallFrame() + SegmentBytes(marker::kSos, "")).find("a scan header"),
            std::string::npos);
}

// Every position in the result must lie in the input.
void ExpectInside(std::string_view jpeg) {
  // A copy of exactly this size, so that the address sanitizer sees a read past its end.
  const std::vector<char> exact(jpeg.begin(), jpeg.end());
  const Result<JpegLayout> walked = WalkMarkers({exact.data(), exact.size()});
  if (!walked.ok()) {
    EXPECT_EQ(walked.status().message().substr(0, 5), "byte ");
    return;
  }
  const JpegLayout& layout = walked.value();
  EXPECT_LE(layout.end, jpeg.size());
  for (const Segment& segment : layout.segments) {
    EXPECT_LE(segment.offset + segment.size, layout.end);
    KindOf({exact.data(), exact.size()}, segment);
  }
  for (const ScanExtent& scan : layout.scans) EXPECT_LE(scan.end, layout.end);
}

TEST(WalkMarkers, StaysInsideAnImageCutAtEveryByte) {
  JpegSpec spec;
  spec.simple_progression = true;
  spec.restart_interval = 2;
  const std::string jpeg = MakeJpeg(spec);
  for (size_t size = 0; size <= jpeg.size(); ++size) {
    ExpectInside(std::string_view(jpeg).substr(0, size));
  }
}

TEST(WalkMarkers, StaysInsideAnImageWithRandomBytesChanged) {
  std::mt19937 random(1);  // NOLINT(bugprone-random-generator-seed): reproducible
  JpegSpec spec;
  spec.simple_progression = true;
  const std::string jpeg = MakeJpeg(spec);
  for (int trial = 0; trial < 5000; ++trial) {
    std::string changed = jpeg;
    for (int i = 0; i < 3; ++i) changed[random() % changed.size()] = static_cast<char>(random());
    changed[random() % changed.size()] = '\xff';
    ExpectInside(changed);
  }
}

}  // namespace
}  // namespace pcr
