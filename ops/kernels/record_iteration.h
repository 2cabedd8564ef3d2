// RecordIteration: the examples of an iterator, one after the other: what its RequestSource
// requests, as its RecordStream reads it.

#ifndef PCR_OPS_KERNELS_RECORD_ITERATION_H_
#define PCR_OPS_KERNELS_RECORD_ITERATION_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "ops/base/mutex.h"
#include "ops/format/record_order.h"
#include "ops/kernels/record_fidelity.h"
#include "ops/kernels/record_stream.h"
#include "ops/kernels/request_source.h"
#include "ops/kernels/shared_dataset.h"
#include "tensorflow/core/framework/dataset.h"
#include "tensorflow/core/platform/tstring.h"

namespace pcr {

// Where an example comes from.
struct ExampleOrigin {
  uint64_t record = 0;   // global ordinal
  uint64_t example = 0;  // in the record
  uint64_t seed = 0;     // of the iterator
  int64_t epoch = 0;
  std::string num_images;  // where it is not one of each image feature, for messages

  // Two int64 for stateless random ops: for one data set they follow from the
  // seed, the epoch and the example alone, and differ where one of them does.
  std::array<int64_t, 2> StatelessSeed() const;
};

// Thread-safe. Examples come one at a time: Next, Save and Restore wait for each other.
class RecordIteration {
 public:
  // As RequestSource. It takes its epoch when it is asked for an example or its state: iterators
  // that are made and never used, as Keras makes them, cost no epoch.
  RecordIteration(std::shared_ptr<SharedDataset> shared, const RecordOrderOptions& order,
                  const ReadOptions& read, const RecordFidelity& fidelity,
                  std::shared_ptr<tensorflow::data::SplitProvider> splits);
  ~RecordIteration();

  // The next example. After an error it stands behind the record in error.
  absl::Status Next(tensorflow::tstring* example, ExampleOrigin* origin, bool* end)
      PCR_EXCLUDES(mutex_);

  // Makes Next fail, also one that is blocked now.
  void Cancel() PCR_EXCLUDES(stream_mutex_);

  absl::Status Save(const std::string& prefix, tensorflow::data::IteratorStateWriter* writer)
      PCR_EXCLUDES(mutex_);
  // On a fresh iteration. INVALID_ARGUMENT for a state that does not fit the data set.
  absl::Status Restore(const std::string& prefix, tensorflow::data::IteratorStateReader* reader)
      PCR_EXCLUDES(mutex_);

 private:
  // The stream, which it starts if there is none yet.
  RecordStream* Stream() PCR_REQUIRES(mutex_) PCR_EXCLUDES(stream_mutex_);
  std::string NumImages(const LoadedRecord& record, uint64_t example) const;
  // At the end, which a consumer that does not ignore errors reaches only if there were none.
  void ReportIgnoredErrors() PCR_REQUIRES(mutex_);

  const std::shared_ptr<SharedDataset> shared_;
  const ReadOptions read_options_;
  RequestSource source_;

  Mutex mutex_;
  EpochCounter::Epoch epoch_ PCR_GUARDED_BY(mutex_){};  // once the stream has started
  uint64_t num_failed_ PCR_GUARDED_BY(mutex_) = 0;      // records in error since this began
  std::optional<LoadedRecord> current_ PCR_GUARDED_BY(mutex_);
  uint64_t next_example_ PCR_GUARDED_BY(mutex_) = 0;  // of current_

  Mutex stream_mutex_;  // apart from mutex_, which Next holds while it waits
  bool cancelled_ PCR_GUARDED_BY(stream_mutex_) = false;
  std::unique_ptr<RecordStream> stream_ PCR_GUARDED_BY(stream_mutex_);  // last: uses source_
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_RECORD_ITERATION_H_
