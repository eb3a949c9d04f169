#pragma once

#include "obs/log/logger.h"
#include "obs/metrics/registry.h"
#include "obs/trace/tracer.h"

namespace obs {

/// Where a process tells what it does. Constructors take it; what is referred to must outlive them.
struct Telemetry {
  const log::Logger& logger;
  metrics::Registry& registry;
  const trace::Tracer& tracer;
  const trace::Propagator& propagator;

  /// Tells nobody anything: for tests, and for work that must leave no trace.
  static const Telemetry& None();
};

}  // namespace obs
