#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "obs/http1/text.h"

namespace obs::trace {

/// `name=value`, both trimmed; nothing without a `=`.
inline std::optional<std::pair<std::string_view, std::string_view>> SplitPair(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    return std::nullopt;
  }
  return std::pair(http1::Trim(text.substr(0, equals)), http1::Trim(text.substr(equals + 1)));
}

/// Nothing when a `%` is not followed by two hex digits.
inline std::optional<std::string> PercentDecoded(std::string_view text) {
  std::string decoded;
  while (!text.empty()) {
    const std::size_t size = text.front() == '%' ? 3 : 1;
    if (size == 1) {
      decoded += text.front();
    } else {
      unsigned char byte = 0;
      const std::string_view digits = text.substr(1, 2);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
      if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2) {
        return std::nullopt;
      }
      decoded += static_cast<char>(byte);
    }
    text.remove_prefix(size);
  }
  return decoded;
}

}  // namespace obs::trace
