#include "ops/jpeg/syntax/scan_script.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "ops/format/layout.h"
#include "ops/jpeg/syntax/zigzag.h"

namespace pcr {
namespace {

constexpr int kCoefficients = 64;
constexpr int kMaxAl = 10;                  // libjpeg's jcmaster.c, MAX_AH_AL
constexpr size_t kMaxComponentsInScan = 4;  // T.81 B.2.3

bool IsBlank(char c) { return std::string_view(" \t\r\n\f\v").find(c) != std::string_view::npos; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

Status At(int line, std::string message) {
  return InvalidArgument("scan script, line " + std::to_string(line) + ": " + std::move(message));
}

// An entry's text without comments, and the line of its first character.
struct Entry {
  std::string text;
  int line = 0;
  bool begins_group = false;
};

struct Entries {
  std::vector<Entry> entries;
  bool has_groups = false;
};

class EntrySplitter {
 public:
  Result<Entries> Split(std::string_view text) {
    for (line_ = 1; !text.empty(); ++line_) {
      const size_t end = std::min(text.find('\n'), text.size());
      PCR_RETURN_IF_ERROR(AddLine(text.substr(0, end)));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    if (entry_.line != 0) result_.entries.push_back(std::move(entry_));
    if (group_line_ != 0) return At(group_line_, "a scan group must hold a scan");
    return std::move(result_);
  }

 private:
  Status AddLine(std::string_view line) {
    const size_t hash = line.find('#');
    const std::string_view code = line.substr(0, hash);
    if (hash != std::string_view::npos && Trim(code).empty() &&
        Trim(line.substr(hash + 1)) == "group") {
      if (group_line_ != 0) return At(group_line_, "a scan group must hold a scan");
      group_line_ = line_;
      result_.has_groups = true;
      return Status();
    }
    for (const char c : code) {
      if (c == ';') {
        if (entry_.line == 0) return At(line_, "`;` must follow a scan");
        result_.entries.push_back(std::move(entry_));
        entry_ = Entry();
        continue;
      }
      if (entry_.line == 0 && !IsBlank(c)) {
        entry_.line = line_;
        entry_.begins_group = std::exchange(group_line_, 0) != 0;
      }
      if (entry_.line != 0) entry_.text += c;
    }
    if (entry_.line != 0) entry_.text += ' ';
    return Status();
  }

  Entries result_;
  Entry entry_;  // begun but not ended; line 0: not begun
  int line_ = 0;
  int group_line_ = 0;  // of a `# group` line whose group has not begun; 0: none
};

// Numbers separated by blanks and at most one `,` or `-`, as jpegtran separates them.
Result<std::vector<int>> ParseNumbers(std::string_view text, int line) {
  std::vector<int> numbers;
  bool separated = true;  // a number may begin here without an error about separators
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (IsBlank(c)) {
      ++i;
    } else if ((c == ',' || c == '-') && !separated) {
      separated = true;
      ++i;
    } else if (IsDigit(c)) {
      int value = 0;
      const size_t begin = i;
      for (; i < text.size() && IsDigit(text[i]); ++i) {
        if (i - begin >= 4) return At(line, "a number must have at most 4 digits");
        value = 10 * value + (text[i] - '0');
      }
      numbers.push_back(value);
      separated = false;
    } else {
      return At(line, Expected("a scan must read `component[, component]... : Ss-Se, Ah, Al`",
                               "a number", std::string("`") + c + "`"));
    }
  }
  if (separated && !numbers.empty()) return At(line, "a number must follow `,` and `-`");
  return numbers;
}

Result<Scan> ParseScan(const Entry& entry) {
  const std::string_view text = entry.text;
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return At(entry.line, Expected("a scan must state its coefficients after its components",
                                   "`: Ss-Se, Ah, Al`", "no `:`"));
  }
  Result<std::vector<int>> components = ParseNumbers(text.substr(0, colon), entry.line);
  if (!components.ok()) return components.status();
  Result<std::vector<int>> range = ParseNumbers(text.substr(colon + 1), entry.line);
  if (!range.ok()) return range.status();
  if (components.value().empty()) return At(entry.line, "a scan must name a component");
  if (range.value().size() != 4) {
    return At(entry.line, Expected("Ss-Se, Ah, Al must follow `:`", "4 numbers",
                                   std::to_string(range.value().size())));
  }
  Scan scan;
  scan.components = std::move(components).value();
  scan.ss = range.value()[0];
  scan.se = range.value()[1];
  scan.ah = range.value()[2];
  scan.al = range.value()[3];
  return scan;
}

// Follows a progression scan by scan, and knows what each coefficient still lacks.
class Progression {
 public:
  Progression() {
    for (auto& component : al_) component.fill(kNotSent);
  }

  Status Add(const Scan& scan, int line) {
    PCR_RETURN_IF_ERROR(CheckForm(scan, line));
    for (const int component : scan.components) {
      auto& al = al_[component];
      if (scan.ss > 0 && al[0] == kNotSent) {
        return At(line,
                  "the DC of component " + std::to_string(component) + " must come before its AC");
      }
      for (int k = scan.ss; k <= scan.se; ++k) {
        const std::string where = Where(component, k);
        if (al[k] == kNotSent) {
          if (scan.ah != 0) {
            return At(line, where + Expected("the first scan has Ah = 0", 0, scan.ah));
          }
        } else {
          if (al[k] == 0) return At(line, where + "all its bits have been sent before");
          if (scan.ah != al[k]) {
            return At(line, where + Expected("Ah must be the previous Al", al[k], scan.ah));
          }
          if (scan.al != scan.ah - 1) {
            return At(line, where + Expected("a refinement has Al = Ah - 1", scan.ah - 1, scan.al));
          }
        }
        al[k] = scan.al;
      }
    }
    return Status();
  }

  Status CheckComplete(int line) const {
    for (int component = 0; component < kScriptComponents; ++component) {
      for (int k = 0; k < kCoefficients; ++k) {
        const int al = al_[component][k];
        if (al == 0) continue;
        return At(line,
                  Where(component, k) +
                      Expected("a script must send every coefficient to its last bit", "Al = 0",
                               al == kNotSent ? "no scan" : "Al = " + std::to_string(al)));
      }
    }
    return Status();
  }

 private:
  static constexpr int kNotSent = -1;

  static std::string Where(int component, int coefficient) {
    return "component " + std::to_string(component) + ", coefficient " +
           std::to_string(coefficient) + ": ";
  }

  static Status CheckForm(const Scan& scan, int line) {
    int previous = -1;
    for (const int component : scan.components) {
      if (component >= kScriptComponents) {
        return At(line, Expected("components are 0, 1 and 2", "0..2", component));
      }
      if (component <= previous) {
        return At(line, Expected("components must ascend", "more than " + std::to_string(previous),
                                 component));
      }
      previous = component;
    }
    if (scan.ss == 0 && scan.se != 0) {
      return At(line, Expected("a DC scan has Ss = Se = 0", 0, scan.se));
    }
    if (scan.se < scan.ss || scan.se >= kCoefficients) {
      return At(line, Expected("Se must lie in Ss..63", std::to_string(scan.ss) + "..63", scan.se));
    }
    if (scan.ss > 0 && scan.components.size() != 1) {
      return At(line, Expected("an AC scan names one component", 1, scan.components.size()));
    }
    if (scan.al > kMaxAl) return At(line, Expected("Al", "0 to 10", scan.al));
    return Status();
  }

  // Al of the last scan of each coefficient.
  std::array<std::array<int, kCoefficients>, kScriptComponents> al_;
};

}  // namespace

Result<ScanScript> ScanScript::Parse(std::string_view text) {
  Result<Entries> split = EntrySplitter().Split(text);
  if (!split.ok()) return split.status();
  const std::vector<Entry>& entries = split.value().entries;
  if (entries.empty()) return At(1, "a script must hold a scan");

  ScanScript script;
  script.text_ = std::string(text);
  Progression progression;
  for (const Entry& entry : entries) {
    Result<Scan> parsed = ParseScan(entry);
    if (!parsed.ok()) return parsed.status();
    Scan& scan = parsed.value();
    PCR_RETURN_IF_ERROR(progression.Add(scan, entry.line));
    if (script.scans_.empty() && scan.components.front() != 0) {
      return At(entry.line, Expected("the first scan must hold the DC of component 0", 0,
                                     scan.components.front()));
    }
    if (script.scans_.empty() || entry.begins_group || !split.value().has_groups) {
      script.scans_per_group_.push_back(0);
    }
    if (script.num_groups() > layout::kMaxGroups) {
      return At(entry.line, Expected("a script has at most 100 scan groups", layout::kMaxGroups,
                                     script.num_groups()) +
                                "; put several scans in a group with `# group` lines");
    }
    ++script.scans_per_group_.back();
    scan.group = script.num_groups() - 1;
    script.scans_.push_back(std::move(scan));
  }
  PCR_RETURN_IF_ERROR(progression.CheckComplete(entries.back().line));
  return script;
}

std::vector<Scan> ScanScript::ForImage(const std::vector<SamplingFactors>& components) const {
  const int num_components = static_cast<int>(components.size());
  constexpr int kLast = kScriptComponents - 1;
  std::vector<Scan> adapted;
  const auto add_single = [&adapted](const Scan& scan, int component) {
    adapted.push_back(scan);
    adapted.back().components.assign(1, component);
  };

  for (const Scan& scan : scans_) {
    Scan wide = scan;
    auto& indices = wide.components;
    indices.erase(std::remove_if(indices.begin(), indices.end(),
                                 [&](int component) { return component >= num_components; }),
                  indices.end());
    if (indices.empty()) continue;
    if (indices.size() == 1) {
      add_single(wide, indices.front());
      if (scan.components.size() == 1 && indices.front() == kLast) {
        for (int extra = kLast + 1; extra < num_components; ++extra) add_single(wide, extra);
      }
      continue;
    }
    if (indices.back() == kLast) {
      for (int extra = kLast + 1; extra < num_components; ++extra) indices.push_back(extra);
    }
    int blocks = 0;
    for (const int component : indices) blocks += components[component].h * components[component].v;
    if (indices.size() > kMaxComponentsInScan || blocks > kMaxBlocksInMcu) {
      for (const int component : indices) add_single(wide, component);
    } else {
      adapted.push_back(std::move(wide));
    }
  }
  return adapted;
}

}  // namespace pcr
