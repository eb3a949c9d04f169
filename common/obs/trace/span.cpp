#include <opentelemetry/common/key_value_iterable.h>
#include <opentelemetry/nostd/function_ref.h>
#include <opentelemetry/nostd/span.h>
#include <opentelemetry/trace/span.h>
#include <opentelemetry/trace/span_context_kv_iterable.h>
#include <opentelemetry/trace/span_startoptions.h>

#include <array>
#include <utility>

#include "obs/metrics/registry.h"
#include "obs/trace/context.h"
#include "obs/trace/hex.h"

namespace obs::trace {
namespace {

namespace otel = opentelemetry::trace;
namespace nostd = opentelemetry::nostd;

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

opentelemetry::common::AttributeValue ToOtel(const Attribute::Value& value) {
  return std::visit(
      [](const auto& v) -> opentelemetry::common::AttributeValue {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::string_view>) {
          return trace::ToOtel(v);
        } else {
          return v;
        }
      },
      value);
}

/// Lends the attributes to the SDK without a copy.
class AttributeView final : public opentelemetry::common::KeyValueIterable {
 public:
  explicit AttributeView(Attributes attributes) : attributes_(attributes) {}

  bool ForEachKeyValue(nostd::function_ref<bool(nostd::string_view, opentelemetry::common::AttributeValue)>
                           callback) const noexcept override {
    for (const Attribute& attribute : attributes_) {
      if (!callback(trace::ToOtel(attribute.key), ToOtel(attribute.value))) {
        return false;
      }
    }
    return true;
  }
  std::size_t size() const noexcept override { return attributes_.size(); }

 private:
  Attributes attributes_;
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

/// The SDK leaves the sampled flag of the parent on a span that its sampler decided against.
otel::SpanContext WithOwnDecision(const otel::SpanContext& span, bool recording) {
  if (recording || !span.IsSampled()) {
    return span;
  }
  const auto flags = static_cast<std::uint8_t>(span.trace_flags().flags() & ~otel::TraceFlags::kIsSampled);
  return {span.trace_id(), span.span_id(), otel::TraceFlags(flags), false, span.trace_state()};
}

template <std::size_t kSize>
std::string_view View(nostd::span<const std::uint8_t, kSize> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), kSize};
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

/// A span is at once the context of those below it, so that it costs one allocation. They keep it alive, but
/// not the SDK's span, which goes when this one ends.
struct Span::Impl : Context::State {
  Impl(const otel::SpanContext& identity, std::shared_ptr<const std::string> baggage_,
       nostd::shared_ptr<otel::Span> recorded)
      : State(identity, std::move(baggage_)), correlation(Correlate(span)), sdk(std::move(recorded)) {}

  const log::Correlation correlation;
  nostd::shared_ptr<otel::Span> sdk;  ///< null unless it records
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

bool Span::recording() const { return impl_ != nullptr && impl_->sdk; }

void Span::Set(const Attribute& attribute) {
  if (recording()) {
    impl_->sdk->SetAttribute(trace::ToOtel(attribute.key), ToOtel(attribute.value));
  }
}

void Span::Rename(std::string_view name) {
  if (recording()) {
    impl_->sdk->UpdateName(trace::ToOtel(name));
  }
}

void Span::Fail(std::string_view error_type, std::string_view description) {
  if (recording()) {
    impl_->sdk->SetStatus(otel::StatusCode::kError, trace::ToOtel(description));
    impl_->sdk->SetAttribute("error.type", trace::ToOtel(error_type));
  }
}

void Span::End() {
  if (recording()) {
    impl_->sdk = nullptr;  // the SDK's span ends itself
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
  if (!impl_) {
    return span;
  }
  const auto baggage = parent.state_ ? parent.state_->baggage : nullptr;
  std::shared_ptr<Span::Impl> impl;
  if (impl_->sdk) {
    otel::StartSpanOptions options;
    options.kind = ToOtel(kind);
    if (parent.valid()) {
      options.parent = parent.state_->span;
    }
    auto sdk = impl_->sdk->StartSpan(trace::ToOtel(name), AttributeView(attributes), NoLinks(), options);
    const bool recording = sdk->IsRecording();
    otel::SpanContext identity = WithOwnDecision(sdk->GetContext(), recording);
    if (!recording) {
      sdk = nullptr;
    }
    impl = std::make_shared<Span::Impl>(std::move(identity), baggage, std::move(sdk));
  } else if (parent.state_) {  // a disabled SDK hands on what came in: the trace goes on behind this process
    impl = std::make_shared<Span::Impl>(parent.state_->span, baggage, nostd::shared_ptr<otel::Span>());
  } else {
    return span;
  }
  span.impl_ = impl.get();
  span.context_ = Context(std::move(impl));
  return span;
}

}  // namespace obs::trace
