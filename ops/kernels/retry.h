// Requests to a store, repeated after transient errors.

#ifndef PCR_OPS_KERNELS_RETRY_H_
#define PCR_OPS_KERNELS_RETRY_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "ops/base/cancellation.h"
#include "ops/kernels/read_statistics.h"

namespace pcr {

constexpr int kMaxAttempts = 6;

// Whether a file system's error may be transient: a store that is busy or out of reach, a broken
// connection, a timeout.
bool MayPass(const absl::Status& status);

// Whether a path leads to another machine, as far as its name says.
bool IsRemote(const std::string& path);

// The error with a code that a client of the tf.data service passes on. The client takes
// UNAVAILABLE, ABORTED and CANCELLED for the end of a worker and goes on, without an error and
// without the examples; so they become DEADLINE_EXCEEDED.
absl::Status WithReachingCode(const absl::Status& error);

// The error with a message that Python accepts whatever the names of files are: bytes that are not
// UTF-8 become \xNN.
absl::Status WithReadableMessage(const absl::Status& error);

// Calls `attempt` until it succeeds, fails with an error that `may_pass` rejects, or has failed
// kMaxAttempts times. The last error then goes through WithReachingCode. The message of an error
// begins with `path` and `what` of it was requested, unless it names `path` already. Returns
// CANCELLED as soon as `cancellation` is. `statistics` counts the attempts after the first, and a
// failure.
absl::Status WithRetries(const std::string& path, const std::string& what,
                         const Cancellation& cancellation, ReadStatistics* statistics,
                         const std::function<absl::Status()>& attempt,
                         const std::function<bool(const absl::Status&)>& may_pass = MayPass);

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_RETRY_H_
