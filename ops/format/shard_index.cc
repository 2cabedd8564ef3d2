#include "ops/format/shard_index.h"

#include <numeric>
#include <string>

#include "ops/format/frame.h"
#include "ops/format/layout.h"

namespace pcr {

Result<uint64_t> ShardIndex::TailBytesNeeded(std::string_view tail, uint64_t file_bytes) {
  PCR_ASSIGN_OR_RETURN(const Footer footer, Footer::Parse(tail, file_bytes));
  return file_bytes - footer.index_offset;
}

Result<ShardIndex> ShardIndex::Parse(std::string_view tail, uint64_t file_bytes) {
  PCR_ASSIGN_OR_RETURN(const Footer footer, Footer::Parse(tail, file_bytes));
  const uint64_t needed = file_bytes - footer.index_offset;
  if (tail.size() < needed) return Internal(Expected("bytes of tail", needed, tail.size()));

  const uint64_t offset = footer.index_offset;
  const std::string place = "index at byte " + std::to_string(offset);
  PCR_ASSIGN_OR_RETURN(
      const FrameView frame,
      ParseFrame(tail.substr(tail.size() - needed, footer.index_frame_size), offset)
          .WithContext("index"));
  if (frame.frame_size != footer.index_frame_size) {
    return DataLoss(Expected("frame size of the index", footer.index_frame_size, frame.frame_size))
        .WithContext(place);
  }
  if (frame.checksum != footer.index_checksum) {
    return DataLoss(Expected("checksum of the index, as the footer has it", footer.index_checksum,
                             frame.checksum))
        .WithContext(place);
  }
  PCR_ASSIGN_OR_RETURN(const ExampleView view, ExampleView::Parse(frame.data).WithContext(place));

  ShardIndex index;
  index.footer = footer;
  PCR_ASSIGN_OR_RETURN(index.header, Header::Parse(layout::kIndexFrame, view).WithContext(place));
  PCR_ASSIGN_OR_RETURN(index.columns,
                       IndexColumns::Parse(view, index.header.num_groups()).WithContext(place));
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
  PCR_ASSIGN_OR_RETURN(const ExampleView view, ExampleView::Parse(header_data));
  PCR_ASSIGN_OR_RETURN(const Header stored, Header::Parse(layout::kHeaderFrame, view));
  const auto differs = [](std::string_view feature) {
    return DataLoss(
        Expected(std::string(feature) + " of the header", "that of the index", "another"));
  };
  const auto version_text = [](uint64_t major, uint64_t minor) {
    return std::to_string(major) + "." + std::to_string(minor);
  };
  const std::string version = version_text(header.major_version, header.minor_version);
  const std::string in_header = version_text(stored.major_version, stored.minor_version);
  if (in_header != version) {
    return DataLoss(Expected("version of the header, as the index has it", version, in_header));
  }
  const std::string in_footer = version_text(footer.major_version, footer.minor_version);
  if (in_footer != version) {
    return DataLoss(Expected("version of the footer, as the index has it", version, in_footer));
  }
  if (stored.scans_per_group != header.scans_per_group) return differs(layout::kScansPerGroup);
  if (stored.scan_script != header.scan_script) return differs(layout::kScanScript);
  if (stored.image_features != header.image_features) return differs(layout::kImageFeatures);
  if (stored.created_by != header.created_by) return differs(layout::kCreatedBy);
  return Status();
}

}  // namespace pcr
