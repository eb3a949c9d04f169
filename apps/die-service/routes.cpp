#include "routes.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "obs/error/error.h"

namespace die_service {
namespace {

using obs::Scope;
using obs::async::Task;
using obs::http::Request;
using obs::http::Response;

constexpr const char* kInformation =
    R"({"service":"die-service","description":"Serves the specifications of dice.",)"
    R"("endpoints":["/dice","/dice/{die}","/dice?identifier={die}","/livez","/readyz","/healthz","/metrics"]})";

Response Json(std::string body) {
  Response response;
  response.body = std::move(body);
  return response;
}

Task<Response> ListDice(Store& store, DieMetrics& metrics, Scope& scope) {
  metrics.listed.Increment();
  const auto identifiers = co_await store.List(scope);
  scope.Info("Dice list requested", {{"count", identifiers.size()}});
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  json.StartObject();
  json.Key("dice");
  json.StartArray();
  for (const auto& identifier : identifiers) json.String(identifier.c_str());
  json.EndArray();
  json.EndObject();
  co_return Json({buffer.GetString(), buffer.GetSize()});
}

Task<Response> GetDie(Store& store, DieMetrics& metrics, std::string_view parameter,
                      std::string_view identifier, Scope& scope) {
  if (!IsIdentifier(identifier)) {
    throw obs::Error(obs::ErrorCode::kInvalidArgument, "invalid-parameter",
                     "Parameter '" + std::string(parameter) + "' must match [A-Za-z0-9_-]{1,50}.");
  }
  const auto specification = co_await store.Find(std::string(identifier), scope);
  // What a caller makes up must not become a label.
  metrics.requested.With({specification ? identifier : "unknown"}).Increment();
  scope.Info("Die specification requested",
             {{"identifier", identifier}, {"found", specification != nullptr}});
  if (!specification) {
    throw obs::Error(obs::ErrorCode::kNotFound, "die-not-found",
                     "There is no die '" + std::string(identifier) + "'.");
  }
  co_return Json(ToJson(*specification));
}

}  // namespace

DieMetrics::DieMetrics(obs::metrics::Registry& registry)
    : requested(registry.AddCounter("die_specifications_requested_total",
                                    "Requests for one die, by its identifier or 'unknown'.", {"identifier"})),
      listed(registry.AddCounter("die_list_requests_total", "Requests for the list of dice.").With({})),
      loaded(registry.AddGauge("die_specifications_loaded", "Dice that this service knows.").With({})) {}

void AddRoutes(obs::http::Server& server, Store& store, DieMetrics& metrics) {
  server.Get("/", [](const Request&, Scope&) { return Json(kInformation); });
  server.Get("/dice", [&store, &metrics](const Request& request, Scope& scope) {
    const auto identifier = request.QueryParameter("identifier");
    return identifier ? GetDie(store, metrics, "identifier", *identifier, scope)
                      : ListDice(store, metrics, scope);
  });
  server.Get("/dice/{die}", [&store, &metrics](const Request& request, Scope& scope) {
    return GetDie(store, metrics, "die", request.PathParameter("die"), scope);
  });
}

}  // namespace die_service
