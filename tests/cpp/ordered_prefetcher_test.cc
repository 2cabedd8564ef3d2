#include "ops/base/ordered_prefetcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace pcr {
namespace {

using Prefetcher = OrderedPrefetcher<int, int>;

// A gate that loads wait at.
class Gate {
 public:
  void Open() {
    std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    ++num_waiting_;
    changed_.wait(lock, [this] { return open_; });
    --num_waiting_;
  }
  int num_waiting() {
    std::lock_guard<std::mutex> lock(mutex_);
    return num_waiting_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int num_waiting_ = 0;
  bool open_ = false;
};

// Returns once so many threads wait at `gate`, and so many more in the prefetcher for something
// that these, or a consumer, must do first. Where that is all of them, nothing happens any more.
void AwaitStandstill(Gate* gate, int at_gate, Prefetcher* prefetcher, int blocked) {
  // In this order: a thread that is at a closed gate is not in the prefetcher later.
  const auto hangs_at = std::chrono::steady_clock::now() + std::chrono::minutes(5);
  while (gate->num_waiting() != at_gate || prefetcher->num_blocked() != blocked) {
    ASSERT_LT(std::chrono::steady_clock::now(), hangs_at) << "it hangs, or does not stop";
    std::this_thread::yield();
  }
}

// Requests 0 to `count` - 1, each of one byte and loaded as its square.
Prefetcher::Functions Squares(int count) {
  Prefetcher::Functions functions;
  auto position = std::make_shared<int>(0);
  functions.next = [position, count](std::optional<int>* request) {
    if (*position < count) *request = (*position)++;
    return Status();
  };
  functions.size_bytes = [](const int&) { return uint64_t{1}; };
  functions.load = [](const int& request, const Prefetcher::Grow&, int* loaded) {
    *loaded = request * request;
    return Status();
  };
  return functions;
}

template <typename Number>
void RaiseTo(Number value, std::atomic<Number>* most) {
  for (Number seen = *most; seen < value && !most->compare_exchange_weak(seen, value);) {
  }
}

std::vector<int> TakeAll(Prefetcher* prefetcher) {
  std::vector<int> requests;
  std::optional<Prefetcher::Item> item;
  while (prefetcher->Next(&item).ok() && item.has_value()) requests.push_back(item->request);
  return requests;
}

std::vector<int> UpTo(int count) {
  std::vector<int> values(count);
  for (int i = 0; i < count; ++i) values[i] = i;
  return values;
}

TEST(OrderedPrefetcherTest, HandsResultsOverInOrderWhateverTheLoadsTake) {
  auto functions = Squares(300);
  std::vector<Gate> loaded_already(300);
  functions.load = [&](const int& request, const Prefetcher::Grow&, int* loaded) {
    if (request % 7 == 0) loaded_already[request + 3].Wait();
    *loaded = request * request;
    loaded_already[request].Open();
    return Status();
  };
  Prefetcher prefetcher({8, 5}, functions);
  std::optional<Prefetcher::Item> item;
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(prefetcher.Next(&item).ok());
    ASSERT_TRUE(item.has_value());
    EXPECT_EQ(item->request, i);
    EXPECT_EQ(item->loaded, i * i);
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(prefetcher.Next(&item).ok());
    EXPECT_FALSE(item.has_value());
  }
}

TEST(OrderedPrefetcherTest, NeverHoldsMoreBytesThanAllowedUnlessOneRequestIsLarger) {
  Gate gate;
  std::atomic<uint64_t> in_flight{0};
  std::atomic<uint64_t> most{0};
  auto functions = Squares(60);
  functions.size_bytes = [](const int& request) { return request == 30 ? uint64_t{99} : 4; };
  functions.load = [&](const int& request, const Prefetcher::Grow&, int* /*loaded*/) {
    const uint64_t now = in_flight += request == 30 ? 99 : 4;
    EXPECT_TRUE(now <= 10 || now == 99) << now;
    RaiseTo(now, &most);
    gate.Wait();
    in_flight -= request == 30 ? 99 : 4;
    return Status();
  };
  Prefetcher prefetcher({6, 10}, functions);
  AwaitStandstill(&gate, 2, &prefetcher, 4);
  EXPECT_EQ(in_flight, 8u);
  gate.Open();
  EXPECT_EQ(TakeAll(&prefetcher), UpTo(60));
  EXPECT_EQ(most, 99u);
}

TEST(OrderedPrefetcherTest, LoadsBeginBehindASlowOneAsFarAsWhatWaitsIsAllowed) {
  Gate gate;
  std::atomic<int> begun{0};
  auto functions = Squares(100);
  functions.load = [&](const int& request, const Prefetcher::Grow&, int* /*loaded*/) {
    ++begun;
    if (request == 0) gate.Wait();
    return Status();
  };
  Prefetcher::Options options;
  options.num_threads = 4;
  options.max_bytes = 1000;
  options.max_requests = 20;
  Prefetcher prefetcher(options, functions);
  AwaitStandstill(&gate, 1, &prefetcher, 3);
  EXPECT_EQ(begun, 20);
  gate.Open();
  EXPECT_EQ(TakeAll(&prefetcher), UpTo(100));
}

TEST(OrderedPrefetcherTest, TheSizeOfWhatIsLoadedIsBoundedApartFromWhatWaits) {
  Gate gate_of_first;
  Gate gate_of_others;
  std::atomic<int> loading{0};
  std::atomic<int> most{0};
  std::atomic<int> begun{0};
  auto functions = Squares(40);
  functions.size_bytes = [](const int&) { return uint64_t{10}; };
  functions.load = [&](const int& request, const Prefetcher::Grow&, int* /*loaded*/) {
    const int now = ++loading;
    RaiseTo(now, &most);
    ++begun;
    (request == 0 ? gate_of_first : gate_of_others).Wait();
    --loading;
    return Status();
  };
  Prefetcher::Options options;
  options.num_threads = 8;
  options.max_bytes = 120;
  options.max_requests = 40;
  options.max_loading_bytes = 30;
  Prefetcher prefetcher(options, functions);
  AwaitStandstill(&gate_of_first, 1, &prefetcher, 5);
  AwaitStandstill(&gate_of_others, 2, &prefetcher, 5);
  EXPECT_EQ(begun, 3);
  gate_of_others.Open();
  AwaitStandstill(&gate_of_first, 1, &prefetcher, 7);
  EXPECT_EQ(begun, 12);
  gate_of_first.Open();
  EXPECT_EQ(TakeAll(&prefetcher), UpTo(40));
  EXPECT_EQ(most, 3);
}

TEST(OrderedPrefetcherTest, WhatRequestsGrowToIsBoundedToo) {
  Gate gate;
  std::atomic<uint64_t> in_flight{0};
  std::atomic<uint64_t> most{0};
  auto functions = Squares(60);
  functions.load = [&](const int& request, const Prefetcher::Grow& grow, int* /*loaded*/) {
    const uint64_t bytes = 1 + request % 5;
    PCR_RETURN_IF_ERROR(grow(bytes));
    PCR_RETURN_IF_ERROR(grow(bytes));  // of no effect: the same size again
    const uint64_t now = in_flight += bytes;
    RaiseTo(now, &most);
    gate.Wait();
    in_flight -= bytes;
    return Status();
  };
  Prefetcher prefetcher({8, 12}, functions);
  // Which of the first eight have grown is chance. The rest finds no room.
  for (int at_gate = 0; at_gate + prefetcher.num_blocked() < 8; at_gate = gate.num_waiting()) {
    std::this_thread::yield();
  }
  EXPECT_LE(most, 12u);
  gate.Open();
  EXPECT_EQ(TakeAll(&prefetcher), UpTo(60));
  // The one that the consumer waits for may exceed the bound: by less than what it has grown.
  EXPECT_GT(most, 5u);
  EXPECT_LE(most, 12u + 4u);
}

TEST(OrderedPrefetcherTest, OfRequestsThatGrowBeyondTheBoundOnlyTheOneWaitedForGoesOn) {
  Gate nobody_waits_here;
  std::atomic<int> grown{0};
  auto functions = Squares(20);
  functions.load = [&](const int&, const Prefetcher::Grow& grow, int*) {
    PCR_RETURN_IF_ERROR(grow(1000));
    ++grown;
    return Status();
  };
  Prefetcher prefetcher({6, 10}, functions);
  AwaitStandstill(&nobody_waits_here, 0, &prefetcher, 6);
  EXPECT_EQ(grown, 0);
  std::optional<Prefetcher::Item> item;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(prefetcher.Next(&item).ok());
    ASSERT_TRUE(item.has_value());
    EXPECT_EQ(item->request, i);
    // Threads that find no further request end.
    AwaitStandstill(&nobody_waits_here, 0, &prefetcher, std::min(6, 19 - i));
    EXPECT_EQ(grown, i + 1);
  }
}

TEST(OrderedPrefetcherTest, CancelFreesALoadThatWaitsToGrow) {
  Gate nobody_waits_here;
  auto functions = Squares(4);
  std::atomic<int> cancelled{0};
  functions.load = [&](const int&, const Prefetcher::Grow& grow, int*) {
    const Status status = grow(1000);
    cancelled += status.code() == Code::kCancelled ? 1 : 0;
    return status;
  };
  {
    Prefetcher prefetcher({4, 10}, functions);
    AwaitStandstill(&nobody_waits_here, 0, &prefetcher, 4);
  }
  EXPECT_EQ(cancelled, 4);
}

TEST(OrderedPrefetcherTest, SizesThatWouldOverflowAreLoadedOneAtATime) {
  auto functions = Squares(5);
  functions.size_bytes = [](const int&) { return ~uint64_t{0}; };
  Prefetcher prefetcher({4, ~uint64_t{0}}, functions);
  EXPECT_EQ(TakeAll(&prefetcher), UpTo(5));
}

TEST(OrderedPrefetcherTest, AnErrorOfNextComesAfterTheResultsBeforeIt) {
  auto functions = Squares(3);
  functions.next = [next = functions.next](std::optional<int>* request) {
    const Status status = next(request);
    return request->has_value() ? status : DataLoss("no more splits");
  };
  Prefetcher prefetcher({4, 100}, functions);
  EXPECT_EQ(TakeAll(&prefetcher), UpTo(3));
  std::optional<Prefetcher::Item> item;
  EXPECT_EQ(prefetcher.Next(&item).message(), "no more splits");
  EXPECT_EQ(prefetcher.Next(&item).code(), Code::kDataLoss);
}

TEST(OrderedPrefetcherTest, ALoadThatThrowsFailsItsRequestAlone) {
  auto functions = Squares(5);
  functions.load = [](const int& request, const Prefetcher::Grow&, int* /*loaded*/) {
    if (request == 1) throw std::bad_alloc();
    if (request == 3) throw std::runtime_error("the shelf fell down");
    return Status();
  };
  Prefetcher prefetcher({3, 100}, functions);
  std::optional<Prefetcher::Item> item;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(prefetcher.Next(&item).ok());
    ASSERT_TRUE(item.has_value());
    EXPECT_EQ(item->status.code(), i == 1   ? Code::kResourceExhausted
                                   : i == 3 ? Code::kInternal
                                            : Code::kOk);
  }
}

TEST(OrderedPrefetcherTest, ANextThatThrowsEndsTheRequestsWithAnError) {
  auto functions = Squares(2);
  functions.next = [next = functions.next](std::optional<int>* request) {
    const Status status = next(request);
    if (!request->has_value()) throw std::bad_alloc();
    return status;
  };
  Prefetcher prefetcher({2, 100}, functions);
  EXPECT_EQ(TakeAll(&prefetcher), UpTo(2));
  std::optional<Prefetcher::Item> item;
  EXPECT_EQ(prefetcher.Next(&item).code(), Code::kResourceExhausted);
}

TEST(OrderedPrefetcherTest, CancelFreesAConsumerThatWaits) {
  Gate gate;
  auto functions = Squares(10);
  functions.load = [&gate](const int&, const Prefetcher::Grow&, int*) {
    gate.Wait();
    return Status();
  };
  Prefetcher prefetcher({3, 100}, functions);
  std::thread canceller([&] {
    AwaitStandstill(&gate, 3, &prefetcher, 1);
    prefetcher.Cancel();
  });
  std::optional<Prefetcher::Item> item;
  EXPECT_EQ(prefetcher.Next(&item).code(), Code::kCancelled);
  EXPECT_EQ(prefetcher.Next(&item).code(), Code::kCancelled);
  canceller.join();
  gate.Open();
}

TEST(OrderedPrefetcherTest, ItCanBeDestroyedAtAnyMoment) {
  for (int round = 0; round < 200; ++round) {
    Prefetcher prefetcher({1 + round % 9, 1 + static_cast<uint64_t>(round % 4)}, Squares(50));
    std::optional<Prefetcher::Item> item;
    for (int i = 0; i < round % 13; ++i) ASSERT_TRUE(prefetcher.Next(&item).ok());
  }
}

}  // namespace
}  // namespace pcr
