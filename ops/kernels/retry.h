// Requests to a store, repeated after errors that may pass.

#ifndef PCR_OPS_KERNELS_RETRY_H_
#define PCR_OPS_KERNELS_RETRY_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "ops/base/cancellation.h"
#include "ops/kernels/read_statistics.h"

namespace pcr {

constexpr int kMaxAttempts = 6;

// Whether a file system's error may pass: a store that is busy or out of reach,
// a connection that broke, a time that ran out.
bool MayPass(const absl::Status& status);

// Whether a path leads to another machine, as far as its name says.
bool IsRemote(const std::string& path);

// An error with a code that a client of the tf.data service hands on. UNAVAILABLE, ABORTED and
// CANCELLED it takes for the end of a worker, and goes on without an error and without the
// examples; they become DEADLINE_EXCEEDED.
absl::Status WithReachingCode(const absl::Status& error);

// The error with a message that Python can take whatever the names of files: bytes that are not
// UTF-8 as \xNN.
absl::Status WithReadableMessage(const absl::Status& error);

// Calls `attempt` until it succeeds, fails with an error that `may_pass` does
// not accept, or has failed kMaxAttempts times. The message of that last error, which has a
// reaching code, begins with `path` and `what` of it was asked for, as does that of another error
// that does not name `path`. CANCELLED as soon as `cancellation` is. Attempts after the first and a
// failure count in `statistics`.
absl::Status WithRetries(const std::string& path, const std::string& what,
                         const Cancellation& cancellation, ReadStatistics* statistics,
                         const std::function<absl::Status()>& attempt,
                         const std::function<bool(const absl::Status&)>& may_pass = MayPass);

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_RETRY_H_
