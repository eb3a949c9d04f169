#pragma once

#include <cstddef>
#include <string_view>

namespace obs::text {

/// Length in bytes of the well-formed UTF-8 sequence that `text` begins with; 0 when there is none (The
/// Unicode Standard, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF).
constexpr std::size_t Utf8SequenceLength(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto between = [](unsigned char value, unsigned char low, unsigned char high) {
    return value >= low && value <= high;
  };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (!between(lead, 0xC2, 0xF4)) return 0;
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (text.size() < length) return 0;
  const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (!between(byte(1), low, high)) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (!between(byte(i), 0x80, 0xBF)) return 0;
  }
  return length;
}

constexpr bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = Utf8SequenceLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace obs::text
