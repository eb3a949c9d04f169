#pragma once

#include <opentelemetry/sdk/trace/random_id_generator.h>
#include <opentelemetry/sdk/trace/sampler.h>

#include <memory>
#include <vector>

#include "obs/trace/span_sink.h"
#include "obs/trace/tracer.h"

namespace obs::trace {

/// How a tracer begins spans and where they go when they end. Thread-safe.
struct Recorder {
  std::unique_ptr<opentelemetry::sdk::trace::Sampler> sampler;  ///< null when the SDK is disabled
  mutable opentelemetry::sdk::trace::RandomIdGenerator ids;     ///< thread-safe: its state is per thread
  SpanLimits limits;
  std::vector<std::shared_ptr<SpanSink>> sinks;
};

}  // namespace obs::trace
