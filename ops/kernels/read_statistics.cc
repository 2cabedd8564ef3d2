#include "ops/kernels/read_statistics.h"

#include <algorithm>

#include "tensorflow/core/framework/metrics.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace pcr {

ReadStatistics& ReadStatistics::Global() {
  static auto* const statistics = new ReadStatistics;  // never destroyed: threads may outlive main
  return *statistics;
}

void ReadStatistics::AddRead(int64_t bytes, int64_t wait_us) {
  static auto* const bytes_read = tensorflow::metrics::GetTFDataBytesReadCounter("Pcr");
  bytes_read->IncrementBy(bytes);
  ++reads_;
  bytes_ += bytes;
  wait_us_ += wait_us;
  int64_t longest = max_wait_us_;
  while (wait_us > longest && !max_wait_us_.compare_exchange_weak(longest, wait_us)) {
  }
  int bucket = 0;
  for (int64_t rest = wait_us; rest > 0 && bucket < kNumBuckets - 1; rest >>= 1) ++bucket;
  ++buckets_[bucket];
}

std::vector<int64_t> ReadStatistics::Values() const {
  std::vector<int64_t> values = {reads_,    bytes_,   lookups_,     retries_,         rereads_,
                                 failures_, wait_us_, max_wait_us_, consumer_wait_us_};
  values.insert(values.end(), buckets_.begin(), buckets_.end());
  return values;
}

namespace {

class PcrReadStatisticsOp : public tensorflow::OpKernel {
 public:
  using tensorflow::OpKernel::OpKernel;

  void Compute(tensorflow::OpKernelContext* ctx) override {
    const std::vector<int64_t> values = ReadStatistics::Global().Values();
    tensorflow::Tensor* output = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {static_cast<int64_t>(values.size())}, &output));
    std::copy(values.begin(), values.end(), output->flat<int64_t>().data());
  }
};

REGISTER_KERNEL_BUILDER(Name("PcrReadStatistics").Device(tensorflow::DEVICE_CPU),
                        PcrReadStatisticsOp);

}  // namespace
}  // namespace pcr
