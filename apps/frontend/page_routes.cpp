#include "page_routes.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <utility>

#include "obs/error/error.h"

namespace frontend {
namespace {

using obs::Scope;
using obs::async::Task;
using obs::http::Request;
using obs::http::Response;

const char* Name(Observer::Source source) {
  switch (source) {
    case Observer::Source::kStore:
      return "store";
    case Observer::Source::kServices:
      return "services";
    case Observer::Source::kNone:
      break;
  }
  return "none";
}

std::string Settings(const Observer& observer, const Links& links) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  json.StartObject();
  json.Key("traces");
  json.String(Name(observer.trace_source()));
  json.Key("logs");
  json.String(Name(observer.log_source()));
  json.Key("links");
  json.StartObject();
  for (const auto& [name, link] :
       {std::pair("dashboard", &links.dashboard), {"trace", &links.trace}, {"logs", &links.logs}}) {
    json.Key(name);
    json.String(link->c_str());
  }
  json.EndObject();
  json.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

std::string TraceId(const Request& request) {
  const std::string_view id = request.PathParameter("trace_id");
  if (id.size() != 32 || id.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    throw obs::Error(obs::ErrorCode::kInvalidArgument, "invalid-parameter",
                     "Parameter 'trace_id' must be 32 lower-case hexadecimal digits.");
  }
  return std::string(id);
}

/// An answer that is another one the next time.
Response Fresh(std::string body) {
  Response response;
  response.body = std::move(body);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

}  // namespace

void AddPageRoutes(obs::http::Server& server, Observer& observer, const Links& links) {
  using obs::http::Visibility;
  server.Get(
      "/page/settings",
      [settings = Settings(observer, links)](const Request&, Scope&) { return Fresh(settings); },
      Visibility::kProbe);
  server.Get(
      "/page/metrics",
      [&observer](const Request&, Scope& scope) -> Task<Response> {
        co_return Fresh(co_await observer.Metrics(scope));
      },
      Visibility::kProbe);
  server.Get(
      "/page/traces/{trace_id}",
      [&observer](const Request& request, Scope& scope) -> Task<Response> {
        co_return Fresh(co_await observer.Trace(TraceId(request), scope));
      },
      Visibility::kProbe);
}

}  // namespace frontend
