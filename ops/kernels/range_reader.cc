#include "ops/kernels/range_reader.h"

#include <algorithm>
#include <cstring>

#include "tensorflow/core/framework/metrics.h"
#include "tensorflow/core/platform/errors.h"
#include "tensorflow/core/platform/random.h"

namespace pcr {
namespace {

bool MayPass(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kInternal:
      return true;
    default:
      return false;
  }
}

std::string Range(const std::string& path, uint64_t offset, uint64_t size) {
  return path + ": bytes " + std::to_string(offset) + " to " + std::to_string(offset + size - 1);
}

}  // namespace

absl::Status RangeReader::Open(const std::string& path, File* file) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = by_path_.find(path);
    if (found != by_path_.end()) {
      open_files_.splice(open_files_.begin(), open_files_, found->second);
      *file = open_files_.front().second;
      return absl::Status();
    }
  }
  // Opened outside of the lock: it may be a request to a distant store. Two
  // threads may open one file at once; the first to come back is kept.
  std::unique_ptr<tensorflow::RandomAccessFile> opened;
  TF_RETURN_IF_ERROR(env_->NewRandomAccessFile(path, &opened));
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = by_path_.find(path);
  if (found != by_path_.end()) {
    *file = found->second->second;
    return absl::Status();
  }
  open_files_.emplace_front(path, std::move(opened));
  by_path_[path] = open_files_.begin();
  *file = open_files_.front().second;
  if (open_files_.size() > kMaxOpenFiles) {
    by_path_.erase(open_files_.back().first);
    open_files_.pop_back();
  }
  return absl::Status();
}

void RangeReader::Forget(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) return;
  open_files_.erase(found->second);
  by_path_.erase(found);
}

absl::Status RangeReader::ReadOnce(const std::string& path, uint64_t offset, uint64_t size,
                                   char* out) {
  static auto* const bytes_read = tensorflow::metrics::GetTFDataBytesReadCounter("Pcr");
  File file;
  TF_RETURN_IF_ERROR(Open(path, &file));
  absl::string_view result;
  absl::Status status = file->Read(offset, size, &result, out);
  bytes_read->IncrementBy(static_cast<int64_t>(result.size()));
  if (status.ok() && result.size() == size) {
    // Some file systems (mapped memory) answer with bytes of their own.
    if (result.data() != out) std::memcpy(out, result.data(), size);
    return absl::Status();
  }
  if (status.ok() || absl::IsOutOfRange(status)) {
    return tensorflow::errors::DataLoss(
        Range(path, offset, size), ": the file ends early; expected ", size, ", got ",
        result.size(),
        " bytes; the shard is cut short or is not the one the index describes: "
        "copy or convert it again, then make the side index again with pcr-index");
  }
  return status;
}

absl::Status RangeReader::Read(const std::string& path, uint64_t offset, uint64_t size, char* out,
                               const std::function<bool()>& is_cancelled) {
  int64_t backoff_ms = kFirstBackoffMs;
  for (int attempt = 1;; ++attempt) {
    absl::Status status = ReadOnce(path, offset, size, out);
    if (status.ok() || !MayPass(status)) return status;
    if (attempt == kMaxAttempts) {
      return absl::Status(status.code(), Range(path, offset, size) + ": failed " +
                                             std::to_string(attempt) +
                                             " times, last with: " + std::string(status.message()));
    }
    Forget(path);
    // Full jitter, in steps short enough for a prompt end on cancellation.
    int64_t wait_ms =
        backoff_ms / 2 + static_cast<int64_t>(tensorflow::random::New64() %
                                              static_cast<uint64_t>(backoff_ms / 2 + 1));
    for (; wait_ms > 0; wait_ms -= 20) {
      if (is_cancelled()) return tensorflow::errors::Cancelled("reading was cancelled");
      env_->SleepForMicroseconds(1000 * std::min<int64_t>(wait_ms, 20));
    }
    backoff_ms *= 2;
  }
}

absl::Status RangeReader::FileSize(const std::string& path, uint64_t* size_bytes) {
  return env_->GetFileSize(path, size_bytes);
}

}  // namespace pcr
