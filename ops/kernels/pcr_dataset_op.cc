#include "ops/kernels/pcr_dataset_op.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "ops/format/record_order.h"
#include "ops/kernels/dataset_opener.h"
#include "ops/kernels/fidelity_cell.h"
#include "ops/kernels/iterator_consumers.h"
#include "ops/kernels/record_fidelity.h"
#include "ops/kernels/record_iteration.h"
#include "ops/kernels/record_split_provider.h"
#include "ops/kernels/record_stream.h"
#include "ops/kernels/sharding_check.h"
#include "ops/kernels/shared_dataset.h"
#include "tensorflow/core/framework/cancellation.h"
#include "tensorflow/core/framework/dataset_options.pb.h"
#include "tensorflow/core/framework/model.h"
#include "tensorflow/core/framework/partial_tensor_shape.h"
#include "tensorflow/core/platform/errors.h"
#include "tensorflow/core/platform/mutex.h"

namespace pcr {

using ::tensorflow::DataTypeVector;
using ::tensorflow::mutex;
using ::tensorflow::mutex_lock;
using ::tensorflow::PartialTensorShape;
using ::tensorflow::Tensor;
using ::tensorflow::tstring;
using ::tensorflow::data::DatasetBase;
using ::tensorflow::data::DatasetContext;
using ::tensorflow::data::DatasetIterator;
using ::tensorflow::data::IteratorBase;
using ::tensorflow::data::IteratorContext;
using ::tensorflow::data::IteratorStateReader;
using ::tensorflow::data::IteratorStateWriter;
using ::tensorflow::data::SerializationContext;
using ::tensorflow::data::SplitProvider;

constexpr int64_t kMaxReadsInFlight = 1024;
constexpr int64_t kAutoInFlight = -1;
constexpr int64_t kMaxEpoch = int64_t{1} << 62;
// Far more than there are; each costs some bytes.
constexpr int64_t kMaxResumeShards = 1 << 20;
// Stands for the number of groups that the data set has.
constexpr int64_t kAllScanGroups = std::numeric_limits<int64_t>::max();

// Values of shared_id that SharedDataset's copy_ids, or a program's numbers of data sets, follow.
constexpr char kCopy[] = "copy ";
constexpr char kFunction[] = "function ";

// Its value goes into the error of tf.data when it looks for files to shard and finds none.
constexpr char kFileShardingAttr[] = "file_sharding";
constexpr char kFileShardingRemedy[] =
    "A PcrDataset has no files that tf.data could share among workers, as AutoShardPolicy.FILE or "
    "ShardingPolicy.FILE ask it to. Give PcrDataset num_shards and shard_index instead, or use "
    "AutoShardPolicy.DATA, or in the tf.data service ShardingPolicy.DYNAMIC.";

class PcrDatasetOp::Dataset : public DatasetBase {
 public:
  // The op's inputs, as given.
  struct Inputs {
    std::vector<tstring> paths;
    int64_t scan_groups = 0;
    bool shuffle = false;
    int64_t seed = 0;
    bool seed_is_private = false;
    int64_t seeded_shuffles = 0;
    int64_t num_shards = 1;
    int64_t shard_index = 0;
    int64_t reads_in_flight = 1;
    int64_t bytes_in_flight = 1;
    tstring shared_id;
    int64_t first_epoch = 0;
    std::vector<int64_t> resume_num_shards;
    std::vector<int64_t> resume_examples;
    bool provenance = false;
    tstring fidelity;
    int64_t fidelity_poll_ms = 0;

    RecordOrderOptions order_options() const {
      RecordOrderOptions options{shuffle,
                                 static_cast<uint64_t>(seed),
                                 static_cast<uint64_t>(num_shards),
                                 static_cast<uint64_t>(shard_index),
                                 {}};
      for (size_t i = 0; i < resume_num_shards.size(); ++i) {
        options.resume.push_back({static_cast<uint64_t>(resume_num_shards[i]),
                                  static_cast<uint64_t>(resume_examples[i])});
      }
      return options;
    }
  };

  // What the data set of these inputs shares with its copies: if it is one, that of the original.
  static absl::Status Share(tensorflow::OpKernelContext* ctx, const Inputs& inputs,
                            std::shared_ptr<SharedDataset>* shared);

  Dataset(tensorflow::OpKernelContext* ctx, Inputs inputs, std::shared_ptr<SharedDataset> shared,
          FidelityCell* fidelity_cell)
      : DatasetBase(DatasetContext(ctx)),
        inputs_(std::move(inputs)),
        shared_(std::move(shared)),
        fidelity_cell_(fidelity_cell) {
    const auto& counts = shared_->index.columns().example_counts;
    // Shuffling does not change how many examples a shard has, unless it shares
    // the rest of one epoch.
    RecordOrderOptions options = order_options();
    options.shuffle = options.shuffle && !options.resume.empty();
    for (const RecordPart& part :
         RecordOrder(counts, options, static_cast<uint64_t>(inputs_.first_epoch))) {
      cardinality_ += static_cast<int64_t>(counts[part.record] - part.first_example);
      ++num_records_;
    }
    if (inputs_.num_shards > 1) {
      // Else a distribution strategy would deal out this reader's share once more.
      tensorflow::data::Options tf_options;
      tf_options.mutable_distribute_options()->set_auto_shard_policy(
          tensorflow::data::AutoShardPolicy::OFF);
      set_options(tf_options);
    }
  }

  std::unique_ptr<IteratorBase> MakeIteratorInternal(const std::string& prefix) const override;

  const DataTypeVector& output_dtypes() const override {
    static const auto* const example = new DataTypeVector({tensorflow::DT_STRING});
    static const auto* const with_provenance =
        new DataTypeVector({tensorflow::DT_STRING, tensorflow::DT_STRING, tensorflow::DT_INT64});
    return inputs_.provenance ? *with_provenance : *example;
  }

  const std::vector<PartialTensorShape>& output_shapes() const override {
    static const auto* const example = new std::vector<PartialTensorShape>({{}});
    static const auto* const with_provenance = new std::vector<PartialTensorShape>(
        {PartialTensorShape({}), PartialTensorShape({}), PartialTensorShape({2})});
    return inputs_.provenance ? *with_provenance : *example;
  }

  std::string DebugString() const override { return "PcrDatasetOp::Dataset"; }

  int64_t CardinalityInternal(tensorflow::data::CardinalityOptions /*options*/) const override {
    return cardinality_;
  }

  absl::Status InputDatasets(std::vector<const DatasetBase*>* /*inputs*/) const override {
    return absl::Status();
  }
  absl::Status CheckExternalState() const override { return absl::Status(); }

  absl::Status MakeSplitProviders(
      std::vector<std::unique_ptr<SplitProvider>>* split_providers) const override {
    if (!inputs_.resume_num_shards.empty()) {
      return tensorflow::errors::Unimplemented(
          "the rest of an epoch cannot be dealt out by the tf.data service, which deals out whole "
          "records: give its readers num_shards and shard_index, and ShardingPolicy.OFF");
    }
    split_providers->push_back(
        std::make_unique<RecordSplitProvider>(shared_, order_options(), inputs_.first_epoch));
    return absl::Status();
  }

  absl::Status CheckSharding(const IteratorContext& ctx, const std::string& prefix) const {
    return pcr::CheckSharding(
        ctx, prefix,
        {inputs_.num_shards, inputs_.shuffle && inputs_.seed_is_private, inputs_.seeded_shuffles});
  }

  // Whether a seed that the user gave says what an epoch is like.
  bool seed_decides() const {
    if (inputs_.seed_is_private) return false;
    if (inputs_.shuffle || inputs_.provenance) return true;
    const FidelityCell::Value value = fidelity_cell_ == nullptr ? nullptr : fidelity_cell_->value();
    return value != nullptr && !value->is_single();
  }
  const std::shared_ptr<SharedDataset>& shared() const { return shared_; }
  int64_t num_records() const { return num_records_; }
  bool provenance() const { return inputs_.provenance; }

  RecordOrderOptions order_options() const { return inputs_.order_options(); }
  ReadOptions read_options() const {
    ReadOptions options = DefaultReadOptions({inputs_.paths.begin(), inputs_.paths.end()});
    if (inputs_.reads_in_flight != kAutoInFlight) {
      options.reads = options.reads_or_waiting = inputs_.reads_in_flight;
    }
    if (inputs_.bytes_in_flight != kAutoInFlight) {
      options.bytes = options.bytes_or_waiting = inputs_.bytes_in_flight;
    }
    return options;
  }
  RecordFidelity fidelity() const {
    if (fidelity_cell_ != nullptr) return {fidelity_cell_, inputs_.fidelity_poll_ms};
    return RecordFidelity(inputs_.scan_groups == kAllScanGroups
                              ? shared_->index.header().num_groups()
                              : static_cast<int>(inputs_.scan_groups));
  }

 protected:
  absl::Status AsGraphDefInternal(SerializationContext* ctx, DatasetGraphDefBuilder* b,
                                  tensorflow::Node** output) const override {
    std::vector<tensorflow::Node*> nodes;
    const auto add = [&](const auto& value) {
      nodes.push_back(nullptr);
      return b->AddScalar(value, &nodes.back());
    };
    nodes.push_back(nullptr);
    TF_RETURN_IF_ERROR(b->AddVector(inputs_.paths, &nodes.back()));
    TF_RETURN_IF_ERROR(add(inputs_.scan_groups));
    TF_RETURN_IF_ERROR(add(inputs_.shuffle));
    TF_RETURN_IF_ERROR(add(inputs_.seed));
    // A rewrite makes a copy that goes on counting; any other graph may be run anywhere, whose data
    // sets begin to count, and share the seed that it holds.
    const bool is_copy = ctx->is_graph_rewrite();
    TF_RETURN_IF_ERROR(add(is_copy && inputs_.seed_is_private));
    TF_RETURN_IF_ERROR(add(inputs_.seeded_shuffles));
    TF_RETURN_IF_ERROR(add(inputs_.num_shards));
    TF_RETURN_IF_ERROR(add(inputs_.shard_index));
    TF_RETURN_IF_ERROR(add(inputs_.reads_in_flight));
    TF_RETURN_IF_ERROR(add(inputs_.bytes_in_flight));
    TF_RETURN_IF_ERROR(add(tstring(is_copy ? kCopy + shared_->copy_id : "")));
    TF_RETURN_IF_ERROR(add(inputs_.first_epoch));
    for (const auto* values : {&inputs_.resume_num_shards, &inputs_.resume_examples}) {
      nodes.push_back(nullptr);
      TF_RETURN_IF_ERROR(b->AddVector(*values, &nodes.back()));
    }
    TF_RETURN_IF_ERROR(add(inputs_.provenance));
    TF_RETURN_IF_ERROR(add(inputs_.fidelity));
    TF_RETURN_IF_ERROR(add(inputs_.fidelity_poll_ms));
    tensorflow::AttrValue remedy;
    b->BuildAttrValue(std::string(kFileShardingRemedy), &remedy);
    return b->AddDataset(this, nodes, {{kFileShardingAttr, remedy}}, output);
  }

 private:
  class Iterator;

  const Inputs inputs_;
  const std::shared_ptr<SharedDataset> shared_;
  FidelityCell* const fidelity_cell_;  // null: scan_groups says the fidelity
  int64_t cardinality_ = 0;
  int64_t num_records_ = 0;
};

class PcrDatasetOp::Dataset::Iterator : public DatasetIterator<Dataset> {
 public:
  explicit Iterator(const Params& params) : DatasetIterator<Dataset>(params) {}

  ~Iterator() override {
    if (deregister_) deregister_();
    if (claimed_for_ != nullptr) {
      dataset()->shared()->epochs->Release(dataset()->shared()->files(), claimed_for_);
    }
  }

  bool SymbolicCheckpointCompatible() const override { return true; }

  absl::Status Initialize(IteratorContext* ctx) override {
    TF_RETURN_IF_ERROR(dataset()->CheckSharding(*ctx, prefix()));
    TF_RETURN_IF_ERROR(CheckInterleaving(ctx));
    std::shared_ptr<SplitProvider> splits;
    if (!ctx->split_providers().empty()) {
      if (ctx->split_providers().size() != 1) {
        return tensorflow::errors::FailedPrecondition(
            "number of split providers of a PcrDataset; expected 1, got ",
            ctx->split_providers().size());
      }
      splits = ctx->split_providers().front();
    }
    {
      mutex_lock l(mu_);
      iteration_ = std::make_unique<RecordIteration>(
          dataset()->shared(), dataset()->order_options(), dataset()->read_options(),
          dataset()->fidelity(), std::move(splits));
    }
    return RegisterCancellation(ctx->cancellation_manager());
  }

  absl::Status GetNextInternal(IteratorContext* ctx, std::vector<Tensor>* out_tensors,
                               bool* end_of_sequence) override {
    mutex_lock l(mu_);
    tstring example;
    // State has advanced before an error is returned, so that the call after
    // it goes on behind the record in error.
    ExampleOrigin origin;
    TF_RETURN_IF_ERROR(iteration_->Next(&example, &origin, end_of_sequence));
    if (*end_of_sequence) return absl::Status();
    out_tensors->emplace_back(ctx->allocator({}), tensorflow::DT_STRING,
                              tensorflow::TensorShape({}));
    out_tensors->back().scalar<tstring>()() = std::move(example);
    if (dataset()->provenance()) AddProvenance(ctx, origin, out_tensors);
    return absl::Status();
  }

 protected:
  std::shared_ptr<tensorflow::data::model::Node> CreateNode(
      IteratorContext* /*ctx*/, tensorflow::data::model::Node::Args args) const override {
    return tensorflow::data::model::MakeSourceNode(std::move(args));
  }

  absl::Status SaveInternal(SerializationContext* /*ctx*/, IteratorStateWriter* writer) override {
    mutex_lock l(mu_);
    return iteration_->Save(prefix(), writer);
  }

  absl::Status RestoreInternal(IteratorContext* /*ctx*/, IteratorStateReader* reader) override {
    mutex_lock l(mu_);
    return iteration_->Restore(prefix(), reader);
  }

 private:
  // The example's name and its seed.
  void AddProvenance(IteratorContext* ctx, const ExampleOrigin& origin,
                     std::vector<Tensor>* out_tensors) const {
    out_tensors->emplace_back(ctx->allocator({}), tensorflow::DT_STRING,
                              tensorflow::TensorShape({}));
    out_tensors->back().scalar<tstring>()() = dataset()->shared()->index.NameOf(origin.record) +
                                              ", example " + std::to_string(origin.example) +
                                              origin.num_images;
    out_tensors->emplace_back(ctx->allocator({}), tensorflow::DT_INT64,
                              tensorflow::TensorShape({2}));
    const auto seed = origin.StatelessSeed();
    std::copy(seed.begin(), seed.end(), out_tensors->back().vec<int64_t>().data());
  }

  // The iterators of a parallel interleave begin when their threads do. All of one interleave, and
  // no others, have its cancellation manager.
  absl::Status CheckInterleaving(IteratorContext* ctx) {
    const std::vector<std::string_view> consumers = ConsumersOf(prefix());
    const bool parallel =
        std::any_of(consumers.begin(), consumers.end(), [](std::string_view name) {
          return IsOp(name, "ParallelInterleave") || IsOp(name, "LegacyParallelInterleave");
        });
    if (!parallel || ctx->cancellation_manager() == nullptr || !dataset()->seed_decides()) {
      return absl::Status();
    }
    const SharedDataset& shared = *dataset()->shared();
    claimed_for_ = ctx->cancellation_manager();
    if (shared.epochs->Claim(shared.files(), claimed_for_)) return absl::Status();
    return tensorflow::errors::FailedPrecondition(
        shared.paths.front(),
        ": epochs in a parallel interleave; expected one at a time of the same files, got another "
        "that is still read: threads would decide which of them is which epoch, and the seed would "
        "not; put .repeat() behind the interleave, or give first_epoch a tensor, from the element "
        "that the function is given, or leave out num_parallel_calls");
  }

  absl::Status RegisterCancellation(tensorflow::CancellationManager* manager) {
    if (manager == nullptr) return absl::Status();
    const tensorflow::CancellationToken token = manager->get_cancellation_token();
    if (!manager->RegisterCallback(token, [this] { iteration_->Cancel(); })) {
      return tensorflow::errors::Cancelled("reading was cancelled");
    }
    deregister_ = [manager, token] { manager->DeregisterCallback(token); };
    return absl::Status();
  }

  mutex mu_;
  // Set once, by Initialize, before anything can be cancelled.
  std::unique_ptr<RecordIteration> iteration_;
  std::function<void()> deregister_;
  const void* claimed_for_ = nullptr;
};

std::unique_ptr<IteratorBase> PcrDatasetOp::Dataset::MakeIteratorInternal(
    const std::string& prefix) const {
  return std::make_unique<Iterator>(
      Iterator::Params{this, tensorflow::strings::StrCat(prefix, "::", kDatasetType)});
}

absl::Status PcrDatasetOp::Dataset::Share(tensorflow::OpKernelContext* ctx, const Inputs& inputs,
                                          std::shared_ptr<SharedDataset>* shared) {
  const auto seed = static_cast<uint64_t>(inputs.seed);
  absl::string_view id = inputs.shared_id;
  const std::vector<std::string> paths(inputs.paths.begin(), inputs.paths.end());
  if (absl::ConsumePrefix(&id, kCopy)) {
    *shared = SharedDataset::Find(std::string(id), paths);
    if (*shared != nullptr) return absl::Status();
    id = "";
  }
  const bool made_by_function = absl::ConsumePrefix(&id, kFunction);
  std::shared_ptr<EpochCounter> epochs;
  if (made_by_function) {
    // A function of another program that was saved and loaded may have the same number.
    const std::string key = absl::StrCat(id, "/", inputs.seed, "/", inputs.first_epoch, "/",
                                         inputs.num_shards, "/", inputs.shard_index);
    TF_RETURN_IF_ERROR(
        CounterOfFunction(ctx->resource_manager(), key, seed, inputs.first_epoch, &epochs));
  } else if (id.empty()) {
    epochs = std::make_shared<EpochCounter>(seed, inputs.first_epoch);
  } else {
    return tensorflow::errors::InvalidArgument(
        kSharedId, "; expected \"\", \"function <n>\" or \"copy <n>\", got ",
        Printable(inputs.shared_id));
  }
  return SharedDataset::Open(ctx->env(), paths, std::move(epochs), made_by_function, shared);
}

void PcrDatasetOp::MakeDataset(tensorflow::OpKernelContext* ctx, DatasetBase** output) {
  using tensorflow::data::ParseScalarArgument;
  Dataset::Inputs inputs;
  OP_REQUIRES_OK(ctx, tensorflow::data::ParseVectorArgument<tstring>(ctx, kPaths, &inputs.paths));
  OP_REQUIRES_OK(ctx, ParseScalarArgument(ctx, kScanGroups, &inputs.scan_groups));
  OP_REQUIRES_OK(ctx, ParseScalarArgument(ctx, kShuffle, &inputs.shuffle));
  OP_REQUIRES_OK(ctx, ParseScalarArgument(ctx, kSeed, &inputs.seed));
  OP_REQUIRES_OK(ctx, ParseScalarArgument(ctx, kSeedIsPrivate, &inputs.seed_is_private));
  OP_REQUIRES_OK(ctx, ParseScalarArgument(ctx, kSeededShuffles, &inputs.seeded_shuffles));
  OP_REQUIRES_OK(ctx, ParseScalarArgument(ctx, kNumShards, &inputs.num_shards));
  OP_REQUIRES_OK(ctx, ParseScalarArgument(ctx, kShardIndex, &inputs.shard_index));
  OP_REQUIRES_OK(ctx, ParseScalarArgument(ctx, kReadsInFlight, &inputs.reads_in_flight));
  OP_REQUIRES_OK(ctx, ParseScalarArgument(ctx, kBytesInFlight, &inputs.bytes_in_flight));
  OP_REQUIRES_OK(ctx, ParseScalarArgument(ctx, kSharedId, &inputs.shared_id));
  OP_REQUIRES_OK(ctx, ParseScalarArgument(ctx, kFirstEpoch, &inputs.first_epoch));
  OP_REQUIRES_OK(ctx, tensorflow::data::ParseVectorArgument<int64_t>(ctx, kResumeNumShards,
                                                                     &inputs.resume_num_shards));
  OP_REQUIRES_OK(ctx, tensorflow::data::ParseVectorArgument<int64_t>(ctx, kResumeExamples,
                                                                     &inputs.resume_examples));
  OP_REQUIRES(ctx, inputs.resume_num_shards.size() == inputs.resume_examples.size(),
              tensorflow::errors::InvalidArgument(
                  "values of resume_examples; expected ", inputs.resume_num_shards.size(),
                  ", as of resume_num_shards, got ", inputs.resume_examples.size()));
  OP_REQUIRES_OK(ctx, ParseScalarArgument(ctx, kProvenance, &inputs.provenance));
  OP_REQUIRES_OK(ctx, ParseScalarArgument(ctx, kFidelity, &inputs.fidelity));
  OP_REQUIRES_OK(ctx, ParseScalarArgument(ctx, kFidelityPollMs, &inputs.fidelity_poll_ms));
  const auto require = [ctx](bool ok, const char* name, const char* expected, int64_t got) {
    OP_REQUIRES(ctx, ok,
                tensorflow::errors::InvalidArgument(name, "; expected ", expected, ", got ", got));
  };
  require(inputs.num_shards >= 1, kNumShards, "at least 1", inputs.num_shards);
  require(inputs.shard_index >= 0 && inputs.shard_index < inputs.num_shards, kShardIndex,
          "0 to num_shards - 1", inputs.shard_index);
  require(inputs.reads_in_flight == kAutoInFlight ||
              (inputs.reads_in_flight >= 1 && inputs.reads_in_flight <= kMaxReadsInFlight),
          kReadsInFlight, "1 to 1024", inputs.reads_in_flight);
  require(inputs.first_epoch >= 0 && inputs.first_epoch < kMaxEpoch, kFirstEpoch, "0 to 2^62 - 1",
          inputs.first_epoch);
  for (size_t i = 0; i < inputs.resume_num_shards.size(); ++i) {
    const int64_t readers = inputs.resume_num_shards[i];
    require(readers >= 1 && readers <= kMaxResumeShards, kResumeNumShards, "1 to 2^20", readers);
    const int64_t examples = inputs.resume_examples[i];
    require(examples >= 0, kResumeExamples, "at least 0", examples);
  }
  require(inputs.seeded_shuffles >= 0, kSeededShuffles, "at least 0", inputs.seeded_shuffles);
  require(inputs.bytes_in_flight == kAutoInFlight || inputs.bytes_in_flight >= 1, kBytesInFlight,
          "at least 1", inputs.bytes_in_flight);
  if (!ctx->status().ok()) return;

  FidelityCell* fidelity_cell = nullptr;
  if (!inputs.fidelity.empty()) {
    OP_REQUIRES_OK(ctx, FidelityCell::Find(ctx->env(), {inputs.fidelity, inputs.fidelity_poll_ms},
                                           &fidelity_cell));
  }
  std::shared_ptr<SharedDataset> shared;
  OP_REQUIRES_OK(ctx, Dataset::Share(ctx, inputs, &shared));
  if (fidelity_cell != nullptr) {
    OP_REQUIRES_OK(ctx, fidelity_cell->Look(inputs.fidelity_poll_ms, Cancellation()));
    fidelity_cell->AddDataset(inputs.paths.front(), shared);
    const FidelityCell::Value value = fidelity_cell->value();
    if (value != nullptr) OP_REQUIRES_OK(ctx, CheckFidelity(shared->index, *value));
  } else if (inputs.scan_groups != kAllScanGroups) {
    OP_REQUIRES_OK(ctx, ToTensorFlow(shared->index.CheckScanGroups(inputs.scan_groups)
                                         .WithContext(std::string(inputs.paths.front()))));
  }
  OP_REQUIRES_OK(
      ctx, ToTensorFlow(CheckResume(shared->index.columns().example_counts, inputs.order_options(),
                                    static_cast<uint64_t>(inputs.first_epoch))
                            .WithContext(std::string(inputs.paths.front()))));
  *output = new Dataset(ctx, std::move(inputs), std::move(shared), fidelity_cell);
}

absl::Status PcrDatasetOp::Describe(const DatasetBase* dataset, Info* info) {
  const auto* const pcr_dataset = dynamic_cast<const Dataset*>(dataset);
  if (pcr_dataset == nullptr) {
    return tensorflow::errors::InvalidArgument("data set; expected a PcrDataset, got ",
                                               dataset->DebugString());
  }
  const Header& header = pcr_dataset->shared()->index.header();
  info->image_features = header.image_features;
  info->num_records = pcr_dataset->num_records();
  info->num_scan_groups = header.num_groups();
  info->format_minor = static_cast<int64_t>(header.minor_version);
  return absl::Status();
}

namespace {

class PcrDatasetInfoOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(tensorflow::OpKernelContext* ctx) override {
    DatasetBase* dataset = nullptr;
    OP_REQUIRES_OK(ctx, tensorflow::data::GetDatasetFromVariantTensor(ctx->input(0), &dataset));
    PcrDatasetOp::Info info;
    OP_REQUIRES_OK(ctx, PcrDatasetOp::Describe(dataset, &info));
    Tensor* image_features = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {static_cast<int64_t>(info.image_features.size())},
                                             &image_features));
    std::copy(info.image_features.begin(), info.image_features.end(),
              image_features->vec<tstring>().data());
    int output = 1;
    for (const int64_t number : {info.num_records, info.num_scan_groups, info.format_minor}) {
      Tensor* scalar = nullptr;
      OP_REQUIRES_OK(ctx, ctx->allocate_output(output++, {}, &scalar));
      scalar->scalar<int64_t>()() = number;
    }
  }
};

REGISTER_KERNEL_BUILDER(Name("PcrDatasetInfo").Device(tensorflow::DEVICE_CPU), PcrDatasetInfoOp);
REGISTER_KERNEL_BUILDER(Name("PcrDataset").Device(tensorflow::DEVICE_CPU), PcrDatasetOp);

}  // namespace
}  // namespace pcr
