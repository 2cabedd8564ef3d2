#include "ops/kernels/pcr_dataset_iterator.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "ops/kernels/iterator_consumers.h"
#include "tensorflow/core/platform/errors.h"

namespace pcr {

using ::tensorflow::Tensor;
using ::tensorflow::tstring;
using ::tensorflow::data::IteratorContext;
using ::tensorflow::data::IteratorStateReader;
using ::tensorflow::data::IteratorStateWriter;
using ::tensorflow::data::SerializationContext;
using ::tensorflow::data::SplitProvider;

PcrDatasetIterator::~PcrDatasetIterator() {
  if (deregister_) deregister_();
  if (claimed_for_ != nullptr) {
    dataset()->shared()->epochs->Release(dataset()->shared()->files(), claimed_for_);
  }
}

absl::Status PcrDatasetIterator::Initialize(IteratorContext* ctx) {
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
  iteration_ = std::make_unique<RecordIteration>(dataset()->shared(), dataset()->order_options(),
                                                 dataset()->read_options(), dataset()->fidelity(),
                                                 std::move(splits));
  return RegisterCancellation(ctx->cancellation_manager());
}

absl::Status PcrDatasetIterator::GetNextInternal(IteratorContext* ctx,
                                                 std::vector<Tensor>* out_tensors,
                                                 bool* end_of_sequence) {
  tstring example;
  // State has advanced before an error is returned, so that the call after
  // it goes on behind the record in error.
  ExampleOrigin origin;
  TF_RETURN_IF_ERROR(iteration_->Next(&example, &origin, end_of_sequence));
  if (*end_of_sequence) return absl::Status();
  out_tensors->emplace_back(ctx->allocator({}), tensorflow::DT_STRING, tensorflow::TensorShape({}));
  out_tensors->back().scalar<tstring>()() = std::move(example);
  if (dataset()->provenance()) AddProvenance(ctx, origin, out_tensors);
  return absl::Status();
}

std::shared_ptr<tensorflow::data::model::Node> PcrDatasetIterator::CreateNode(
    IteratorContext* /*ctx*/, tensorflow::data::model::Node::Args args) const {
  return tensorflow::data::model::MakeSourceNode(std::move(args));
}

absl::Status PcrDatasetIterator::SaveInternal(SerializationContext* /*ctx*/,
                                              IteratorStateWriter* writer) {
  return iteration_->Save(prefix(), writer);
}

absl::Status PcrDatasetIterator::RestoreInternal(IteratorContext* /*ctx*/,
                                                 IteratorStateReader* reader) {
  return iteration_->Restore(prefix(), reader);
}

void PcrDatasetIterator::AddProvenance(IteratorContext* ctx, const ExampleOrigin& origin,
                                       std::vector<Tensor>* out_tensors) const {
  out_tensors->emplace_back(ctx->allocator({}), tensorflow::DT_STRING, tensorflow::TensorShape({}));
  out_tensors->back().scalar<tstring>()() = dataset()->shared()->index.NameOf(origin.record) +
                                            ", example " + std::to_string(origin.example) +
                                            origin.num_images;
  out_tensors->emplace_back(ctx->allocator({}), tensorflow::DT_INT64, tensorflow::TensorShape({2}));
  const auto seed = origin.StatelessSeed();
  std::copy(seed.begin(), seed.end(), out_tensors->back().vec<int64_t>().data());
}

// The iterators of a parallel interleave begin when their threads do. All those of one interleave,
// and no others, have its cancellation manager.
absl::Status PcrDatasetIterator::CheckInterleaving(IteratorContext* ctx) {
  const std::vector<std::string_view> consumers = ConsumersOf(prefix());
  const bool parallel = std::any_of(consumers.begin(), consumers.end(), [](std::string_view name) {
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

absl::Status PcrDatasetIterator::RegisterCancellation(tensorflow::CancellationManager* manager) {
  if (manager == nullptr) return absl::Status();
  const tensorflow::CancellationToken token = manager->get_cancellation_token();
  if (!manager->RegisterCallback(token, [this] { iteration_->Cancel(); })) {
    return tensorflow::errors::Cancelled("reading was cancelled");
  }
  deregister_ = [manager, token] { manager->DeregisterCallback(token); };
  return absl::Status();
}

}  // namespace pcr
