#include "ops/format/record_prefix.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "ops/base/byte_writer.h"
#include "ops/base/check.h"
#include "ops/format/ancillary.h"
#include "ops/format/example_wire.h"
#include "ops/format/frame.h"
#include "ops/format/header.h"
#include "ops/format/layout.h"

namespace pcr {
namespace {

// Size of a length-delimited field with a single-byte tag.
uint64_t FieldSize(uint64_t payload) { return 1 + VarintSize(payload) + payload; }

char* WriteBytes(std::string_view bytes, char* out) {
  if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  return out + bytes.size();
}

char* WriteTag(char tag, uint64_t size, char* out) {
  *out++ = tag;
  return WriteVarint(size, out);
}

// For bytes whose own checksum holds.
constexpr const char* kOtherConversion =
    "; index and shard are of different conversions: make the side index again with pcr-index";

// The frame at `bytes`, which the index says is of `frame_size` bytes.
Result<FrameView> ParseSizedFrame(std::string_view bytes, uint64_t frame_size, uint64_t offset) {
  const std::string_view frame = bytes.substr(0, frame_size);
  const std::optional<uint64_t> claimed = ClaimedFrameSize(frame);
  if (claimed.has_value() && *claimed != frame_size) {
    return DataLoss(Expected("frame size, as the index has it", frame_size, *claimed) +
                    kOtherConversion)
        .WithContext("byte " + std::to_string(offset));
  }
  return ParseFrame(frame, offset);
}

Status ParseGroup(const ExampleView& frame, uint64_t ordinal, int group, uint64_t data_size,
                  std::string_view* group_data) {
  PCR_RETURN_IF_ERROR(CheckKind(layout::kScanGroupFrame, frame));
  PCR_ASSIGN_OR_RETURN(const uint64_t stored_record, frame.OneSize(layout::kRecord));
  PCR_ASSIGN_OR_RETURN(const uint64_t stored_group, frame.OneSize(layout::kGroup));
  if (stored_record != ordinal) {
    return DataLoss(Expected("ordinal of the record", ordinal, stored_record));
  }
  if (stored_group != static_cast<uint64_t>(group)) {
    return DataLoss(Expected("number of the scan group", group, stored_group));
  }
  PCR_ASSIGN_OR_RETURN(const std::string_view bytes, frame.OneBytes(layout::kData));
  if (bytes.size() != data_size) {
    return DataLoss(Expected("sum of the slice sizes of the group", data_size, bytes.size()));
  }
  *group_data = bytes;
  return Status();
}

}  // namespace

Result<RecordPrefix> RecordPrefix::Parse(const DatasetIndex& index, uint64_t record,
                                         int scan_groups, std::string_view bytes,
                                         const BeforeInflating& before_inflating) {
  PCR_RETURN_IF_ERROR(index.CheckScanGroups(scan_groups));
  const ShardEntry& shard = index.ShardOf(record);
  const uint64_t ordinal = record - shard.first_record;
  const std::string place = index.NameOf(record);
  const PrefixRange range = index.Prefix(record, scan_groups);
  if (bytes.size() != range.size) {
    return DataLoss(Expected("bytes of the prefix", range.size, bytes.size())).WithContext(place);
  }
  const uint64_t* frame_sizes = index.columns().frame_sizes_of(record);
  const std::string metadata_place = place + ", metadata";

  PCR_ASSIGN_OR_RETURN(
      const FrameView frame,
      ParseSizedFrame(bytes, frame_sizes[0], range.offset).WithContext(metadata_place));
  const std::string metadata_byte = metadata_place + ", byte " + std::to_string(range.offset);
  if (frame.checksum != index.columns().metadata_checksums[record]) {
    return DataLoss(Expected("checksum of the metadata frame, as the index has it",
                             index.columns().metadata_checksums[record], frame.checksum) +
                    kOtherConversion)
        .WithContext(metadata_byte);
  }
  RecordPrefix prefix;
  prefix.num_groups_ = index.header().num_groups();
  prefix.image_features_.assign(index.header().image_features.begin(),
                                index.header().image_features.end());
  const uint64_t num_features = prefix.image_features_.size();
  PCR_ASSIGN_OR_RETURN(prefix.metadata_, RecordMetadata::Parse(frame.data, prefix.num_groups_,
                                                               static_cast<int>(num_features))
                                             .WithContext(metadata_byte));
  const RecordMetadata& meta = prefix.metadata_;
  if (meta.record != ordinal) {
    return DataLoss(Expected("ordinal of the record", ordinal, meta.record))
        .WithContext(metadata_byte);
  }
  if (meta.num_examples() != index.columns().example_counts[record]) {
    return DataLoss(Expected("number of examples, as the index has it",
                             index.columns().example_counts[record], meta.num_examples()))
        .WithContext(metadata_byte);
  }
  prefix.first_image_.reserve(meta.num_examples() + 1);
  prefix.first_image_.push_back(0);
  for (uint64_t n = 0; n < meta.num_examples(); ++n) {
    uint64_t images = 0;
    for (uint64_t f = 0; f < num_features; ++f) images += meta.image_counts[n * num_features + f];
    prefix.first_image_.push_back(prefix.first_image_.back() + images);
  }

  const uint64_t num_images = meta.num_images();
  // Of the groups that are not read too: so no sum of sizes is larger than the file.
  for (int group = 1; group <= prefix.num_groups_; ++group) {
    uint64_t left = frame_sizes[group];
    for (uint64_t m = 0; m < num_images; ++m) {
      const uint64_t slice_bytes = meta.slice_sizes[(group - 1) * num_images + m];
      if (slice_bytes > left) {
        return DataLoss(Expected("slices of scan group " + std::to_string(group) +
                                     " fit in its frame (bytes)",
                                 "at most " + std::to_string(left), slice_bytes))
            .WithContext(metadata_byte);
      }
      left -= slice_bytes;
    }
  }
  prefix.slice_offsets_.reserve(scan_groups * num_images);
  uint64_t position = frame_sizes[0];
  for (int group = 1; group <= scan_groups; ++group) {
    const uint64_t offset = range.offset + position;
    const std::string group_place = place + ", scan group " + std::to_string(group);
    const std::string group_byte = group_place + ", byte " + std::to_string(offset);
    PCR_ASSIGN_OR_RETURN(const FrameView group_frame,
                         ParseSizedFrame(bytes.substr(position), frame_sizes[group], offset)
                             .WithContext(group_place));
    if (group_frame.checksum != meta.group_checksums[group - 1]) {
      return DataLoss(Expected("checksum of the frame, as the metadata have it",
                               meta.group_checksums[group - 1], group_frame.checksum))
          .WithContext(group_byte);
    }
    uint64_t data_size = 0;
    for (uint64_t m = 0; m < num_images; ++m) {
      prefix.slice_offsets_.push_back(data_size);
      data_size += meta.slice_sizes[(group - 1) * num_images + m];
    }
    PCR_ASSIGN_OR_RETURN(const ExampleView view,
                         ExampleView::Parse(group_frame.data).WithContext(group_byte));
    std::string_view data;
    PCR_RETURN_IF_ERROR(ParseGroup(view, ordinal, group, data_size, &data).WithContext(group_byte));
    prefix.groups_.push_back(data);
    if (group == 1) PCR_RETURN_IF_ERROR(prefix.CheckStarts().WithContext(group_byte));
    if (group == prefix.num_groups_) {
      PCR_RETURN_IF_ERROR(prefix.TakeAncillary(view, before_inflating).WithContext(group_byte));
    }
    position += frame_sizes[group];
  }
  return prefix;
}

Result<uint64_t> RecordPrefix::AncillaryBytes(const DatasetIndex& index,
                                              std::string_view metadata_frame) {
  PCR_ASSIGN_OR_RETURN(const FrameView frame, ParseFrame(metadata_frame, 0));
  PCR_ASSIGN_OR_RETURN(
      const RecordMetadata metadata,
      RecordMetadata::Parse(frame.data, index.header().num_groups(),
                            static_cast<int>(index.header().image_features.size())));
  return metadata.ancillary_stream_bytes;
}

Status RecordPrefix::TakeAncillary(const ExampleView& last_group,
                                   const BeforeInflating& before_inflating) {
  PCR_ASSIGN_OR_RETURN(const std::string_view stream, last_group.OneBytes(layout::kAncillary));
  if (before_inflating != nullptr && metadata_.ancillary_stream_bytes > 0) {
    PCR_RETURN_IF_ERROR(before_inflating(metadata_.ancillary_stream_bytes));
  }
  PCR_ASSIGN_OR_RETURN(ancillary_, InflateAncillary(stream, metadata_.ancillary_stream_bytes));
  ancillary_begins_.reserve(metadata_.num_images());
  uint64_t begin = 0;
  for (uint64_t m = 0; m < metadata_.num_images(); ++m) {
    ancillary_begins_.push_back(begin);
    begin += metadata_.ancillary_sizes[m] + metadata_.trailing_sizes[m];
  }
  return Status();
}

Status RecordPrefix::CheckStarts() const {
  for (uint64_t m = 0; m < metadata_.num_images(); ++m) {
    if (metadata_.codings[m] == Coding::kOpaque) continue;
    const std::string_view start = Slice(1, m).substr(0, layout::kStartOfImage.size());
    if (start != layout::kStartOfImage) {
      return DataLoss(Expected("slice 1 of progressive image " + std::to_string(m) + " begins with",
                               "SOI", start));
    }
  }
  return Status();
}

std::string_view RecordPrefix::Slice(int group, uint64_t m) const {
  const uint64_t at = (group - 1) * metadata_.num_images() + m;
  return groups_[group - 1].substr(slice_offsets_[at], metadata_.slice_sizes[at]);
}

uint64_t RecordPrefix::ImageBytes(uint64_t m) const {
  PCR_DCHECK(m < metadata_.num_images());
  const uint64_t num_images = metadata_.num_images();
  uint64_t size = 0;
  for (size_t group = 0; group < groups_.size(); ++group) {
    size += metadata_.slice_sizes[group * num_images + m];
  }
  if (metadata_.codings[m] == Coding::kOpaque) return size;
  if (at_full_fidelity()) size += metadata_.ancillary_sizes[m] + metadata_.trailing_sizes[m];
  if (HasOrientationSegment(m)) size += layout::kOrientationSegmentBytes;
  return size + layout::kEndOfImage.size();
}

char* RecordPrefix::WriteImage(uint64_t m, char* out) const {
  PCR_DCHECK(m < metadata_.num_images());
  if (metadata_.codings[m] == Coding::kOpaque) return WriteBytes(Slice(1, m), out);
  std::string_view ancillary;
  std::string_view trailing;
  if (at_full_fidelity()) {
    const std::string_view rest = std::string_view(ancillary_).substr(ancillary_begins_[m]);
    ancillary = rest.substr(0, metadata_.ancillary_sizes[m]);
    trailing = rest.substr(ancillary.size(), metadata_.trailing_sizes[m]);
  }
  const std::string_view first = Slice(1, m);
  const uint64_t insert_at = metadata_.ancillary_offsets[m];
  out = WriteBytes(first.substr(0, insert_at), out);
  out = WriteBytes(ancillary, out);
  if (HasOrientationSegment(m)) {
    out = WriteBytes(layout::kOrientationSegmentBegin, out);
    *out++ = static_cast<char>(metadata_.orientations[m]);
    out = WriteBytes(layout::kOrientationSegmentEnd, out);
  }
  out = WriteBytes(first.substr(insert_at), out);
  for (size_t group = 2; group <= groups_.size(); ++group) {
    out = WriteBytes(Slice(static_cast<int>(group), m), out);
  }
  out = WriteBytes(layout::kEndOfImage, out);
  return WriteBytes(trailing, out);
}

RecordPrefix::Owner RecordPrefix::OwnerOf(uint64_t m) const {
  PCR_DCHECK(m < metadata_.num_images());
  const auto after = std::upper_bound(first_image_.begin(), first_image_.end(), m);
  const uint64_t example = after - first_image_.begin() - 1;
  uint64_t left = m - first_image_[example];
  const uint64_t num_features = image_features_.size();
  int feature = 0;
  while (left >= metadata_.image_counts[example * num_features + feature]) {
    left -= metadata_.image_counts[example * num_features + feature];
    ++feature;
  }
  return {example, feature};
}

template <typename Visitor>
void RecordPrefix::ForEachImageFeature(uint64_t n, Visitor visit) const {
  PCR_DCHECK(n < num_examples());
  const uint64_t num_features = image_features_.size();
  uint64_t image = first_image_[n];
  for (uint64_t f = 0; f < num_features; ++f) {
    ImageFeature feature{};
    feature.feature = static_cast<int>(f);
    feature.first_image = image;
    feature.count = metadata_.image_counts[n * num_features + f];
    if (feature.count == 0) continue;
    for (; image < feature.first_image + feature.count; ++image) {
      feature.list_size += FieldSize(ImageBytes(image));
    }
    feature.feature_size = FieldSize(feature.list_size);
    feature.entry_size = FieldSize(image_features_[f].size()) + FieldSize(feature.feature_size);
    visit(feature);
  }
}

uint64_t RecordPrefix::ImageFeaturesBytes(uint64_t n) const {
  uint64_t size = 0;
  ForEachImageFeature(n,
                      [&](const ImageFeature& feature) { size += FieldSize(feature.entry_size); });
  return size;
}

uint64_t RecordPrefix::ExampleBytes(uint64_t n) const {
  PCR_DCHECK(n < num_examples());
  const uint64_t features_size = ImageFeaturesBytes(n);
  const uint64_t images = features_size == 0 ? 0 : FieldSize(features_size);
  return metadata_.examples[n].size() + images;
}

void RecordPrefix::WriteExample(uint64_t n, char* out) const {
  PCR_DCHECK(n < num_examples());
  out = WriteBytes(metadata_.examples[n], out);
  const uint64_t features_size = ImageFeaturesBytes(n);
  if (features_size == 0) return;
  out = WriteTag(kTagField1, features_size, out);
  ForEachImageFeature(n, [&](const ImageFeature& feature) {
    const std::string_view name = image_features_[feature.feature];
    out = WriteTag(kTagField1, feature.entry_size, out);
    out = WriteBytes(name, WriteTag(kTagField1, name.size(), out));
    out = WriteTag(kTagField2, feature.feature_size, out);
    out = WriteTag(kTagField1, feature.list_size, out);
    for (uint64_t m = feature.first_image; m < feature.first_image + feature.count; ++m) {
      out = WriteImage(m, WriteTag(kTagField1, ImageBytes(m), out));
    }
  });
}

}  // namespace pcr
