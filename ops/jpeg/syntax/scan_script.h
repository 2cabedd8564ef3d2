// A scan script: the progression in which images are coded, and its division into
// scan groups (docs/FORMAT.md, section 12).
//
// The text has the form that `jpegtran -scans` reads: entries
// `component[, component]... : Ss-Se, Ah, Al` separated by `;`, and `#` comments.
// A comment line `# group` begins a scan group at the next entry; without such
// lines every scan is a group.

#ifndef PCR_OPS_JPEG_SYNTAX_SCAN_SCRIPT_H_
#define PCR_OPS_JPEG_SYNTAX_SCAN_SCRIPT_H_

#include <string>
#include <string_view>
#include <vector>

#include "ops/base/status.h"

namespace pcr {

// Components that a script names: 0 (luma), 1 and 2.
inline constexpr int kScriptComponents = 3;

// One scan: which bits of which coefficients of which components (T.81 G.1).
struct Scan {
  std::vector<int> components;  // ascending indices, not component identifiers
  int ss = 0;                   // first coefficient in zigzag order, 0..63
  int se = 0;                   // last one
  int ah = 0;                   // bit position sent before; 0 in a first scan
  int al = 0;                   // bit position sent now, 0..10
  int group = 0;                // scan group from 0: one less than the g of FORMAT.md
};

struct SamplingFactors {
  int h = 1;
  int v = 1;
};

class ScanScript {
 public:
  // Errors are INVALID_ARGUMENT: "scan script, line 4: <rule>; expected <x>, got <y>".
  // Example: Parse("0,1,2: 0-0, 0, 0; 0: 1-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0;").
  static Result<ScanScript> Parse(std::string_view text);

  // The text as given.
  const std::string& text() const { return text_; }
  int num_groups() const { return static_cast<int>(scans_per_group_.size()); }
  // Scans of the script in each group: num_groups() values, each at least 1.
  const std::vector<int>& scans_per_group() const { return scans_per_group_; }
  const std::vector<Scan>& scans() const { return scans_; }

  // The script for an image of components.size() >= 1 components: scans lose the
  // components that are missing, further components follow component 2, and a scan of
  // more than 4 components or 10 blocks per MCU becomes one scan per component. The
  // groups are those of scans() and ascend; the first scan is always in group 0, others
  // may have no scan.
  std::vector<Scan> ForImage(const std::vector<SamplingFactors>& components) const;

 private:
  ScanScript() = default;

  std::string text_;
  std::vector<Scan> scans_;
  std::vector<int> scans_per_group_;
};

}  // namespace pcr

#endif  // PCR_OPS_JPEG_SYNTAX_SCAN_SCRIPT_H_
