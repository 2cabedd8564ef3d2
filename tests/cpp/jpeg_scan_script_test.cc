#include <gtest/gtest.h>

#include <string>

#include "ops/jpeg/syntax/scan_script.h"
#include "tests/cpp/jpeg_test_images.h"

namespace pcr {
namespace {

using testing::kNoRefinementScans;
using testing::kStandardScans;
using testing::Script;

// The scans as text, one line each: "group| components: Ss-Se, Ah, Al".
std::string Text(const std::vector<Scan>& scans) {
  std::string text;
  for (const Scan& scan : scans) {
    text += std::to_string(scan.group) + "|";
    for (const int component : scan.components) text += " " + std::to_string(component);
    text += ": " + std::to_string(scan.ss) + "-" + std::to_string(scan.se) + ", " +
            std::to_string(scan.ah) + ", " + std::to_string(scan.al) + "\n";
  }
  return text;
}

// The message of the error that parsing gives; "" if it gives none.
std::string ErrorOf(std::string_view text) {
  const Result<ScanScript> script = ScanScript::Parse(text);
  if (script.ok()) return "";
  EXPECT_EQ(script.status().code(), Code::kInvalidArgument);
  return script.status().message();
}

// Three complete components with `entry` in the place of component 0's AC.
std::string WithEntry(const std::string& entry) {
  return "0,1,2: 0-0,0,0;\n" + entry + ";\n1: 1-63,0,0; 2: 1-63,0,0;\n";
}

void ExpectError(const std::string& text, const std::string& place, const std::string& rule) {
  const std::string error = ErrorOf(text);
  EXPECT_EQ(error.substr(0, place.size()), place) << text;
  EXPECT_NE(error.find(rule), std::string::npos) << text << "\n" << error;
}

TEST(ScanScript, TheStandardScriptIsReadAsWritten) {
  const ScanScript script = Script(kStandardScans);
  EXPECT_EQ(script.text(), kStandardScans);
  EXPECT_EQ(script.num_groups(), 10);
  EXPECT_EQ(script.scans_per_group(), std::vector<int>(10, 1));
  EXPECT_EQ(Text(script.scans()),
            "0| 0 1 2: 0-0, 0, 1\n1| 0: 1-5, 0, 2\n2| 2: 1-63, 0, 1\n3| 1: 1-63, 0, 1\n"
            "4| 0: 6-63, 0, 2\n5| 0: 1-63, 2, 1\n6| 0 1 2: 0-0, 1, 0\n7| 2: 1-63, 1, 0\n"
            "8| 1: 1-63, 1, 0\n9| 0: 1-63, 1, 0\n");
}

TEST(ScanScript, BlanksCommentsAndTheLastSemicolonMakeNoDifference) {
  const ScanScript script = Script(
      "# a comment; with a semicolon\n\n  0 1\t2 :0 0 0 0 ; 0:1-63,0,0# to the end; of the line\r\n"
      "; 1\n:\n1-63,\n0,0;2:1 - 63 , 0 , 0");
  EXPECT_EQ(Text(script.scans()),
            "0| 0 1 2: 0-0, 0, 0\n1| 0: 1-63, 0, 0\n2| 1: 1-63, 0, 0\n3| 2: 1-63, 0, 0\n");
}

TEST(ScanScript, GroupLinesBeginGroupsAtTheNextEntry) {
  const ScanScript script = Script(
      "# group\n0,1,2: 0-0,0,0;\n0: 1-5,0,0;\n  #group  \n1: 1-63,\n# group\n0,0;\n2: 1-63,0,0;\n"
      "0: 6-63,0,0;");
  EXPECT_EQ(script.scans_per_group(), (std::vector<int>{2, 1, 2}));
  EXPECT_EQ(script.scans()[3].group, 2);
}

TEST(ScanScript, ACommentThatOnlyMentionsAGroupBeginsNone) {
  const ScanScript script =
      Script("# group 1 of 4\n" + std::string(kNoRefinementScans) + "# group");
  EXPECT_EQ(script.num_groups(), 5);
}

TEST(ScanScript, EntriesBeforeTheFirstGroupLineAreAGroup) {
  const ScanScript script =
      Script("0,1,2: 0-0,0,0;\n0: 1-63,0,0;\n# group\n1: 1-63,0,0;\n2: 1-63,0,0;\n");
  EXPECT_EQ(script.scans_per_group(), (std::vector<int>{2, 2}));
}

TEST(ScanScript, AGroupWithoutScansIsAnErrorOfItsLine) {
  ExpectError("# group\n# group\n" + std::string(kStandardScans), "scan script, line 1",
              "must hold a scan");
  ExpectError(std::string(kStandardScans) + "\n\n# group\n", "scan script, line 3",
              "must hold a scan");
}

TEST(ScanScript, EveryErrorNamesTheLineOfItsEntry) {
  ExpectError("", "scan script, line 1: ", "must hold a scan");
  ExpectError("# nothing\n", "scan script, line 1: ", "must hold a scan");
  ExpectError("\n\n;", "scan script, line 3: ", "must follow a scan");
  ExpectError(WithEntry("0"), "scan script, line 2: ", "expected `: Ss-Se, Ah, Al`, got no `:`");
  ExpectError(WithEntry(": 1-63,0,0"), "scan script, line 2: ", "must name a component");
  ExpectError(WithEntry("0: 1-63,0"), "scan script, line 2: ", "expected 4 numbers, got 3");
  ExpectError(WithEntry("0: 1-63,0,0,0"), "scan script, line 2: ", "expected 4 numbers, got 5");
  ExpectError(WithEntry("0: 1-63,0,x"), "scan script, line 2: ", "got `x`");
  ExpectError(WithEntry("0: 1--63,0,0"), "scan script, line 2: ", "got `-`");
  ExpectError(WithEntry("0,: 1-63,0,0"), "scan script, line 2: ", "must follow `,`");
  ExpectError(WithEntry("0: 1-99999999999,0,0"), "scan script, line 2: ", "4 digits");
}

TEST(ScanScript, ScansThatT81ForbidsAreRefused) {
  ExpectError(WithEntry("3: 1-63,0,0"), "scan script, line 2: ", "expected 0..2, got 3");
  ExpectError("1,0,2: 0-0,0,0;", "scan script, line 1: ", "components must ascend");
  ExpectError("0,0,2: 0-0,0,0;", "scan script, line 1: ", "components must ascend");
  ExpectError("0: 0-5,0,0;", "scan script, line 1: ", "a DC scan has Ss = Se = 0");
  ExpectError(WithEntry("0: 5-4,0,0"), "scan script, line 2: ", "expected 5..63, got 4");
  ExpectError(WithEntry("0: 1-64,0,0"), "scan script, line 2: ", "expected 1..63, got 64");
  ExpectError(WithEntry("0,1: 1-63,0,0"),
              "scan script, line 2: ", "an AC scan names one component");
  ExpectError(WithEntry("0: 1-63,0,11"), "scan script, line 2: ", "expected 0 to 10, got 11");
  ExpectError(WithEntry("0: 1-63,1,0"), "scan script, line 2: ", "the first scan has Ah = 0");
  ExpectError("0: 0-0,0,0; 1: 1-63,0,0;", "scan script, line 1: ", "must come before its AC");
}

TEST(ScanScript, RefinementsMustGoOneBitAtATime) {
  ExpectError(WithEntry("0: 1-63,0,2; 0: 1-63,2,0"), "scan script, line 2: ", "expected 1, got 0");
  ExpectError(WithEntry("0: 1-63,0,2; 0: 1-63,1,0"),
              "scan script, line 2: ", "Ah must be the previous Al; expected 2, got 1");
  ExpectError(WithEntry("0: 1-63,0,0; 0: 5-9,0,0"), "scan script, line 2: ",
              "component 0, coefficient 5: all its bits have been sent before");
}

TEST(ScanScript, AnIncompleteProgressionIsRefused) {
  ExpectError(WithEntry("0: 1-62,0,0"), "scan script, line 3: ",
              "component 0, coefficient 63: a script must send every coefficient to its last bit; "
              "expected Al = 0, got no scan");
  ExpectError(WithEntry("0: 1-63,0,1"), "scan script, line 3: ", "expected Al = 0, got Al = 1");
  ExpectError("0: 0-0,0,0; 0: 1-63,0,0;", "scan script, line 1: ", "component 1, coefficient 0");
}

TEST(ScanScript, TheFirstScanMustHoldTheDcOfComponent0) {
  ExpectError("1: 0-0,0,0; 0,2: 0-0,0,0; 0: 1-63,0,0; 1: 1-63,0,0; 2: 1-63,0,0;",
              "scan script, line 1: ", "the first scan must hold the DC of component 0");
}

TEST(ScanScript, AHundredGroupsAreTheMost) {
  std::string text = "0,1,2: 0-0,0,0; 1: 1-63,0,0; 2: 1-63,0,0;\n";
  for (int k = 1; k <= 63; ++k)
    text += "0: " + std::to_string(k) + "-" + std::to_string(k) + ",0,1;\n";
  std::string refinements;
  for (int k = 1; k <= 34; ++k) {
    refinements += "0: " + std::to_string(k) + "-" + std::to_string(k) + ",1,0;\n";
  }
  EXPECT_EQ(Script(text + refinements + "\n# group\n0: 35-63,1,0;").num_groups(), 2);
  ExpectError(text + refinements + "0: 35-35,1,0; 0: 36-63,1,0;",
              "scan script, line 99: ", "at most 100 scan groups");
}

TEST(ScanScript, AGreyImageKeepsTheGroupsOfTheLumaScans) {
  EXPECT_EQ(Text(Script(kStandardScans).ForImage({{1, 1}})),
            "0| 0: 0-0, 0, 1\n1| 0: 1-5, 0, 2\n4| 0: 6-63, 0, 2\n5| 0: 1-63, 2, 1\n"
            "6| 0: 0-0, 1, 0\n9| 0: 1-63, 1, 0\n");
}

TEST(ScanScript, TwoComponentsLoseTheThird) {
  EXPECT_EQ(Text(Script(kNoRefinementScans).ForImage({{1, 1}, {1, 1}})),
            "0| 0 1: 0-0, 0, 0\n1| 0: 1-5, 0, 0\n2| 1: 1-63, 0, 0\n4| 0: 6-63, 0, 0\n");
}

TEST(ScanScript, AFourthComponentFollowsTheThird) {
  EXPECT_EQ(Text(Script(kNoRefinementScans).ForImage({{1, 1}, {1, 1}, {1, 1}, {1, 1}})),
            "0| 0 1 2 3: 0-0, 0, 0\n1| 0: 1-5, 0, 0\n2| 1: 1-63, 0, 0\n3| 2: 1-63, 0, 0\n"
            "3| 3: 1-63, 0, 0\n4| 0: 6-63, 0, 0\n");
}

TEST(ScanScript, AScanOfMoreThanFourComponentsIsSplitInItsGroup) {
  const std::vector<Scan> scans =
      Script(kNoRefinementScans).ForImage(std::vector<SamplingFactors>(5));
  EXPECT_EQ(
      Text({scans.begin(), scans.begin() + 5}),
      "0| 0: 0-0, 0, 0\n0| 1: 0-0, 0, 0\n0| 2: 0-0, 0, 0\n0| 3: 0-0, 0, 0\n0| 4: 0-0, 0, 0\n");
}

TEST(ScanScript, AScanIsSplitWhenItsMcuWouldHoldMoreThanTenBlocks) {
  const ScanScript script = Script(kNoRefinementScans);
  EXPECT_EQ(script.ForImage({{2, 2}, {2, 2}, {1, 2}}).front().components.size(), 3u);  // 10 blocks
  const std::vector<Scan> scans = script.ForImage({{2, 2}, {2, 2}, {1, 3}});           // 11 blocks
  EXPECT_EQ(Text({scans.begin(), scans.begin() + 3}),
            "0| 0: 0-0, 0, 0\n0| 1: 0-0, 0, 0\n0| 2: 0-0, 0, 0\n");
}

TEST(ScanScript, SamplingOfASingleComponentSplitsNothing) {
  EXPECT_EQ(Script(kNoRefinementScans).ForImage({{4, 4}}).size(), 3u);
}

TEST(ScanScript, ComponentsAddToAScanOnlyBehindComponent2) {
  const ScanScript script =
      Script("0: 0-0,0,0; 1,2: 0-0,0,0; 0: 1-63,0,0; 1: 1-63,0,0; 2: 1-63,0,0;");
  EXPECT_EQ(Text(script.ForImage(std::vector<SamplingFactors>(4))),
            "0| 0: 0-0, 0, 0\n1| 1 2 3: 0-0, 0, 0\n2| 0: 1-63, 0, 0\n3| 1: 1-63, 0, 0\n"
            "4| 2: 1-63, 0, 0\n4| 3: 1-63, 0, 0\n");
  EXPECT_EQ(Text(script.ForImage(std::vector<SamplingFactors>(2))),
            "0| 0: 0-0, 0, 0\n1| 1: 0-0, 0, 0\n2| 0: 1-63, 0, 0\n3| 1: 1-63, 0, 0\n");
}

TEST(ScanScript, TheScriptsOfConfigsAreReadAsTheTestsHaveThem) {
  const std::filesystem::path folder = "configs/scan_scripts";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "run from the root of the repository";
  EXPECT_EQ(Text(Script(testing::ReadFile(folder / "standard.txt")).scans()),
            Text(Script(kStandardScans).scans()));
  EXPECT_EQ(Text(Script(testing::ReadFile(folder / "no_refinement.txt")).scans()),
            Text(Script(kNoRefinementScans).scans()));
}

}  // namespace
}  // namespace pcr
