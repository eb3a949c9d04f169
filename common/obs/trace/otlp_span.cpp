#include "obs/trace/otlp_span.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include "obs/text/utf8.h"
#include "obs/trace/context.h"
#include "obs/trace/otlp_fields.h"
#include "obs/trace/wire.h"

namespace obs::trace {
namespace {

namespace nostd = opentelemetry::nostd;
namespace otel = opentelemetry::trace;

constexpr std::size_t kMaxTextBytes = 4096;

/// Cut at kMaxTextBytes or `max_characters`, and what is not UTF-8 replaced by U+FFFD.
std::string Repair(std::string_view text, std::size_t max_characters) {
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

/// Without what is ASCII at its beginning, eight bytes at a time. Nearly all text is ASCII.
std::string_view SkipAscii(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  for (std::uint64_t eight = 0; text.size() >= sizeof(eight); text.remove_prefix(sizeof(eight))) {
    std::memcpy(&eight, text.data(), sizeof(eight));
    if ((eight & kHighBits) != 0) {
      break;
    }
  }
  return text;
}

/// A character has a byte at least, so that few bytes are few characters.
bool IsFit(std::string_view text, std::size_t max_characters) {
  return text.size() <= std::min(kMaxTextBytes, max_characters) && text::IsUtf8(SkipAscii(text));
}

std::string Fit(std::string_view text) {
  return IsFit(text, kMaxTextBytes) ? std::string(text) : Repair(text, kMaxTextBytes);
}

/// A KeyValue field whose AnyValue takes `any_size` bytes. `put` writes these.
template <std::size_t kInline, typename Put>
void AppendKeyValue(Bytes<kInline>& out, int number, std::string_view key, std::size_t any_size, Put put) {
  const std::size_t size =
      wire::BytesSize(field::kKeyValueKey, key.size()) + wire::BytesSize(field::kKeyValueValue, any_size);
  char* to = out.Extend(wire::BytesSize(number, size));
  to = wire::PutHead(to, number, size);
  to = wire::PutBytes(to, field::kKeyValueKey, key);
  put(wire::PutHead(to, field::kKeyValueValue, any_size));
}

template <std::size_t kInline>
void AppendText(Bytes<kInline>& out, int number, std::string_view key, std::string_view text) {
  AppendKeyValue(out, number, key, wire::BytesSize(field::kAnyString, text.size()),
                 [&](char* to) { wire::PutBytes(to, field::kAnyString, text); });
}

/// Takes the alternatives of both variants of the SDK, AttributeValue and OwnedAttributeValue.
template <std::size_t kInline, typename Value>
void AppendAttribute(Bytes<kInline>& out, int number, std::string_view key, const Value& value,
                     std::size_t max_characters = kMaxTextBytes) {
  if constexpr (std::is_same_v<Value, double>) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    AppendKeyValue(out, number, key, wire::FixedSize(field::kAnyDouble, bits),
                   [&](char* to) { wire::PutFixed(to, field::kAnyDouble, bits); });
  } else if constexpr (std::is_integral_v<Value>) {
    if constexpr (!std::is_same_v<Value, bool>) {
      if (!std::in_range<std::int64_t>(value)) {  // OTLP has no other integers
        AppendText(out, number, key, std::to_string(value));
        return;
      }
    }
    constexpr int kField = std::is_same_v<Value, bool> ? field::kAnyBool : field::kAnyInt;
    const auto integer = static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
    AppendKeyValue(out, number, key, wire::IntegerSize(kField, integer),
                   [&](char* to) { wire::PutInteger(to, kField, integer); });
  } else if constexpr (std::is_constructible_v<nostd::string_view, const Value&>) {
    const std::string_view text = FromOtel(nostd::string_view(value));
    if (IsFit(text, max_characters)) {
      AppendText(out, number, key, text);
    } else {
      AppendText(out, number, key, Repair(text, max_characters));
    }
  }
}

/// Tells most keys apart at once.
std::uint16_t Hash(std::string_view key) {
  std::uint64_t end = 0;
  const std::size_t size = std::min(key.size(), sizeof(end));
  key.copy(reinterpret_cast<char*>(&end), size, key.size() - size);
  return static_cast<std::uint16_t>((end + key.size()) * 0x9E3779B97F4A7C15 >> 48);
}

/// Takes the KeyValue with this key out of bytes that AppendKeyValue wrote. False when there is none.
template <std::size_t kInline>
bool Erase(Bytes<kInline>& attributes, std::string_view key) {
  std::string_view rest = attributes.view();
  while (const auto attribute = wire::TakeField(rest)) {
    std::string_view pair = attribute->bytes;
    if (wire::TakeField(pair)->bytes == key) {
      const std::size_t end = attributes.view().size() - rest.size();
      attributes.Erase(end - wire::BytesSize(field::kSpanAttributes, attribute->bytes.size()), end);
      return true;
    }
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
  const std::uint16_t hash = Hash(FromOtel(key));
  const bool erased = MayHave(hash) && Erase(attributes_, FromOtel(key));
  if (!erased && attribute_count_ >= limits_.attributes) {
    ++dropped_attributes_;
    return;
  }
  if (!erased) {
    if (attribute_count_ < hashes_.size()) {
      hashes_[attribute_count_] = hash;
    }
    ++attribute_count_;
  }
  nostd::visit(
      [&](const auto& alternative) {
        AppendAttribute(attributes_, field::kSpanAttributes, FromOtel(key), alternative,
                        limits_.attribute_length);
      },
      value);
}

/// Whether there may be an attribute whose key has this hash. Nearly always a key is new, and then it need
/// not be searched for.
bool OtlpSpan::MayHave(std::uint16_t hash) const {
  const std::size_t known = std::min(attribute_count_, hashes_.size());
  return attribute_count_ > known ||
         std::find(hashes_.begin(), hashes_.begin() + known, hash) != hashes_.begin() + known;
}

void OtlpSpan::SetStatus(otel::StatusCode code, nostd::string_view description) noexcept {
  status_ = code;
  status_message_ = Fit(FromOtel(description));
}

void OtlpSpan::SetName(nostd::string_view name) noexcept { name_ = Fit(FromOtel(name)); }

void OtlpSpan::AppendTo(Message& message) const {
  const auto start = static_cast<std::uint64_t>(start_.count());
  const auto end = static_cast<std::uint64_t>((start_ + duration_).count());
  const auto status = static_cast<std::uint64_t>(status_);
  const bool has_status = status_ != otel::StatusCode::kUnset;
  const std::string_view attributes = attributes_.view();
  const auto size_unless_empty = [](int number, std::string_view bytes) {
    return bytes.empty() ? 0 : wire::BytesSize(number, bytes.size());
  };
  const std::size_t status_size = size_unless_empty(field::kStatusMessage, status_message_) +
                                  wire::IntegerSize(field::kStatusCode, status);
  char* to = message.Extend(
      wire::BytesSize(field::kSpanTraceId, trace_id_.size()) +
      wire::BytesSize(field::kSpanSpanId, span_id_.size()) +
      size_unless_empty(field::kSpanTraceState, trace_state_) +
      (has_parent_ ? wire::BytesSize(field::kSpanParentSpanId, parent_id_.size()) : 0) +
      wire::BytesSize(field::kSpanName, name_.size()) + wire::IntegerSize(field::kSpanKind, ToOtlp(kind_)) +
      wire::FixedSize(field::kSpanStart, start) + wire::FixedSize(field::kSpanEnd, end) + attributes.size() +
      (dropped_attributes_ > 0 ? wire::IntegerSize(field::kSpanDroppedAttributes, dropped_attributes_) : 0) +
      (has_status ? wire::BytesSize(field::kSpanStatus, status_size) : 0) +
      wire::FixedSize(field::kSpanFlags, std::uint32_t{flags_}));
  to = wire::PutBytes(to, field::kSpanTraceId, View(trace_id_));
  to = wire::PutBytes(to, field::kSpanSpanId, View(span_id_));
  if (!trace_state_.empty()) {
    to = wire::PutBytes(to, field::kSpanTraceState, trace_state_);
  }
  if (has_parent_) {
    to = wire::PutBytes(to, field::kSpanParentSpanId, View(parent_id_));
  }
  to = wire::PutBytes(to, field::kSpanName, name_);
  to = wire::PutInteger(to, field::kSpanKind, ToOtlp(kind_));
  to = wire::PutFixed(to, field::kSpanStart, start);
  to = wire::PutFixed(to, field::kSpanEnd, end);
  to = wire::PutRaw(to, attributes);
  if (dropped_attributes_ > 0) {
    to = wire::PutInteger(to, field::kSpanDroppedAttributes, dropped_attributes_);
  }
  if (has_status) {
    to = wire::PutHead(to, field::kSpanStatus, status_size);
    if (!status_message_.empty()) {
      to = wire::PutBytes(to, field::kStatusMessage, status_message_);
    }
    to = wire::PutInteger(to, field::kStatusCode, status);
  }
  wire::PutFixed(to, field::kSpanFlags, std::uint32_t{flags_});
}

OtlpOrigin::OtlpOrigin(const opentelemetry::sdk::resource::Resource& resource_, std::string_view scope_name,
                       std::string_view scope_version) {
  Bytes<1024> attributes;
  for (const auto& attribute : resource_.GetAttributes()) {
    nostd::visit(
        [&](const auto& alternative) {
          AppendAttribute(attributes, field::kResourceAttributes, attribute.first, alternative);
        },
        attribute.second);
  }
  resource = attributes.view();
  scope.resize(wire::BytesSize(field::kScopeName, scope_name.size()) +
               wire::BytesSize(field::kScopeVersion, scope_version.size()));
  wire::PutBytes(wire::PutBytes(scope.data(), field::kScopeName, scope_name), field::kScopeVersion,
                 scope_version);
}

}  // namespace obs::trace
