#include "ops/format/fidelity_mixture.h"

#include <cmath>
#include <limits>
#include <locale>
#include <sstream>
#include <utility>

#include "ops/format/layout.h"
#include "ops/format/split_mix64.h"

namespace pcr {
namespace {

constexpr char kFirstLine[] = "pcr-fidelity 1";
constexpr char kLastLine[] = "end";
// Sets these draws apart from those that order the records.
constexpr uint64_t kDrawStream = 0x6669646c69747921ULL;
constexpr int kDrawBits = 53;  // a double holds every number that is drawn

uint64_t Mix(uint64_t value) { return SplitMix64(value).Next(); }

std::string WithoutSpaceAtEnd(std::string line) {
  const size_t last = line.find_last_not_of(" \t\r");
  line.resize(last == std::string::npos ? 0 : last + 1);
  return line;
}

}  // namespace

Result<FidelityMixture> FidelityMixture::Parse(std::string_view text) {
  const auto refuse = [](const std::string& rule, const auto& expected, const auto& got) {
    return InvalidArgument("fidelity: " + Expected(rule, expected, got));
  };
  std::istringstream lines{std::string(text)};
  std::string line;
  std::getline(lines, line);
  if (WithoutSpaceAtEnd(line) != kFirstLine) return refuse("first line", kFirstLine, line);
  FidelityMixture mixture;
  std::vector<std::pair<int, double>> weights;
  double sum = 0;
  while (std::getline(lines, line) && WithoutSpaceAtEnd(line) != kLastLine) {
    std::istringstream fields(line);
    // A decimal point is a point, whatever the program's locale says.
    fields.imbue(std::locale::classic());
    int scan_groups = 0;
    double weight = 0;
    std::string rest;
    if (!(fields >> scan_groups >> weight) || fields >> rest) {
      return refuse("line", "scan groups and a weight", line);
    }
    const int least = weights.empty() ? 1 : weights.back().first + 1;
    if (scan_groups < least || scan_groups > layout::kMaxGroups) {
      return refuse("scan groups, ascending",
                    std::to_string(least) + " to " + std::to_string(layout::kMaxGroups),
                    scan_groups);
    }
    if (!(weight > 0) || !std::isfinite(weight)) {
      return refuse("weight of " + std::to_string(scan_groups) + " scan groups",
                    "a positive, finite number", line);
    }
    weights.emplace_back(scan_groups, weight);
    sum += weight;
  }
  if (lines.fail()) return refuse("last line", kLastLine, line);
  if (weights.empty()) return refuse("number of fidelities", "at least 1", 0);
  if (!(std::abs(sum - 1) <= kTolerance)) return refuse("sum of the weights", "1", sum);

  std::ostringstream canonical;
  canonical.imbue(std::locale::classic());
  canonical.precision(std::numeric_limits<double>::max_digits10);
  canonical << kFirstLine << '\n';
  double below = 0;
  for (const auto& [scan_groups, weight] : weights) {
    below += weight;
    const double end = std::ldexp(below / sum, kDrawBits);
    mixture.parts_.push_back({scan_groups, static_cast<uint64_t>(end)});
    canonical << scan_groups << ' ' << weight << '\n';
  }
  canonical << kLastLine << '\n';
  mixture.text_ = canonical.str();
  return mixture;
}

int FidelityMixture::Draw(uint64_t seed, uint64_t epoch, uint64_t record) const {
  if (parts_.size() == 1) return parts_.front().scan_groups;
  const uint64_t drawn = Mix(Mix(Mix(seed ^ kDrawStream) ^ epoch) ^ record) >> (64 - kDrawBits);
  for (const Part& part : parts_) {
    if (drawn < part.end) return part.scan_groups;
  }
  return max_scan_groups();
}

}  // namespace pcr
