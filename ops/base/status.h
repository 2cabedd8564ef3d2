// Status and Result: how the TensorFlow-free core reports errors.
//
// Messages have the form `<file>: record 7, scan group 3, byte 4096: <rule>; expected <x>, got
// <y>[; remedy]`. The layer that knows a part of the place prepends it (`WithContext`).

#ifndef PCR_OPS_BASE_STATUS_H_
#define PCR_OPS_BASE_STATUS_H_

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ops/base/check.h"

namespace pcr {

// The subset of the canonical codes that the core uses.
enum class Code {
  kOk,
  kCancelled,
  kInvalidArgument,
  kUnavailable,
  kDataLoss,
  kResourceExhausted,
  kInternal,
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // The same status with "<context>: " before its message. OK stays OK.
  Status WithContext(std::string_view context) const {
    if (ok()) return *this;
    return Status(code_, std::string(context) + ": " + message_);
  }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

inline Status InvalidArgument(std::string message) {
  return Status(Code::kInvalidArgument, std::move(message));
}
inline Status DataLoss(std::string message) { return Status(Code::kDataLoss, std::move(message)); }
inline Status Internal(std::string message) { return Status(Code::kInternal, std::move(message)); }

// Text that came from data, fit for a message: its first 64 bytes, those that are not printable
// ASCII as \xNN.
std::string Printable(std::string_view bytes);

// A message that may hold file names, which can be any bytes: those that are not UTF-8 as \xNN.
std::string ReadableUtf8(std::string_view message);

// "<rule>; expected <expected>, got <got>". `got` may be anything that was read from data.
template <typename E, typename G>
std::string Expected(std::string_view rule, const E& expected, const G& got) {
  auto text = [](const auto& value) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(value)>>) {
      return std::to_string(value);
    } else {
      return Printable(value);
    }
  };
  return std::string(rule) + "; expected " + text(expected) + ", got " + text(got);
}

// A value, or the status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  // Requires an error.
  Result(Status status) : status_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    PCR_DCHECK(!ok());
  }

  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }
  // The same result, an error with "<context>: " before its message.
  Result WithContext(std::string_view context) && {
    if (!ok()) return status_.WithContext(context);
    return std::move(*this);
  }
  // Requires ok().
  T& value() & {
    RequireValue();
    return *value_;
  }
  const T& value() const& {
    RequireValue();
    return *value_;
  }
  T&& value() && {
    RequireValue();
    return *std::move(value_);
  }

 private:
  void RequireValue() const {
    PCR_DCHECK(ok());
    // An OK result has a value: for the optimizer and the static analyzer.
    if (!value_.has_value()) __builtin_unreachable();
  }

  Status status_;
  std::optional<T> value_;
};

}  // namespace pcr

#define PCR_RETURN_IF_ERROR(expr)                                                  \
  do {                                                                             \
    if (::pcr::Status pcr_status_ = (expr); !pcr_status_.ok()) return pcr_status_; \
  } while (false)

// PCR_ASSIGN_OR_RETURN(const Frame frame, ParseFrame(bytes)): declares or assigns the value of a
// Result, or returns its status. Several statements: not the body of an `if` without braces.
#define PCR_ASSIGN_OR_RETURN(lhs, expr) \
  PCR_ASSIGN_OR_RETURN_(PCR_CONCATENATED_(pcr_result_, __LINE__), lhs, expr)
#define PCR_ASSIGN_OR_RETURN_(result, lhs, expr) \
  auto result = (expr);                          \
  if (!result.ok()) return result.status();      \
  lhs = std::move(result).value()
#define PCR_CONCATENATED_(a, b) PCR_CONCATENATED_INNER_(a, b)
#define PCR_CONCATENATED_INNER_(a, b) a##b

#endif  // PCR_OPS_BASE_STATUS_H_
