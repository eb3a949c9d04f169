#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <vector>

#include "server_fixture.h"
#include "support/gate.h"
#include "support/http_client.h"

namespace obs::http {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class ServerUnderOverload : public testing::Test {
 protected:
  static constexpr int kWaiting = 100;

  ServerUnderOverload() {
    fixture_.Answer("/livez", "alive");
    fixture_.server().Get("/hang", [this](const Request&, Scope& scope) -> async::Task<Response> {
      const support::Alive alive(alive_);
      co_await gate_.Pass(scope.loop());
      co_return Response{};
    });
    fixture_.server().Start();
  }

  void LetManyWait() {
    for (int i = 0; i < kWaiting; ++i) {
      hanging_.push_back(std::make_unique<support::HttpConnection>(fixture_.port()));
      hanging_.back()->Request("GET", "/hang");
    }
    ASSERT_TRUE(fixture_.WaitForRequests(kWaiting));
  }

  support::Gate gate_;
  std::atomic<int> alive_{0};
  ServerFixture fixture_;
  std::vector<std::unique_ptr<support::HttpConnection>> hanging_;
};

TEST_F(ServerUnderOverload, AnswersOtherRoutesWhileManyRequestsWait) {
  LetManyWait();
  for (int i = 0; i < 20; ++i) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(support::Get(fixture_.port(), "/livez").status, 200);
    EXPECT_LT(std::chrono::steady_clock::now() - start, 1s);
  }
}

TEST_F(ServerUnderOverload, LosesNothingThatWaits) {
  LetManyWait();
  gate_.Open();
  for (auto& connection : hanging_) {
    const auto reply = connection->Read();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200);
  }
}

TEST_F(ServerUnderOverload, FinishesWhatIsUnderWayWhenStopped) {
  LetManyWait();
  const std::uint16_t port = fixture_.port();
  auto stopped =
      std::async(std::launch::async, [this] { return fixture_.server().Stop(support::kPatience); });
  ASSERT_TRUE(support::Eventually([port] { return !support::HttpConnection(port).connected(); }));
  gate_.Open();
  for (auto& connection : hanging_) {
    const auto reply = connection->Read();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200);
    EXPECT_EQ(reply->Header("Connection"), "close");
  }
  EXPECT_TRUE(stopped.get());
}

TEST_F(ServerUnderOverload, CancelsWhatOutlivesTheDrainAndSaysSo) {
  LetManyWait();
  auto stopped = std::async(std::launch::async, [this] { return fixture_.server().Stop(500ms); });
  for (auto& connection : hanging_) {
    const auto reply = connection->Read();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 503);
    EXPECT_EQ(reply->json()["type"].Text(), "urn:problem-type:stopping");
    EXPECT_EQ(reply->Header("Connection"), "close");
  }
  EXPECT_FALSE(stopped.get());
  EXPECT_EQ(alive_, 0) << "no handler runs any more when Stop() returns";
  EXPECT_EQ(fixture_.Cancelled("drain"), kWaiting);
}

TEST_F(ServerUnderOverload, LeavesNoHandlerWhenItIsDestroyed) {
  LetManyWait();
  fixture_.DestroyServer();
  EXPECT_EQ(alive_, 0);
  gate_.Open();  // wakes nobody, and touches nothing that is gone
}

}  // namespace
}  // namespace obs::http
