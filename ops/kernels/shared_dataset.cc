#include "ops/kernels/shared_dataset.h"

#include <map>
#include <mutex>
#include <utility>

#include "ops/base/catch_exceptions.h"
#include "ops/kernels/dataset_opener.h"

namespace pcr {
namespace {

struct Registry {
  std::mutex mutex;
  uint64_t num_opened = 0;
  std::map<std::string, std::weak_ptr<SharedDataset>> datasets;
};

Registry& GlobalRegistry() {
  static auto* const registry = new Registry;  // never destroyed: kernels may outlive main
  return *registry;
}

}  // namespace

absl::Status SharedDataset::Open(tensorflow::Env* env, const std::vector<std::string>& paths,
                                 std::shared_ptr<EpochCounter> epochs,
                                 std::shared_ptr<SharedDataset>* shared) {
  auto opened = std::make_shared<SharedDataset>(env);
  absl::Status status;
  const Status thrown = CatchExceptions([&] {
    status = OpenDataset(env, paths, &opened->reader, &opened->index);
    return Status();
  });
  if (!thrown.ok()) return ToTensorFlow(thrown.WithContext("opening " + paths.front()));
  TF_RETURN_IF_ERROR(status);
  opened->epochs = std::move(epochs);
  Registry& registry = GlobalRegistry();
  std::lock_guard<std::mutex> lock(registry.mutex);
  for (auto it = registry.datasets.begin(); it != registry.datasets.end();) {
    it = it->second.expired() ? registry.datasets.erase(it) : std::next(it);
  }
  opened->copy_id = std::to_string(registry.num_opened++);
  registry.datasets[opened->copy_id] = opened;
  *shared = std::move(opened);
  return absl::Status();
}

std::shared_ptr<SharedDataset> SharedDataset::Find(const std::string& copy_id) {
  Registry& registry = GlobalRegistry();
  std::lock_guard<std::mutex> lock(registry.mutex);
  const auto found = registry.datasets.find(copy_id);
  return found == registry.datasets.end() ? nullptr : found->second.lock();
}

}  // namespace pcr
