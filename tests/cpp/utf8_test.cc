#include "ops/base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace pcr {
namespace {

TEST(IsUtf8, TakesCharactersOfEveryLength) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8(std::string(1, '\0')));
  EXPECT_TRUE(IsUtf8("image/encoded\x7f"));
  EXPECT_TRUE(IsUtf8("\xc2\x80 \xdf\xbf"));
  EXPECT_TRUE(IsUtf8("\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf"));
  EXPECT_TRUE(IsUtf8("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"));
}

TEST(IsUtf8, RefusesWhatIsNotWhole) {
  for (const char* cut :
       {"\xc2", "\xe0\xa0", "\xf0\x90\x80", "\xc2 ", "\xe0\xa0 ", "\x80", "\xbf"}) {
    EXPECT_FALSE(IsUtf8(cut)) << cut;
  }
}

TEST(IsUtf8, RefusesLongForms) {
  EXPECT_FALSE(IsUtf8("\xc0\x80"));
  EXPECT_FALSE(IsUtf8("\xc1\xbf"));
  EXPECT_FALSE(IsUtf8("\xe0\x9f\xbf"));
  EXPECT_FALSE(IsUtf8("\xf0\x8f\xbf\xbf"));
}

TEST(IsUtf8, RefusesSurrogatesAndWhatUnicodeDoesNotHave) {
  EXPECT_FALSE(IsUtf8("\xed\xa0\x80"));
  EXPECT_FALSE(IsUtf8("\xed\xbf\xbf"));
  EXPECT_FALSE(IsUtf8("\xf4\x90\x80\x80"));
  EXPECT_FALSE(IsUtf8("\xf8\x88\x80\x80\x80"));
  EXPECT_FALSE(IsUtf8("\xff\xfe"));
}

}  // namespace
}  // namespace pcr
