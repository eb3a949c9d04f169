#include "obs/trace/otlp_span.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "obs/text/utf8.h"
#include "obs/trace/context.h"
#include "obs/trace/otlp_fields.h"
#include "obs/trace/wire.h"

namespace obs::trace {
namespace {

namespace nostd = opentelemetry::nostd;

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

/// Takes the alternatives of an Attribute, and those of the SDK's OwnedAttributeValue but for the lists.
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
  } else if constexpr (std::is_convertible_v<const Value&, std::string_view>) {
    const std::string_view text = value;
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

/// `Span.SpanKind` of trace.proto.
std::uint64_t ToOtlp(Kind kind) {
  switch (kind) {
    case Kind::kServer:
      return 2;
    case Kind::kClient:
      return 3;
    case Kind::kInternal:
      break;
  }
  return 1;
}

/// `Status.StatusCode` of trace.proto.
constexpr std::uint64_t kStatusError = 2;

std::uint64_t Nanoseconds(std::chrono::system_clock::time_point time) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(time.time_since_epoch()).count());
}

template <std::size_t kSize>
std::string_view View(const std::array<char, kSize>& bytes) {
  return {bytes.data(), kSize};
}

}  // namespace

// NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): hashes_ is written before it is read
OtlpSpan::OtlpSpan(const SpanLimits& limits, std::string_view name, Kind kind)
    : limits_(limits), kind_(kind), name_(Fit(name)) {}

void OtlpSpan::Set(const Attribute& attribute) {
  const std::uint16_t hash = Hash(attribute.key);
  const bool erased = MayHave(hash) && Erase(attributes_, attribute.key);
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
  std::visit(
      [&](const auto& alternative) {
        AppendAttribute(attributes_, field::kSpanAttributes, attribute.key, alternative,
                        limits_.attribute_length);
      },
      attribute.value);
}

/// Whether there may be an attribute whose key has this hash. Nearly always a key is new, and then it need
/// not be searched for.
bool OtlpSpan::MayHave(std::uint16_t hash) const {
  const std::size_t known = std::min<std::size_t>(attribute_count_, hashes_.size());
  return attribute_count_ > known ||
         std::find(hashes_.begin(), hashes_.begin() + known, hash) != hashes_.begin() + known;
}

void OtlpSpan::SetName(std::string_view name) { name_ = Fit(name); }

void OtlpSpan::Fail(std::string_view description) {
  failed_ = true;
  status_message_ = Fit(description);
}

void OtlpSpan::AppendTo(Message& message, const OtlpIdentity& identity) const {
  const std::uint64_t start = Nanoseconds(start_);
  // By the steady clock, because the other may be set while the span is under way.
  const std::uint64_t end =
      start + static_cast<std::uint64_t>((std::chrono::steady_clock::now() - steady_start_).count());
  const bool has_parent = identity.parent_id != decltype(identity.parent_id){};
  const std::string_view attributes = attributes_.view();
  const auto size_unless_empty = [](int number, std::string_view bytes) {
    return bytes.empty() ? 0 : wire::BytesSize(number, bytes.size());
  };
  const std::size_t status_size = size_unless_empty(field::kStatusMessage, status_message_) +
                                  wire::IntegerSize(field::kStatusCode, kStatusError);
  char* to = message.Extend(
      wire::BytesSize(field::kSpanTraceId, identity.trace_id.size()) +
      wire::BytesSize(field::kSpanSpanId, identity.span_id.size()) +
      size_unless_empty(field::kSpanTraceState, identity.trace_state) +
      (has_parent ? wire::BytesSize(field::kSpanParentSpanId, identity.parent_id.size()) : 0) +
      wire::BytesSize(field::kSpanName, name_.size()) + wire::IntegerSize(field::kSpanKind, ToOtlp(kind_)) +
      wire::FixedSize(field::kSpanStart, start) + wire::FixedSize(field::kSpanEnd, end) + attributes.size() +
      (dropped_attributes_ > 0 ? wire::IntegerSize(field::kSpanDroppedAttributes, dropped_attributes_) : 0) +
      (failed_ ? wire::BytesSize(field::kSpanStatus, status_size) : 0) +
      wire::FixedSize(field::kSpanFlags, std::uint32_t{identity.flags}));
  to = wire::PutBytes(to, field::kSpanTraceId, View(identity.trace_id));
  to = wire::PutBytes(to, field::kSpanSpanId, View(identity.span_id));
  if (!identity.trace_state.empty()) {
    to = wire::PutBytes(to, field::kSpanTraceState, identity.trace_state);
  }
  if (has_parent) {
    to = wire::PutBytes(to, field::kSpanParentSpanId, View(identity.parent_id));
  }
  to = wire::PutBytes(to, field::kSpanName, name_);
  to = wire::PutInteger(to, field::kSpanKind, ToOtlp(kind_));
  to = wire::PutFixed(to, field::kSpanStart, start);
  to = wire::PutFixed(to, field::kSpanEnd, end);
  to = wire::PutRaw(to, attributes);
  if (dropped_attributes_ > 0) {
    to = wire::PutInteger(to, field::kSpanDroppedAttributes, dropped_attributes_);
  }
  if (failed_) {
    to = wire::PutHead(to, field::kSpanStatus, status_size);
    if (!status_message_.empty()) {
      to = wire::PutBytes(to, field::kStatusMessage, status_message_);
    }
    to = wire::PutInteger(to, field::kStatusCode, kStatusError);
  }
  wire::PutFixed(to, field::kSpanFlags, std::uint32_t{identity.flags});
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
