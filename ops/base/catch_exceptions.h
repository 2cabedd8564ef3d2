// CatchExceptions: exceptions of the standard library as a Status, where they
// must not get out: at the top of a thread and at the border to TensorFlow.

#ifndef PCR_OPS_BASE_CATCH_EXCEPTIONS_H_
#define PCR_OPS_BASE_CATCH_EXCEPTIONS_H_

#include <exception>
#include <new>
#include <stdexcept>

#include "ops/base/status.h"

namespace pcr {

// The status that call() returns, or one for the exception that it throws:
// RESOURCE_EXHAUSTED where memory was asked for that is not to be had.
template <typename Call>
Status CatchExceptions(Call call) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return Status(Code::kResourceExhausted, "out of memory");
  } catch (const std::length_error&) {
    return Status(Code::kResourceExhausted, "out of memory");
  } catch (const std::exception& error) {
    return Internal(error.what());
  }
}

}  // namespace pcr

#endif  // PCR_OPS_BASE_CATCH_EXCEPTIONS_H_
