#include <fmt/format.h>
#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/resource/resource_detector.h>
#include <opentelemetry/sdk/trace/samplers/always_off_factory.h>
#include <opentelemetry/sdk/trace/samplers/always_on_factory.h>
#include <opentelemetry/sdk/trace/samplers/parent_factory.h>
#include <opentelemetry/sdk/trace/samplers/trace_id_ratio_factory.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/sdk/trace/tracer_provider_factory.h>

#include <future>
#include <mutex>
#include <random>
#include <thread>

#include "obs/metrics/registry.h"
#include "obs/trace/buffer_processor.h"
#include "obs/trace/context.h"
#include "obs/trace/exporter.h"
#include "obs/trace/list.h"
#include "obs/trace/pipeline.h"
#include "obs/trace/propagation.h"
#include "obs/trace/sdk_log.h"

namespace obs::trace {
namespace {

namespace sdk = opentelemetry::sdk;

using Accounts = std::vector<std::shared_ptr<Account>>;
using Processors = std::vector<std::unique_ptr<sdk::trace::SpanProcessor>>;

std::unique_ptr<sdk::trace::Sampler> MakeRootSampler(std::string_view name, double ratio) {
  if (name == "always_off") {
    return sdk::trace::AlwaysOffSamplerFactory::Create();
  }
  if (name == "traceidratio") {
    return sdk::trace::TraceIdRatioBasedSamplerFactory::Create(ratio);
  }
  return sdk::trace::AlwaysOnSamplerFactory::Create();
}

std::unique_ptr<sdk::trace::Sampler> MakeSampler(const Config& config) {
  constexpr std::string_view kParentBased = "parentbased_";
  const std::string_view name = config.sampler;
  if (!name.starts_with(kParentBased)) {
    return MakeRootSampler(name, config.sampler_ratio);
  }
  return sdk::trace::ParentBasedSamplerFactory::Create(
      MakeRootSampler(name.substr(kParentBased.size()), config.sampler_ratio));
}

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

/// One pipeline for each exporter named.
Processors MakeProcessors(const Config& config, const sdk::resource::Resource& resource,
                          const log::Logger& logger, Accounts& accounts) {
  Processors processors;
  const auto add = [&](std::unique_ptr<Exporter> exporter) {
    accounts.push_back(std::make_shared<Account>(config.queue_size));
    processors.push_back(MakePipeline(std::move(exporter), config, accounts.back()));
  };
  ForEachItem(config.exporter, ',', [&](std::string_view name) {
    if (name == "otlp") {
      add(MakeOtlpExporter(config, resource, logger));
    } else if (name == "console") {
      add(MakeConsoleExporter(logger));
    }
  });
  return processors;
}

/// The registry may outlive the provider, hence the copies of the accounts.
void AddMetrics(metrics::Registry& registry, const Accounts& accounts) {
  const auto sum = [&accounts](auto member) {
    return [accounts, member] {
      double total = 0;
      for (const auto& account : accounts) {
        total += static_cast<double>(((*account).*member)());
      }
      return total;
    };
  };
  registry.AddCallbackCounter("otel_sdk_exporter_span_exported_total", "Spans that the exporter delivered.",
                              sum(&Account::exported));
  registry.AddCallbackCounter("otel_sdk_exporter_span_failed_total",
                              "Spans lost because their export failed or was given up.",
                              sum(&Account::failed));
  registry.AddCallbackCounter("otel_sdk_processor_span_dropped_total",
                              "Spans lost because the queue was full or closed.", sum(&Account::dropped));
  registry.AddCallbackGauge("otel_sdk_processor_span_queue_size",
                            "Finished spans that wait for the exporter.", sum(&Account::waiting));
  registry.AddCallbackGauge("otel_sdk_processor_span_queue_capacity", "Finished spans that can wait.",
                            sum(&Account::capacity));
}

}  // namespace

struct Provider::Impl {
  std::chrono::milliseconds default_deadline{0};
  std::unique_ptr<SdkLog> log;
  Accounts accounts;
  std::shared_ptr<sdk::trace::TracerProvider> sdk;  ///< null when the SDK is disabled
  Tracer tracer;
  Propagator propagator;
  std::once_flag stopping;
  std::shared_future<void> stopped;

  void BeginStop();
};

/// The SDK's Shutdown knows no deadline, so it runs on a thread of its own, and that thread shares the SDK:
/// when a collector never answers, nobody has to wait for it, and nothing is destroyed under it.
void Provider::Impl::BeginStop() {
  std::promise<void> done;
  stopped = done.get_future().share();
  std::thread([provider = sdk, done = std::move(done)]() mutable {
    provider->Shutdown();
    done.set_value();
  }).detach();
}

Provider::Provider(const Config& config, metrics::Registry& registry, const log::Logger& logger,
                   Buffer* buffer)
    : impl_(std::make_unique<Impl>()) {
  impl_->default_deadline = config.export_timeout;
  impl_->propagator.impl_ = std::make_shared<const Propagator::Impl>(config.propagators);
  auto tracer = std::make_shared<Tracer::Impl>();
  if (!config.disabled) {
    impl_->log = std::make_unique<SdkLog>(logger, config.log_level);
    const sdk::resource::Resource resource = MakeResource(config);
    Processors processors = MakeProcessors(config, resource, logger, impl_->accounts);
    if (buffer != nullptr) processors.push_back(MakeBufferProcessor(*buffer, resource));
    impl_->sdk =
        sdk::trace::TracerProviderFactory::Create(std::move(processors), resource, MakeSampler(config));
    tracer->sdk = impl_->sdk->GetTracer("obs", config.service_version);
  }
  impl_->tracer.impl_ = std::move(tracer);
  AddMetrics(registry, impl_->accounts);
}

Provider::~Provider() { Shutdown(impl_->default_deadline); }

Tracer Provider::tracer() const { return impl_->tracer; }

const Propagator& Provider::propagator() const { return impl_->propagator; }

bool Provider::Shutdown(std::chrono::milliseconds deadline) {
  if (!impl_->sdk) {
    return true;
  }
  std::call_once(impl_->stopping, [this] { impl_->BeginStop(); });
  if (impl_->stopped.wait_for(deadline) == std::future_status::ready) {
    return true;
  }
  for (const auto& account : impl_->accounts) {
    account->Abandon();
  }
  return false;
}

}  // namespace obs::trace
