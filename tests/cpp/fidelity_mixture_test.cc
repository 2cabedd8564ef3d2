#include "ops/format/fidelity_mixture.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace pcr {
namespace {

FidelityMixture Mixture(const std::string& lines) {
  auto parsed = FidelityMixture::Parse("pcr-fidelity 1\n" + lines + "end\n");
  EXPECT_TRUE(parsed.ok()) << parsed.status().message();
  return std::move(parsed).value();
}

TEST(FidelityMixtureTest, ATextComesBackAsItWas) {
  const FidelityMixture mixture = Mixture("2 0.10000000000000001\n10 0.90000000000000002\n");
  EXPECT_EQ(mixture.text(), "pcr-fidelity 1\n2 0.10000000000000001\n10 0.90000000000000002\nend\n");
  EXPECT_EQ(mixture.max_scan_groups(), 10);
}

TEST(FidelityMixtureTest, WhiteSpaceThatAnEditorLeavesIsIgnored) {
  auto parsed = FidelityMixture::Parse("pcr-fidelity 1\r\n 2  0.5 \r\n10\t0.5\r\nend\r\n\r\n");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed.value().text(), "pcr-fidelity 1\n2 0.5\n10 0.5\nend\n");
}

TEST(FidelityMixtureTest, ATextThatIsNotWholeOrNotAMixtureIsRefused) {
  const std::map<std::string, std::string> refused = {
      {"", "first line"},
      {"pcr-fidelity 2\n2 1\nend\n", "first line"},
      {"pcr-fidelity 1\n2 1\n", "last line"},
      {"pcr-fidelity 1\n2 1\nen", "line"},
      {"pcr-fidelity 1\nend\n", "number of fidelities"},
      {"pcr-fidelity 1\n2\nend\n", "scan groups and a weight"},
      {"pcr-fidelity 1\n2 1 1\nend\n", "scan groups and a weight"},
      {"pcr-fidelity 1\n\n2 1\nend\n", "scan groups and a weight"},
      {"pcr-fidelity 1\n2 nan\nend\n", "scan groups and a weight"},
      {"pcr-fidelity 1\n2 1e999\nend\n", "scan groups and a weight"},
      {"pcr-fidelity 1\n0 1\nend\n", "1 to 100"},
      {"pcr-fidelity 1\n101 1\nend\n", "1 to 100"},
      {"pcr-fidelity 1\n5 0.5\n5 0.5\nend\n", "6 to 100"},
      {"pcr-fidelity 1\n5 0.5\n2 0.5\nend\n", "6 to 100"},
      {"pcr-fidelity 1\n2 0\n5 1\nend\n", "positive"},
      {"pcr-fidelity 1\n2 -1\n5 2\nend\n", "positive"},
      {"pcr-fidelity 1\n2 0.5\n5 0.4\nend\n", "sum of the weights"},
  };
  for (const auto& [text, rule] : refused) {
    const auto parsed = FidelityMixture::Parse(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument);
    EXPECT_NE(parsed.status().message().find(rule), std::string::npos) << parsed.status().message();
  }
}

TEST(FidelityMixtureTest, SharesAreAsAsked) {
  const FidelityMixture mixture = Mixture("1 0.5\n2 0.3\n10 0.2\n");
  std::map<int, int> counts;
  constexpr int kRecords = 100'000;
  for (uint64_t record = 0; record < kRecords; ++record) ++counts[mixture.Draw(7, 3, record)];
  // Four standard deviations of a binomial distribution are below 640.
  EXPECT_NEAR(counts[1], 0.5 * kRecords, 640);
  EXPECT_NEAR(counts[2], 0.3 * kRecords, 640);
  EXPECT_NEAR(counts[10], 0.2 * kRecords, 640);
}

TEST(FidelityMixtureTest, SeedEpochAndRecordEachChangeTheDraw) {
  const FidelityMixture mixture = Mixture("1 0.5\n2 0.5\n");
  constexpr int kRecords = 10'000;
  std::array<int, 3> differ{};
  for (uint64_t record = 0; record < kRecords; ++record) {
    const int drawn = mixture.Draw(7, 3, record);
    differ[0] += static_cast<int>(drawn != mixture.Draw(8, 3, record));
    differ[1] += static_cast<int>(drawn != mixture.Draw(7, 4, record));
    differ[2] += static_cast<int>(drawn != mixture.Draw(7, 3, record + kRecords));
  }
  for (const int count : differ) EXPECT_NEAR(count, 0.5 * kRecords, 200);
}

// Written down, since checkpoints rely on it; docs/ORDER.md states the same.
TEST(FidelityMixtureTest, TheDrawsOfVersion1AreTheseForEver) {
  const FidelityMixture mixture = Mixture("2 0.8\n10 0.2\n");
  std::vector<int> drawn;
  for (uint64_t record = 0; record < 20; ++record) drawn.push_back(mixture.Draw(7, 0, record));
  EXPECT_EQ(drawn,
            std::vector<int>({2, 10, 2, 2, 2, 10, 2, 2, 2, 2, 2, 10, 2, 2, 2, 10, 10, 2, 2, 2}));
}

TEST(FidelityMixtureTest, ASmallShareThatGrowsMovesOnlyRecordsThatMustMove) {
  const FidelityMixture before = Mixture("2 0.8\n10 0.2\n");
  const FidelityMixture after = Mixture("2 0.6\n10 0.4\n");
  for (uint64_t record = 0; record < 1000; ++record) {
    EXPECT_LE(before.Draw(1, 1, record), after.Draw(1, 1, record));
  }
}

}  // namespace
}  // namespace pcr
