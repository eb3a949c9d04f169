#pragma once

#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/trace/exporter.h>

#include <memory>

#include "obs/trace/tracer.h"

namespace obs::trace {

/// OTLP 1.x over HTTP, protobuf; each span costs a third of the memory that the SDK's own exporter takes,
/// which besides reports success whatever the collector answers. A failure is logged, at most once in 30 s.
std::unique_ptr<opentelemetry::sdk::trace::SpanExporter> MakeOtlpExporter(
    const Config& config, const opentelemetry::sdk::resource::Resource& resource, const log::Logger& logger);

/// One log line at INFO per finished span.
std::unique_ptr<opentelemetry::sdk::trace::SpanExporter> MakeConsoleExporter(const log::Logger& logger);

}  // namespace obs::trace
