// ShardIndex: what a reader knows of one file, from the file's tail alone.

#ifndef PCR_OPS_FORMAT_SHARD_INDEX_H_
#define PCR_OPS_FORMAT_SHARD_INDEX_H_

#include <cstdint>
#include <string_view>

#include "ops/base/status.h"
#include "ops/format/footer.h"
#include "ops/format/header.h"
#include "ops/format/index_columns.h"

namespace pcr {

struct ShardIndex {
  Header header;
  Footer footer;
  IndexColumns columns;
  uint64_t file_bytes = 0;

  // Bytes of a file's end that hold its footer and index. Needs at least the
  // last min(file_bytes, layout::kTailBytes) bytes in `tail`.
  static Result<uint64_t> TailBytesNeeded(std::string_view tail, uint64_t file_bytes);

  // Requires that `tail` holds at least TailBytesNeeded bytes.
  static Result<ShardIndex> Parse(std::string_view tail, uint64_t file_bytes);

  // What a check of the whole file demands of the data of the header frame, which readers of the
  // tail never see: that it is one, and that index and footer say the same.
  Status CheckHeader(std::string_view header_data) const;
};

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_SHARD_INDEX_H_
