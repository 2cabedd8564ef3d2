// RequestSource: which records an iterator requests next, and which requests are pending.

#ifndef PCR_OPS_KERNELS_REQUEST_SOURCE_H_
#define PCR_OPS_KERNELS_REQUEST_SOURCE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "ops/base/cancellation.h"
#include "ops/base/mutex.h"
#include "ops/format/record_order.h"
#include "ops/kernels/record_fidelity.h"
#include "ops/kernels/record_request.h"
#include "ops/kernels/shared_dataset.h"
#include "ops/kernels/split_reader.h"
#include "tensorflow/core/framework/dataset.h"

namespace pcr {

// A request is pending from when it is taken until its record is wholly delivered. Records are
// delivered in the order in which they were taken. Thread-safe.
class RequestSource {
 public:
  // Without `splits` it takes, once it begins, the next epoch of `shared` (the first, where `order`
  // resumes an epoch), and goes through the epoch's records in the order of `order`. With them it
  // goes through the records that they name. The seed of `order` is not used: epochs have their
  // own.
  RequestSource(std::shared_ptr<SharedDataset> shared, const RecordOrderOptions& order,
                const RecordFidelity& fidelity,
                std::shared_ptr<tensorflow::data::SplitProvider> splits);

  RequestSource(const RequestSource&) = delete;
  RequestSource& operator=(const RequestSource&) = delete;

  // Takes an epoch, if it has none yet. Its seed and number; with splits, these name their epochs.
  EpochCounter::Epoch Begin() PCR_EXCLUDES(mutex_);

  // The next request, none at the end. It may wait for a dispatcher, or for the file of a fidelity.
  // Requires Begin.
  absl::Status Take(std::optional<RecordRequest>* request) PCR_EXCLUDES(take_mutex_, mutex_);

  // Looks at the fidelity's file, where that is due; may take as long as a read.
  absl::Status LookAtFidelity(const Cancellation& cancellation) const {
    return fidelity_.Look(cancellation);
  }

  // The record of the oldest pending request was delivered wholly, or its error was.
  void FinishOldest() PCR_EXCLUDES(mutex_);
  uint64_t num_finished() const PCR_EXCLUDES(mutex_);

  // Ends a Take that waits for a dispatcher, and fails those to come.
  void Cancel();

  // Waits for a Take that is under way. `next_example` of the oldest pending request is the first
  // that was not delivered; none: it is not in delivery.
  absl::Status Save(const std::string& prefix, std::optional<uint64_t> next_example,
                    tensorflow::data::IteratorStateWriter* writer)
      PCR_EXCLUDES(take_mutex_, mutex_);
  // Before any Take. INVALID_ARGUMENT for a state that does not fit the data set.
  absl::Status Restore(const std::string& prefix, tensorflow::data::IteratorStateReader* reader)
      PCR_EXCLUDES(take_mutex_, mutex_);

 private:
  EpochCounter::Epoch BeginLocked() PCR_REQUIRES(mutex_);
  std::vector<RecordPart> OrderOf(const EpochCounter::Epoch& epoch) const;
  absl::Status TakeSplit(RecordPart* part, int64_t* epoch, bool* end) PCR_REQUIRES(take_mutex_);
  absl::Status CheckRestored(const RecordRequest& request) const;
  std::vector<RecordRequest> Unfinished(std::optional<uint64_t> next_example) const
      PCR_REQUIRES(mutex_);

  const std::shared_ptr<SharedDataset> shared_;
  const RecordOrderOptions order_options_;
  const RecordFidelity fidelity_;
  const std::unique_ptr<SplitReader> splits_;  // null: the order decides which records come

  // Held while a request is taken, and locked before mutex_: the consumer need not wait for that.
  Mutex take_mutex_;
  bool looked_at_fidelity_ PCR_GUARDED_BY(take_mutex_) = false;  // since this began

  mutable Mutex mutex_;
  std::optional<EpochCounter::Epoch> epoch_ PCR_GUARDED_BY(mutex_);
  std::vector<RecordPart> order_ PCR_GUARDED_BY(mutex_);       // without splits
  uint64_t next_position_ PCR_GUARDED_BY(mutex_) = 0;          // in order_, of the next request
  std::deque<RecordRequest> restored_ PCR_GUARDED_BY(mutex_);  // to take before all others
  std::deque<RecordRequest> pending_ PCR_GUARDED_BY(mutex_);   // the oldest first
  bool has_taken_ PCR_GUARDED_BY(mutex_) = false;
  uint64_t num_finished_ PCR_GUARDED_BY(mutex_) = 0;
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_REQUEST_SOURCE_H_
