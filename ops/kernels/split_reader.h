// SplitReader: takes splits from a provider, which may wait for the dispatcher
// of the tf.data service, and lets that wait be given up.

#ifndef PCR_OPS_KERNELS_SPLIT_READER_H_
#define PCR_OPS_KERNELS_SPLIT_READER_H_

#include <memory>

#include "absl/status/status.h"
#include "tensorflow/core/framework/dataset.h"
#include "tensorflow/core/framework/tensor.h"

namespace pcr {

// The provider of a worker repeats its request for up to WorkerConfig's dispatcher_timeout_ms, an
// hour by default, and cannot be cancelled. So a thread of its own asks it, and is abandoned when
// nobody waits for it any more. That thread ends with the request.
class SplitReader {
 public:
  explicit SplitReader(std::shared_ptr<tensorflow::data::SplitProvider> provider);
  ~SplitReader();

  SplitReader(const SplitReader&) = delete;
  SplitReader& operator=(const SplitReader&) = delete;

  // The next split. CANCELLED once Cancel was called, also while it waits. Other errors have no
  // code that a client of the tf.data service takes for a worker that will come back: it would ask
  // again for ever. Not from two threads at once.
  absl::Status Next(tensorflow::Tensor* split, bool* end);

  // From any thread.
  void Cancel();

  // For its state, while no Next is under way.
  tensorflow::data::SplitProvider& provider() const;

 private:
  struct Shared;

  static void Work(Shared* shared);

  const std::shared_ptr<Shared> shared_;
  bool has_thread_ = false;
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_SPLIT_READER_H_
