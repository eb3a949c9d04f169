#include "obs/trace/otlp_reader.h"

#include <fmt/format.h>

#include <bit>
#include <iterator>
#include <type_traits>

#include "obs/log/json.h"
#include "obs/trace/hex.h"

namespace obs::trace {
namespace {

/// An `AnyValue`.
Attribute::Value ReadValue(std::string_view message) {
  const auto field = wire::TakeField(message);
  switch (field ? field->number : 0) {
    case field::kAnyBool:
      return field->integer != 0;
    case field::kAnyInt:
      return static_cast<std::int64_t>(field->integer);
    case field::kAnyDouble:
      return std::bit_cast<double>(field->integer);
    default:
      return field ? field->bytes : std::string_view();
  }
}

/// 64-bit integers are strings, as protobuf's JSON has them.
void AppendValueJson(std::string& out, const Attribute::Value& value) {
  std::visit(
      [&out](const auto& v) {
        using Value = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<Value, std::int64_t>) {
          fmt::format_to(std::back_inserter(out), R"({{"intValue":"{}")", v);
        } else {
          out += std::is_same_v<Value, bool>     ? R"({"boolValue":)"
                 : std::is_same_v<Value, double> ? R"({"doubleValue":)"
                                                 : R"({"stringValue":)";
          log::AppendJson(out, v);
        }
        out += '}';
      },
      value);
}

void AppendAttributesJson(std::string& out, std::string_view message, int number) {
  out += R"("attributes":[)";
  const char* comma = "";
  ForEachAttribute(message, number, [&](const Attribute& attribute) {
    out.append(comma).append(R"({"key":)");
    log::AppendJson(out, attribute.key);
    out += R"(,"value":)";
    AppendValueJson(out, attribute.value);
    out += '}';
    comma = ",";
  });
  out += ']';
}

}  // namespace

SpanView::SpanView(std::string_view message_) : message(message_) {
  while (const auto field = wire::TakeField(message_)) {
    switch (field->number) {
      case field::kSpanTraceId:
        trace_id = field->bytes;
        break;
      case field::kSpanSpanId:
        span_id = field->bytes;
        break;
      case field::kSpanParentSpanId:
        parent_id = field->bytes;
        break;
      case field::kSpanName:
        name = field->bytes;
        break;
      case field::kSpanKind:
        kind = field->integer;
        break;
      case field::kSpanStart:
        start = field->integer;
        break;
      case field::kSpanEnd:
        end = field->integer;
        break;
      case field::kSpanFlags:
        flags = field->integer;
        break;
      case field::kSpanStatus:
        for (std::string_view rest = field->bytes; const auto part = wire::TakeField(rest);) {
          if (part->number == field::kStatusMessage) status_message = part->bytes;
          if (part->number == field::kStatusCode) status = part->integer;
        }
        break;
      default:
        break;
    }
  }
}

Attribute ReadAttribute(std::string_view message) {
  const auto key = wire::TakeField(message);
  const auto value = wire::TakeField(message);
  Attribute attribute(key ? key->bytes : std::string_view(), "");
  attribute.value = ReadValue(value ? value->bytes : std::string_view());
  return attribute;
}

void AppendSpanJson(std::string& out, std::string_view message) {
  const SpanView span(message);
  fmt::format_to(std::back_inserter(out), R"({{"traceId":"{}","spanId":"{}","parentSpanId":"{}","name":)",
                 ToHex(span.trace_id), ToHex(span.span_id), ToHex(span.parent_id));
  log::AppendJson(out, span.name);
  fmt::format_to(std::back_inserter(out), R"(,"kind":{},"startTimeUnixNano":"{}","endTimeUnixNano":"{}",)",
                 span.kind, span.start, span.end);
  AppendAttributesJson(out, message, field::kSpanAttributes);
  fmt::format_to(std::back_inserter(out), R"(,"status":{{"code":{},"message":)", span.status);
  log::AppendJson(out, span.status_message);
  out += "}}";
}

std::string ResourceJson(std::string_view message) {
  std::string json = "{";
  AppendAttributesJson(json, message, field::kResourceAttributes);
  return json + "}";
}

}  // namespace obs::trace
