// RecordRequest: what an iterator asks for to be read.

#ifndef PCR_OPS_KERNELS_RECORD_REQUEST_H_
#define PCR_OPS_KERNELS_RECORD_REQUEST_H_

#include <cstdint>

namespace pcr {

struct RecordRequest {
  uint64_t record = 0;         // global ordinal
  int scan_groups = 1;         // fidelity, fixed when the request is made
  uint64_t first_example = 0;  // those before it were delivered already
  int64_t epoch = 0;           // that the record is read in
};

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_RECORD_REQUEST_H_
