#include "ops/format/index_columns.h"

#include <algorithm>
#include <limits>
#include <string>

#include "ops/base/check.h"
#include "ops/format/layout.h"

namespace pcr {

uint64_t IndexColumns::PrefixBytes(uint64_t record, int scan_groups) const {
  PCR_DCHECK(scan_groups >= 1 && scan_groups <= num_groups);
  const uint64_t* sizes = frame_sizes_of(record);
  uint64_t sum = 0;
  for (int i = 0; i <= scan_groups; ++i) sum += sizes[i];
  return sum;
}

void IndexColumns::AddTo(ExampleBuilder* builder) const {
  builder->AddInts(layout::kRecordOffsets, record_offsets);
  builder->AddInts(layout::kFrameSizes, frame_sizes);
  builder->AddInts(layout::kExampleCounts, example_counts);
  builder->AddInts(layout::kMetadataChecksums,
                   {metadata_checksums.begin(), metadata_checksums.end()});
}

void IndexColumns::Append(const IndexColumns& other) {
  const auto append = [](const auto& from, auto* to) {
    to->insert(to->end(), from.begin(), from.end());
  };
  append(other.record_offsets, &record_offsets);
  append(other.frame_sizes, &frame_sizes);
  append(other.example_counts, &example_counts);
  append(other.metadata_checksums, &metadata_checksums);
}

Result<IndexColumns> IndexColumns::Parse(const ExampleView& view, int num_groups) {
  IndexColumns columns;
  columns.num_groups = num_groups;
  PCR_ASSIGN_OR_RETURN(columns.record_offsets, view.Sizes(layout::kRecordOffsets));
  const auto num_records = static_cast<int64_t>(columns.num_records());
  PCR_ASSIGN_OR_RETURN(columns.frame_sizes,
                       view.Sizes(layout::kFrameSizes, num_records * (num_groups + 1)));
  PCR_ASSIGN_OR_RETURN(columns.example_counts, view.Sizes(layout::kExampleCounts, num_records));
  PCR_ASSIGN_OR_RETURN(const auto checksums, view.Sizes(layout::kMetadataChecksums, num_records));
  columns.metadata_checksums.reserve(num_records);
  for (const uint64_t checksum : checksums) {
    if (checksum > std::numeric_limits<uint32_t>::max()) {
      return DataLoss(Expected("a checksum", "32 bits", checksum));
    }
    columns.metadata_checksums.push_back(static_cast<uint32_t>(checksum));
  }
  return columns;
}

Status IndexColumns::CheckLayout(uint64_t first, uint64_t last, uint64_t limit) const {
  PCR_DCHECK(first <= last && last <= num_records());
  uint64_t end = 0;
  for (uint64_t record = first; record < last; ++record) {
    const auto place = [&] { return "record " + std::to_string(record - first); };
    const uint64_t offset = record_offsets[record];
    if (offset < end || offset > limit) {
      return DataLoss(Expected("a record begins between the one before it and the index",
                               std::to_string(end) + " to " + std::to_string(limit), offset))
          .WithContext(place());
    }
    end = offset;
    const uint64_t* sizes = frame_sizes_of(record);
    for (int i = 0; i <= num_groups; ++i) {
      const uint64_t most = std::min(limit - end, layout::kMaxFrameBytes);
      if (sizes[i] < layout::kFrameOverheadBytes || sizes[i] > most) {
        return DataLoss(Expected("size of a frame, which lies before the index",
                                 std::to_string(layout::kFrameOverheadBytes) + " to " +
                                     std::to_string(most),
                                 sizes[i]))
            .WithContext(place() + ", scan group " + std::to_string(i));
      }
      end += sizes[i];
    }
    // An example costs at least one byte of metadata, so the count is bounded by what is there.
    if (example_counts[record] < 1 || example_counts[record] > sizes[0]) {
      return DataLoss(Expected("examples of a record", "1 to " + std::to_string(sizes[0]),
                               example_counts[record]))
          .WithContext(place());
    }
  }
  return Status();
}

}  // namespace pcr
