#pragma once

#include <array>
#include <cstring>
#include <string>
#include <string_view>

namespace obs::trace {

/// The two lower-case digits of each byte, one after the other.
inline constexpr std::array<char, 512> kHexPairs = [] {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<char, 512> pairs{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    pairs[2 * byte] = kDigits[byte >> 4];
    pairs[2 * byte + 1] = kDigits[byte & 0xF];
  }
  return pairs;
}();

/// Writes two digits for each byte.
inline char* PutHex(char* to, std::string_view bytes) {
  for (const char byte : bytes) {
    std::memcpy(to, &kHexPairs[2 * static_cast<std::size_t>(static_cast<unsigned char>(byte))], 2);
    to += 2;
  }
  return to;
}

inline std::string ToHex(std::string_view bytes) {
  std::string hex(2 * bytes.size(), '\0');
  PutHex(hex.data(), bytes);
  return hex;
}

}  // namespace obs::trace
