#include "ops/jpeg/huffman_code.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace pcr {
namespace {

constexpr int kMaxLength = 16;
// No word may be all ones. This symbol, of the least count, takes the one that would be.
constexpr int kReserved = 256;

// Of two trees of equal count the one goes first whose symbol is larger; that of two merged
// trees is the symbol of the one that went first.
struct Tree {
  uint64_t count = 0;
  int symbol = 0;
  int node = 0;

  bool operator>(const Tree& other) const {
    return count != other.count ? count > other.count : symbol < other.symbol;
  }
};

// The length of the word of each symbol that comes and of the reserved one, without a limit,
// ascending; equal ones by symbol.
std::vector<std::pair<int, int>> UnlimitedLengths(const SymbolCounts& counts) {
  std::vector<Tree> trees;
  const auto add = [&trees](uint64_t count, int symbol) {
    trees.push_back({count, symbol, static_cast<int>(trees.size())});
  };
  for (int symbol = 0; symbol < kReserved; ++symbol) {
    if (counts[symbol] > 0) add(counts[symbol], symbol);
  }
  add(1, kReserved);
  std::vector<std::pair<int, int>> lengths;
  for (const Tree& leaf : trees) lengths.emplace_back(0, leaf.symbol);

  std::vector<int> parents(trees.size());
  const auto later = std::greater<>();
  std::make_heap(trees.begin(), trees.end(), later);
  const auto take = [&] {
    std::pop_heap(trees.begin(), trees.end(), later);
    const Tree first = trees.back();
    trees.pop_back();
    return first;
  };
  while (trees.size() > 1) {
    const Tree first = take();
    const Tree second = take();
    const int node = static_cast<int>(parents.size());
    parents.push_back(node);
    parents[first.node] = parents[second.node] = node;
    trees.push_back({first.count + second.count, first.symbol, node});
    std::push_heap(trees.begin(), trees.end(), later);
  }
  // A parent is made after its children, and the root is its own.
  std::vector<int> depths(parents.size());
  for (int node = static_cast<int>(parents.size()) - 2; node >= 0; --node) {
    depths[node] = depths[parents[node]] + 1;
  }
  for (size_t leaf = 0; leaf < lengths.size(); ++leaf) lengths[leaf].first = depths[leaf];
  std::sort(lengths.begin(), lengths.end());
  return lengths;
}

// Shortens words of more than 16 bits, by T.81 figure K.3.
void LimitLengths(std::vector<int>* counts_by_length) {
  std::vector<int>& counts = *counts_by_length;
  for (size_t length = counts.size() - 1; length > kMaxLength; --length) {
    while (counts[length] > 0) {
      size_t shorter = length - 2;
      while (counts[shorter] == 0) --shorter;
      counts[length] -= 2;
      ++counts[length - 1];
      counts[shorter + 1] += 2;
      --counts[shorter];
    }
  }
}

}  // namespace

HuffmanCode::HuffmanCode(const SymbolCounts& counts) {
  const std::vector<std::pair<int, int>> unlimited = UnlimitedLengths(counts);
  std::vector<int> by_length(std::max(unlimited.back().first, kMaxLength) + 1);
  for (const auto& [length, symbol] : unlimited) {
    ++by_length[length];
    if (symbol != kReserved) symbols.push_back(static_cast<char>(symbol));
  }
  LimitLengths(&by_length);
  int longest = kMaxLength;
  while (longest > 0 && by_length[longest] == 0) --longest;
  --by_length[longest];  // the reserved symbol's

  uint32_t bits = 0;
  size_t next = 0;
  for (int length = 1; length <= kMaxLength; ++length, bits <<= 1) {
    lengths[length - 1] = static_cast<uint8_t>(by_length[length]);
    for (int i = 0; i < by_length[length]; ++i, ++bits, ++next) {
      words[static_cast<uint8_t>(symbols[next])] = {static_cast<uint16_t>(bits),
                                                    static_cast<uint8_t>(length)};
    }
  }
}

}  // namespace pcr
