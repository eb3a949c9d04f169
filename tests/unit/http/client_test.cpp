#include "obs/http/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "server_fixture.h"
#include "support/gate.h"
#include "support/scope.h"
#include "support/socket.h"

namespace obs::http {
namespace {

using std::chrono_literals::operator""ms;
using testing::HasSubstr;

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    Server& server = upstream_.server();
    server.Get("/echo", [](const Request& request, Scope&) {
      Response response;
      response.body = std::string(request.query) + '|' + std::string(request.Header("traceparent"));
      return response;
    });
    server.Get("/large", [](const Request&, Scope&) {
      Response response;
      response.body = std::string(5000, 'x');
      return response;
    });
    server.Get("/slow", [this](const Request&, Scope& scope) -> async::Task<Response> {
      co_await gate_.Pass(scope.loop());
      co_return Response{};
    });
    server.Start();
  }

  static ClientConfig ConfigFor(std::uint16_t port) {
    ClientConfig config;
    config.base_url = "http://127.0.0.1:" + std::to_string(port);
    config.peer = "upstream";
    config.max_body_bytes = 4000;
    return config;
  }
  Client Make(std::uint16_t port) { return {ConfigFor(port), own_.telemetry()}; }

  ClientResponse Get(Client& client, std::string_view target) {
    return local_.Run(client.Send(ClientRequest(std::string(target)), local_.scope()));
  }
  std::string FailureOf(Client& client, std::string_view target) {
    try {
      Get(client, target);
    } catch (const ClientError& error) {
      return std::string(Name(error.failure())) + ' ' + error.type();
    }
    return "none";
  }

  support::Gate gate_;
  ServerFixture upstream_;
  ServerFixture own_;  ///< for its telemetry: it is not started
  support::LocalScope local_{own_.telemetry()};
};

TEST_F(ClientTest, ReturnsTheAnswerWhateverItsStatus) {
  Client client = Make(upstream_.port());
  const auto found = Get(client, "/echo?die=fair");
  EXPECT_EQ(found.status, 200);
  EXPECT_EQ(found.content_type, "application/json");
  EXPECT_THAT(found.body, testing::StartsWith("die=fair|"));
  EXPECT_EQ(Get(client, "/nothing").status, 404);
}

TEST_F(ClientTest, PropagatesTheTrace) {
  Client client = Make(upstream_.port());
  trace::Span span = own_.telemetry().tracer.Start("parent", trace::Kind::kServer, {});
  const std::string trace_id(span.correlation().trace_id_view());
  support::LocalScope traced(own_.telemetry(), std::move(span));
  const auto body = traced.Run(client.Send(ClientRequest("/echo"), traced.scope())).body;
  EXPECT_THAT(body, HasSubstr("|00-" + trace_id + "-"));
}

TEST_F(ClientTest, KeepsItsConnectionAlive) {
  Client client = Make(upstream_.port());
  for (int i = 0; i < 10; ++i) Get(client, "/echo");
  EXPECT_THAT(upstream_.registry().Render(metrics::Format::kText), HasSubstr("http_connections 1\n"));
}

TEST_F(ClientTest, TellsARefusedConnection) {
  const support::ReservedPort nobody;
  Client client = Make(nobody.port());
  EXPECT_EQ(FailureOf(client, "/"), "refused upstream-unreachable");
}

TEST_F(ClientTest, GivesUpAfterItsTimeout) {
  ClientConfig config = ConfigFor(upstream_.port());
  config.timeout = 100ms;
  Client client(config, own_.telemetry());
  EXPECT_EQ(FailureOf(client, "/slow"), "timeout upstream-timeout");
}

TEST_F(ClientTest, GivesUpAtTheDeadlineOfItsScope) {
  Client client = Make(upstream_.port());
  support::LocalScope hurried(own_.telemetry(), async::Clock::now() + 100ms);
  try {
    hurried.Run(client.Send(ClientRequest("/slow"), hurried.scope()));
    ADD_FAILURE() << "an answer came";
  } catch (const ClientError& error) {
    EXPECT_EQ(error.failure(), ClientFailure::kTimeout);
  }
}

TEST_F(ClientTest, RefusesAnAnswerThatIsTooLarge) {
  Client client = Make(upstream_.port());
  EXPECT_EQ(FailureOf(client, "/large"), "invalid upstream-invalid");
  EXPECT_EQ(Get(client, "/echo").status, 200) << "and works on";
}

TEST_F(ClientTest, RecoversWhenTheUpstreamHasRestarted) {
  auto first = std::make_unique<ServerFixture>();
  first->Answer("/", "first");
  first->server().Start();
  const std::uint16_t port = first->port();
  Client client = Make(port);
  EXPECT_EQ(Get(client, "/").body, "first");
  first.reset();
  EXPECT_EQ(FailureOf(client, "/"), "refused upstream-unreachable");
  ServerConfig config;
  config.port = port;
  ServerFixture second(config);
  second.Answer("/", "second");
  second.server().Start();
  EXPECT_EQ(Get(client, "/").body, "second");
}

TEST_F(ClientTest, ObservesCallsByPeerAndOutcome) {
  ClientConfig config = ConfigFor(upstream_.port());
  config.timeout = 100ms;
  Client client(config, own_.telemetry());
  EXPECT_EQ(FailureOf(client, "/slow"), "timeout upstream-timeout");
  Client patient = Make(upstream_.port());
  Get(patient, "/echo");
  Get(patient, "/nothing");
  for (const auto* status : {"200", "404", "timeout"}) {
    EXPECT_EQ(
        own_.Metric("http_client_request_duration_seconds_count", {{"peer", "upstream"}, {"status", status}}),
        1)
        << status;
  }
}

}  // namespace
}  // namespace obs::http
