#include "obs/trace/otlp_span.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

#include "obs/text/utf8.h"
#include "obs/trace/context.h"

namespace obs::trace {
namespace {

namespace nostd = opentelemetry::nostd;
namespace otel = opentelemetry::trace;

constexpr std::size_t kMaxTextBytes = 4096;

// Field numbers of opentelemetry-proto 1.x.
namespace field {
constexpr int kRequestResourceSpans = 1;
constexpr int kResourceSpansResource = 1;
constexpr int kResourceSpansScopeSpans = 2;
constexpr int kScopeSpansScope = 1;
constexpr int kScopeSpansSpans = 2;
constexpr int kResourceAttributes = 1;
constexpr int kScopeName = 1;
constexpr int kScopeVersion = 2;
constexpr int kKeyValueKey = 1;
constexpr int kKeyValueValue = 2;
constexpr int kAnyString = 1;
constexpr int kAnyBool = 2;
constexpr int kAnyInt = 3;
constexpr int kAnyDouble = 4;
constexpr int kSpanTraceId = 1;
constexpr int kSpanSpanId = 2;
constexpr int kSpanTraceState = 3;
constexpr int kSpanParentSpanId = 4;
constexpr int kSpanName = 5;
constexpr int kSpanKind = 6;
constexpr int kSpanStart = 7;
constexpr int kSpanEnd = 8;
constexpr int kSpanAttributes = 9;
constexpr int kSpanDroppedAttributes = 10;
constexpr int kSpanStatus = 15;
constexpr int kSpanFlags = 16;
constexpr int kStatusMessage = 2;
constexpr int kStatusCode = 3;
}  // namespace field

enum class WireType { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

constexpr std::size_t VarintSize(std::uint64_t value) {
  return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}

/// Of a `bytes` field whose number is below 16.
constexpr std::size_t BytesSize(std::size_t size) { return 1 + VarintSize(size) + size; }

void AppendVarint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) {
    out += static_cast<char>(value | 0x80);
  }
  out += static_cast<char>(value);
}

void AppendTag(std::string& out, int number, WireType type) {
  AppendVarint(out, static_cast<std::uint64_t>(number) << 3 | static_cast<std::uint64_t>(type));
}

void AppendInteger(std::string& out, int number, std::uint64_t value) {
  AppendTag(out, number, WireType::kVarint);
  AppendVarint(out, value);
}

template <typename Unsigned>
void AppendFixed(std::string& out, int number, Unsigned value) {
  AppendTag(out, number, sizeof(value) == 8 ? WireType::kFixed64 : WireType::kFixed32);
  for (std::size_t i = 0; i < sizeof(value); ++i) {
    out += static_cast<char>(value >> (8 * i));
  }
}

/// The head of a field of `size` bytes, which must follow.
void AppendHead(std::string& out, int number, std::size_t size) {
  AppendTag(out, number, WireType::kBytes);
  AppendVarint(out, size);
}

void AppendBytes(std::string& out, int number, std::string_view bytes) {
  AppendHead(out, number, bytes.size());
  out += bytes;
}

void AppendBytesUnlessEmpty(std::string& out, int number, std::string_view bytes) {
  if (!bytes.empty()) {
    AppendBytes(out, number, bytes);
  }
}

/// Cut at kMaxTextBytes or `max_characters`, and what is not UTF-8 replaced by U+FFFD.
std::string Repair(std::string_view text, std::size_t max_characters = kMaxTextBytes) {
  std::string repaired;
  for (; !text.empty() && max_characters > 0; --max_characters) {
    const std::size_t length = text::Utf8SequenceLength(text);
    const std::string_view character = length == 0 ? "\xEF\xBF\xBD" : text.substr(0, length);
    if (repaired.size() + character.size() > kMaxTextBytes) {
      break;
    }
    repaired += character;
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return repaired;
}

/// A character has a byte at least, so that few bytes are few characters.
bool IsFit(std::string_view text, std::size_t max_characters) {
  return text.size() <= std::min(kMaxTextBytes, max_characters) && text::IsUtf8(text);
}

/// A KeyValue field whose AnyValue is `head` and then `tail`.
void AppendKeyValue(std::string& out, int number, std::string_view key, std::string_view head,
                    std::string_view tail) {
  const std::size_t value_size = head.size() + tail.size();
  AppendHead(out, number, BytesSize(key.size()) + BytesSize(value_size));
  AppendBytes(out, field::kKeyValueKey, key);
  AppendHead(out, field::kKeyValueValue, value_size);
  out.append(head).append(tail);
}

void AppendText(std::string& out, int number, std::string_view key, std::string_view text) {
  std::string head;
  AppendHead(head, field::kAnyString, text.size());
  AppendKeyValue(out, number, key, head, text);
}

/// Takes the alternatives of both variants of the SDK, AttributeValue and OwnedAttributeValue.
template <typename Value>
void AppendAttribute(std::string& out, int number, std::string_view key, const Value& value,
                     std::size_t max_characters = kMaxTextBytes) {
  std::string any;
  if constexpr (std::is_same_v<Value, bool>) {
    AppendInteger(any, field::kAnyBool, value);
    AppendKeyValue(out, number, key, any, {});
  } else if constexpr (std::is_integral_v<Value>) {
    if (!std::in_range<std::int64_t>(value)) {  // OTLP has no other integers
      AppendText(out, number, key, std::to_string(value));
      return;
    }
    AppendInteger(any, field::kAnyInt, static_cast<std::uint64_t>(static_cast<std::int64_t>(value)));
    AppendKeyValue(out, number, key, any, {});
  } else if constexpr (std::is_same_v<Value, double>) {
    AppendFixed(any, field::kAnyDouble, std::bit_cast<std::uint64_t>(value));
    AppendKeyValue(out, number, key, any, {});
  } else if constexpr (std::is_constructible_v<nostd::string_view, const Value&>) {
    const std::string_view text = FromOtel(nostd::string_view(value));
    if (IsFit(text, max_characters)) {
      AppendText(out, number, key, text);
    } else {
      AppendText(out, number, key, Repair(text, max_characters));
    }
  }
}

std::size_t ReadVarint(std::string_view bytes, std::size_t& at) {
  std::size_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes[at++]);
    value |= static_cast<std::size_t>(byte & 0x7F) << shift;
    if (byte < 0x80) {
      return value;
    }
  }
}

/// Takes the KeyValue with this key out of bytes that AppendKeyValue wrote. False when there is none.
bool Erase(std::string& attributes, std::string_view key) {
  for (std::size_t begin = 0; begin < attributes.size();) {
    std::size_t at = begin + 1;
    const std::size_t size = ReadVarint(attributes, at);
    const std::size_t end = at + size;
    ++at;  // the key's tag
    const std::size_t key_size = ReadVarint(attributes, at);
    if (std::string_view(attributes).substr(at, key_size) == key) {
      attributes.erase(begin, end - begin);
      return true;
    }
    begin = end;
  }
  return false;
}

std::uint64_t ToOtlp(otel::SpanKind kind) {
  switch (kind) {
    case otel::SpanKind::kServer:
      return 2;
    case otel::SpanKind::kClient:
      return 3;
    case otel::SpanKind::kProducer:
      return 4;
    case otel::SpanKind::kConsumer:
      return 5;
    case otel::SpanKind::kInternal:
      break;
  }
  return 1;
}

template <std::size_t kSize>
std::string_view View(const std::array<char, kSize>& bytes) {
  return {bytes.data(), kSize};
}

}  // namespace

void OtlpSpan::SetIdentity(const otel::SpanContext& span, otel::SpanId parent) noexcept {
  const auto trace_id = span.trace_id().Id();
  const auto span_id = span.span_id().Id();
  const auto parent_id = parent.Id();
  std::copy(trace_id.begin(), trace_id.end(), trace_id_.begin());
  std::copy(span_id.begin(), span_id.end(), span_id_.begin());
  std::copy(parent_id.begin(), parent_id.end(), parent_id_.begin());
  has_parent_ = parent.IsValid();
  if (!span.trace_state()->Empty()) {
    trace_state_ = span.trace_state()->ToHeader();
  }
}

void OtlpSpan::SetAttribute(nostd::string_view key,
                            const opentelemetry::common::AttributeValue& value) noexcept {
  if (attributes_.empty()) {
    constexpr std::size_t kUsualBytes = 240;
    attributes_.reserve(kUsualBytes);
  } else if (Erase(attributes_, FromOtel(key))) {
    --attribute_count_;
  }
  if (attribute_count_ >= limits_.attributes) {
    ++dropped_attributes_;
    return;
  }
  ++attribute_count_;
  nostd::visit(
      [&](const auto& alternative) {
        AppendAttribute(attributes_, field::kSpanAttributes, FromOtel(key), alternative,
                        limits_.attribute_length);
      },
      value);
}

void OtlpSpan::SetStatus(otel::StatusCode code, nostd::string_view description) noexcept {
  status_ = code;
  status_message_ = Repair(FromOtel(description));
}

void OtlpSpan::SetName(nostd::string_view name) noexcept { name_ = Repair(FromOtel(name)); }

void OtlpSpan::AppendTo(std::string& message) const {
  AppendBytes(message, field::kSpanTraceId, View(trace_id_));
  AppendBytes(message, field::kSpanSpanId, View(span_id_));
  AppendBytesUnlessEmpty(message, field::kSpanTraceState, trace_state_);
  if (has_parent_) {
    AppendBytes(message, field::kSpanParentSpanId, View(parent_id_));
  }
  AppendBytes(message, field::kSpanName, name_);
  AppendInteger(message, field::kSpanKind, ToOtlp(kind_));
  AppendFixed(message, field::kSpanStart, static_cast<std::uint64_t>(start_.count()));
  AppendFixed(message, field::kSpanEnd, static_cast<std::uint64_t>((start_ + duration_).count()));
  message += attributes_;
  if (dropped_attributes_ > 0) {
    AppendInteger(message, field::kSpanDroppedAttributes, dropped_attributes_);
  }
  if (status_ != otel::StatusCode::kUnset) {
    std::string status;
    AppendBytesUnlessEmpty(status, field::kStatusMessage, status_message_);
    AppendInteger(status, field::kStatusCode, static_cast<std::uint64_t>(status_));
    AppendBytes(message, field::kSpanStatus, status);
  }
  AppendFixed(message, field::kSpanFlags, std::uint32_t{flags_});
}

OtlpOrigin::OtlpOrigin(const opentelemetry::sdk::resource::Resource& resource_, std::string_view scope_name,
                       std::string_view scope_version) {
  for (const auto& attribute : resource_.GetAttributes()) {
    nostd::visit(
        [&](const auto& alternative) {
          AppendAttribute(resource, field::kResourceAttributes, attribute.first, alternative);
        },
        attribute.second);
  }
  AppendBytes(scope, field::kScopeName, scope_name);
  AppendBytes(scope, field::kScopeVersion, scope_version);
}

void AppendSpan(std::string& spans, const OtlpSpan& span) {
  std::string message;
  span.AppendTo(message);
  AppendBytes(spans, field::kScopeSpansSpans, message);
}

std::string EncodeRequest(const OtlpOrigin& origin, std::string_view spans) {
  const std::size_t scope_spans = BytesSize(origin.scope.size()) + spans.size();
  const std::size_t resource_spans = BytesSize(origin.resource.size()) + BytesSize(scope_spans);
  std::string request;
  request.reserve(BytesSize(resource_spans));
  AppendHead(request, field::kRequestResourceSpans, resource_spans);
  AppendBytes(request, field::kResourceSpansResource, origin.resource);
  AppendHead(request, field::kResourceSpansScopeSpans, scope_spans);
  AppendBytes(request, field::kScopeSpansScope, origin.scope);
  request += spans;
  return request;
}

}  // namespace obs::trace
