#include "obs/http/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "obs/async/concurrency_limit.h"
#include "obs/async/loop.h"
#include "obs/http1/origin.h"
#include "obs/http1/response_reader.h"
#include "obs/http1/text.h"

namespace obs::http {
namespace {

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

ClientFailure FailureOf(http1::SocketError::Kind kind) {
  switch (kind) {
    case http1::SocketError::Kind::kRefused:
      return ClientFailure::kRefused;
    case http1::SocketError::Kind::kTimeout:
      return ClientFailure::kTimeout;
    case http1::SocketError::Kind::kBroken:
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

/// One call as telemetry sees it: span, histogram and error agree with each other. Destroyed before the end
/// it was cancelled.
class Call {
 public:
  Call(Scope& scope, std::string_view method, const std::string& url, const http1::Url& base,
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

  /// The request line and the headers.
  std::string Compose(const ClientRequest& request, const trace::Context& context) const;
  /// Sends the request, whose turn has come.
  async::Task<ClientResponse> Fetch(const ClientRequest& request, Call& call, async::Loop& loop,
                                    async::Deadline deadline);

  const ClientConfig config;
  http1::Origin origin;
  const trace::Propagator& propagator;
  metrics::Family<metrics::Histogram>& durations;
  metrics::Histogram& ok_duration;
  const WaitPoint wait_point;
  async::ConcurrencyLimit limit;
};

Client::Impl::Impl(ClientConfig config_, const Telemetry& telemetry)
    : config(std::move(config_)),
      origin({.url = http1::ParseUrl(config.base_url).value_or(http1::Url{}),
              .connect_timeout = config.connect_timeout,
              .max_idle_connections = config.max_idle_connections,
              .ca_file = config.ca_file}),
      propagator(telemetry.propagator),
      durations(
          telemetry.registry.AddHistogram("http_client_request_duration_seconds",
                                          "Time of calls to other services, by peer and status or failure.",
                                          {"peer", "status"}, metrics::HttpDurationBuckets())),
      ok_duration(durations.With({config.peer, "200"})),
      wait_point(telemetry.registry, config.peer),
      limit(config.max_concurrent, config.max_waiting) {}

std::string Client::Impl::Compose(const ClientRequest& request, const trace::Context& context) const {
  std::string bytes;
  bytes.reserve(512);
  const auto add = [&bytes](std::string_view name, std::string_view value) {
    const bool sendable = http1::IsToken(name) && value.find_first_of("\r\n") == std::string_view::npos &&
                          value.find('\0') == std::string_view::npos;
    if (sendable) bytes.append(name).append(": ").append(value).append("\r\n");
  };
  bytes.append(Name(request.method)).append(" ").append(origin.url().path).append(request.target);
  bytes.append(" HTTP/1.1\r\nHost: ").append(origin.url().authority);
  bytes.append("\r\nUser-Agent: obs\r\nAccept: application/json\r\nConnection: keep-alive\r\n");
  propagator.Inject(context, add);
  for (const auto& [name, value] : request.headers) add(name, value);
  if (!request.body.empty() || !IsIdempotent(request.method) || request.method == Method::kPut) {
    add("Content-Type", request.content_type);
    add("Content-Length", std::to_string(request.body.size()));
  }
  return bytes.append("\r\n");
}

async::Task<ClientResponse> Client::Impl::Fetch(const ClientRequest& request, Call& call, async::Loop& loop,
                                                async::Deadline deadline) {
  http1::ResponseReader answer(request.method == Method::kHead, config.max_header_bytes,
                               config.max_body_bytes);
  const std::string head = Compose(request, call.context());
  std::optional<ClientError> failure;
  try {
    co_await origin.Send(loop, head, request.body, IsIdempotent(request.method), answer, deadline);
    if (answer.state() != http1::ResponseReader::State::kComplete) {
      failure = MakeError(ClientFailure::kInvalid, config.peer, answer.error());
    }
  } catch (const http1::SocketError& error) {
    failure = MakeError(FailureOf(error.kind), config.peer, error.reason);
  }
  if (failure) throw call.Failed(*failure);

  ClientResponse response;
  response.status = answer.status();
  response.content_type = answer.Header("Content-Type");
  response.content_encoding = answer.Header("Content-Encoding");
  response.body = std::move(answer.body());
  response.retry_after = http1::ParseRetryAfter(answer.Header("Retry-After"));
  call.Answered(response.status);
  co_return response;
}

Client::Client(ClientConfig config, const Telemetry& telemetry)
    : impl_(std::make_unique<Impl>(std::move(config), telemetry)) {}

Client::~Client() = default;

const std::string& Client::peer() const { return impl_->config.peer; }

async::Task<ClientResponse> Client::Send(ClientRequest request, Scope& scope) {
  Impl& impl = *impl_;
  Call call(scope, Name(request.method), impl.config.base_url + request.target, impl.origin.url(),
            impl.config.peer, impl.durations, impl.ok_duration);
  if (!IsTarget(request.target) || impl.origin.url().host.empty()) {
    throw call.Failed(MakeError(ClientFailure::kRefused, impl.config.peer,
                                "the URL is malformed: " + impl.config.base_url + request.target));
  }
  const async::Deadline deadline = std::min(call.start() + impl.config.timeout, scope.deadline());
  const Waiting waiting = scope.WaitAt(impl.wait_point);
  async::ConcurrencyLimit::Permit permit = impl.limit.TryAcquire();
  if (!permit) {
    auto turn = co_await impl.limit.Acquire(scope.loop(), deadline);
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
  // In a coroutine of its own, so that what waits for its turn is small.
  co_return co_await impl.Fetch(request, call, scope.loop(), deadline);
}

}  // namespace obs::http
