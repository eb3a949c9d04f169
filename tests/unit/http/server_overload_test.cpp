#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>
#include <vector>

#include "server_fixture.h"
#include "support/http_client.h"

namespace obs::http {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class ServerUnderOverload : public testing::Test {
 protected:
  static constexpr std::size_t kWorkers = 4;
  static constexpr std::size_t kQueue = 2;

  ServerUnderOverload() : released_(release_.get_future().share()), fixture_(Config()) {
    fixture_.HandleInline("/livez", "alive");
    fixture_.server().Handle(Method::kGet, "/hang", Execution::kMayBlock,
                             [released = released_](const Request&, Exchange&) {
                               released.wait();
                               return Response{};
                             });
    fixture_.server().Start();
  }
  ~ServerUnderOverload() override {
    if (!is_released_) Release();
  }

  static ServerConfig Config() {
    ServerConfig config;
    config.worker_threads = kWorkers;
    config.worker_queue = kQueue;
    return config;
  }

  void FillWorkersAndQueue() {
    for (std::size_t i = 0; i < kWorkers + kQueue; ++i) {
      hanging_.push_back(std::make_unique<support::HttpConnection>(fixture_.port()));
      hanging_.back()->Request("GET", "/hang");
    }
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    const std::string wanted = "http_requests_in_progress " + std::to_string(kWorkers + kQueue) + "\n";
    while (fixture_.registry().Render(metrics::Format::kText).find(wanted) == std::string::npos) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::yield();
    }
  }

  void Release() {
    is_released_ = true;
    release_.set_value();
  }

  std::promise<void> release_;
  std::shared_future<void> released_;
  bool is_released_ = false;
  ServerFixture fixture_;
  std::vector<std::unique_ptr<support::HttpConnection>> hanging_;
};

TEST_F(ServerUnderOverload, AnswersInlineRoutesWhileEveryWorkerIsStuck) {
  FillWorkersAndQueue();
  for (int i = 0; i < 20; ++i) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(support::Get(fixture_.port(), "/livez").status, 200);
    EXPECT_LT(std::chrono::steady_clock::now() - start, 100ms);
  }
}

TEST_F(ServerUnderOverload, RefusesAtOnceWhenTheQueueIsFullAndLosesNothingThatWaits) {
  FillWorkersAndQueue();
  const auto start = std::chrono::steady_clock::now();
  const auto refused = support::Get(fixture_.port(), "/hang");
  EXPECT_LT(std::chrono::steady_clock::now() - start, 100ms);
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.Header("Retry-After"), "1");
  Release();
  for (auto& connection : hanging_) {
    const auto reply = connection->Read();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200);
  }
}

TEST_F(ServerUnderOverload, FinishesWhatIsUnderWayWhenStopped) {
  FillWorkersAndQueue();
  const std::uint16_t port = fixture_.port();
  auto stopped = std::async(std::launch::async, [this] { return fixture_.server().Stop(10s); });
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (support::HttpConnection(port).connected()) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
  Release();
  for (auto& connection : hanging_) {
    const auto reply = connection->Read();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200);
    EXPECT_EQ(reply->Header("Connection"), "close");
  }
  EXPECT_TRUE(stopped.get());
}

TEST_F(ServerUnderOverload, SaysThatItCutRequestsOff) {
  FillWorkersAndQueue();
  auto stopped = std::async(std::launch::async, [this] { return fixture_.server().Stop(300ms); });
  EXPECT_EQ(stopped.wait_for(50ms), std::future_status::timeout);
  // It ends while the handlers hang; only the server's destructor waits for them.
  EXPECT_FALSE(stopped.get());
  Release();
}

}  // namespace
}  // namespace obs::http
