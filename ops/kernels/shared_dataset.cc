#include "ops/kernels/shared_dataset.h"

#include <map>
#include <utility>

#include "ops/base/catch_exceptions.h"
#include "ops/kernels/dataset_opener.h"

namespace pcr {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::vector<std::string>, std::weak_ptr<SharedDataset>> datasets;
};

// The data set of that key that is still in use, or none. Requires the mutex.
std::shared_ptr<SharedDataset> Find(const Registry& registry, const std::vector<std::string>& key) {
  const auto found = registry.datasets.find(key);
  return found == registry.datasets.end() ? nullptr : found->second.lock();
}

Registry& GlobalRegistry() {
  static auto* const registry = new Registry;  // never destroyed: kernels may outlive main
  return *registry;
}

}  // namespace

absl::Status SharedDataset::Open(tensorflow::Env* env, const std::string& id,
                                 const std::vector<std::string>& paths, uint64_t seed,
                                 int64_t first_epoch, std::shared_ptr<SharedDataset>* shared) {
  // The id alone is unique in the process that made it only, and a tf.data
  // service worker runs the graphs of many.
  std::vector<std::string> key = paths;
  key.push_back(id + "/" + std::to_string(seed) + "/" + std::to_string(first_epoch));
  Registry& registry = GlobalRegistry();
  {
    std::lock_guard<std::mutex> lock(registry.mutex);
    *shared = Find(registry, key);
    if (*shared != nullptr) return absl::Status();
  }
  auto opened = std::make_shared<SharedDataset>(env, seed, first_epoch);
  absl::Status status;
  const Status thrown = CatchExceptions([&] {
    status = OpenDataset(env, paths, &opened->reader, &opened->index);
    return Status();
  });
  if (!thrown.ok()) return ToTensorFlow(thrown.WithContext("opening " + paths.front()));
  TF_RETURN_IF_ERROR(status);
  std::lock_guard<std::mutex> lock(registry.mutex);
  // Another thread may have opened it meanwhile; there must be one count of epochs.
  *shared = Find(registry, key);
  if (*shared != nullptr) return absl::Status();
  for (auto it = registry.datasets.begin(); it != registry.datasets.end();) {
    it = it->second.expired() ? registry.datasets.erase(it) : std::next(it);
  }
  registry.datasets[key] = opened;
  *shared = std::move(opened);
  return absl::Status();
}

}  // namespace pcr
