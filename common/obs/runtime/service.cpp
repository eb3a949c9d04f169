#include "obs/runtime/service.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <thread>
#include <utility>

#include "obs/async/blocking_pool.h"
#include "obs/log/json.h"
#include "obs/runtime/dependency.h"
#include "obs/runtime/memory.h"

namespace obs::runtime {
namespace {

/// How often freed memory is looked for.
constexpr std::chrono::seconds kMemoryInterval{2};
/// More are refused.
constexpr std::size_t kWaitingTraceLookups = 8;
/// Probes and scrapers are few.
constexpr std::size_t kAdminConnections = 64;

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

/// Before any thread starts, because threads inherit the mask: a signal then waits for Run().
struct ProcessSetup {
  ProcessSetup() {
    const sigset_t signals = StopSignals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    // A service has no terminal that could hang up, and nothing that these would make it do.
    for (const int signal : {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM}) std::signal(signal, SIG_IGN);
    BoundAllocator();
  }
};

void WaitForStopSignal() {
  const sigset_t signals = StopSignals();
  const timespec interval{std::chrono::seconds(kMemoryInterval).count(), 0};
  // This thread has nothing else to do.
  bool started = false;
  while (sigtimedwait(&signals, nullptr, &interval) < 0) {
    if (!std::exchange(started, true)) ReturnStartupMemory();
    ReturnFreedMemory();
  }
  // A second one ends the process at once.
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

/// Shows the buffer every line about a span; without a buffer there is nobody to show it to.
log::LineObserver Observer(trace::Buffer* buffer) {
  if (buffer == nullptr) return {};
  return [buffer](const log::Correlation& correlation, std::string_view line) {
    buffer->Add(trace::Buffer::Kind::kLine, correlation.trace_id_view(), line);
  };
}

http::Response Json(std::string body) {
  http::Response response;
  response.body = std::move(body);
  return response;
}

log::Level ParseLevel(const std::string& name) {
  if (name == "DEBUG") return log::Level::kDebug;
  if (name == "WARN") return log::Level::kWarn;
  return name == "ERROR" ? log::Level::kError : log::Level::kInfo;
}

}  // namespace

struct Service::Impl {
  explicit Impl(const ServiceConfig& config_)
      : config(config_),
        writer(STDOUT_FILENO),
        buffer(config.trace_buffer_bytes > 0 ? std::make_unique<trace::Buffer>(config.trace_buffer_bytes)
                                             : nullptr),
        logger(writer, config.name, config.log_level, Observer(buffer.get())),
        // Its spans are in the buffer already: what it logs of them need not be.
        provider(config.trace, registry, log::Logger(writer, config.name, config.log_level), buffer.get()),
        tracer(provider.tracer()),
        dependencies(logger),
        server(config.http, telemetry) {
    if (!config.admin_port) return;
    http::ServerConfig admin_config = config.http;
    admin_config.port = *config.admin_port;
    admin_config.port_variable = "ADMIN_PORT";
    admin_config.io_threads = 1;
    admin_config.max_connections = kAdminConnections;
    admin_config.max_connections_per_address = kAdminConnections;
    admin_config.reserved_descriptors = 0;
    admin = std::make_unique<http::Server>(admin_config, admin_telemetry);
  }

  void RegisterMetrics();
  void RegisterRoutes();
  void RegisterOperationalRoutes(http::Server& on, bool detailed);
  http::Response Ready(bool detailed) const;
  http::Response Metrics(const http::Request& request) const;
  async::Task<http::Response> Trace(std::string trace_id, Scope& scope);
  async::Task<http::Response> UnderWay(async::Loop& loop) const;
  int Stop();

  const ServiceConfig config;
  ProcessSetup setup;
  log::Writer writer;
  std::unique_ptr<trace::Buffer> buffer;  ///< null when it is off
  log::Logger logger;
  metrics::Registry registry;
  /// What is asked on the admin port is no request of the service's.
  metrics::Registry admin_registry;
  trace::Provider provider;
  trace::Tracer tracer;
  const Telemetry telemetry{logger, registry, tracer, provider.propagator()};
  const Telemetry admin_telemetry{logger, admin_registry, Telemetry::None().tracer, provider.propagator()};
  Dependencies dependencies;
  std::vector<std::pair<std::string, ReadinessCheck>> checks;
  std::vector<std::function<void()>> on_stop;
  std::atomic<bool> draining = false;
  async::BlockingPool trace_lookups{1, kWaitingTraceLookups};
  http::Server server;
  std::unique_ptr<http::Server> admin;  ///< null without an admin port
};

void Service::Impl::RegisterMetrics() {
  registry.AddProcessMetrics();
  registry.AddGauge("target_info", "What is running here.", {"service_name", "service_version"})
      .With({config.name, config.version})
      .Set(1);
  registry.AddCallbackCounter("log_lines_written_total", "Log lines handed to the reader of standard output.",
                              [this] { return static_cast<double>(writer.lines_written()); });
  registry.AddCallbackCounter("log_lines_dropped_total",
                              "Log lines lost because that reader was too slow or gone.",
                              [this] { return static_cast<double>(writer.lines_dropped()); });
}

void Service::Impl::RegisterOperationalRoutes(http::Server& on, bool detailed) {
  const auto alive = [](const http::Request&, Scope&) { return Json(R"({"status":"alive"})"); };
  on.Get("/livez", alive, http::Visibility::kProbe);
  on.Get("/healthz", alive, http::Visibility::kProbe);
  on.Get(
      "/readyz", [this, detailed](const http::Request&, Scope&) { return Ready(detailed); },
      http::Visibility::kProbe);
  on.Get(
      "/metrics", [this](const http::Request& request, Scope&) { return Metrics(request); },
      http::Visibility::kProbe);
}

void Service::Impl::RegisterRoutes() {
  if (config.operational_routes || !admin) RegisterOperationalRoutes(server, false);
  if (admin) {
    RegisterOperationalRoutes(*admin, true);
    admin->Get(
        "/requests", [this](const http::Request&, Scope& scope) { return UnderWay(scope.loop()); },
        http::Visibility::kProbe);
  }
  if (buffer) {
    (admin ? *admin : server)
        .Get(
            "/traces/{trace_id}",
            [this](const http::Request& request, Scope& scope) {
              return Trace(std::string(request.PathParameter("trace_id")), scope);
            },
            http::Visibility::kProbe);
  }
}

http::Response Service::Impl::Ready(bool detailed) const {
  std::string reasons = draining ? "The service is stopping." : "";
  for (const auto& [part, check] : checks) {
    const auto reason = check();
    if (!reason) continue;
    if (!reasons.empty()) reasons += ' ';
    // A reason can name hosts, roles and the words of others, which are not for everybody.
    reasons += part + ' ' + (detailed ? *reason : "is not ready") + '.';
  }
  if (!reasons.empty()) throw Error(ErrorCode::kUnavailable, "unready", reasons);
  return Json(R"({"status":"ready"})");
}

async::Task<http::Response> Service::Impl::UnderWay(async::Loop& loop) const {
  std::string body = R"({"requests":[)";
  const auto requests = co_await server.UnderWay(loop);
  for (const auto& request : requests) {
    if (body.back() == '}') body += ',';
    body += R"({"method":)";
    log::AppendJson(body, std::string_view(request.method));
    body += R"(,"route":)";
    log::AppendJson(body, std::string_view(request.route));
    body += R"(,"trace_id":)";
    log::AppendJson(body, std::string_view(request.trace_id));
    body += R"(,"awaiting":)";
    log::AppendJson(body, std::string_view(request.awaiting));
    body += R"(,"age_ms":)";
    log::AppendJson(body, static_cast<std::int64_t>(request.age.count()));
    body += '}';
  }
  co_return Json(body + "]}");
}

http::Response Service::Impl::Metrics(const http::Request& request) const {
  const metrics::Format format = metrics::Negotiate(request.Header("Accept"));
  http::Response response;
  response.content_type = metrics::ContentType(format);
  response.body = registry.Render(format);
  return response;
}

/// A trace of a thousand rolls is megabytes: putting it together must not hold up a thread that serves.
async::Task<http::Response> Service::Impl::Trace(std::string trace_id, Scope& scope) {
  std::function<std::string(std::stop_token)> find =
      [this, id = std::move(trace_id)](const std::stop_token&) { return buffer->Find(id); };
  std::string found;
  try {
    found = co_await trace_lookups.Run<std::string>(scope.loop(), std::move(find), scope.deadline());
  } catch (const async::BlockingPool::NotRun&) {
    throw Error(ErrorCode::kOverloaded, "overloaded", "Too many traces are asked for at once.");
  }
  if (found.empty()) {
    throw Error(ErrorCode::kNotFound, "trace-not-found",
                "Nothing of that trace is in this service's buffer.");
  }
  co_return Json(std::move(found));
}

int Service::Impl::Stop() {
  draining = true;
  server.Drain();
  logger.Info("Stopping", {{"drain_delay_ms", static_cast<std::int64_t>(config.drain_delay.count())}});
  // Load balancers learn of the unready state only after a while and send requests until then.
  std::this_thread::sleep_for(config.drain_delay);
  const bool finished = server.Stop(config.drain_timeout);
  if (!finished) logger.Error("Requests were cut off at the drain timeout");
  for (auto close = on_stop.rbegin(); close != on_stop.rend(); ++close) (*close)();
  const bool exported = provider.Shutdown(config.flush_timeout);
  if (!exported) logger.Warn("Spans were lost: the collector did not take them in time");
  if (admin) admin->Stop(std::chrono::milliseconds(0));
  logger.Info("Stopped");
  writer.Flush(config.flush_timeout);
  const int status = finished ? 0 : 1;
  // The exporter still waits for somebody, and destructors would wait with it.
  if (!exported) std::_Exit(status);
  return status;
}

ServiceConfig ReadServiceConfig(config::Parser& parser, const config::Program& program,
                                std::uint16_t default_port) {
  using std::chrono::milliseconds;
  const auto duration = [&parser](std::string_view name, milliseconds fallback, std::string_view help) {
    return std::chrono::duration_cast<milliseconds>(
        parser.Duration(name, fallback, milliseconds(0), std::chrono::minutes(10), help));
  };
  ServiceConfig config;
  config.name = program.name;
  config.version = program.version;
  config.http = http::ReadServerConfig(parser, default_port);
  config.log_level = ParseLevel(
      parser.Choice("LOG_LEVEL", "INFO", {"DEBUG", "INFO", "WARN", "ERROR"}, "least level that is logged"));
  config.drain_delay = duration("DRAIN_DELAY", config.drain_delay, "served on after SIGTERM, unready");
  config.drain_timeout = duration("DRAIN_TIMEOUT", config.drain_timeout, "for requests under way to finish");
  config.flush_timeout =
      duration("TELEMETRY_FLUSH_TIMEOUT", config.flush_timeout, "for the last spans and log lines");
  config.trace_buffer_bytes = static_cast<std::size_t>(
      parser.Integer("TRACE_BUFFER_BYTES", 0, 0, 1 << 30,
                     "memory for the newest spans and log lines, read at /traces/{trace_id}; 0 is off"));
  if (const auto text =
          parser.String("ADMIN_PORT", "", "port for probes, metrics and traces alone; none when empty");
      !text.empty()) {
    config.admin_port = parser.Port("ADMIN_PORT", 0, "");
  }
  config.operational_routes = parser.Boolean(
      "HTTP_OPERATIONAL_ROUTES", true, "PORT has /livez, /readyz, /healthz and /metrics beside ADMIN_PORT");
  config.trace = trace::ReadConfig(parser, program.name, program.version, config.warnings);
  // Log lines and target_info lead to spans by the name that these have.
  const auto named = config.trace.resource_attributes.find("service.name");
  if (named != config.trace.resource_attributes.end()) config.name = named->second;
  return config;
}

Service::Service(const ServiceConfig& config) : impl_(std::make_unique<Impl>(config)) {
  impl_->RegisterMetrics();
  impl_->RegisterRoutes();
  for (const auto& warning : config.warnings) impl_->logger.Warn(warning);
}

Service::~Service() = default;

const Telemetry& Service::telemetry() const { return impl_->telemetry; }
http::Server& Service::server() { return impl_->server; }
const trace::Buffer* Service::trace_buffer() const { return impl_->buffer.get(); }

void Service::AddReadiness(std::string part, ReadinessCheck check) {
  impl_->checks.emplace_back(std::move(part), std::move(check));
}

void Service::AddDependency(const std::string& part, std::string base_url) {
  impl_->dependencies.Add(part, std::move(base_url));
  AddReadiness(part, [this, part] { return impl_->dependencies.Unready(part); });
}

void Service::OnStop(std::function<void()> close) { impl_->on_stop.push_back(std::move(close)); }

int Service::Run() {
  try {
    impl_->server.Start();
    if (impl_->admin) impl_->admin->Start();
  } catch (const Error& error) {
    impl_->logger.Error(error.detail());
    return 1;
  }
  impl_->dependencies.Start(impl_->server);
  impl_->logger.Info("Listening", {{"port", impl_->server.port()}, {"version", impl_->config.version}});
  if (impl_->admin) impl_->logger.Info("Listening for administration", {{"port", impl_->admin->port()}});
  WaitForStopSignal();
  return impl_->Stop();
}

}  // namespace obs::runtime
