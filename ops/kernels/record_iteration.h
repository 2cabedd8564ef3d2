// RecordIteration: an iterator's state: which records in which order, how far
// it has come, and how to save and restore that.

#ifndef PCR_OPS_KERNELS_RECORD_ITERATION_H_
#define PCR_OPS_KERNELS_RECORD_ITERATION_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "ops/format/record_order.h"
#include "ops/kernels/record_fidelity.h"
#include "ops/kernels/record_stream.h"
#include "ops/kernels/shared_dataset.h"
#include "ops/kernels/split_reader.h"
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

// Not thread-safe, but for Cancel.
class RecordIteration {
 public:
  // Without `splits` it takes, once it is asked for an example or its state,
  // the next epoch of `shared` (the first, where `order` resumes an epoch): iterators
  // that are made and never used, as Keras makes them, cost no epoch. It goes through the epoch's
  // records in the order of `order`; with them, through the records they name. The seed of
  // `order` is not used: epochs have their own.
  RecordIteration(std::shared_ptr<SharedDataset> shared, const RecordOrderOptions& order,
                  const ReadOptions& read, const RecordFidelity& fidelity,
                  std::shared_ptr<tensorflow::data::SplitProvider> splits);
  ~RecordIteration();

  // The next example. After an error it stands behind the record in error.
  absl::Status Next(tensorflow::tstring* example, ExampleOrigin* origin, bool* end);

  // Makes Next fail, also one that is blocked now. From any thread.
  void Cancel();

  absl::Status Save(const std::string& prefix, tensorflow::data::IteratorStateWriter* writer);
  // On a fresh iteration. INVALID_ARGUMENT for a state that does not fit the data set.
  absl::Status Restore(const std::string& prefix, tensorflow::data::IteratorStateReader* reader);

 private:
  std::vector<RecordPart> OrderOf(const EpochCounter::Epoch& epoch) const;
  void TakeEpoch();
  void StartStream();
  absl::Status NextRequest(std::optional<RecordRequest>* request);
  absl::Status NextSplit(RecordPart* part, int64_t* epoch, bool* end);
  std::string NumImages(const LoadedRecord& record, uint64_t example) const;
  absl::Status CheckRestored(const RecordRequest& request) const;
  // At the end, which a consumer that does not ignore errors comes to without any.
  void ReportIgnoredErrors();

  const std::shared_ptr<SharedDataset> shared_;
  RecordOrderOptions order_options_;
  const ReadOptions read_options_;
  const RecordFidelity fidelity_;
  const std::unique_ptr<SplitReader> splits_;  // null: the order says which records come

  std::optional<EpochCounter::Epoch> epoch_;  // with splits, these name their epochs
  std::vector<RecordPart> order_;             // without splits
  uint64_t next_position_ = 0;  // in order_, of the next request; used by the stream's threads only
  std::deque<RecordRequest> restored_;  // requests to make before all others; likewise
  bool looked_at_fidelity_ = false;     // since this began; likewise

  uint64_t num_delivered_ = 0;  // records wholly delivered, or in error
  uint64_t num_failed_ = 0;     // records in error since this began
  std::optional<LoadedRecord> current_;
  uint64_t next_example_ = 0;  // of current_

  std::mutex stream_mutex_;  // guards the pointer and cancelled_, for Cancel
  bool cancelled_ = false;
  std::unique_ptr<RecordStream> stream_;
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_RECORD_ITERATION_H_
