#pragma once

#include "obs/http/server.h"
#include "obs/metrics/registry.h"
#include "roller.h"

namespace dice_roller {

/// Counts of rolls, for the whole service.
struct RollMetrics {
  explicit RollMetrics(obs::metrics::Registry& registry);

  obs::metrics::Family<obs::metrics::Counter>& rolls;    ///< die, mode, result
  obs::metrics::Family<obs::metrics::Counter>& results;  ///< die, face
};

/// Shows each roll of one request as a span, a log line and counts.
class TelemetryRecorder : public RollRecorder {
 public:
  /// `mode`: "sync" or "async". The references must outlive it.
  TelemetryRecorder(RollMetrics& metrics, const obs::trace::Tracer& tracer,
                    const obs::http::Exchange& exchange, std::string_view mode);

  std::unique_ptr<RollRecord> Begin(const Die& die, int index) override;

 private:
  RollMetrics& metrics_;
  const obs::trace::Tracer& tracer_;
  const obs::http::Exchange& exchange_;
  const std::string_view mode_;
};

}  // namespace dice_roller
