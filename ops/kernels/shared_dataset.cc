#include "ops/kernels/shared_dataset.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "ops/base/catch_exceptions.h"
#include "ops/base/mutex.h"
#include "ops/kernels/dataset_opener.h"
#include "ops/kernels/tensorflow_status.h"
#include "tensorflow/core/platform/errors.h"

namespace pcr {
namespace {

// Values of the input shared_id, before a copy_id or the number that a program gives a data set.
constexpr char kCopy[] = "copy ";
constexpr char kFunction[] = "function ";

struct Registry {
  Mutex mutex;
  uint64_t num_opened PCR_GUARDED_BY(mutex) = 0;
  std::map<std::string, std::weak_ptr<SharedDataset>> datasets PCR_GUARDED_BY(mutex);
};

Registry& GlobalRegistry() {
  static auto* const registry = new Registry;  // never destroyed: kernels may outlive main
  return *registry;
}

// Opens the files.
absl::Status Open(tensorflow::Env* env, const std::vector<std::string>& paths,
                  std::shared_ptr<EpochCounter> epochs, bool made_by_function,
                  std::shared_ptr<SharedDataset>* shared) {
  auto opened = std::make_shared<SharedDataset>(env);
  absl::Status status;
  const Status thrown = CatchExceptions([&] {
    status = OpenDataset(env, paths, &opened->reader, &opened->index);
    return Status();
  });
  if (!thrown.ok()) return ToTensorFlow(thrown.WithContext("opening " + paths.front()));
  TF_RETURN_IF_ERROR(status);
  opened->paths = paths;
  opened->epochs = std::move(epochs);
  opened->made_by_function = made_by_function;
  Registry& registry = GlobalRegistry();
  MutexLock lock(&registry.mutex);
  for (auto it = registry.datasets.begin(); it != registry.datasets.end();) {
    it = it->second.expired() ? registry.datasets.erase(it) : std::next(it);
  }
  opened->copy_id = std::to_string(registry.num_opened++);
  registry.datasets[opened->copy_id] = opened;
  *shared = std::move(opened);
  return absl::Status();
}

// The one of that copy_id and these paths that is still in use, or null.
std::shared_ptr<SharedDataset> Find(const std::string& copy_id,
                                    const std::vector<std::string>& paths) {
  Registry& registry = GlobalRegistry();
  MutexLock lock(&registry.mutex);
  const auto entry = registry.datasets.find(copy_id);
  if (entry == registry.datasets.end()) return nullptr;
  std::shared_ptr<SharedDataset> shared = entry->second.lock();
  return shared != nullptr && shared->paths == paths ? shared : nullptr;
}

}  // namespace

std::string SharedDataset::id_of_copies() const { return kCopy + copy_id; }

absl::Status SharedDataset::Get(tensorflow::OpKernelContext* ctx, const DatasetInputs& inputs,
                                std::shared_ptr<SharedDataset>* shared) {
  const auto seed = static_cast<uint64_t>(inputs.seed);
  absl::string_view id = inputs.shared_id;
  const std::vector<std::string> paths(inputs.paths.begin(), inputs.paths.end());
  if (absl::ConsumePrefix(&id, kCopy)) {
    *shared = Find(std::string(id), paths);
    if (*shared != nullptr) return absl::Status();
    id = "";
  }
  const bool made_by_function = absl::ConsumePrefix(&id, kFunction);
  std::shared_ptr<EpochCounter> epochs;
  if (made_by_function) {
    // A function of another program that was saved and loaded may have the same number.
    const std::string key = absl::StrCat(id, "/", inputs.seed, "/", inputs.first_epoch, "/",
                                         inputs.num_shards, "/", inputs.shard_index);
    TF_RETURN_IF_ERROR(
        CounterOfFunction(ctx->resource_manager(), key, seed, inputs.first_epoch, &epochs));
  } else if (id.empty()) {
    epochs = std::make_shared<EpochCounter>(seed, inputs.first_epoch);
  } else {
    return tensorflow::errors::InvalidArgument(
        "shared_id; expected \"\", \"function <n>\" or \"copy <n>\", got ",
        Printable(inputs.shared_id));
  }
  return Open(ctx->env(), paths, std::move(epochs), made_by_function, shared);
}

}  // namespace pcr
