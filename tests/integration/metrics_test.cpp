// /metrics as a real parser reads it, and exemplars that lead to a trace that exists.
#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "support/dice_system.h"

namespace {

using namespace support;  // NOLINT(google-build-using-namespace)
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kOpenMetrics[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The exemplars of a family.
std::vector<Labels> Exemplars(const ServiceUnderTest& service, const std::string& family) {
  std::vector<Labels> exemplars;
  for (const MetricFamily& metric :
       ParseExposition(service.Get("/metrics", {{"Accept", kOpenMetrics}}).body)) {
    for (const Sample& sample : metric.samples) {
      if (metric.name == family && !sample.exemplar.empty()) exemplars.push_back(sample.exemplar);
    }
  }
  return exemplars;
}

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
    std::vector<Labels> exemplars;
    // Captured by name, because clang before 16 cannot capture structured bindings.
    const auto read = [&exemplars, &service = *service, &family = family] {
      return exemplars = Exemplars(service, family);
    };
    EXPECT_TRUE(Becomes(read, Not(IsEmpty())));
    for (const Labels& exemplar : exemplars) {
      const std::string trace_id = exemplar.at("trace_id");
      const std::string span_id = exemplar.at("span_id");
      EXPECT_TRUE(Eventually([&] {
        for (const Span& span : system.collector.SpansOf(trace_id)) {
          if (span.span_id == span_id) return true;
        }
        return false;
      })) << trace_id;
    }
  }
}

TEST_F(MetricsPage, CountsEachRequestOnce) {
  const auto expect = [](const ServiceUnderTest& service, const char* metric, const Labels& labels,
                         double count) {
    EXPECT_TRUE(Becomes([&] { return service.Metric(metric, labels); }, count))
        << metric << " " << testing::PrintToString(labels);
  };
  const auto requests = [&](const char* route, const char* status) {
    expect(system.frontend, "http_requests_total", {{"method", "GET"}, {"route", route}, {"status", status}},
           1);
  };
  requests("/roll", "200");
  requests("/roll", "500");
  requests("/roll", "503");
  requests("/roll-async", "200");
  expect(system.frontend, "http_request_duration_seconds_count", {{"route", "/roll"}}, 3);
  const ServiceUnderTest& roller = system.dice_roller;
  expect(roller, "dice_rolls_total", {{"die", "fair"}, {"mode", "sync"}, {"result", "success"}}, 1);
  expect(roller, "dice_rolls_total", {{"die", "extreme"}, {"mode", "async"}}, 20);
  expect(roller, "dice_roll_results_total", {{"die", "fair"}}, 1);
  expect(roller, "die_service_requests_total", {{"identifier", "fair"}, {"status", "200"}}, 1);
  expect(roller, "die_service_requests_total", {{"identifier", "extreme"}, {"status", "200"}}, 1);
  expect(roller, "die_service_request_duration_seconds_count", {}, 4);
  expect(system.die_service, "die_specifications_requested_total", {{"identifier", "extreme"}}, 1);
  expect(system.die_service, "die_list_requests_total", {}, 1);
  expect(system.die_service, "die_specifications_loaded", {}, 5);
}

TEST_F(MetricsPage, DoesNotGrowWithWhatCallersInvent) {
  for (int i = 0; i < 50; ++i) {
    const std::string name = "invented" + std::to_string(i);
    system.frontend.Get("/roll?die=" + name);
    system.frontend.Get("/" + name);
    Fetch(system.frontend.port(), "BREW" + std::to_string(i), "/roll");
  }
  const Labels unknown = {{"identifier", "unknown"}};
  EXPECT_TRUE(
      Becomes([&] { return system.die_service.Metric("die_specifications_requested_total", unknown); }, 51));
  EXPECT_TRUE(Becomes(
      [&] {
        return system.dice_roller.Metric("die_service_requests_total",
                                         {{"identifier", "unknown"}, {"status", "404"}});
      },
      51));
  for (ServiceUnderTest* service : system.services()) {
    EXPECT_THAT(service->Get("/metrics").body, Not(HasSubstr("invented"))) << service->name();
    EXPECT_THAT(service->Get("/metrics").body, Not(HasSubstr("BREW"))) << service->name();
  }
}

}  // namespace
