#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "obs/trace/otlp_fields.h"
#include "obs/trace/tracer.h"
#include "obs/trace/wire.h"

namespace obs::trace {

/// A `Span` message that OtlpSpan wrote, taken apart. Its texts are borrowed from the message.
struct SpanView {
  explicit SpanView(std::string_view message_);

  std::string_view message;
  std::string_view trace_id{};   ///< bytes
  std::string_view span_id{};    ///< bytes
  std::string_view parent_id{};  ///< bytes; empty for a root
  std::string_view name{};
  std::string_view status_message{};
  std::uint64_t kind = 0;    ///< 1 internal, 2 server, 3 client
  std::uint64_t start = 0;   ///< nanoseconds since 1970
  std::uint64_t end = 0;     ///< the same
  std::uint64_t status = 0;  ///< 0 unset, 1 ok, 2 error
  std::uint64_t flags = 0;   ///< W3C trace flags
};

/// A `KeyValue` message.
Attribute ReadAttribute(std::string_view message);

/// Calls `each` with every attribute of a message whose attributes are its fields `number`.
template <typename Each>
void ForEachAttribute(std::string_view message, int number, Each each) {
  while (const auto field = wire::TakeField(message)) {
    if (field->number == static_cast<std::uint64_t>(number)) {
      each(ReadAttribute(field->bytes));
    }
  }
}

/// Appends a `Span` message in OTLP's JSON.
void AppendSpanJson(std::string& out, std::string_view message);
/// A `Resource` message in OTLP's JSON.
std::string ResourceJson(std::string_view message);

}  // namespace obs::trace
