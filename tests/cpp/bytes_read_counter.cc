// What TensorFlow's counter of bytes that PcrDatasets have read holds, for Python, which has no
// way to ask. tests/test_dataset_robustness.py compiles it.

#include "tensorflow/core/framework/metrics.h"

extern "C" __attribute__((visibility("default"))) int64_t BytesRead() {
  return tensorflow::metrics::GetTFDataBytesReadCounter("Pcr")->value();
}
