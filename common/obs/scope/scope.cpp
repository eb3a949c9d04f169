#include "obs/scope/scope.h"

#include <utility>

namespace obs {

const Telemetry& Telemetry::None() {
  static const log::Logger kLogger;
  static metrics::Registry registry;
  static const trace::Tracer kTracer;
  static const trace::Propagator kPropagator;
  static const Telemetry kNone{kLogger, registry, kTracer, kPropagator};
  return kNone;
}

WaitPoint::WaitPoint(metrics::Registry& registry, std::string name)
    : name_(std::move(name)),
      gauge_(registry.AddGauge("requests_waiting", "Requests that wait, by what they wait for.", {"for"})
                 .With({name_})) {}

const WaitPoint* Activity::awaiting() const { return latest_ != nullptr ? latest_->point_ : nullptr; }

Waiting::Waiting(Activity& activity, const WaitPoint& point)
    : activity_(&activity), point_(&point), earlier_(activity.latest_) {
  if (earlier_ != nullptr) earlier_->later_ = this;
  activity.latest_ = this;
  point.gauge_.Increment();
}

Waiting::Waiting(Waiting&& other) noexcept { TakePlaceOf(other); }

Waiting& Waiting::operator=(Waiting&& other) noexcept {
  if (this == &other) return *this;
  End();
  TakePlaceOf(other);
  return *this;
}

void Waiting::TakePlaceOf(Waiting& other) {
  activity_ = other.activity_;
  point_ = std::exchange(other.point_, nullptr);
  earlier_ = std::exchange(other.earlier_, nullptr);
  later_ = std::exchange(other.later_, nullptr);
  if (point_ == nullptr) return;
  if (earlier_ != nullptr) earlier_->later_ = this;
  (later_ != nullptr ? later_->earlier_ : activity_->latest_) = this;
}

void Waiting::End() {
  if (point_ == nullptr) return;
  point_->gauge_.Decrement();
  if (earlier_ != nullptr) earlier_->later_ = later_;
  (later_ != nullptr ? later_->earlier_ : activity_->latest_) = earlier_;
  point_ = nullptr;
  earlier_ = later_ = nullptr;
}

Scope::Scope(const Telemetry& telemetry, async::Loop& loop, trace::Span span, Deadline deadline,
             Activity& activity)
    : telemetry_(&telemetry),
      loop_(&loop),
      activity_(&activity),
      deadline_(deadline),
      span_(std::move(span)),
      logger_(telemetry.logger.With(span_.correlation())) {}

Scope::Scope(const Scope& parent, trace::Span span)
    : telemetry_(parent.telemetry_),
      loop_(parent.loop_),
      activity_(parent.activity_),
      deadline_(parent.deadline_),
      span_(std::move(span)),
      logger_(span_.correlation().valid() ? parent.logger_.With(span_.correlation()) : parent.logger_) {}

Scope Scope::Background(const Telemetry& telemetry, async::Loop& loop, Activity& activity,
                        std::string_view name, Fields attributes) {
  return {telemetry, loop, telemetry.tracer.Start(name, trace::Kind::kInternal, {}, attributes),
          Deadline::max(), activity};
}

Scope Scope::Child(std::string_view name, trace::Kind kind, Fields attributes) {
  return {*this, telemetry_->tracer.Start(name, kind, span_.context(), attributes)};
}

}  // namespace obs
