#include "ops/format/header.h"

#include <algorithm>
#include <string>

#include "ops/base/utf8.h"

namespace pcr {

Status CheckVersion(uint64_t major_version, uint64_t minor_version, uint64_t flags) {
  if (major_version != layout::kMajorVersion) {
    return InvalidArgument(
        Expected("major version of the PCR format", layout::kMajorVersion,
                 std::to_string(major_version) + "." + std::to_string(minor_version)) +
        "; install a release of pcr_tf that reads this version");
  }
  if (flags != 0) {
    return InvalidArgument(Expected("flags this reader knows", 0, flags) +
                           "; install a release of pcr_tf that knows them");
  }
  return Status();
}

namespace {

Status CheckText(std::string_view name, std::string_view text) {
  if (IsUtf8(text)) return Status();
  return DataLoss(Expected("text of " + std::string(name), "UTF-8", text));
}

}  // namespace

Status CheckKind(std::string_view kind, const ExampleView& view) {
  PCR_ASSIGN_OR_RETURN(const std::string_view stored, view.OneBytes(layout::kFrame));
  if (stored != kind) return DataLoss(Expected("kind of frame", kind, stored));
  return Status();
}

void Header::AddTo(std::string_view kind, ExampleBuilder* builder) const {
  builder->AddBytes(layout::kFrame, {kind});
  builder->AddInts(layout::kVersion, {major_version, minor_version});
  builder->AddInts(layout::kFlags, {0});
  builder->AddInts(layout::kNumGroups, {scans_per_group.size()});
  builder->AddInts(layout::kScansPerGroup, scans_per_group);
  builder->AddBytes(layout::kScanScript, {scan_script});
  builder->AddBytes(layout::kImageFeatures, {image_features.begin(), image_features.end()});
  builder->AddBytes(layout::kCreatedBy, {created_by});
}

Result<Header> Header::Parse(std::string_view kind, const ExampleView& view) {
  PCR_RETURN_IF_ERROR(CheckKind(kind, view));
  // The version decides what may be expected of all else.
  PCR_ASSIGN_OR_RETURN(const auto version, view.Sizes(layout::kVersion, 2));
  PCR_ASSIGN_OR_RETURN(const auto flags, view.Ints(layout::kFlags, 1));
  PCR_RETURN_IF_ERROR(CheckVersion(version[0], version[1], static_cast<uint64_t>(flags[0])));
  PCR_ASSIGN_OR_RETURN(const uint64_t num_groups, view.OneSize(layout::kNumGroups));
  if (num_groups < 1 || num_groups > layout::kMaxGroups) {
    return InvalidArgument(Expected("number of scan groups",
                                    "1 to " + std::to_string(layout::kMaxGroups), num_groups));
  }
  PCR_ASSIGN_OR_RETURN(auto scans,
                       view.Sizes(layout::kScansPerGroup, static_cast<int64_t>(num_groups)));
  if (std::count(scans.begin(), scans.end(), 0) > 0) {
    return DataLoss(Expected("scans in each scan group", "at least 1", 0));
  }
  PCR_ASSIGN_OR_RETURN(const std::string_view script, view.OneBytes(layout::kScanScript));
  PCR_ASSIGN_OR_RETURN(const auto features, view.Bytes(layout::kImageFeatures));
  auto sorted = features;
  std::sort(sorted.begin(), sorted.end());
  if (sorted.empty() || sorted.front().empty() ||
      std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    return DataLoss("image features are one or more distinct, non-empty keys");
  }
  PCR_ASSIGN_OR_RETURN(const std::string_view created_by, view.OneBytes(layout::kCreatedBy));
  PCR_RETURN_IF_ERROR(CheckText(layout::kScanScript, script));
  for (const std::string_view key : features) {
    PCR_RETURN_IF_ERROR(CheckText(layout::kImageFeatures, key));
  }
  PCR_RETURN_IF_ERROR(CheckText(layout::kCreatedBy, created_by));

  Header header;
  header.major_version = version[0];
  header.minor_version = version[1];
  header.scans_per_group = std::move(scans);
  header.scan_script = script;
  header.image_features.assign(features.begin(), features.end());
  header.created_by = created_by;
  return header;
}

Status Header::CheckCompatible(const Header& other) const {
  const auto join = [](const std::vector<std::string>& keys) {
    std::string text;
    for (const std::string& key : keys) text += (text.empty() ? "" : ",") + key;
    return text;
  };
  if (num_groups() != other.num_groups()) {
    return InvalidArgument(Expected("shards of a data set have one number of scan groups",
                                    num_groups(), other.num_groups()));
  }
  if (scan_script != other.scan_script || scans_per_group != other.scans_per_group) {
    return InvalidArgument("shards of a data set have one scan script, these two differ");
  }
  if (image_features != other.image_features) {
    return InvalidArgument(Expected("shards of a data set have the same image features",
                                    join(image_features), join(other.image_features)));
  }
  return Status();
}

}  // namespace pcr
