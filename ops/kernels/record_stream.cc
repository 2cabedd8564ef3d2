#include "ops/kernels/record_stream.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ops/base/catch_exceptions.h"
#include "ops/format/record_prefix.h"
#include "ops/kernels/read_statistics.h"
#include "ops/kernels/retry.h"
#include "ops/kernels/tensorflow_status.h"
#include "tensorflow/core/platform/errors.h"

namespace pcr {
namespace {

// Larger prefixes are compared with the size of the file before memory is allocated for them.
constexpr uint64_t kMaxUncheckedBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxPrefixBytes = uint64_t{4} << 30;

}  // namespace

ReadOptions DefaultReadOptions(const std::vector<std::string>& paths) {
  constexpr int64_t kReads = 48;
  constexpr int64_t kBytes = int64_t{256} << 20;
  if (std::any_of(paths.begin(), paths.end(), IsRemote)) {
    return {kReads, 2 * kReads, kBytes, 2 * kBytes};
  }
  const int64_t reads = std::clamp<int64_t>(std::thread::hardware_concurrency(), 2, 8);
  return {reads, reads, kBytes, kBytes};
}

RecordStream::RecordStream(std::shared_ptr<SharedDataset> shared, const ReadOptions& options,
                           RequestSource* source)
    : shared_(std::move(shared)), source_(source), buffers_(static_cast<uint64_t>(options.bytes)) {
  Prefetcher::Options prefetch;
  prefetch.num_threads = static_cast<int>(
      std::min<int64_t>(options.reads, std::max<uint64_t>(shared_->index.num_records(), 1)));
  prefetch.max_requests = static_cast<int>(options.reads_or_waiting);
  prefetch.max_loading_bytes = static_cast<uint64_t>(options.bytes);
  prefetch.max_bytes = static_cast<uint64_t>(options.bytes_or_waiting);
  Prefetcher::Functions functions;
  functions.next = [this](std::optional<RecordRequest>* request) {
    absl::Status status = source_->Take(request);
    if (status.ok()) return Status();
    MutexLock lock(&mutex_);
    source_failed_ = true;
    source_status_ = std::move(status);
    return Internal("no next request");  // Next returns source_status_ instead.
  };
  functions.size_bytes = [this](const RecordRequest& request) {
    return shared_->index.Prefix(request.record, request.scan_groups).size;
  };
  functions.load = [this](const RecordRequest& request, const Prefetcher::Grow& grow,
                          Loaded* loaded) {
    const Status thrown = CatchExceptions([&] {
      // By the thread that then reads, so that no other read is held up. Should it fail, a value is
      // known: the source looked before its first request.
      source_->LookAtFidelity(cancellation_).IgnoreError();
      loaded->status = Load(request, grow, loaded);
      return Status();
    });
    if (!thrown.ok()) loaded->status = ToTensorFlow(thrown.WithContext(Place(request)));
    if (!loaded->status.ok()) loaded->examples.clear();
    return Status();
  };
  prefetcher_ = std::make_unique<Prefetcher>(prefetch, std::move(functions));
}

RecordStream::~RecordStream() { Cancel(); }

void RecordStream::Cancel() {
  cancellation_.Cancel();
  prefetcher_->Cancel();
}

std::string RecordStream::Place(const RecordRequest& request) const {
  const PrefixRange range = shared_->index.Prefix(request.record, request.scan_groups);
  return shared_->index.NameOf(request.record) + ", scan groups 1 to " +
         std::to_string(request.scan_groups) + ", " + std::to_string(range.size) +
         " bytes at byte " + std::to_string(range.offset);
}

absl::Status RecordStream::Load(const RecordRequest& request, const Prefetcher::Grow& grow,
                                Loaded* loaded) {
  const DatasetIndex& index = shared_->index;
  const PrefixRange range = index.Prefix(request.record, request.scan_groups);
  const ShardEntry& shard = index.shards()[range.shard];
  if (range.size > kMaxPrefixBytes) {
    return ToTensorFlow(
        Status(Code::kResourceExhausted,
               Expected("bytes of a record that are read", "at most 4 GiB", range.size) +
                   "; read fewer scan groups, or convert with fewer `examples_per_record`")
            .WithContext(Place(request)));
  }
  if (range.size > kMaxUncheckedBytes) {
    // A damaged index may claim more than memory can hold: check it against the file.
    uint64_t file_bytes = 0;
    TF_RETURN_IF_ERROR(shared_->reader.FileSize(shard.name, &file_bytes, cancellation_));
    if (range.offset > file_bytes || range.size > file_bytes - range.offset) {
      return ToTensorFlow(
          DataLoss(Expected("the prefix lies inside the file (bytes)",
                            "an end at or before " + std::to_string(file_bytes),
                            range.offset + range.size) +
                   "; the shard is cut short or is not the one the index describes: copy or "
                   "convert it again, then make the side index again with pcr-index")
              .WithContext(Place(request)));
    }
  }
  BufferPool::Loan buffer = buffers_.Take(range.size);
  const auto read = [&]() -> absl::Status {
    return shared_->reader.Read(shard.name, range.offset, range.size, buffer.data(), cancellation_);
  };
  const auto parse = [&] {
    return RecordPrefix::Parse(index, request.record, request.scan_groups,
                               std::string_view(buffer.data(), range.size),
                               [&](uint64_t bytes) { return grow(range.size + bytes); });
  };
  if (absl::Status status = read(); !status.ok()) {
    if (absl::IsCancelled(status)) return status;
    return WithReadableMessage(
        absl::Status(status.code(), absl::StrCat(status.message(), "; for ", Place(request))));
  }
  auto prefix = parse();
  if (!prefix.ok() && prefix.status().code() == Code::kDataLoss && IsRemote(shard.name)) {
    // Damaged on the way or in the store: a second read decides.
    ReadStatistics::Global().AddReread();
    TF_RETURN_IF_ERROR(read());
    prefix = parse();
  }
  if (!prefix.ok()) return ToTensorFlow(prefix.status());
  const std::vector<uint64_t>& image_counts = prefix.value().metadata().image_counts;
  if (std::any_of(image_counts.begin(), image_counts.end(), [](uint64_t n) { return n != 1; })) {
    loaded->image_counts = image_counts;
  }
  const uint64_t num_examples = prefix.value().num_examples();
  loaded->examples.resize(num_examples);
  for (uint64_t n = request.first_example; n < num_examples && !cancellation_.cancelled(); ++n) {
    tensorflow::tstring& example = loaded->examples[n];
    example.resize_uninitialized(prefix.value().ExampleBytes(n));
    prefix.value().WriteExample(n, example.mdata());
  }
  // A consumer that is quicker than Cancel might otherwise take a missing example for an empty one.
  if (cancellation_.cancelled()) return tensorflow::errors::Cancelled("reading was cancelled");
  return absl::Status();
}

absl::Status RecordStream::Next(std::optional<LoadedRecord>* record) {
  record->reset();
  std::optional<Prefetcher::Item> item;
  const auto start = std::chrono::steady_clock::now();
  const Status status = prefetcher_->Next(&item);
  const auto waited = std::chrono::steady_clock::now() - start;
  ReadStatistics::Global().AddConsumerWait(
      std::chrono::duration_cast<std::chrono::microseconds>(waited).count());
  if (status.code() == Code::kCancelled) return ToTensorFlow(status);
  if (!status.ok()) {
    MutexLock lock(&mutex_);
    if (source_failed_) return std::exchange(source_status_, absl::OkStatus());
    return ToTensorFlow(status);
  }
  if (item.has_value()) {
    record->emplace(LoadedRecord{item->request, std::move(item->loaded.status),
                                 std::move(item->loaded.examples),
                                 std::move(item->loaded.image_counts)});
  }
  return absl::Status();
}

}  // namespace pcr
