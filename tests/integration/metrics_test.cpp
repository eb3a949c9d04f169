// /metrics as a real parser reads it, and exemplars that lead to a trace that exists.
#include <gmock/gmock.h>

#include <string>

#include "support/dice_system.h"

namespace {

using namespace support;  // NOLINT(google-build-using-namespace)
using testing::HasSubstr;

constexpr char kOpenMetrics[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";

class MetricsPage : public testing::Test {
 protected:
  void SetUp() override {
    system.dice_roller.Set("DICE_ROLL_TIME", "0");
    system.Start();
    system.frontend.Get("/roll?die=fair");
    system.frontend.Get("/roll?die=broken");
    system.frontend.Get("/roll?die=unknown");
    system.frontend.Get("/roll-async?die=extreme&times=20");
    system.frontend.Get("/dice");
    system.frontend.Get("/nothing");
  }
  DiceSystem system;
};

TEST_F(MetricsPage, IsTextByDefault) {
  for (ServiceUnderTest* service : system.services()) {
    SCOPED_TRACE(service->name());
    const HttpReply reply = service->Get("/metrics");
    EXPECT_EQ(reply.status, 200);
    EXPECT_THAT(reply.Header("Content-Type"), HasSubstr("text/plain; version=0.0.4"));
    EXPECT_FALSE(ParseByPrometheus(reply.body, "text").empty());
  }
}

TEST_F(MetricsPage, IsOpenMetricsWhenAskedFor) {
  for (ServiceUnderTest* service : system.services()) {
    SCOPED_TRACE(service->name());
    const HttpReply reply = service->Get("/metrics", {{"Accept", kOpenMetrics}});
    EXPECT_EQ(reply.status, 200);
    EXPECT_THAT(reply.Header("Content-Type"), HasSubstr("application/openmetrics-text; version=1.0.0"));
    EXPECT_TRUE(reply.body.ends_with("# EOF\n"));
    EXPECT_FALSE(ParseByPrometheus(reply.body, "openmetrics").empty());
  }
}

TEST_F(MetricsPage, LeadsFromALatencyToItsTrace) {
  for (const auto& [service, family] : std::vector<std::pair<ServiceUnderTest*, std::string>>{
           {&system.frontend, "http_request_duration_seconds"},
           {&system.frontend, "http_client_request_duration_seconds"},
           {&system.dice_roller, "die_service_request_duration_seconds"},
           {&system.die_service, "http_request_duration_seconds"}}) {
    SCOPED_TRACE(service->name() + " " + family);
    int exemplars = 0;
    for (const MetricFamily& metric :
         ParseExposition(service->Get("/metrics", {{"Accept", kOpenMetrics}}).body)) {
      for (const Sample& sample : metric.samples) {
        if (metric.name != family || sample.exemplar.empty()) continue;
        ++exemplars;
        const std::string trace_id = sample.exemplar.at("trace_id");
        const std::string span_id = sample.exemplar.at("span_id");
        EXPECT_TRUE(Eventually([&] {
          for (const Span& span : system.collector.SpansOf(trace_id)) {
            if (span.span_id == span_id) return true;
          }
          return false;
        })) << trace_id;
      }
    }
    EXPECT_GT(exemplars, 0);
  }
}

TEST_F(MetricsPage, CountsEachRequestOnce) {
  const auto metrics = system.frontend.Metrics();
  const auto count = [&](const char* route, const char* status) {
    return Value(metrics, "http_requests_total", {{"method", "GET"}, {"route", route}, {"status", status}});
  };
  EXPECT_EQ(count("/roll", "200"), 1);
  EXPECT_EQ(count("/roll", "500"), 1);
  EXPECT_EQ(count("/roll", "503"), 1);
  EXPECT_EQ(count("/roll-async", "200"), 1);
  EXPECT_EQ(Value(metrics, "http_request_duration_seconds_count", {{"route", "/roll"}}), 3);
  const auto rolls = system.dice_roller.Metrics();
  EXPECT_EQ(Value(rolls, "dice_rolls_total", {{"die", "fair"}, {"mode", "sync"}, {"result", "success"}}), 1);
  EXPECT_EQ(Value(rolls, "dice_rolls_total", {{"die", "extreme"}, {"mode", "async"}}), 20);
  EXPECT_EQ(Value(rolls, "dice_roll_results_total", {{"die", "fair"}}), 1);
  EXPECT_EQ(Value(rolls, "die_service_requests_total", {{"identifier", "fair"}, {"status", "200"}}), 1);
  EXPECT_EQ(Value(rolls, "die_service_requests_total", {{"identifier", "extreme"}, {"status", "200"}}), 1);
  EXPECT_EQ(Value(rolls, "die_service_request_duration_seconds_count"), 4);
  const auto dice = system.die_service.Metrics();
  EXPECT_EQ(Value(dice, "die_specifications_requested_total", {{"identifier", "extreme"}}), 1);
  EXPECT_EQ(Value(dice, "die_list_requests_total"), 1);
  EXPECT_EQ(Value(dice, "die_specifications_loaded"), 5);
}

TEST_F(MetricsPage, DoesNotGrowWithWhatCallersInvent) {
  for (int i = 0; i < 50; ++i) {
    const std::string name = "invented" + std::to_string(i);
    system.frontend.Get("/roll?die=" + name);
    system.frontend.Get("/" + name);
    Fetch(system.frontend.port(), "BREW" + std::to_string(i), "/roll");
  }
  for (ServiceUnderTest* service : system.services()) {
    EXPECT_THAT(service->Get("/metrics").body, testing::Not(HasSubstr("invented"))) << service->name();
    EXPECT_THAT(service->Get("/metrics").body, testing::Not(HasSubstr("BREW"))) << service->name();
  }
  EXPECT_EQ(system.die_service.Metric("die_specifications_requested_total", {{"identifier", "unknown"}}), 51);
  EXPECT_EQ(
      system.dice_roller.Metric("die_service_requests_total", {{"identifier", "unknown"}, {"status", "404"}}),
      51);
}

}  // namespace
