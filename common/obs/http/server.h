#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "obs/async/loop.h"
#include "obs/async/task.h"
#include "obs/http/message.h"
#include "obs/scope/scope.h"

namespace obs::config {
class Parser;
}

namespace obs::http {

struct ServerConfig {
  std::string address = "[::]";        ///< HTTP_ADDRESS: a literal address; "[::]" is IPv6 and IPv4
  std::uint16_t port = 0;              ///< PORT: 0 lets the kernel choose
  std::string port_variable = "PORT";  ///< what sets the port, for messages
  std::size_t io_threads = 2;          ///< HTTP_IO_THREADS
  std::size_t max_connections = 1000;  ///< HTTP_MAX_CONNECTIONS
  /// HTTP_MAX_CONNECTIONS_PER_ADDRESS: of one client; 0 is three quarters of max_connections.
  std::size_t max_connections_per_address = 0;
  std::size_t max_target_bytes = 4096;   ///< HTTP_MAX_TARGET_BYTES: path and query
  std::size_t max_header_bytes = 16384;  ///< HTTP_MAX_HEADER_BYTES: request line and headers
  std::size_t max_body_bytes = 65536;    ///< HTTP_MAX_BODY_BYTES
  /// HTTP_MAX_PENDING_BYTES: of replies that clients are slow to read, of all connections together.
  std::size_t max_pending_bytes = std::size_t{16} << 20;
  std::chrono::milliseconds header_timeout{15000};   ///< HTTP_HEADER_TIMEOUT: from first byte to last header
  std::chrono::milliseconds body_timeout{15000};     ///< HTTP_BODY_TIMEOUT: from last header to last byte
  std::chrono::milliseconds idle_timeout{75000};     ///< HTTP_IDLE_TIMEOUT: between requests
  std::chrono::milliseconds request_timeout{10000};  ///< HTTP_REQUEST_TIMEOUT: the deadline of a request
  /// Descriptors that the process needs for other things than clients: other services, a database.
  std::size_t reserved_descriptors = 0;
};

ServerConfig ReadServerConfig(config::Parser& parser, std::uint16_t default_port);

/// Answers a request: a coroutine, which may wait. Called on any of the server's threads; both references
/// outlive the coroutine. An obs::Error that it throws becomes a problem (RFC 9457), any other exception a
/// 500 whose cause is in the log alone.
using Handler = std::function<async::Task<Response>(const Request& request, Scope& scope)>;

/// How much a route's requests show of themselves. Metrics are always kept.
enum class Visibility {
  kFull,   ///< server span and access log line
  kProbe,  ///< neither: for what probes and scrapers ask every few seconds
};

/// A request under way, as seen from outside.
struct RequestUnderWay {
  std::string method;
  std::string route;  ///< the template; "unmatched" without one
  std::string trace_id;
  std::string awaiting;  ///< what it waits for: "timer", a service, "database"; empty when for nothing
  std::chrono::milliseconds age{0};
};

/// An HTTP/1.1 server (RFC 9112) on Pistache's acceptor and reactors, with framing, routing and writing of
/// its own: strict where Pistache is lenient, and no reply ever reaches a connection that it was not meant
/// for. Handlers wait without a thread; ten thousand requests may wait at once.
///
/// Each route gets: a server span (HTTP semantic conventions, stable),
/// http_requests_total{method,route,status}, http_request_duration_seconds{method,route} with exemplars, an
/// access log line, errors as application/problem+json (RFC 9457), HEAD, 405 with Allow, and the limits of
/// ServerConfig; what is refused before any route sees it counts in http_requests_rejected_total{reason}.
/// A request whose client leaves, whose deadline passes, or that outlives the drain is cancelled: what it
/// waits for is given up, and it counts in http_requests_cancelled_total{reason}.
///
/// A client that shuts its side still gets its reply, and pipelined requests are answered in their order.
/// When all connections are taken, those that wait for their client give way, the oldest of the client with
/// the most first.
class Server {
 public:
  /// What `telemetry` refers to must outlive the server.
  Server(const ServerConfig& config, const Telemetry& telemetry);
  /// Ends all connections and cancels what is under way.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Registers a route; not thread-safe, all before Start(). `route` is a template: "/dice/{die}" matches one
  /// segment and gives it decoded as PathParameter("die"). `function` is a Handler, or gives a Response at
  /// once. Throws std::invalid_argument for a duplicate.
  template <typename Function>
  void Handle(Method method, std::string_view route, Function function,
              Visibility visibility = Visibility::kFull);
  template <typename Function>
  void Get(std::string_view route, Function function, Visibility visibility = Visibility::kFull) {
    Handle(Method::kGet, route, std::move(function), visibility);
  }

  /// Binds and serves on threads of its own. Throws obs::Error when the port cannot be had; the sentence
  /// names it and what to do.
  void Start();
  /// The port in use, after Start().
  std::uint16_t port() const;
  /// The loops of its threads, after Start().
  const std::vector<async::Loop*>& loops() const;
  /// Runs background work on one of the server's threads, after Start(), until it ends or the server does.
  void Spawn(std::function<async::Task<void>(async::Loop&)> work);
  /// All that is under way, the oldest first; `loop` is the caller's.
  async::Task<std::vector<RequestUnderWay>> UnderWay(async::Loop& loop) const;

  /// From now on every reply carries `Connection: close`; requests are still answered. Safe from any thread.
  void Drain();
  /// Stops accepting, closes idle connections and waits until requests that have begun to arrive are
  /// answered, at most for `deadline`; then cancels the rest, which are answered 503. No handler runs any
  /// more when it returns. False when some were cancelled.
  bool Stop(std::chrono::milliseconds deadline);

 private:
  void Add(Method method, std::string_view route, Handler handler, Visibility visibility);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

template <typename Function>
void Server::Handle(Method method, std::string_view route, Function function, Visibility visibility) {
  using Result = std::invoke_result_t<Function&, const Request&, Scope&>;
  if constexpr (std::is_same_v<Result, Response>) {
    Add(
        method, route,
        [function = std::move(function)](const Request& request, Scope& scope) -> async::Task<Response> {
          co_return function(request, scope);
        },
        visibility);
  } else {
    Add(method, route, std::move(function), visibility);
  }
}

}  // namespace obs::http
