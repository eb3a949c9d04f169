#include "support/exposition.h"

#include <gmock/gmock.h>
#include <prometheus/collectable.h>
#include <prometheus/registry.h>
#include <prometheus/summary.h>

#include <chrono>
#include <limits>
#include <map>
#include <memory>
#include <string>

#include "obs/metrics/registry.h"
#include "support/json.h"

namespace obs::metrics {
namespace {

using support::Json;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kTraceId = "0af7651916cd43dd8448eb211c80319c";
constexpr std::string_view kSpanId = "b7ad6b7169203331";
constexpr Exemplar kExemplar{kTraceId, kSpanId};

/// What a real parser made of a page: its families by name.
std::map<std::string, Json> Parse(const Registry& registry, Format format) {
  std::map<std::string, Json> families;
  const std::string page = registry.Render(format);
  for (const Json& family :
       support::ParseByPrometheus(page, format == Format::kText ? "text" : "openmetrics")) {
    EXPECT_TRUE(families.emplace(family["name"].Text(), family).second) << "twice: " << family;
  }
  return families;
}

/// The sample of that name with exactly these labels; null when there is none.
Json Sample(const Json& family, const std::string& name, const std::map<std::string, std::string>& labels) {
  for (const Json& sample : family["samples"].Items()) {
    std::map<std::string, std::string> found;
    for (const std::string& label : sample["labels"].Names()) found[label] = sample["labels"][label].Text();
    if (sample["name"].Text() == name && found == labels) return sample;
  }
  return {};
}

double Now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

class ExpositionIn : public testing::TestWithParam<Format> {
 protected:
  bool open_metrics() const { return GetParam() == Format::kOpenMetrics; }
  std::map<std::string, Json> Parsed() const { return Parse(registry_, GetParam()); }

  Registry registry_;
};

TEST_P(ExpositionIn, GivesCountersTheirNamesAndLabels) {
  auto& requests = registry_.AddCounter("http_requests_total", "Requests.", {"method", "status"});
  requests.With({"GET", "200"}).Increment(3);
  requests.With({"POST", "400"}).Increment();
  // The client's text parser names a counter's family as OpenMetrics does.
  const Json family = Parsed()["http_requests"];
  EXPECT_EQ(family["type"].Text(), "counter");
  EXPECT_EQ(family["help"].Text(), "Requests.");
  EXPECT_EQ(family["samples"].size(), 2u);
  const std::string name = "http_requests_total";
  EXPECT_EQ(Sample(family, name, {{"method", "GET"}, {"status", "200"}})["value"].Number(), 3);
  EXPECT_EQ(Sample(family, name, {{"method", "POST"}, {"status", "400"}})["value"].Number(), 1);
}

TEST_P(ExpositionIn, EscapesLabelValuesAndHelp) {
  const std::string odd = "a \"quoted\" \\ back\\nslash\nand a newline, é";
  registry_.AddGauge("odd", odd, {"label"}).With({odd}).Set(-0.25);
  const Json family = Parsed()["odd"];
  EXPECT_EQ(family["help"].Text(), odd);
  EXPECT_EQ(Sample(family, "odd", {{"label", odd}})["value"].Number(), -0.25);
}

TEST_P(ExpositionIn, CountsBucketsCumulatively) {
  auto& seconds = registry_.AddHistogram("request_duration_seconds", "Duration.", {"route"}, {0.005, 1, 1e6});
  Histogram& histogram = seconds.With({"/roll"});
  for (const double value : {0.001, 0.005, 0.5, 1.0, 2e6}) histogram.Observe(value);
  const Json family = Parsed()["request_duration_seconds"];
  EXPECT_EQ(family["type"].Text(), "histogram");
  const auto bucket = [&family](const std::string& le) {
    return Sample(family, "request_duration_seconds_bucket", {{"route", "/roll"}, {"le", le}})["value"]
        .Number();
  };
  EXPECT_EQ(bucket("0.005"), 2);
  EXPECT_EQ(bucket("1.0"), 4);
  EXPECT_EQ(bucket("1e+06"), 4);
  EXPECT_EQ(bucket("+Inf"), 5);
  EXPECT_EQ(Sample(family, "request_duration_seconds_count", {{"route", "/roll"}})["value"].Number(), 5);
  EXPECT_NEAR(Sample(family, "request_duration_seconds_sum", {{"route", "/roll"}})["value"].Number(),
              2000001.506, 1e-3);
}

TEST_P(ExpositionIn, TakesWhatPrometheusCppCollects) {
  auto others = std::make_shared<prometheus::Registry>();
  prometheus::BuildCounter()
      .Name("other")
      .Help("A counter without suffix.")
      .Register(*others)
      .Add({})
      .Increment(7);
  prometheus::BuildSummary()
      .Name("sizes")
      .Help("Sizes.")
      .Register(*others)
      .Add({}, prometheus::Summary::Quantiles{{0.5, 0.05}})
      .Observe(3);
  registry_.AddCollectable(others);
  auto families = Parsed();
  EXPECT_EQ(Sample(families["other"], "other_total", {})["value"].Number(), 7);
  EXPECT_EQ(Sample(families["sizes"], "sizes", {{"quantile", "0.5"}})["value"].Number(), 3);
  EXPECT_EQ(Sample(families["sizes"], "sizes_count", {})["value"].Number(), 1);
}

class Fixed final : public prometheus::Collectable {
 public:
  explicit Fixed(prometheus::MetricFamily family) : family_(std::move(family)) {}
  std::vector<prometheus::MetricFamily> Collect() const override { return {family_}; }

 private:
  prometheus::MetricFamily family_;
};

TEST_P(ExpositionIn, KeepsThePageValidWhenANameIsTaken) {
  registry_.AddGauge("temperature_celsius", "Temperature.", {"room"}).With({"attic"}).Set(30);
  prometheus::ClientMetric cellar;
  cellar.label = {{"room", "cellar"}};
  cellar.gauge.value = 12;
  registry_.AddCollectable(std::make_shared<Fixed>(
      prometheus::MetricFamily{"temperature_celsius", "Other.", prometheus::MetricType::Gauge, {cellar}}));
  registry_.AddCollectable(std::make_shared<Fixed>(
      prometheus::MetricFamily{"temperature_celsius", "Wrong.", prometheus::MetricType::Untyped, {cellar}}));
  const Json family = Parsed()["temperature_celsius"];
  EXPECT_EQ(family["samples"].size(), 2u);
  EXPECT_EQ(Sample(family, "temperature_celsius", {{"room", "cellar"}})["value"].Number(), 12);
}

TEST_P(ExpositionIn, WritesTheTimeThatACollectableGives) {
  prometheus::ClientMetric metric;
  metric.untyped.value = std::numeric_limits<double>::infinity();
  metric.timestamp_ms = 1700000000007;
  registry_.AddCollectable(std::make_shared<Fixed>(
      prometheus::MetricFamily{"old", "Old.", prometheus::MetricType::Untyped, {metric}}));
  EXPECT_TRUE(Parsed().contains("old"));
  EXPECT_THAT(registry_.Render(GetParam()),
              HasSubstr(open_metrics() ? "\nold +Inf 1700000000.007\n" : "\nold +Inf 1700000000007\n"));
}

TEST_P(ExpositionIn, AcceptsEveryKindOfValue) {
  auto& gauge = registry_.AddGauge("values", "Values.", {"kind"});
  gauge.With({"nan"}).Set(std::numeric_limits<double>::quiet_NaN());
  gauge.With({"least"}).Set(-std::numeric_limits<double>::infinity());
  gauge.With({"tiny"}).Set(5e-324);
  gauge.With({"huge"}).Set(1.7976931348623157e308);
  const Json family = Parsed()["values"];
  const auto value = [&family](const std::string& kind) {
    return Sample(family, "values", {{"kind", kind}})["value"];
  };
  EXPECT_EQ(value("nan").Text(), "nan");
  EXPECT_EQ(value("least").Text(), "-inf");
  EXPECT_EQ(value("tiny").Number(), 5e-324);
  EXPECT_EQ(value("huge").Number(), 1.7976931348623157e308);
}

TEST_P(ExpositionIn, IsValidWithNothingToSay) { EXPECT_TRUE(Parsed().empty()); }

TEST_P(ExpositionIn, HasProcessMetricsUnderTheirUsualNames) {
  registry_.AddProcessMetrics();
  auto families = Parsed();
  const auto value = [&families](const std::string& name) {
    const Json family = families[name.ends_with("_total") ? name.substr(0, name.size() - 6) : name];
    const Json sample = Sample(family, name, {});
    EXPECT_FALSE(sample.IsNull()) << name;
    return sample["value"].Number();
  };
  EXPECT_GT(value("process_cpu_seconds_total"), 0);
  EXPECT_GT(value("process_resident_memory_bytes"), 1e6);
  EXPECT_GT(value("process_virtual_memory_bytes"), value("process_resident_memory_bytes"));
  EXPECT_GE(value("process_open_fds"), 3);
  EXPECT_GT(value("process_max_fds"), value("process_open_fds"));
  EXPECT_GE(value("process_threads"), 1);
  EXPECT_NEAR(value("process_start_time_seconds"), Now(), 130);
}

INSTANTIATE_TEST_SUITE_P(A, ExpositionIn, testing::Values(Format::kText, Format::kOpenMetrics),
                         [](const auto& test) {
                           return test.param == Format::kText ? "Text" : "OpenMetrics";
                         });

TEST(OpenMetrics, CarriesTheLatestExemplarOfEachBucket) {
  Registry registry;
  Histogram& histogram = registry.AddHistogram("duration_seconds", "Duration.", {}, {0.1, 1}).With({});
  const std::string newer(32, 'c');
  histogram.Observe(0.05, kExemplar);
  histogram.Observe(0.5, kExemplar);
  histogram.Observe(0.75, {newer, kSpanId});
  histogram.Observe(1.5);
  const Json family = Parse(registry, Format::kOpenMetrics)["duration_seconds"];
  const auto exemplar = [&family](const std::string& le) {
    return Sample(family, "duration_seconds_bucket", {{"le", le}})["exemplar"];
  };
  EXPECT_EQ(exemplar("0.1")["labels"]["trace_id"].Text(), kTraceId);
  EXPECT_EQ(exemplar("0.1")["labels"]["span_id"].Text(), kSpanId);
  EXPECT_EQ(exemplar("0.1")["value"].Number(), 0.05);
  EXPECT_NEAR(exemplar("0.1")["timestamp"].Number(), Now(), 130);
  EXPECT_EQ(exemplar("1.0")["labels"]["trace_id"].Text(), newer);
  EXPECT_EQ(exemplar("1.0")["value"].Number(), 0.75);
  EXPECT_TRUE(exemplar("+Inf").IsNull());
}

TEST(OpenMetrics, NamesBaseUnits) {
  Registry registry;
  registry.AddCounter("cpu_seconds_total", "Time.");
  registry.AddGauge("resident_bytes", "Memory.");
  registry.AddGauge("seconds", "No unit: it is the whole name.");
  registry.AddGauge("milliseconds", "No base unit.");
  auto families = Parse(registry, Format::kOpenMetrics);
  EXPECT_EQ(families["cpu_seconds"]["unit"].Text(), "seconds");
  EXPECT_EQ(families["resident_bytes"]["unit"].Text(), "bytes");
  EXPECT_EQ(families["seconds"]["unit"].Text(), "");
  EXPECT_EQ(families["milliseconds"]["unit"].Text(), "");
}

TEST(OpenMetrics, IsWrittenAsTheStandardShowsIt) {
  Registry registry;
  registry.AddCounter("foo_seconds_total", "Some \"help\".").With({}).Increment(1.5);
  EXPECT_EQ(registry.Render(Format::kOpenMetrics),
            "# HELP foo_seconds Some \\\"help\\\".\n"
            "# TYPE foo_seconds counter\n"
            "# UNIT foo_seconds seconds\n"
            "foo_seconds_total 1.5\n"
            "# EOF\n");
}

TEST(PrometheusText, HasNothingThatIsOfOpenMetricsOnly) {
  Registry registry;
  registry.AddCounter("foo_seconds_total", "Some \"help\".").With({}).Increment(1.5);
  registry.AddHistogram("bar_seconds", "Bar.", {}, {1}).With({}).Observe(0.5, kExemplar);
  const std::string page = registry.Render(Format::kText);
  EXPECT_THAT(page, EndsWith("# HELP foo_seconds_total Some \"help\".\n"
                             "# TYPE foo_seconds_total counter\n"
                             "foo_seconds_total 1.5\n"));
  EXPECT_THAT(page, Not(HasSubstr("trace_id")));
}

}  // namespace
}  // namespace obs::metrics
