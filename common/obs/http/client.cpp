#include "obs/http/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "obs/async/concurrency_limit.h"
#include "obs/async/loop.h"
#include "obs/http/resolver.h"
#include "obs/http/response_reader.h"
#include "obs/http/socket.h"
#include "obs/http/text.h"
#include "obs/text/authority.h"

namespace obs::http {
namespace {

/// Below the server's idle timeout, so that a connection is not reused in the moment it is being closed.
constexpr std::chrono::seconds kMaxIdle{60};
constexpr std::chrono::seconds kMaxRetryAfter{86'400};

/// "http://host:port/path", taken apart.
struct BaseUrl {
  bool tls = false;
  std::string host;
  std::uint16_t port = 80;
  std::string authority;  ///< as the Host header has it
  std::string path;       ///< before every target
};

/// Of what is no such URL nothing is known, and no call will succeed: its host is empty.
BaseUrl ParseBaseUrl(std::string_view url) {
  BaseUrl base;
  base.tls = url.starts_with("https://");
  base.port = base.tls ? 443 : 80;
  const std::size_t slashes = std::min(url.find("//"), url.size());
  url.remove_prefix(std::min(slashes + 2, url.size()));
  const std::size_t end = std::min(url.find('/'), url.size());
  const auto authority = text::ParseAuthority(url.substr(0, end));
  if (!authority) return base;
  base.host = authority->host;
  base.port = authority->port.value_or(base.port);
  base.authority = url.substr(0, end);
  base.path = url.substr(end);
  return base;
}

ClientError MakeError(ClientFailure failure, const std::string& peer, std::string cause) {
  switch (failure) {
    case ClientFailure::kRefused:
      return {failure, peer + "-unreachable", fmt::format("{} cannot be reached.", peer), std::move(cause)};
    case ClientFailure::kTimeout:
      return {failure, peer + "-timeout", fmt::format("{} did not answer in time.", peer), std::move(cause)};
    case ClientFailure::kInvalid:
      break;
  }
  return {failure, peer + "-invalid", fmt::format("{} gave no valid answer.", peer), std::move(cause)};
}

ClientFailure FailureOf(SocketError::Kind kind) {
  switch (kind) {
    case SocketError::Kind::kRefused:
      return ClientFailure::kRefused;
    case SocketError::Kind::kTimeout:
      return ClientFailure::kTimeout;
    case SocketError::Kind::kBroken:
      break;
  }
  return ClientFailure::kInvalid;
}

/// RFC 9110, section 9.2.2.
bool IsIdempotent(Method method) { return method != Method::kPost && method != Method::kPatch; }

bool IsTarget(std::string_view target) {
  return target.starts_with('/') &&
         std::all_of(target.begin(), target.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

/// Seconds only; a date, which the other form of the header is, counts as none.
std::chrono::seconds ParseRetryAfter(std::string_view text) {
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds < 0) return {};
  return std::min(std::chrono::seconds(seconds), kMaxRetryAfter);
}

/// The idle connections of one client on one loop.
class IdleConnections final : public async::Loop::Local {
 public:
  IdleConnections(async::Loop& loop, std::size_t limit) : loop_(loop), limit_(limit) {}

  /// The latest used, which is the least likely to be stale; null when there is none.
  std::unique_ptr<Socket> Take() {
    const auto now = async::Clock::now();
    while (!idle_.empty()) {
      Entry latest = std::move(idle_.back());
      idle_.pop_back();
      if (latest.socket->Stale() || now - latest.since > kMaxIdle) continue;
      latest.socket->SetIdleListener({});
      return std::move(latest.socket);
    }
    return nullptr;
  }

  void Keep(std::unique_ptr<Socket> socket) {
    if (idle_.size() >= limit_ || socket->Stale()) return;
    // A descriptor is not held longer than the other side holds its own.
    socket->SetIdleListener([this] { PruneSoon(); });
    socket->SetDeadline(async::Deadline::max());
    idle_.push_back({std::move(socket), async::Clock::now()});
  }

 private:
  struct Entry {
    std::unique_ptr<Socket> socket;
    async::Clock::time_point since;
  };

  void PruneSoon() {
    if (std::exchange(pruning_, true)) return;
    loop_.Defer([this] {
      pruning_ = false;
      std::erase_if(idle_, [](const Entry& entry) { return entry.socket->Stale(); });
    });
  }

  async::Loop& loop_;
  const std::size_t limit_;
  std::vector<Entry> idle_;
  bool pruning_ = false;
};

/// One call as telemetry sees it: span, histogram and error agree with each other. Destroyed before the end
/// it was cancelled.
class Call {
 public:
  Call(Scope& scope, std::string_view method, const std::string& url, const BaseUrl& base,
       const std::string& peer, metrics::Family<metrics::Histogram>& durations,
       metrics::Histogram& ok_duration)
      : span_(scope.Child(method, trace::Kind::kClient,
                          {{"http.request.method", method},
                           {"url.full", url},
                           {"server.address", base.host},
                           {"server.port", base.port}})),
        peer_(peer),
        durations_(durations),
        ok_duration_(ok_duration) {}
  ~Call() {
    if (over_) return;
    Observe("cancelled");
    span_.Fail("cancelled", "The request that made this call was given up.");
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  const trace::Context& context() const { return span_.context(); }
  async::Clock::time_point start() const { return start_; }

  void Answered(int status) {
    over_ = true;
    span_.Set({"http.response.status_code", status});
    if (status == 200) {
      ok_duration_.Observe(async::Clock::now() - start_, span_.exemplar());
      return;
    }
    const std::string label = std::to_string(status);
    Observe(label);
    if (status >= 400) span_.Fail(label, "");
  }

  ClientError Failed(ClientError error) {
    over_ = true;
    Observe(Name(error.failure()));
    span_.Fail(Name(error.failure()), error.detail());
    return error;
  }

 private:
  void Observe(std::string_view status) {
    durations_.With({peer_, status}).Observe(async::Clock::now() - start_, span_.exemplar());
  }

  Scope span_;
  const std::string& peer_;
  metrics::Family<metrics::Histogram>& durations_;
  metrics::Histogram& ok_duration_;
  const async::Clock::time_point start_ = async::Clock::now();
  bool over_ = false;
};

}  // namespace

std::string_view Name(ClientFailure failure) {
  switch (failure) {
    case ClientFailure::kRefused:
      return "refused";
    case ClientFailure::kTimeout:
      return "timeout";
    case ClientFailure::kInvalid:
      break;
  }
  return "invalid";
}

struct Client::Impl {
  Impl(ClientConfig config_, const Telemetry& telemetry);

  IdleConnections& IdleOn(async::Loop& loop) const;
  std::string Compose(const ClientRequest& request, const trace::Context& context) const;
  async::Task<std::unique_ptr<Socket>> Connect(async::Loop& loop, async::Deadline deadline);
  /// One attempt. False when a kept-alive connection was closed before a byte of the answer came.
  async::Task<bool> Attempt(std::unique_ptr<Socket>& socket, std::string_view bytes, ResponseReader& answer);
  async::Task<void> Fetch(async::Loop& loop, std::string_view bytes, bool idempotent, ResponseReader& answer,
                          async::Deadline deadline);

  const ClientConfig config;
  const BaseUrl base;
  const std::uint64_t idle_key = async::Loop::NewLocalKey();
  const trace::Propagator& propagator;
  metrics::Family<metrics::Histogram>& durations;
  metrics::Histogram& ok_duration;
  const WaitPoint wait_point;
  Resolver resolver;
  async::ConcurrencyLimit limit;
  std::unique_ptr<TlsContext> tls;
};

Client::Impl::Impl(ClientConfig config_, const Telemetry& telemetry)
    : config(std::move(config_)),
      base(ParseBaseUrl(config.base_url)),
      propagator(telemetry.propagator),
      durations(
          telemetry.registry.AddHistogram("http_client_request_duration_seconds",
                                          "Time of calls to other services, by peer and status or failure.",
                                          {"peer", "status"}, metrics::HttpDurationBuckets())),
      ok_duration(durations.With({config.peer, "200"})),
      wait_point(telemetry.registry, config.peer),
      resolver(base.host, base.port),
      limit(config.max_concurrent, config.max_waiting) {
  if (!base.tls) return;
  tls = std::make_unique<TlsContext>();
  if (!config.ca_file.empty()) tls->Trust(config.ca_file);
}

IdleConnections& Client::Impl::IdleOn(async::Loop& loop) const {
  return static_cast<IdleConnections&>(loop.LocalOf(idle_key, [this](async::Loop& own) {
    return std::make_unique<IdleConnections>(own, config.max_idle_connections);
  }));
}

std::string Client::Impl::Compose(const ClientRequest& request, const trace::Context& context) const {
  std::string bytes;
  bytes.reserve(512 + request.body.size());
  const auto add = [&bytes](std::string_view name, std::string_view value) {
    const bool sendable = IsToken(name) && value.find_first_of("\r\n") == std::string_view::npos &&
                          value.find('\0') == std::string_view::npos;
    if (sendable) bytes.append(name).append(": ").append(value).append("\r\n");
  };
  bytes.append(Name(request.method)).append(" ").append(base.path).append(request.target);
  bytes.append(" HTTP/1.1\r\nHost: ").append(base.authority);
  bytes.append("\r\nUser-Agent: obs\r\nAccept: application/json\r\nConnection: keep-alive\r\n");
  propagator.Inject(context, add);
  for (const auto& [name, value] : request.headers) add(name, value);
  if (!request.body.empty() || !IsIdempotent(request.method) || request.method == Method::kPut) {
    add("Content-Type", request.content_type);
    add("Content-Length", std::to_string(request.body.size()));
  }
  return bytes.append("\r\n").append(request.body);
}

async::Task<std::unique_ptr<Socket>> Client::Impl::Connect(async::Loop& loop, async::Deadline deadline) {
  const auto addresses = co_await resolver.Resolve(loop, deadline);
  std::optional<SocketError> last;
  for (const SocketAddress& address : *addresses) {
    try {
      auto socket = std::make_unique<Socket>(loop, address.get(), address.size);
      socket->SetDeadline(std::min(deadline, async::Clock::now() + config.connect_timeout));
      co_await socket->Connect();
      if (tls) co_await socket->StartTls(*tls, base.host);
      co_return socket;
    } catch (const SocketError& error) {
      last = error;
    }
    if (async::Clock::now() >= deadline) break;
  }
  resolver.Forget();
  throw *last;
}

async::Task<bool> Client::Impl::Attempt(std::unique_ptr<Socket>& socket, std::string_view bytes,
                                        ResponseReader& answer) {
  thread_local std::array<char, 16384> buffer;
  std::string rest;  // received, and not yet taken by the reader
  bool received = false;
  try {
    co_await socket->Send(bytes);
    while (answer.state() == ResponseReader::State::kHead || answer.state() == ResponseReader::State::kBody) {
      const std::size_t size = co_await socket->Receive(buffer.data(), buffer.size());
      if (size == 0) {
        if (!received) co_return false;
        answer.End();
        break;
      }
      received = true;
      std::string_view input(buffer.data(), size);
      if (!rest.empty()) {
        rest.append(input);
        input = rest;
      }
      input.remove_prefix(answer.Read(input));
      std::string(input).swap(rest);
    }
  } catch (const SocketError& error) {
    if (error.kind != SocketError::Kind::kBroken || received) throw;
    co_return false;
  }
  // What comes behind the answer belongs to nobody, and what comes next could not be told from it.
  if (answer.state() != ResponseReader::State::kComplete || !answer.keep_alive() || !rest.empty())
    socket.reset();
  co_return true;
}

async::Task<void> Client::Impl::Fetch(async::Loop& loop, std::string_view bytes, bool idempotent,
                                      ResponseReader& answer, async::Deadline deadline) {
  IdleConnections& idle = IdleOn(loop);
  for (;;) {
    std::unique_ptr<Socket> socket = idle.Take();
    const bool reused = socket != nullptr;
    if (!reused) socket = co_await Connect(loop, deadline);
    socket->SetDeadline(deadline);
    const bool answered = co_await Attempt(socket, bytes, answer);
    if (answered) {
      if (socket) idle.Keep(std::move(socket));
      co_return;
    }
    if (!reused || !idempotent) {
      throw SocketError(SocketError::Kind::kBroken, "the connection ended before the answer began");
    }
  }
}

Client::Client(ClientConfig config, const Telemetry& telemetry)
    : impl_(std::make_unique<Impl>(std::move(config), telemetry)) {}

Client::~Client() = default;

const std::string& Client::peer() const { return impl_->config.peer; }

async::Task<ClientResponse> Client::Send(ClientRequest request, Scope& scope) {
  Impl& impl = *impl_;
  const std::string url = impl.config.base_url + request.target;
  Call call(scope, Name(request.method), url, impl.base, impl.config.peer, impl.durations, impl.ok_duration);
  if (!IsTarget(request.target) || impl.base.host.empty()) {
    throw call.Failed(MakeError(ClientFailure::kRefused, impl.config.peer, "the URL is malformed: " + url));
  }
  const async::Deadline deadline = std::min(call.start() + impl.config.timeout, scope.deadline());
  async::Loop& loop = scope.loop();
  const Waiting waiting = scope.WaitAt(impl.wait_point);
  async::ConcurrencyLimit::Permit permit = impl.limit.TryAcquire();
  if (!permit) {
    auto turn = co_await impl.limit.Acquire(loop, deadline);
    if (turn.refusal == async::ConcurrencyLimit::Refusal::kTooManyWait) {
      throw call.Failed(ClientError(ClientFailure::kRefused, impl.config.peer + "-overloaded",
                                    fmt::format("Too many requests wait for {}.", impl.config.peer),
                                    fmt::format("{} calls wait already", impl.config.max_waiting)));
    }
    if (!turn.permit) {
      throw call.Failed(MakeError(ClientFailure::kTimeout, impl.config.peer,
                                  fmt::format("none of {} calls ended in time", impl.config.max_concurrent)));
    }
    permit = std::move(turn.permit);
  }

  ResponseReader answer(request.method == Method::kHead, impl.config.max_header_bytes,
                        impl.config.max_body_bytes);
  const std::string bytes = impl.Compose(request, call.context());
  std::optional<ClientError> failure;
  try {
    co_await impl.Fetch(loop, bytes, IsIdempotent(request.method), answer, deadline);
    if (answer.state() != ResponseReader::State::kComplete) {
      failure = MakeError(ClientFailure::kInvalid, impl.config.peer, answer.error());
    }
  } catch (const SocketError& error) {
    failure = MakeError(FailureOf(error.kind), impl.config.peer, error.reason);
  }
  if (failure) throw call.Failed(*failure);

  ClientResponse response;
  response.status = answer.status();
  response.content_type = answer.Header("Content-Type");
  response.content_encoding = answer.Header("Content-Encoding");
  response.body = std::move(answer.body());
  response.retry_after = ParseRetryAfter(answer.Header("Retry-After"));
  call.Answered(response.status);
  co_return response;
}

}  // namespace obs::http
