// RangeReader: exact range reads through TensorFlow's file systems.

#ifndef PCR_OPS_KERNELS_RANGE_READER_H_
#define PCR_OPS_KERNELS_RANGE_READER_H_

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "ops/base/cancellation.h"
#include "ops/base/mutex.h"
#include "ops/kernels/read_statistics.h"
#include "tensorflow/core/platform/env.h"

namespace pcr {

// Reads ranges, each with one Read of the file system, repeated only after a transient error
// (retry.h). Keeps a bounded number of files open. Thread-safe.
class RangeReader {
 public:
  static constexpr size_t kMaxOpenFiles = 64;

  // Counts its requests to the file system in `statistics`, which outlives it.
  RangeReader(tensorflow::Env* env, ReadStatistics* statistics)
      : env_(env), statistics_(statistics) {}

  // Reads bytes [offset, offset + size) of the file into `out`. DATA_LOSS if the file ends before
  // that; for a remote file only after further attempts, since a transfer that was cut short may
  // look the same.
  absl::Status Read(const std::string& path, uint64_t offset, uint64_t size, char* out,
                    const Cancellation& cancellation);

  // As Read, but reads only the bytes that exist: `num_read` of them.
  absl::Status ReadUpTo(const std::string& path, uint64_t offset, uint64_t size, char* out,
                        uint64_t* num_read, const Cancellation& cancellation);

  absl::Status FileSize(const std::string& path, uint64_t* size_bytes,
                        const Cancellation& cancellation);

 private:
  using File = std::shared_ptr<tensorflow::RandomAccessFile>;

  absl::Status Open(const std::string& path, File* file);
  void Forget(const std::string& path);
  absl::Status ReadOnce(const std::string& path, uint64_t offset, uint64_t size, char* out,
                        uint64_t* num_read);

  tensorflow::Env* const env_;
  ReadStatistics* const statistics_;
  Mutex mutex_;
  // Least recently used last.
  std::list<std::pair<std::string, File>> open_files_ PCR_GUARDED_BY(mutex_);
  std::unordered_map<std::string, std::list<std::pair<std::string, File>>::iterator> by_path_
      PCR_GUARDED_BY(mutex_);
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_RANGE_READER_H_
