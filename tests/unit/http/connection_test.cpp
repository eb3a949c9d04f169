// What a client may do to its connection, and what becomes of its requests.

#include "obs/http/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <set>
#include <string>
#include <thread>

#include "server_fixture.h"
#include "support/gate.h"
#include "support/http_client.h"
#include "support/sanitized.h"

namespace obs::http {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using support::Eventually;
using support::HttpConnection;

/// A server with a route that waits until the test opens its gate.
class ConnectionTest : public testing::Test {
 protected:
  ConnectionTest() : ConnectionTest(ServerConfig{}) {}
  explicit ConnectionTest(const ServerConfig& config) : fixture_(config) {
    fixture_.Answer("/livez", "alive");
    fixture_.server().Get("/wait", [this](const Request&, Scope& scope) -> async::Task<Response> {
      const support::Alive alive(alive_);
      co_await gate_.Pass(scope.loop());
      Response response;
      response.body = "waited";
      co_return response;
    });
    fixture_.server().Get("/after/{name}", [](const Request& request, Scope& scope) -> async::Task<Response> {
      // Later ones would overtake the earlier, if they could.
      co_await scope.Sleep(
          std::chrono::microseconds(request.PathParameter("name").size() % 2 == 0 ? 800 : 100));
      Response response;
      response.body = request.PathParameter("name");
      co_return response;
    });
    fixture_.server().Handle(Method::kPost, "/echo", [](const Request& request, Scope&) {
      Response response;
      response.body = request.body;
      return response;
    });
    fixture_.server().Start();
  }

  bool WaitUntilAlive(int count) {
    return Eventually([this, count] { return alive_ == count; });
  }

  support::Gate gate_;
  std::atomic<int> alive_{0};
  ServerFixture fixture_;
};

std::string Ask(const std::string& target) { return "GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n"; }

TEST_F(ConnectionTest, AnswersPipelinedRequestsInOrder) {
  std::string all;
  for (int i = 0; i < 100; ++i) all += Ask("/after/" + std::string(static_cast<std::size_t>(i + 1), 'x'));
  HttpConnection connection(fixture_.port());
  ASSERT_TRUE(connection.Send(all));
  for (std::size_t i = 0; i < 100; ++i) {
    const auto reply = connection.Read();
    ASSERT_TRUE(reply) << i;
    EXPECT_EQ(reply->body.size(), i + 1);
    EXPECT_EQ(reply->Header("Connection"), "keep-alive");
  }
}

TEST_F(ConnectionTest, AnswersPipelinedRequestsOfSeparateSegmentsInOrder) {
  HttpConnection connection(fixture_.port());
  for (std::size_t i = 0; i < 100; ++i)
    ASSERT_TRUE(connection.Send(Ask("/after/" + std::string(i + 1, 'x'))));
  for (std::size_t i = 0; i < 100; ++i) {
    const auto reply = connection.Read();
    ASSERT_TRUE(reply) << i;
    EXPECT_EQ(reply->body.size(), i + 1);
  }
}

TEST_F(ConnectionTest, AnswersWhatWasPipelinedBeforeTheClientShutItsSide) {
  HttpConnection connection(fixture_.port());
  ASSERT_TRUE(connection.Send(Ask("/after/a") + Ask("/after/bb") + Ask("/livez")));
  connection.EndInput();
  for (const auto* body : {"a", "bb", "alive"}) {
    const auto reply = connection.Read();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->body, body);
  }
  EXPECT_TRUE(connection.ClosedByPeer(support::kPatience));
}

TEST_F(ConnectionTest, GivesAClientThatShutItsSideItsReply) {
  for (const auto* target : {"/livez", "/after/a"}) {
    HttpConnection connection(fixture_.port());
    connection.Send(Ask(target));
    connection.EndInput();
    const auto reply = connection.Read();
    ASSERT_TRUE(reply) << target;
    EXPECT_EQ(reply->status, 200);
    EXPECT_TRUE(connection.ClosedByPeer(support::kPatience));
  }
}

TEST_F(ConnectionTest, GivesAClientThatShutItsSideItsReplyAfterALongWaitToo) {
  HttpConnection connection(fixture_.port());
  connection.Send(Ask("/wait"));
  connection.EndInput();
  // The server asks whether it is still there, by a response that a client passes over.
  const auto interim = connection.Read(support::kPatience, true);
  ASSERT_TRUE(interim);
  EXPECT_EQ(interim->status, 100);
  EXPECT_EQ(alive_, 1);
  gate_.Open();
  const auto reply = connection.Read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->body, "waited");
  EXPECT_TRUE(connection.ClosedByPeer(support::kPatience));
}

TEST_F(ConnectionTest, SendsAClientOfHttp10NoInterimResponse) {
  HttpConnection connection(fixture_.port());
  connection.Send("GET /wait HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(WaitUntilAlive(1));
  connection.EndInput();
  EXPECT_FALSE(connection.Read(1500ms)) << "nothing comes before the reply";
  gate_.Open();
  const auto reply = connection.Read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
}

TEST_F(ConnectionTest, SendsAClientThatStaysNoInterimResponse) {
  HttpConnection connection(fixture_.port());
  connection.Send(Ask("/wait"));
  EXPECT_FALSE(connection.Read(1500ms));
  gate_.Open();
  EXPECT_EQ(connection.Read().value().status, 200);
}

TEST_F(ConnectionTest, CancelsTheRequestOfAClientThatResets) {
  HttpConnection connection(fixture_.port());
  connection.Send(Ask("/wait"));
  ASSERT_TRUE(WaitUntilAlive(1));
  support::Reset(connection.Release());
  EXPECT_TRUE(WaitUntilAlive(0));
  EXPECT_TRUE(fixture_.WaitForRequests(0));
  EXPECT_EQ(fixture_.Cancelled("client_left"), 1);
  EXPECT_TRUE(Eventually([this] { return fixture_.Metric("http_connections") == 0; }));
  gate_.Open();
}

TEST_F(ConnectionTest, CancelsTheRequestOfAClientThatCloses) {
  {
    HttpConnection connection(fixture_.port());
    connection.Send(Ask("/wait"));
    ASSERT_TRUE(WaitUntilAlive(1));
  }
  EXPECT_TRUE(WaitUntilAlive(0));
  EXPECT_TRUE(fixture_.WaitForRequests(0));
  EXPECT_EQ(fixture_.Cancelled("client_left"), 1);
}

TEST_F(ConnectionTest, CancelsTheRequestOfAClientThatClosesAsSoonAsItHasAsked) {
  constexpr int kClients = 50;
  for (int i = 0; i < kClients; ++i) {
    HttpConnection connection(fixture_.port());
    connection.Send(Ask("/wait"));
  }
  EXPECT_TRUE(Eventually([this] { return fixture_.Cancelled("client_left") == kClients; }))
      << fixture_.Cancelled("client_left");
  EXPECT_EQ(alive_, 0);
}

TEST_F(ConnectionTest, CancelsTheSecondOfTwoPipelinedRequestsOfAClientThatHasClosed) {
  {
    HttpConnection connection(fixture_.port());
    connection.Send(Ask("/after/" + std::string(2, 'x')) + Ask("/wait"));
  }
  EXPECT_TRUE(Eventually([this] { return fixture_.Metric("http_connections") == 0; }));
  EXPECT_EQ(alive_, 0);
}

TEST_F(ConnectionTest, SurvivesClientsThatLeaveAtAnyMoment) {
  constexpr int kRounds = support::kSanitized ? 300 : 2000;
  const std::string request = Ask("/after/xx") + Ask("/wait");
  for (int i = 0; i < kRounds; ++i) {
    HttpConnection connection(fixture_.port());
    connection.Send(request.substr(0, static_cast<std::size_t>(i) % (request.size() + 1)));
    if (i % 3 == 0) connection.EndInput();
    if (i % 2 == 0) support::Reset(connection.Release());
  }
  EXPECT_EQ(support::Get(fixture_.port(), "/livez").status, 200);  // accepted after all others
  EXPECT_TRUE(Eventually([this] { return fixture_.Metric("http_connections") == 0; }));
  EXPECT_EQ(alive_, 0);
  EXPECT_EQ(fixture_.Metric("http_requests_in_progress"), 0);
  EXPECT_EQ(fixture_.Metric("http_pending_bytes"), 0);
}

TEST_F(ConnectionTest, LetsAClientReadTheRefusalOfWhatItIsStillSending) {
  // A close with unread bytes would reset the connection, and with it the reply on its way.
  for (const bool shut : {false, true}) {
    HttpConnection connection(fixture_.port());
    connection.Send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" +
                    std::string(300'000, 'x'));
    if (shut) connection.EndInput();
    const auto reply = connection.Read();
    ASSERT_TRUE(reply) << shut;
    EXPECT_EQ(reply->status, 413);
    connection.EndInput();
    const support::Fd socket = connection.Release();
    char byte = 0;
    EXPECT_EQ(::recv(socket.get(), &byte, 1, 0), 0) << "an end, and no reset";
  }
}

TEST_F(ConnectionTest, ClosesForAClientThatShutItsSideWithoutLosingItsReply) {
  constexpr int kRounds = 50;
  for (int i = 0; i < kRounds; ++i) {
    HttpConnection connection(fixture_.port());
    // What stands behind a request that ends the connection is never read.
    connection.Send("GET /after/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" +
                    std::string(100'000, 'x'));
    connection.EndInput();
    const auto reply = connection.Read();
    ASSERT_TRUE(reply) << i;
    EXPECT_EQ(reply->body, "a");
    const support::Fd socket = connection.Release();
    char byte = 0;
    EXPECT_EQ(::recv(socket.get(), &byte, 1, 0), 0) << "an end, and no reset";
  }
}

class HurriedServer : public ConnectionTest {
 protected:
  HurriedServer() : ConnectionTest(Config()) {}
  static ServerConfig Config() {
    ServerConfig config;
    config.request_timeout = 200ms;
    return config;
  }
};

TEST_F(HurriedServer, GivesARequestUpAtItsDeadlineAndSaysSo) {
  HttpConnection connection(fixture_.port());
  connection.Send(Ask("/wait"));
  const auto reply = connection.Read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 503);
  EXPECT_EQ(reply->Header("Content-Type"), "application/problem+json");
  EXPECT_EQ(reply->json()["type"].Text(), "urn:problem-type:deadline-exceeded");
  EXPECT_EQ(alive_, 0);
  EXPECT_EQ(fixture_.Cancelled("deadline"), 1);
  EXPECT_EQ(fixture_.Metric("http_requests_in_progress"), 0);
  connection.Send(Ask("/livez"));
  EXPECT_EQ(connection.Read().value().body, "alive") << "the connection goes on";
}

TEST_F(HurriedServer, GivesEachPipelinedRequestADeadlineOfItsOwn) {
  HttpConnection connection(fixture_.port());
  connection.Send(Ask("/wait") + Ask("/wait") + Ask("/livez"));
  EXPECT_EQ(connection.Read().value().status, 503);
  EXPECT_EQ(connection.Read().value().status, 503);
  EXPECT_EQ(connection.Read().value().status, 200);
  EXPECT_EQ(fixture_.Cancelled("deadline"), 2);
}

TEST(Connection, SaysWhatARequestWaitsFor) {
  ServerFixture fixture;
  fixture.server().Get("/sleep", [](const Request&, Scope& scope) -> async::Task<Response> {
    co_await scope.Sleep(std::chrono::hours(1));
    co_return Response{};
  });
  fixture.server().Get("/under-way", [&fixture](const Request&, Scope& scope) -> async::Task<Response> {
    // Requests of the same age in milliseconds are listed in any order.
    std::multiset<std::string> lines;
    for (const RequestUnderWay& request : co_await fixture.server().UnderWay(scope.loop())) {
      lines.insert(request.method + " " + request.route + " " + request.awaiting + ";");
    }
    Response response;
    for (const std::string& line : lines) response.body += line;
    co_return response;
  });
  fixture.server().Start();
  std::vector<std::unique_ptr<HttpConnection>> sleepers;
  for (int i = 0; i < 4; ++i) {
    sleepers.push_back(std::make_unique<HttpConnection>(fixture.port()));
    sleepers.back()->Request("GET", "/sleep");
  }
  ASSERT_TRUE(fixture.WaitForRequests(4));
  EXPECT_TRUE(Eventually([&] { return fixture.Metric("requests_waiting", {{"for", "timer"}}) == 4; }));
  const std::string seen = support::Get(fixture.port(), "/under-way").body;
  EXPECT_EQ(seen, "GET /sleep timer;GET /sleep timer;GET /sleep timer;GET /sleep timer;GET /under-way ;");
  sleepers.clear();
  EXPECT_TRUE(Eventually([&] { return fixture.Metric("requests_waiting", {{"for", "timer"}}) == 0; }));
}

}  // namespace
}  // namespace obs::http
