#pragma once

#include <prometheus/histogram.h>

#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

namespace obs::metrics {

/// The trace that an observation belongs to (OpenMetrics 1.0, "Exemplars"): 32 and 16 hex digits. With ids of
/// any other length there is no exemplar.
struct Exemplar {
  std::string_view trace_id;
  std::string_view span_id;
};

struct BucketExemplar;

/// A prometheus-cpp histogram that also keeps the latest exemplar of each bucket. Thread-safe.
class Histogram {
 public:
  /// `histogram` must outlive this object; `bounds` are the ones it was made with.
  Histogram(prometheus::Histogram& histogram, std::vector<double> bounds);
  ~Histogram();

  /// NaN is not counted: it would spoil the sum for ever.
  void Observe(double value, const Exemplar& exemplar = {});
  void Observe(std::chrono::nanoseconds duration, const Exemplar& exemplar = {}) {
    Observe(std::chrono::duration<double>(duration).count(), exemplar);
  }

 private:
  friend std::vector<BucketExemplar> Exemplars(const Histogram& histogram);
  struct Slot;

  prometheus::Histogram& histogram_;
  const std::vector<double> bounds_;
  const std::unique_ptr<Slot[]> slots_;  // one a bucket, the last for +Inf
};

/// Seconds, as the OpenTelemetry semantic conventions advise for HTTP durations.
const std::vector<double>& HttpDurationBuckets();
/// Seconds, as the OpenTelemetry semantic conventions advise for database operations.
const std::vector<double>& DatabaseDurationBuckets();

}  // namespace obs::metrics
