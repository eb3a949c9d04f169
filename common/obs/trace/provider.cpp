#include <fmt/format.h>
#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/resource/resource_detector.h>

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "obs/metrics/registry.h"
#include "obs/trace/buffer.h"
#include "obs/trace/console.h"
#include "obs/trace/context.h"
#include "obs/trace/list.h"
#include "obs/trace/otlp_exporter.h"
#include "obs/trace/otlp_reader.h"
#include "obs/trace/propagation.h"
#include "obs/trace/recorder.h"
#include "obs/trace/sampler.h"
#include "obs/trace/sdk_log.h"

namespace obs::trace {
namespace {

namespace sdk = opentelemetry::sdk;

/// A random UUID (RFC 9562, version 4).
std::string MakeUuid() {
  std::random_device random;
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:04x}{:08x}", random(), random() & 0xFFFF,
                     random() & 0xFFF, 0x8000 | (random() & 0x3FFF), random() & 0xFFFF, random());
}

/// Resource::Create would read OTEL_RESOURCE_ATTRIBUTES by itself, and not decode it.
class ConfiguredResource final : public sdk::resource::ResourceDetector {
 public:
  explicit ConfiguredResource(sdk::resource::ResourceAttributes attributes)
      : attributes_(std::move(attributes)) {}
  sdk::resource::Resource Detect() override {
    return sdk::resource::Resource::GetDefault().Merge(Create(attributes_));
  }

 private:
  sdk::resource::ResourceAttributes attributes_;
};

sdk::resource::Resource MakeResource(const Config& config) {
  sdk::resource::ResourceAttributes attributes = {{"service.name", config.service_name},
                                                  {"service.version", config.service_version},
                                                  {"service.instance.id", MakeUuid()}};
  for (const auto& [name, value] : config.resource_attributes) {
    attributes.SetAttribute(name, ToOtel(value));
  }
  return ConfiguredResource(std::move(attributes)).Detect();
}

class BufferSink final : public SpanSink {
 public:
  explicit BufferSink(Buffer& buffer) : buffer_(buffer) {}
  void Take(const TraceId& trace, std::string_view message) noexcept override {
    buffer_.Add(Buffer::Kind::kSpan, trace, message);
  }

 private:
  Buffer& buffer_;
};

/// What the configured exporters count. The registry may outlive the provider, hence the shared ownership.
struct Sources {
  std::shared_ptr<SpanQueue> queue;  ///< null without OTLP
  std::shared_ptr<Console> console;  ///< null without it

  double Sum(std::uint64_t SpanCounters::*member) const {
    return static_cast<double>((queue ? queue->counters().*member : 0) +
                               (console ? console->counters().*member : 0));
  }
};

void AddMetrics(metrics::Registry& registry, const Sources& sources) {
  const auto sum = [&sources](std::uint64_t SpanCounters::*member) {
    return [sources, member] { return sources.Sum(member); };
  };
  registry.AddCallbackCounter("otel_sdk_exporter_span_exported_total", "Spans that the exporter delivered.",
                              sum(&SpanCounters::exported));
  registry.AddCallbackCounter("otel_sdk_exporter_span_failed_total",
                              "Spans lost because their export failed or was given up.",
                              sum(&SpanCounters::failed));
  registry.AddCallbackCounter("otel_sdk_processor_span_dropped_total",
                              "Spans lost because the queue was full or closed.",
                              sum(&SpanCounters::dropped));
  registry.AddCallbackGauge("otel_sdk_processor_span_queue_size",
                            "Finished spans that wait for the exporter or for the collector's answer.",
                            sum(&SpanCounters::waiting));
  registry.AddCallbackGauge(
      "otel_sdk_processor_span_queue_capacity", "Finished spans that can wait.",
      [queue = sources.queue] { return queue ? static_cast<double>(queue->capacity()) : 0; });
  registry.AddCallbackCounter(
      "otel_sdk_sampler_trace_unsampled_total",
      "Traces not begun here because too many spans waited for the collector.",
      [queue = sources.queue] { return queue ? static_cast<double>(queue->unsampled_traces()) : 0; });
}

bool Names(std::string_view list, std::string_view wanted) {
  bool found = false;
  ForEachItem(list, ',', [&](std::string_view item) { found = found || item == wanted; });
  return found;
}

}  // namespace

struct Provider::Impl {
  std::chrono::milliseconds default_deadline{0};
  std::unique_ptr<SdkLog> log;
  std::unique_ptr<OtlpExporter> otlp;  ///< null without OTLP
  Sources sources;
  Tracer tracer;
  Propagator propagator;

  std::vector<std::shared_ptr<SpanSink>> MakeSinks(const Config& config, const log::Logger& logger,
                                                   Buffer* buffer);
};

std::vector<std::shared_ptr<SpanSink>> Provider::Impl::MakeSinks(const Config& config,
                                                                 const log::Logger& logger, Buffer* buffer) {
  const sdk::resource::Resource resource = MakeResource(config);
  std::vector<std::shared_ptr<SpanSink>> sinks;
  if (Names(config.exporter, "otlp")) {
    otlp = std::make_unique<OtlpExporter>(config, resource, logger);
    sinks.push_back(sources.queue = otlp->queue());
  }
  if (Names(config.exporter, "console")) {
    sinks.push_back(sources.console = std::make_shared<Console>(logger));
  }
  if (buffer != nullptr) {
    buffer->SetResource(ResourceJson(OtlpOrigin(resource, "", "").resource));
    sinks.push_back(std::make_shared<BufferSink>(*buffer));
  }
  return sinks;
}

Provider::Provider(const Config& config, metrics::Registry& registry, const log::Logger& logger,
                   Buffer* buffer)
    : impl_(std::make_unique<Impl>()) {
  impl_->default_deadline = config.export_timeout;
  impl_->propagator.impl_ = std::make_shared<const Propagator::Impl>(config.propagators);
  auto recorder = std::make_shared<Recorder>();
  if (!config.disabled) {
    impl_->log = std::make_unique<SdkLog>(logger, config.log_level);
    recorder->limits = config.limits;
    recorder->sinks = impl_->MakeSinks(config, logger, buffer);
    recorder->sampler = MakeSampler(config, impl_->sources.queue);
  }
  impl_->tracer.recorder_ = std::move(recorder);
  AddMetrics(registry, impl_->sources);
}

Provider::~Provider() { Shutdown(impl_->default_deadline); }

Tracer Provider::tracer() const { return impl_->tracer; }

const Propagator& Provider::propagator() const { return impl_->propagator; }

bool Provider::Shutdown(std::chrono::milliseconds deadline) {
  if (impl_->sources.console) {
    impl_->sources.console->Close();
  }
  return !impl_->otlp || impl_->otlp->Shutdown(deadline);
}

}  // namespace obs::trace
