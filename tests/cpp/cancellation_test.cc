#include "ops/base/cancellation.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace pcr {
namespace {

TEST(CancellationTest, AWaitThatIsNotCancelledLastsItsTime) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(Cancellation().WaitMs(20));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(20));
}

TEST(CancellationTest, CancelEndsAWaitOfAnotherThread) {
  Cancellation cancellation;
  bool cancelled = false;
  std::thread waiting([&] { cancelled = cancellation.WaitMs(60'000); });
  cancellation.Cancel();
  waiting.join();
  EXPECT_TRUE(cancelled);
  EXPECT_TRUE(cancellation.cancelled());
  EXPECT_TRUE(cancellation.WaitMs(60'000));
}

}  // namespace
}  // namespace pcr
