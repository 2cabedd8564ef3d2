#include "ops/format/record_metadata.h"

#include <limits>

#include "ops/format/example_wire.h"
#include "ops/format/header.h"
#include "ops/format/layout.h"

namespace pcr {
namespace {

constexpr uint64_t kMaxOrientation = 8;

Status CheckImage(const RecordMetadata& metadata, int num_groups, uint64_t image) {
  const uint64_t num_images = metadata.num_images();
  const auto slice = [&](int group) {
    return metadata.slice_sizes[(group - 1) * num_images + image];
  };
  const uint64_t ancillary = metadata.ancillary_sizes[image];
  const uint64_t trailing = metadata.trailing_sizes[image];
  const uint64_t offset = metadata.ancillary_offsets[image];
  const uint64_t orientation = metadata.orientations[image];
  if (orientation == 1 || orientation > kMaxOrientation) {
    return DataLoss(Expected("orientation of an image", "0 or 2 to 8", orientation));
  }
  if (orientation != 0 && ancillary == 0) {
    return DataLoss(Expected("orientation of an image that is opaque or has no ancillary bytes", 0,
                             orientation));
  }
  if (metadata.codings[image] == Coding::kOpaque) {
    for (int group = 2; group <= num_groups; ++group) {
      if (slice(group) != 0) {
        return DataLoss(Expected("slice of an opaque image beyond group 1", 0, slice(group)));
      }
    }
    if (ancillary != 0 || trailing != 0) {
      return DataLoss(Expected("ancillary and trailing bytes of an opaque image", 0,
                               ancillary != 0 ? ancillary : trailing));
    }
    return Status();
  }
  if (offset < 2 || offset > slice(1)) {
    return DataLoss(Expected("ancillary offset lies in the slice of group 1",
                             "2 to " + std::to_string(slice(1)), offset));
  }
  return Status();
}

}  // namespace

std::string RecordMetadata::Serialize() const {
  ExampleBuilder builder;
  builder.AddBytes(layout::kFrame, {layout::kMetadataFrame});
  builder.AddInts(layout::kRecord, {record});
  builder.AddBytes(layout::kExamples, examples);
  builder.AddInts(layout::kImageCounts, image_counts);
  std::vector<uint64_t> coding_values;
  for (const Coding coding : codings) coding_values.push_back(static_cast<uint64_t>(coding));
  builder.AddInts(layout::kCodings, coding_values);
  builder.AddInts(layout::kSliceSizes, slice_sizes);
  builder.AddInts(layout::kAncillaryOffsets, ancillary_offsets);
  builder.AddInts(layout::kAncillarySizes, ancillary_sizes);
  builder.AddInts(layout::kTrailingSizes, trailing_sizes);
  builder.AddInts(layout::kGroupChecksums, group_checksums);
  builder.AddInts(layout::kOrientations, orientations);
  return builder.Finish();
}

Result<RecordMetadata> RecordMetadata::Parse(std::string_view data, int num_groups,
                                             int num_image_features) {
  PCR_ASSIGN_OR_RETURN(const ExampleView view, ExampleView::Parse(data));
  PCR_RETURN_IF_ERROR(CheckKind(layout::kMetadataFrame, view));

  RecordMetadata metadata;
  PCR_ASSIGN_OR_RETURN(metadata.record, view.OneSize(layout::kRecord));
  PCR_ASSIGN_OR_RETURN(metadata.examples, view.Bytes(layout::kExamples));
  if (metadata.examples.empty()) return DataLoss(Expected("examples of a record", ">= 1", 0));

  // `pcr/codings` determines the number of images; all else must agree with it.
  PCR_ASSIGN_OR_RETURN(const auto codings, view.Sizes(layout::kCodings));
  for (const uint64_t coding : codings) {
    if (coding > static_cast<uint64_t>(Coding::kOpaque)) {
      return DataLoss(Expected("coding of an image", "0 or 1", coding));
    }
    metadata.codings.push_back(static_cast<Coding>(coding));
  }
  const auto num_images = static_cast<int64_t>(metadata.codings.size());
  const auto num_examples = static_cast<int64_t>(metadata.examples.size());

  const auto take = [&view](std::string_view name, int64_t count,
                            std::vector<uint64_t>* out) -> Status {
    PCR_ASSIGN_OR_RETURN(*out, view.Sizes(name, count));
    return Status();
  };
  PCR_RETURN_IF_ERROR(
      take(layout::kImageCounts, num_examples * num_image_features, &metadata.image_counts));
  PCR_RETURN_IF_ERROR(take(layout::kSliceSizes, num_groups * num_images, &metadata.slice_sizes));
  PCR_RETURN_IF_ERROR(take(layout::kAncillaryOffsets, num_images, &metadata.ancillary_offsets));
  PCR_RETURN_IF_ERROR(take(layout::kAncillarySizes, num_images, &metadata.ancillary_sizes));
  PCR_RETURN_IF_ERROR(take(layout::kTrailingSizes, num_images, &metadata.trailing_sizes));
  PCR_RETURN_IF_ERROR(take(layout::kGroupChecksums, num_groups, &metadata.group_checksums));
  if (view.Has(layout::kOrientations)) {
    PCR_RETURN_IF_ERROR(take(layout::kOrientations, num_images, &metadata.orientations));
  } else {
    metadata.orientations.assign(num_images, 0);
  }

  for (const uint64_t checksum : metadata.group_checksums) {
    if (checksum > std::numeric_limits<uint32_t>::max()) {
      return DataLoss(Expected("a checksum", "32 bits", checksum));
    }
  }
  uint64_t counted = 0;
  for (const uint64_t count : metadata.image_counts) {
    if (count > static_cast<uint64_t>(num_images) - counted) {
      return DataLoss(
          Expected("images counted over the examples", num_images,
                   "at least " + std::to_string(counted) + " + " + std::to_string(count)));
    }
    counted += count;
  }
  if (counted != static_cast<uint64_t>(num_images)) {
    return DataLoss(Expected("images counted over the examples", num_images, counted));
  }
  for (int64_t image = 0; image < num_images; ++image) {
    for (const auto* sizes : {&metadata.ancillary_sizes, &metadata.trailing_sizes}) {
      const uint64_t left = layout::kMaxFrameDataBytes - metadata.ancillary_stream_bytes;
      if ((*sizes)[image] > left) {
        return DataLoss(
            Expected("ancillary and trailing bytes of a record",
                     "at most " + std::to_string(left) + " more at image " + std::to_string(image),
                     (*sizes)[image]));
      }
      metadata.ancillary_stream_bytes += (*sizes)[image];
    }
    PCR_RETURN_IF_ERROR(
        CheckImage(metadata, num_groups, image).WithContext("image " + std::to_string(image)));
  }
  return metadata;
}

}  // namespace pcr
