#pragma once

// What the sources of obs::trace share. It includes headers of the OpenTelemetry API only: those of its SDK
// take seconds to compile and stay in the sources that need them.

#include <opentelemetry/nostd/string_view.h>
#include <opentelemetry/trace/span_context.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "obs/trace/tracer.h"

namespace obs::trace {

inline opentelemetry::nostd::string_view ToOtel(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view FromOtel(opentelemetry::nostd::string_view text) {
  return {text.data(), text.size()};
}

/// A valid span context or baggage, else there is no state at all.
struct Context::State {
  State(const opentelemetry::trace::SpanContext& span_, std::shared_ptr<const std::string> baggage_)
      : span(span_), baggage(std::move(baggage_)) {}

  const opentelemetry::trace::SpanContext span;
  const std::shared_ptr<const std::string> baggage;  ///< a `baggage` header's value; null without one
};

log::Correlation Correlate(const opentelemetry::trace::SpanContext& span);

}  // namespace obs::trace
