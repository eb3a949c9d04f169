#include "obs/http/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "server_fixture.h"
#include "support/socket.h"

namespace obs::http {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::HasSubstr;

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    upstream_.server().Handle(
        Method::kGet, "/echo", Execution::kInline, [](const Request& request, Exchange&) {
          Response response;
          response.status = 200;
          response.body = std::string(request.query) + '|' + std::string(request.Header("traceparent"));
          return response;
        });
    upstream_.server().Handle(Method::kGet, "/large", Execution::kInline, [](const Request&, Exchange&) {
      Response response;
      response.body = std::string(5000, 'x');
      return response;
    });
    upstream_.server().Handle(Method::kGet, "/slow", Execution::kMayBlock, [](const Request&, Exchange&) {
      std::this_thread::sleep_for(1s);  // longer than the client waits
      return Response{};
    });
    upstream_.server().Start();
  }

  Client Make(std::uint16_t port) {
    ClientConfig config;
    config.base_url = "http://127.0.0.1:" + std::to_string(port);
    config.peer = "upstream";
    config.timeout = 300ms;
    config.max_body_bytes = 4000;
    return {config, local_.registry(), local_.tracer(), local_.propagator()};
  }

  static std::string FailureOf(Client& client, std::string_view target) {
    try {
      client.Get(target, {});
    } catch (const ClientError& error) {
      return std::string(Name(error.failure())) + ' ' + error.type();
    }
    return "none";
  }

  ServerFixture upstream_;
  ServerFixture local_;
};

TEST_F(ClientTest, ReturnsTheAnswerWhateverItsStatus) {
  Client client = Make(upstream_.port());
  const auto found = client.Get("/echo?die=fair", {});
  EXPECT_EQ(found.status, 200);
  EXPECT_EQ(found.content_type, "application/json");
  EXPECT_THAT(found.body, testing::StartsWith("die=fair|"));
  EXPECT_EQ(client.Get("/nothing", {}).status, 404);
}

TEST_F(ClientTest, PropagatesTheTrace) {
  Client client = Make(upstream_.port());
  const auto span = local_.tracer().Start("parent", trace::Kind::kServer, {});
  const auto body = client.Get("/echo", span.context()).body;
  EXPECT_THAT(body, HasSubstr("|00-" + std::string(span.correlation().trace_id_view()) + "-"));
}

TEST_F(ClientTest, KeepsItsConnectionAlive) {
  Client client = Make(upstream_.port());
  for (int i = 0; i < 10; ++i) client.Get("/echo", {});
  EXPECT_THAT(upstream_.registry().Render(metrics::Format::kText), HasSubstr("http_connections 1\n"));
}

TEST_F(ClientTest, TellsARefusedConnection) {
  const support::ReservedPort nobody;
  Client client = Make(nobody.port());
  EXPECT_EQ(FailureOf(client, "/"), "refused upstream-unreachable");
}

TEST_F(ClientTest, GivesUpAfterItsTimeout) {
  Client client = Make(upstream_.port());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(FailureOf(client, "/slow"), "timeout upstream-timeout");
  EXPECT_LT(std::chrono::steady_clock::now() - start, 900ms);
}

TEST_F(ClientTest, RefusesAnAnswerThatIsTooLarge) {
  Client client = Make(upstream_.port());
  EXPECT_EQ(FailureOf(client, "/large"), "invalid upstream-invalid");
  EXPECT_EQ(client.Get("/echo", {}).status, 200) << "and works on";
}

TEST_F(ClientTest, RecoversWhenTheUpstreamHasRestarted) {
  auto first = std::make_unique<ServerFixture>();
  first->HandleInline("/", "first");
  first->server().Start();
  const std::uint16_t port = first->port();
  Client client = Make(port);
  EXPECT_EQ(client.Get("/", {}).body, "first");
  first.reset();
  EXPECT_EQ(FailureOf(client, "/"), "refused upstream-unreachable");
  ServerConfig config;
  config.port = port;
  ServerFixture second(config);
  second.HandleInline("/", "second");
  second.server().Start();
  EXPECT_EQ(client.Get("/", {}).body, "second");
}

TEST_F(ClientTest, ObservesCallsByPeerAndOutcome) {
  Client client = Make(upstream_.port());
  client.Get("/echo", {});
  client.Get("/nothing", {});
  FailureOf(client, "/slow");
  const std::string metrics = local_.registry().Render(metrics::Format::kText);
  for (const auto* status : {"200", "404", "timeout"}) {
    EXPECT_THAT(
        metrics,
        HasSubstr(std::string("http_client_request_duration_seconds_count{peer=\"upstream\",status=\"") +
                  status + "\"} 1"));
  }
}

}  // namespace
}  // namespace obs::http
