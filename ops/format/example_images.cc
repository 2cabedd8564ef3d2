#include "ops/format/example_images.h"

#include "ops/format/example_wire.h"

namespace pcr {

namespace {

Result<SplitExample> Split(std::string_view example,
                           const std::vector<std::string>& image_features) {
  PCR_ASSIGN_OR_RETURN(const ExampleView view, ExampleView::Parse(example));
  SplitExample split;
  std::vector<std::string_view> taken;
  for (const std::string& name : image_features) {
    uint64_t count = 0;
    for (const FeatureView& feature : view.features()) {
      if (feature.name != name || feature.kind == FeatureKind::kNone) continue;
      if (feature.kind != FeatureKind::kBytes) {
        return InvalidArgument("image feature " + name + " is not a bytes_list");
      }
      PCR_ASSIGN_OR_RETURN(const auto values, DecodeBytesList(feature));
      count = values.size();
      split.images.insert(split.images.end(), values.begin(), values.end());
    }
    split.image_counts.push_back(count);
    if (count > 0) taken.push_back(name);
  }
  PCR_ASSIGN_OR_RETURN(split.stored, WithoutFeatures(example, taken));
  return split;
}

}  // namespace

Result<SplitExample> TakeImages(std::string_view example,
                                const std::vector<std::string>& image_features) {
  Result<SplitExample> split = Split(example, image_features);
  // The bytes are the caller's, not a file's: a defect of them is no loss of data.
  if (!split.ok()) return InvalidArgument(split.status().message());
  return split;
}

}  // namespace pcr
