// PCR_DCHECK: preconditions, checked in debug builds.

#ifndef PCR_OPS_BASE_CHECK_H_
#define PCR_OPS_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

namespace pcr::internal {

[[noreturn]] inline void DieOfCheck(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace pcr::internal

// Ends the process where `condition` is false: a defect of the caller, never of data. Builds with
// -DPCR_DEBUG evaluate it (the C++ tests and the sanitizers do); others compile it only. NDEBUG
// does not decide: TensorFlow's headers need that one.
#ifdef PCR_DEBUG
#define PCR_DCHECK(condition) \
  ((condition) ? (void)0 : ::pcr::internal::DieOfCheck(__FILE__, __LINE__, #condition))
#else
#define PCR_DCHECK(condition) ((void)sizeof((condition) ? 1 : 0))
#endif

#endif  // PCR_OPS_BASE_CHECK_H_
