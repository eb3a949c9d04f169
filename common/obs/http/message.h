#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "obs/http1/head.h"

namespace obs::http {

enum class Method { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions };

std::string_view Name(Method method);

/// Percent-decodes one path segment or query component (RFC 3986, section 2.1); nothing when it is malformed.
/// `plus_is_space` follows the form encoding of queries.
std::optional<std::string> PercentDecode(std::string_view text, bool plus_is_space);
/// Encodes everything but RFC 3986's unreserved characters.
std::string PercentEncode(std::string_view text);

/// One complete, well-formed request. The views point into `head`, so it stays where it was made.
class Request {
 public:
  Method method = Method::kGet;
  int minor_version = 1;    ///< of HTTP/1
  std::string head;         ///< request line and headers as received
  std::string body;         ///< its content, without a transfer coding
  std::string_view target;  ///< path and query as sent
  std::string_view path;    ///< of `target`, still encoded
  std::string_view query;   ///< of `target` after '?', still encoded
  http1::Headers headers;
  /// Decoded, by the route's template.
  std::vector<std::pair<std::string_view, std::string>> path_parameters;
  std::vector<std::pair<std::string, std::string>> query_parameters;  ///< decoded, in the order sent
  std::string client_address;

  Request() = default;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  Request(Request&&) = delete;
  Request& operator=(Request&&) = delete;

  /// The value of a header, whatever the case of its name; an empty view without one.
  std::string_view Header(std::string_view name) const { return headers.Find(name); }
  /// A parameter of the route's template, as in "/dice/{die}"; empty when the template has none of that name.
  std::string_view PathParameter(std::string_view name) const;
  /// The first query parameter of that name.
  std::optional<std::string_view> QueryParameter(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  /// Beyond Content-Type, Content-Length, Connection, Date and traceresponse, which the server writes.
  std::vector<std::pair<std::string, std::string>> headers;
};

/// The reason phrase of RFC 9110, or "Unknown".
std::string_view ReasonPhrase(int status);

}  // namespace obs::http
