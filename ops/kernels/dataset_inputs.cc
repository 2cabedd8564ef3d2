#include "ops/kernels/dataset_inputs.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/dataset.h"

namespace pcr {
namespace {

constexpr int64_t kMaxEpoch = (int64_t{1} << 62) - 1;

// The values that an input may have.
struct Range {
  int64_t min;
  int64_t max;
  std::string text;
  bool or_auto = false;  // or kAutoInFlight
};

struct AnyRange {};

AnyRange Any() { return {}; }
Range Between(int64_t min, int64_t max, const char* text) { return {min, max, text}; }
Range AtLeast(int64_t min) {
  return {min, std::numeric_limits<int64_t>::max(), absl::StrCat("at least ", min)};
}
Range AutoOr(Range range) {
  range.or_auto = true;
  return range;
}

template <typename Value>
absl::Status Check(const char* /*name*/, const Value& /*value*/, const AnyRange& /*range*/) {
  return absl::OkStatus();
}

absl::Status Check(const char* name, int64_t value, const Range& range) {
  const bool is_auto = range.or_auto && value == kAutoInFlight;
  if (is_auto || (value >= range.min && value <= range.max)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, "; expected ", range.text, ", got ", value));
}

absl::Status Check(const char* name, const std::vector<int64_t>& values, const Range& range) {
  for (const int64_t value : values) TF_RETURN_IF_ERROR(Check(name, value, range));
  return absl::OkStatus();
}

absl::Status CheckRanges(const DatasetInputs& inputs) {
#define PCR_CHECK(type, name, range) TF_RETURN_IF_ERROR(Check(#name, inputs.name, range));
  PCR_DATASET_INPUTS(PCR_CHECK, PCR_CHECK)
#undef PCR_CHECK
  return absl::OkStatus();
}

// What one input requires of another.
absl::Status CheckTogether(const DatasetInputs& inputs) {
  if (inputs.shard_index < 0 || inputs.shard_index >= inputs.num_shards) {
    return absl::InvalidArgumentError(
        absl::StrCat("shard_index; expected 0 to num_shards - 1, got ", inputs.shard_index));
  }
  if (inputs.resume_num_shards.size() != inputs.resume_examples.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("values of resume_examples; expected ", inputs.resume_num_shards.size(),
                     ", as of resume_num_shards, got ", inputs.resume_examples.size()));
  }
  return absl::OkStatus();
}

struct Parse {
  tensorflow::OpKernelContext* ctx;

  template <typename T>
  absl::Status operator()(const char* name, T* value) const {
    return tensorflow::data::ParseScalarArgument<T>(ctx, name, value);
  }
  template <typename T>
  absl::Status operator()(const char* name, std::vector<T>* values) const {
    return tensorflow::data::ParseVectorArgument<T>(ctx, name, values);
  }
};

}  // namespace

RecordOrderOptions DatasetInputs::order_options() const {
  RecordOrderOptions options{shuffle,
                             static_cast<uint64_t>(seed),
                             static_cast<uint64_t>(num_shards),
                             static_cast<uint64_t>(shard_index),
                             {}};
  for (size_t i = 0; i < resume_num_shards.size(); ++i) {
    options.resume.push_back(
        {static_cast<uint64_t>(resume_num_shards[i]), static_cast<uint64_t>(resume_examples[i])});
  }
  return options;
}

absl::Status ParseInputs(tensorflow::OpKernelContext* ctx, DatasetInputs* inputs) {
  TF_RETURN_IF_ERROR(ForEachInput(inputs, Parse{ctx}));
  TF_RETURN_IF_ERROR(CheckRanges(*inputs));
  return CheckTogether(*inputs);
}

}  // namespace pcr
