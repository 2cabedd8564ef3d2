#include "ops/base/clean_exit.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace pcr {
namespace {

#ifdef __GLIBC__

TEST(CleanExitDeathTest, TheStatusIsKeptAndOnlyWhatWasRegisteredBeforeIsLeftOut) {
  const auto end = [] {
    std::atexit([] { std::abort(); });
    SkipStaticDestructorsAtExit();
    SkipStaticDestructorsAtExit();
    std::atexit([] { std::fputs("registered later", stderr); });
    std::exit(7);
  };
  EXPECT_EXIT(end(), testing::ExitedWithCode(7), "registered later");
}

#endif

}  // namespace
}  // namespace pcr
