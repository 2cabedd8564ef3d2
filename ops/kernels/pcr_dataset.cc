#include "ops/kernels/pcr_dataset.h"

#include <utility>

#include "ops/kernels/pcr_dataset_iterator.h"
#include "ops/kernels/record_split_provider.h"
#include "ops/kernels/sharding_check.h"
#include "tensorflow/core/framework/dataset_options.pb.h"
#include "tensorflow/core/framework/partial_tensor_shape.h"
#include "tensorflow/core/platform/errors.h"

namespace pcr {

using ::tensorflow::DataTypeVector;
using ::tensorflow::PartialTensorShape;
using ::tensorflow::data::DatasetContext;
using ::tensorflow::data::IteratorBase;
using ::tensorflow::data::IteratorContext;
using ::tensorflow::data::SerializationContext;
using ::tensorflow::data::SplitProvider;

// tf.data shows the value in its error when it looks for files to shard and finds none.
constexpr char kFileShardingAttr[] = "file_sharding";
constexpr char kFileShardingRemedy[] =
    "A PcrDataset has no files that tf.data could share among workers, as AutoShardPolicy.FILE or "
    "ShardingPolicy.FILE ask it to. Give PcrDataset num_shards and shard_index instead, or use "
    "AutoShardPolicy.DATA, or in the tf.data service ShardingPolicy.DYNAMIC.";

namespace {

template <typename Builder, typename T>
absl::Status AddInput(Builder* b, const T& value, tensorflow::Node** node) {
  return b->AddScalar(value, node);
}

template <typename Builder, typename T>
absl::Status AddInput(Builder* b, const std::vector<T>& values, tensorflow::Node** node) {
  return b->AddVector(values, node);
}

}  // namespace

PcrDataset::PcrDataset(tensorflow::OpKernelContext* ctx, DatasetInputs inputs,
                       std::shared_ptr<SharedDataset> shared, FidelityCell* fidelity_cell)
    : DatasetBase(DatasetContext(ctx)),
      inputs_(std::move(inputs)),
      shared_(std::move(shared)),
      fidelity_cell_(fidelity_cell) {
  const auto& counts = shared_->index.columns().example_counts;
  // Shuffling does not change how many examples a shard has, unless it shares the rest of an epoch.
  RecordOrderOptions options = order_options();
  options.shuffle = options.shuffle && !options.resume.empty();
  for (const RecordPart& part :
       RecordOrder(counts, options, static_cast<uint64_t>(inputs_.first_epoch))) {
    cardinality_ += static_cast<int64_t>(counts[part.record] - part.first_example);
    ++num_records_;
  }
  if (inputs_.num_shards > 1) {
    // A distribution strategy would otherwise shard this reader's share again.
    tensorflow::data::Options tf_options;
    tf_options.mutable_distribute_options()->set_auto_shard_policy(
        tensorflow::data::AutoShardPolicy::OFF);
    set_options(tf_options);
  }
}

std::unique_ptr<IteratorBase> PcrDataset::MakeIteratorInternal(const std::string& prefix) const {
  return std::make_unique<PcrDatasetIterator>(
      PcrDatasetIterator::Params{this, tensorflow::strings::StrCat(prefix, "::", kDatasetType)});
}

const DataTypeVector& PcrDataset::output_dtypes() const {
  static const auto* const example = new DataTypeVector({tensorflow::DT_STRING});
  static const auto* const with_provenance =
      new DataTypeVector({tensorflow::DT_STRING, tensorflow::DT_STRING, tensorflow::DT_INT64});
  return inputs_.provenance ? *with_provenance : *example;
}

const std::vector<PartialTensorShape>& PcrDataset::output_shapes() const {
  static const auto* const example = new std::vector<PartialTensorShape>({{}});
  static const auto* const with_provenance = new std::vector<PartialTensorShape>(
      {PartialTensorShape({}), PartialTensorShape({}), PartialTensorShape({2})});
  return inputs_.provenance ? *with_provenance : *example;
}

absl::Status PcrDataset::MakeSplitProviders(
    std::vector<std::unique_ptr<SplitProvider>>* split_providers) const {
  if (!inputs_.resume_num_shards.empty()) {
    return tensorflow::errors::Unimplemented(
        "the rest of an epoch cannot be dealt out by the tf.data service, which deals out whole "
        "records: give its readers num_shards and shard_index, and ShardingPolicy.OFF");
  }
  split_providers->push_back(
      std::make_unique<RecordSplitProvider>(shared_, order_options(), inputs_.first_epoch));
  return absl::OkStatus();
}

absl::Status PcrDataset::CheckSharding(const IteratorContext& ctx,
                                       const std::string& prefix) const {
  return pcr::CheckSharding(
      ctx, prefix,
      {inputs_.num_shards, inputs_.shuffle && inputs_.seed_is_private, inputs_.seeded_shuffles});
}

bool PcrDataset::seed_decides() const {
  if (inputs_.seed_is_private) return false;
  if (inputs_.shuffle || inputs_.provenance) return true;
  const FidelityCell::Value value = fidelity_cell_ == nullptr ? nullptr : fidelity_cell_->value();
  return value != nullptr && !value->is_single();
}

ReadOptions PcrDataset::read_options() const {
  ReadOptions options = DefaultReadOptions({inputs_.paths.begin(), inputs_.paths.end()});
  if (inputs_.reads_in_flight != kAutoInFlight) {
    options.reads = options.reads_or_waiting = inputs_.reads_in_flight;
  }
  if (inputs_.bytes_in_flight != kAutoInFlight) {
    options.bytes = options.bytes_or_waiting = inputs_.bytes_in_flight;
  }
  return options;
}

RecordFidelity PcrDataset::fidelity() const {
  if (fidelity_cell_ != nullptr) return {fidelity_cell_, inputs_.fidelity_poll_ms};
  return RecordFidelity(inputs_.scan_groups == kAllScanGroups
                            ? shared_->index.header().num_groups()
                            : static_cast<int>(inputs_.scan_groups));
}

absl::Status PcrDataset::AsGraphDefInternal(SerializationContext* ctx, DatasetGraphDefBuilder* b,
                                            tensorflow::Node** output) const {
  DatasetInputs inputs = inputs_;
  // A rewrite makes a copy that goes on counting epochs. Any other graph may run anywhere: its data
  // sets start counting anew, and share the seed that it holds.
  const bool is_copy = ctx->is_graph_rewrite();
  inputs.seed_is_private = is_copy && inputs_.seed_is_private;
  inputs.shared_id = is_copy ? shared_->id_of_copies() : "";

  std::vector<tensorflow::Node*> nodes;
  TF_RETURN_IF_ERROR(ForEachInput(&inputs, [&](const char* /*name*/, auto* value) {
    nodes.push_back(nullptr);
    return AddInput(b, *value, &nodes.back());
  }));
  tensorflow::AttrValue remedy;
  b->BuildAttrValue(std::string(kFileShardingRemedy), &remedy);
  return b->AddDataset(this, nodes, {{kFileShardingAttr, remedy}}, output);
}

}  // namespace pcr
