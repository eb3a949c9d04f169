// What hangs, or has left, holds nothing that others need.
#include <gmock/gmock.h>

#include <csignal>
#include <string>
#include <vector>

#include "support/dice_system.h"
#include "support/parameter_name.h"
#include "support/sanitized.h"

namespace {

using namespace support;  // NOLINT(google-build-using-namespace)
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int kWaiting = 200;
/// What "at once" is, on a loaded machine.
constexpr auto kAtOnce = kSanitized ? 1000ms : 100ms;

/// A service whose upstream hangs, and clients that wait for it.
class HungUpstream : public testing::TestWithParam<std::string> {
 protected:
  HungUpstream()
      : hanging([](const FakeRequest& request) { return FakeReply{.hang = request.target != "/readyz"}; }),
        service(GetParam(), CommonEnvironment(nobody.url())) {
    service.Set("DIE_SERVICE_URL", hanging.url());
    service.Set("DICE_ROLLER_URL", hanging.url());
    service.Set("DRAIN_TIMEOUT", "0");
  }
  ~HungUpstream() override { service.Kill(); }

  void Wait() {
    service.StartReady();
    for (int i = 0; i < kWaiting; ++i) {
      connections.emplace_back(service.port());
      EXPECT_TRUE(connections.back().Request("GET", "/roll?die=fair"));
    }
    EXPECT_TRUE(Becomes([this] { return InProgress(); }, kWaiting));
  }
  /// Beside the scrape itself.
  double InProgress() const { return service.Metric("http_requests_in_progress") - 1; }
  std::string peer() const { return GetParam() == "frontend" ? "dice-roller" : "die-service"; }

  ReservedPort nobody;
  FakeServer hanging;
  ServiceUnderTest service;
  std::vector<HttpConnection> connections;
};

TEST_P(HungUpstream, LeavesProbesAndMetricsAtOnce) {
  Wait();
  for (int round = 0; round < 5; ++round) {
    for (const char* target : {"/livez", "/readyz", "/healthz", "/metrics", "/"}) {
      const Stopwatch stopwatch;
      EXPECT_EQ(service.Get(target).status, 200) << target;
      EXPECT_LE(stopwatch.elapsed(), kAtOnce) << target;
    }
  }
  EXPECT_EQ(service.Metric("requests_waiting", {{"for", peer()}}), kWaiting);
}

TEST_P(HungUpstream, IsNotWaitedForOnceTheClientHasLeft) {
  Wait();
  connections.clear();
  EXPECT_TRUE(Becomes([this] { return InProgress(); }, 0));
  EXPECT_EQ(service.Metric("http_requests_cancelled_total", {{"reason", "client_left"}}), kWaiting);
  EXPECT_EQ(service.Metric("requests_waiting", {{"for", peer()}}), 0);
  EXPECT_EQ(service.Metric("http_client_request_duration_seconds_count", {{"status", "cancelled"}}),
            kWaiting);
}

TEST_P(HungUpstream, IsNotWaitedForBeyondTheDeadline) {
  service.Set("HTTP_REQUEST_TIMEOUT", "300ms");
  service.StartReady();
  const HttpReply reply = service.Get("/roll?die=fair");
  EXPECT_EQ(reply.status, 503);
  EXPECT_THAT(reply.json()["type"].Text(), testing::AnyOf("urn:problem-type:deadline-exceeded",
                                                          "urn:problem-type:" + peer() + "-timeout"));
}

INSTANTIATE_TEST_SUITE_P(Services, HungUpstream, testing::Values("dice-roller", "frontend"),
                         ParameterName<std::string>);

TEST(SilentConnections, KeepNobodyOut) {
  DiceSystem system;
  system.die_service.Set("HTTP_MAX_CONNECTIONS", "100");
  system.die_service.Set("ADMIN_PORT", "0");
  system.die_service.StartReady();
  const auto admin = static_cast<std::uint16_t>(
      system.die_service.process().WaitForLog("Listening for administration")["port"].Number());
  std::vector<HttpConnection> silent;
  for (int i = 0; i < 300; ++i) silent.emplace_back(system.die_service.port());
  for (int round = 0; round < 5; ++round) {
    const Stopwatch stopwatch;
    EXPECT_EQ(Get(admin, "/livez").status, 200);
    EXPECT_LE(stopwatch.elapsed(), kAtOnce);
  }
  // Those that were turned away are closed when they have had the time to read why.
  const auto open = [admin] {
    return Value(ParseExposition(Get(admin, "/metrics").body), "http_connections");
  };
  EXPECT_LE(open(), 100 + 64);
  EXPECT_TRUE(Becomes(open, testing::Le(100)));
}

TEST(AdminPort, SaysMoreThanTheMainPort) {
  const ReservedPort nobody;
  DiceSystem system;
  system.dice_roller.Set("DIE_SERVICE_URL", nobody.url());
  system.dice_roller.Set("ADMIN_PORT", "0");
  system.dice_roller.Set("TRACE_BUFFER_BYTES", "100000");
  system.dice_roller.Start();
  const auto admin = static_cast<std::uint16_t>(
      system.dice_roller.process().WaitForLog("Listening for administration")["port"].Number());
  const std::string where = "refused";
  EXPECT_TRUE(Eventually([&] { return Get(admin, "/readyz").body.find(where) != std::string::npos; }));
  EXPECT_THAT(system.dice_roller.Get("/readyz").body, AllOf(HasSubstr("die-service"), Not(HasSubstr(where))));
  EXPECT_EQ(Get(admin, "/metrics").status, 200);
  EXPECT_EQ(system.dice_roller.Get("/metrics").status, 200);
  const std::string trace = system.dice_roller.Get("/").Header("traceresponse").substr(3, 32);
  EXPECT_TRUE(Eventually([&] { return Get(admin, "/traces/" + trace).status == 200; }));
  EXPECT_EQ(system.dice_roller.Get("/traces/" + trace).status, 404);
  EXPECT_EQ(Get(admin, "/roll?die=fair").status, 404);
}

TEST(AdminPort, MayHaveTheOperationalRoutesAlone) {
  DiceSystem system;
  system.die_service.Set("ADMIN_PORT", "0");
  system.die_service.StartReady();
  EXPECT_EQ(system.die_service.Stop(), 0);
  system.die_service.Set("HTTP_OPERATIONAL_ROUTES", "false");
  system.die_service.Start();
  const auto admin = static_cast<std::uint16_t>(
      system.die_service.process().WaitForLog("Listening for administration")["port"].Number());
  for (const char* target : {"/livez", "/readyz", "/healthz", "/metrics"}) {
    EXPECT_EQ(Get(admin, target).status, 200) << target;
    EXPECT_EQ(system.die_service.Get(target).status, 404) << target;
  }
}

TEST(AdminPort, ListsTheRequestsUnderWayAndWhatTheyAwait) {
  DiceSystem system;
  FakeServer hanging(
      [](const FakeRequest& request) { return FakeReply{.hang = request.target != "/readyz"}; });
  system.dice_roller.Set("DIE_SERVICE_URL", hanging.url());
  system.dice_roller.Set("ADMIN_PORT", "0");
  system.dice_roller.Set("DRAIN_TIMEOUT", "0");
  system.dice_roller.StartReady();
  const auto admin = static_cast<std::uint16_t>(
      system.dice_roller.process().WaitForLog("Listening for administration")["port"].Number());
  HttpConnection connection(system.dice_roller.port());
  connection.Request("GET", "/roll?die=fair");
  EXPECT_TRUE(Eventually([&] {
    const Json requests = Get(admin, "/requests").json()["requests"];
    return requests.Items().size() == 1 && requests.Items()[0]["awaiting"].Text() == "die-service";
  }));
  const Json request = Get(admin, "/requests").json()["requests"].Items()[0];
  EXPECT_EQ(request["method"].Text(), "GET");
  EXPECT_EQ(request["route"].Text(), "/roll");
  EXPECT_EQ(request["trace_id"].Text().size(), 32u);
  EXPECT_GE(request["age_ms"].Number(), 0);
  system.dice_roller.Kill();
}

TEST(Signals, ThatMeanNothingToAServiceAreHarmless) {
  DiceSystem system;
  system.die_service.StartReady();
  for (const int signal : {SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGPIPE}) {
    system.die_service.process().Signal(signal);
    EXPECT_EQ(system.die_service.Get("/dice").status, 200) << signal;
  }
  EXPECT_TRUE(system.die_service.running());
}

}  // namespace
