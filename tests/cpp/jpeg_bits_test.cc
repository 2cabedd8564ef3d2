#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "ops/jpeg/encoding/bit_writer.h"
#include "ops/jpeg/entropy/bit_deposit.h"
#include "ops/jpeg/entropy/bit_reader.h"

namespace pcr {
namespace {

TEST(BitWriter, WritesWhatABitReaderReads) {
  std::mt19937 random(4);  // NOLINT(bugprone-random-generator-seed): reproducible
  for (int trial = 0; trial < 200; ++trial) {
    struct Part {
      uint32_t bits;
      int size;
    };
    std::vector<Part> parts(random() % 60);
    size_t num_bits = 0;
    for (Part& part : parts) {
      part.size = 1 + static_cast<int>(random() % 32);
      const uint32_t bits = random() % 2 == 0 ? ~0U : static_cast<uint32_t>(random());
      part.bits = bits >> (32 - part.size);
      num_bits += part.size;
    }
    std::string bytes(num_bits / 8 * 2 + BitWriter::kSpareBytes, '\0');
    BitWriter writer;
    writer.SetOutput(bytes.data());
    for (const Part& part : parts) writer.Write(part.bits, part.size);
    writer.Finish();
    bytes.resize(writer.output() - bytes.data());
    BitReader reader(bytes);
    for (const Part& part : parts) {
      reader.Refill();
      ASSERT_EQ(reader.Read(part.size), part.bits);
    }
    ASSERT_FALSE(reader.overrun());
    for (size_t at = bytes.find('\xff'); at != std::string::npos; at = bytes.find('\xff', at + 1)) {
      ASSERT_EQ(bytes.at(at + 1), '\0');
    }
  }
}

// The ways of this processor to deposit bits.
std::vector<BitDeposit> BitDeposits() {
  std::vector<BitDeposit> deposits = {BitDeposit(false)};
  if (BitDeposit::HasInstruction()) deposits.emplace_back(true);
  return deposits;
}

TEST(BitDeposit, SpreadsBitsOverPlaces) {
  for (const BitDeposit& deposit : BitDeposits()) {
    EXPECT_EQ(deposit(0b101, 0b11010000), 0b10010000u);
    EXPECT_EQ(deposit(~uint64_t{0}, 0b11010000), 0b11010000u);
    EXPECT_EQ(deposit(~uint64_t{0}, 0), 0u);
    EXPECT_EQ(deposit(1, uint64_t{1} << 63), uint64_t{1} << 63);
  }
}

TEST(BitDeposit, FindsABitFromTheTop) {
  for (const BitDeposit& deposit : BitDeposits()) {
    EXPECT_EQ(deposit.BitFromTop(0b11010000, 0), 0b10000000u);
    EXPECT_EQ(deposit.BitFromTop(0b11010000, 2), 0b00010000u);
    EXPECT_EQ(deposit.BitFromTop(0b11010000, 3), 0u);
    EXPECT_EQ(deposit.BitFromTop(0, 0), 0u);
    EXPECT_EQ(deposit.BitFromTop(~uint64_t{0}, 63), 1u);
  }
}

TEST(BitDeposit, DoesTheSameWithAndWithoutTheInstruction) {
  std::mt19937_64 random(6);  // NOLINT(bugprone-random-generator-seed): reproducible
  const std::vector<BitDeposit> deposits = BitDeposits();
  for (int trial = 0; trial < 10000; ++trial) {
    const uint64_t bits = random();
    const uint64_t places = random() & (trial % 2 == 0 ? random() : ~uint64_t{0});
    const int n = static_cast<int>(random() % 64);
    for (const BitDeposit& deposit : deposits) {
      ASSERT_EQ(deposit(bits, places), deposits[0](bits, places));
      ASSERT_EQ(deposit.BitFromTop(places, n), deposits[0].BitFromTop(places, n));
    }
  }
}

}  // namespace
}  // namespace pcr
