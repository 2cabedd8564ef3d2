#include "ops/kernels/retry.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "ops/base/backoff.h"
#include "ops/base/status.h"
#include "tensorflow/core/platform/errors.h"
#include "tensorflow/core/platform/random.h"

namespace pcr {

bool MayPass(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
    // How tensorflow-io reports a broken connection and 5xx (INTERNAL), statuses that it does not
    // know (UNKNOWN), and 408 (RESOURCE_EXHAUSTED).
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kResourceExhausted:
      return true;
    default:
      return false;
  }
}

bool IsRemote(const std::string& path) {
  return path.find("://") != std::string::npos && path.rfind("file://", 0) != 0 &&
         path.rfind("ram://", 0) != 0;
}

absl::Status WithReachingCode(const absl::Status& error) {
  const bool ends_a_worker =
      absl::IsUnavailable(error) || absl::IsAborted(error) || absl::IsCancelled(error);
  if (!ends_a_worker) return error;
  return absl::Status(absl::StatusCode::kDeadlineExceeded, error.message());
}

absl::Status WithReadableMessage(const absl::Status& error) {
  const std::string_view message(error.message().data(), error.message().size());
  return error.ok() ? error : absl::Status(error.code(), ReadableUtf8(message));
}

absl::Status WithRetries(const std::string& path, const std::string& what,
                         const Cancellation& cancellation, ReadStatistics* statistics,
                         const std::function<absl::Status()>& attempt,
                         const std::function<bool(const absl::Status&)>& may_pass) {
  const std::string place = path + ": " + what + ": ";
  for (int n = 1;; ++n) {
    if (cancellation.cancelled()) break;
    absl::Status status = attempt();
    if (status.ok()) return status;
    if (!may_pass(status)) {
      // Some file systems of tensorflow-io report only the server's status.
      const bool names_path = status.message().find(path) != absl::string_view::npos;
      if (names_path || absl::IsCancelled(status)) return WithReadableMessage(status);
      return WithReadableMessage(
          absl::Status(status.code(), absl::StrCat(place, status.message())));
    }
    if (n == kMaxAttempts) {
      statistics->AddFailure();
      const absl::string_view last_message = absl::StripPrefix(status.message(), place);
      return WithReachingCode(WithReadableMessage(absl::Status(
          status.code(), absl::StrCat(place, "failed ", n, " times, last with: ", last_message))));
    }
    statistics->AddRetry();
    if (cancellation.WaitMs(BackoffMs(n, tensorflow::random::New64()))) break;
  }
  return tensorflow::errors::Cancelled("reading was cancelled");
}

}  // namespace pcr
