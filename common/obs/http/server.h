#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "obs/http/message.h"
#include "obs/log/logger.h"
#include "obs/metrics/registry.h"
#include "obs/trace/tracer.h"

namespace obs::config {
class Parser;
}

namespace obs::http {

struct ServerConfig {
  std::string address = "[::]";          ///< HTTP_ADDRESS: a literal address; "[::]" is IPv6 and IPv4
  std::uint16_t port = 0;                ///< PORT: 0 lets the kernel choose
  std::size_t io_threads = 2;            ///< HTTP_IO_THREADS
  std::size_t worker_threads = 32;       ///< HTTP_WORKER_THREADS: for routes that may block
  std::size_t worker_queue = 256;        ///< HTTP_WORKER_QUEUE: requests that may wait for a worker
  std::size_t max_connections = 1000;    ///< HTTP_MAX_CONNECTIONS
  std::size_t max_target_bytes = 4096;   ///< HTTP_MAX_TARGET_BYTES: path and query
  std::size_t max_header_bytes = 16384;  ///< HTTP_MAX_HEADER_BYTES: request line and headers
  std::size_t max_body_bytes = 65536;    ///< HTTP_MAX_BODY_BYTES
  std::chrono::milliseconds header_timeout{15000};  ///< HTTP_HEADER_TIMEOUT: from first byte to last header
  std::chrono::milliseconds body_timeout{15000};    ///< HTTP_BODY_TIMEOUT: from last header to last byte
  std::chrono::milliseconds idle_timeout{75000};    ///< HTTP_IDLE_TIMEOUT: between requests
};

ServerConfig ReadServerConfig(config::Parser& parser, std::uint16_t default_port);

/// What a handler gets beside the request.
struct Exchange {
  trace::Span& span;          ///< the server span; parent of everything the handler does
  const log::Logger& logger;  ///< speaks for that span
};

using Handler = std::function<Response(const Request&, Exchange&)>;

/// Where a route's handler runs.
enum class Execution {
  kInline,    ///< on the I/O thread at once: must not block
  kMayBlock,  ///< on the worker pool: calls another service, waits for a pool or a timer
};

/// How much a route's requests show of themselves. Metrics are always kept.
enum class Visibility {
  kFull,   ///< server span and access log line
  kProbe,  ///< neither: for what probes and scrapers ask every few seconds
};

/// An HTTP/1.1 server (RFC 9112) on Pistache's acceptor and event loops, with framing, routing and writing of
/// its own: strict where Pistache is lenient, and no reply ever reaches a connection that it was not meant
/// for.
///
/// Each route gets: a server span (HTTP semantic conventions, stable),
/// http_requests_total{method,route,status}, http_request_duration_seconds{method,route} with exemplars, an
/// access log line, errors as application/problem+json (RFC 9457), HEAD, 405 with Allow, and the limits of
/// ServerConfig; what is refused before any route sees it counts in http_requests_rejected_total{reason}.
///
/// A client that closes its side before it has the reply of a route that may block gets none: Pistache takes
/// the end of the stream for the end of the connection.
class Server {
 public:
  /// The references must outlive the server.
  Server(const ServerConfig& config, const log::Logger& logger, metrics::Registry& registry,
         const trace::Tracer& tracer, const trace::Propagator& propagator);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Registers a route; not thread-safe, all before Start(). The handler is called on several threads at
  /// once. `route` is a template: "/dice/{die}" matches one segment and gives it decoded as
  /// PathParameter("die"). Throws std::invalid_argument for a duplicate.
  void Handle(Method method, std::string_view route, Execution execution, Handler handler,
              Visibility visibility = Visibility::kFull);

  /// Binds and serves on threads of its own. Throws obs::Error when the port cannot be had; the sentence
  /// names it and what to do.
  void Start();
  /// The port in use, after Start().
  std::uint16_t port() const;

  /// From now on every reply carries `Connection: close`; requests are still answered. Safe from any thread.
  void Drain();
  /// Stops accepting, closes idle connections and waits until requests that have begun to arrive are
  /// answered, at most for `deadline`. After it returned true no handler runs any more. False when some were
  /// cut off: their handlers may still run, and the destructor waits for them.
  bool Stop(std::chrono::milliseconds deadline);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace obs::http
