#include "ops/jpeg/encoding/huffman_code.h"

#include <algorithm>
#include <cstddef>
#include <functional>

namespace pcr {
namespace {

constexpr int kMaxLength = 16;
// No word may be all ones. This symbol, of the least count, takes the one that would be.
constexpr int kReserved = 256;

constexpr int kMaxLeaves = kReserved + 1;

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

struct Leaf {
  int length = 0;
  int symbol = 0;

  bool operator<(const Leaf& other) const {
    return length != other.length ? length < other.length : symbol < other.symbol;
  }
};

// Without allocations, as an image has a dozen codes.
class UnlimitedCode {
 public:
  explicit UnlimitedCode(const SymbolCounts& counts) {
    for (int symbol = 0; symbol < kReserved; ++symbol) {
      if (counts[symbol] > 0) Add(counts[symbol], symbol);
    }
    Add(1, kReserved);
    const int nodes = MergeTrees();
    int depths[2 * kMaxLeaves];
    depths[nodes - 1] = 0;
    // A parent is made after its children.
    for (int node = nodes - 2; node >= 0; --node) depths[node] = depths[parents_[node]] + 1;
    for (int leaf = 0; leaf < num_leaves_; ++leaf) leaves_[leaf].length = depths[leaf];
    std::sort(leaves_, leaves_ + num_leaves_);
  }

  // Each symbol that comes, and the reserved one; shorter words first, equal ones by symbol.
  const Leaf* begin() const { return leaves_; }
  const Leaf* end() const { return leaves_ + num_leaves_; }

 private:
  void Add(uint64_t count, int symbol) {
    trees_[num_leaves_] = {count, symbol, num_leaves_};
    leaves_[num_leaves_++].symbol = symbol;
  }

  // Returns the number of nodes, of which the last is the root.
  int MergeTrees() {
    const std::greater<> later;
    Tree* end = trees_ + num_leaves_;
    std::make_heap(trees_, end, later);
    int node = num_leaves_;
    for (; end - trees_ > 1; ++node) {
      std::pop_heap(trees_, end--, later);
      const Tree first = *end;
      std::pop_heap(trees_, end--, later);
      const Tree second = *end;
      parents_[first.node] = parents_[second.node] = node;
      *end++ = {first.count + second.count, first.symbol, node};
      std::push_heap(trees_, end, later);
    }
    return node;
  }

  int num_leaves_ = 0;
  Leaf leaves_[kMaxLeaves];
  Tree trees_[kMaxLeaves];
  int parents_[2 * kMaxLeaves];
};

// Numbers of words by their length.
using LengthCounts = std::array<int, kMaxLeaves>;

// Shortens words of more than 16 bits, by T.81 figure K.3.
void LimitLengths(LengthCounts* by_length) {
  LengthCounts& counts = *by_length;
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
  LengthCounts by_length{};
  for (const Leaf& leaf : UnlimitedCode(counts)) {
    ++by_length[leaf.length];
    if (leaf.symbol != kReserved) symbols.push_back(static_cast<char>(leaf.symbol));
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
