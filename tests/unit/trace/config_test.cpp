#include "obs/config/config.h"

#include <gmock/gmock.h>

#include <map>
#include <string>
#include <vector>

#include "obs/trace/tracer.h"

namespace obs::trace {
namespace {

using std::chrono_literals::operator""ms;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;

struct Result {
  Config config;
  std::vector<std::string> warnings;
  std::vector<std::string> faults;
  std::string table;
};

Result Read(const std::map<std::string, std::string, std::less<>>& environment) {
  config::Parser parser([&environment](std::string_view name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional(found->second);
  });
  Result result;
  result.config = ReadConfig(parser, "dice-roller", "1.2.3", result.warnings);
  result.faults = parser.faults();
  result.table = parser.Table();
  return result;
}

TEST(TraceConfig, HasTheDefaultsOfTheSpecificationWhenNothingIsSet) {
  const Result result = Read({});
  EXPECT_EQ(result.config.service_name, "dice-roller");
  EXPECT_EQ(result.config.service_version, "1.2.3");
  EXPECT_EQ(result.config.exporter, "otlp");
  EXPECT_EQ(result.config.sampler, "parentbased_always_on");
  EXPECT_EQ(result.config.propagators, "tracecontext,baggage");
  EXPECT_EQ(result.config.otlp_endpoint, "http://localhost:4318/v1/traces");
  EXPECT_FALSE(result.config.disabled);
  EXPECT_THAT(result.warnings, IsEmpty());
}

TEST(TraceConfig, TakesEveryVariable) {
  const Result result = Read({{"OTEL_SDK_DISABLED", "TRUE"},
                              {"OTEL_TRACES_EXPORTER", "console, otlp"},
                              {"OTEL_TRACES_SAMPLER", "parentbased_traceidratio"},
                              {"OTEL_TRACES_SAMPLER_ARG", "0.25"},
                              {"OTEL_PROPAGATORS", "b3,baggage"},
                              {"OTEL_LOG_LEVEL", "error"},
                              {"OTEL_BSP_MAX_QUEUE_SIZE", "100"},
                              {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"},
                              {"TRACE_QUEUE_BYTES", "1000000"},
                              {"OTEL_BSP_SCHEDULE_DELAY", "20"},
                              {"OTEL_EXPORTER_OTLP_TIMEOUT", "300"},
                              {"OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x"},
                              {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"},
                              {"OTEL_EXPORTER_OTLP_ENDPOINT", "https://alloy:4318/"}});
  EXPECT_THAT(result.warnings, IsEmpty());
  EXPECT_TRUE(result.config.disabled);
  EXPECT_EQ(result.config.exporter, "console,otlp");
  EXPECT_EQ(result.config.sampler, "parentbased_traceidratio");
  EXPECT_EQ(result.config.sampler_ratio, 0.25);
  EXPECT_EQ(result.config.propagators, "b3,baggage");
  EXPECT_EQ(result.config.log_level, log::Level::kError);
  EXPECT_EQ(result.config.queue_size, 100u);
  EXPECT_EQ(result.config.batch_size, 10u);
  EXPECT_EQ(result.config.queue_bytes, 1'000'000u);
  EXPECT_EQ(result.config.schedule_delay, 20ms);
  EXPECT_EQ(result.config.export_timeout, 300ms);
  EXPECT_THAT(result.config.otlp_headers, ElementsAre(Pair("authorization", "Bearer x")));
  EXPECT_EQ(result.config.otlp_certificate, "/ca.pem");
  EXPECT_EQ(result.config.otlp_endpoint, "https://alloy:4318/v1/traces");
}

TEST(TraceConfig, PrefersTheVariablesForTracesAlone) {
  const Result result = Read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://alloy:4318"},
                              {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://tempo:4318/other"},
                              {"OTEL_EXPORTER_OTLP_TIMEOUT", "300"},
                              {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "400"},
                              {"OTEL_EXPORTER_OTLP_HEADERS", "a=1"},
                              {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"}});
  EXPECT_EQ(result.config.otlp_endpoint, "http://tempo:4318/other");
  EXPECT_EQ(result.config.export_timeout, 400ms);
  EXPECT_THAT(result.config.otlp_headers, ElementsAre(Pair("b", "2")));
}

TEST(TraceConfig, WarnsOfAValueThatIsNotKnownAndKeepsTheDefault) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"OTEL_SDK_DISABLED", "yes"},
      {"OTEL_TRACES_EXPORTER", "zipkin"},
      {"OTEL_TRACES_SAMPLER", "jaeger_remote"},
      {"OTEL_TRACES_SAMPLER_ARG", "a lot"},
      {"OTEL_TRACES_SAMPLER_ARG", "1.5"},
      {"OTEL_TRACES_SAMPLER_ARG", "nan"},
      {"OTEL_PROPAGATORS", "xray"},
      {"OTEL_LOG_LEVEL", "loud"},
      {"OTEL_BSP_MAX_QUEUE_SIZE", "0"},
      {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1"},
      {"TRACE_QUEUE_BYTES", "100"},
      {"OTEL_BSP_SCHEDULE_DELAY", "soon"},
      {"OTEL_BSP_EXPORT_TIMEOUT", "0"},
      {"OTEL_ATTRIBUTE_COUNT_LIMIT", "-1"},
      {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many"},
      {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1k"},
      {"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "99999999999"},
      {"OTEL_EXPORTER_OTLP_TIMEOUT", "2s"},
      {"OTEL_EXPORTER_OTLP_ENDPOINT", "alloy:4318"},
      {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "grpc://alloy:4317"},
      {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
      {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"}};
  const Config defaults = Read({}).config;
  for (const auto& [name, value] : cases) {
    const Result result = Read({{name, value}});
    EXPECT_THAT(result.warnings, ElementsAre(AllOf(HasSubstr(name), HasSubstr(value)))) << name;
    EXPECT_THAT(result.faults, IsEmpty()) << name;
    EXPECT_EQ(result.config.exporter, defaults.exporter) << name;
    EXPECT_EQ(result.config.sampler, defaults.sampler) << name;
    EXPECT_EQ(result.config.sampler_ratio, defaults.sampler_ratio) << name << value;
    EXPECT_EQ(result.config.propagators, defaults.propagators) << name;
    EXPECT_EQ(result.config.queue_size, defaults.queue_size) << name;
    EXPECT_EQ(result.config.batch_size, defaults.batch_size) << name;
    EXPECT_EQ(result.config.schedule_delay, defaults.schedule_delay) << name;
    EXPECT_EQ(result.config.export_timeout, defaults.export_timeout) << name;
    EXPECT_EQ(result.config.limits.attributes, defaults.limits.attributes) << name;
    EXPECT_EQ(result.config.limits.attribute_length, defaults.limits.attribute_length) << name;
    EXPECT_EQ(result.config.otlp_endpoint, defaults.otlp_endpoint) << name;
    EXPECT_EQ(result.config.disabled, defaults.disabled) << name;
  }
}

TEST(TraceConfig, KeepsTheKnownItemsOfAList) {
  const Result result =
      Read({{"OTEL_TRACES_EXPORTER", "zipkin,console"}, {"OTEL_PROPAGATORS", "xray, b3multi ,b3multi"}});
  EXPECT_EQ(result.config.exporter, "console");
  EXPECT_EQ(result.config.propagators, "b3multi");
  EXPECT_THAT(result.warnings, ElementsAre(HasSubstr("zipkin"), HasSubstr("xray")));
}

TEST(TraceConfig, HoldsABatchToTheQueue) {
  const Result result = Read({{"OTEL_BSP_MAX_QUEUE_SIZE", "100"}});
  EXPECT_EQ(result.config.batch_size, 100u);
}

TEST(TraceConfig, PrefersTheLimitsOfSpans) {
  const SpanLimits defaults = Read({}).config.limits;
  EXPECT_EQ(defaults.attributes, 128u);
  EXPECT_EQ(defaults.attribute_length, 4096u);
  const SpanLimits general =
      Read({{"OTEL_ATTRIBUTE_COUNT_LIMIT", "7"}, {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9"}}).config.limits;
  EXPECT_EQ(general.attributes, 7u);
  EXPECT_EQ(general.attribute_length, 9u);
  const SpanLimits special = Read({{"OTEL_ATTRIBUTE_COUNT_LIMIT", "7"},
                                   {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0"},
                                   {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9"},
                                   {"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100000"}})
                                 .config.limits;
  EXPECT_EQ(special.attributes, 0u);
  EXPECT_EQ(special.attribute_length, 100'000u);
}

TEST(TraceConfig, HoldsAnExportToTheSmallerOfItsTwoTimes) {
  EXPECT_EQ(Read({}).config.export_timeout, 2000ms);
  EXPECT_EQ(Read({{"OTEL_BSP_EXPORT_TIMEOUT", "500"}}).config.export_timeout, 500ms);
  EXPECT_EQ(Read({{"OTEL_BSP_EXPORT_TIMEOUT", "30000"}}).config.export_timeout, 2000ms);
  EXPECT_EQ(Read({{"OTEL_EXPORTER_OTLP_TIMEOUT", "60000"}}).config.export_timeout, 60'000ms);
}

TEST(TraceConfig, DecodesTheResourceAttributes) {
  const Result result =
      Read({{"OTEL_RESOURCE_ATTRIBUTES", "team=dice%2Cand%20more, a%3Db = W%C3%BCrfel ,empty=,x=1=2,"}});
  EXPECT_THAT(result.config.resource_attributes,
              ElementsAre(Pair("a=b", "W\xC3\xBCrfel"), Pair("empty", ""), Pair("team", "dice,and more"),
                          Pair("x", "1=2")));
  EXPECT_THAT(result.warnings, IsEmpty());
}

TEST(TraceConfig, UsesNoResourceAttributeWhenOneIsMalformed) {
  for (const char* text : {"a=1,b", "a=1,=2", "a=1,b=%", "a=1,b=%4", "a=1,b=%zz", "a=1,b=% 1", "a=1,%=2"}) {
    const Result result = Read({{"OTEL_RESOURCE_ATTRIBUTES", text}, {"OTEL_SERVICE_NAME", "kept"}});
    EXPECT_THAT(result.config.resource_attributes, ElementsAre(Pair("service.name", "kept"))) << text;
    EXPECT_THAT(result.warnings, ElementsAre(AllOf(HasSubstr("OTEL_RESOURCE_ATTRIBUTES"), HasSubstr(text))));
    EXPECT_THAT(result.faults, IsEmpty());
  }
}

TEST(TraceConfig, PrefersTheVariableForTheServiceName) {
  const std::string attributes = "service.name=attribute,service.version=9";
  EXPECT_THAT(Read({{"OTEL_RESOURCE_ATTRIBUTES", attributes}}).config.resource_attributes,
              ElementsAre(Pair("service.name", "attribute"), Pair("service.version", "9")));
  EXPECT_THAT(Read({{"OTEL_RESOURCE_ATTRIBUTES", attributes}, {"OTEL_SERVICE_NAME", "variable"}})
                  .config.resource_attributes,
              ElementsAre(Pair("service.name", "variable"), Pair("service.version", "9")));
}

TEST(TraceConfig, SkipsAHeaderThatWouldBreakTheRequestAndKeepsItsValueSecret) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"x secret=secret", "x secret"},
      {"=secret", "''"},
      {"evil=secret%0d%0ab", "evil"},
      {"bell=secret%07", "bell"},
      {"cut=secret%2", "cut"},
      {"hex=secret%zz", "hex"},
      {"umlaut=secret\xC3\xBC", "umlaut"},
      {"Content-Type=text/secret", "Content-Type"},
      {"content-length=0secret", "content-length"}};
  for (const auto& [entry, name] : cases) {
    const Result result = Read({{"OTEL_EXPORTER_OTLP_HEADERS", "a=1," + entry + ",b=x%3Dy"}});
    EXPECT_THAT(result.config.otlp_headers, ElementsAre(Pair("a", "1"), Pair("b", "x=y"))) << entry;
    EXPECT_THAT(result.warnings, ElementsAre(AllOf(HasSubstr("OTEL_EXPORTER_OTLP_HEADERS: entry 2"),
                                                   HasSubstr(name), Not(HasSubstr("=secret")),
                                                   Not(HasSubstr("secret%")), Not(HasSubstr("0secret")))))
        << entry;
    EXPECT_THAT(result.faults, IsEmpty());
  }
}

TEST(TraceConfig, ShowsNothingOfAHeaderWithoutAName) {
  const Result result = Read({{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "Bearer secret"}});
  EXPECT_THAT(result.config.otlp_headers, IsEmpty());
  EXPECT_THAT(result.warnings,
              ElementsAre(AllOf(HasSubstr("OTEL_EXPORTER_OTLP_TRACES_HEADERS"), Not(HasSubstr("secret")))));
}

TEST(TraceConfig, ListsItsVariablesForHelpWithoutTheirValues) {
  const Result result = Read({{"OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret"}});
  EXPECT_THAT(result.table, AllOf(HasSubstr("OTEL_TRACES_SAMPLER"), HasSubstr("OTEL_RESOURCE_ATTRIBUTES"),
                                  HasSubstr("OTEL_EXPORTER_OTLP_HEADERS"), Not(HasSubstr("secret"))));
}

}  // namespace
}  // namespace obs::trace
