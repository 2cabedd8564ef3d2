#include "ops/kernels/record_stream.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "ops/format/record_prefix.h"
#include "ops/kernels/dataset_opener.h"
#include "tensorflow/core/platform/errors.h"

namespace pcr {

RecordStream::RecordStream(std::shared_ptr<SharedDataset> shared, const ReadOptions& options,
                           NextRequest next)
    : shared_(std::move(shared)),
      next_(std::move(next)),
      buffers_(static_cast<uint64_t>(options.bytes_in_flight)) {
  Prefetcher::Options prefetch;
  prefetch.num_threads = static_cast<int>(std::min<int64_t>(
      options.reads_in_flight, std::max<uint64_t>(shared_->index.num_records(), 1)));
  prefetch.max_bytes = static_cast<uint64_t>(options.bytes_in_flight);
  Prefetcher::Functions functions;
  functions.next = [this](std::optional<RecordRequest>* request) {
    next_status_ = next_(request);
    // What is passed on only says that there is an error; Next returns next_status_.
    return next_status_.ok() ? Status() : Internal("no next request");
  };
  functions.size_bytes = [this](const RecordRequest& request) {
    return shared_->index.Prefix(request.record, request.scan_groups).size;
  };
  functions.load = [this](const RecordRequest& request, Loaded* loaded) {
    loaded->status = Load(request, loaded);
    if (!loaded->status.ok()) loaded->examples.clear();
    return Status();
  };
  prefetcher_ = std::make_unique<Prefetcher>(prefetch, std::move(functions));
}

RecordStream::~RecordStream() { Cancel(); }

void RecordStream::Cancel() {
  cancelled_ = true;
  prefetcher_->Cancel();
}

absl::Status RecordStream::Load(const RecordRequest& request, Loaded* loaded) {
  const DatasetIndex& index = shared_->index;
  const PrefixRange range = index.Prefix(request.record, request.scan_groups);
  const ShardEntry& shard = index.shards()[range.shard];
  BufferPool::Loan buffer = buffers_.Take(range.size);
  TF_RETURN_IF_ERROR(shared_->reader.Read(shard.name, range.offset, range.size, buffer.data(),
                                          [this] { return cancelled_.load(); }));
  auto prefix = RecordPrefix::Parse(index, request.record, request.scan_groups,
                                    std::string_view(buffer.data(), range.size));
  if (!prefix.ok()) return ToTensorFlow(prefix.status());
  const uint64_t num_examples = prefix.value().num_examples();
  loaded->examples.resize(num_examples);
  for (uint64_t n = request.first_example; n < num_examples && !cancelled_; ++n) {
    tensorflow::tstring& example = loaded->examples[n];
    example.resize_uninitialized(prefix.value().ExampleBytes(n));
    prefix.value().WriteExample(n, example.mdata());
  }
  return absl::Status();
}

absl::Status RecordStream::Next(std::optional<LoadedRecord>* record) {
  record->reset();
  std::optional<Prefetcher::Item> item;
  const Status status = prefetcher_->Next(&item);
  if (status.code() == Code::kCancelled) return ToTensorFlow(status);
  if (!status.ok()) return next_status_;
  if (item.has_value()) {
    record->emplace(LoadedRecord{item->request, std::move(item->loaded.status),
                                 std::move(item->loaded.examples)});
  }
  return absl::Status();
}

void RecordStream::WithPendingRequests(
    const std::function<void(const std::vector<RecordRequest>&)>& visit) {
  prefetcher_->WithPendingRequests(visit);
}

}  // namespace pcr
