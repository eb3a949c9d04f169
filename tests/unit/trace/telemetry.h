#pragma once

#include <gmock/gmock.h>

#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "obs/log/writer.h"
#include "obs/metrics/registry.h"
#include "obs/trace/tracer.h"
#include "support/eventually.h"
#include "support/exposition.h"
#include "support/json.h"
#include "support/memory_file.h"

namespace obs::trace {

/// Header names as written, in the order of the names.
using Carrier = std::map<std::string, std::string, std::less<>>;

/// A provider with a log and metrics that a test can read. Exports nothing unless told otherwise.
class Telemetry {
 public:
  explicit Telemetry(const Config& config = {.exporter = "none"}, Buffer* buffer = nullptr)
      : provider_(std::make_unique<Provider>(config, registry_, logger_, buffer)) {}

  Provider& provider() { return *provider_; }
  void DestroyProvider() { provider_.reset(); }

  Span Start(std::string_view name, const Context& parent = {}, Attributes attributes = {}) {
    return provider_->tracer().Start(name, Kind::kInternal, parent, attributes);
  }
  /// Starts and ends `count` spans.
  void Record(int count) {
    for (int i = 0; i < count; ++i) Start("roll");
  }

  /// Starts and ends a span below one of another process.
  void RecordBelow(const std::string& trace_id, Attributes attributes = {}) {
    Start("roll", Extract({{"traceparent", "00-" + trace_id + "-b7ad6b7169203331-01"}}), attributes);
  }

  Context Extract(const Carrier& carrier) {
    return provider_->propagator().Extract([&carrier](std::string_view name) {
      const auto found = carrier.find(name);
      return found == carrier.end() ? std::string_view() : std::string_view(found->second);
    });
  }
  Carrier Inject(const Context& context) {
    Carrier carrier;
    provider_->propagator().Inject(
        context, [&carrier](std::string_view name, std::string_view value) { carrier.emplace(name, value); });
    return carrier;
  }

  double Metric(const std::string& name) {
    return support::Value(support::ParseExposition(registry_.Render(metrics::Format::kText)), name);
  }
  double Exported() { return Metric("otel_sdk_exporter_span_exported_total"); }
  double Failed() { return Metric("otel_sdk_exporter_span_failed_total"); }
  double Dropped() { return Metric("otel_sdk_processor_span_dropped_total"); }
  double Waiting() { return Metric("otel_sdk_processor_span_queue_size"); }

  double Unsampled() { return Metric("otel_sdk_sampler_trace_unsampled_total"); }

  /// The log lines with this message.
  std::vector<support::Json> Lines(const std::string& message) {
    EXPECT_TRUE(writer_.Flush(support::kPatience));
    std::istringstream stream(file_.Text());
    std::vector<support::Json> lines;
    for (std::string line; std::getline(stream, line);) {
      const auto json = support::Json::Parse(line);
      if (json["message"].Text() == message) lines.push_back(json);
    }
    return lines;
  }

 private:
  support::MemoryFile file_;
  log::Writer writer_{file_.fd()};
  log::Logger logger_{writer_, "die-service", log::Level::kDebug};
  metrics::Registry registry_;
  std::unique_ptr<Provider> provider_;
};

inline std::string TraceId(const Span& span) { return std::string(span.correlation().trace_id_view()); }
inline std::string SpanId(const Span& span) { return std::string(span.correlation().span_id_view()); }

}  // namespace obs::trace
