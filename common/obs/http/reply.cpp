#include "obs/http/reply.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

#include "obs/http1/text.h"

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

constexpr std::array<std::string_view, 6> kOwnHeaders = {
    "content-type", "content-length", "connection", "transfer-encoding", "date", "traceresponse"};

bool IsValue(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

bool IsSendable(std::string_view name, std::string_view value) {
  const auto is_name = [name](std::string_view own) { return http1::EqualsIgnoringCase(own, name); };
  return http1::IsToken(name) && std::none_of(kOwnHeaders.begin(), kOwnHeaders.end(), is_name) &&
         IsValue(value);
}

void AppendNumber(std::string& out, std::size_t number) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

}  // namespace

bool HasContent(int status) { return status >= 200 && status != 204 && status != 304; }

void AppendHead(std::string& out, const Response& response, bool close, std::string_view trace_response) {
  out += "HTTP/1.1 ";
  AppendNumber(out, static_cast<std::size_t>(response.status));
  out.append(" ").append(ReasonPhrase(response.status)).append("\r\nDate: ").append(DateNow());
  if (HasContent(response.status)) {
    const std::string_view type = response.content_type;
    if (!type.empty() && IsValue(type)) out.append("\r\nContent-Type: ").append(type);
    out += "\r\nContent-Length: ";
    AppendNumber(out, response.body.size());
  }
  out += close ? "\r\nConnection: close\r\n" : "\r\nConnection: keep-alive\r\n";
  if (!trace_response.empty()) out.append("traceresponse: ").append(trace_response).append("\r\n");
  for (const auto& [name, value] : response.headers) {
    if (IsSendable(name, value)) out.append(name).append(": ").append(value).append("\r\n");
  }
  out += "\r\n";
}

}  // namespace obs::http
