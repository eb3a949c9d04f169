#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "obs/async/task.h"
#include "obs/error/error.h"
#include "obs/http/message.h"
#include "obs/scope/scope.h"

namespace obs::http {

struct ClientConfig {
  std::string base_url;                             ///< "http://die-service:8109"
  std::string peer;                                 ///< the other service's name, for metrics and messages
  std::chrono::milliseconds connect_timeout{1000};  ///< of one address
  std::chrono::milliseconds timeout{5000};          ///< of the whole call, its wait for a turn included
  std::size_t max_header_bytes = std::size_t{16} << 10;
  std::size_t max_body_bytes = std::size_t{1} << 20;
  std::size_t max_concurrent = 256;       ///< calls under way at once: a peer that hangs holds no more
  std::size_t max_waiting = 10000;        ///< calls that wait for their turn; more fail at once
  std::size_t max_idle_connections = 64;  ///< kept on each thread
  std::string ca_file{};                  ///< certificates (PEM) to trust besides the system's, for https

  /// Descriptors that a client of these limits takes at most, on a server of `threads` threads.
  std::size_t Descriptors(std::size_t threads) const {
    return max_concurrent + threads * max_idle_connections;
  }
};

/// Why no answer came.
enum class ClientFailure {
  kRefused,  ///< no connection: refused, unreachable, name unknown, or too many calls wait already
  kTimeout,  ///< connect or total timeout
  kInvalid,  ///< the answer was no HTTP, was cut off, or exceeded max_body_bytes
};

/// "refused", "timeout", "invalid".
std::string_view Name(ClientFailure failure);

class ClientError : public Error {
 public:
  ClientError(ClientFailure failure, std::string type, std::string detail, std::string cause)
      : Error(ErrorCode::kUnavailable, std::move(type), std::move(detail), std::move(cause)),
        failure_(failure) {}
  ClientFailure failure() const { return failure_; }

 private:
  ClientFailure failure_;
};

struct ClientRequest {
  /// `target_` is path and query, already encoded.
  explicit ClientRequest(std::string target_, Method method_ = Method::kGet, std::string body_ = {})
      : method(method_), target(std::move(target_)), body(std::move(body_)) {}

  Method method;
  std::string target;
  std::string body;
  std::string content_type = "application/json";               ///< of a body
  std::vector<std::pair<std::string, std::string>> headers{};  ///< besides those that the client writes
};

struct ClientResponse {
  int status = 0;
  std::string content_type;
  std::string content_encoding;
  std::string body;
  std::chrono::seconds retry_after{0};  ///< of `Retry-After`; 0 without one
};

/// An HTTP/1.1 client for one base URL (http or https), on the loops of a server: kept-alive connections for
/// each loop, answers read by the same rules as requests are. Each call gives a client span `GET` (HTTP
/// semantic conventions, stable), the propagation headers, and
/// http_client_request_duration_seconds{peer,status}. Takes no proxy from the environment, follows no
/// redirect. Thread-safe; calls run on the loop of their scope. It must outlive every call.
class Client {
 public:
  /// `telemetry` is for the metrics; spans and lines are those of the scope of each call. Throws
  /// std::runtime_error for a ca_file that cannot be read.
  Client(ClientConfig config, const Telemetry& telemetry);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Gives any status. Throws ClientError with type `<peer>-unreachable`, `<peer>-timeout`, `<peer>-invalid`
  /// or `<peer>-overloaded` when no answer came. A call of an idempotent method whose kept-alive connection
  /// turns out to be closed is sent once more on a new one.
  async::Task<ClientResponse> Send(ClientRequest request, Scope& scope);

  const std::string& peer() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace obs::http
