#include "obs/trace/buffer_processor.h"

#include <fmt/format.h>
#include <opentelemetry/sdk/trace/span_data.h>

#include <iterator>
#include <string>
#include <type_traits>

#include "obs/log/json.h"
#include "obs/trace/context.h"

namespace obs::trace {
namespace {

namespace sdk = opentelemetry::sdk;
using sdk::trace::Recordable;
using sdk::trace::SpanData;

/// An `AnyValue`. 64-bit integers are strings, as protobuf's JSON has them.
void AppendValue(std::string& out, const sdk::common::OwnedAttributeValue& value) {
  opentelemetry::nostd::visit(
      [&out](const auto& v) {
        using Value = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<Value, std::string>) {
          out += R"({"stringValue":)";
          log::AppendJson(out, std::string_view(v));
        } else if constexpr (std::is_same_v<Value, bool>) {
          out += R"({"boolValue":)";
          log::AppendJson(out, v);
        } else if constexpr (std::is_integral_v<Value>) {
          const bool fits = std::in_range<std::int64_t>(v);  // OTLP has no other integers
          fmt::format_to(std::back_inserter(out), R"({{"{}":"{}")", fits ? "intValue" : "stringValue", v);
        } else if constexpr (std::is_same_v<Value, double>) {
          out += R"({"doubleValue":)";
          log::AppendJson(out, v);
        } else {
          out += '{';  // obs::trace::Attribute has no lists
        }
        out += '}';
      },
      value);
}

template <typename Map>
void AppendAttributes(std::string& out, const Map& attributes) {
  out += R"("attributes":[)";
  const char* comma = "";
  for (const auto& [key, value] : attributes) {
    out += comma;
    out += R"({"key":)";
    log::AppendJson(out, std::string_view(key));
    out += R"(,"value":)";
    AppendValue(out, value);
    out += '}';
    comma = ",";
  }
  out += ']';
}

int OtlpNumber(opentelemetry::trace::SpanKind kind) {
  switch (kind) {
    case opentelemetry::trace::SpanKind::kServer:
      return 2;
    case opentelemetry::trace::SpanKind::kClient:
      return 3;
    default:
      return 1;
  }
}

void AppendSpan(std::string& out, const SpanData& span, const log::Correlation& identity) {
  char parent[16] = {};
  const bool has_parent = span.GetParentSpanId().IsValid();
  if (has_parent) {
    span.GetParentSpanId().ToLowerBase16(opentelemetry::nostd::span<char, 16>{parent, 16});
  }
  const auto start = span.GetStartTime().time_since_epoch();
  fmt::format_to(std::back_inserter(out), R"({{"traceId":"{}","spanId":"{}","parentSpanId":"{}","name":)",
                 identity.trace_id_view(), identity.span_id_view(),
                 std::string_view(parent, has_parent ? sizeof(parent) : 0));
  log::AppendJson(out, FromOtel(span.GetName()));
  fmt::format_to(std::back_inserter(out), R"(,"kind":{},"startTimeUnixNano":"{}","endTimeUnixNano":"{}",)",
                 OtlpNumber(span.GetSpanKind()), start.count(), (start + span.GetDuration()).count());
  AppendAttributes(out, span.GetAttributes());
  fmt::format_to(std::back_inserter(out), R"(,"status":{{"code":{},"message":)",
                 static_cast<int>(span.GetStatus()));
  log::AppendJson(out, FromOtel(span.GetDescription()));
  out += "}}";
}

class BufferProcessor final : public sdk::trace::SpanProcessor {
 public:
  explicit BufferProcessor(Buffer& buffer) : buffer_(buffer) {}

  std::unique_ptr<Recordable> MakeRecordable() noexcept override { return std::make_unique<SpanData>(); }
  void OnStart(Recordable&, const opentelemetry::trace::SpanContext&) noexcept override {}

  void OnEnd(std::unique_ptr<Recordable>&& recordable) noexcept override {
    const auto& span = static_cast<const SpanData&>(*recordable);
    const log::Correlation identity = Correlate(span.GetSpanContext());
    thread_local std::string json;
    json.clear();
    AppendSpan(json, span, identity);
    buffer_.Add(Buffer::Kind::kSpan, identity.trace_id_view(), json);
  }

  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override { return true; }

 private:
  Buffer& buffer_;
};

}  // namespace

std::unique_ptr<sdk::trace::SpanProcessor> MakeBufferProcessor(Buffer& buffer,
                                                               const sdk::resource::Resource& resource) {
  std::string json = "{";
  AppendAttributes(json, resource.GetAttributes());
  buffer.SetResource(json + "}");
  return std::make_unique<BufferProcessor>(buffer);
}

}  // namespace obs::trace
