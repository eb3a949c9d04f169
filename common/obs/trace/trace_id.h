#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace obs::trace {

/// The 16 bytes of a trace's id.
using TraceId = std::array<char, 16>;

/// Of 32 hex digits; nothing for any other text.
inline std::optional<TraceId> ParseTraceId(std::string_view hex) {
  TraceId id{};
  if (hex.size() != 2 * id.size()) {
    return std::nullopt;
  }
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  int invalid = 0;
  for (std::size_t i = 0; i < id.size(); ++i) {
    const int high = digit(hex[2 * i]);
    const int low = digit(hex[2 * i + 1]);
    invalid |= high | low;  // negative when either is
    id[i] = static_cast<char>(high * 16 + low);
  }
  return invalid < 0 ? std::nullopt : std::optional(id);
}

/// Its bytes from `at` as a number, the first byte the highest, so that all processes read the same.
inline std::uint64_t EightBytes(const TraceId& id, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    value = value << 8 | static_cast<unsigned char>(id[at + i]);
  }
  return value;
}

}  // namespace obs::trace
