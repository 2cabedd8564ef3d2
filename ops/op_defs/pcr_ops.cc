#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace pcr {
namespace {

using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;

// Ordinal of an input of PcrDataset; resume_examples is the next one.
constexpr int kResumeNumShards = 10;

REGISTER_OP("PcrDataset")
    .Input("paths: string")
    .Input("scan_groups: int64")
    .Input("shuffle: bool")
    .Input("seed: int64")
    .Input("num_shards: int64")
    .Input("shard_index: int64")
    .Input("reads_in_flight: int64")
    .Input("bytes_in_flight: int64")
    .Input("shared_id: string")
    .Input("first_epoch: int64")
    .Input("resume_num_shards: int64")
    .Input("resume_examples: int64")
    .Input("provenance: bool")
    .Output("handle: variant")
    .Attr("metadata: string = ''")
    // Stateful, so that constant folding does not run it.
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle unused;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 1, &unused));
      for (int i = 1; i < c->num_inputs(); ++i) {
        const bool is_vector = i == kResumeNumShards || i == kResumeNumShards + 1;
        TF_RETURN_IF_ERROR(c->WithRank(c->input(i), is_vector ? 1 : 0, &unused));
      }
      return tensorflow::shape_inference::ScalarShape(c);
    })
    .Doc(R"doc(
Serialized tf.train.Examples of a PCR data set at a fidelity, one scalar each.

paths: [P] The folder of a data set, or its files.
scan_groups: Fidelity: scan groups to read, 1 to the data set's number; 2^63 - 1: all.
shuffle: Whether to go through the records in a new order in each epoch.
seed: Of the epochs' orders.
num_shards: Number of readers that share the records.
shard_index: Which of them this one is.
reads_in_flight: Bound on range reads under way and records not yet delivered; -1: by the paths.
bytes_in_flight: Bound on their bytes; a larger record is read alone.
shared_id: Names the data set object whose copies share an index and a count of epochs.
first_epoch: Number of the epoch that the first iterator goes through.
resume_num_shards: [S] Numbers of readers: of those that began that epoch, then of those that went
  on with the rest, and so on. Every iterator goes through what is left. Empty: the whole epoch.
resume_examples: [S] How many examples each of these readers had read.
provenance: Whether two more components follow each example: its name, a scalar, "file: record 3,
  example 2"; and a seed of stateless random ops, int64 [2], that follows from seed, epoch and
  example.
)doc");

REGISTER_OP("PcrImageFeatures")
    .Input("dataset: variant")
    .Output("image_features: string")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->Vector(InferenceContext::kUnknownDim));
      return absl::Status();
    })
    .Doc(R"doc(
The features that hold the images of a PcrDataset.

dataset: A PcrDataset.
image_features: [F] Their keys.
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
