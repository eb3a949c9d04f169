#include "obs/http/problem.h"

#include <fmt/format.h>

#include "obs/log/json.h"

namespace obs::http {
namespace {

std::string Title(const Error& error) {
  std::string title = error.type();
  for (char& c : title) {
    if (c == '-') c = ' ';
  }
  if (!title.empty() && title[0] >= 'a' && title[0] <= 'z')
    title[0] = static_cast<char>(title[0] - 'a' + 'A');
  return title;
}

/// A detail may quote what the client sent, and that need not be UTF-8.
std::string Json(std::string_view text) {
  std::string json;
  log::AppendJson(json, text);
  return json;
}

}  // namespace

int StatusOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return 400;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kMethodNotAllowed:
      return 405;
    case ErrorCode::kTimeout:
      return 408;
    case ErrorCode::kTooLarge:
      return 413;
    case ErrorCode::kTargetTooLong:
      return 414;
    case ErrorCode::kHeadersTooLarge:
      return 431;
    case ErrorCode::kNotImplemented:
      return 501;
    case ErrorCode::kVersionNotSupported:
      return 505;
    case ErrorCode::kUnavailable:
    case ErrorCode::kOverloaded:
      return 503;
    case ErrorCode::kInternal:
      break;
  }
  return 500;
}

Response Problem(const Error& error, std::string_view trace_id) {
  Response response;
  response.status = StatusOf(error.code());
  response.content_type = "application/problem+json";
  response.body = fmt::format(R"({{"type":{},"title":{},"status":{},"detail":{})",
                              Json("urn:problem-type:" + error.type()), Json(Title(error)), response.status,
                              Json(error.detail()));
  if (!trace_id.empty()) response.body += fmt::format(R"(,"trace_id":{})", Json(trace_id));
  response.body += '}';
  if (error.code() == ErrorCode::kOverloaded) response.headers.emplace_back("Retry-After", "1");
  return response;
}

}  // namespace obs::http
