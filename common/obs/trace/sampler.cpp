#include "obs/trace/sampler.h"

#include <opentelemetry/sdk/trace/samplers/always_off_factory.h>
#include <opentelemetry/sdk/trace/samplers/always_on_factory.h>
#include <opentelemetry/sdk/trace/samplers/parent_factory.h>
#include <opentelemetry/sdk/trace/samplers/trace_id_ratio_factory.h>
#include <opentelemetry/trace/span_context.h>

#include <string_view>
#include <utility>

namespace obs::trace {
namespace {

namespace sdk = opentelemetry::sdk;
namespace otel = opentelemetry::trace;
using sdk::trace::Decision;
using sdk::trace::Sampler;
using sdk::trace::SamplingResult;

std::unique_ptr<Sampler> MakeRootSampler(std::string_view name, double ratio) {
  if (name == "always_off") {
    return sdk::trace::AlwaysOffSamplerFactory::Create();
  }
  if (name == "traceidratio") {
    return sdk::trace::TraceIdRatioBasedSamplerFactory::Create(ratio);
  }
  return sdk::trace::AlwaysOnSamplerFactory::Create();
}

std::unique_ptr<Sampler> MakeConfiguredSampler(const Config& config) {
  constexpr std::string_view kParentBased = "parentbased_";
  const std::string_view name = config.sampler;
  if (!name.starts_with(kParentBased)) {
    return MakeRootSampler(name, config.sampler_ratio);
  }
  return sdk::trace::ParentBasedSamplerFactory::Create(
      MakeRootSampler(name.substr(kParentBased.size()), config.sampler_ratio));
}

class PressureSampler final : public Sampler {
 public:
  PressureSampler(std::unique_ptr<Sampler> configured, std::shared_ptr<SpanQueue> queue)
      : configured_(std::move(configured)), queue_(std::move(queue)) {}

  SamplingResult ShouldSample(const otel::SpanContext& parent, otel::TraceId trace_id,
                              opentelemetry::nostd::string_view name, otel::SpanKind kind,
                              const opentelemetry::common::KeyValueIterable& attributes,
                              const otel::SpanContextKeyValueIterable& links) noexcept override {
    if (parent.IsValid() && !parent.IsRemote() && !parent.IsSampled()) {
      // A root that was left out takes what is below it along, even where the configured sampler does not ask
      // the parent. Where it was not left out, that sampler decides the same of both.
      return {Decision::DROP, nullptr, parent.trace_state()};
    }
    SamplingResult result = configured_->ShouldSample(parent, trace_id, name, kind, attributes, links);
    if (!parent.IsValid() && queue_->filling() && result.IsSampled()) {
      queue_->CountUnsampledTrace();
      result.decision = Decision::DROP;
    }
    return result;
  }

  opentelemetry::nostd::string_view GetDescription() const noexcept override {
    return configured_->GetDescription();
  }

 private:
  const std::unique_ptr<Sampler> configured_;
  const std::shared_ptr<SpanQueue> queue_;
};

}  // namespace

std::unique_ptr<Sampler> MakeSampler(const Config& config, std::shared_ptr<SpanQueue> queue) {
  auto configured = MakeConfiguredSampler(config);
  if (!queue) {
    return configured;
  }
  return std::make_unique<PressureSampler>(std::move(configured), std::move(queue));
}

}  // namespace obs::trace
