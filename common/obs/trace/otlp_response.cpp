#include "obs/trace/otlp_response.h"

#include <limits>
#include <optional>

namespace obs::trace {
namespace {

/// One field of a protobuf message. Fixed numbers are passed over: no field that we read is one.
struct Field {
  std::uint64_t number = 0;
  std::uint64_t varint = 0;
  std::string_view bytes{};
};

std::optional<std::uint64_t> TakeVarint(std::string_view& message) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64 && !message.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(message.front());
    message.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) {
      return value;
    }
  }
  return std::nullopt;
}

std::string_view TakeBytes(std::string_view& message, std::uint64_t size) {
  const std::string_view taken = message.substr(0, size);
  message.remove_prefix(taken.size());
  return taken;
}

/// The next field; nothing at the end, and where no field begins.
std::optional<Field> TakeField(std::string_view& message) {
  const auto tag = TakeVarint(message);
  if (!tag) {
    return std::nullopt;
  }
  Field field{.number = *tag >> 3};
  const std::uint64_t type = *tag & 7;
  if (type == 1 || type == 5) {
    TakeBytes(message, type == 1 ? 8 : 4);
    return field;
  }
  const auto value = type == 0 || type == 2 ? TakeVarint(message) : std::nullopt;
  if (!value) {
    return std::nullopt;
  }
  if (type == 0) {
    field.varint = *value;
  } else {
    field.bytes = TakeBytes(message, *value);
  }
  return field;
}

void ReadPartialSuccess(std::string_view message, PartialSuccess& result) {
  while (const auto field = TakeField(message)) {
    if (field->number == 1) {  // an int64
      const bool negative = field->varint > std::numeric_limits<std::int64_t>::max();
      result.rejected_spans = negative ? 0 : field->varint;
    } else if (field->number == 2) {
      result.message = field->bytes;
    }
  }
}

}  // namespace

PartialSuccess DecodeResponse(std::string_view response) {
  PartialSuccess result;
  while (const auto field = TakeField(response)) {
    if (field->number == 1) {
      ReadPartialSuccess(field->bytes, result);
    }
  }
  return result;
}

}  // namespace obs::trace
