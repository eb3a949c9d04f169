// No reply may reach a client that did not ask for it, whatever other clients do to their connections.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include "server_fixture.h"
#include "support/http_client.h"
#include "support/sanitized.h"

namespace obs::http {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""us;
using support::HttpConnection;

/// Answers with what it was asked, after a moment.
void HandleEcho(Server& server) {
  server.Get("/echo/{text}", [](const Request& request, Scope& scope) -> async::Task<Response> {
    thread_local std::minstd_rand random{std::random_device{}()};
    co_await scope.Sleep((random() % 400) * 1us);  // while the client may leave
    Response response;
    response.body = request.PathParameter("text");
    co_return response;
  });
}

TEST(ServerReplies, NeverReachAnotherClient) {
  constexpr int kClients = 32;
  constexpr int kReplies = support::kSanitized ? 3000 : 20000;
  ServerFixture fixture;
  HandleEcho(fixture.server());
  fixture.server().Start();

  std::atomic<int> replies = 0;
  std::atomic<int> mismatches = 0;
  std::atomic<int> aborted = 0;
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  const auto running = [&] { return replies < kReplies && std::chrono::steady_clock::now() < deadline; };
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      for (int round = 0; running(); ++round) {
        const std::string name = std::to_string(client) + "-" + std::to_string(round);
        {
          HttpConnection leaver(fixture.port());
          leaver.Request("GET", "/echo/abort-" + name);
          ++aborted;  // gone before the reply, and its descriptor is free for the next one to connect
        }
        HttpConnection connection(fixture.port());
        for (int i = 0; i < 3; ++i) {
          const std::string text = name + "-" + std::to_string(i);
          connection.Request("GET", "/echo/" + text);
          const auto reply = connection.Read(5s);
          if (!reply) break;
          if (reply->status == 503) continue;
          ++replies;
          if (reply->body != text) ++mismatches;
        }
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(mismatches, 0) << "of " << replies << " replies";
  EXPECT_GE(replies, kReplies);
  EXPECT_GT(aborted, kReplies / 100);
}

}  // namespace
}  // namespace obs::http
