// EpochCounter: numbers the epochs of one PcrDataset of a program.

#ifndef PCR_OPS_KERNELS_EPOCH_COUNTER_H_
#define PCR_OPS_KERNELS_EPOCH_COUNTER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "ops/base/mutex.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/platform/tstring.h"

namespace pcr {

// A PcrDataset in the function of a flat_map or an interleave is made anew for each element, of the
// same files or of others; so epochs are counted for each list of files, and the counts of all of
// them belong to the state of each iterator. Thread-safe.
class EpochCounter {
 public:
  struct Epoch {
    uint64_t seed;
    int64_t number;  // from 0
  };

  // Which files are read: the checksum of their contents, so that files that were moved are the
  // same.
  using Files = int64_t;

  EpochCounter(uint64_t seed, int64_t first) : first_(first), seed_(seed) {}

  Epoch First();
  // The epoch after the last one of these files.
  Epoch Next(Files files);

  // Returns whether no other iterator of these files is at work for `consumer`: only then is it
  // certain which one takes the next epoch. Release undoes it, whatever it returned.
  bool Claim(Files files, const void* consumer);
  void Release(Files files, const void* consumer);

  // The counts of all files, for a checkpoint.
  tensorflow::tstring Serialize();
  // Goes on with the seed and the counts of a checkpoint, and after `epoch` of `files`, if there is
  // one: where an iterator was. INVALID_ARGUMENT, and nothing changes, if `serialized` is not what
  // Serialize gives.
  absl::Status Restore(uint64_t seed, const tensorflow::tstring& serialized, Files files,
                       std::optional<int64_t> epoch);

 private:
  const int64_t first_;
  Mutex mutex_;
  uint64_t seed_ PCR_GUARDED_BY(mutex_);
  std::map<Files, int64_t> next_ PCR_GUARDED_BY(mutex_);  // where it is not first_
  std::map<std::pair<Files, const void*>, int64_t> claims_ PCR_GUARDED_BY(mutex_);
};

// The counter of the PcrDataset that a function makes each time it is called. It lives as long as
// the device that runs the function: in a program as long as this, in a worker of the tf.data
// service as long as the task, whose epochs other tasks must not count. `id` is the data set's in
// the program.
absl::Status CounterOfFunction(tensorflow::ResourceMgr* resources, const std::string& id,
                               uint64_t seed, int64_t first,
                               std::shared_ptr<EpochCounter>* counter);

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_EPOCH_COUNTER_H_
