#include "ops/format/shard_writer.h"

#include <numeric>
#include <utility>

#include "ops/base/byte_writer.h"
#include "ops/base/crc32c.h"
#include "ops/format/ancillary.h"
#include "ops/format/footer.h"
#include "ops/format/frame.h"
#include "ops/format/layout.h"
#include "ops/format/record_metadata.h"

namespace pcr {

ShardWriter::ShardWriter(Header header) : header_(std::move(header)) {
  columns_.num_groups = header_.num_groups();
}

uint32_t ShardWriter::Count(uint32_t frame_checksum) {
  std::string stored;
  AppendLittle32(frame_checksum, &stored);
  contents_checksum_ = ExtendCrc32c(contents_checksum_, stored);
  return frame_checksum;
}

Result<std::string> ShardWriter::Begin() {
  if (state_ != State::kNew) return InvalidArgument("Begin for the second time");
  ExampleBuilder builder;
  header_.AddTo(layout::kHeaderFrame, &builder);
  std::string out;
  Count(AppendFrame(builder.Finish(), &out));
  offset_ = out.size();
  state_ = State::kOpen;
  return out;
}

Status ShardWriter::Add(std::string stored_example, std::vector<uint64_t> image_counts,
                        std::vector<CodedImage> images) {
  if (state_ != State::kOpen) return InvalidArgument("Add outside of Begin and Finish");
  const size_t counted = std::accumulate(image_counts.begin(), image_counts.end(), uint64_t{0});
  if (image_counts.size() != header_.image_features.size() || counted != images.size()) {
    return InvalidArgument(Expected("images of the example", counted, images.size()));
  }
  uint64_t bytes = stored_example.size();
  for (const CodedImage& image : images) {
    if (image.group_sizes.size() != header_.scans_per_group.size()) {
      return InvalidArgument(
          Expected("scan groups of an image", header_.num_groups(), image.group_sizes.size()));
    }
    bytes += image.scans.size() + image.ancillary.size() + image.trailing.size();
  }
  pending_bytes_ += bytes;
  stored_examples_.push_back(std::move(stored_example));
  image_counts_.insert(image_counts_.end(), image_counts.begin(), image_counts.end());
  for (CodedImage& image : images) images_.push_back(std::move(image));
  return Status();
}

std::string ShardWriter::GroupData(int group) const {
  uint64_t size = 0;
  for (const CodedImage& image : images_) size += image.group_sizes[group - 1];
  std::string data;
  data.reserve(size);
  for (const CodedImage& image : images_) {
    const auto begin = image.group_sizes.begin();
    const uint64_t offset = std::accumulate(begin, begin + (group - 1), uint64_t{0});
    data.append(image.scans, offset, image.group_sizes[group - 1]);
  }
  return data;
}

Result<std::string> ShardWriter::EndRecord() {
  if (state_ != State::kOpen) return InvalidArgument("EndRecord outside of Begin and Finish");
  if (stored_examples_.empty()) return InvalidArgument("a record holds at least one example");
  const uint64_t ordinal = columns_.num_records();
  const auto place = [ordinal](std::string_view part) {
    return "record " + std::to_string(ordinal) + ", " + std::string(part);
  };
  RecordMetadata metadata;
  metadata.record = ordinal;
  metadata.examples.assign(stored_examples_.begin(), stored_examples_.end());
  metadata.image_counts = image_counts_;
  std::string ancillary;
  for (const CodedImage& image : images_) {
    metadata.codings.push_back(image.coding);
    metadata.ancillary_offsets.push_back(image.ancillary_offset);
    metadata.ancillary_sizes.push_back(image.ancillary.size());
    metadata.trailing_sizes.push_back(image.trailing.size());
    metadata.orientations.push_back(image.orientation);
    ancillary.append(image.ancillary).append(image.trailing);
  }
  PCR_ASSIGN_OR_RETURN(const std::string ancillary_stream,
                       DeflateAncillary(ancillary).WithContext(place("ancillary")));
  // The groups' frames come after the metadata, whose frame holds their checksums.
  std::string groups;
  std::vector<uint64_t> group_frame_sizes;
  groups.reserve(pending_bytes_ + 128 * header_.scans_per_group.size());
  for (int group = 1; group <= header_.num_groups(); ++group) {
    for (const CodedImage& image : images_) {
      metadata.slice_sizes.push_back(image.group_sizes[group - 1]);
    }
    ExampleBuilder builder;
    builder.AddBytes(layout::kFrame, {layout::kScanGroupFrame});
    builder.AddInts(layout::kRecord, {ordinal});
    builder.AddInts(layout::kGroup, {static_cast<uint64_t>(group)});
    builder.AddBytes(layout::kData, {GroupData(group)});
    if (group == header_.num_groups()) {
      builder.AddBytes(layout::kAncillary, {ancillary_stream});
    }
    const std::string data = builder.Finish();
    PCR_RETURN_IF_ERROR(CheckFrameDataBytes("data of a frame", data.size())
                            .WithContext(place("scan group " + std::to_string(group))));
    const size_t before = groups.size();
    metadata.group_checksums.push_back(AppendFrame(data, &groups));
    group_frame_sizes.push_back(groups.size() - before);
  }
  const std::string metadata_data = metadata.Serialize();
  PCR_RETURN_IF_ERROR(
      CheckFrameDataBytes("data of a frame", metadata_data.size()).WithContext(place("metadata")));
  std::string out;
  columns_.record_offsets.push_back(offset_);
  columns_.metadata_checksums.push_back(Count(AppendFrame(metadata_data, &out)));
  columns_.frame_sizes.push_back(out.size());
  columns_.frame_sizes.insert(columns_.frame_sizes.end(), group_frame_sizes.begin(),
                              group_frame_sizes.end());
  columns_.example_counts.push_back(stored_examples_.size());
  for (const uint64_t checksum : metadata.group_checksums) {
    Count(static_cast<uint32_t>(checksum));
  }
  out.append(groups);
  offset_ += out.size();
  num_examples_ += stored_examples_.size();
  stored_examples_.clear();
  image_counts_.clear();
  images_.clear();
  pending_bytes_ = 0;
  return out;
}

Result<std::string> ShardWriter::Finish() {
  if (state_ != State::kOpen) return InvalidArgument("Finish without Begin, or twice");
  if (!stored_examples_.empty()) return InvalidArgument("Finish before EndRecord");
  state_ = State::kFinished;
  ExampleBuilder builder;
  header_.AddTo(layout::kIndexFrame, &builder);
  columns_.AddTo(&builder);
  std::string out;
  Footer footer;
  footer.index_offset = offset_;
  footer.index_checksum = Count(AppendFrame(builder.Finish(), &out));
  footer.index_frame_size = out.size();
  footer.num_records = columns_.num_records();
  footer.num_examples = num_examples_;
  footer.contents_checksum = contents_checksum_;
  AppendFooter(footer, &out);
  return out;
}

}  // namespace pcr
