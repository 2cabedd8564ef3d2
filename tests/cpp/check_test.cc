#include "ops/base/check.h"

#include <gtest/gtest.h>

namespace pcr {
namespace {

#ifdef PCR_DEBUG

TEST(CheckDeathTest, AFalseConditionEndsTheProcessAndNamesThePlace) {
  const int size = 3;
  EXPECT_DEATH(PCR_DCHECK(size > 4), "check_test\\.cc:[0-9]+: check failed: size > 4");
}

TEST(CheckTest, ATrueConditionIsEvaluatedOnce) {
  int evaluated = 0;
  PCR_DCHECK(++evaluated == 1);
  EXPECT_EQ(evaluated, 1);
}

#else

TEST(CheckTest, OtherBuildsDoNotEvaluateTheCondition) {
  int evaluated = 0;
  PCR_DCHECK(++evaluated == 0);
  EXPECT_EQ(evaluated, 0);
}

#endif

}  // namespace
}  // namespace pcr
