#include "ops/kernels/shared_dataset.h"

#include <map>
#include <utility>

#include "ops/kernels/dataset_opener.h"

namespace pcr {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::vector<std::string>, std::weak_ptr<SharedDataset>> datasets;
};

Registry& GlobalRegistry() {
  static auto* const registry = new Registry;  // never destroyed: kernels may outlive main
  return *registry;
}

}  // namespace

absl::Status SharedDataset::Open(tensorflow::Env* env, const std::string& id,
                                 const std::vector<std::string>& paths, uint64_t seed,
                                 std::shared_ptr<SharedDataset>* shared) {
  // The id alone is unique in the process that made it only, and a tf.data
  // service worker runs the graphs of many.
  std::vector<std::string> key = paths;
  key.push_back(id + "/" + std::to_string(seed));
  Registry& registry = GlobalRegistry();
  {
    std::lock_guard<std::mutex> lock(registry.mutex);
    const auto found = registry.datasets.find(key);
    if (found != registry.datasets.end() && (*shared = found->second.lock()) != nullptr) {
      return absl::Status();
    }
  }
  auto opened = std::make_shared<SharedDataset>(env, seed);
  TF_RETURN_IF_ERROR(OpenDataset(env, paths, &opened->reader, &opened->index));
  std::lock_guard<std::mutex> lock(registry.mutex);
  for (auto it = registry.datasets.begin(); it != registry.datasets.end();) {
    it = it->second.expired() ? registry.datasets.erase(it) : std::next(it);
  }
  registry.datasets[key] = opened;
  *shared = std::move(opened);
  return absl::Status();
}

}  // namespace pcr
