#pragma once

#include <opentelemetry/context/propagation/text_map_propagator.h>

#include <memory>
#include <string_view>
#include <vector>

#include "obs/trace/context.h"

namespace obs::trace {

struct Propagator::Impl {
  /// `names`: the value of OTEL_PROPAGATORS; names that are not known are passed over.
  explicit Impl(std::string_view names);

  std::vector<std::unique_ptr<opentelemetry::context::propagation::TextMapPropagator>> spans;
  bool baggage = false;
};

}  // namespace obs::trace
