#include "ops/format/ancillary.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <random>
#include <string>

namespace pcr {
namespace {

long PeakKilobytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

std::string Deflated(const std::string& bytes) { return DeflateAncillary(bytes).value(); }

TEST(AncillaryTest, BytesComeBackAndLikePartsAreStoredOnce) {
  std::string profile;
  for (int i = 0; i < 3000; ++i) profile.push_back(static_cast<char>(i * i >> 3));
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes += profile;
  const std::string stream = Deflated(bytes);
  EXPECT_LT(stream.size(), 2 * profile.size());
  EXPECT_EQ(InflateAncillary(stream, bytes.size()).value(), bytes);
}

TEST(AncillaryTest, NothingIsAnEmptyStream) {
  EXPECT_EQ(Deflated(""), "");
  EXPECT_EQ(InflateAncillary("", 0).value(), "");
  EXPECT_EQ(InflateAncillary("x", 0).status().code(), Code::kDataLoss);
}

TEST(AncillaryTest, TheDensestStreamIsNotTakenForAHostileOne) {
  const std::string bytes(64 << 20, '\0');
  const std::string stream = Deflated(bytes);
  EXPECT_GT(bytes.size(), 1000 * stream.size());
  EXPECT_TRUE(InflateAncillary(stream, bytes.size()).ok());
}

TEST(AncillaryTest, ASizeThatTheStreamCannotHoldIsRefused) {
  const std::string stream = Deflated("exif");
  for (const uint64_t size : {uint64_t{3}, uint64_t{5}, 1033 * stream.size(), uint64_t{1} << 31,
                              uint64_t{1} << 50, ~uint64_t{0}}) {
    EXPECT_EQ(InflateAncillary(stream, size).status().code(), Code::kDataLoss) << size;
  }
}

// Under AddressSanitizer the shadow of what is reserved counts: an eighth of it.
TEST(AncillaryTest, AStreamThatIsWrongCostsNoMemoryForWhatItClaimsToHold) {
  constexpr uint64_t kClaimed = uint64_t{1} << 30;
  std::mt19937 random(7);
  std::string noise(kClaimed / 1000, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  const std::string garbage = "\x78\x9c" + noise;
  const std::string cut = Deflated(noise).substr(0, noise.size() - 100) + std::string(99, 'x');
  const std::string other_size = Deflated(std::string(kClaimed / 64, '\0'));
  const long before = PeakKilobytes();
  EXPECT_EQ(InflateAncillary(garbage, kClaimed).status().code(), Code::kDataLoss);
  EXPECT_EQ(InflateAncillary(cut, kClaimed).status().code(), Code::kDataLoss);
  EXPECT_EQ(InflateAncillary(other_size, other_size.size() * 1032).status().code(),
            Code::kDataLoss);
  EXPECT_LT(PeakKilobytes() - before, 300 << 10);
}

TEST(AncillaryTest, AStreamThatYieldsMoreThanItsSizeIsRefusedAtOnce) {
  const std::string stream = Deflated(std::string(64 << 20, '\0'));
  const auto found = InflateAncillary(stream, 1000);
  EXPECT_NE(found.status().message().find("expected 1000, got more"), std::string::npos)
      << found.status().message();
}

TEST(AncillaryTest, EveryCutAndEveryFlippedBitIsFound) {
  const std::string bytes = "Exif and ICC and XMP, Exif and ICC and XMP";
  const std::string stream = Deflated(bytes);
  for (size_t cut = 0; cut < stream.size(); ++cut) {
    EXPECT_FALSE(InflateAncillary(stream.substr(0, cut), bytes.size()).ok()) << cut;
  }
  EXPECT_FALSE(InflateAncillary(stream + "x", bytes.size()).ok());
  for (size_t bit = 0; bit < 8 * stream.size(); ++bit) {
    std::string damaged = stream;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    const auto found = InflateAncillary(damaged, bytes.size());
    // The head of a zlib stream holds its window size, which changes nothing here.
    if (found.ok()) {
      EXPECT_EQ(found.value(), bytes) << bit;
    }
  }
}

}  // namespace
}  // namespace pcr
