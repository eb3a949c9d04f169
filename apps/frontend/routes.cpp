#include "routes.h"

#include "assets.h"
#include "page.h"

namespace frontend {
namespace {

using obs::http::Client;
using obs::http::Exchange;
using obs::http::Execution;
using obs::http::Method;
using obs::http::Request;
using obs::http::Response;

constexpr const char* kInformation =
    R"({"service":"frontend","description":"The page, and the way in to dice-roller and die-service.",)"
    R"("endpoints":["/dice","/dice/{die}","/roll?die={die}","/roll-async?die={die}&times={times}",)"
    R"("/livez","/readyz","/healthz","/metrics"]})";

bool IsJson(std::string_view content_type) {
  return content_type.starts_with("application/json") || content_type.starts_with("application/problem+json");
}

/// Hands the request on as it came and the answer back as it is: what is right or wrong about a roll is known
/// in one place, and that is not here.
Response Relay(Client& client, const Request& request, const Exchange& exchange) {
  obs::http::ClientResponse answer;
  try {
    answer = client.Get(request.target, exchange.span.context());
  } catch (const obs::http::ClientError& error) {
    exchange.logger.Error("Upstream request failed",
                          {{"peer", client.peer()}, {"error_type", error.type()}, {"cause", error.cause()}});
    throw;
  }
  if (answer.status < 200 || !IsJson(answer.content_type)) {
    throw obs::Error(obs::ErrorCode::kUnavailable, client.peer() + "-invalid",
                     client.peer() + " gave no valid answer.", "status " + std::to_string(answer.status));
  }
  Response response;
  response.status = answer.status;
  response.body = std::move(answer.body);
  response.content_type = std::move(answer.content_type);
  if (answer.retry_after.count() > 0) {
    response.headers.emplace_back("Retry-After", std::to_string(answer.retry_after.count()));
  }
  return response;
}

Response Home(const Request& request) {
  Response response;
  if (WantsPage(request.Header("Accept"))) {
    response = PageFile("index.html");
  } else {
    response.body = kInformation;
  }
  response.headers.emplace_back("Vary", "Accept");
  return response;
}

}  // namespace

void AddRoutes(obs::http::Server& server, Client& die_service, Client& dice_roller) {
  server.Handle(Method::kGet, "/", Execution::kInline,
                [](const Request& request, Exchange&) { return Home(request); });
  for (const auto& [name, content] : Assets()) {
    if (name == "index.html") continue;
    server.Handle(
        Method::kGet, "/" + std::string(name), Execution::kInline,
        [file = name](const Request&, Exchange&) { return PageFile(file); }, obs::http::Visibility::kProbe);
  }
  const auto relay = [&server](std::string_view route, Client& client) {
    server.Handle(
        Method::kGet, route, Execution::kMayBlock,
        [&client](const Request& request, Exchange& exchange) { return Relay(client, request, exchange); });
  };
  relay("/dice", die_service);
  relay("/dice/{die}", die_service);
  relay("/roll", dice_roller);
  relay("/roll-async", dice_roller);
}

}  // namespace frontend
