#include "ops/base/status.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace pcr {
namespace {

TEST(ReadableUtf8, LeavesUtf8AsItIs) {
  for (const std::string text : {"", "a b\n", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x8c\xb3",
                                 "\xed\x9f\xbf\xee\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(ReadableUtf8(text), text);
  }
}

TEST(ReadableUtf8, EscapesEachByteThatIsNone) {
  EXPECT_EQ(ReadableUtf8("bad\xff.pcr: \xc3\xbc"), "bad\\xff.pcr: \xc3\xbc");
  EXPECT_EQ(ReadableUtf8("\xc3"), "\\xc3") << "cut short";
  EXPECT_EQ(ReadableUtf8("\xe2\x82-"), "\\xe2\\x82-");
  EXPECT_EQ(ReadableUtf8("\x80"), "\\x80") << "a continuation alone";
  EXPECT_EQ(ReadableUtf8("\xc0\xaf"), "\\xc0\\xaf") << "longer than needed";
  EXPECT_EQ(ReadableUtf8("\xe0\x9f\xbf"), "\\xe0\\x9f\\xbf");
  EXPECT_EQ(ReadableUtf8("\xf0\x8f\xbf\xbf"), "\\xf0\\x8f\\xbf\\xbf");
  EXPECT_EQ(ReadableUtf8("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(ReadableUtf8("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "above U+10FFFF";
  EXPECT_EQ(ReadableUtf8(std::string("\0\xff", 2)), std::string("\0\\xff", 5));
}

Result<int> Half(int value) {
  if (value % 2 != 0) return InvalidArgument("odd");
  return value / 2;
}

Result<int> Quarter(int value) {
  PCR_ASSIGN_OR_RETURN(const int half, Half(value));
  PCR_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

TEST(AssignOrReturn, GivesTheValueOrReturnsTheStatus) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(6).status().message(), "odd");
  EXPECT_EQ(Quarter(5).status().code(), Code::kInvalidArgument);
}

#ifdef PCR_DEBUG

TEST(ResultDeathTest, TheValueOfAnErrorEndsTheProcess) {
  Result<int> error = DataLoss("damaged");
  const Result<int>& constant = error;
  EXPECT_DEATH((void)error.value(), "check failed: ok\\(\\)");
  EXPECT_DEATH((void)constant.value(), "check failed: ok\\(\\)");
  EXPECT_DEATH((void)std::move(error).value(), "check failed: ok\\(\\)");
}

#endif

}  // namespace
}  // namespace pcr
