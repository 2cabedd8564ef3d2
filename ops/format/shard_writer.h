// ShardWriter: makes the bytes of one PCR file, for the caller to put one
// after the other (docs/FORMAT.md, section 4).

#ifndef PCR_OPS_FORMAT_SHARD_WRITER_H_
#define PCR_OPS_FORMAT_SHARD_WRITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "ops/base/status.h"
#include "ops/format/coded_image.h"
#include "ops/format/header.h"
#include "ops/format/index_columns.h"

namespace pcr {

// Call order: Begin, then any number of (Add..., EndRecord), then Finish. Each
// returns the bytes that follow those returned before. Holds one record.
class ShardWriter {
 public:
  explicit ShardWriter(Header header);

  Result<std::string> Begin();
  // Adds an example to the record being made. `images` are those TakeImages
  // gave, coded, in its order; `image_counts` has one entry for each feature.
  Status Add(std::string stored_example, std::vector<uint64_t> image_counts,
             std::vector<CodedImage> images);
  // INVALID_ARGUMENT if no example was added since the last record.
  Result<std::string> EndRecord();
  Result<std::string> Finish();

  const Header& header() const { return header_; }
  uint64_t pending_examples() const { return stored_examples_.size(); }
  uint64_t pending_bytes() const { return pending_bytes_; }
  uint64_t num_records() const { return columns_.num_records(); }
  uint64_t num_examples() const { return num_examples_; }

 private:
  // Folds a frame's checksum into the contents checksum.
  uint32_t Count(uint32_t frame_checksum);
  std::string GroupData(int group) const;

  enum class State { kNew, kOpen, kFinished };

  Header header_;
  State state_ = State::kNew;
  IndexColumns columns_;
  uint64_t offset_ = 0;  // bytes returned so far
  uint64_t num_examples_ = 0;
  uint32_t contents_checksum_ = 0;

  // The record being made.
  std::vector<std::string> stored_examples_;
  std::vector<uint64_t> image_counts_;
  std::vector<CodedImage> images_;
  uint64_t pending_bytes_ = 0;
};

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_SHARD_WRITER_H_
