#include <opentelemetry/common/key_value_iterable.h>
#include <opentelemetry/trace/span_context_kv_iterable.h>

#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "obs/async/frame_memory.h"
#include "obs/metrics/registry.h"
#include "obs/trace/context.h"
#include "obs/trace/hex.h"
#include "obs/trace/otlp_span.h"
#include "obs/trace/recorder.h"

namespace obs::trace {
namespace {

namespace otel = opentelemetry::trace;
namespace nostd = opentelemetry::nostd;
namespace sdk = opentelemetry::sdk::trace;

otel::SpanKind ToOtel(Kind kind) {
  switch (kind) {
    case Kind::kServer:
      return otel::SpanKind::kServer;
    case Kind::kClient:
      return otel::SpanKind::kClient;
    case Kind::kInternal:
      break;
  }
  return otel::SpanKind::kInternal;
}

/// None of the SDK's samplers asks for the attributes or the links.
class NoAttributes final : public opentelemetry::common::KeyValueIterable {
 public:
  bool ForEachKeyValue(nostd::function_ref<bool(nostd::string_view, opentelemetry::common::AttributeValue)>)
      const noexcept override {
    return true;
  }
  std::size_t size() const noexcept override { return 0; }
};

class NoLinks final : public otel::SpanContextKeyValueIterable {
 public:
  bool ForEachKeyValue(
      nostd::function_ref<bool(otel::SpanContext, const opentelemetry::common::KeyValueIterable&)>)
      const noexcept override {
    return true;
  }
  std::size_t size() const noexcept override { return 0; }
};

template <std::size_t kSize>
std::string_view View(nostd::span<const std::uint8_t, kSize> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), kSize};
}

template <std::size_t kSize>
void Copy(nostd::span<const std::uint8_t, kSize> from, std::array<char, kSize>& to) {
  std::memcpy(to.data(), from.data(), kSize);
}

}  // namespace

log::Correlation Correlate(const otel::SpanContext& span) {
  log::Correlation correlation;
  if (span.IsValid()) {
    const otel::TraceId trace_id = span.trace_id();
    const otel::SpanId span_id = span.span_id();
    PutHex(correlation.trace_id.data(), View(trace_id.Id()));
    PutHex(correlation.span_id.data(), View(span_id.Id()));
    correlation.trace_flags = span.trace_flags().flags();
  }
  return correlation;
}

std::string TraceResponse(const log::Correlation& correlation) {
  if (!correlation.valid()) {
    return {};
  }
  std::string value = "00-";
  value.reserve(55);
  value.append(correlation.trace_id_view()).append("-").append(correlation.span_id_view()).append("-");
  value += ToHex({reinterpret_cast<const char*>(&correlation.trace_flags), 1});
  return value;
}

Context::Context() = default;

Context::Context(std::shared_ptr<const State> state) : state_(std::move(state)) {}

bool Context::valid() const { return state_ && state_->span.IsValid(); }

bool Context::sampled() const { return state_ && state_->span.IsSampled(); }

/// A span is at once the context of those below it and what is recorded of it, so that it costs one
/// allocation.
struct Span::Impl : Context::State {
  Impl(const otel::SpanContext& identity, const otel::SpanId& parent_,
       std::shared_ptr<const std::string> baggage_)
      : State(identity, std::move(baggage_)), correlation(Correlate(span)), parent(parent_) {}

  void Finish() const {
    if (recorder->sinks.empty()) {
      return;
    }
    OtlpIdentity identity;
    Copy(span.trace_id().Id(), identity.trace_id);
    Copy(span.span_id().Id(), identity.span_id);
    Copy(parent.Id(), identity.parent_id);
    identity.flags = span.trace_flags().flags();
    if (!span.trace_state()->Empty()) {
      identity.trace_state = span.trace_state()->ToHeader();
    }
    OtlpSpan::Message message;
    recorded->AppendTo(message, identity);
    for (const auto& sink : recorder->sinks) {
      sink->Take(identity.trace_id, message.view());
    }
  }

  const log::Correlation correlation;
  const otel::SpanId parent;
  std::shared_ptr<const Recorder> recorder;  ///< of what is recorded
  std::optional<OtlpSpan> recorded;          ///< until it ends; nothing when it is not sampled
};

Span::Span() = default;

Span::Span(Span&& other) noexcept
    : context_(std::move(other.context_)), impl_(std::exchange(other.impl_, nullptr)) {}

Span& Span::operator=(Span&& other) noexcept {
  if (this != &other) {
    End();
    context_ = std::move(other.context_);
    impl_ = std::exchange(other.impl_, nullptr);
  }
  return *this;
}

Span::~Span() { End(); }

bool Span::recording() const { return impl_ != nullptr && impl_->recorded; }

void Span::Set(const Attribute& attribute) {
  if (recording()) {
    impl_->recorded->Set(attribute);
  }
}

void Span::Rename(std::string_view name) {
  if (recording()) {
    impl_->recorded->SetName(name);
  }
}

void Span::Fail(std::string_view error_type, std::string_view description) {
  if (recording()) {
    impl_->recorded->Fail(description);
    impl_->recorded->Set({"error.type", error_type});
  }
}

void Span::End() {
  if (recording()) {
    impl_->Finish();
    impl_->recorded.reset();
  }
}

const Context& Span::context() const { return context_; }

const log::Correlation& Span::correlation() const {
  static const log::Correlation kNone;
  return impl_ != nullptr ? impl_->correlation : kNone;
}

metrics::Exemplar Span::exemplar() const {
  if (impl_ == nullptr || !context_.sampled()) {
    return {};
  }
  return {impl_->correlation.trace_id_view(), impl_->correlation.span_id_view()};
}

Span Tracer::Start(std::string_view name, Kind kind, const Context& parent, Attributes attributes) const {
  Span span;
  if (!recorder_) {
    return span;
  }
  using Memory = async::FrameAllocator<Span::Impl>;
  const auto baggage = parent.state_ ? parent.state_->baggage : nullptr;
  std::shared_ptr<Span::Impl> made;
  if (recorder_->sampler) {
    static const otel::SpanContext kNoParent = otel::SpanContext::GetInvalid();
    const otel::SpanContext& above = parent.valid() ? parent.state_->span : kNoParent;
    const otel::TraceId trace_id = above.IsValid() ? above.trace_id() : recorder_->ids.GenerateTraceId();
    const sdk::SamplingResult sampling = recorder_->sampler->ShouldSample(
        above, trace_id, trace::ToOtel(name), ToOtel(kind), NoAttributes(), NoLinks());
    const bool sampled = sampling.decision == sdk::Decision::RECORD_AND_SAMPLE;
    const auto inherited =
        static_cast<std::uint8_t>(above.trace_flags().flags() & ~otel::TraceFlags::kIsSampled);
    const auto flags = static_cast<std::uint8_t>(inherited | (sampled ? otel::TraceFlags::kIsSampled : 0));
    made = std::allocate_shared<Span::Impl>(
        Memory(),
        otel::SpanContext(trace_id, recorder_->ids.GenerateSpanId(), otel::TraceFlags(flags), false,
                          sampling.trace_state ? sampling.trace_state : above.trace_state()),
        above.span_id(), baggage);
    if (sampled) {
      made->recorder = recorder_;
      made->recorded.emplace(recorder_->limits, name, kind);
      for (const Attribute& attribute : attributes) {
        made->recorded->Set(attribute);
      }
    }
  } else if (parent.state_) {  // a disabled SDK hands on what came in: the trace goes on behind this process
    made = std::allocate_shared<Span::Impl>(Memory(), parent.state_->span, otel::SpanId(), baggage);
  } else {
    return span;
  }
  span.impl_ = made.get();
  span.context_ = Context(std::move(made));
  return span;
}

}  // namespace obs::trace
