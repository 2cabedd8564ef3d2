#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "ops/base/byte_writer.h"
#include "ops/format/example_wire.h"
#include "ops/format/frame.h"
#include "ops/format/shard_writer.h"

namespace pcr {
namespace {

// Ends the program where a test lasts for minutes: what it does must not grow with the square of
// its input, which is so large that this would be far beyond, and the rest far below, on any
// machine.
class HangGuard {
 public:
  HangGuard() { alarm(300); }
  ~HangGuard() { alarm(0); }
  HangGuard(const HangGuard&) = delete;
  HangGuard& operator=(const HangGuard&) = delete;
};

std::string Field(std::string_view payload) {
  std::string out(1, kTagField1);
  AppendLengthDelimited(payload, &out);
  return out;
}

// An Example with the feature "a", whose Int64List is `list`.
std::string ExampleOfInts(std::string_view list) {
  std::string feature(1, static_cast<char>(3 << 3 | 2));
  AppendLengthDelimited(list, &feature);
  std::string entry = Field("a");
  entry.push_back(kTagField2);
  AppendLengthDelimited(feature, &entry);
  return Field(Field(entry));
}

TEST(ExampleWireTest, ManyPackedListsOfOneFeatureAreReadInLinearTime) {
  const HangGuard guard;  // copying all values for each list would last
  constexpr int kLists = 2'000'000;
  std::string list;
  for (int i = 0; i < kLists; ++i) list += Field("\x01\x02");
  const std::string example = ExampleOfInts(list);
  const auto view = ExampleView::Parse(example);
  ASSERT_TRUE(view.ok());
  const auto values = view.value().Ints("a");
  ASSERT_TRUE(values.ok());
  EXPECT_EQ(values.value().size(), 2u * kLists);
  EXPECT_EQ(values.value().back(), 2);
}

// An Example whose features are the names given, without values.
std::string ExampleOfNames(const std::vector<std::string>& names) {
  std::string entries;
  for (const std::string& name : names) entries += Field(Field(name));
  return Field(entries);
}

TEST(ExampleWireTest, ManyFeaturesAreParsedInLinearTime) {
  const HangGuard guard;  // comparing each name with all before it would last
  std::vector<std::string> names;
  for (int i = 0; i < 1'500'000; ++i) names.push_back("feature " + std::to_string(i));
  const std::string example = ExampleOfNames(names);
  const auto view = ExampleView::Parse(example);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view.value().features().size(), names.size());
}

TEST(ExampleWireTest, ALaterFeatureTakesThePlaceOfAnEarlierOneOfItsName) {
  const std::string example = ExampleOfNames({"a", "b", "a", "c", "b"});
  const auto view = ExampleView::Parse(example);
  ASSERT_TRUE(view.ok());
  std::string names;
  for (const FeatureView& feature : view.value().features()) names += feature.name;
  EXPECT_EQ(names, "abc");
}

TEST(FrameTest, AFrameOfTwoGibibytesIsRefusedWithTheRemedy) {
  EXPECT_TRUE(CheckFrameDataBytes("data", (uint64_t{1} << 31) - 1).ok());
  const Status status = CheckFrameDataBytes("data", uint64_t{1} << 31);
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("fewer images"), std::string::npos);
}

Header SmallHeader() {
  Header header;
  header.scans_per_group = {1};
  header.scan_script = "0: 0-0, 0, 0;";
  header.image_features = {"image"};
  return header;
}

TEST(ShardWriterTest, CallsOutOfOrderAreRefusedAndChangeNothing) {
  ShardWriter writer(SmallHeader());
  EXPECT_EQ(writer.Finish().status().code(), Code::kInvalidArgument);
  EXPECT_EQ(writer.Add("", {0}, {}).code(), Code::kInvalidArgument);
  EXPECT_TRUE(writer.Begin().ok());
  EXPECT_EQ(writer.Begin().status().code(), Code::kInvalidArgument);
  EXPECT_EQ(writer.EndRecord().status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(writer.Add("", {0}, {}).ok());
  EXPECT_EQ(writer.Finish().status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(writer.EndRecord().ok());
  EXPECT_TRUE(writer.Finish().ok());
  EXPECT_EQ(writer.Begin().status().code(), Code::kInvalidArgument);
  EXPECT_EQ(writer.num_records(), 1u);
}

}  // namespace
}  // namespace pcr
