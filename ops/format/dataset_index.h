// DatasetIndex: every record of a data set, and the range that holds its
// prefix at a fidelity (docs/FORMAT.md, sections 9 and 11).

#ifndef PCR_OPS_FORMAT_DATASET_INDEX_H_
#define PCR_OPS_FORMAT_DATASET_INDEX_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/base/status.h"
#include "ops/format/shard_index.h"

namespace pcr {

struct ShardEntry {
  std::string name;
  uint64_t file_bytes = 0;
  uint32_t footer_checksum = 0;
  uint64_t first_record = 0;  // global ordinal
  uint64_t num_records = 0;
};

// One read: bytes [offset, offset + size) of a shard.
struct PrefixRange {
  uint64_t shard = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
};

class DatasetIndex {
 public:
  // From the bytes of a side index file.
  static Result<DatasetIndex> Parse(std::string_view side_index);
  // The bytes of a side index file. INVALID_ARGUMENT for names it cannot hold.
  Result<std::string> Serialize() const;

  // Adds a shard after the others. INVALID_ARGUMENT if its header does not fit.
  Status Add(std::string name, const ShardIndex& shard);
  // Puts `folder` + "/" before every shard's name.
  void ResolveNames(std::string_view folder);

  const Header& header() const { return header_; }
  const std::vector<ShardEntry>& shards() const { return shards_; }
  const IndexColumns& columns() const { return columns_; }
  uint64_t num_records() const { return columns_.num_records(); }
  uint64_t num_examples() const { return num_examples_; }

  // Requires record < num_records().
  const ShardEntry& ShardOf(uint64_t record) const;
  // "<file>: record <ordinal in the file>", for messages. Requires record < num_records().
  std::string NameOf(uint64_t record) const;
  // Requires record < num_records() and 1 <= scan_groups <= num_groups.
  PrefixRange Prefix(uint64_t record, int scan_groups) const;
  // Of the contents of the shards that hold records, in their order, whatever the files are called:
  // a CRC-32C of their sizes and of the checksums of their footers, which hold those of all the
  // rest.
  uint32_t ContentsChecksum() const;
  // INVALID_ARGUMENT unless 1 <= scan_groups <= num_groups.
  Status CheckScanGroups(int64_t scan_groups) const;

  // Heap memory held, for docs and tests.
  uint64_t MemoryBytes() const;

 private:
  Header header_;
  std::vector<ShardEntry> shards_;
  IndexColumns columns_;
  uint64_t num_examples_ = 0;
};

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_DATASET_INDEX_H_
