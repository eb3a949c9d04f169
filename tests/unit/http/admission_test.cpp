// What many clients, or clients that do not read, can take from the others: faults P1, P2, P6 and P7.

#include "obs/http/admission.h"

#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdlib>
#include <fstream>

#include "obs/http/client.h"
#include "server_fixture.h"
#include "support/gate.h"
#include "support/http_client.h"
#include "support/sanitized.h"
#include "support/scope.h"

namespace obs::http {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using support::ConnectLoopbackAs;
using support::Eventually;
using support::HttpConnection;

std::size_t DescriptorLimit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_max;
}

TEST(Admission, CountsConnectionsInAllAndOfEachAddress) {
  Admission admission(3, 2, 100);
  EXPECT_EQ(admission.Enter("a").verdict, Admission::Verdict::kAdmitted);
  const auto second = admission.Enter("a");
  EXPECT_EQ(second.verdict, Admission::Verdict::kAdmitted);
  EXPECT_EQ(second.address->connections, 2U);
  EXPECT_EQ(admission.Enter("a").verdict, Admission::Verdict::kShare);
  admission.Leave("a");
  EXPECT_EQ(admission.Enter("b").verdict, Admission::Verdict::kAdmitted);
  EXPECT_EQ(admission.Enter("c").verdict, Admission::Verdict::kFull);
  EXPECT_EQ(admission.connections(), 4U);
  for (const auto* address : {"a", "a", "b", "c"}) admission.Leave(address);
  admission.WaitUntilEmpty(0ms);
  EXPECT_EQ(admission.connections(), 0U);
  EXPECT_EQ(admission.Enter("a").address->connections, 1U) << "what is gone is forgotten";
}

TEST(Admission, HoldsNoMoreBytesThanItMay) {
  Admission admission(1, 1, 100);
  EXPECT_TRUE(admission.Hold(60));
  EXPECT_FALSE(admission.Hold(41));
  EXPECT_TRUE(admission.Hold(40));
  EXPECT_EQ(admission.pending_bytes(), 100U);
  admission.Release(60);
  EXPECT_TRUE(admission.Hold(10));
}

/// A server whose clients 127.0.0.2 and so on take its connections; the test asks as 127.0.0.1.
class CrowdedServer : public testing::Test {
 protected:
  static constexpr std::size_t kLarge = std::size_t{4} << 20;

  void Start(const ServerConfig& config) {
    fixture_ = std::make_unique<ServerFixture>(config);
    fixture_->Answer("/livez", "alive");
    fixture_->server().Get("/wait", [this](const Request&, Scope& scope) -> async::Task<Response> {
      const support::Alive alive(alive_);
      co_await gate_.Pass(scope.loop());
      co_return Response{};
    });
    fixture_->server().Get("/large", [](const Request&, Scope&) {
      Response response;
      response.body = std::string(kLarge, 'x');
      return response;
    });
    fixture_->server().Start();
  }
  void Start(std::size_t connections, std::size_t share) {
    ServerConfig config;
    config.max_connections = connections;
    config.max_connections_per_address = share;
    Start(config);
  }

  std::vector<HttpConnection> Connect(std::uint8_t client, std::size_t count) {
    std::vector<HttpConnection> connections;
    for (std::size_t i = 0; i < count; ++i) {
      connections.emplace_back(ConnectLoopbackAs(client, fixture_->port()));
      EXPECT_TRUE(connections.back().connected());
    }
    return connections;
  }
  /// Connects, and asks once on each, so that each is known to be accepted.
  std::vector<HttpConnection> ConnectAndAsk(std::uint8_t client, std::size_t count) {
    auto connections = Connect(client, count);
    for (HttpConnection& connection : connections) EXPECT_TRUE(Answers(connection));
    return connections;
  }
  static bool Answers(HttpConnection& connection) {
    if (!connection.Request("GET", "/livez")) return false;
    const auto reply = connection.Read();
    return reply && reply->status == 200;
  }

  support::Gate gate_;
  std::atomic<int> alive_{0};
  std::unique_ptr<ServerFixture> fixture_;
};

TEST_F(CrowdedServer, AnswersWhileAThousandConnectionsSayNothing) {
  Start(ServerConfig{});
  const auto silent = Connect(2, 1000);
  for (int i = 0; i < 10; ++i) {
    support::Stopwatch watch;
    EXPECT_EQ(support::Get(fixture_->port(), "/livez").status, 200);
    EXPECT_LT(watch.elapsed(), 2s);
  }
  // One client cannot have them all.
  EXPECT_GT(fixture_->Rejected("address_share"), 200);
}

TEST_F(CrowdedServer, LetsIdleConnectionsGiveWayWhenAllAreTaken) {
  Start(100, 100);
  auto idle = ConnectAndAsk(2, 100);
  EXPECT_EQ(fixture_->Rejected("evicted"), 0);
  EXPECT_EQ(support::Get(fixture_->port(), "/livez").status, 200);
  EXPECT_EQ(fixture_->Rejected("evicted"), 1);
  std::size_t closed = 0;
  for (HttpConnection& connection : idle) closed += connection.ClosedByPeer(0ms) ? 1 : 0;
  EXPECT_EQ(closed, 1U);
}

TEST_F(CrowdedServer, LetsConnectionsWithHalfARequestGiveWay) {
  Start(20, 20);
  auto half = ConnectAndAsk(2, 20);
  for (HttpConnection& connection : half) connection.Send("GET /li");
  EXPECT_EQ(support::Get(fixture_->port(), "/livez").status, 200);
  EXPECT_EQ(fixture_->Rejected("evicted"), 1);
}

TEST_F(CrowdedServer, ClosesTheConnectionThatWasServedLongestAgo) {
  ServerConfig config;
  config.io_threads = 1;
  config.max_connections = 3;
  config.max_connections_per_address = 3;
  Start(config);
  auto idle = ConnectAndAsk(2, 3);
  EXPECT_TRUE(Answers(idle[0]));
  EXPECT_EQ(support::Get(fixture_->port(), "/livez").status, 200);
  EXPECT_TRUE(idle[1].ClosedByPeer(support::kPatience));
  EXPECT_TRUE(Answers(idle[0]));
  EXPECT_TRUE(Answers(idle[2]));
}

TEST_F(CrowdedServer, NeverEndsABusyConnectionToMakeRoom) {
  Start(20, 20);
  auto busy = Connect(2, 20);
  for (HttpConnection& connection : busy) connection.Request("GET", "/wait");
  ASSERT_TRUE(fixture_->WaitForRequests(20));
  HttpConnection one_more(fixture_->port());
  const auto refused = one_more.Read();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(refused->json()["type"].Text(), "urn:problem-type:too-many-connections");
  EXPECT_EQ(refused->Header("Retry-After"), "1");
  EXPECT_TRUE(one_more.ClosedByPeer(support::kPatience));
  EXPECT_EQ(fixture_->Rejected("connections"), 1);
  EXPECT_EQ(fixture_->Rejected("evicted"), 0);
  EXPECT_EQ(alive_, 20);
  gate_.Open();
  for (HttpConnection& connection : busy) EXPECT_EQ(connection.Read().value().status, 200);
}

TEST_F(CrowdedServer, GivesAnAddressItsShareAndNoMore) {
  Start(100, 10);
  auto share = ConnectAndAsk(2, 10);
  HttpConnection one_more(ConnectLoopbackAs(2, fixture_->port()));
  const auto refused = one_more.Read();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(refused->json()["type"].Text(), "urn:problem-type:too-many-connections");
  EXPECT_EQ(fixture_->Rejected("address_share"), 1);
  EXPECT_EQ(fixture_->Rejected("evicted"), 0);
  EXPECT_EQ(support::Get(fixture_->port(), "/livez").status, 200) << "another address has a share of its own";
  for (HttpConnection& connection : share) EXPECT_TRUE(Answers(connection));
  share.pop_back();
  EXPECT_TRUE(Eventually([this] {
    HttpConnection next(ConnectLoopbackAs(2, fixture_->port()));
    return Answers(next);
  }));
}

TEST_F(CrowdedServer, TakesNothingFromAClientWithFewConnectionsForOneWithMany) {
  Start(40, 40);
  auto few = ConnectAndAsk(2, 3);
  const auto many = Connect(3, 37);
  const auto more = Connect(3, 50);
  ASSERT_TRUE(Eventually([this] { return fixture_->Metric("http_requests_rejected_total") == 50; }));
  EXPECT_GT(fixture_->Rejected("evicted"), 0);
  for (HttpConnection& connection : few) EXPECT_TRUE(Answers(connection));
}

TEST_F(CrowdedServer, GivesAnAddressThreeQuartersUnlessToldOtherwise) {
  Start(40, 0);
  auto share = ConnectAndAsk(2, 30);
  HttpConnection one_more(ConnectLoopbackAs(2, fixture_->port()));
  EXPECT_EQ(one_more.Read().value().status, 503);
  EXPECT_EQ(fixture_->Rejected("address_share"), 1);
}

/// Connects with small buffers and asks for more than the kernel keeps.
HttpConnection AskAndDoNotRead(std::uint16_t port) {
  HttpConnection connection(ConnectLoopbackAs(2, port, 4096));
  connection.Request("GET", "/large");
  return connection;
}

TEST_F(CrowdedServer, BoundsTheBytesOfRepliesThatNobodyReads) {
  ServerConfig config;
  config.max_pending_bytes = 10 << 20;
  Start(config);
  std::vector<HttpConnection> lazy;
  for (int i = 0; i < 20; ++i) lazy.push_back(AskAndDoNotRead(fixture_->port()));
  ASSERT_TRUE(Eventually([this] {
    return fixture_->Metric("http_requests_total", {{"route", "/large"}}) == 20;
  }));
  // Of replies of 4 MB two fit, or more if the kernel took a good part of them.
  EXPECT_TRUE(Eventually([this] { return fixture_->Rejected("pending_bytes") > 0; }));
  EXPECT_GT(fixture_->Metric("http_pending_bytes"), 0);
  EXPECT_LE(fixture_->Metric("http_pending_bytes"), 10 << 20);
  EXPECT_EQ(support::Get(fixture_->port(), "/livez").status, 200);

  // One whose reply is kept can still read all of it; one whose reply was dropped is closed.
  int whole = 0;
  for (HttpConnection& connection : lazy) {
    const auto reply = connection.Read();
    if (reply && reply->body.size() == kLarge) ++whole;
  }
  EXPECT_GE(whole, 1);
  EXPECT_EQ(whole, 20 - static_cast<int>(fixture_->Rejected("pending_bytes")));
  EXPECT_EQ(fixture_->Metric("http_pending_bytes"), 0);
}

TEST_F(CrowdedServer, ForgetsTheBytesOfClientsThatLeave) {
  ServerConfig config;
  config.max_pending_bytes = 10 << 20;
  Start(config);
  for (int round = 0; round < 5; ++round) {
    std::vector<HttpConnection> lazy;
    for (int i = 0; i < 5; ++i) lazy.push_back(AskAndDoNotRead(fixture_->port()));
    ASSERT_TRUE(Eventually([this] { return fixture_->Metric("http_pending_bytes") > 0; }));
    lazy.clear();
    ASSERT_TRUE(Eventually([this] { return fixture_->Metric("http_pending_bytes") == 0; }));
  }
}

TEST_F(CrowdedServer, ClosesOnAClientThatIsTooSlowToReadItsReply) {
  ServerConfig config;
  config.body_timeout = 300ms;
  Start(config);
  const HttpConnection lazy = AskAndDoNotRead(fixture_->port());
  ASSERT_TRUE(Eventually([this] { return fixture_->Metric("http_pending_bytes") > 0; }));
  EXPECT_TRUE(Eventually([this] { return fixture_->Metric("http_connections") == 0; }));
  EXPECT_EQ(fixture_->Metric("http_pending_bytes"), 0);
}

TEST_F(CrowdedServer, PromisesNoMoreConnectionsThanItHasDescriptorsFor) {
  constexpr std::size_t kLeft = 30;
  ASSERT_GT(DescriptorLimit(), 1000U);
  ServerConfig config;
  config.max_connections = DescriptorLimit();
  config.max_connections_per_address = DescriptorLimit();
  config.reserved_descriptors = DescriptorLimit() - 160 - kLeft;  // 160 are the server's own
  Start(config);
  auto idle = ConnectAndAsk(2, kLeft);
  EXPECT_EQ(fixture_->Rejected("evicted"), 0);
  auto one_more = ConnectAndAsk(2, 1);
  EXPECT_EQ(fixture_->Rejected("evicted"), 1);
  EXPECT_EQ(fixture_->Metric("http_connections"), kLeft);
}

std::size_t OpenDescriptors() {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc/self/fd"), ::closedir);
  std::size_t count = 0;
  while (::readdir(directory.get()) != nullptr) ++count;
  return count;
}

TEST_F(CrowdedServer, IsLeftByAClientWhoseIdleConnectionsItCloses) {
  ServerConfig config;
  config.idle_timeout = 200ms;
  Start(config);
  support::LocalScope local;
  ClientConfig client_config;
  client_config.base_url = "http://127.0.0.1:" + std::to_string(fixture_->port());
  client_config.peer = "upstream";
  Client client(client_config, Telemetry::None());
  const std::size_t before = OpenDescriptors();
  local.Run(client.Send(ClientRequest("/livez"), local.scope()));
  EXPECT_EQ(OpenDescriptors(), before + 2) << "both ends of a connection that is kept";
  local.loop().Spawn([](async::Loop& loop) -> async::Task<void> {
    for (;;) co_await async::Sleep(loop, 10ms);
  }(local.loop()));
  support::Stopwatch watch;
  local.standalone().RunUntil(
      [&] { return OpenDescriptors() == before || watch.elapsed() > support::kPatience; });
  EXPECT_EQ(OpenDescriptors(), before);
}

/// The most connections that may wait for a listening socket to accept them, as the kernel has it.
std::size_t BacklogOf(std::uint16_t port) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc/self/fd"), ::closedir);
  while (const dirent* entry = ::readdir(directory.get())) {
    const int fd = std::atoi(entry->d_name);
    int listening = 0;
    socklen_t size = sizeof listening;
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0) continue;
    sockaddr_in address{};
    size = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    if (ntohs(address.sin_port) != port) continue;
    tcp_info info{};
    size = sizeof info;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) return info.tcpi_sacked;
  }
  return 0;
}

TEST_F(CrowdedServer, LetsAsManyConnectionsWaitForAcceptanceAsTheKernelAllows) {
  std::ifstream file("/proc/sys/net/core/somaxconn");
  std::size_t most = 0;
  ASSERT_TRUE(file >> most);
  Start(ServerConfig{});
  EXPECT_EQ(BacklogOf(fixture_->port()), std::min<std::size_t>(most, 65535));
}

TEST_F(CrowdedServer, AnswersOthersWhileTenThousandRequestsWait) {
  const std::size_t wanted = support::kSanitized ? 2000 : 10'000;
  const std::size_t count =
      std::min(wanted, (DescriptorLimit() - 600) / 2);  // a client's and a server's end each
  ServerConfig config;
  config.max_connections = config.max_connections_per_address = count + 100;
  config.request_timeout = 120s;
  Start(config);
  std::vector<HttpConnection> waiting;
  for (std::size_t i = 0; i < count; ++i) {
    waiting.emplace_back(ConnectLoopbackAs(static_cast<std::uint8_t>(2 + i % 4), fixture_->port()));
    ASSERT_TRUE(waiting.back().connected()) << i;
    ASSERT_TRUE(waiting.back().Request("GET", "/wait"));
  }
  ASSERT_TRUE(fixture_->WaitForRequests(static_cast<double>(count)));
  EXPECT_EQ(alive_, static_cast<int>(count));
  for (int i = 0; i < 10; ++i) {
    support::Stopwatch watch;
    EXPECT_EQ(support::Get(fixture_->port(), "/livez").status, 200);
    EXPECT_LT(watch.elapsed(), 1s);
  }
  gate_.Open();
  for (HttpConnection& connection : waiting) {
    const auto reply = connection.Read();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200);
  }
  EXPECT_EQ(alive_, 0);
}

}  // namespace
}  // namespace obs::http
