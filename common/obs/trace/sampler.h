#pragma once

#include <opentelemetry/sdk/trace/sampler.h>

#include <memory>

#include "obs/trace/span_queue.h"
#include "obs/trace/tracer.h"

namespace obs::trace {

/// The sampler that OTEL_TRACES_SAMPLER names. While `queue` is filling, it begins no trace in this process:
/// the sampled flag that goes on with the request then keeps all services from recording it. `queue` may be
/// null.
std::unique_ptr<opentelemetry::sdk::trace::Sampler> MakeSampler(const Config& config,
                                                                std::shared_ptr<SpanQueue> queue);

}  // namespace obs::trace
