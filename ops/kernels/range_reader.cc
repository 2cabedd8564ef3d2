#include "ops/kernels/range_reader.h"

#include <cstring>

#include "ops/kernels/retry.h"
#include "tensorflow/core/platform/errors.h"

namespace pcr {
namespace {

std::string Bytes(uint64_t offset, uint64_t size) {
  return "bytes " + std::to_string(offset) + " to " + std::to_string(offset + size - 1);
}

}  // namespace

absl::Status RangeReader::Open(const std::string& path, File* file) {
  {
    MutexLock lock(&mutex_);
    const auto entry = by_path_.find(path);
    if (entry != by_path_.end()) {
      open_files_.splice(open_files_.begin(), open_files_, entry->second);
      *file = open_files_.front().second;
      return absl::Status();
    }
  }
  // Opened outside of the lock: it may be a request to a distant store. Two
  // threads may open one file at once; the first that returns is kept.
  std::unique_ptr<tensorflow::RandomAccessFile> opened;
  TF_RETURN_IF_ERROR(env_->NewRandomAccessFile(path, &opened));
  MutexLock lock(&mutex_);
  const auto entry = by_path_.find(path);
  if (entry != by_path_.end()) {
    *file = entry->second->second;
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
  MutexLock lock(&mutex_);
  const auto entry = by_path_.find(path);
  if (entry == by_path_.end()) return;
  open_files_.erase(entry->second);
  by_path_.erase(entry);
}

absl::Status RangeReader::ReadOnce(const std::string& path, uint64_t offset, uint64_t size,
                                   char* out, uint64_t* num_read) {
  File file;
  TF_RETURN_IF_ERROR(Open(path, &file));
  absl::string_view result;
  const uint64_t start_us = env_->NowMicros();
  absl::Status status = file->Read(offset, size, &result, out);
  statistics_->AddRead(static_cast<int64_t>(result.size()),
                       static_cast<int64_t>(env_->NowMicros() - start_us));
  // How file systems report that the file ends before the range does.
  if (absl::IsOutOfRange(status)) status = absl::Status();
  if (!status.ok()) {
    Forget(path);  // its connection may be what is broken
    return status;
  }
  // Some file systems (mapped memory) return a view of their own bytes.
  if (result.data() != out) std::memcpy(out, result.data(), result.size());
  *num_read = result.size();
  return absl::Status();
}

absl::Status RangeReader::Read(const std::string& path, uint64_t offset, uint64_t size, char* out,
                               const Cancellation& cancellation) {
  const std::string bytes = Bytes(offset, size);
  const bool remote = IsRemote(path);
  return WithRetries(
      path, bytes, cancellation, statistics_,
      [&]() -> absl::Status {
        uint64_t num_read = 0;
        TF_RETURN_IF_ERROR(ReadOnce(path, offset, size, out, &num_read));
        if (num_read == size) return absl::Status();
        return tensorflow::errors::DataLoss(
            path, ": ", bytes, ": the file ends early; expected ", size, ", got ", num_read,
            " bytes; the shard is cut short or is not the one the index describes: "
            "copy or convert it again, then make the side index again with pcr-index");
      },
      [remote](const absl::Status& status) {
        return MayPass(status) || (remote && absl::IsDataLoss(status));
      });
}

absl::Status RangeReader::ReadUpTo(const std::string& path, uint64_t offset, uint64_t size,
                                   char* out, uint64_t* num_read,
                                   const Cancellation& cancellation) {
  return WithRetries(path, Bytes(offset, size), cancellation, statistics_,
                     [&] { return ReadOnce(path, offset, size, out, num_read); });
}

absl::Status RangeReader::FileSize(const std::string& path, uint64_t* size_bytes,
                                   const Cancellation& cancellation) {
  return WithRetries(path, "size of the file", cancellation, statistics_, [&] {
    statistics_->AddLookup();
    return env_->GetFileSize(path, size_bytes);
  });
}

}  // namespace pcr
