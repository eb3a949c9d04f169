#include "routes.h"

#include "answer_check.h"
#include "assets.h"
#include "page.h"

namespace frontend {
namespace {

using obs::Scope;
using obs::async::Task;
using obs::http::Client;
using obs::http::Request;
using obs::http::Response;

constexpr const char* kInformation =
    R"({"service":"frontend","description":"The page, and the way in to dice-roller and die-service.",)"
    R"("endpoints":["/dice","/dice/{die}","/roll?die={die}","/roll-async?die={die}&times={times}",)"
    R"("/livez","/readyz","/healthz","/metrics"]})";

/// Hands the request on as it came and the answer back as it is: what is right or wrong about a roll is known
/// in one place, and that is not here. An answer that is none is not handed back.
Task<Response> Relay(Client& client, const Request& request, Expectation expected, Scope& scope) {
  obs::http::ClientResponse answer;
  try {
    answer = co_await client.Send(obs::http::ClientRequest(std::string(request.target)), scope);
  } catch (const obs::http::ClientError& error) {
    scope.Error("Upstream request failed",
                {{"peer", client.peer()}, {"error_type", error.type()}, {"cause", error.cause()}});
    throw;
  }
  if (const std::string fault = FaultOf(answer, expected); !fault.empty()) {
    throw obs::Error(obs::ErrorCode::kUnavailable, client.peer() + "-invalid",
                     client.peer() + " gave no valid answer.", fault);
  }
  Response response;
  response.status = answer.status;
  response.body = std::move(answer.body);
  response.content_type = std::move(answer.content_type);
  if (answer.retry_after.count() > 0) {
    response.headers.emplace_back("Retry-After", std::to_string(answer.retry_after.count()));
  }
  co_return response;
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
  server.Get("/", [](const Request& request, Scope&) { return Home(request); });
  for (const auto& [name, content] : Assets()) {
    if (name == "index.html") continue;
    server.Get(
        "/" + std::string(name), [file = name](const Request&, Scope&) { return PageFile(file); },
        obs::http::Visibility::kProbe);
  }
  server.Get("/dice", [&die_service](const Request& request, Scope& scope) {
    return Relay(die_service, request, Expectation(), scope);
  });
  server.Get("/dice/{die}", [&die_service](const Request& request, Scope& scope) {
    return Relay(die_service, request, Expectation("identifier", request.PathParameter("die")), scope);
  });
  const auto roll = [&dice_roller](const Request& request, Scope& scope) {
    return Relay(dice_roller, request, Expectation("die", request.QueryParameter("die").value_or("")), scope);
  };
  server.Get("/roll", roll);
  server.Get("/roll-async", roll);
}

}  // namespace frontend
