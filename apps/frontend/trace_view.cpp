#include "trace_view.h"

#include <rapidjson/document.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace frontend {
namespace {

using rapidjson::Value;
using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

constexpr int kMaxDepth = 64;

/// Whether values are nested in one another more than `depth` times.
bool IsDeeper(const Value& value, int depth) {
  if (depth == 0) return true;
  if (value.IsArray()) {
    return std::any_of(value.Begin(), value.End(),
                       [depth](const Value& element) { return IsDeeper(element, depth - 1); });
  }
  return value.IsObject() && std::any_of(value.MemberBegin(), value.MemberEnd(), [depth](const auto& member) {
           return IsDeeper(member.value, depth - 1);
         });
}

bool ParseObject(std::string_view json, rapidjson::Document& document) {
  document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
  return !document.HasParseError() && document.IsObject() && !IsDeeper(document, kMaxDepth);
}

std::string_view Text(const Value& value) {
  return value.IsString() ? std::string_view(value.GetString(), value.GetStringLength()) : std::string_view();
}

const Value& Member(const Value& object, const char* name) {
  static const Value kNothing;
  if (!object.IsObject()) return kNothing;
  const auto found = object.FindMember(name);
  return found == object.MemberEnd() ? kNothing : found->value;
}

/// The array of that name, or of the one it had before; nothing when neither is there.
const Value& Array(const Value& object, const char* name, const char* older_name) {
  static const Value kEmpty(rapidjson::kArrayType);
  const Value& newer = Member(object, name);
  const Value& value = newer.IsArray() ? newer : Member(object, older_name);
  return value.IsArray() ? value : kEmpty;
}

/// A 64-bit number, which protobuf's JSON writes as a string.
std::uint64_t Number(const Value& value) {
  if (value.IsUint64()) return value.GetUint64();
  const std::string_view text = Text(value);
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

bool IsHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

/// A span id in hex. Eight bytes are sixteen hex digits, or twelve characters of base64.
std::string SpanId(const Value& value) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  constexpr std::string_view kHex = "0123456789abcdef";
  const std::string_view text = Text(value);
  if (text.size() == 16 && IsHex(text)) return std::string(text);
  std::string id;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text.substr(0, text.find('='))) {
    const std::size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return {};
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    for (; count >= 4 && id.size() < 16; count -= 4) id += kHex[bits >> (count - 4) & 0xF];
  }
  return id;
}

std::string_view Kind(const Value& value) {
  const std::string_view name = Text(value);
  const int number = value.IsInt() ? value.GetInt() : 0;
  if (number == 2 || name == "SPAN_KIND_SERVER") return "server";
  if (number == 3 || name == "SPAN_KIND_CLIENT") return "client";
  if (number == 4 || name == "SPAN_KIND_PRODUCER") return "producer";
  if (number == 5 || name == "SPAN_KIND_CONSUMER") return "consumer";
  return "internal";
}

bool IsError(const Value& code) {
  return (code.IsInt() && code.GetInt() == 2) || Text(code) == "STATUS_CODE_ERROR";
}

std::string_view ServiceOf(const Value& resource) {
  for (const Value& attribute : Array(resource, "attributes", "").GetArray()) {
    if (Text(Member(attribute, "key")) == "service.name") {
      return Text(Member(Member(attribute, "value"), "stringValue"));
    }
  }
  return "unknown";
}

void WriteText(Writer& json, const char* key, std::string_view text) {
  json.Key(key);
  json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

/// An `AnyValue`, which is an object with one member; nothing more is known of lists than how they look.
void WriteAny(Writer& json, const Value& any) {
  if (!any.IsObject() || any.MemberCount() == 0) {
    json.Null();
  } else if (any.MemberBegin()->name == "intValue") {
    const Value& number = any.MemberBegin()->value;
    const std::string text = number.IsInt64() ? std::to_string(number.GetInt64()) : std::string(Text(number));
    json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
  } else {
    any.MemberBegin()->value.Accept(json);
  }
}

void WriteSpan(Writer& json, std::string_view service, std::string_view id, const Value& span) {
  const std::uint64_t start = Number(Member(span, "startTimeUnixNano"));
  const std::uint64_t end = Number(Member(span, "endTimeUnixNano"));
  const Value& status = Member(span, "status");
  json.StartObject();
  WriteText(json, "service", service);
  WriteText(json, "id", id);
  WriteText(json, "parent", SpanId(Member(span, "parentSpanId")));
  WriteText(json, "name", Text(Member(span, "name")));
  WriteText(json, "kind", Kind(Member(span, "kind")));
  json.Key("start_us");
  json.Double(static_cast<double>(start) / 1000);
  json.Key("duration_us");
  json.Double(static_cast<double>(end > start ? end - start : 0) / 1000);
  json.Key("error");
  json.Bool(IsError(Member(status, "code")));
  WriteText(json, "message", Text(Member(status, "message")));
  json.Key("attributes");
  json.StartObject();
  for (const Value& attribute : Array(span, "attributes", "").GetArray()) {
    const std::string_view key = Text(Member(attribute, "key"));
    json.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
    WriteAny(json, Member(attribute, "value"));
  }
  json.EndObject();
  json.EndObject();
}

}  // namespace

TraceView::TraceView(std::string_view trace_id) : trace_id_(trace_id) {}

bool TraceView::Add(std::string_view json) {
  rapidjson::Document document;
  if (!ParseObject(json, document)) return false;
  for (const Value& resource_spans : Array(document, "resourceSpans", "batches").GetArray()) {
    const std::string_view service = ServiceOf(Member(resource_spans, "resource"));
    for (const Value& scope_spans :
         Array(resource_spans, "scopeSpans", "instrumentationLibrarySpans").GetArray()) {
      for (const Value& span : Array(scope_spans, "spans", "").GetArray()) {
        const auto [id, fresh] = span_ids_.insert(SpanId(Member(span, "spanId")));
        if (fresh) WriteSpan(spans_.writer, service, *id, span);
      }
    }
  }
  for (const Value& line : Array(document, "logs", "").GetArray()) AddLine(line);
  return true;
}

bool TraceView::AddStoredLines(std::string_view json) {
  rapidjson::Document document;
  if (!ParseObject(json, document)) return false;
  const Value& data = Member(document, "data");
  if (Text(Member(data, "resultType")) != "streams") return false;
  for (const Value& stream : Array(data, "result", "").GetArray()) {
    for (const Value& entry : Array(stream, "values", "").GetArray()) {
      rapidjson::Document line;
      // The time in nanoseconds, and the line. A store finds also what only mentions the id.
      if (entry.IsArray() && entry.Size() >= 2 && ParseObject(Text(entry[1]), line) &&
          Text(Member(line, "trace_id")) == trace_id_) {
        AddLine(line);
      }
    }
  }
  return true;
}

void TraceView::AddLine(const Value& line) {
  rapidjson::StringBuffer text;
  Writer writer(text);
  line.Accept(writer);
  if (lines_.emplace(text.GetString(), text.GetSize()).second) {
    logs_.writer.RawValue(text.GetString(), text.GetSize(), rapidjson::kObjectType);
  }
}

void TraceView::AddUnreachable(std::string_view source) {
  unreachable_.writer.String(source.data(), static_cast<rapidjson::SizeType>(source.size()));
}

std::string TraceView::Finish() {
  std::string json = R"({"trace_id":")" + trace_id_ + '"';
  const auto add = [&json](const char* name, List& list) {
    list.writer.EndArray();
    json.append(",\"").append(name).append("\":").append(list.buffer.GetString(), list.buffer.GetSize());
  };
  add("spans", spans_);
  add("logs", logs_);
  add("unreachable", unreachable_);
  return json + '}';
}

}  // namespace frontend
