#include "ops/kernels/dataset_opener.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ops/format/layout.h"
#include "ops/format/shard_index.h"
#include "tensorflow/core/platform/errors.h"
#include "tensorflow/core/platform/path.h"

namespace pcr {
namespace {

using ::tensorflow::errors::InvalidArgument;
using ::tensorflow::errors::NotFound;

bool EndsWith(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

absl::Status ReadTail(const std::string& path, uint64_t file_bytes, uint64_t tail_bytes,
                      RangeReader* reader, std::string* tail) {
  tail->resize(std::min(file_bytes, tail_bytes));
  return reader->Read(path, file_bytes - tail->size(), tail->size(), tail->data(),
                      [] { return false; });
}

absl::Status OpenShard(const std::string& path, RangeReader* reader, DatasetIndex* index) {
  if (tensorflow::io::Basename(path) == layout::kSideIndexName) {
    return InvalidArgument(path,
                           ": path of a PCR file; expected the folder of a data set, alone, or "
                           "its shards, got a side index");
  }
  uint64_t file_bytes = 0;
  TF_RETURN_IF_ERROR(reader->FileSize(path, &file_bytes));
  std::string tail;
  if (file_bytes > 0) {
    TF_RETURN_IF_ERROR(ReadTail(path, file_bytes, layout::kTailBytes, reader, &tail));
  }
  auto needed = ShardIndex::TailBytesNeeded(tail, file_bytes);
  if (!needed.ok()) return ToTensorFlow(needed.status().WithContext(path));
  if (needed.value() > tail.size()) {
    TF_RETURN_IF_ERROR(ReadTail(path, file_bytes, needed.value(), reader, &tail));
  }
  auto shard = ShardIndex::Parse(tail, file_bytes);
  if (!shard.ok()) return ToTensorFlow(shard.status().WithContext(path));
  return ToTensorFlow(index->Add(path, shard.value()));
}

absl::Status OpenSideIndex(const std::string& folder, const std::string& path, uint64_t size_bytes,
                           RangeReader* reader, DatasetIndex* index) {
  std::string bytes;
  TF_RETURN_IF_ERROR(ReadTail(path, size_bytes, size_bytes, reader, &bytes));
  auto parsed = DatasetIndex::Parse(bytes);
  if (!parsed.ok()) return ToTensorFlow(parsed.status().WithContext(path));
  *index = std::move(parsed).value();
  index->ResolveNames(folder);
  return absl::Status();
}

absl::Status ListShards(tensorflow::Env* env, const std::string& folder,
                        std::vector<std::string>* paths) {
  std::vector<std::string> names;
  TF_RETURN_IF_ERROR(env->GetChildren(folder, &names));
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (EndsWith(name, layout::kShardSuffix)) {
      paths->push_back(tensorflow::io::JoinPath(folder, name));
    }
  }
  if (paths->empty()) {
    return NotFound(folder, ": neither a side index (", std::string(layout::kSideIndexName),
                    ") nor a file that ends in ", std::string(layout::kShardSuffix),
                    "; give the folder of a converted data set or its files");
  }
  return absl::Status();
}

}  // namespace

absl::Status ToTensorFlow(const Status& status) {
  const auto code = [&status] {
    switch (status.code()) {
      case Code::kOk:
        return absl::StatusCode::kOk;
      case Code::kCancelled:
        return absl::StatusCode::kCancelled;
      case Code::kInvalidArgument:
        return absl::StatusCode::kInvalidArgument;
      case Code::kUnavailable:
        return absl::StatusCode::kUnavailable;
      case Code::kDataLoss:
        return absl::StatusCode::kDataLoss;
      case Code::kResourceExhausted:
        return absl::StatusCode::kResourceExhausted;
      case Code::kInternal:
        return absl::StatusCode::kInternal;
    }
    return absl::StatusCode::kUnknown;
  };
  return absl::Status(code(), status.message());
}

absl::Status OpenDataset(tensorflow::Env* env, const std::vector<std::string>& paths,
                         RangeReader* reader, DatasetIndex* index) {
  if (paths.empty()) return InvalidArgument("no file or folder of a PCR data set was given");
  if (std::count(paths.begin(), paths.end(), "") > 0) {
    return InvalidArgument(
        "path of a PCR data set; expected the name of a folder or file, got \"\"");
  }
  std::vector<std::string> files = paths;
  if (paths.size() == 1) {
    std::string path = paths.front();
    while (path.size() > 1 && path.back() == '/' && !EndsWith(path, "://")) path.pop_back();
    const std::string side_index =
        tensorflow::io::JoinPath(path, std::string(layout::kSideIndexName));
    uint64_t size_bytes = 0;
    absl::Status found = reader->FileSize(side_index, &size_bytes);
    if (found.ok()) return OpenSideIndex(path, side_index, size_bytes, reader, index);
    // A store that does not answer has not said that there is no side index.
    if (absl::IsUnavailable(found) || absl::IsDeadlineExceeded(found) || absl::IsAborted(found)) {
      return found;
    }
    if (env->IsDirectory(path).ok()) {
      files.clear();
      TF_RETURN_IF_ERROR(ListShards(env, path, &files));
    }
  }
  for (const std::string& file : files) {
    absl::Status status = OpenShard(file, reader, index);
    if (absl::IsFailedPrecondition(status)) {  // a folder among files
      return absl::Status(status.code(),
                          absl::StrCat(status.message(), "; give one folder alone, or files"));
    }
    TF_RETURN_IF_ERROR(status);
  }
  return absl::Status();
}

}  // namespace pcr
