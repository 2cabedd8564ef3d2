#include "ops/format/shard_index.h"

#include <numeric>
#include <string>

#include "ops/format/frame.h"
#include "ops/format/layout.h"

namespace pcr {

Result<uint64_t> ShardIndex::TailBytesNeeded(std::string_view tail, uint64_t file_bytes) {
  auto footer = Footer::Parse(tail, file_bytes);
  if (!footer.ok()) return footer.status();
  return file_bytes - footer.value().index_offset;
}

Result<ShardIndex> ShardIndex::Parse(std::string_view tail, uint64_t file_bytes) {
  auto footer = Footer::Parse(tail, file_bytes);
  if (!footer.ok()) return footer.status();
  const uint64_t needed = file_bytes - footer.value().index_offset;
  if (tail.size() < needed) return Internal(Expected("bytes of tail", needed, tail.size()));

  const uint64_t offset = footer.value().index_offset;
  const std::string place = "index at byte " + std::to_string(offset);
  auto frame =
      ParseFrame(tail.substr(tail.size() - needed, footer.value().index_frame_size), offset);
  if (!frame.ok()) return frame.status().WithContext("index");
  if (frame.value().frame_size != footer.value().index_frame_size) {
    return DataLoss(Expected("frame size of the index", footer.value().index_frame_size,
                             frame.value().frame_size))
        .WithContext(place);
  }
  if (frame.value().checksum != footer.value().index_checksum) {
    return DataLoss(Expected("checksum of the index, as the footer has it",
                             footer.value().index_checksum, frame.value().checksum))
        .WithContext(place);
  }
  auto view = ExampleView::Parse(frame.value().data);
  if (!view.ok()) return view.status().WithContext(place);
  auto header = Header::Parse(layout::kIndexFrame, view.value());
  if (!header.ok()) return header.status().WithContext(place);
  auto columns = IndexColumns::Parse(view.value(), header.value().num_groups());
  if (!columns.ok()) return columns.status().WithContext(place);

  ShardIndex index;
  index.header = std::move(header).value();
  index.footer = footer.value();
  index.columns = std::move(columns).value();
  index.file_bytes = file_bytes;
  const uint64_t num_records = index.columns.num_records();
  if (num_records != index.footer.num_records) {
    return DataLoss(Expected("number of records, as the footer has it", index.footer.num_records,
                             num_records))
        .WithContext(place);
  }
  PCR_RETURN_IF_ERROR(index.columns.CheckLayout(0, num_records, offset).WithContext(place));
  const auto& counts = index.columns.example_counts;
  const uint64_t num_examples = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
  if (num_examples != index.footer.num_examples) {
    return DataLoss(Expected("number of examples, as the footer has it", index.footer.num_examples,
                             num_examples))
        .WithContext(place);
  }
  return index;
}

Status ShardIndex::CheckHeader(std::string_view header_data) const {
  auto view = ExampleView::Parse(header_data);
  if (!view.ok()) return view.status();
  auto found = Header::Parse(layout::kHeaderFrame, view.value());
  if (!found.ok()) return found.status();
  const Header& there = found.value();
  const auto differs = [](std::string_view feature) {
    return DataLoss(
        Expected(std::string(feature) + " of the header", "that of the index", "another"));
  };
  const auto version_text = [](uint64_t major, uint64_t minor) {
    return std::to_string(major) + "." + std::to_string(minor);
  };
  const std::string version = version_text(header.major_version, header.minor_version);
  const std::string in_header = version_text(there.major_version, there.minor_version);
  if (in_header != version) {
    return DataLoss(Expected("version of the header, as the index has it", version, in_header));
  }
  const std::string in_footer = version_text(footer.major_version, footer.minor_version);
  if (in_footer != version) {
    return DataLoss(Expected("version of the footer, as the index has it", version, in_footer));
  }
  if (there.scans_per_group != header.scans_per_group) return differs(layout::kScansPerGroup);
  if (there.scan_script != header.scan_script) return differs(layout::kScanScript);
  if (there.image_features != header.image_features) return differs(layout::kImageFeatures);
  if (there.created_by != header.created_by) return differs(layout::kCreatedBy);
  return Status();
}

}  // namespace pcr
