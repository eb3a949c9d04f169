#include "obs/http/server.h"

#include <fmt/format.h>
#include <pistache/endpoint.h>
#include <pistache/http.h>
#include <pistache/peer.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <utility>

#include "obs/http/connection.h"
#include "obs/http/framing.h"
#include "obs/http/listening_socket.h"
#include "obs/http/problem.h"
#include "obs/http/reply.h"
#include "obs/http/router.h"
#include "obs/http/worker_pool.h"
#include "obs/text/authority.h"

namespace obs::http {
namespace {

using Clock = std::chrono::steady_clock;

/// Pistache's own timeouts close a connection without telling the handler, so they are kept out of reach;
/// ours are in Connection.
constexpr std::chrono::hours kNever{24 * 365};
/// What a log line or a span shows of a path, at most.
constexpr std::size_t kShownPath = 256;
/// How long the kernel's queue of completed connections may take to be accepted at Stop().
constexpr std::chrono::milliseconds kAcceptRest{200};
/// How long a connection that was accepted last may take to send its request at Stop().
constexpr std::chrono::milliseconds kLastRequests{200};
/// How long clients may take to notice that their connection ends, at Stop().
constexpr std::chrono::milliseconds kGoodbye{200};
/// Open files beside connections: event loops, the log, the database's; a worker may have one of its own.
constexpr std::size_t kOwnDescriptors = 64;
constexpr std::string_view kUnmatched = "unmatched";

/// One request on its way to its reply.
struct Pending {
  std::shared_ptr<Connection> connection;
  std::unique_ptr<Request> request;
  const Route* route = nullptr;  ///< nothing when no route matched
  bool close = false;
  Clock::time_point start;
  trace::Span span;
};

Error Overloaded() {
  return Error(ErrorCode::kUnavailable, "overloaded",
               "Too many requests are waiting; try again in a second.");
}

Error TimedOut() {
  return Error(ErrorCode::kTimeout, "request-timeout", "The request did not arrive whole in time.");
}

/// The connections that this process has descriptors for, at most what is configured: without one, accepting
/// fails, and nobody could be told.
std::size_t AffordableConnections(const ServerConfig& config, const log::Logger& logger) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return config.max_connections;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const std::size_t own = kOwnDescriptors + config.worker_threads;
  const std::size_t affordable = limit.rlim_max > own ? limit.rlim_max - own : 1;
  if (affordable >= config.max_connections) return config.max_connections;
  logger.Warn("Fewer connections are served than HTTP_MAX_CONNECTIONS: raise the limit of open files",
              {{"connections", affordable}, {"open_files", limit.rlim_max}});
  return affordable;
}

}  // namespace

struct Server::Impl {
  Impl(const ServerConfig& config_, const log::Logger& logger_, metrics::Registry& registry,
       const trace::Tracer& tracer_, const trace::Propagator& propagator_);

  // Called on Pistache's threads, in this order for one connection.
  std::shared_ptr<Connection> Accept(int fd, std::string client_address);
  void Receive(const std::shared_ptr<Connection>& connection, std::string_view bytes);
  void Forget(const std::shared_ptr<Connection>& connection);

  std::string Refusal(std::string_view reason, const Error& error);
  bool Begin();
  void End();
  void Dispatch(const std::shared_ptr<Connection>& connection, Framing framing);
  void StartSpan(Pending& pending, std::string_view name, std::string_view route);
  void Handle(Pending& pending);
  void Answer(Pending& pending, const Error& error, const log::Logger& speaking);
  void Finish(Pending& pending, const log::Logger& speaking, const Response& response, const Error* error);
  void Count(const Pending& pending, int status);
  void LogAccess(const Pending& pending, const log::Logger& speaking, int status, const Error* error) const;

  const ServerConfig config;
  const log::Logger& logger;
  const trace::Tracer& tracer;
  const trace::Propagator& propagator;
  metrics::Family<metrics::Counter>& requests;
  metrics::Family<metrics::Histogram>& durations;
  metrics::Family<metrics::Counter>& rejected;
  Router router;
  const FramingLimits limits;
  const ConnectionTimeouts timeouts;
  ConnectionTable connections;
  std::unique_ptr<WorkerPool> workers;
  std::atomic<bool> draining = false;
  std::atomic<bool> closed = false;  ///< no further request is begun
  bool stopped = false;
  std::unique_ptr<Pistache::Http::Endpoint> endpoint;
  std::uint16_t port = 0;

  std::atomic<std::int64_t> in_progress = 0;
  std::mutex idle_mutex;
  std::condition_variable idle;
};

namespace {

/// Pistache makes a copy for each of its threads.
class PistacheHandler : public Pistache::Http::Handler {
 public:
  HTTP_PROTOTYPE(PistacheHandler)

  struct Target {
    std::function<std::shared_ptr<Connection>(int, std::string)> accept;
    std::function<void(const std::shared_ptr<Connection>&, std::string_view)> receive;
    std::function<void(const std::shared_ptr<Connection>&)> forget;
  };

  explicit PistacheHandler(std::shared_ptr<const Target> target) : target_(std::move(target)) {}

  // Never called: the bytes are read by onInput() below.
  void onRequest(const Pistache::Http::Request& /*request*/,
                 Pistache::Http::ResponseWriter /*writer*/) override {}

 private:
  static constexpr const char* kConnection = "obs";

  void onConnection(const std::shared_ptr<Pistache::Tcp::Peer>& peer) override {
    // Pistache's search for idle peers expects a parser at each of them.
    peer->putData(ParserData, std::make_shared<Pistache::Http::RequestParser>(0));
    peer->putData(kConnection, target_->accept(peer->fd(), peer->address().host()));
  }

  void onInput(const char* buffer, std::size_t size,
               const std::shared_ptr<Pistache::Tcp::Peer>& peer) override {
    target_->receive(std::static_pointer_cast<Connection>(peer->getData(kConnection)), {buffer, size});
  }

  void onDisconnection(const std::shared_ptr<Pistache::Tcp::Peer>& peer) override {
    target_->forget(std::static_pointer_cast<Connection>(peer->getData(kConnection)));
  }

  std::shared_ptr<const Target> target_;
};

}  // namespace

Server::Impl::Impl(const ServerConfig& config_, const log::Logger& logger_, metrics::Registry& registry,
                   const trace::Tracer& tracer_, const trace::Propagator& propagator_)
    : config(config_),
      logger(logger_),
      tracer(tracer_),
      propagator(propagator_),
      requests(registry.AddCounter("http_requests_total",
                                   "Requests answered, by method, route template and status.",
                                   {"method", "route", "status"})),
      durations(registry.AddHistogram("http_request_duration_seconds",
                                      "Time from the complete request to its reply.", {"method", "route"},
                                      metrics::HttpDurationBuckets())),
      rejected(registry.AddCounter("http_requests_rejected_total",
                                   "Requests and connections refused before any route saw them.",
                                   {"reason"})),
      limits{config_.max_target_bytes, config_.max_header_bytes, config_.max_body_bytes},
      timeouts{config_.header_timeout, config_.body_timeout, config_.idle_timeout},
      connections(AffordableConnections(config_, logger_),
                  [this] { return Refusal("timeout", TimedOut()); }) {
  for (const auto* reason : {"malformed", "timeout", "queue_full", "connections"}) rejected.With({reason});
  registry.AddCallbackGauge("http_requests_in_progress", "Requests received and not yet answered.",
                            [this] { return static_cast<double>(in_progress.load()); });
  registry.AddCallbackGauge("http_connections", "Open connections.",
                            [this] { return static_cast<double>(connections.size()); });
  registry.AddCallbackGauge("http_worker_queue_length", "Requests that wait for a worker thread.",
                            [this] { return workers ? static_cast<double>(workers->queue_length()) : 0.0; });
}

std::shared_ptr<Connection> Server::Impl::Accept(int fd, std::string client_address) {
  // What the socket for both families calls an IPv4 client.
  if (constexpr std::string_view kMapped = "::ffff:"; client_address.starts_with(kMapped)) {
    client_address.erase(0, kMapped.size());
  }
  auto connection = std::make_shared<Connection>(fd, std::move(client_address), timeouts);
  if (!connections.Add(connection)) {
    rejected.With({"connections"}).Increment();
    Response response = Problem(Error(ErrorCode::kUnavailable, "too-many-connections",
                                      "This server has no connection free; try again."),
                                "");
    response.headers.emplace_back("Retry-After", "1");
    connection->Reply(Serialize(response, false, true, ""), true);
  }
  return connection;
}

void Server::Impl::Forget(const std::shared_ptr<Connection>& connection) {
  connection->MarkGone();
  connections.Remove(connection);
}

void Server::Impl::Receive(const std::shared_ptr<Connection>& connection, std::string_view bytes) {
  if (!connection->AcceptsInput()) return;
  std::string& input = connection->input();
  // Most requests arrive whole and alone: they are read where Pistache received them.
  if (!input.empty()) {
    input.append(bytes);
    bytes = input;
  }
  Framing framing = ReadRequest(bytes, limits);
  switch (framing.state) {
    case Framing::State::kRefused:
      connection->Enter(Connection::Phase::kHandling);
      connection->Reply(Refusal("malformed", *framing.error), true);
      break;
    case Framing::State::kHeader:
    case Framing::State::kBody: {
      if (input.empty()) input.assign(bytes);
      const bool body = framing.state == Framing::State::kBody;
      if (framing.expects_continue) connection->Interim("HTTP/1.1 100 Continue\r\n\r\n");
      connection->Enter(body ? Connection::Phase::kBody : Connection::Phase::kHeader);
      break;
    }
    case Framing::State::kComplete:
      // More than one request at once: the first is answered, then the connection is closed.
      framing.wants_close = framing.wants_close || bytes.size() > framing.consumed;
      connection->Enter(Connection::Phase::kHandling);
      input.clear();
      if (Begin()) Dispatch(connection, std::move(framing));
      break;
  }
}

std::string Server::Impl::Refusal(std::string_view reason, const Error& error) {
  rejected.With({reason}).Increment();
  const Response response = Problem(error, "");
  logger.Warn("Request refused",
              {{"status", response.status}, {"error_type", error.type()}, {"detail", error.detail()}});
  return Serialize(response, false, true, "");
}

/// Whoever sees no request in progress after it set `closed` knows that there will be none any more.
bool Server::Impl::Begin() {
  in_progress.fetch_add(1);
  if (!closed) return true;
  End();
  return false;
}

void Server::Impl::End() {
  if (in_progress.fetch_sub(1) == 1 && draining) {
    const std::lock_guard lock(idle_mutex);
    idle.notify_all();
  }
}

void Server::Impl::Dispatch(const std::shared_ptr<Connection>& connection, Framing framing) {
  auto pending = std::make_shared<Pending>();
  pending->connection = connection;
  pending->request = std::move(framing.request);
  pending->request->client_address = connection->client_address();
  pending->close = framing.wants_close;
  pending->start = Clock::now();
  try {
    pending->route = &router.Match(*pending->request);
  } catch (const Error& error) {
    StartSpan(*pending, Name(pending->request->method), "");
    Answer(*pending, error, logger.With(pending->span.correlation()));
    return;
  }
  const Route& route = *pending->route;
  if (route.visibility == Visibility::kFull) StartSpan(*pending, route.name, route.route);
  if (route.execution == Execution::kInline) {
    Handle(*pending);
  } else if (!workers->TryPush([this, pending] { Handle(*pending); })) {
    rejected.With({"queue_full"}).Increment();
    Answer(*pending, Overloaded(), logger.With(pending->span.correlation()));
  }
}

void Server::Impl::StartSpan(Pending& pending, std::string_view name, std::string_view route) {
  const Request& request = *pending.request;
  const trace::Context parent =
      propagator.Extract([&request](std::string_view header) { return request.Header(header); });
  pending.span = tracer.Start(name, trace::Kind::kServer, parent,
                              {{"http.request.method", Name(request.method)},
                               {"url.path", request.path.substr(0, kShownPath)},
                               {"url.scheme", "http"},
                               {"client.address", request.client_address},
                               {"network.protocol.version", request.minor_version == 0 ? "1.0" : "1.1"}});
  if (!pending.span.recording()) return;
  if (!route.empty()) pending.span.Set({"http.route", route});
  if (!request.query.empty()) pending.span.Set({"url.query", request.query.substr(0, kShownPath)});
  if (const auto server = text::ParseAuthority(request.Header("Host"))) {
    pending.span.Set({"server.address", server->host.substr(0, kShownPath)});
    if (server->port) pending.span.Set({"server.port", *server->port});
  }
  if (const auto agent = request.Header("User-Agent"); !agent.empty()) {
    pending.span.Set({"user_agent.original", agent.substr(0, kShownPath)});
  }
}

void Server::Impl::Handle(Pending& pending) {
  const log::Logger speaking = logger.With(pending.span.correlation());
  try {
    ReadParameters(*pending.route, *pending.request);
    Exchange exchange{pending.span, speaking};
    Finish(pending, speaking, pending.route->handler(*pending.request, exchange), nullptr);
  } catch (const Error& error) {
    Answer(pending, error, speaking);
  } catch (const std::exception& exception) {
    Answer(pending, Error(ErrorCode::kInternal, "internal", "The service made a mistake.", exception.what()),
           speaking);
  } catch (...) {
    Answer(pending, Error(ErrorCode::kInternal, "internal", "The service made a mistake."), speaking);
  }
}

void Server::Impl::Answer(Pending& pending, const Error& error, const log::Logger& speaking) {
  Response response = Problem(error, pending.span.correlation().trace_id_view());
  if (error.type() == "overloaded") response.headers.emplace_back("Retry-After", "1");
  if (response.status == 405) response.headers.emplace_back("Allow", router.Allow(pending.request->path));
  Finish(pending, speaking, response, &error);
}

void Server::Impl::Finish(Pending& pending, const log::Logger& speaking, const Response& response,
                          const Error* error) {
  const bool close = pending.close || draining;
  const bool head_only = pending.request->method == Method::kHead;
  const std::string bytes =
      Serialize(response, head_only, close, trace::TraceResponse(pending.span.correlation()));
  if (pending.span.recording()) {
    pending.span.Set({"http.response.status_code", response.status});
    if (response.status >= 500) {
      pending.span.Fail(error != nullptr ? std::string_view(error->type()) : std::to_string(response.status),
                        error != nullptr ? error->detail() : "");
    }
  }
  // Everything is on record before the client can look: whoever reads the reply finds the metric and the
  // line.
  Count(pending, response.status);
  LogAccess(pending, speaking, response.status, error);
  pending.span.End();
  if (pending.connection->Reply(bytes, close)) connections.Wake();
  End();
}

void Server::Impl::Count(const Pending& pending, int status) {
  const std::string_view method = Name(pending.request->method);
  const auto duration = Clock::now() - pending.start;
  if (pending.route == nullptr) {
    requests.With({method, kUnmatched, std::to_string(status)}).Increment();
    durations.With({method, kUnmatched}).Observe(duration, pending.span.exemplar());
  } else if (pending.route->method == pending.request->method) {
    if (status == 200) {
      pending.route->ok_requests->Increment();
    } else {
      requests.With({method, pending.route->route, std::to_string(status)}).Increment();
    }
    pending.route->duration->Observe(duration, pending.span.exemplar());
  } else {
    requests.With({method, pending.route->route, std::to_string(status)}).Increment();
    durations.With({method, pending.route->route}).Observe(duration, pending.span.exemplar());
  }
}

void Server::Impl::LogAccess(const Pending& pending, const log::Logger& speaking, int status,
                             const Error* error) const {
  if (pending.route != nullptr && pending.route->visibility == Visibility::kProbe) return;
  const log::Level level = status >= 500 ? log::Level::kError : log::Level::kInfo;
  if (!speaking.enabled(level)) return;
  const std::string_view method = Name(pending.request->method);
  const std::string_view route =
      pending.route != nullptr ? std::string_view(pending.route->route) : kUnmatched;
  const std::string_view path = pending.request->path.substr(0, kShownPath);
  const double milliseconds = std::chrono::duration<double, std::milli>(Clock::now() - pending.start).count();
  if (error == nullptr) {
    speaking.Write(level, "Request handled",
                   {{"method", method},
                    {"route", route},
                    {"path", path},
                    {"status", status},
                    {"duration_ms", milliseconds}});
  } else {
    speaking.Write(level, "Request handled",
                   {{"method", method},
                    {"route", route},
                    {"path", path},
                    {"status", status},
                    {"duration_ms", milliseconds},
                    {"error_type", error->type()},
                    {"detail", error->detail()},
                    {"cause", error->cause()}});
  }
}

Server::Server(const ServerConfig& config, const log::Logger& logger, metrics::Registry& registry,
               const trace::Tracer& tracer, const trace::Propagator& propagator)
    : impl_(std::make_unique<Impl>(config, logger, registry, tracer, propagator)) {}

Server::~Server() {
  if (!impl_->endpoint) return;
  if (!impl_->stopped) Stop(std::chrono::milliseconds(0));
  impl_->workers->Stop();
  impl_->endpoint->shutdown();
}

void Server::Handle(Method method, std::string_view route, Execution execution, Handler handler,
                    Visibility visibility) {
  Route entry;
  entry.method = method;
  entry.route = route;
  entry.name = fmt::format("{} {}", Name(method), route);
  entry.execution = execution;
  entry.visibility = visibility;
  entry.handler = std::move(handler);
  entry.ok_requests = &impl_->requests.With({Name(method), route, "200"});
  entry.duration = &impl_->durations.With({Name(method), route});
  impl_->router.Add(std::move(entry));
}

void Server::Start() {
  Impl& impl = *impl_;
  impl.workers = std::make_unique<WorkerPool>(impl.config.worker_threads, impl.config.worker_queue);
  auto target = std::make_shared<PistacheHandler::Target>();
  target->accept = [&impl](int fd, std::string address) { return impl.Accept(fd, std::move(address)); };
  target->receive = [&impl](const auto& connection, std::string_view bytes) {
    impl.Receive(connection, bytes);
  };
  target->forget = [&impl](const auto& connection) { impl.Forget(connection); };

  using Pistache::Tcp::Options;
  try {
    const Pistache::Address address(impl.config.address, Pistache::Port(impl.config.port));
    impl.endpoint = std::make_unique<Pistache::Http::Endpoint>(address);
    impl.endpoint->init(
        Pistache::Http::Endpoint::options()
            .threads(static_cast<int>(impl.config.io_threads))
            .flags(Pistache::Flags<Options>(Options::ReuseAddr) | Options::NoDelay | Options::CloseOnExec)
            .headerTimeout(kNever)
            .bodyTimeout(kNever)
            .keepaliveTimeout(kNever));
    impl.endpoint->setHandler(Pistache::Http::make_handler<PistacheHandler>(std::move(target)));
    impl.endpoint->serveThreaded();
    impl.port = impl.endpoint->getPort();
  } catch (const std::exception& exception) {
    impl.endpoint.reset();
    const bool taken =
        std::string_view(exception.what()).find(std::strerror(EADDRINUSE)) != std::string_view::npos;
    throw Error(ErrorCode::kUnavailable, "cannot-listen",
                fmt::format("Cannot listen on {} port {}: {}. {}", impl.config.address, impl.config.port,
                            exception.what(),
                            taken ? "Stop what uses it, or set PORT to another."
                                  : "Set HTTP_ADDRESS to an address of this machine, IPv6 in brackets."));
  }
}

std::uint16_t Server::port() const { return impl_->port; }

void Server::Drain() { impl_->draining = true; }

bool Server::Stop(std::chrono::milliseconds deadline) {
  Impl& impl = *impl_;
  if (!impl.endpoint) return true;
  impl.stopped = true;
  const auto end = Clock::now() + deadline;
  Drain();
  CloseListeningSocket(impl.port, std::min(kAcceptRest, deadline));
  // Who has just connected is about to ask: wait for it, as for every request that is on its way.
  impl.connections.WaitUntilEmpty(std::min(kLastRequests, deadline));
  impl.connections.CloseIdle();
  bool finished = impl.connections.WaitUntilDelivered(end);
  impl.closed = true;
  {
    std::unique_lock lock(impl.idle_mutex);
    finished = impl.idle.wait_until(lock, end, [&impl] { return impl.in_progress == 0; }) && finished;
  }
  impl.connections.CloseIdle();
  impl.connections.WaitUntilEmpty(kGoodbye);
  impl.connections.Abandon();
  return finished;
}

}  // namespace obs::http
