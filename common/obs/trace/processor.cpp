#include "obs/trace/processor.h"

#include <utility>

#include "obs/trace/otlp_span.h"

namespace obs::trace {
namespace {

namespace sdk = opentelemetry::sdk;
using sdk::trace::Recordable;

class Processor final : public sdk::trace::SpanProcessor {
 public:
  Processor(const SpanLimits& limits, std::vector<std::shared_ptr<SpanSink>> sinks)
      : limits_(limits), sinks_(std::move(sinks)) {}

  std::unique_ptr<Recordable> MakeRecordable() noexcept override {
    return std::make_unique<OtlpSpan>(limits_);
  }

  void OnStart(Recordable&, const opentelemetry::trace::SpanContext&) noexcept override {}

  void OnEnd(std::unique_ptr<Recordable>&& recordable) noexcept override {
    const auto& span = static_cast<const OtlpSpan&>(*recordable);
    OtlpSpan::Message message;
    span.AppendTo(message);
    for (const auto& sink : sinks_) {
      sink->Take(span.trace_id(), message.view());
    }
  }

  // The provider ends what is behind the sinks, under its own deadline.
  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override { return true; }

 private:
  const SpanLimits limits_;
  const std::vector<std::shared_ptr<SpanSink>> sinks_;
};

}  // namespace

std::unique_ptr<sdk::trace::SpanProcessor> MakeProcessor(const SpanLimits& limits,
                                                         std::vector<std::shared_ptr<SpanSink>> sinks) {
  return std::make_unique<Processor>(limits, std::move(sinks));
}

}  // namespace obs::trace
