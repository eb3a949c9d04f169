#pragma once

#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/trace/recordable.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "obs/trace/bytes.h"
#include "obs/trace/trace_id.h"
#include "obs/trace/tracer.h"

namespace obs::trace {

/// What the SDK records a span into. Attributes are kept as the bytes that OTLP sends
/// (opentelemetry-proto 1.x, trace.proto, protobuf wire format), so that ending a span is little more than a
/// copy.
///
/// Text becomes valid UTF-8 of at most 4096 bytes, and that of an attribute keeps to `limits` besides: a
/// collector refuses the whole request for one bad byte.
class OtlpSpan final : public opentelemetry::sdk::trace::Recordable {
 public:
  using Message = Bytes<1024>;

  explicit OtlpSpan(const SpanLimits& limits)  // NOLINT(cppcoreguidelines-pro-type-member-init): hashes_
      : limits_(limits) {}

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

  const TraceId& trace_id() const { return trace_id_; }
  /// Appends this span as a `Span` message.
  void AppendTo(Message& message) const;

 private:
  bool MayHave(std::uint16_t hash) const;

  SpanLimits limits_;
  std::size_t attribute_count_ = 0;
  std::size_t dropped_attributes_ = 0;
  std::array<std::uint16_t, 32> hashes_;  ///< of the keys of the first attributes
  TraceId trace_id_{};
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
  Bytes<384> attributes_;  ///< `attributes` fields of a Span message
};

/// What precedes the spans of an ExportTraceServiceRequest.
struct OtlpOrigin {
  OtlpOrigin(const opentelemetry::sdk::resource::Resource& resource_, std::string_view scope_name,
             std::string_view scope_version);

  std::string resource;  ///< a `Resource` message
  std::string scope;     ///< an `InstrumentationScope` message
};

}  // namespace obs::trace
