#pragma once

#include <chrono>
#include <coroutine>
#include <optional>
#include <string>
#include <string_view>

#include "obs/async/loop.h"
#include "obs/log/logger.h"
#include "obs/metrics/registry.h"
#include "obs/scope/telemetry.h"
#include "obs/trace/tracer.h"

namespace obs {

using async::Deadline;
using log::Field;
using log::Fields;

/// Something that requests wait for: a timer, another service, a database. Counted in the gauge
/// requests_waiting{for}.
class WaitPoint {
 public:
  WaitPoint(metrics::Registry& registry, std::string name);

  const std::string& name() const { return name_; }

 private:
  friend class Waiting;
  const std::string name_;
  metrics::Gauge& gauge_;
};

class Waiting;

/// What the scopes of one request share: what it waits for now, for those who look at it from outside.
class Activity {
 public:
  const WaitPoint* timer = nullptr;  ///< that Scope::Sleep() counts at; null to count nowhere

  /// The latest wait that has begun and not ended; null without one.
  const WaitPoint* awaiting() const;

 private:
  friend class Waiting;
  Waiting* latest_ = nullptr;
};

/// One wait; ends when destroyed.
class Waiting {
 public:
  Waiting() = default;
  Waiting(Activity& activity, const WaitPoint& point);
  Waiting(Waiting&& other) noexcept;
  Waiting& operator=(Waiting&& other) noexcept;
  ~Waiting() { End(); }
  void End();

 private:
  friend class Activity;
  void TakePlaceOf(Waiting& other);

  Activity* activity_ = nullptr;
  const WaitPoint* point_ = nullptr;
  // The other waits of the activity, because many may go on at once and end in any order.
  Waiting* earlier_ = nullptr;
  Waiting* later_ = nullptr;
};

/// One request, or one piece of background work, as its code sees it: its span, a logger whose lines belong
/// to that span, its deadline, and the loop on which it waits. All below a handler take `Scope&` and nothing
/// else of telemetry.
///
/// The work is cancelled when its client leaves, its deadline passes or the server's drain ends: then the
/// coroutine is destroyed where it waits, and so is its scope, which ends the span. No code runs that would
/// have to ask whether it is cancelled.
///
/// For the loop's thread. A scope must not outlive the scope that it is a child of.
class Scope {
 public:
  /// The outermost. With a tracer that starts nothing, as Telemetry::None() has, all below leaves no span.
  Scope(const Telemetry& telemetry, async::Loop& loop, trace::Span span, Deadline deadline,
        Activity& activity);
  /// Work that no request asked for, as a root span `name`.
  static Scope Background(const Telemetry& telemetry, async::Loop& loop, Activity& activity,
                          std::string_view name, Fields attributes = {});
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  /// A part of this work, with a span of its own below this one's; ends when destroyed.
  Scope Child(std::string_view name, trace::Kind kind = trace::Kind::kInternal, Fields attributes = {});

  /// An attribute of the span.
  void Set(const Field& attribute) { span_.Set(attribute); }
  /// Marks the span failed: `error.type`, and the sentence as its description. Does not log.
  void Fail(std::string_view type, std::string_view sentence) { span_.Fail(type, sentence); }
  void Debug(std::string_view message, Fields fields = {}) const { logger_.Debug(message, fields); }
  void Info(std::string_view message, Fields fields = {}) const { logger_.Info(message, fields); }
  void Warn(std::string_view message, Fields fields = {}) const { logger_.Warn(message, fields); }
  void Error(std::string_view message, Fields fields = {}) const { logger_.Error(message, fields); }

  const log::Logger& logger() const { return logger_; }
  trace::Span& span() { return span_; }
  /// The parent of spans below, and what goes to other services: identity and baggage.
  const trace::Context& context() const { return span_.context(); }
  metrics::Exemplar exemplar() const { return span_.exemplar(); }
  /// 32 hex digits, or empty without a span.
  std::string_view trace_id() const { return span_.correlation().trace_id_view(); }
  Deadline deadline() const { return deadline_; }
  async::Loop& loop() const { return *loop_; }

  /// `co_await scope.Sleep(5ms)`.
  class Sleeping;
  Sleeping Sleep(async::Clock::duration duration);
  /// Shows from outside that this work waits at `point`, until the result is destroyed.
  Waiting WaitAt(const WaitPoint& point) { return Waiting(*activity_, point); }

 private:
  Scope(const Scope& parent, trace::Span span);

  const Telemetry* telemetry_;
  async::Loop* loop_;
  Activity* activity_;
  Deadline deadline_;
  trace::Span span_;
  log::Logger logger_;
};

class Scope::Sleeping {
 public:
  Sleeping(Activity& activity, async::Loop& loop, async::Clock::duration duration)
      : activity_(activity), sleep_(loop, duration) {}

  bool await_ready() const { return sleep_.await_ready(); }
  void await_suspend(std::coroutine_handle<> awaiting) {
    if (activity_.timer != nullptr) waiting_ = Waiting(activity_, *activity_.timer);
    sleep_.await_suspend(awaiting);
  }
  void await_resume() { waiting_.End(); }

 private:
  Activity& activity_;
  Waiting waiting_;
  async::Sleep sleep_;
};

inline Scope::Sleeping Scope::Sleep(async::Clock::duration duration) {
  return {*activity_, *loop_, duration};
}

}  // namespace obs
