#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/jpeg/syntax/exif_orientation.h"
#include "ops/jpeg/syntax/markers.h"
#include "tests/cpp/jpeg_test_images.h"

namespace pcr {
namespace {

using testing::Insert;
using testing::MakeJpeg;
using testing::SegmentBytes;

constexpr int kApp1 = 0xe1;

enum class Order { kBig, kLittle };

std::string Number(uint32_t value, int bytes, Order order) {
  std::string out;
  for (int i = 0; i < bytes; ++i) {
    const int place = order == Order::kBig ? bytes - 1 - i : i;
    out.push_back(static_cast<char>(value >> 8 * place));
  }
  return out;
}

struct Entry {
  int tag = 0x0112;
  int type = 3;
  uint32_t count = 1;
  int value = 1;
};

std::string Tiff(const std::vector<Entry>& entries, Order order = Order::kBig) {
  std::string tiff = order == Order::kBig ? "MM" : "II";
  tiff += Number(42, 2, order) + Number(8, 4, order) +
          Number(static_cast<uint32_t>(entries.size()), 2, order);
  for (const Entry& entry : entries) {
    tiff += Number(entry.tag, 2, order) + Number(entry.type, 2, order) +
            Number(entry.count, 4, order) + Number(entry.value, 2, order) + std::string(2, '\0');
  }
  return tiff + std::string(4, '\0');
}

std::string ExifSegment(std::string_view tiff) {
  return SegmentBytes(kApp1, std::string("Exif\0\0", 6) + std::string(tiff));
}

// A photograph with these segments in front.
std::string JpegWith(std::string_view segments) { return Insert(MakeJpeg(), 2, segments); }

int OrientationOf(const std::vector<Entry>& entries, Order order = Order::kBig) {
  return ExifOrientation(JpegWith(ExifSegment(Tiff(entries, order))));
}

TEST(ExifOrientation, IsThatOfEitherByteOrder) {
  for (int value = 1; value <= 8; ++value) {
    EXPECT_EQ(OrientationOf({{0x0112, 3, 1, value}}, Order::kBig), value);
    EXPECT_EQ(OrientationOf({{0x0112, 3, 1, value}}, Order::kLittle), value);
  }
}

TEST(ExifOrientation, IsFoundAmongOtherEntriesAndBehindOtherSegments) {
  EXPECT_EQ(OrientationOf({{0x010f, 2, 1, 0}, {0x0112, 3, 1, 6}, {0x011a, 5, 1, 0}}), 6);
  const std::string exif = ExifSegment(Tiff({{0x0112, 3, 1, 6}}));
  const std::string xmp = SegmentBytes(kApp1, "http://ns.adobe.com/xap/1.0/");
  EXPECT_EQ(ExifOrientation(JpegWith(SegmentBytes(marker::kCom, "Exif") + xmp + exif)), 6);
}

TEST(ExifOrientation, IsFoundWhereTheIfdIsFarFromTheHeader) {
  std::string tiff = Tiff({{0x0112, 3, 1, 8}});
  tiff.insert(8, std::string(100, '\7'));
  tiff.replace(4, 4, Number(108, 4, Order::kBig));
  EXPECT_EQ(ExifOrientation(JpegWith(ExifSegment(tiff))), 8);
}

TEST(ExifOrientation, IsUprightWithoutExif) {
  EXPECT_EQ(ExifOrientation(MakeJpeg()), 1);
  EXPECT_EQ(OrientationOf({}), 1);
  EXPECT_EQ(OrientationOf({{0x0113, 3, 1, 6}}), 1);
}

TEST(ExifOrientation, IsUprightWhereItIsMalformed) {
  EXPECT_EQ(OrientationOf({{0x0112, 3, 1, 0}}), 1);
  EXPECT_EQ(OrientationOf({{0x0112, 3, 1, 9}}), 1);
  EXPECT_EQ(OrientationOf({{0x0112, 3, 1, 0x0600}}), 1);
  EXPECT_EQ(OrientationOf({{0x0112, 4, 1, 6}}), 1) << "LONG";
  EXPECT_EQ(OrientationOf({{0x0112, 1, 1, 6}}), 1) << "BYTE";
  EXPECT_EQ(OrientationOf({{0x0112, 3, 2, 6}}), 1) << "two values";
  EXPECT_EQ(OrientationOf({{0x0112, 3, 0, 6}}), 1) << "no value";
  EXPECT_EQ(OrientationOf({{0x0112, 3, 0x80000001, 6}}), 1) << "very many values";
}

TEST(ExifOrientation, IsUprightWhereTheTiffHeaderIsMalformed) {
  const std::string sound = Tiff({{0x0112, 3, 1, 6}});
  constexpr size_t kHeaderBytes = 4;
  const std::string headers("XX\0*MM*\0II\0*MM\0+mm\0*", 5 * kHeaderBytes);
  for (size_t at = 0; at < headers.size(); at += kHeaderBytes) {
    std::string tiff = sound;
    tiff.replace(0, kHeaderBytes, headers, at, kHeaderBytes);
    EXPECT_EQ(ExifOrientation(JpegWith(ExifSegment(tiff))), 1);
  }
}

TEST(ExifOrientation, IsUprightWhereTheIfdLiesOutside) {
  for (const uint32_t offset : {0x1aU, 0x1bU, 0x1000U, 0x7fffffffU, 0xfffffffeU, 0xffffffffU}) {
    std::string tiff = Tiff({{0x0112, 3, 1, 6}});
    tiff.replace(4, 4, Number(offset, 4, Order::kBig));
    EXPECT_EQ(ExifOrientation(JpegWith(ExifSegment(tiff))), 1) << offset;
  }
}

TEST(ExifOrientation, NeedsItsEntryWholeAndNoOther) {
  const std::string tiff = Tiff({{0x0112, 3, 1, 6}, {0x011a, 5, 1, 0}});
  constexpr size_t kFirstEntryEnd = 8 + 2 + 12;
  for (size_t size = 0; size <= tiff.size(); ++size) {
    const int expected = size < kFirstEntryEnd ? 1 : 6;
    EXPECT_EQ(ExifOrientation(JpegWith(ExifSegment(tiff.substr(0, size)))), expected) << size;
  }
}

TEST(ExifOrientation, IsThatOfTheLastOfEqualTags) {
  EXPECT_EQ(OrientationOf({{0x0112, 3, 1, 6}, {0x0112, 3, 1, 3}}), 3);
  EXPECT_EQ(OrientationOf({{0x0112, 3, 1, 6}, {0x0112, 4, 1, 3}}), 1);
}

TEST(ExifOrientation, IsThatOfTheFirstExifSegment) {
  const std::string none = ExifSegment(Tiff({}));
  const std::string six = ExifSegment(Tiff({{0x0112, 3, 1, 6}}));
  const std::string eight = ExifSegment(Tiff({{0x0112, 3, 1, 8}}));
  EXPECT_EQ(ExifOrientation(JpegWith(six + eight)), 6);
  EXPECT_EQ(ExifOrientation(JpegWith(none + six)), 1);
  EXPECT_EQ(ExifOrientation(JpegWith(SegmentBytes(kApp1, "Exif") + six)), 6);
}

TEST(ExifOrientation, DoesNotLookBehindTheFirstScan) {
  const std::string exif = ExifSegment(Tiff({{0x0112, 3, 1, 6}}));
  std::string jpeg = MakeJpeg();
  EXPECT_EQ(ExifOrientation(Insert(jpeg, testing::FindMarker(jpeg, marker::kSos), exif)), 6);
  EXPECT_EQ(ExifOrientation(Insert(jpeg, jpeg.size() - 2, exif)), 1);
  EXPECT_EQ(ExifOrientation(jpeg + exif), 1);
}

TEST(ExifOrientation, DoesNotDependOnWhatStandsBehindIt) {
  const std::string jpeg = JpegWith(ExifSegment(Tiff({{0x0112, 3, 1, 6}})));
  constexpr size_t kSegmentEnd = 2 + 36;
  EXPECT_EQ(ExifOrientation(jpeg.substr(0, kSegmentEnd - 1)), 1);
  for (const size_t size : {kSegmentEnd, kSegmentEnd + 1, kSegmentEnd + 3, kSegmentEnd + 100}) {
    EXPECT_EQ(ExifOrientation(jpeg.substr(0, size)), 6) << size;
  }
}

TEST(ExifOrientation, IsUprightForBytesThatAreNoJpeg) {
  const std::string exif = ExifSegment(Tiff({{0x0112, 3, 1, 6}}));
  EXPECT_EQ(ExifOrientation(""), 1);
  EXPECT_EQ(ExifOrientation("\xff"), 1);
  EXPECT_EQ(ExifOrientation("\xff\xd8"), 1);
  EXPECT_EQ(ExifOrientation(std::string("\x89PNG\r\n\x1a\n") + exif), 1);
  EXPECT_EQ(ExifOrientation(exif), 1);
}

// Run under AddressSanitizer, which sees a read outside of a string of exactly these bytes.
TEST(ExifOrientation, ReadsNothingOutsideOfAnyMutatedSegment) {
  const std::string sound = "\xff\xd8" + ExifSegment(Tiff({{0x0112, 3, 1, 6}}, Order::kLittle));
  for (size_t at = 0; at < sound.size(); ++at) {
    for (const int byte : {0, 1, 3, 8, 0x7f, 0x80, 0xd9, 0xda, 0xe1, 0xff}) {
      std::string damaged = sound;
      damaged[at] = static_cast<char>(byte);
      damaged.shrink_to_fit();
      const int orientation = ExifOrientation(damaged);
      EXPECT_GE(orientation, 1);
      EXPECT_LE(orientation, 8);
    }
  }
}

}  // namespace
}  // namespace pcr
