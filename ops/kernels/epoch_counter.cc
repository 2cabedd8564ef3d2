#include "ops/kernels/epoch_counter.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "ops/base/byte_reader.h"
#include "ops/base/byte_writer.h"
#include "tensorflow/core/platform/errors.h"
#include "tensorflow/core/platform/refcount.h"

namespace pcr {
namespace {

// Of the files and of the number of the next epoch.
constexpr size_t kEntryBytes = 16;

constexpr char kContainer[] = "pcr_tf_epoch_counters";

struct CounterResource : public tensorflow::ResourceBase {
  CounterResource(uint64_t seed, int64_t first)
      : counter(std::make_shared<EpochCounter>(seed, first)) {}

  std::string DebugString() const override { return "counter of a PcrDataset's epochs"; }

  const std::shared_ptr<EpochCounter> counter;
};

}  // namespace

EpochCounter::Epoch EpochCounter::First() {
  MutexLock lock(&mutex_);
  return {seed_, first_};
}

EpochCounter::Epoch EpochCounter::Next(Files files) {
  MutexLock lock(&mutex_);
  int64_t& next = next_.try_emplace(files, first_).first->second;
  return {seed_, next++};
}

bool EpochCounter::Claim(Files files, const void* consumer) {
  MutexLock lock(&mutex_);
  return ++claims_[{files, consumer}] == 1;
}

void EpochCounter::Release(Files files, const void* consumer) {
  MutexLock lock(&mutex_);
  const auto claim = claims_.find({files, consumer});
  if (--claim->second == 0) claims_.erase(claim);
}

tensorflow::tstring EpochCounter::Serialize() {
  MutexLock lock(&mutex_);
  std::string serialized;
  serialized.reserve(next_.size() * kEntryBytes);
  for (const auto& [files, next] : next_) {
    AppendLittle64(static_cast<uint64_t>(files), &serialized);
    AppendLittle64(static_cast<uint64_t>(next), &serialized);
  }
  return serialized;
}

absl::Status EpochCounter::Restore(uint64_t seed, const tensorflow::tstring& serialized,
                                   Files files, std::optional<int64_t> epoch) {
  std::map<Files, int64_t> next;
  bool valid = serialized.size() % kEntryBytes == 0;
  for (size_t at = 0; valid && at < serialized.size(); at += kEntryBytes) {
    const char* const entry = serialized.data() + at;
    const auto number = static_cast<int64_t>(LoadLittle64(entry + 8));
    valid = number >= 0 && next.emplace(static_cast<Files>(LoadLittle64(entry)), number).second;
  }
  if (!valid || epoch == std::numeric_limits<int64_t>::max()) {
    return tensorflow::errors::InvalidArgument(
        "checkpoint of a PcrDataset: counts of epochs; expected pairs of 64-bit integers, got ",
        serialized.size(), " bytes of something else");
  }
  if (epoch.has_value()) {
    int64_t& own = next.try_emplace(files, first_).first->second;
    own = std::max(own, *epoch + 1);
  }
  MutexLock lock(&mutex_);
  seed_ = seed;
  next_ = std::move(next);
  return absl::Status();
}

absl::Status CounterOfFunction(tensorflow::ResourceMgr* resources, const std::string& id,
                               uint64_t seed, int64_t first,
                               std::shared_ptr<EpochCounter>* counter) {
  CounterResource* resource = nullptr;
  TF_RETURN_IF_ERROR(resources->LookupOrCreate<CounterResource>(
      kContainer, id, &resource, [&](CounterResource** created) {
        *created = new CounterResource(seed, first);
        return absl::Status();
      }));
  const tensorflow::core::ScopedUnref unref(resource);
  *counter = resource->counter;
  return absl::Status();
}

}  // namespace pcr
