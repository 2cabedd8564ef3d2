// EpochCounter: numbers the epochs of one PcrDataset of a program.

#ifndef PCR_OPS_KERNELS_EPOCH_COUNTER_H_
#define PCR_OPS_KERNELS_EPOCH_COUNTER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
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
  // The epoch behind the last one of these files.
  Epoch Next(Files files);

  // Whether no other iterator of these paths is at work: only then is it certain which one takes
  // the next epoch. Release undoes it, whatever it said.
  bool Claim(const std::string& paths);
  void Release(const std::string& paths);

  // The counts of all files, for a checkpoint.
  tensorflow::tstring Serialize();
  // Goes on behind an iterator that was in `epoch` of `files` when all counts were `serialized`.
  // INVALID_ARGUMENT, and nothing changes, if that is not what Serialize gives.
  absl::Status ContinueAfter(Files files, const Epoch& epoch,
                             const tensorflow::tstring& serialized);

 private:
  const int64_t first_;
  std::mutex mutex_;
  uint64_t seed_;
  std::map<Files, int64_t> next_;  // where it is not first_
  std::map<std::string, int64_t> claims_;
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
