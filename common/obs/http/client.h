#pragma once

#include <chrono>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "obs/error/error.h"
#include "obs/log/logger.h"
#include "obs/metrics/registry.h"
#include "obs/trace/tracer.h"

namespace obs::http {

struct ClientConfig {
  std::string base_url;  ///< "http://die-service:8109"
  std::string peer;      ///< the other service's name, for metrics and messages
  std::chrono::milliseconds connect_timeout{1000};
  std::chrono::milliseconds timeout{5000};  ///< of the whole exchange
  std::size_t max_body_bytes = std::size_t{1} << 20;
  std::size_t max_idle_connections = 64;
};

/// Why no answer came.
enum class ClientFailure {
  kRefused,  ///< no connection: refused, unreachable, name unknown
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

struct ClientResponse {
  int status = 0;
  std::string content_type;
  std::string body;
  std::chrono::seconds retry_after{0};  ///< of `Retry-After`; 0 without one
};

/// A blocking HTTP/1.1 client for one base URL, over libcurl: kept-alive connections, one per concurrent
/// caller. Each call gives a client span `GET` (HTTP semantic conventions, stable), the propagation headers,
/// and http_client_request_duration_seconds{peer,status}. Thread-safe.
class Client {
 public:
  Client(ClientConfig config, metrics::Registry& registry, const trace::Tracer& tracer,
         const trace::Propagator& propagator);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// `target` is path and query, already encoded. Returns any status; throws ClientError with type
  /// `<peer>-unreachable`, `<peer>-timeout` or `<peer>-invalid` when no answer came.
  ClientResponse Get(std::string_view target, const trace::Context& parent);

  const std::string& peer() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace obs::http
