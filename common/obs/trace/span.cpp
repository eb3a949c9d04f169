#include <opentelemetry/common/key_value_iterable.h>
#include <opentelemetry/nostd/function_ref.h>
#include <opentelemetry/nostd/span.h>
#include <opentelemetry/trace/span.h>
#include <opentelemetry/trace/span_context_kv_iterable.h>
#include <opentelemetry/trace/span_startoptions.h>

#include <array>

#include "obs/metrics/registry.h"
#include "obs/trace/context.h"

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

void AppendHex(std::string& text, std::uint8_t byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  text += kDigits[byte >> 4];
  text += kDigits[byte & 0xF];
}

}  // namespace

log::Correlation Correlate(const otel::SpanContext& span) {
  log::Correlation correlation;
  if (span.IsValid()) {
    span.trace_id().ToLowerBase16(nostd::span<char, 32>{correlation.trace_id.data(), 32});
    span.span_id().ToLowerBase16(nostd::span<char, 16>{correlation.span_id.data(), 16});
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
  AppendHex(value, correlation.trace_flags);
  return value;
}

Context::Context() = default;

bool Context::valid() const { return state_ && state_->span.IsValid(); }

bool Context::sampled() const { return state_ && state_->span.IsSampled(); }

struct Span::Impl {
  nostd::shared_ptr<otel::Span> sdk;  ///< null when the SDK is disabled
  Context context;
  log::Correlation correlation;
  bool recording = false;
};

Span::Span() = default;
Span::Span(Span&&) noexcept = default;
Span& Span::operator=(Span&&) noexcept = default;
Span::~Span() = default;  // the SDK's span ends itself

bool Span::recording() const { return impl_ && impl_->recording; }

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
    impl_->sdk->End();
    impl_->recording = false;
  }
}

const Context& Span::context() const {
  static const Context kNone;
  return impl_ ? impl_->context : kNone;
}

const log::Correlation& Span::correlation() const {
  static const log::Correlation kNone;
  return impl_ ? impl_->correlation : kNone;
}

metrics::Exemplar Span::exemplar() const {
  if (!context().sampled()) {
    return {};
  }
  return {impl_->correlation.trace_id_view(), impl_->correlation.span_id_view()};
}

Span Tracer::Start(std::string_view name, Kind kind, const Context& parent, Attributes attributes) const {
  Span span;
  if (!impl_) {
    return span;
  }
  span.impl_ = std::make_unique<Span::Impl>();
  if (!impl_->sdk) {  // a disabled SDK hands on what came in, so that the trace goes on behind this process
    span.impl_->context = parent;
  } else {
    otel::StartSpanOptions options;
    options.kind = ToOtel(kind);
    if (parent.valid()) {
      options.parent = parent.state_->span;
    }
    span.impl_->sdk =
        impl_->sdk->StartSpan(trace::ToOtel(name), AttributeView(attributes), NoLinks(), options);
    span.impl_->recording = span.impl_->sdk->IsRecording();
    span.impl_->context.state_ = std::make_shared<const Context::State>(
        Context::State{WithOwnDecision(span.impl_->sdk->GetContext(), span.impl_->recording),
                       parent.state_ ? parent.state_->baggage : nullptr});
  }
  if (span.impl_->context.valid()) {
    span.impl_->correlation = Correlate(span.impl_->context.state_->span);
  }
  return span;
}

}  // namespace obs::trace
