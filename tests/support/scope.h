#pragma once

#include "obs/async/run.h"
#include "obs/scope/scope.h"

namespace support {

/// A loop on the test's own thread, and a scope on it that is no request's.
class LocalScope {
 public:
  explicit LocalScope(const obs::Telemetry& telemetry = obs::Telemetry::None(),
                      obs::Deadline deadline = obs::Deadline::max())
      : scope_(telemetry, standalone_.loop(), obs::trace::Span(), deadline, activity_) {}
  LocalScope(const obs::Telemetry& telemetry, obs::trace::Span span)
      : scope_(telemetry, standalone_.loop(), std::move(span), obs::Deadline::max(), activity_) {}

  /// Runs a task to its end. Gives its result, or throws its exception.
  template <typename T>
  T Run(obs::async::Task<T> task) {
    return standalone_.Run(std::move(task));
  }
  obs::async::Loop& loop() { return standalone_.loop(); }
  obs::async::StandaloneLoop& standalone() { return standalone_; }
  obs::Activity& activity() { return activity_; }
  obs::Scope& scope() { return scope_; }

 private:
  obs::async::StandaloneLoop standalone_;
  obs::Activity activity_;
  obs::Scope scope_;
};

}  // namespace support
