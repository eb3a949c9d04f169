// SIGTERM under load: every request that a service took gets its whole answer.
#include <gmock/gmock.h>

#include <atomic>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "support/dice_system.h"
#include "support/parameter_name.h"

namespace {

using namespace support;  // NOLINT(google-build-using-namespace)

/// Clients that ask as fast as they can, half on connections kept alive, half on a new one each time.
class Load {
 public:
  Load(std::uint16_t port, std::string target) : port_(port), target_(std::move(target)) {
    for (int i = 0; i < 8; ++i) clients_.emplace_back([this, keep = i % 2 == 0] { Run(keep); });
  }
  ~Load() { Join(); }

  /// As when an endpoint leaves the load balancer: no new connections, those open go on until they are
  /// closed.
  void StopConnecting() { connecting_ = false; }
  void Join() {
    StopConnecting();
    for (std::thread& client : clients_) {
      if (client.joinable()) client.join();
    }
  }

  int answered() const { return answered_; }
  int lost() const { return lost_; }        ///< sent on an open connection, no complete answer
  int refused() const { return refused_; }  ///< no connection while there should be one
  int wrong() const { return wrong_; }      ///< answered with another status than 200

 private:
  void Run(bool keep) {
    while (connecting_) {
      HttpConnection connection(port_);
      if (!connection.connected()) {
        if (connecting_) ++refused_;
        continue;
      }
      bool open = true;
      while (open && !connection.ClosedByPeer(0ms)) {
        const bool sent =
            connection.Request("GET", target_, keep ? Headers{} : Headers{{"Connection", "close"}});
        const auto reply = connection.Read();
        if (!sent || !reply) {
          ++lost_;
          return;
        }
        ++answered_;
        if (reply->status != 200) ++wrong_;
        open = reply->Header("Connection") != "close";
      }
    }
  }

  const std::uint16_t port_;
  const std::string target_;
  std::atomic<bool> connecting_ = true;
  std::atomic<int> answered_ = 0;
  std::atomic<int> lost_ = 0;
  std::atomic<int> refused_ = 0;
  std::atomic<int> wrong_ = 0;
  std::vector<std::thread> clients_;
};

class Drain : public testing::TestWithParam<std::string> {
 protected:
  Drain() {
    for (ServiceUnderTest* candidate : system.services()) {
      candidate->Set("DRAIN_DELAY", "600ms");
      if (candidate->name() == GetParam()) service = candidate;
    }
  }
  std::string target() const { return GetParam() == "die-service" ? "/dice/fair" : "/roll?die=fair"; }

  DiceSystem system;
  ServiceUnderTest* service = nullptr;
};

TEST_P(Drain, LosesNoAcceptedRequest) {
  system.Start();
  Load load(service->port(), target());
  ASSERT_TRUE(Eventually([&] { return load.answered() > 100; }));
  const int before = load.answered();
  service->process().Signal(SIGTERM);
  ASSERT_TRUE(Eventually([&] { return service->Get("/readyz").status == 503; }));
  std::this_thread::sleep_for(200ms);  // while endpoints notice, new connections still come
  load.StopConnecting();
  load.Join();
  EXPECT_EQ(service->process().Wait(), 0);
  EXPECT_EQ(load.lost(), 0);
  EXPECT_EQ(load.refused(), 0);
  EXPECT_EQ(load.wrong(), 0);
  EXPECT_GT(load.answered(), before);
  RecordProperty("answered", load.answered());
}

INSTANTIATE_TEST_SUITE_P(Services, Drain, testing::Values("die-service", "dice-roller", "frontend"),
                         ParameterName<std::string>);

TEST(DrainOfLongRequests, WaitsForThemBeyondTheDelay) {
  DiceSystem system;
  system.dice_roller.Set("DICE_ROLL_TIME", "1500ms");
  system.dice_roller.Set("DRAIN_DELAY", "100ms");
  system.Start();
  std::vector<HttpConnection> connections;
  for (int i = 0; i < 20; ++i) {
    connections.emplace_back(system.dice_roller.port());
    ASSERT_TRUE(connections.back().Request("GET", "/roll?die=fair"));
  }
  ASSERT_TRUE(Eventually([&] { return system.dice_roller.Metric("http_requests_in_progress") >= 20; }));
  system.dice_roller.process().Signal(SIGTERM);
  for (HttpConnection& connection : connections) {
    const auto reply = connection.Read();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200);
    EXPECT_EQ(reply->Header("Connection"), "close");
    EXPECT_TRUE(connection.ClosedByPeer(5s));
  }
  EXPECT_EQ(system.dice_roller.process().Wait(), 0);
}

TEST(DrainOfLateRequests, AnswersOneWhoseLastByteComesWhenOthersAreDone) {
  DiceSystem system;
  system.dice_roller.Set("DRAIN_DELAY", "0ms");
  system.Start();
  HttpConnection connection(system.dice_roller.port());
  ASSERT_TRUE(connection.Send("GET /roll?die=fair HTTP/1.1\r\nHost: a\r\n"));
  ASSERT_TRUE(Eventually([&] { return system.dice_roller.Metric("http_connections") >= 2; }));
  system.dice_roller.process().Signal(SIGTERM);
  EXPECT_FALSE(connection.ClosedByPeer(600ms));
  ASSERT_TRUE(connection.Send("\r\n"));
  const auto reply = connection.Read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(system.dice_roller.process().Wait(), 0);
}

TEST(DrainOfLongRequests, CutsThemOffAtTheTimeoutAndSaysSo) {
  DiceSystem system;
  FakeServer hanging(
      [](const FakeRequest& request) { return FakeReply{.hang = request.target != "/readyz"}; });
  system.dice_roller.Set("DIE_SERVICE_URL", hanging.url());
  system.dice_roller.Set("DIE_SERVICE_TIMEOUT", "8s");
  system.dice_roller.Set("DRAIN_TIMEOUT", "300ms");
  system.dice_roller.StartReady();
  HttpConnection connection(system.dice_roller.port());
  connection.Request("GET", "/roll?die=fair");
  ASSERT_TRUE(Eventually(
      [&] { return !hanging.requests().empty() && hanging.requests().back().target != "/readyz"; }));
  const Stopwatch stopwatch;
  EXPECT_EQ(system.dice_roller.Stop(), 1);
  EXPECT_LT(stopwatch.elapsed(), 5s);
}

TEST(DrainOfIdleConnections, ClosesThemAtOnce) {
  DiceSystem system;
  system.die_service.Set("DRAIN_DELAY", "200ms");
  system.die_service.StartReady();
  HttpConnection idle(system.die_service.port());
  idle.Request("GET", "/dice");
  ASSERT_TRUE(idle.Read());
  HttpConnection silent(system.die_service.port());
  const Stopwatch stopwatch;
  EXPECT_EQ(system.die_service.Stop(), 0);
  EXPECT_LT(stopwatch.elapsed(), 5s);
  EXPECT_TRUE(idle.ClosedByPeer(0ms));
  EXPECT_TRUE(silent.ClosedByPeer(0ms));
}

}  // namespace
