#pragma once

#include <exception>
#include <string>

namespace obs {

/// What went wrong, in terms a caller can act upon. `obs/http/problem.cpp` is the one place that turns a code
/// into an HTTP status.
enum class ErrorCode {
  kInvalidArgument,      ///< the caller must change the request (400)
  kNotFound,             ///< the thing asked for does not exist (404)
  kMethodNotAllowed,     ///< the path exists, the method does not (405)
  kTimeout,              ///< the request did not arrive in time (408)
  kTooLarge,             ///< the body exceeds its limit (413)
  kTargetTooLong,        ///< path and query exceed their limit (414)
  kHeadersTooLarge,      ///< request line and headers exceed their limit (431)
  kNotImplemented,       ///< understood and deliberately not offered (501)
  kVersionNotSupported,  ///< another major version of HTTP (505)
  kUnavailable,          ///< a dependency is missing now; trying again later may help (503)
  kOverloaded,           ///< too much is asked at once; try again in a second (503 with Retry-After)
  kInternal,             ///< our fault (500)
};

/// The one error type of the library and of the services built on it.
///
/// `type` is a stable slug ("roll-failed"), `detail` is a sentence for the caller, and `cause` is for our own
/// log only: it never leaves the process in a reply. Immutable, so safe to read from any thread.
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string type, std::string detail, std::string cause = {})
      : code_(code), type_(std::move(type)), detail_(std::move(detail)), cause_(std::move(cause)) {}

  ErrorCode code() const { return code_; }
  const std::string& type() const { return type_; }
  const std::string& detail() const { return detail_; }
  const std::string& cause() const { return cause_; }

  /// The public sentence; `cause()` has the rest.
  const char* what() const noexcept override { return detail_.c_str(); }

 private:
  ErrorCode code_;
  std::string type_;
  std::string detail_;
  std::string cause_;
};

}  // namespace obs
