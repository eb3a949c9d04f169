#include "obs/http/request_telemetry.h"

#include <chrono>
#include <string>

#include "obs/http/exchange.h"
#include "obs/text/authority.h"

namespace obs::http {
namespace {

/// What a log line or a span shows of a path, at most.
constexpr std::size_t kShownPath = 256;
constexpr std::string_view kUnmatched = "unmatched";

bool IsProbe(const Exchange& exchange) {
  return exchange.route() != nullptr && exchange.route()->visibility == Visibility::kProbe;
}

std::string_view RouteOf(const Exchange& exchange) {
  return exchange.route() != nullptr ? std::string_view(exchange.route()->route) : kUnmatched;
}

double MillisecondsSince(async::Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(async::Clock::now() - start).count();
}

}  // namespace

RequestTelemetry::RequestTelemetry(const Telemetry& telemetry)
    : telemetry_(telemetry),
      quiet_{telemetry.logger, telemetry.registry, Telemetry::None().tracer, telemetry.propagator},
      requests_(telemetry.registry.AddCounter("http_requests_total",
                                              "Requests answered, by method, route template and status.",
                                              {"method", "route", "status"})),
      durations_(telemetry.registry.AddHistogram("http_request_duration_seconds",
                                                 "Time from the complete request to its reply.",
                                                 {"method", "route"}, metrics::HttpDurationBuckets())),
      rejected_(telemetry.registry.AddCounter("http_requests_rejected_total",
                                              "Requests and connections refused before any route saw them.",
                                              {"reason"})),
      cancelled_(telemetry.registry.AddCounter(
          "http_requests_cancelled_total",
          "Requests whose handler was cancelled: client_left, deadline or drain.", {"reason"})),
      timer_(telemetry.registry, "timer") {
  for (const auto* reason :
       {"malformed", "timeout", "connections", "address_share", "evicted", "pending_bytes"}) {
    rejected_.With({reason});
  }
  for (const auto* reason : {"client_left", "deadline", "drain"}) cancelled_.With({reason});
  telemetry.registry.AddCallbackGauge(
      "http_requests_in_progress", "Requests received and not yet answered.",
      [in_progress = in_progress_] { return static_cast<double>(in_progress->load()); });
}

void RequestTelemetry::Announce(Route& route) {
  route.ok_requests = &requests_.With({Name(route.method), route.route, "200"});
  route.duration = &durations_.With({Name(route.method), route.route});
}

trace::Span RequestTelemetry::StartSpan(const Exchange& exchange) const {
  const Request& request = exchange.request();
  const trace::Context parent =
      telemetry_.propagator.Extract([&request](std::string_view header) { return request.Header(header); });
  const std::string_view name =
      exchange.route() != nullptr ? std::string_view(exchange.route()->name) : Name(request.method);
  trace::Span span =
      telemetry_.tracer.Start(name, trace::Kind::kServer, parent,
                              {{"http.request.method", Name(request.method)},
                               {"url.path", request.path.substr(0, kShownPath)},
                               {"url.scheme", "http"},
                               {"client.address", request.client_address},
                               {"network.protocol.version", request.minor_version == 0 ? "1.0" : "1.1"}});
  if (!span.recording()) return span;
  if (exchange.route() != nullptr) span.Set({"http.route", exchange.route()->route});
  if (!request.query.empty()) span.Set({"url.query", request.query.substr(0, kShownPath)});
  if (const auto server = text::ParseAuthority(request.Header("Host"))) {
    span.Set({"server.address", server->host.substr(0, kShownPath)});
    if (server->port) span.Set({"server.port", *server->port});
  }
  if (const auto agent = request.Header("User-Agent"); !agent.empty()) {
    span.Set({"user_agent.original", agent.substr(0, kShownPath)});
  }
  return span;
}

void RequestTelemetry::Begin(const Exchange& exchange, std::optional<Scope>& scope, async::Loop& loop,
                             async::Deadline deadline, Activity& activity) {
  in_progress_->fetch_add(1, std::memory_order_relaxed);
  if (IsProbe(exchange)) {
    scope.emplace(quiet_, loop, trace::Span(), deadline, activity);
  } else {
    scope.emplace(telemetry_, loop, StartSpan(exchange), deadline, activity);
  }
}

void RequestTelemetry::End(Exchange& exchange, const Error* error) {
  const int status = exchange.response().status;
  Scope& scope = exchange.scope();
  if (scope.span().recording()) {
    scope.Set({"http.response.status_code", status});
    if (status >= 500) {
      scope.Fail(error != nullptr ? std::string_view(error->type()) : std::to_string(status),
                 error != nullptr ? error->detail() : "");
    }
  }
  Count(exchange, scope, status);
  LogAccess(exchange, scope, status, error);
  scope.span().End();
  in_progress_->fetch_sub(1, std::memory_order_relaxed);
}

void RequestTelemetry::Count(const Exchange& exchange, const Scope& scope, int status) {
  const std::string_view method = Name(exchange.request().method);
  const auto duration = async::Clock::now() - exchange.start();
  const Route* route = exchange.route();
  if (route == nullptr) {
    requests_.With({method, kUnmatched, std::to_string(status)}).Increment();
    durations_.With({method, kUnmatched}).Observe(duration, scope.exemplar());
  } else if (route->method == exchange.request().method) {
    if (status == 200) {
      route->ok_requests->Increment();
    } else {
      requests_.With({method, route->route, std::to_string(status)}).Increment();
    }
    route->duration->Observe(duration, scope.exemplar());
  } else {
    requests_.With({method, route->route, std::to_string(status)}).Increment();
    durations_.With({method, route->route}).Observe(duration, scope.exemplar());
  }
}

void RequestTelemetry::LogAccess(const Exchange& exchange, const Scope& scope, int status,
                                 const Error* error) const {
  if (IsProbe(exchange)) return;
  const log::Level level = status >= 500 ? log::Level::kError : log::Level::kInfo;
  if (!scope.logger().enabled(level)) return;
  const std::string_view method = Name(exchange.request().method);
  const std::string_view path = exchange.request().path.substr(0, kShownPath);
  const double milliseconds = MillisecondsSince(exchange.start());
  if (error == nullptr) {
    scope.logger().Write(level, "Request handled",
                         {{"method", method},
                          {"route", RouteOf(exchange)},
                          {"path", path},
                          {"status", status},
                          {"duration_ms", milliseconds}});
  } else {
    scope.logger().Write(level, "Request handled",
                         {{"method", method},
                          {"route", RouteOf(exchange)},
                          {"path", path},
                          {"status", status},
                          {"duration_ms", milliseconds},
                          {"error_type", error->type()},
                          {"detail", error->detail()},
                          {"cause", error->cause()}});
  }
}

std::string_view RequestTelemetry::Awaited(const Exchange& exchange) {
  const WaitPoint* point = exchange.activity().awaiting();
  return point != nullptr ? std::string_view(point->name()) : std::string_view();
}

void RequestTelemetry::Cancelled(Exchange& exchange, std::string_view reason, std::string_view awaited) {
  cancelled_.With({reason}).Increment();
  if (IsProbe(exchange)) return;
  exchange.scope().Warn("Request cancelled", {{"method", Name(exchange.request().method)},
                                              {"route", RouteOf(exchange)},
                                              {"reason", reason},
                                              {"awaited", awaited},
                                              {"duration_ms", MillisecondsSince(exchange.start())}});
}

void RequestTelemetry::Abandoned(Exchange& exchange, std::string_view reason, std::string_view awaited) {
  Cancelled(exchange, reason, awaited);
  exchange.scope().Fail(reason, "The handler was cancelled, and there was no reply.");
  exchange.scope().span().End();
  in_progress_->fetch_sub(1, std::memory_order_relaxed);
}

void RequestTelemetry::Refused(std::string_view reason, int status, const Error& error) {
  Refused(reason);
  telemetry_.logger.Warn("Request refused",
                         {{"status", status}, {"error_type", error.type()}, {"detail", error.detail()}});
}

void RequestTelemetry::Refused(std::string_view reason) { rejected_.With({reason}).Increment(); }

}  // namespace obs::http
