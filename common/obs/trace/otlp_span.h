#pragma once

#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/trace/recordable.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "obs/trace/tracer.h"

namespace obs::trace {

/// What the SDK records a span into. Attributes are kept as the bytes that OTLP sends
/// (opentelemetry-proto 1.x, trace.proto, protobuf wire format), so that a waiting span is small and
/// exporting it is a copy.
///
/// Text becomes valid UTF-8 of at most 4096 bytes, and that of an attribute keeps to `limits` besides: a
/// collector refuses the whole request for one bad byte.
class OtlpSpan final : public opentelemetry::sdk::trace::Recordable {
 public:
  explicit OtlpSpan(const SpanLimits& limits) : limits_(limits) {}

  void SetIdentity(const opentelemetry::trace::SpanContext& span,
                   opentelemetry::trace::SpanId parent) noexcept override;
  /// The latest value of a key holds, and a key beyond the limit is dropped. Lists are left out:
  /// obs::trace::Attribute has none.
  void SetAttribute(opentelemetry::nostd::string_view key,
                    const opentelemetry::common::AttributeValue& value) noexcept override;
  void SetStatus(opentelemetry::trace::StatusCode code,
                 opentelemetry::nostd::string_view description) noexcept override;
  void SetName(opentelemetry::nostd::string_view name) noexcept override;
  void SetTraceFlags(opentelemetry::trace::TraceFlags flags) noexcept override { flags_ = flags.flags(); }
  void SetSpanKind(opentelemetry::trace::SpanKind kind) noexcept override { kind_ = kind; }
  void SetStartTime(opentelemetry::common::SystemTimestamp time) noexcept override {
    start_ = time.time_since_epoch();
  }
  void SetDuration(std::chrono::nanoseconds duration) noexcept override { duration_ = duration; }

  // obs::trace::Span has neither events nor links, and the resource and scope are the same for all spans.
  void AddEvent(opentelemetry::nostd::string_view, opentelemetry::common::SystemTimestamp,
                const opentelemetry::common::KeyValueIterable&) noexcept override {}
  void AddLink(const opentelemetry::trace::SpanContext&,
               const opentelemetry::common::KeyValueIterable&) noexcept override {}
  void SetResource(const opentelemetry::sdk::resource::Resource&) noexcept override {}
  void SetInstrumentationScope(
      const opentelemetry::sdk::instrumentationscope::InstrumentationScope&) noexcept override {}

  /// Appends this span as a `Span` message.
  void AppendTo(std::string& message) const;

 private:
  SpanLimits limits_;
  std::size_t attribute_count_ = 0;
  std::size_t dropped_attributes_ = 0;
  std::array<char, 16> trace_id_{};
  std::array<char, 8> span_id_{};
  std::array<char, 8> parent_id_{};
  bool has_parent_ = false;
  std::uint8_t flags_ = 0;
  opentelemetry::trace::SpanKind kind_ = opentelemetry::trace::SpanKind::kInternal;
  opentelemetry::trace::StatusCode status_ = opentelemetry::trace::StatusCode::kUnset;
  std::chrono::nanoseconds start_{0};
  std::chrono::nanoseconds duration_{0};
  std::string name_;
  std::string status_message_;
  std::string trace_state_;
  std::string attributes_;  ///< `attributes` fields of a Span message
};

/// The bytes of an ExportTraceServiceRequest before its spans: the `Resource` and the `InstrumentationScope`.
struct OtlpOrigin {
  OtlpOrigin(const opentelemetry::sdk::resource::Resource& resource_, std::string_view scope_name,
             std::string_view scope_version);

  std::string resource;
  std::string scope;
};

/// Appends one span to the bytes that EncodeRequest takes.
void AppendSpan(std::string& spans, const OtlpSpan& span);

/// An ExportTraceServiceRequest.
std::string EncodeRequest(const OtlpOrigin& origin, std::string_view spans);

}  // namespace obs::trace
