// What a client makes of the answers of another service, proper or not: fault P4.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <list>
#include <thread>

#include "obs/http/client.h"
#include "server_fixture.h"
#include "support/fake_server.h"
#include "support/gate.h"
#include "support/scope.h"

namespace obs::http {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using support::FakeReply;
using support::FakeRequest;
using support::FakeServer;
using testing::ElementsAre;
using testing::HasSubstr;

/// A client on the test's own thread.
class Caller {
 public:
  explicit Caller(const std::string& url, std::chrono::milliseconds timeout = support::kPatience)
      : client_(Config(url, timeout), metrics_.telemetry()) {}

  ClientResponse Send(ClientRequest request) {
    return local_.Run(client_.Send(std::move(request), local_.scope()));
  }
  /// The body, or the failure and its type.
  std::string Try(ClientRequest request) {
    try {
      return Send(std::move(request)).body;
    } catch (const ClientError& error) {
      EXPECT_FALSE(error.cause().empty());
      return std::string(Name(error.failure())) + ' ' + error.type();
    }
  }
  std::string Try(std::string target) { return Try(ClientRequest(std::move(target))); }
  double Calls(const std::string& status) const {
    return metrics_.Metric("http_client_request_duration_seconds_count", {{"status", status}});
  }
  support::LocalScope& local() { return local_; }
  Client& client() { return client_; }

 private:
  static ClientConfig Config(const std::string& url, std::chrono::milliseconds timeout) {
    ClientConfig config;
    config.base_url = url;
    config.peer = "upstream";
    config.timeout = timeout;
    config.max_body_bytes = 4000;
    return config;
  }

  ServerFixture metrics_;  ///< not started
  support::LocalScope local_{metrics_.telemetry()};
  Client client_;
};

FakeReply Raw(std::string bytes, bool keep = false) {
  FakeReply reply;
  reply.raw = std::move(bytes);
  reply.keep = keep;
  return reply;
}

struct Improper {
  std::string name;
  std::string answer;
};

class ClientRefuses : public testing::TestWithParam<Improper> {};

TEST_P(ClientRefuses, AnImproperAnswerAndWorksOn) {
  std::atomic<bool> proper{false};
  FakeServer upstream(
      [&proper](const FakeRequest&) { return proper ? FakeReply{} : Raw(GetParam().answer); });
  Caller caller(upstream.url());
  EXPECT_EQ(caller.Try("/"), "invalid upstream-invalid");
  EXPECT_EQ(caller.Calls("invalid"), 1);
  proper = true;
  EXPECT_EQ(caller.Try("/"), "{}");
}

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

INSTANTIATE_TEST_SUITE_P(
    Table, ClientRefuses,
    testing::Values(
        Improper{"HeadWithoutItsEmptyLine", kOk}, Improper{"HeadCutOff", "HTTP/1.1 200"},
        Improper{"BodyCutOff", kOk + "Content-Length: 10\r\n\r\n{\"a\":"},
        Improper{"BodyMissing", kOk + "Content-Length: 10\r\n\r\n"},
        Improper{"ChunksCutOff", kOk + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n"},
        Improper{"ChunkCutOff", kOk + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\""},
        Improper{"TwoLengths", kOk + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "},
        Improper{"LengthAndChunked",
                 kOk + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"},
        Improper{"Status999", "HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n{}"},
        Improper{"SwitchingProtocols", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"},
        Improper{"Garbage", "nothing that is HTTP\r\n\r\n"}, Improper{"OneByte", "x"},
        Improper{"Http2", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"},
        Improper{"Oversized", kOk + "Content-Length: 5000\r\n\r\n" + std::string(5000, 'x')},
        Improper{"OversizedToTheEnd", kOk + "\r\n" + std::string(5000, 'x')},
        Improper{"OversizedInChunks", kOk + "Transfer-Encoding: chunked\r\n\r\n1388\r\n" +
                                          std::string(5000, 'x') + "\r\n0\r\n\r\n"},
        Improper{"OversizedHeaders",
                 kOk + "X: " + std::string(20'000, 'x') + "\r\nContent-Length: 2\r\n\r\n{}"},
        Improper{"BareLineFeeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"},
        Improper{"InterimAlone", "HTTP/1.1 100 Continue\r\n\r\n"},
        Improper{"ControlInContentType",
                 "HTTP/1.1 200 OK\r\nContent-Type: a\x1b[31m\r\nContent-Length: 2\r\n\r\n{}"}),
    [](const auto& test) { return test.param.name; });

TEST(ClientAnswer, RefusesAConnectionThatIsClosedWithoutAByte) {
  // The first look at the listener's backlog closes it.
  support::Fd listener = support::BindLoopback();
  ::listen(listener.get(), 16);
  std::thread closer([&listener] {
    const support::Fd socket(::accept(listener.get(), nullptr, nullptr));
    support::WaitReadable(socket.get(), support::kPatience);
  });
  Caller caller("http://127.0.0.1:" + std::to_string(support::PortOf(listener)));
  EXPECT_EQ(caller.Try("/"), "invalid upstream-invalid");
  closer.join();
}

TEST(ClientAnswer, TakesEveryProperForm) {
  const std::vector<std::string> forms = {
      kOk + "Content-Length: 2\r\n\r\n{}", kOk + "\r\n{}",
      kOk + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\n" + kOk + "Content-Length: 2\r\n\r\n{}", "HTTP/1.0 200 OK\r\n\r\n{}"};
  FakeServer upstream(
      [&forms](const FakeRequest& request) { return Raw(forms.at(request.target.size() - 1)); });
  Caller caller(upstream.url());
  for (std::size_t i = 0; i < forms.size(); ++i)
    EXPECT_EQ(caller.Try("/" + std::string(i, 'x')), "{}") << forms[i];
}

TEST(ClientAnswer, GivesWhatTheHeadersSay) {
  FakeServer upstream([](const FakeRequest&) {
    return Raw(
        "HTTP/1.1 503 Busy\r\nContent-Type: application/problem+json\r\nContent-Encoding: gzip\r\n"
        "Retry-After: 7\r\nContent-Length: 0\r\n\r\n");
  });
  Caller caller(upstream.url());
  const ClientResponse response = caller.Send(ClientRequest("/"));
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.content_type, "application/problem+json");
  EXPECT_EQ(response.content_encoding, "gzip");
  EXPECT_EQ(response.retry_after, 7s);
}

TEST(ClientAnswer, KeepsAConnectionOnlyWhenNothingStandsBehindTheAnswer) {
  FakeServer upstream([](const FakeRequest& request) {
    if (request.target == "/proper") return Raw(kOk + "Content-Length: 2\r\n\r\n{}", true);
    if (request.target == "/close")
      return Raw(kOk + "Connection: close\r\nContent-Length: 2\r\n\r\n{}", true);
    return Raw(kOk + "Content-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen", true);
  });
  Caller caller(upstream.url());
  EXPECT_EQ(caller.Try("/proper"), "{}");
  EXPECT_EQ(caller.Try("/proper"), "{}");
  EXPECT_EQ(upstream.connections(), 1U);
  EXPECT_EQ(caller.Try("/more"), "{}");
  EXPECT_EQ(caller.Try("/proper"), "{}") << "not what stood behind the other's answer";
  EXPECT_EQ(upstream.connections(), 2U);
  EXPECT_EQ(caller.Try("/close"), "{}");
  EXPECT_EQ(caller.Try("/proper"), "{}");
  EXPECT_EQ(upstream.connections(), 3U);
}

TEST(ClientAnswer, KeepsAConnectionAfterAnAnswerOfExactlyOneRead) {
  const std::string head = kOk + "Content-Length: ";
  const std::string body(16384 - head.size() - 9, 'x');
  const std::string answer = head + std::to_string(body.size()) + "\r\n\r\n" + body;
  ServerFixture metrics;
  FakeServer upstream([&answer](const FakeRequest&) { return Raw(answer, true); });
  ClientConfig config;
  config.base_url = upstream.url();
  config.peer = "upstream";
  Client client(config, metrics.telemetry());
  support::LocalScope local;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(local.Run(client.Send(ClientRequest("/"), local.scope())).body.size(), body.size());
  }
  EXPECT_EQ(upstream.connections(), 1U);
}

/// Answers once on each connection and closes it when the next request has come.
class ForgetfulServer {
 public:
  ForgetfulServer() {
    ::listen(listener_.get(), 16);
    thread_ = std::thread([this] { Run(); });
  }
  ~ForgetfulServer() {
    stopping_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(support::PortOf(listener_)); }
  int requests() const { return requests_; }

 private:
  void Run() {
    while (!stopping_) {
      support::HttpConnection connection(
          support::Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
      if (!connection.connected() || !connection.Read(support::kPatience, true)) continue;
      ++requests_;
      connection.Send(kOk + "Content-Length: 2\r\n\r\n{}");
      if (connection.Read(support::kPatience, true)) ++requests_;
    }
  }

  support::Fd listener_ = support::BindLoopback();
  std::atomic<bool> stopping_{false};
  std::atomic<int> requests_{0};
  std::thread thread_;
};

TEST(ClientAnswer, SendsAnIdempotentRequestOnceMoreWhenItsKeptConnectionEnds) {
  ForgetfulServer upstream;
  Caller caller(upstream.url());
  EXPECT_EQ(caller.Try("/"), "{}");
  EXPECT_EQ(caller.Try("/"), "{}");
  EXPECT_EQ(upstream.requests(), 3);
}

TEST(ClientAnswer, SendsNoOtherRequestTwice) {
  ForgetfulServer upstream;
  Caller caller(upstream.url());
  EXPECT_EQ(caller.Try("/"), "{}");
  EXPECT_EQ(caller.Try(ClientRequest("/", Method::kPost, "once")), "invalid upstream-invalid");
  EXPECT_EQ(upstream.requests(), 2);
}

TEST(ClientAnswer, SendsWhatItWasGivenAndNothingThatBreaksTheMessage) {
  FakeServer upstream([](const FakeRequest&) { return FakeReply{}; });
  Caller caller(upstream.url() + "/base");
  ClientRequest request("/path?a=b", Method::kPost, "content");
  request.content_type = "text/plain";
  request.headers = {{"X-Good", "a b"}, {"X-Bad", "a\r\nX-Added: 1"}, {"X Bad", "a"}};
  EXPECT_EQ(caller.Try(std::move(request)), "{}");
  const FakeRequest seen = upstream.requests().at(0);
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.target, "/base/path?a=b");
  EXPECT_EQ(seen.body, "content");
  EXPECT_EQ(seen.Header("Content-Type"), "text/plain");
  EXPECT_EQ(seen.Header("Host"), "127.0.0.1:" + std::to_string(upstream.port()));
  EXPECT_EQ(seen.Header("X-Good"), "a b");
  for (const auto* name : {"X-Bad", "X-Added", "X Bad"}) EXPECT_EQ(seen.Header(name), "");
}

TEST(ClientAnswer, SendsNoTargetThatBreaksTheRequestLine) {
  FakeServer upstream([](const FakeRequest&) { return FakeReply{}; });
  Caller caller(upstream.url());
  for (const auto* target : {"", "no-slash", "/a b", "/a\r\nX: 1", "/\x7f", "/\xc3\xa4"}) {
    EXPECT_EQ(caller.Try(std::string(target)), "refused upstream-unreachable") << target;
  }
  EXPECT_TRUE(upstream.requests().empty());
}

TEST(ClientAnswer, GivesUpOnAnAnswerThatStopsHalfway) {
  FakeServer upstream([](const FakeRequest&) { return Raw(kOk + "Content-Length: 10\r\n\r\n{", true); });
  Caller caller(upstream.url(), 200ms);
  EXPECT_EQ(caller.Try("/"), "timeout upstream-timeout");
}

TEST(ClientAnswer, FindsAHostByItsName) {
  FakeServer upstream([](const FakeRequest&) { return FakeReply{}; });
  Caller caller("http://localhost:" + std::to_string(upstream.port()));
  EXPECT_EQ(caller.Try("/"), "{}");
  Caller stranger("http://no-such-host.invalid:80");
  EXPECT_EQ(stranger.Try("/"), "refused upstream-unreachable");
}

/// Sends a call and keeps what came of it.
async::Task<void> Keep(Client& client, Scope& scope, std::string target, std::vector<std::string>& outcomes) {
  try {
    const ClientResponse response = co_await client.Send(ClientRequest(target), scope);
    outcomes.push_back(target + " " + std::to_string(response.status));
  } catch (const ClientError& error) {
    outcomes.push_back(target + " " + error.type());
  }
}

class NobodyListens final : public async::Root::Listener {
 public:
  void OnFinished() override {}
};

TEST(ClientAnswer, EndsACallThatIsCancelled) {
  support::Gate gate;
  ServerFixture upstream;
  upstream.server().Get("/wait", [&gate](const Request&, Scope& scope) -> async::Task<Response> {
    co_await gate.Pass(scope.loop());
    co_return Response{};
  });
  upstream.server().Start();
  Caller caller("http://127.0.0.1:" + std::to_string(upstream.port()));
  std::vector<std::string> outcomes;
  NobodyListens listener;
  {
    async::Root root;
    root.Start(Keep(caller.client(), caller.local().scope(), "/wait", outcomes), listener);
    const auto tick = [](async::Loop& loop) -> async::Task<void> {
      for (;;) co_await async::Sleep(loop, 5ms);
    };
    caller.local().loop().Spawn(tick(caller.local().loop()));
    caller.local().standalone().RunUntil([&] { return upstream.Metric("http_requests_in_progress") == 1; });
  }
  EXPECT_TRUE(outcomes.empty());
  EXPECT_EQ(caller.Calls("cancelled"), 1);
  EXPECT_TRUE(support::Eventually([&] { return upstream.Cancelled("client_left") == 1; }))
      << "the upstream learns of it";
}

/// Some calls at once on one loop.
class LimitTest : public testing::Test {
 protected:
  Client& Make(const FakeServer& upstream, std::size_t concurrent, std::size_t waiting,
               std::chrono::milliseconds timeout = support::kPatience) {
    ClientConfig config;
    config.base_url = upstream.url();
    config.peer = "upstream";
    config.timeout = timeout;
    config.max_concurrent = concurrent;
    config.max_waiting = waiting;
    return clients_.emplace_back(config, Telemetry::None());
  }
  void Call(Client& client, std::string target) {
    local_.loop().Spawn(Keep(client, local_.scope(), std::move(target), outcomes_));
  }
  void RunUntil(const std::function<bool()>& done) {
    const auto tick = [](async::Loop& loop) -> async::Task<void> {
      for (;;) co_await async::Sleep(loop, 5ms);
    };
    local_.loop().Spawn(tick(local_.loop()));
    support::Stopwatch watch;
    local_.standalone().RunUntil([&] { return done() || watch.elapsed() > support::kPatience; });
    EXPECT_TRUE(done());
  }

  std::list<Client> clients_;  ///< they outlive the calls, which end with the loop
  std::vector<std::string> outcomes_;
  support::LocalScope local_;
};

FakeReply Hang() {
  FakeReply reply;
  reply.hang = true;
  return reply;
}

TEST_F(LimitTest, AHungServiceHoldsNoMoreCallsThanItsLimitAndNoOthers) {
  FakeServer hung([](const FakeRequest&) { return Hang(); });
  FakeServer healthy([](const FakeRequest&) { return FakeReply{}; });
  Client& to_hung = Make(hung, 2, 100);
  Client& to_healthy = Make(healthy, 2, 100);
  for (int i = 0; i < 10; ++i) Call(to_hung, "/hung");
  for (int i = 0; i < 10; ++i) Call(to_healthy, "/healthy");
  RunUntil([this] { return outcomes_.size() == 10; });
  EXPECT_THAT(outcomes_, testing::Each(std::string("/healthy 200")));
  RunUntil([&hung] { return hung.requests().size() == 2; });
  EXPECT_EQ(hung.connections(), 2U);
}

TEST_F(LimitTest, CallsWaitForTheirTurnInOrder) {
  FakeServer upstream([](const FakeRequest&) { return FakeReply{}; });
  Client& client = Make(upstream, 1, 100);
  for (const auto* target : {"/1", "/2", "/3", "/4", "/5"}) Call(client, target);
  RunUntil([this] { return outcomes_.size() == 5; });
  EXPECT_THAT(outcomes_, ElementsAre("/1 200", "/2 200", "/3 200", "/4 200", "/5 200"));
  EXPECT_EQ(upstream.connections(), 1U);
}

TEST_F(LimitTest, RefusesACallWhenTooManyWait) {
  FakeServer hung([](const FakeRequest&) { return Hang(); });
  Client& client = Make(hung, 1, 2);
  for (const auto* target : {"/runs", "/waits", "/waits", "/refused"}) Call(client, target);
  EXPECT_THAT(outcomes_, ElementsAre("/refused upstream-overloaded"));
}

TEST_F(LimitTest, ACallThatWaitsForItsTurnIsLateAtItsDeadline) {
  FakeServer hung([](const FakeRequest&) { return Hang(); });
  Client& client = Make(hung, 1, 10, 150ms);
  Call(client, "/runs");
  Call(client, "/waits");
  RunUntil([this] { return outcomes_.size() == 2; });
  EXPECT_THAT(outcomes_, testing::UnorderedElementsAre("/runs upstream-timeout", "/waits upstream-timeout"));
}

TEST_F(LimitTest, ACancelledCallGivesItsTurnToTheNextAndLeavesTheQueue) {
  std::atomic<bool> hang{true};
  FakeServer upstream([&hang](const FakeRequest&) { return hang ? Hang() : FakeReply{}; });
  Client& client = Make(upstream, 1, 2);
  NobodyListens listener;
  auto runs = std::make_unique<async::Root>();
  auto waits = std::make_unique<async::Root>();
  runs->Start(Keep(client, local_.scope(), "/runs", outcomes_), listener);
  waits->Start(Keep(client, local_.scope(), "/waits", outcomes_), listener);
  Call(client, "/last");
  RunUntil([&upstream] { return upstream.requests().size() == 1; });
  waits.reset();
  Call(client, "/next");
  EXPECT_TRUE(outcomes_.empty()) << "one has left, so one more may wait";
  hang = false;
  runs.reset();
  RunUntil([this] { return outcomes_.size() == 2; });
  EXPECT_THAT(outcomes_, ElementsAre("/last 200", "/next 200"));
}

/// A handler that calls a service which hangs.
class RelayTest : public testing::Test {
 protected:
  RelayTest() : hung_([](const FakeRequest&) { return Hang(); }) {
    ClientConfig config;
    config.base_url = hung_.url();
    config.peer = "upstream";
    config.timeout = 60s;
    client_ = std::make_unique<Client>(config, relay_.telemetry());
    relay_.Answer("/livez", "alive");
    relay_.server().Get("/relay", [this](const Request&, Scope& scope) -> async::Task<Response> {
      const support::Alive alive(alive_);
      const ClientResponse answer = co_await client_->Send(ClientRequest("/"), scope);
      Response response;
      response.body = answer.body;
      co_return response;
    });
    relay_.server().Start();
  }
  ~RelayTest() override { relay_.DestroyServer(); }  // the client must outlive every call

  void Ask(int count) {
    for (int i = 0; i < count; ++i) {
      waiting_.emplace_back(relay_.port());
      waiting_.back().Request("GET", "/relay");
    }
    ASSERT_TRUE(support::Eventually([&] { return alive_ == count; }));
    ASSERT_TRUE(support::Eventually([&] {
      return relay_.Metric("requests_waiting", {{"for", "upstream"}}) == count;
    }));
  }

  FakeServer hung_;
  std::atomic<int> alive_{0};
  ServerFixture relay_;
  std::unique_ptr<Client> client_;
  std::vector<support::HttpConnection> waiting_;
};

TEST_F(RelayTest, ALeavingClientEndsTheCallsOfItsRequest) {
  Ask(20);
  for (auto& connection : waiting_) support::Reset(connection.Release());
  EXPECT_TRUE(support::Eventually([this] { return alive_ == 0; }));
  EXPECT_EQ(relay_.Metric("requests_waiting", {{"for", "upstream"}}), 0);
  EXPECT_EQ(relay_.Metric("http_client_request_duration_seconds_count", {{"status", "cancelled"}}), 20);
}

TEST_F(RelayTest, TheEndOfTheServerEndsAllCalls) {
  Ask(20);
  relay_.DestroyServer();
  EXPECT_EQ(alive_, 0);
  client_.reset();
}

TEST_F(RelayTest, AStopCancelsCallsAndAnswers) {
  Ask(20);
  EXPECT_FALSE(relay_.server().Stop(200ms));
  EXPECT_EQ(alive_, 0);
  for (auto& connection : waiting_) EXPECT_EQ(connection.Read().value().status, 503);
}

TEST_F(RelayTest, OthersAreAnsweredMeanwhile) {
  Ask(300);  // more than may call at once
  for (int i = 0; i < 10; ++i) EXPECT_EQ(support::Get(relay_.port(), "/livez").status, 200);
  EXPECT_LE(hung_.connections(), ClientConfig{}.max_concurrent);
}

}  // namespace
}  // namespace obs::http
