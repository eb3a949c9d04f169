#include "obs/trace/wire.h"

namespace obs::trace::wire {
namespace {

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

std::optional<std::uint64_t> TakeFixed(std::string_view& message, std::size_t size) {
  if (message.size() < size) {
    return std::nullopt;
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(message[i])} << (8 * i);
  }
  message.remove_prefix(size);
  return value;
}

}  // namespace

std::optional<Field> TakeField(std::string_view& message) {
  const auto tag = TakeVarint(message);
  if (!tag) {
    return std::nullopt;
  }
  std::optional<std::uint64_t> value;
  switch (static_cast<Type>(*tag & 7)) {
    case Type::kVarint:
    case Type::kBytes:
      value = TakeVarint(message);
      break;
    case Type::kFixed64:
      value = TakeFixed(message, 8);
      break;
    case Type::kFixed32:
      value = TakeFixed(message, 4);
      break;
  }
  if (!value) {
    return std::nullopt;
  }
  if (static_cast<Type>(*tag & 7) != Type::kBytes) {
    return Field{.number = *tag >> 3, .integer = *value};
  }
  const std::string_view bytes = message.substr(0, *value);
  message.remove_prefix(bytes.size());
  return Field{.number = *tag >> 3, .bytes = bytes};
}

}  // namespace obs::trace::wire
