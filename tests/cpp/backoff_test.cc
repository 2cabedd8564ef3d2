#include "ops/base/backoff.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>

namespace pcr {
namespace {

TEST(BackoffTest, WhatIsWaitedDoublesWithEachFailure) {
  const int64_t longest_ms[] = {100, 200, 400, 800, 1600};
  for (int num_failed = 1; num_failed <= 5; ++num_failed) {
    const int64_t ms = longest_ms[num_failed - 1];
    EXPECT_EQ(BackoffMs(num_failed, 0), ms / 2);
    EXPECT_EQ(BackoffMs(num_failed, static_cast<uint64_t>(ms) / 2), ms);
  }
}

TEST(BackoffTest, DrawsSpreadItOverTheUpperHalf) {
  std::set<int64_t> waits_ms;
  for (uint64_t draw = 0; draw < 1000; ++draw) {
    waits_ms.insert(BackoffMs(3, draw * 0x9E3779B97F4A7C15));
  }
  EXPECT_GE(*waits_ms.begin(), 200);
  EXPECT_LE(*waits_ms.rbegin(), 400);
  EXPECT_GT(waits_ms.size(), 150u);
  EXPECT_LE(BackoffMs(5, ~uint64_t{0}), 1600);
}

}  // namespace
}  // namespace pcr
