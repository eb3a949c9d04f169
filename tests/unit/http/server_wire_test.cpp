// What the server does with exact bytes: each row of this table is something that stock Pistache gets wrong.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "server_fixture.h"
#include "support/gate.h"
#include "support/http_client.h"
#include "support/sanitized.h"

namespace obs::http {
namespace {

/// More than the kernel keeps for a connection whose client does not read.
constexpr std::size_t kLarge = std::size_t{support::kSanitized ? 1 : 8} << 20;

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using support::HttpConnection;
using testing::HasSubstr;
using testing::Not;

class ServerOnTheWire : public testing::Test {
 protected:
  ServerOnTheWire() : fixture_(Config()) {
    fixture_.Answer("/roll", "rolled");
    Server& server = fixture_.server();
    server.Get("/echo/{text}", [](const Request& request, Scope&) {
      Response response;
      response.body = std::string(request.PathParameter("text")) + '|' +
                      std::string(request.QueryParameter("q").value_or(""));
      return response;
    });
    server.Handle(Method::kPost, "/body", [](const Request& request, Scope&) {
      Response response;
      response.body = request.body;
      return response;
    });
    server.Get("/throw",
               [](const Request&, Scope&) -> Response { throw std::runtime_error("secret internals"); });
    server.Get("/throw-late", [](const Request&, Scope& scope) -> async::Task<Response> {
      co_await scope.Sleep(1ms);
      throw std::runtime_error("secret internals");
    });
    server.Get("/throw-odd", [](const Request&, Scope&) -> Response { throw 5; });
    server.Get("/large", [](const Request&, Scope&) {
      Response response;
      response.body = std::string(kLarge, 'x');
      return response;
    });
    server.Get("/slow", [](const Request& request, Scope& scope) -> async::Task<Response> {
      co_await scope.Sleep(200ms);  // a dependency that takes its time
      Response response;
      response.body = request.target;
      co_return response;
    });
    server.Get("/wait/{name}", [this](const Request& request, Scope& scope) -> async::Task<Response> {
      co_await gate_.Pass(scope.loop());
      Response response;
      response.body = request.PathParameter("name");
      co_return response;
    });
    fixture_.server().Start();
  }

  static ServerConfig Config() {
    ServerConfig config;
    config.header_timeout = support::kSanitized ? 600ms : 300ms;
    config.body_timeout = support::kSanitized ? 600ms : 300ms;
    config.idle_timeout = support::kSanitized ? 600ms : 300ms;
    config.max_connections = 20;
    config.max_connections_per_address = 20;
    return config;
  }

  struct Exchanged {
    support::HttpReply reply;
    bool closed = false;
  };

  /// Sends the bytes, reads one reply, and tells whether the server then closes.
  Exchanged Send(std::string_view bytes, bool head = false) {
    HttpConnection connection(fixture_.port());
    connection.Send(bytes);
    auto reply = connection.Read(5s, head);
    const bool closed = connection.ClosedByPeer(100ms);
    return {reply.value_or(support::HttpReply{}), closed};
  }

  support::Gate gate_;
  ServerFixture fixture_;
};

TEST_F(ServerOnTheWire, KeepsAConnectionAliveWithoutAConnectionHeader) {
  HttpConnection connection(fixture_.port());
  for (int i = 0; i < 3; ++i) {
    connection.Send("GET /roll HTTP/1.1\r\nHost: a\r\n\r\n");
    const auto reply = connection.Read();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->Header("Connection"), "keep-alive");
    EXPECT_EQ(reply->body, "rolled");
  }
}

TEST_F(ServerOnTheWire, ClosesAfterConnectionCloseAndAfterHttp10) {
  for (const auto* bytes :
       {"GET /roll HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /roll HTTP/1.0\r\n\r\n"}) {
    const auto [reply, closed] = Send(bytes);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.Header("Connection"), "close");
    EXPECT_TRUE(closed) << bytes;
  }
}

TEST_F(ServerOnTheWire, IgnoresAnOfferToUpgrade) {
  const auto [reply, closed] =
      Send("GET /roll HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.Header("Connection"), "keep-alive");
  EXPECT_FALSE(closed);
}

TEST_F(ServerOnTheWire, AnswersBothOfTwoRequestsInOneSegment) {
  for (const std::string path : {"/echo/first", "/slow?first"}) {
    HttpConnection connection(fixture_.port());
    connection.Send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\nGET /roll HTTP/1.1\r\nHost: a\r\n\r\n");
    const auto first = connection.Read();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->Header("Connection"), "keep-alive");
    EXPECT_THAT(first->body, HasSubstr("first"));
    const auto second = connection.Read();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->body, "rolled");
  }
}

TEST_F(ServerOnTheWire, AnswersARequestThatCameWhileAnotherWaited) {
  HttpConnection connection(fixture_.port());
  connection.Send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  connection.Send("GET /roll HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(connection.Read().value().body, "/slow");
  EXPECT_EQ(connection.Read().value().body, "rolled");
}

TEST_F(ServerOnTheWire, AnswersHeadWithTheHeadersAlone) {
  HttpConnection connection(fixture_.port());
  connection.Send("HEAD /roll HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto head = connection.Read(5s, true);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->Header("Content-Length"), "6");
  connection.Send("GET /roll HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto reply = connection.Read();  // a body sent for HEAD would be read as this reply
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->body, "rolled");
}

TEST_F(ServerOnTheWire, DecodesPercentEncoding) {
  EXPECT_EQ(Send("GET /echo/a%20b%2Fc?q=d+e%26 HTTP/1.1\r\nHost: a\r\n\r\n").reply.body, "a b/c|d e&");
}

TEST_F(ServerOnTheWire, RefusesMalformedPercentEncodingWithTheNameOfTheParameter) {
  for (const auto* target : {"/echo/%ZZ", "/echo/%", "/echo/a?text=%4"}) {
    const auto [reply, closed] = Send(std::string("GET ") + target + " HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.body, HasSubstr("'text'"));
    EXPECT_FALSE(closed) << "the request was well framed";
  }
}

TEST_F(ServerOnTheWire, FindsNothingAtPathsWithExtraSlashes) {
  for (const auto* target : {"//roll", "/roll/", "/roll//"}) {
    EXPECT_EQ(Send(std::string("GET ") + target + " HTTP/1.1\r\nHost: a\r\n\r\n").reply.status, 404)
        << target;
  }
}

TEST_F(ServerOnTheWire, IgnoresWhatItDoesNotUse) {
  for (const auto* header : {"Host: a\r\nCookie: garbage\r\n", "Host: a\r\nDate: x\r\n",
                             "Host: a\r\nCache-Control: max-age=zz\r\n", "Host: a\r\nAccept: garbage\r\n",
                             "Host: a\r\nAccept: text/html;q=2\r\n", "Host: a\r\nAccept:\r\n",
                             "Host: a\r\nAuthorization: x\r\n", "Host: a\r\nContent-Type: \x7e\r\n"}) {
    const auto [reply, closed] = Send(std::string("GET /roll HTTP/1.1\r\n") + header + "\r\n");
    EXPECT_EQ(reply.status, 200) << header;
    EXPECT_FALSE(closed) << header;
  }
}

TEST_F(ServerOnTheWire, KeepsTheTextOfAnExceptionToItself) {
  for (const auto* path : {"/throw", "/throw-late", "/throw-odd"}) {
    const auto [reply, closed] = Send(std::string("GET ") + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(reply.status, 500);
    EXPECT_EQ(reply.Header("Content-Type"), "application/problem+json");
    EXPECT_THAT(reply.body, Not(HasSubstr("secret")));
  }
}

TEST_F(ServerOnTheWire, TellsTheAllowedMethods) {
  const auto [reply, closed] = Send("DELETE /roll HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(reply.status, 405);
  EXPECT_EQ(reply.Header("Allow"), "GET, HEAD");
  EXPECT_FALSE(closed);
}

struct Row {
  std::string name;
  std::string bytes;
  int status;
};

class RefusesOnTheWire : public ServerOnTheWire, public testing::WithParamInterface<Row> {};

TEST_P(RefusesOnTheWire, AndClosesSoThatNothingIsTakenForANewRequest) {
  const auto [reply, closed] = Send(GetParam().bytes);
  EXPECT_EQ(reply.status, GetParam().status);
  EXPECT_EQ(reply.Header("Content-Type"), "application/problem+json");
  EXPECT_EQ(reply.Header("Connection"), "close");
  EXPECT_TRUE(closed);
}

INSTANTIATE_TEST_SUITE_P(
    Table, RefusesOnTheWire,
    testing::Values(
        Row{"EmptyVersion", "GET /roll \r\nHost: a\r\n\r\n", 505},
        Row{"NoVersion", "GET /roll\r\nHost: a\r\n\r\n", 505},
        Row{"TruncatedVersion", "GET /roll HTTP/\r\nHost: a\r\n\r\n", 505},
        Row{"Oversize",
            "POST /roll HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\nGET /roll HTTP/1.1\r\n", 413},
        Row{"LengthTenGigabytes", "POST /roll HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n",
            413},
        Row{"LengthNoNumber", "POST /roll HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\n", 400},
        Row{"LengthTwice", "POST /roll HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            400},
        Row{"LengthNegative", "POST /roll HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
        Row{"NoHost", "GET /roll HTTP/1.1\r\n\r\n", 400},
        Row{"TwoHosts", "GET /roll HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        Row{"SpaceBeforeColon", "GET /roll HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        Row{"NoColon", "GET /roll HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n", 400},
        Row{"Folded", "GET /roll HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400},
        Row{"BareLineFeed", "GET /roll HTTP/1.1\nHost: a\n\n", 400},
        Row{"HostThatIsNone", "GET /roll HTTP/1.1\r\nHost: a:abc\r\n\r\n", 400},
        Row{"OtherCoding",
            "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
        Row{"UnknownMethod", "BREW /roll HTTP/1.1\r\nHost: a\r\n\r\n", 501},
        Row{"TargetTooLong", "GET /" + std::string(5000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
        Row{"TargetOneByteTooLong", "GET /" + std::string(4096, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
        Row{"HeadersTooLarge", "GET /roll HTTP/1.1\r\nHost: a\r\nX: " + std::string(20000, 'a') + "\r\n\r\n",
            431}),
    [](const auto& test) { return test.param.name; });

TEST_F(ServerOnTheWire, PutsARequestTogetherFromSingleBytes) {
  HttpConnection connection(fixture_.port());
  for (const char c : std::string_view("GET /roll HTTP/1.1\r\nHost: a\r\n\r\n")) connection.Send({&c, 1});
  const auto reply = connection.Read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->body, "rolled");
}

TEST_F(ServerOnTheWire, AsksForTheBodyOnceWhenAClientWaitsForThat) {
  HttpConnection connection(fixture_.port());
  connection.Send("POST /roll HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  const auto interim = connection.Read(5s, true);
  ASSERT_TRUE(interim);
  EXPECT_EQ(interim->status, 100);
  for (const char* byte : {"a", "b", "c"}) connection.Send(byte);
  const auto reply = connection.Read(5s);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 405);
}

TEST_F(ServerOnTheWire, TakesSeveralLinesOfOneHeaderForOneList) {
  const auto [reply, closed] =
      Send("GET /roll HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(reply.status, 200);
  EXPECT_TRUE(closed);
}

TEST_F(ServerOnTheWire, AnswersValidJsonToWhatIsNoUtf8) {
  const auto [reply, closed] = Send("GET /roll?%ff=%zz HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.json()["detail"].Text(), HasSubstr("\xEF\xBF\xBD"));
}

TEST_F(ServerOnTheWire, SendsALargeReplyToAClientThatReadsLate) {
  HttpConnection connection(fixture_.port());
  connection.Send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto reply = connection.Read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->body.size(), kLarge);
  connection.Send("GET /roll HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(connection.Read().value().body, "rolled");
}

TEST_F(ServerOnTheWire, EndsARequestWhoseHeadersDoNotComeInTime) {
  HttpConnection connection(fixture_.port());
  connection.Send("GET /roll HTTP/1.1\r\nHos");
  const auto reply = connection.Read(5s);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 408);
  EXPECT_EQ(reply->Header("Content-Type"), "application/problem+json");
  EXPECT_TRUE(connection.ClosedByPeer(2s));
  EXPECT_THAT(fixture_.registry().Render(metrics::Format::kText),
              HasSubstr("http_requests_rejected_total{reason=\"timeout\"} 1\n"));
}

TEST_F(ServerOnTheWire, DoesNotGiveMoreTimeForEachByte) {
  HttpConnection connection(fixture_.port());
  const auto start = std::chrono::steady_clock::now();
  connection.Send("GET /roll HTTP/1.1\r\nX: ");
  while (!connection.ClosedByPeer(20ms) && connection.unread().empty()) {
    if (!connection.Send("a")) break;
    ASSERT_LT(std::chrono::steady_clock::now() - start, 5s);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
}

TEST_F(ServerOnTheWire, EndsARequestWhoseBodyDoesNotComeInTime) {
  HttpConnection connection(fixture_.port());
  connection.Send("POST /roll HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  const auto reply = connection.Read(5s);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 408);
}

TEST_F(ServerOnTheWire, ClosesAnIdleConnectionWithoutAWord) {
  HttpConnection connection(fixture_.port());
  connection.Send("GET /roll HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(connection.Read());
  EXPECT_TRUE(connection.ClosedByPeer(3s));
}

TEST_F(ServerOnTheWire, TellsOneConnectionTooManyAndServesAgainWhenOneCloses) {
  std::vector<std::unique_ptr<HttpConnection>> busy;
  for (std::size_t i = 0; i < Config().max_connections; ++i) {
    busy.push_back(std::make_unique<HttpConnection>(fixture_.port()));
    busy.back()->Request("GET", "/wait/a");
  }
  ASSERT_TRUE(fixture_.WaitForRequests(20));
  HttpConnection one_more(fixture_.port());
  const auto refused = one_more.Read(5s);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(refused->Header("Retry-After"), "1");
  busy.clear();
  EXPECT_TRUE(support::Eventually([this] { return support::Get(fixture_.port(), "/roll").status == 200; }));
}

}  // namespace
}  // namespace obs::http
