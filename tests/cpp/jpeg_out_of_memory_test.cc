#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <string>

#include "ops/jpeg/lossless/transcode.h"
#include "tests/cpp/jpeg_test_images.h"

namespace {

// So many more allocations succeed, and then one fails. Negative: none does. One whose failure the
// caller lives with (std::nothrow) would have to be left out.
thread_local int allocations_left = -1;

void* Allocate(std::size_t size) {
  const bool fails = allocations_left == 0;
  if (allocations_left >= 0) --allocations_left;
  if (fails) throw std::bad_alloc();
  void* const memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return Allocate(size); }
void* operator new[](std::size_t size) { return Allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace pcr {
namespace {

TEST(Transcode, SaysSoWhereAnyAllocationFails) {
  testing::JpegSpec spec;
  spec.width = spec.height = 400;  // more tokens than a page has
  const std::string image = testing::MakeJpeg(spec);
  const ScanScript script = testing::Script(testing::kStandardScans);
  int failed = 0;
  for (bool done = false; !done; ++failed) {
    ASSERT_LT(failed, 10000);
    allocations_left = failed;
    const Result<Transcoded> result = Transcode(image, script);
    done = allocations_left >= 0;
    allocations_left = -1;
    if (done) {
      ASSERT_TRUE(result.ok());
      EXPECT_EQ(result.value().reason, OpaqueReason::kNone);
    } else {
      ASSERT_FALSE(result.ok()) << "allocation " << failed;
      EXPECT_EQ(result.status().code(), Code::kResourceExhausted);
    }
  }
  EXPECT_GT(failed, 50);
}

}  // namespace
}  // namespace pcr
