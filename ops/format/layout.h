// Names and sizes of the file format, one place for readers and writers
// (docs/FORMAT.md).

#ifndef PCR_OPS_FORMAT_LAYOUT_H_
#define PCR_OPS_FORMAT_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pcr::layout {

inline constexpr uint16_t kMajorVersion = 1;
inline constexpr uint16_t kMinorVersion = 1;
inline constexpr int kMaxGroups = 100;

// Section 2: u64 length, u32 checksum of it, data, u32 checksum of data.
inline constexpr size_t kFrameHeaderBytes = 8 + 4;
inline constexpr size_t kFrameTrailerBytes = 4;
inline constexpr size_t kFrameOverheadBytes = kFrameHeaderBytes + kFrameTrailerBytes;
// protobuf's limit for a message.
inline constexpr uint64_t kMaxFrameDataBytes = (uint64_t{1} << 31) - 1;
inline constexpr uint64_t kMaxFrameBytes = kMaxFrameDataBytes + kFrameOverheadBytes;

// Kinds of frames: the values of kFrame.
inline constexpr std::string_view kFrame = "pcr/frame";
inline constexpr std::string_view kHeaderFrame = "header";
inline constexpr std::string_view kMetadataFrame = "metadata";
inline constexpr std::string_view kScanGroupFrame = "scan_group";
inline constexpr std::string_view kIndexFrame = "index";
inline constexpr std::string_view kFooterFrame = "footer";
inline constexpr std::string_view kDatasetIndexFrame = "dataset_index";

// Section 5: header (and index, and side index).
inline constexpr std::string_view kVersion = "pcr/version";
inline constexpr std::string_view kFlags = "pcr/flags";
inline constexpr std::string_view kNumGroups = "pcr/num_groups";
inline constexpr std::string_view kScansPerGroup = "pcr/scans_per_group";
inline constexpr std::string_view kScanScript = "pcr/scan_script";
inline constexpr std::string_view kImageFeatures = "pcr/image_features";
inline constexpr std::string_view kCreatedBy = "pcr/created_by";

// Section 6: records.
inline constexpr std::string_view kRecord = "pcr/record";
inline constexpr std::string_view kExamples = "pcr/examples";
inline constexpr std::string_view kImageCounts = "pcr/image_counts";
inline constexpr std::string_view kCodings = "pcr/codings";
inline constexpr std::string_view kSliceSizes = "pcr/slice_sizes";
inline constexpr std::string_view kAncillaryOffsets = "pcr/ancillary_offsets";
inline constexpr std::string_view kAncillarySizes = "pcr/ancillary_sizes";
inline constexpr std::string_view kTrailingSizes = "pcr/trailing_sizes";
inline constexpr std::string_view kGroupChecksums = "pcr/group_checksums";
// Since 1.1; may be missing.
inline constexpr std::string_view kOrientations = "pcr/orientations";
inline constexpr std::string_view kGroup = "pcr/group";
inline constexpr std::string_view kData = "pcr/data";
inline constexpr std::string_view kAncillary = "pcr/ancillary";

// Section 7: index.
inline constexpr std::string_view kRecordOffsets = "pcr/record_offsets";
inline constexpr std::string_view kFrameSizes = "pcr/frame_sizes";
inline constexpr std::string_view kExampleCounts = "pcr/example_counts";
inline constexpr std::string_view kMetadataChecksums = "pcr/metadata_checksums";

// Section 8: footer.
inline constexpr std::string_view kFooter = "pcr/footer";
inline constexpr std::string_view kFooterMagic{"\x89PCR\r\n\x1a\n", 8};
inline constexpr size_t kFooterFieldsBytes = 8 + 2 + 2 + 4 + 8 + 8 + 8 + 8 + 4 + 4 + 8;
inline constexpr size_t kFooterFrameBytes = 127;
// Read this much of a file's end first: the footer and, for most files, the index.
inline constexpr size_t kTailBytes = 64 << 10;

// Section 11: side index.
inline constexpr std::string_view kSideIndexName = "dataset.pcr-index";
inline constexpr std::string_view kShardSuffix = ".pcr";
inline constexpr std::string_view kShardNames = "pcr/shard_names";
inline constexpr std::string_view kShardSizes = "pcr/shard_sizes";
inline constexpr std::string_view kFooterChecksums = "pcr/footer_checksums";
inline constexpr std::string_view kShardRecords = "pcr/shard_records";

// Section 10: SOI, with which slice 1 of a progressive image begins, and EOI, appended at
// reassembly.
inline constexpr std::string_view kStartOfImage{"\xff\xd8", 2};
inline constexpr std::string_view kEndOfImage{"\xff\xd9", 2};
// The orientation segment: these bytes around the orientation's one.
inline constexpr std::string_view kOrientationSegmentBegin{
    "\xff\xe1\x00\x22"                  // APP1 of 34 bytes
    "Exif\0\0"                          //
    "MM\x00\x2a\x00\x00\x00\x08"        // TIFF header: big-endian, IFD 0 at byte 8
    "\x00\x01"                          // of one entry:
    "\x01\x12\x00\x03\x00\x00\x00\x01"  // orientation, SHORT, one value
    "\x00",
    29};
inline constexpr std::string_view kOrientationSegmentEnd{
    "\0\0"
    "\0\0\0\0",
    6};  // no next IFD
inline constexpr size_t kOrientationSegmentBytes =
    kOrientationSegmentBegin.size() + 1 + kOrientationSegmentEnd.size();

}  // namespace pcr::layout

#endif  // PCR_OPS_FORMAT_LAYOUT_H_
