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
#include "obs/metrics/registry.h"
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
  std::vector<std::string> warnings;               ///< logged at start
};

ServiceConfig ReadServiceConfig(config::Parser& parser, const config::Program& program,
                                std::uint16_t default_port);

/// A reason why the service cannot serve now, or nothing. Must not block; called on an I/O thread.
using ReadinessCheck = std::function<std::optional<std::string>()>;

/// Everything around a service's own code: logger, metrics, traces, the HTTP server with /livez, /readyz,
/// /healthz and /metrics, and the order of start and stop.
///
/// Construct it first thing in main(): it blocks SIGTERM and SIGINT before any thread starts. What a service
/// builds on it is declared after it, and so is destroyed before it.
class Service {
 public:
  explicit Service(const ServiceConfig& config);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  const log::Logger& logger() const;
  metrics::Registry& registry();
  const trace::Tracer& tracer() const;
  const trace::Propagator& propagator() const;
  http::Server& server();

  /// /readyz answers 503 and names `part` with the reason while `check` gives one.
  void AddReadiness(std::string part, ReadinessCheck check);
  /// Holds /readyz back until `base_url`/readyz has answered 200 once: a service starts while what it calls
  /// is down, and is ready when a request can succeed. Later outages do not make it unready, so that a caller
  /// gets this service's own 503 with the reason instead of a Service without endpoints.
  void AddDependency(const std::string& part, std::string base_url);
  /// Runs after the last request is finished and before telemetry is flushed, in reverse order of
  /// registration. Not when requests were cut off: what they use is then left to the end of the process.
  void OnStop(std::function<void()> close);

  /// Serves until SIGTERM or SIGINT, then: unready, serve on for drain_delay, stop accepting, finish what is
  /// under way, run OnStop, flush spans and logs. A second signal ends the process at once. Returns the exit
  /// status: 0 after a clean stop, 1 when the port could not be had or requests were cut off.
  int Run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace obs::runtime
