// IndexColumns: where the records of one file, or of many one after the other,
// lie (docs/FORMAT.md, section 7). The index frame and the side index share it.

#ifndef PCR_OPS_FORMAT_INDEX_COLUMNS_H_
#define PCR_OPS_FORMAT_INDEX_COLUMNS_H_

#include <cstdint>
#include <vector>

#include "ops/base/check.h"
#include "ops/base/status.h"
#include "ops/format/example_wire.h"

namespace pcr {

struct IndexColumns {
  int num_groups = 0;
  std::vector<uint64_t> record_offsets;      // [R]
  std::vector<uint64_t> frame_sizes;         // [R x (num_groups + 1)]
  std::vector<uint64_t> example_counts;      // [R]
  std::vector<uint32_t> metadata_checksums;  // [R]

  uint64_t num_records() const { return record_offsets.size(); }
  // Sizes of its metadata frame and its scan-group frames. Requires record < num_records().
  const uint64_t* frame_sizes_of(uint64_t record) const {
    PCR_DCHECK(record < num_records());
    return frame_sizes.data() + record * (num_groups + 1);
  }
  // Bytes of the prefix (section 9). Requires 1 <= scan_groups <= num_groups.
  uint64_t PrefixBytes(uint64_t record, int scan_groups) const;

  void AddTo(ExampleBuilder* builder) const;
  void Append(const IndexColumns& other);
  static Result<IndexColumns> Parse(const ExampleView& view, int num_groups);

  // DATA_LOSS unless records [first, last) lie in order, without overlap, in
  // the bytes before `limit`, and hold at least one example each.
  Status CheckLayout(uint64_t first, uint64_t last, uint64_t limit) const;
};

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_INDEX_COLUMNS_H_
