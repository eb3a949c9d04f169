#pragma once

#include <opentelemetry/sdk/resource/resource.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "obs/trace/bytes.h"
#include "obs/trace/trace_id.h"
#include "obs/trace/tracer.h"

namespace obs::trace {

/// The identity of a span, and its parent's.
struct OtlpIdentity {
  TraceId trace_id{};
  std::array<char, 8> span_id{};
  std::array<char, 8> parent_id{};  ///< zeros without a parent
  std::uint8_t flags = 0;
  std::string trace_state;
};

/// A span under way. Attributes are kept as the bytes that OTLP sends (opentelemetry-proto 1.x, trace.proto,
/// protobuf wire format), so that ending a span is little more than a copy.
///
/// Text becomes valid UTF-8 of at most 4096 bytes, and that of an attribute keeps to `limits` besides: a
/// collector refuses the whole request for one bad byte.
class OtlpSpan {
 public:
  using Message = Bytes<1024>;

  /// It starts now. `limits` must outlive it.
  OtlpSpan(const SpanLimits& limits, std::string_view name, Kind kind);

  /// The latest value of a key holds, and a key beyond the limit is dropped.
  void Set(const Attribute& attribute);
  void SetName(std::string_view name);
  /// Its status is then Error.
  void Fail(std::string_view description);

  /// Appends this span, which ends now, as a `Span` message.
  void AppendTo(Message& message, const OtlpIdentity& identity) const;

 private:
  bool MayHave(std::uint16_t hash) const;

  const SpanLimits& limits_;
  const Kind kind_;
  bool failed_ = false;
  std::uint32_t attribute_count_ = 0;
  std::uint32_t dropped_attributes_ = 0;
  const std::chrono::system_clock::time_point start_ = std::chrono::system_clock::now();
  const std::chrono::steady_clock::time_point steady_start_ = std::chrono::steady_clock::now();
  std::string name_;
  std::string status_message_;
  std::array<std::uint16_t, 32> hashes_;  ///< of the keys of the first attributes
  Bytes<320> attributes_;                 ///< `attributes` fields of a Span message
};

/// What precedes the spans of an ExportTraceServiceRequest.
struct OtlpOrigin {
  OtlpOrigin(const opentelemetry::sdk::resource::Resource& resource_, std::string_view scope_name,
             std::string_view scope_version);

  std::string resource;  ///< a `Resource` message
  std::string scope;     ///< an `InstrumentationScope` message
};

}  // namespace obs::trace
