#include "ops/format/shard_names.h"

#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "ops/format/layout.h"

namespace pcr {
namespace {

constexpr std::string_view kOf = "-of-";
// Others are names of the user's own.
constexpr size_t kMinDigits = 5;
constexpr size_t kMaxDigits = 9;  // so that numbers fit
constexpr uint64_t kMaxNamed = 3;

// Takes the digits at the end of `text` away.
std::optional<uint64_t> TakeNumber(std::string_view* text) {
  const size_t end = text->find_last_not_of("0123456789");
  const size_t begin = end == std::string_view::npos ? 0 : end + 1;
  const std::string_view digits = text->substr(begin);
  if (digits.size() < kMinDigits || digits.size() > kMaxDigits) return std::nullopt;
  text->remove_suffix(digits.size());
  uint64_t number = 0;
  for (const char digit : digits) number = 10 * number + static_cast<uint64_t>(digit - '0');
  return number;
}

bool TakeSuffix(std::string_view suffix, std::string_view* text) {
  if (text->size() < suffix.size() || text->substr(text->size() - suffix.size()) != suffix) {
    return false;
  }
  text->remove_suffix(suffix.size());
  return true;
}

// As pcr-convert writes it: <prefix>-00000-of-00008.pcr.
std::string ShardName(const std::string& prefix, uint64_t number, uint64_t count) {
  char place[64];
  std::snprintf(place, sizeof(place), "-%05llu-of-%05llu", static_cast<unsigned long long>(number),
                static_cast<unsigned long long>(count));
  return Printable(prefix) + place + std::string(layout::kShardSuffix);
}

}  // namespace

Status CheckShardNames(const std::vector<std::string>& names) {
  std::map<std::pair<std::string, uint64_t>, std::set<uint64_t>> sets;  // by: prefix, count
  for (const std::string& name : names) {
    std::string_view rest = name;
    if (!TakeSuffix(layout::kShardSuffix, &rest)) continue;
    const std::optional<uint64_t> count = TakeNumber(&rest);
    if (!count.has_value() || !TakeSuffix(kOf, &rest)) continue;
    const std::optional<uint64_t> number = TakeNumber(&rest);
    if (!number.has_value() || !TakeSuffix("-", &rest) || *number > *count) continue;
    sets[{std::string(rest), *count}].insert(*number);
  }
  for (const auto& [set, found] : sets) {
    const auto& [prefix, count] = set;
    if (found.count(count) > 0) continue;  // Counted from 1: not written by this package.
    const uint64_t num_missing = count - found.size();
    if (num_missing == 0) continue;
    std::string missing;
    uint64_t num_named = 0;
    for (uint64_t number = 0; num_named < num_missing && num_named < kMaxNamed; ++number) {
      if (found.count(number) > 0) continue;
      missing += (num_named == 0 ? "" : ", ") + ShardName(prefix, number, count);
      ++num_named;
    }
    if (num_missing > num_named) {
      missing += " and " + std::to_string(num_missing - num_named) + " more";
    }
    return InvalidArgument(
        "shards of the data set; expected the " + std::to_string(count) +
        " that their names speak of, got " + std::to_string(found.size()) + ", without " + missing +
        ": finish the conversion with the command that began it, or copy what is missing; to read "
        "what is there, give its files as a list, or make a side index of them with pcr-index");
  }
  return Status();
}

}  // namespace pcr
