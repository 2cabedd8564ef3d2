// DatasetInputs: the values of PcrDataset's inputs, as ops/op_defs/dataset_inputs.h lists them.

#ifndef PCR_OPS_KERNELS_DATASET_INPUTS_H_
#define PCR_OPS_KERNELS_DATASET_INPUTS_H_

#include <cstdint>
#include <limits>
#include <vector>

#include "absl/status/status.h"
#include "ops/format/record_order.h"
#include "ops/op_defs/dataset_inputs.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/tstring.h"

namespace pcr {

// Value of scan_groups: as many as the data set has.
constexpr int64_t kAllScanGroups = std::numeric_limits<int64_t>::max();
// Value of reads_in_flight and bytes_in_flight: what suits the paths.
constexpr int64_t kAutoInFlight = -1;

namespace op_type {
// By TensorFlow's names of types.
using input_string = tensorflow::tstring;
using input_int64 = int64_t;
using input_bool = bool;
}  // namespace op_type

struct DatasetInputs {
#define PCR_SCALAR_MEMBER(type, name, range) op_type::input_##type name{};
#define PCR_VECTOR_MEMBER(type, name, range) std::vector<op_type::input_##type> name;
  PCR_DATASET_INPUTS(PCR_SCALAR_MEMBER, PCR_VECTOR_MEMBER)
#undef PCR_SCALAR_MEMBER
#undef PCR_VECTOR_MEMBER

  RecordOrderOptions order_options() const;
};

// Calls visit(name, &value) for each input in the op's order, until one fails. A value is a member
// of `inputs`: a scalar or a vector.
template <typename Inputs, typename Visit>
absl::Status ForEachInput(Inputs* inputs, const Visit& visit) {
  absl::Status status;
#define PCR_VISIT(type, name, range) \
  if (status.ok()) status = visit(#name, &inputs->name);
  PCR_DATASET_INPUTS(PCR_VISIT, PCR_VISIT)
#undef PCR_VISIT
  return status;
}

// Takes the values from the op's inputs. INVALID_ARGUMENT for one out of its range, and where some
// do not fit together.
absl::Status ParseInputs(tensorflow::OpKernelContext* ctx, DatasetInputs* inputs);

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_DATASET_INPUTS_H_
