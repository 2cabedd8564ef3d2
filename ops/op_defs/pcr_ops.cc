#include "ops/op_defs/dataset_inputs.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace pcr {
namespace {

using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;

// The ranks of PcrDataset's inputs.
#define PCR_RANK_OF_SCALAR(type, name, range) 0,
#define PCR_RANK_OF_VECTOR(type, name, range) 1,
constexpr int kDatasetInputRanks[] = {PCR_DATASET_INPUTS(PCR_RANK_OF_SCALAR, PCR_RANK_OF_VECTOR)};

// All inputs and outputs are scalars.
absl::Status Scalars(InferenceContext* c) {
  ShapeHandle unused;
  for (int i = 0; i < c->num_inputs(); ++i) {
    TF_RETURN_IF_ERROR(c->WithRank(c->input(i), 0, &unused));
  }
  for (int i = 0; i < c->num_outputs(); ++i) c->set_output(i, c->Scalar());
  return absl::Status();
}

#define PCR_INPUT(type, name, range) .Input(#name ": " #type)
// clang-format off
REGISTER_OP("PcrDataset")
    PCR_DATASET_INPUTS(PCR_INPUT, PCR_INPUT)
    // clang-format on
    .Output("handle: variant")
    .Attr("metadata: string = ''")
    .Attr("file_sharding: string = ''")
    // Stateful, so that constant folding does not run it.
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle unused;
      for (int i = 0; i < c->num_inputs(); ++i) {
        TF_RETURN_IF_ERROR(c->WithRank(c->input(i), kDatasetInputRanks[i], &unused));
      }
      return tensorflow::shape_inference::ScalarShape(c);
    })
    .Doc(R"doc(
Serialized tf.train.Examples of a PCR data set at a fidelity, one scalar each.

paths: [P] The folder of a data set, or its files.
scan_groups: Scan groups to read, 1 to the data set's number; 2^63 - 1: all. Not used if `fidelity`
  is given.
shuffle: Whether to go through the records in a new order in each epoch.
seed: Seed of the epochs' orders.
seed_is_private: Whether this process drew the seed: other processes have other seeds.
seeded_shuffles: How many of tf.data's shuffles behind this data set have seeds that all processes
  share.
num_shards: Number of readers that share the records.
shard_index: Which of them this one is.
reads_in_flight: Bound on range reads under way and records not yet delivered; -1: by the paths.
bytes_in_flight: Bound on their bytes; a larger record is read alone; -1: by the paths.
shared_id: Names what counts the epochs. Empty: this data set, from first_epoch on. "function <n>":
  all data sets that this process makes with this value, since a function that makes one is called
  again and again. "copy <n>": as its original; made by the op when tf.data rewrites a graph.
first_epoch: Number of the epoch that the first iterator goes through.
resume_num_shards: [S] Numbers of readers: of those that began that epoch, then of those that went
  on with the rest, and so on. Every iterator goes through what is left. Empty: the whole epoch.
resume_examples: [S] How many examples each of these readers had read.
provenance: Whether two more components follow each example: its name, a scalar, "file: record 3,
  example 2", with the number of its images if that is not one; and a seed of stateless random ops,
  int64 [2], that follows from seed, epoch and example.
fidelity: Names the pcr_tf.Fidelity that says how many scan groups to read: as in PcrSetFidelity;
  empty: `scan_groups` does.
fidelity_poll_ms: As in PcrSetFidelity.
file_sharding: A text that tf.data shows in its error where it is asked to shard by files.
)doc");

REGISTER_OP("PcrDatasetInfo")
    .Input("dataset: variant")
    .Output("image_features: string")
    .Output("num_records: int64")
    .Output("num_scan_groups: int64")
    .Output("format_minor: int64")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->Vector(InferenceContext::kUnknownDim));
      for (int i = 1; i < c->num_outputs(); ++i) c->set_output(i, c->Scalar());
      return absl::Status();
    })
    .Doc(R"doc(
What the index of a PcrDataset says.

dataset: A PcrDataset.
image_features: [F] The keys of the features that hold its images.
num_records: How many records this reader goes through in an epoch.
num_scan_groups: How many scan groups each record has.
format_minor: The minor version of the format of its files.
)doc");

REGISTER_OP("PcrSetFidelity")
    .Input("fidelity: string")
    .Input("fidelity_poll_ms: int64")
    .Input("value: string")
    .SetIsStateful()
    .SetShapeFn(Scalars)
    .Doc(R"doc(
Sets the value of a pcr_tf.Fidelity in this process, which PcrDatasets obey.

fidelity: Its id, or the path of its file, which this op does not write.
fidelity_poll_ms: For a path, the least time between two looks at the file; 0: `fidelity` is an id.
value: In the form that ops/format/fidelity_mixture.h describes.
)doc");

REGISTER_OP("PcrFidelity")
    .Input("fidelity: string")
    .Input("fidelity_poll_ms: int64")
    .Output("value: string")
    .SetIsStateful()
    .SetShapeFn(Scalars)
    .Doc(R"doc(
The value of a pcr_tf.Fidelity, read from its file if that is due.

fidelity: As in PcrSetFidelity.
fidelity_poll_ms: As in PcrSetFidelity.
value: As in PcrSetFidelity.
)doc");

REGISTER_OP("PcrFidelityBound")
    .Input("fidelity: string")
    .Input("fidelity_poll_ms: int64")
    .Output("dataset: string")
    .Output("num_scan_groups: int64")
    .SetIsStateful()
    .SetShapeFn(Scalars)
    .Doc(R"doc(
How many scan groups the data sets of this process have that obey a pcr_tf.Fidelity.

fidelity: As in PcrSetFidelity.
fidelity_poll_ms: As in PcrSetFidelity.
dataset: The path of the one that has the fewest; empty if there is none.
num_scan_groups: How many it has; 0 if there is none.
)doc");

REGISTER_OP("PcrReadStatistics")
    .Output("values: int64")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->Vector(InferenceContext::kUnknownDim));
      return absl::Status();
    })
    .Doc(R"doc(
What the PcrDatasets of this process have asked of file systems since it began.

values: [9 + B] Range reads; bytes they brought; look-ups of sizes and folders; retries; second
  reads of damaged bytes; requests that failed for good; microseconds waited for range reads; the
  longest of these waits; microseconds that consumers of examples were blocked; then B buckets of
  waits: bucket n counts those of [2^(n-1), 2^n) microseconds, bucket 0 those below 1, the last all
  longer ones.
)doc");

}  // namespace
}  // namespace pcr
