#include "ops/kernels/dataset_opener.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ops/base/cancellation.h"
#include "ops/base/clean_exit.h"
#include "ops/format/frame.h"
#include "ops/format/layout.h"
#include "ops/format/shard_index.h"
#include "ops/format/shard_names.h"
#include "ops/kernels/read_statistics.h"
#include "ops/kernels/retry.h"
#include "ops/kernels/tensorflow_status.h"
#include "tensorflow/core/platform/errors.h"
#include "tensorflow/core/platform/path.h"

namespace pcr {
namespace {

using ::tensorflow::errors::InvalidArgument;
using ::tensorflow::errors::NotFound;

// Holds the side index of some thousand records; a larger one costs a second read.
constexpr uint64_t kFirstIndexBytes = uint64_t{1} << 20;

bool EndsWith(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

bool IsWeb(const std::string& path) {
  return path.rfind("http://", 0) == 0 || path.rfind("https://", 0) == 0;
}

absl::Status ReadTail(const std::string& path, uint64_t file_bytes, uint64_t tail_bytes,
                      RangeReader* reader, std::string* tail) {
  tail->resize(std::min(file_bytes, tail_bytes));
  return reader->Read(path, file_bytes - tail->size(), tail->size(), tail->data(), Cancellation());
}

absl::Status OpenShard(const std::string& path, RangeReader* reader, DatasetIndex* index) {
  if (tensorflow::io::Basename(path) == layout::kSideIndexName) {
    return WithReadableMessage(InvalidArgument(
        path,
        ": path of a PCR file; expected the folder of a data set, alone, or its shards, got a side "
        "index"));
  }
  uint64_t file_bytes = 0;
  TF_RETURN_IF_ERROR(reader->FileSize(path, &file_bytes, Cancellation()));
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

// Reads a side index without asking for its size first, which would be a request of its own (two on
// s3://, and the whole file on http://).
absl::Status ReadSideIndex(const std::string& path, RangeReader* reader, std::string* bytes) {
  const auto read_up_to = [&](uint64_t size) -> absl::Status {
    const uint64_t have = bytes->size();
    bytes->resize(size);
    uint64_t num_read = 0;
    TF_RETURN_IF_ERROR(
        reader->ReadUpTo(path, have, size - have, bytes->data() + have, &num_read, Cancellation()));
    bytes->resize(have + num_read);
    return absl::Status();
  };
  bytes->clear();
  TF_RETURN_IF_ERROR(read_up_to(kFirstIndexBytes));
  const std::optional<uint64_t> size = ClaimedFrameSize(*bytes);
  if (bytes->size() < kFirstIndexBytes || !size.has_value() || *size <= kFirstIndexBytes) {
    return absl::Status();
  }
  // One byte more, so that anything behind the frame is noticed.
  return read_up_to(*size + 1);
}

// Whether an error may mean that there is no such file, rather than that the store does not answer.
// S3 reports a missing object as forbidden to callers that may not list.
bool MayMeanAbsent(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsFailedPrecondition(status) ||
         absl::IsPermissionDenied(status) || absl::IsInvalidArgument(status) ||
         absl::IsUnimplemented(status);
}

// Leaves the reason in `absent` if there is no side index at `path`.
absl::Status OpenSideIndex(const std::string& path, RangeReader* reader, DatasetIndex* index,
                           absl::Status* absent) {
  std::string bytes;
  if (absl::Status status = ReadSideIndex(path, reader, &bytes); !status.ok()) {
    if (!MayMeanAbsent(status)) return status;
    *absent = std::move(status);
    return absl::Status();
  }
  auto parsed = DatasetIndex::Parse(bytes);
  if (!parsed.ok() && parsed.status().code() == Code::kDataLoss && IsRemote(path)) {
    // Damaged on the way or in the store: a second read decides.
    ReadStatistics::Global().AddReread();
    TF_RETURN_IF_ERROR(ReadSideIndex(path, reader, &bytes));
    parsed = DatasetIndex::Parse(bytes);
  }
  if (!parsed.ok()) return ToTensorFlow(parsed.status().WithContext(path));
  *index = std::move(parsed).value();
  return absl::Status();
}

absl::Status IsFolder(tensorflow::Env* env, const std::string& path, bool* is_folder) {
  // A web server has no folders, and tensorflow-io would fetch the file to find out.
  *is_folder = false;
  if (IsWeb(path)) return absl::Status();
  ReadStatistics* const statistics = &ReadStatistics::Global();
  absl::Status status = WithRetries(path, "kind of the path", Cancellation(), statistics, [&] {
    statistics->AddLookup();
    return env->IsDirectory(path);
  });
  *is_folder = status.ok();
  return status.ok() || !MayPass(status) ? absl::Status() : status;
}

absl::Status ListShards(tensorflow::Env* env, const std::string& folder,
                        std::vector<std::string>* paths) {
  ReadStatistics* const statistics = &ReadStatistics::Global();
  std::vector<std::string> names;
  TF_RETURN_IF_ERROR(WithRetries(folder, "names in the folder", Cancellation(), statistics, [&] {
    statistics->AddLookup();
    names.clear();
    return env->GetChildren(folder, &names);
  }));
  // Hidden files are not shards.
  const auto is_shard = [](const std::string& name) {
    return EndsWith(name, layout::kShardSuffix) && name.front() != '.';
  };
  names.erase(std::partition(names.begin(), names.end(), is_shard), names.end());
  std::sort(names.begin(), names.end());
  if (const Status status = CheckShardNames(names); !status.ok()) {
    return ToTensorFlow(status.WithContext(folder));
  }
  for (const std::string& name : names) paths->push_back(tensorflow::io::JoinPath(folder, name));
  if (paths->empty()) {
    return WithReadableMessage(
        NotFound(folder, ": neither a side index (", std::string(layout::kSideIndexName),
                 ") nor a file that ends in ", std::string(layout::kShardSuffix),
                 "; give the folder of a converted data set or its files"));
  }
  return absl::Status();
}

}  // namespace

absl::Status OpenDataset(tensorflow::Env* env, const std::vector<std::string>& paths,
                         RangeReader* reader, DatasetIndex* index) {
  if (paths.empty()) return InvalidArgument("no file or folder of a PCR data set was given");
  if (std::count(paths.begin(), paths.end(), "") > 0) {
    return InvalidArgument(
        "path of a PCR data set; expected the name of a folder or file, got \"\"");
  }
  if (std::any_of(paths.begin(), paths.end(),
                  [](const std::string& path) { return path.rfind("s3://", 0) == 0; })) {
    SkipStaticDestructorsAtExit();
  }
  std::vector<std::string> files = paths;
  if (paths.size() == 1) {
    std::string path = paths.front();
    while (path.size() > 1 && path.back() == '/' && !EndsWith(path, "://")) path.pop_back();
    const std::string side_index =
        tensorflow::io::JoinPath(path, std::string(layout::kSideIndexName));
    absl::Status absent;
    TF_RETURN_IF_ERROR(OpenSideIndex(side_index, reader, index, &absent));
    if (absent.ok()) {
      index->ResolveNames(path);
      return absl::Status();
    }
    bool is_folder = false;
    TF_RETURN_IF_ERROR(IsFolder(env, path, &is_folder));
    if (is_folder) {
      if (absl::IsPermissionDenied(absent)) return absent;
      files.clear();
      TF_RETURN_IF_ERROR(ListShards(env, path, &files));
    }
  }
  for (const std::string& file : files) {
    absl::Status status = OpenShard(file, reader, index);
    if (!status.ok() && files.size() == 1 && IsWeb(file) && !EndsWith(file, layout::kShardSuffix)) {
      return absl::Status(status.code(),
                          absl::StrCat(status.message(),
                                       "; if this is a folder: a web server does not list it, so "
                                       "it needs a ",
                                       std::string(layout::kSideIndexName),
                                       " (pcr-index makes one), or give its files"));
    }
    if (absl::IsFailedPrecondition(status)) {  // a folder among files
      return absl::Status(status.code(),
                          absl::StrCat(status.message(), "; give one folder alone, or files"));
    }
    if (absl::IsNotFound(status) && file.find_first_of("*?[") != std::string::npos) {
      return absl::Status(
          status.code(),
          absl::StrCat(status.message(),
                       "; patterns are not expanded: give the files of tf.io.gfile.glob(pattern)"));
    }
    TF_RETURN_IF_ERROR(status);
  }
  return absl::Status();
}

}  // namespace pcr
