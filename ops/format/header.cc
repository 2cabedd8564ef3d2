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
  auto found = view.OneBytes(layout::kFrame);
  if (!found.ok()) return found.status();
  if (found.value() != kind) return DataLoss(Expected("kind of frame", kind, found.value()));
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
  auto version = view.Sizes(layout::kVersion, 2);
  if (!version.ok()) return version.status();
  auto flags = view.Ints(layout::kFlags, 1);
  if (!flags.ok()) return flags.status();
  PCR_RETURN_IF_ERROR(CheckVersion(version.value()[0], version.value()[1],
                                   static_cast<uint64_t>(flags.value()[0])));
  auto num_groups = view.OneSize(layout::kNumGroups);
  if (!num_groups.ok()) return num_groups.status();
  if (num_groups.value() < 1 || num_groups.value() > layout::kMaxGroups) {
    return InvalidArgument(Expected(
        "number of scan groups", "1 to " + std::to_string(layout::kMaxGroups), num_groups.value()));
  }
  auto scans = view.Sizes(layout::kScansPerGroup, static_cast<int64_t>(num_groups.value()));
  if (!scans.ok()) return scans.status();
  if (std::count(scans.value().begin(), scans.value().end(), 0) > 0) {
    return DataLoss(Expected("scans in each scan group", "at least 1", 0));
  }
  auto script = view.OneBytes(layout::kScanScript);
  if (!script.ok()) return script.status();
  auto features = view.Bytes(layout::kImageFeatures);
  if (!features.ok()) return features.status();
  auto sorted = features.value();
  std::sort(sorted.begin(), sorted.end());
  if (sorted.empty() || sorted.front().empty() ||
      std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    return DataLoss("image features are one or more distinct, non-empty keys");
  }
  auto created_by = view.OneBytes(layout::kCreatedBy);
  if (!created_by.ok()) return created_by.status();
  PCR_RETURN_IF_ERROR(CheckText(layout::kScanScript, script.value()));
  for (const std::string_view key : features.value()) {
    PCR_RETURN_IF_ERROR(CheckText(layout::kImageFeatures, key));
  }
  PCR_RETURN_IF_ERROR(CheckText(layout::kCreatedBy, created_by.value()));

  Header header;
  header.major_version = version.value()[0];
  header.minor_version = version.value()[1];
  header.scans_per_group = std::move(scans).value();
  header.scan_script = script.value();
  header.image_features.assign(features.value().begin(), features.value().end());
  header.created_by = created_by.value();
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
