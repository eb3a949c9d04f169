#pragma once

#include <atomic>
#include <optional>
#include <string_view>

#include "obs/error/error.h"
#include "obs/http/router.h"
#include "obs/scope/scope.h"

namespace obs::http {

class Exchange;

/// What is told of the requests of one server: spans, metrics, access log lines. Thread-safe.
class RequestTelemetry {
 public:
  /// `telemetry` must outlive it.
  explicit RequestTelemetry(const Telemetry& telemetry);

  /// Keeps references in the route, because a look-up by labels costs more than all the counting.
  void Announce(Route& route);

  /// Makes the scope of a request; a route that shows nothing of itself gets one without a span.
  void Begin(const Exchange& exchange, std::optional<Scope>& scope, async::Loop& loop,
             async::Deadline deadline, Activity& activity);
  /// All is on record when this returns: who then reads the reply finds the metric and the line.
  void End(Exchange& exchange, const Error* error);
  /// The handler was cancelled; End() follows.
  void Cancelled(Exchange& exchange, std::string_view reason, std::string_view awaited);
  /// The handler was cancelled, and there is no reply.
  void Abandoned(Exchange& exchange, std::string_view reason, std::string_view awaited);
  /// A request or connection that no route saw.
  void Refused(std::string_view reason, int status, const Error& error);
  void Refused(std::string_view reason);

  static std::string_view Awaited(const Exchange& exchange);
  const WaitPoint& timer() const { return timer_; }
  std::int64_t in_progress() const { return in_progress_->load(std::memory_order_relaxed); }

 private:
  trace::Span StartSpan(const Exchange& exchange) const;
  void Count(const Exchange& exchange, const Scope& scope, int status);
  void LogAccess(const Exchange& exchange, const Scope& scope, int status, const Error* error) const;

  const Telemetry& telemetry_;
  const Telemetry quiet_;  ///< for routes that show nothing of themselves
  metrics::Family<metrics::Counter>& requests_;
  metrics::Family<metrics::Histogram>& durations_;
  metrics::Family<metrics::Counter>& rejected_;
  metrics::Family<metrics::Counter>& cancelled_;
  const WaitPoint timer_;
  /// The registry may outlive the server.
  const std::shared_ptr<std::atomic<std::int64_t>> in_progress_ =
      std::make_shared<std::atomic<std::int64_t>>(0);
};

}  // namespace obs::http
