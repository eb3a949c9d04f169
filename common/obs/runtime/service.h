#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "obs/config/config.h"
#include "obs/http/client.h"
#include "obs/http/server.h"
#include "obs/log/logger.h"
#include "obs/log/writer.h"
#include "obs/scope/telemetry.h"
#include "obs/trace/buffer.h"
#include "obs/trace/tracer.h"

namespace obs::runtime {

/// What every service reads from its environment.
struct ServiceConfig {
  std::string name;
  std::string version;
  log::Level log_level = log::Level::kInfo;  ///< LOG_LEVEL
  http::ServerConfig http;
  trace::Config trace;
  std::chrono::milliseconds drain_delay{500};      ///< DRAIN_DELAY: served on after SIGTERM, unready
  std::chrono::milliseconds drain_timeout{10000};  ///< DRAIN_TIMEOUT: for requests under way
  std::chrono::milliseconds flush_timeout{2000};   ///< TELEMETRY_FLUSH_TIMEOUT: for spans and log lines
  std::size_t trace_buffer_bytes = 0;              ///< TRACE_BUFFER_BYTES: 0 is without a buffer
  /// ADMIN_PORT: a port besides, which strangers cannot keep busy; nothing is without one.
  std::optional<std::uint16_t> admin_port;
  /// HTTP_OPERATIONAL_ROUTES: the main port has /livez, /readyz, /healthz and /metrics too.
  bool operational_routes = true;
  std::vector<std::string> warnings;  ///< logged at start
};

ServiceConfig ReadServiceConfig(config::Parser& parser, const config::Program& program,
                                std::uint16_t default_port);

/// A reason why the service cannot serve now, or nothing. Must not block; called on an I/O thread.
using ReadinessCheck = std::function<std::optional<std::string>()>;

/// Everything around a service's own code: logger, metrics, traces, the HTTP server with /livez, /readyz,
/// /healthz and /metrics, with a trace buffer /traces/{trace_id}, and the order of start and stop.
///
/// With an admin port these are served there, on a thread and connections of their own, with /requests,
/// which lists the requests under way; /readyz then tells why a part fails, while the main port names the
/// part alone and has no /traces/{trace_id}.
///
/// Construct it first thing in main(): it blocks SIGTERM and SIGINT before any thread starts. What a service
/// builds on it is declared after it, and so is destroyed before it.
class Service {
 public:
  explicit Service(const ServiceConfig& config);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// What the service's own parts tell by. Lives as long as the service.
  const Telemetry& telemetry() const;
  http::Server& server();
  /// The newest spans and log lines of this process; null without TRACE_BUFFER_BYTES.
  const trace::Buffer* trace_buffer() const;

  /// /readyz answers 503 and names `part` with the reason while `check` gives one.
  void AddReadiness(std::string part, ReadinessCheck check);
  /// Holds /readyz back until `base_url`/readyz has answered 200 once: a service starts while what it calls
  /// is down, and is ready when a request can succeed. Later outages do not make it unready, so that a caller
  /// gets this service's own 503 with the reason instead of a Service without endpoints.
  void AddDependency(const std::string& part, std::string base_url);
  /// Runs after the last request is finished or cancelled and before telemetry is flushed, in reverse order
  /// of registration.
  void OnStop(std::function<void()> close);

  /// Serves until SIGTERM or SIGINT, then: unready, serve on for drain_delay, stop accepting, finish what is
  /// under way, run OnStop, flush spans and logs. A second signal ends the process at once. Returns the exit
  /// status: 0 after a clean stop, 1 when a port could not be had or requests were cut off.
  int Run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace obs::runtime
