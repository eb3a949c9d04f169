#include "obs/http/framing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "obs/http/text.h"

namespace obs::http {
namespace {

constexpr std::size_t kMaxHeaders = 100;

Error Malformed(std::string detail) {
  return Error(ErrorCode::kInvalidArgument, "malformed-request", std::move(detail));
}

bool IsTokenCharacter(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsTokenCharacter);
}

bool IsVisible(char c) { return c > 0x20 && c < 0x7f; }

bool IsValueCharacter(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

bool HasBareLineFeed(std::string_view text) {
  for (std::size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    if (at == 0 || text[at - 1] != '\r') return true;
  }
  return false;
}

Method ParseMethod(std::string_view text) {
  static constexpr std::array kMethods = {Method::kGet,   Method::kHead,   Method::kPost,   Method::kPut,
                                          Method::kPatch, Method::kDelete, Method::kOptions};
  if (!IsToken(text)) throw Malformed("The request line does not begin with a method.");
  const auto* const found =
      std::find_if(kMethods.begin(), kMethods.end(), [text](Method method) { return Name(method) == text; });
  if (found == kMethods.end()) {
    throw Error(ErrorCode::kNotImplemented, "method-not-implemented", "No route here knows this method.");
  }
  return *found;
}

int ParseMinorVersion(std::string_view text) {
  const bool known = text.size() == 8 && text.starts_with("HTTP/1.") && text[7] >= '0' && text[7] <= '9';
  if (!known) {
    throw Error(ErrorCode::kNotImplemented, "version-not-supported",
                "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
  }
  return text[7] == '0' ? 0 : 1;
}

void SetTarget(Request& request, std::string_view target) {
  if (target.empty() || !std::all_of(target.begin(), target.end(), IsVisible)) {
    throw Malformed("The request target has characters that must be percent-encoded.");
  }
  if (target.starts_with("http://") || target.starts_with("https://")) {
    // The absolute form, which proxies send (RFC 9112, section 3.2.2): the authority is of no use here.
    const std::size_t authority = target.find("//") + 2;
    const std::size_t path = target.find('/', authority);
    if (path == std::string_view::npos) throw Malformed("The request target has no path.");
    target.remove_prefix(path);
  }
  if (target[0] != '/' || target.find('#') != std::string_view::npos) {
    throw Malformed("The request target must be a path that begins with '/'.");
  }
  const std::size_t question = target.find('?');
  request.target = target;
  request.path = target.substr(0, question);
  if (question != std::string_view::npos) request.query = target.substr(question + 1);
}

void ParseRequestLine(Request& request, std::string_view line) {
  const std::size_t first = line.find(' ');
  if (first == std::string_view::npos)
    throw Malformed("The request line must have a method, a target and a version.");
  request.method = ParseMethod(line.substr(0, first));
  const std::size_t second = line.find(' ', first + 1);
  request.minor_version =
      ParseMinorVersion(second == std::string_view::npos ? std::string_view() : line.substr(second + 1));
  SetTarget(request, line.substr(first + 1, second - first - 1));
}

void ParseHeader(Request& request, std::string_view line) {
  if (line[0] == ' ' || line[0] == '\t') throw Malformed("Folded header lines are not accepted.");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) throw Malformed("A header line has no colon.");
  const std::string_view name = line.substr(0, colon);
  if (!IsToken(name)) throw Malformed("A header's name has characters that it must not have.");
  const std::string_view value = Trim(line.substr(colon + 1));
  if (!std::all_of(value.begin(), value.end(), IsValueCharacter)) {
    throw Malformed(fmt::format("The value of header '{}' has control characters.", name));
  }
  if (request.headers.size() == kMaxHeaders) {
    throw Error(ErrorCode::kTooLarge, "headers-too-large", fmt::format("More than {} headers.", kMaxHeaders));
  }
  request.headers.emplace_back(name, value);
}

void ParseHead(Request& request) {
  std::string_view rest(request.head);
  std::size_t end = rest.find("\r\n");
  ParseRequestLine(request, rest.substr(0, end));
  for (rest.remove_prefix(end + 2); !rest.empty(); rest.remove_prefix(end + 2)) {
    end = rest.find("\r\n");
    if (end == 0) break;
    ParseHeader(request, rest.substr(0, end));
  }
}

std::size_t Count(const Request& request, std::string_view name) {
  return static_cast<std::size_t>(
      std::count_if(request.headers.begin(), request.headers.end(),
                    [name](const auto& header) { return EqualsIgnoringCase(header.first, name); }));
}

void CheckHost(const Request& request) {
  const std::size_t hosts = Count(request, "Host");
  if (hosts > 1) throw Malformed("More than one Host header.");
  if (hosts == 0 && request.minor_version > 0) throw Malformed("The Host header is missing.");
}

std::size_t BodySize(const Request& request, const FramingLimits& limits) {
  const std::size_t lengths = Count(request, "Content-Length");
  if (Count(request, "Transfer-Encoding") > 0) {
    if (lengths > 0) throw Malformed("Content-Length and Transfer-Encoding exclude each other.");
    throw Error(ErrorCode::kNotImplemented, "transfer-encoding-not-implemented",
                "Send the body with Content-Length.");
  }
  if (lengths == 0) return 0;
  if (lengths > 1) throw Malformed("More than one Content-Length header.");
  const std::string_view text = request.Header("Content-Length");
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) {
    throw Malformed("Content-Length must be a number of bytes.");
  }
  std::size_t size = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), size);
  if (parsed.ec != std::errc() || size > limits.max_body_bytes) {
    throw Error(ErrorCode::kTooLarge, "body-too-large",
                fmt::format("The body may have at most {} bytes.", limits.max_body_bytes));
  }
  return size;
}

/// Of a request line that may not be complete yet.
void CheckTargetSize(std::string_view line, const FramingLimits& limits) {
  const std::size_t begin = std::min(line.find(' '), line.size());
  const std::size_t end = std::min(line.find(' ', begin + 1), line.size());
  if (end - begin > limits.max_target_bytes + 1) {
    throw Error(ErrorCode::kTooLarge, "target-too-long",
                fmt::format("The request target may have at most {} bytes.", limits.max_target_bytes));
  }
}

void CheckHeaderSize(std::size_t size, const FramingLimits& limits) {
  if (size > limits.max_header_bytes) {
    throw Error(
        ErrorCode::kTooLarge, "headers-too-large",
        fmt::format("The request line and headers may have at most {} bytes.", limits.max_header_bytes));
  }
}

/// Several lines of one name become one, as RFC 9110, section 5.3 has it: who asks for a header gets all of
/// it.
void CombineRepeated(Request& request) {
  auto& headers = request.headers;
  for (std::size_t i = 0; i + 1 < headers.size(); ++i) {
    const auto same = [name = headers[i].first](const auto& other) {
      return EqualsIgnoringCase(other.first, name);
    };
    const auto rest = headers.begin() + static_cast<std::ptrdiff_t>(i) + 1;
    if (std::none_of(rest, headers.end(), same)) continue;
    std::string& value = request.combined.emplace_back(headers[i].second);
    for (auto other = rest; other != headers.end(); ++other) {
      if (same(*other)) value.append(", ").append(other->second);
    }
    headers[i].second = value;
    headers.erase(std::remove_if(rest, headers.end(), same), headers.end());
  }
}

Framing Read(std::string_view input, const FramingLimits& limits) {
  Framing result;
  // An empty line before a request is tolerated, as RFC 9112, section 2.2 asks.
  const std::size_t skipped = input.starts_with("\r\n") ? 2 : 0;
  input.remove_prefix(skipped);

  const std::size_t end = input.find("\r\n\r\n");
  const std::string_view head = input.substr(0, end == std::string_view::npos ? end : end + 4);
  if (HasBareLineFeed(head)) throw Malformed("Lines must end in CR LF.");
  CheckTargetSize(head.substr(0, head.find("\r\n")), limits);
  CheckHeaderSize(head.size(), limits);
  if (end == std::string_view::npos) return result;

  auto request = std::make_unique<Request>();
  request->head.assign(head);
  ParseHead(*request);
  CheckHost(*request);
  const std::size_t body_size = BodySize(*request, limits);
  if (input.size() - head.size() < body_size) {
    result.state = Framing::State::kBody;
    // Once, before the first byte of the body, and to nobody who speaks HTTP/1.0 (RFC 9110, section 10.1.1).
    result.expects_continue = request->minor_version > 0 && input.size() == head.size() &&
                              EqualsIgnoringCase(request->Header("Expect"), "100-continue");
    return result;
  }
  CombineRepeated(*request);
  request->body.assign(input.substr(head.size(), body_size));
  result.state = Framing::State::kComplete;
  result.consumed = skipped + head.size() + body_size;
  result.wants_close = request->minor_version == 0 || HasToken(request->Header("Connection"), "close");
  result.request = std::move(request);
  return result;
}

}  // namespace

Framing ReadRequest(std::string_view input, const FramingLimits& limits) {
  try {
    return Read(input, limits);
  } catch (const Error& error) {
    Framing refused;
    refused.state = Framing::State::kRefused;
    refused.error = error;
    return refused;
  }
}

}  // namespace obs::http
