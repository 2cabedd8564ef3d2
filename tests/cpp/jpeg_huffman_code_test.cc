#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "ops/jpeg/encoding/bit_writer.h"
#include "ops/jpeg/encoding/huffman_code.h"
#include "ops/jpeg/entropy/bit_reader.h"
#include "ops/jpeg/entropy/huffman_table.h"

namespace pcr {
namespace {

constexpr int kMaxLength = 16;

SymbolCounts Counts(const std::vector<uint32_t>& counts) {
  SymbolCounts result{};
  std::copy(counts.begin(), counts.end(), result.begin());
  return result;
}

// A decoder's table of the code reads each symbol that comes, no word is all ones, and, unless the
// limit shortened words, none is longer than that of a rarer symbol.
void ExpectUsable(const SymbolCounts& counts) {
  const HuffmanCode code(counts);
  HuffmanTable table;
  ASSERT_TRUE(
      table.Set(code.lengths.data(), reinterpret_cast<const uint8_t*>(code.symbols.data())));
  std::vector<std::pair<uint32_t, int>> by_count;
  for (int symbol = 0; symbol < 256; ++symbol) {
    const HuffmanCode::Word word = code.words[symbol];
    ASSERT_EQ(word.length > 0, counts[symbol] > 0) << symbol;
    if (word.length == 0) continue;
    ASSERT_LE(word.length, kMaxLength);
    ASSERT_NE(word.bits, (1U << word.length) - 1) << symbol;
    char bytes[4 + BitWriter::kSpareBytes];
    BitWriter writer;
    writer.SetOutput(bytes);
    writer.Write(word.bits, word.length);
    writer.Finish();
    BitReader reader(std::string_view(bytes, writer.output() - bytes));
    reader.Refill();
    ASSERT_EQ(table.Read(&reader), symbol);
    by_count.emplace_back(counts[symbol], word.length);
  }
  std::sort(by_count.begin(), by_count.end());
  for (size_t i = 1; i < by_count.size(); ++i) {
    if (code.lengths.back() > 0 || by_count[i - 1].first == by_count[i].first) continue;
    ASSERT_GE(by_count[i - 1].second, by_count[i].second);
  }
}

TEST(HuffmanCode, OneSymbolTakesOneBit) {
  const HuffmanCode code(Counts({0, 0, 7}));
  EXPECT_EQ(code.symbols, "\x02");
  EXPECT_EQ(code.words[2].length, 1);
  EXPECT_EQ(code.words[2].bits, 0);
  EXPECT_EQ(std::accumulate(code.lengths.begin(), code.lengths.end(), 0), 1);
}

TEST(HuffmanCode, GivesFrequentSymbolsShortWords) {
  const HuffmanCode code(Counts({1, 1, 2, 4, 8}));
  EXPECT_EQ(code.words[4].length, 1);
  EXPECT_EQ(code.words[3].length, 2);
  EXPECT_EQ(code.words[2].length, 3);
  ExpectUsable(Counts({1, 1, 2, 4, 8}));
}

TEST(HuffmanCode, LimitsWordsToSixteenBits) {
  std::vector<uint32_t> fibonacci = {1, 1};
  while (fibonacci.size() < 45) fibonacci.push_back(fibonacci.end()[-1] + fibonacci.end()[-2]);
  const HuffmanCode code(Counts(fibonacci));
  EXPECT_EQ(code.words[0].length, kMaxLength);
  ExpectUsable(Counts(fibonacci));
}

TEST(HuffmanCode, OfAnyCountsIsUsable) {
  std::mt19937 random(3);  // NOLINT(bugprone-random-generator-seed): reproducible
  for (int trial = 0; trial < 500; ++trial) {
    SymbolCounts counts{};
    const uint32_t symbols = 1 + random() % 256;
    const uint32_t max_bits = 1 + random() % 31;
    for (uint32_t i = 0; i < symbols; ++i) counts[i] = random() >> (32 - max_bits);
    counts[random() % 256] = 1;
    std::shuffle(counts.begin(), counts.end(), random);
    ExpectUsable(counts);
  }
  SymbolCounts all{};
  all.fill(1);
  ExpectUsable(all);
}

}  // namespace
}  // namespace pcr
