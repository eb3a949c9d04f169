#include "obs/http/request_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "obs/http1/text.h"
#include "obs/text/authority.h"

namespace obs::http {
namespace {

Error Malformed(std::string detail) {
  return Error(ErrorCode::kInvalidArgument, "malformed-request", std::move(detail));
}

bool IsVisible(char c) { return c > 0x20 && c < 0x7f; }

Method ParseMethod(std::string_view text) {
  static constexpr std::array kMethods = {Method::kGet,   Method::kHead,   Method::kPost,   Method::kPut,
                                          Method::kPatch, Method::kDelete, Method::kOptions};
  if (!http1::IsToken(text)) throw Malformed("The request line does not begin with a method.");
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
    throw Error(ErrorCode::kVersionNotSupported, "version-not-supported",
                "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
  }
  return text[7] == '0' ? 0 : 1;
}

/// The path and query of the absolute form, which proxies send (RFC 9112, section 3.2.2); `target` when it
/// has another form.
std::string_view WithoutOrigin(std::string_view target) {
  const std::size_t colon = target.find("://");
  if (target.starts_with('/') || colon == std::string_view::npos) return target;
  const std::string_view scheme = target.substr(0, colon);
  if (!http1::EqualsIgnoringCase(scheme, "http") && !http1::EqualsIgnoringCase(scheme, "https"))
    return target;
  const std::size_t begin = colon + 3;
  const std::size_t end = std::min(target.find_first_of("/?#", begin), target.size());
  if (!text::ParseAuthority(target.substr(begin, end - begin))) {
    throw Malformed("The request target names no valid host.");
  }
  return target.substr(end);
}

void SetTarget(Request& request, std::string_view target) {
  if (target.empty() || !std::all_of(target.begin(), target.end(), IsVisible)) {
    throw Malformed("The request target has characters that must be percent-encoded.");
  }
  if (target == "*" && request.method == Method::kOptions) {
    request.target = request.path = target;  // the server as a whole (RFC 9110, section 9.3.7)
    return;
  }
  target = WithoutOrigin(target);
  if (!target.starts_with('/') || target.find('#') != std::string_view::npos) {
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

void CheckHost(const Request& request) {
  const auto host =
      std::find_if(request.headers.list.begin(), request.headers.list.end(),
                   [](const auto& header) { return http1::EqualsIgnoringCase(header.first, "Host"); });
  if (host == request.headers.list.end()) {
    if (request.minor_version > 0) throw Malformed("The Host header is missing.");
  } else if (!host->second.empty() && !text::ParseAuthority(host->second)) {
    throw Malformed("The Host header is no valid host.");
  }
}

/// Of a request line that may not be complete yet.
void CheckTargetSize(std::string_view line, const FramingLimits& limits) {
  const std::size_t begin = std::min(line.find(' '), line.size());
  const std::size_t end = std::min(line.find(' ', begin + 1), line.size());
  if (end - begin > limits.max_target_bytes + 1) {
    throw Error(ErrorCode::kTargetTooLong, "target-too-long",
                fmt::format("The request target may have at most {} bytes.", limits.max_target_bytes));
  }
}

void CheckHeaderSize(std::size_t size, const FramingLimits& limits) {
  if (size > limits.max_header_bytes) {
    throw Error(
        ErrorCode::kHeadersTooLarge, "headers-too-large",
        fmt::format("The request line and headers may have at most {} bytes.", limits.max_header_bytes));
  }
}

}  // namespace

std::size_t RequestReader::Read(std::string_view input) {
  std::size_t taken = 0;
  try {
    if (state_ == State::kHead) taken = ReadHead(input);
    if (state_ == State::kBody) taken += ReadBody(input.substr(taken));
  } catch (const Error& error) {
    state_ = State::kRefused;
    error_ = std::make_unique<const Error>(error);
  }
  return taken;
}

std::size_t RequestReader::ReadHead(std::string_view input) {
  // Empty lines before a request are tolerated, as RFC 9112, section 2.2 asks.
  std::size_t skipped = 0;
  if (searched_ == 0) {
    for (; input.starts_with("\r\n"); input.remove_prefix(2)) skipped += 2;
    if (input == "\r") return skipped;
  }

  const std::size_t known = searched_;
  const std::size_t end = http1::FindHeadEnd(input, searched_);
  const std::string_view head = input.substr(0, end);
  http1::CheckLines(head, known);
  CheckTargetSize(head.substr(0, head.find("\r\n")), limits_);
  CheckHeaderSize(head.size(), limits_);
  if (end == std::string_view::npos) return skipped;

  request_ = std::make_unique<Request>();
  Request& request = *request_;
  request.head.assign(head);
  const std::string_view text(request.head);
  const std::size_t line_end = text.find("\r\n");
  ParseRequestLine(request, text.substr(0, line_end));
  request.headers = http1::ParseHeaders(text.substr(line_end + 2));
  CheckHost(request);
  wants_close_ = request.minor_version == 0 || http1::HasToken(request.Header("Connection"), "close");

  const http1::BodyFraming framing = http1::ParseBodyFraming(request.headers, limits_.max_body_bytes);
  body_left_ = framing.length;
  if (framing.kind == http1::BodyFraming::Kind::kChunked) {
    // HTTP/1.0 knows no chunks, so a proxy of that age may have passed them on unread.
    if (request.minor_version == 0) throw Malformed("HTTP/1.0 has no transfer codings.");
    chunks_.emplace(limits_.max_body_bytes);
  }
  const bool body = chunks_ || body_left_ > 0;
  expects_continue_ = body && request.minor_version > 0 && input.size() == head.size() &&
                      http1::EqualsIgnoringCase(request.Header("Expect"), "100-continue");
  state_ = body ? State::kBody : State::kComplete;
  return skipped + head.size();
}

std::size_t RequestReader::ReadBody(std::string_view input) {
  std::size_t taken = 0;
  if (chunks_) {
    taken = chunks_->Read(input, request_->body);
    if (chunks_->complete()) state_ = State::kComplete;
    return taken;
  }
  // Memory is taken as the body comes, not as its length promises.
  taken = std::min(body_left_, input.size());
  request_->body.append(input.substr(0, taken));
  body_left_ -= taken;
  if (body_left_ == 0) state_ = State::kComplete;
  return taken;
}

std::unique_ptr<Request> RequestReader::Take() {
  state_ = State::kHead;
  searched_ = 0;
  chunks_.reset();
  expects_continue_ = false;
  return std::move(request_);
}

}  // namespace obs::http
