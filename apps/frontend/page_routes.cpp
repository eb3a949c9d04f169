#include "page_routes.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <functional>
#include <utility>

#include "obs/error/error.h"

namespace frontend {
namespace {

using obs::http::Execution;
using obs::http::Request;

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

std::string_view TraceId(const Request& request) {
  const std::string_view id = request.PathParameter("trace_id");
  if (id.size() != 32 || id.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    throw obs::Error(obs::ErrorCode::kInvalidArgument, "invalid-parameter",
                     "Parameter 'trace_id' must be 32 lower-case hexadecimal digits.");
  }
  return id;
}

}  // namespace

void AddPageRoutes(obs::http::Server& server, Observer& observer, const Links& links) {
  const auto add = [&server](std::string_view route, Execution execution,
                             std::function<std::string(const Request&)> answer) {
    server.Handle(
        obs::http::Method::kGet, route, execution,
        [answer = std::move(answer)](const Request& request, obs::http::Exchange&) {
          obs::http::Response response;
          response.body = answer(request);
          response.headers = {{"Cache-Control", "no-store"}};
          return response;
        },
        obs::http::Visibility::kProbe);
  };
  add("/page/settings", Execution::kInline,
      [settings = Settings(observer, links)](const Request&) { return settings; });
  add("/page/metrics", Execution::kMayBlock, [&observer](const Request&) { return observer.Metrics(); });
  add("/page/traces/{trace_id}", Execution::kMayBlock,
      [&observer](const Request& request) { return observer.Trace(TraceId(request)); });
}

}  // namespace frontend
