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

int StatusOf(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kInvalidArgument:
      return 400;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kMethodNotAllowed:
      return 405;
    case ErrorCode::kTooLarge:
      if (error.type() == "target-too-long") return 414;
      return error.type() == "headers-too-large" ? 431 : 413;
    case ErrorCode::kTimeout:
      return 408;
    case ErrorCode::kNotImplemented:
      return error.type() == "version-not-supported" ? 505 : 501;
    case ErrorCode::kUnavailable:
      return 503;
    case ErrorCode::kInternal:
      return 500;
  }
  return 500;
}

Response Problem(const Error& error, std::string_view trace_id) {
  Response response;
  response.status = StatusOf(error);
  response.content_type = "application/problem+json";
  response.body = fmt::format(R"({{"type":{},"title":{},"status":{},"detail":{})",
                              Json("urn:problem-type:" + error.type()), Json(Title(error)), response.status,
                              Json(error.detail()));
  if (!trace_id.empty()) response.body += fmt::format(R"(,"trace_id":{})", Json(trace_id));
  response.body += '}';
  return response;
}

}  // namespace obs::http
