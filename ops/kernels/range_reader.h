// RangeReader: exact range reads through TensorFlow's file systems.

#ifndef PCR_OPS_KERNELS_RANGE_READER_H_
#define PCR_OPS_KERNELS_RANGE_READER_H_

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "tensorflow/core/platform/env.h"

namespace pcr {

// Reads whole ranges, each with one Read of the file system, repeated only
// after an error that may pass (UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED,
// UNKNOWN, INTERNAL): kMaxAttempts at most, with exponential back-off and jitter.
// Keeps a bounded number of files open. Thread-safe.
class RangeReader {
 public:
  static constexpr int kMaxAttempts = 5;
  static constexpr int64_t kFirstBackoffMs = 100;
  static constexpr size_t kMaxOpenFiles = 64;

  explicit RangeReader(tensorflow::Env* env) : env_(env) {}

  // Bytes [offset, offset + size) of the file into `out`. DATA_LOSS if the file
  // ends before. `is_cancelled` ends the waiting between attempts.
  absl::Status Read(const std::string& path, uint64_t offset, uint64_t size, char* out,
                    const std::function<bool()>& is_cancelled);

  absl::Status FileSize(const std::string& path, uint64_t* size_bytes);

 private:
  using File = std::shared_ptr<tensorflow::RandomAccessFile>;

  absl::Status Open(const std::string& path, File* file);
  void Forget(const std::string& path);
  absl::Status ReadOnce(const std::string& path, uint64_t offset, uint64_t size, char* out);

  tensorflow::Env* const env_;
  std::mutex mutex_;
  // Least recently used last.
  std::list<std::pair<std::string, File>> open_files_;
  std::unordered_map<std::string, std::list<std::pair<std::string, File>>::iterator> by_path_;
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_RANGE_READER_H_
