#include "obs/http/problem.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

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

void Member(rapidjson::Writer<rapidjson::StringBuffer>& json, std::string_view key, std::string_view value) {
  json.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
  json.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
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
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  json.StartObject();
  Member(json, "type", "urn:problem-type:" + error.type());
  Member(json, "title", Title(error));
  json.Key("status");
  json.Int(response.status);
  Member(json, "detail", error.detail());
  if (!trace_id.empty()) Member(json, "trace_id", trace_id);
  json.EndObject();
  response.body.assign(buffer.GetString(), buffer.GetSize());
  return response;
}

}  // namespace obs::http
