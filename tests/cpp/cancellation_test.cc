#include "ops/base/cancellation.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <thread>

namespace pcr {
namespace {

constexpr int64_t kDayMs = 86'400'000;

TEST(CancellationTest, AWaitThatIsNotCancelledLastsItsTime) {
  // A busy machine makes it longer, never shorter.
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(Cancellation().WaitMs(20));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(20));
}

TEST(CancellationTest, CancelEndsAWaitOfAnotherThread) {
  Cancellation cancellation;
  bool cancelled = false;
  std::thread waiting([&] { cancelled = cancellation.WaitMs(kDayMs); });
  cancellation.Cancel();
  waiting.join();
  EXPECT_TRUE(cancelled);
  EXPECT_TRUE(cancellation.cancelled());
  EXPECT_TRUE(cancellation.WaitMs(kDayMs));
}

}  // namespace
}  // namespace pcr
