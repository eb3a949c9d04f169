#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace obs::text {

/// A host and perhaps a port, as a URL and the Host header have them. The views point into what was parsed.
struct Authority {
  std::string_view host;  ///< an IPv6 address without its brackets
  std::optional<std::uint16_t> port;
};

/// What a host's name may have (RFC 3986, section 3.2.2), or with `address` an IPv6 address in brackets.
constexpr bool IsHostCharacter(char c, bool address) {
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  if (letter || (c >= '0' && c <= '9')) return true;
  return std::string_view(address ? ":.%_-~" : "-._~%!$&'()*+,;=").find(c) != std::string_view::npos;
}

/// Of "host", "host:8080" or "[::1]:8080" (RFC 3986, section 3.2); nothing when it is malformed: without a
/// host, with a character that a host cannot have, with a port that is not 1 to 65535, or with a user's name
/// or password.
inline std::optional<Authority> ParseAuthority(std::string_view text) {
  Authority authority;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return std::nullopt;
    authority.host = text.substr(1, bracket - 1);
    rest = text.substr(bracket + 1);
  } else {
    authority.host = text.substr(0, text.find(':'));
    rest = text.substr(authority.host.size());
  }
  const bool address = text.starts_with('[');
  const bool is_host = std::all_of(authority.host.begin(), authority.host.end(),
                                   [address](char c) { return IsHostCharacter(c, address); });
  if (authority.host.empty() || !is_host) return std::nullopt;
  if (rest.empty()) return authority;
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), port);
  if (rest[0] != ':' || error != std::errc() || end != rest.data() + rest.size() || port == 0) {
    return std::nullopt;
  }
  authority.port = port;
  return authority;
}

}  // namespace obs::text
