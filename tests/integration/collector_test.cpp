// Losing the collector costs requests nothing and the end of the process at most the configured deadline.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/dice_system.h"
#include "support/parameter_name.h"

namespace {

using namespace support;  // NOLINT(google-build-using-namespace)

struct Lost {
  const char* name;
  std::optional<OtlpReceiver::Mode> mode;  ///< nothing: nobody listens
};

class LostCollector : public testing::TestWithParam<Lost> {
 protected:
  LostCollector() : dice(kTestDice) {
    if (GetParam().mode) collector = std::make_unique<OtlpReceiver>(*GetParam().mode);
  }
  std::unique_ptr<ServiceUnderTest> MakeService(const std::string& collector_url) {
    auto service = std::make_unique<ServiceUnderTest>("die-service", CommonEnvironment(collector_url));
    service->Set("DIE_STORE", "file");
    service->Set("DIE_SPECIFICATIONS_FILE", dice.path());
    service->Set("OTEL_BSP_MAX_QUEUE_SIZE", "1024");
    service->Set("OTEL_EXPORTER_OTLP_TIMEOUT", "300");
    service->Set("TELEMETRY_FLUSH_TIMEOUT", "500ms");
    return service;
  }
  std::string lost_url() const { return collector ? collector->url() : nobody.url(); }

  /// The times of 3000 requests on one connection, ascending.
  static std::vector<std::chrono::nanoseconds> Measure(const ServiceUnderTest& service) {
    std::vector<std::chrono::nanoseconds> times;
    HttpConnection connection(service.port());
    for (int i = 0; i < 3000; ++i) {
      const auto start = std::chrono::steady_clock::now();
      connection.Request("GET", "/dice/fair");
      const auto reply = connection.Read();
      EXPECT_TRUE(reply && reply->status == 200);
      if (!reply) break;
      times.push_back(std::chrono::steady_clock::now() - start);
    }
    std::sort(times.begin(), times.end());
    return times;
  }

  TemporaryFile dice;
  ReservedPort nobody;
  std::unique_ptr<OtlpReceiver> collector;
};

TEST_P(LostCollector, SlowsNoRequestAndDelaysTheEndByItsDeadlineAlone) {
  OtlpReceiver healthy;
  const auto with = MakeService(healthy.url());
  const auto without = MakeService(lost_url());
  with->StartReady();
  without->StartReady();
  const auto reference = Measure(*with);
  const auto times = Measure(*without);
  ASSERT_EQ(times.size(), 3000u);
  // Medians differ by the machine's noise; a request that waits for an export would take 300 ms.
  EXPECT_LT(times[1500], 3 * reference[1500] + 1ms);
  EXPECT_LT(times[2990], 100ms);

  EXPECT_TRUE(Eventually([&] {
    const auto metrics = without->Metrics();
    return GetParam().mode == OtlpReceiver::Mode::kSlow ||
           Value(metrics, "otel_sdk_exporter_span_failed_total") +
                   Value(metrics, "otel_sdk_processor_span_dropped_total") >
               0;
  }));
  EXPECT_LE(without->Metric("otel_sdk_processor_span_queue_size"), 1024);

  const Stopwatch stopwatch;
  EXPECT_EQ(without->Stop(), 0);
  EXPECT_LT(stopwatch.elapsed(), 500ms + 1500ms);
  const std::string errors = without->process().Errors();
  EXPECT_LT(std::count(errors.begin(), errors.end(), '\n'), 5) << errors;
}

INSTANTIATE_TEST_SUITE_P(Collectors, LostCollector,
                         testing::Values(Lost{"Absent", std::nullopt},
                                         Lost{"Slow", OtlpReceiver::Mode::kSlow},
                                         Lost{"Refusing", OtlpReceiver::Mode::kRefusing},
                                         Lost{"Hanging", OtlpReceiver::Mode::kHanging}),
                         ParameterName<Lost>);

TEST(Collector, GetsEverySpanBeforeTheProcessEnds) {
  DiceSystem system;
  system.die_service.Set("OTEL_BSP_SCHEDULE_DELAY", "60000");
  system.die_service.StartReady();
  HttpConnection connection(system.die_service.port());
  for (int i = 0; i < 300; ++i) {
    connection.Request("GET", "/dice");
    ASSERT_TRUE(connection.Read());
  }
  EXPECT_EQ(system.die_service.Stop(), 0);
  EXPECT_EQ(system.collector.Spans().size(), 300u);
}

std::map<std::string, std::string> ResourceWith(const std::string& attributes) {
  DiceSystem system;
  system.die_service.Set("OTEL_RESOURCE_ATTRIBUTES", attributes);
  system.die_service.StartReady();
  system.die_service.Get("/dice");
  EXPECT_TRUE(Eventually([&] { return !system.collector.Spans().empty(); }));
  return system.collector.Spans().at(0).resource;
}

TEST(Collector, GetsTheResourceDecodedOrNothingOfItWhenMalformed) {
  const auto decoded = ResourceWith("team=dice%2Cand%20more,service.name=other");
  EXPECT_EQ(decoded.at("team"), "dice,and more");
  EXPECT_EQ(decoded.at("service.name"), "other");
  const auto malformed = ResourceWith("team=dice,owner=%zz,service.name=other");
  EXPECT_EQ(malformed.count("team") + malformed.count("owner"), 0u);
  EXPECT_EQ(malformed.at("service.name"), "die-service");
}

TEST(Collector, CountsWhatItGot) {
  DiceSystem system;
  system.die_service.StartReady();
  for (int i = 0; i < 10; ++i) system.die_service.Get("/dice");
  EXPECT_TRUE(
      Eventually([&] { return system.die_service.Metric("otel_sdk_exporter_span_exported_total") == 10; }));
  EXPECT_EQ(system.die_service.Metric("otel_sdk_exporter_span_failed_total"), 0);
  EXPECT_EQ(system.die_service.Metric("otel_sdk_processor_span_dropped_total"), 0);
  EXPECT_EQ(system.collector.Spans().size(), 10u);
}

TEST(Collector, IsFoundAgainWhenItComesBack) {
  ReservedPort place;
  TemporaryFile dice(kTestDice);
  ServiceUnderTest service("die-service", CommonEnvironment(place.url()));
  service.Set("DIE_SPECIFICATIONS_FILE", dice.path());
  service.StartReady();
  service.Get("/dice");
  ASSERT_TRUE(Eventually([&] { return service.Metric("otel_sdk_exporter_span_failed_total") > 0; }));
  OtlpReceiver collector(OtlpReceiver::Mode::kNormal, place.port());
  EXPECT_TRUE(Eventually([&] {
    service.Get("/dice");
    return !collector.Spans().empty();
  }));
}

}  // namespace
