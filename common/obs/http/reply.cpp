#include "obs/http/reply.h"

#include <fmt/format.h>

#include <array>
#include <ctime>
#include <iterator>

namespace obs::http {
namespace {

/// IMF-fixdate (RFC 9110, section 5.6.7), formatted once a second and thread.
std::string_view DateNow() {
  thread_local std::time_t formatted = 0;
  thread_local std::array<char, 32> text;
  thread_local std::size_t size = 0;
  const std::time_t now = std::time(nullptr);
  if (now != formatted) {
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    size = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &utc);
    formatted = now;
  }
  return {text.data(), size};
}

}  // namespace

std::string Serialize(const Response& response, bool head_only, bool close, std::string_view trace_response) {
  std::string out;
  out.reserve(256 + response.body.size());
  fmt::format_to(std::back_inserter(out),
                 "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n", response.status,
                 ReasonPhrase(response.status), DateNow(), response.content_type, response.body.size());
  out += close ? "Connection: close\r\n" : "Connection: keep-alive\r\n";
  if (!trace_response.empty())
    fmt::format_to(std::back_inserter(out), "traceresponse: {}\r\n", trace_response);
  for (const auto& [name, value] : response.headers) {
    fmt::format_to(std::back_inserter(out), "{}: {}\r\n", name, value);
  }
  out += "\r\n";
  if (!head_only) out += response.body;
  return out;
}

}  // namespace obs::http
