// FidelityMixture: a probability for each of some fidelities, and the draw of
// one for each record.

#ifndef PCR_OPS_FORMAT_FIDELITY_MIXTURE_H_
#define PCR_OPS_FORMAT_FIDELITY_MIXTURE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/base/status.h"

namespace pcr {

// A single fidelity is a mixture of one. Immutable.
class FidelityMixture {
 public:
  // How far from 1 the sum of the weights may be; they are divided by it.
  static constexpr double kTolerance = 1e-6;

  // The text of a mixture, also the content of a file that holds one:
  //
  //   pcr-fidelity 1
  //   2 0.8
  //   10 0.2
  //   end
  //
  // A line for each fidelity, ascending: scan groups, 1 to layout::kMaxGroups, and a positive
  // weight. The last line tells a whole text from the beginning of one.
  // INVALID_ARGUMENT for any other text.
  static Result<FidelityMixture> Parse(std::string_view text);

  // As given to Parse, but for white space.
  const std::string& text() const { return text_; }
  bool is_single() const { return parts_.size() == 1; }
  int max_scan_groups() const { return parts_.back().scan_groups; }

  // The scan groups to read of a record (a global ordinal) in an epoch. Follows from the arguments
  // and the mixture alone; docs/ORDER.md states the rule. It is part of the checkpoint format, as
  // the order of records is.
  int Draw(uint64_t seed, uint64_t epoch, uint64_t record) const;

 private:
  struct Part {
    int scan_groups;
    uint64_t end;  // drawn for numbers below it, of 0 to 2^53 - 1, and not below the part before
  };

  FidelityMixture() = default;

  std::string text_;
  std::vector<Part> parts_;  // at least one
};

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_FIDELITY_MIXTURE_H_
