// RecordStream: one pass over records, read ahead in a bounded number of range reads and handed
// over in order.

#ifndef PCR_OPS_KERNELS_RECORD_STREAM_H_
#define PCR_OPS_KERNELS_RECORD_STREAM_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "ops/base/buffer_pool.h"
#include "ops/base/cancellation.h"
#include "ops/base/mutex.h"
#include "ops/base/ordered_prefetcher.h"
#include "ops/kernels/record_request.h"
#include "ops/kernels/request_source.h"
#include "ops/kernels/shared_dataset.h"
#include "tensorflow/core/platform/tstring.h"

namespace pcr {

struct LoadedRecord {
  RecordRequest request;
  absl::Status status;
  std::vector<tensorflow::tstring> examples;  // of the whole record; empty before first_example
  std::vector<uint64_t> image_counts;  // [N x F]; empty where each example has one image of each
};

// Bounds on the records that are being read, and on those and the ones that wait to be delivered.
struct ReadOptions {
  int64_t reads = 1;
  int64_t reads_or_waiting = 1;
  int64_t bytes = 1;
  int64_t bytes_or_waiting = 1;
};

// The bounds where the user gave none. For a store with latency, enough reads to fill a link (48,
// 256 MiB), and room for as much that waits, since connections share a link unevenly. For a local
// file system, whose reads cost this machine's own cores and memory, one for each core, 2 to 8:
// more in flight only push each other out of the cache.
ReadOptions DefaultReadOptions(const std::vector<std::string>& paths);

// Thread-safe.
class RecordStream {
 public:
  // Takes its requests from `source`, which has begun and outlives it.
  RecordStream(std::shared_ptr<SharedDataset> shared, const ReadOptions& options,
               RequestSource* source);
  ~RecordStream();

  // The next record, none at the end. A record that could not be read comes with its status and no
  // examples, and the stream goes on after it. An error of the source is returned once, after the
  // records before it, and ends the stream: a consumer that ignores errors would otherwise never
  // reach an end.
  absl::Status Next(std::optional<LoadedRecord>* record);

  void Cancel();

 private:
  struct Loaded {
    absl::Status status;
    std::vector<tensorflow::tstring> examples;
    std::vector<uint64_t> image_counts;
  };
  using Prefetcher = OrderedPrefetcher<RecordRequest, Loaded>;

  absl::Status Load(const RecordRequest& request, const Prefetcher::Grow& grow, Loaded* loaded);
  // What a request reads, for messages.
  std::string Place(const RecordRequest& request) const;

  const std::shared_ptr<SharedDataset> shared_;
  RequestSource* const source_;
  Cancellation cancellation_;
  Mutex mutex_;
  bool source_failed_ PCR_GUARDED_BY(mutex_) = false;
  absl::Status source_status_ PCR_GUARDED_BY(mutex_);  // until Next has returned it
  BufferPool buffers_;
  std::unique_ptr<Prefetcher> prefetcher_;  // last: its threads use all of the above
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_RECORD_STREAM_H_
