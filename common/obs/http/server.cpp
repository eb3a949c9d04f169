#include "obs/http/server.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>

#include "obs/async/wake_up.h"
#include "obs/error/error.h"
#include "obs/http/admission.h"
#include "obs/http/pistache.h"
#include "obs/http/request_telemetry.h"
#include "obs/http/router.h"
#include "obs/http/server_thread.h"

namespace obs::http {
namespace {

using Clock = std::chrono::steady_clock;

/// How long the kernel's queue of completed connections may take to be accepted at Stop().
constexpr std::chrono::milliseconds kAcceptRest{200};
/// How long a connection that was accepted last may take to send its request at Stop().
constexpr std::chrono::milliseconds kLastRequests{200};
/// How long clients may take to notice that their connection ends, at Stop().
constexpr std::chrono::milliseconds kCloseTimeout{200};
/// Open files beside connections: event loops, the log, the collector's, and those that are turned away.
constexpr std::size_t kOwnDescriptors = 160;

/// The connections that this process has descriptors for, at most what is configured: without one, accepting
/// fails, and nobody could be told.
std::size_t AffordableConnections(const ServerConfig& config, const log::Logger& logger) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return config.max_connections;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const std::size_t own = kOwnDescriptors + config.reserved_descriptors;
  const std::size_t affordable = limit.rlim_max > own ? limit.rlim_max - own : 1;
  if (affordable >= config.max_connections) return config.max_connections;
  logger.Warn("Fewer connections are served than HTTP_MAX_CONNECTIONS: raise the limit of open files",
              {{"connections", affordable},
               {"open_files", limit.rlim_max},
               {"reserved_for_other_services", config.reserved_descriptors}});
  return affordable;
}

std::size_t ShareOf(const ServerConfig& config, std::size_t connections) {
  if (config.max_connections_per_address > 0) return config.max_connections_per_address;
  return std::max<std::size_t>(1, connections * 3 / 4);
}

/// Holds the function, whose captures the coroutine uses, as long as that runs.
async::Task<void> RunBackground(std::function<async::Task<void>(async::Loop&)> work, async::Loop& loop) {
  co_await work(loop);
}

}  // namespace

struct Server::Impl final : public Acceptor {
  Impl(const ServerConfig& config_, const Telemetry& telemetry_);

  void Listen();
  /// Runs `work` for every thread of the server, on it, and waits until all have.
  void OnEveryThread(void (ServerThread::*work)());
  bool WaitUntilQuiet(Clock::time_point end);

  const ServerConfig config;
  const Telemetry telemetry;
  RequestTelemetry request_telemetry;
  Router router;
  const FramingLimits limits;
  const ConnectionTimeouts timeouts;
  const std::size_t max_connections;
  const std::shared_ptr<Admission> admission;
  ServerShared shared;
  std::vector<std::pair<async::Loop*, std::unique_ptr<ServerThread>>> threads;
  std::unique_ptr<PistacheListener> listener;
  bool stopped = false;

 private:
  void OnAccept(async::Loop& loop, AcceptedSocket socket, std::string address) override {
    const auto mine = std::find_if(threads.begin(), threads.end(),
                                   [&loop](const auto& thread) { return thread.first == &loop; });
    mine->second->Accept(std::move(socket), std::move(address));
  }
};

Server::Impl::Impl(const ServerConfig& config_, const Telemetry& telemetry_)
    : config(config_),
      telemetry(telemetry_),
      request_telemetry(telemetry),
      limits{config_.max_target_bytes, config_.max_header_bytes, config_.max_body_bytes},
      timeouts{config_.header_timeout, config_.body_timeout, config_.idle_timeout},
      max_connections(AffordableConnections(config_, telemetry.logger)),
      admission(std::make_shared<Admission>(max_connections, ShareOf(config_, max_connections),
                                            config_.max_pending_bytes)),
      shared{router, request_telemetry, *admission, limits, timeouts, config_.request_timeout} {
  // The registry may outlive the server, hence the shared admission.
  telemetry.registry.AddCallbackGauge("http_connections", "Open connections.", [admission = admission] {
    return static_cast<double>(admission->connections());
  });
  telemetry.registry.AddCallbackGauge(
      "http_pending_bytes", "Bytes of replies that wait for slow clients.",
      [admission = admission] { return static_cast<double>(admission->pending_bytes()); });
}

void Server::Impl::Listen() {
  try {
    listener = std::make_unique<PistacheListener>(config.address, config.port, config.io_threads, *this);
  } catch (const std::exception& exception) {
    const bool taken =
        std::string_view(exception.what()).find(std::strerror(EADDRINUSE)) != std::string_view::npos;
    throw Error(
        ErrorCode::kUnavailable, "cannot-listen",
        fmt::format("Cannot listen on {} port {}: {}. {}", config.address, config.port, exception.what(),
                    taken ? fmt::format("Stop what uses it, or set {} to another.", config.port_variable)
                          : "Set HTTP_ADDRESS to an address of this machine, IPv6 in brackets."));
  }
  for (async::Loop* loop : listener->loops()) {
    auto thread = std::make_unique<ServerThread>(shared, *loop);
    loop->AtStop([thread = thread.get()] { thread->CloseAll(); });
    threads.emplace_back(loop, std::move(thread));
  }
  listener->Start();
}

void Server::Impl::OnEveryThread(void (ServerThread::*work)()) {
  std::vector<std::future<void>> all;
  for (const auto& [loop, thread] : threads) {
    auto done = std::make_shared<std::promise<void>>();
    auto future = done->get_future();
    const bool posted = loop->mailbox()->Post([thread = thread.get(), work, done] {
      (thread->*work)();
      done->set_value();
    });
    if (posted) all.push_back(std::move(future));
  }
  for (auto& future : all) future.wait();
}

bool Server::Impl::WaitUntilQuiet(Clock::time_point end) {
  std::unique_lock lock(shared.mutex);
  return shared.quiet.wait_until(lock, end, [this] { return shared.busy == 0; });
}

Server::Server(const ServerConfig& config, const Telemetry& telemetry)
    : impl_(std::make_unique<Impl>(config, telemetry)) {}

Server::~Server() { impl_->listener.reset(); }

void Server::Add(Method method, std::string_view route, Handler handler, Visibility visibility) {
  Route entry;
  entry.method = method;
  entry.route = route;
  entry.name = fmt::format("{} {}", Name(method), route);
  entry.visibility = visibility;
  entry.handler = std::move(handler);
  impl_->request_telemetry.Announce(impl_->router.Add(std::move(entry)));
}

void Server::Start() { impl_->Listen(); }

std::uint16_t Server::port() const { return impl_->listener->port(); }

const std::vector<async::Loop*>& Server::loops() const { return impl_->listener->loops(); }

void Server::Spawn(std::function<async::Task<void>(async::Loop&)> work) {
  async::Loop* loop = loops().front();
  loop->mailbox()->Post(
      [loop, work = std::move(work)]() mutable { loop->Spawn(RunBackground(std::move(work), *loop)); });
}

async::Task<std::vector<RequestUnderWay>> Server::UnderWay(async::Loop& loop) const {
  std::vector<RequestUnderWay> all;
  for (const auto& [own, thread] : impl_->threads) {
    std::function<std::vector<RequestUnderWay>()> look = [thread = thread.get()] {
      return thread->UnderWay();
    };
    auto some = co_await async::RunOn(loop, *own, std::move(look));
    if (some) all.insert(all.end(), some->begin(), some->end());
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.age > b.age; });
  co_return all;
}

void Server::Drain() { impl_->shared.draining = true; }

bool Server::Stop(std::chrono::milliseconds deadline) {
  Impl& impl = *impl_;
  if (!impl.listener || std::exchange(impl.stopped, true)) return true;
  const auto end = Clock::now() + deadline;
  Drain();
  impl.listener->CloseListeningSocket(std::min(kAcceptRest, deadline));
  // Who has just connected is about to ask: wait for it, as for every request that is on its way.
  impl.admission->WaitUntilEmpty(std::min(kLastRequests, deadline));
  impl.OnEveryThread(&ServerThread::CloseIdle);
  const bool finished = impl.WaitUntilQuiet(end);
  if (!finished) impl.OnEveryThread(&ServerThread::CancelAll);
  impl.OnEveryThread(&ServerThread::CloseIdle);
  impl.admission->WaitUntilEmpty(kCloseTimeout);
  return finished;
}

}  // namespace obs::http
