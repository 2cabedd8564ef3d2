#include "ops/format/dataset_index.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "ops/base/byte_writer.h"
#include "ops/base/check.h"
#include "ops/base/crc32c.h"
#include "ops/format/frame.h"
#include "ops/format/layout.h"

namespace pcr {
namespace {

// A name that cannot leave the folder of the side index.
bool IsRelativeName(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find('\0') != std::string_view::npos) {
    return false;
  }
  size_t begin = 0;
  while (begin <= name.size()) {
    const size_t end = std::min(name.find('/', begin), name.size());
    if (name.substr(begin, end - begin) == "..") return false;
    begin = end + 1;
  }
  return name.find("://") == std::string_view::npos;
}

uint64_t Sum(const std::vector<uint64_t>& values) {
  return std::accumulate(values.begin(), values.end(), uint64_t{0});
}

}  // namespace

Result<DatasetIndex> DatasetIndex::Parse(std::string_view side_index) {
  PCR_ASSIGN_OR_RETURN(const FrameView frame, ParseFrame(side_index, 0));
  if (frame.frame_size != side_index.size()) {
    return DataLoss(
        Expected("a side index is one frame (bytes)", frame.frame_size, side_index.size()));
  }
  PCR_ASSIGN_OR_RETURN(const ExampleView view, ExampleView::Parse(frame.data));
  DatasetIndex index;
  PCR_ASSIGN_OR_RETURN(index.header_, Header::Parse(layout::kDatasetIndexFrame, view));
  PCR_ASSIGN_OR_RETURN(const auto names, view.Bytes(layout::kShardNames));
  const auto num_shards = static_cast<int64_t>(names.size());
  PCR_ASSIGN_OR_RETURN(const auto sizes, view.Sizes(layout::kShardSizes, num_shards));
  PCR_ASSIGN_OR_RETURN(const auto checksums, view.Sizes(layout::kFooterChecksums, num_shards));
  PCR_ASSIGN_OR_RETURN(const auto records, view.Sizes(layout::kShardRecords, num_shards));
  PCR_ASSIGN_OR_RETURN(index.columns_, IndexColumns::Parse(view, index.header_.num_groups()));

  index.shards_.reserve(num_shards);
  uint64_t first_record = 0;
  for (int64_t s = 0; s < num_shards; ++s) {
    ShardEntry shard;
    shard.name = names[s];
    shard.file_bytes = sizes[s];
    shard.footer_checksum = static_cast<uint32_t>(checksums[s]);
    shard.first_record = first_record;
    shard.num_records = records[s];
    if (checksums[s] > std::numeric_limits<uint32_t>::max()) {
      return DataLoss(Expected("checksum of a footer", "32 bits", checksums[s]))
          .WithContext(shard.name);
    }
    if (!IsRelativeName(shard.name)) {
      return DataLoss(Expected("name of a shard", "relative, without ..", shard.name));
    }
    if (shard.num_records > index.num_records() - first_record) {
      return DataLoss(Expected("records of the shards", index.num_records(),
                               "more at " + Printable(shard.name)));
    }
    first_record += shard.num_records;
    PCR_RETURN_IF_ERROR(
        index.columns_.CheckLayout(shard.first_record, first_record, shard.file_bytes)
            .WithContext(shard.name));
    index.shards_.push_back(std::move(shard));
  }
  if (first_record != index.num_records()) {
    return DataLoss(Expected("records of the shards", index.num_records(), first_record));
  }
  index.num_examples_ = Sum(index.columns_.example_counts);
  return index;
}

Result<std::string> DatasetIndex::Serialize() const {
  std::vector<std::string_view> names;
  std::vector<uint64_t> sizes;
  std::vector<uint64_t> checksums;
  std::vector<uint64_t> records;
  for (const ShardEntry& shard : shards_) {
    if (!IsRelativeName(shard.name)) {
      return InvalidArgument(
          Expected("name of a shard in a side index", "relative, without ..", shard.name));
    }
    names.push_back(shard.name);
    sizes.push_back(shard.file_bytes);
    checksums.push_back(shard.footer_checksum);
    records.push_back(shard.num_records);
  }
  ExampleBuilder builder;
  header_.AddTo(layout::kDatasetIndexFrame, &builder);
  builder.AddBytes(layout::kShardNames, names);
  builder.AddInts(layout::kShardSizes, sizes);
  builder.AddInts(layout::kFooterChecksums, checksums);
  builder.AddInts(layout::kShardRecords, records);
  columns_.AddTo(&builder);
  std::string out;
  AppendFrame(builder.Finish(), &out);
  return out;
}

Status DatasetIndex::Add(std::string name, const ShardIndex& shard) {
  if (shards_.empty()) {
    header_ = shard.header;
    columns_.num_groups = header_.num_groups();
  } else {
    PCR_RETURN_IF_ERROR(
        header_.CheckCompatible(shard.header).WithContext(shards_.front().name + " and " + name));
    // What a reader may expect of all shards.
    header_.minor_version = std::min(header_.minor_version, shard.header.minor_version);
  }
  ShardEntry entry;
  entry.name = std::move(name);
  entry.file_bytes = shard.file_bytes;
  entry.footer_checksum = shard.footer.footer_checksum;
  entry.first_record = num_records();
  entry.num_records = shard.columns.num_records();
  shards_.push_back(std::move(entry));
  columns_.Append(shard.columns);
  num_examples_ += shard.footer.num_examples;
  return Status();
}

void DatasetIndex::ResolveNames(std::string_view folder) {
  for (ShardEntry& shard : shards_) shard.name = std::string(folder) + "/" + shard.name;
}

const ShardEntry& DatasetIndex::ShardOf(uint64_t record) const {
  PCR_DCHECK(record < num_records());
  // The last shard that begins at or before the record; empty shards before it share its start.
  const auto after = std::upper_bound(
      shards_.begin(), shards_.end(), record,
      [](uint64_t ordinal, const ShardEntry& shard) { return ordinal < shard.first_record; });
  return *(after - 1);
}

std::string DatasetIndex::NameOf(uint64_t record) const {
  const ShardEntry& shard = ShardOf(record);
  return shard.name + ": record " + std::to_string(record - shard.first_record);
}

PrefixRange DatasetIndex::Prefix(uint64_t record, int scan_groups) const {
  PrefixRange range;
  range.shard = &ShardOf(record) - shards_.data();
  range.offset = columns_.record_offsets[record];
  range.size = columns_.PrefixBytes(record, scan_groups);
  return range;
}

uint32_t DatasetIndex::ContentsChecksum() const {
  std::string contents;
  for (const ShardEntry& shard : shards_) {
    if (shard.num_records == 0) continue;
    AppendLittle64(shard.file_bytes, &contents);
    AppendLittle32(shard.footer_checksum, &contents);
  }
  return Crc32c(contents);
}

Status DatasetIndex::CheckScanGroups(int64_t scan_groups) const {
  if (scan_groups >= 1 && scan_groups <= header_.num_groups()) return Status();
  return InvalidArgument(Expected("scan groups to read of this data set",
                                  "1 to " + std::to_string(header_.num_groups()), scan_groups));
}

uint64_t DatasetIndex::MemoryBytes() const {
  uint64_t bytes = shards_.capacity() * sizeof(ShardEntry);
  for (const ShardEntry& shard : shards_) bytes += shard.name.capacity();
  return bytes +
         8 * (columns_.record_offsets.capacity() + columns_.frame_sizes.capacity() +
              columns_.example_counts.capacity()) +
         4 * columns_.metadata_checksums.capacity();
}

}  // namespace pcr
