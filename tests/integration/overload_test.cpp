// A hung dependency takes the workers, not the service.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "support/dice_system.h"
#include "support/parameter_name.h"

namespace {

using namespace support;  // NOLINT(google-build-using-namespace)

class Overload : public testing::TestWithParam<std::string> {
 protected:
  Overload()
      : hanging([](const FakeRequest& request) { return FakeReply{.hang = request.target != "/readyz"}; }),
        service(GetParam(), CommonEnvironment(nobody.url())) {
    service.Set("DIE_SERVICE_URL", hanging.url());
    service.Set("DICE_ROLLER_URL", hanging.url());
    service.Set("HTTP_WORKER_THREADS", "2");
    service.Set("HTTP_WORKER_QUEUE", "3");
    service.Set("DRAIN_TIMEOUT", "0");
    service.StartReady();
    // Two requests take the workers, three fill the queue.
    for (int i = 0; i < 5; ++i) {
      connections.emplace_back(service.port());
      EXPECT_TRUE(connections.back().Request("GET", "/roll?die=fair"));
    }
    EXPECT_TRUE(Eventually([this] {
      return service.Metric("http_requests_in_progress") == 5 + 1 &&  // and the scrape itself
             service.Metric("http_worker_queue_length") == 3;
    }));
  }
  ~Overload() override { service.Kill(); }

  ReservedPort nobody;
  FakeServer hanging;
  ServiceUnderTest service;
  std::vector<HttpConnection> connections;
};

TEST_P(Overload, LeavesProbesAndMetricsAtOnce) {
  for (int round = 0; round < 5; ++round) {
    for (const char* target : {"/livez", "/readyz", "/healthz", "/metrics"}) {
      const Stopwatch stopwatch;
      EXPECT_EQ(service.Get(target).status, 200) << target;
      EXPECT_LE(stopwatch.elapsed(), 100ms) << target;
    }
  }
}

TEST_P(Overload, TurnsFurtherRequestsAwayAtOnce) {
  for (int round = 0; round < 5; ++round) {
    const Stopwatch stopwatch;
    const HttpReply reply = service.Get("/roll?die=fair");
    EXPECT_LE(stopwatch.elapsed(), 100ms);
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(reply.json()["type"].Text(), "urn:problem-type:overloaded");
    EXPECT_GE(std::stoi("0" + reply.Header("Retry-After")), 1);
  }
  EXPECT_TRUE(Becomes([this] { return service.Metric("http_requests_rejected_total"); }, 5));
  // And the scrape itself.
  EXPECT_TRUE(Becomes([this] { return service.Metric("http_requests_in_progress"); }, 5 + 1));
}

INSTANTIATE_TEST_SUITE_P(Services, Overload, testing::Values("dice-roller", "frontend"),
                         ParameterName<std::string>);

}  // namespace
