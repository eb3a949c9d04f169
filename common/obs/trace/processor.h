#pragma once

#include <opentelemetry/sdk/trace/processor.h>

#include <memory>
#include <vector>

#include "obs/trace/span_sink.h"
#include "obs/trace/tracer.h"

namespace obs::trace {

/// Encodes a span once, in the moment it ends, and hands it to every sink.
std::unique_ptr<opentelemetry::sdk::trace::SpanProcessor> MakeProcessor(
    const SpanLimits& limits, std::vector<std::shared_ptr<SpanSink>> sinks);

}  // namespace obs::trace
