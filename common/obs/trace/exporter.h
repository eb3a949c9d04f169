#pragma once

#include <opentelemetry/nostd/span.h>
#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/trace/recordable.h>

#include <cstddef>
#include <memory>

#include "obs/trace/tracer.h"

namespace obs::trace {

class Account;

/// What takes finished spans away. The SDK's own interface knows only that all of a batch went or none.
/// Called by one thread at a time.
class Exporter {
 public:
  using Batch = opentelemetry::nostd::span<std::unique_ptr<opentelemetry::sdk::trace::Recordable>>;

  Exporter() = default;
  virtual ~Exporter() = default;
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;

  virtual std::unique_ptr<opentelemetry::sdk::trace::Recordable> MakeRecordable() = 0;
  /// How many of them it delivered. Between attempts it waits on `account`, which ends that wait.
  virtual std::size_t Export(const Batch& batch, const Account& account) = 0;
};

/// OTLP 1.x over HTTP, protobuf; each span costs a third of the memory that the SDK's own exporter takes,
/// which besides reports success whatever the collector answers. What fails for the moment is tried again as
/// OTLP asks, all within `export_timeout`. Spans that the collector rejects are not delivered. A failure is
/// logged, at most once in 30 s, and so is a warning of the collector.
std::unique_ptr<Exporter> MakeOtlpExporter(const Config& config,
                                           const opentelemetry::sdk::resource::Resource& resource,
                                           const log::Logger& logger);

/// One log line at INFO per finished span.
std::unique_ptr<Exporter> MakeConsoleExporter(const log::Logger& logger);

}  // namespace obs::trace
