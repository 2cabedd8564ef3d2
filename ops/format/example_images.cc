#include "ops/format/example_images.h"

#include "ops/format/example_wire.h"

namespace pcr {

Result<SplitExample> TakeImages(std::string_view example,
                                const std::vector<std::string>& image_features) {
  auto view = ExampleView::Parse(example);
  if (!view.ok()) return InvalidArgument(view.status().message());
  SplitExample split;
  std::vector<std::string_view> taken;
  for (const std::string& name : image_features) {
    uint64_t count = 0;
    for (const FeatureView& feature : view.value().features()) {
      if (feature.name != name || feature.kind == FeatureKind::kNone) continue;
      if (feature.kind != FeatureKind::kBytes) {
        return InvalidArgument("image feature " + name + " is not a bytes_list");
      }
      auto values = DecodeBytesList(feature);
      if (!values.ok()) return InvalidArgument(values.status().message());
      count = values.value().size();
      split.images.insert(split.images.end(), values.value().begin(), values.value().end());
    }
    split.image_counts.push_back(count);
    if (count > 0) taken.push_back(name);
  }
  auto stored = WithoutFeatures(example, taken);
  if (!stored.ok()) return InvalidArgument(stored.status().message());
  split.stored = std::move(stored).value();
  return split;
}

}  // namespace pcr
