#include <gmock/gmock.h>

#include "support/otlp_receiver.h"
#include "unit/trace/telemetry.h"

namespace obs::trace {
namespace {

using testing::MatchesRegex;
using testing::SizeIs;

Config Console(const std::string& exporter = "console") {
  return {.exporter = exporter, .schedule_delay = std::chrono::milliseconds(20)};
}

TEST(ConsoleExporter, WritesAFinishedSpanAsOneLogLine) {
  Telemetry telemetry(Console());
  Span parent = telemetry.Start("GET /roll");
  Span span = telemetry.provider().tracer().Start(
      "GET", Kind::kClient, parent.context(),
      {{"die.type", "fair"}, {"roll.index", 3}, {"db.query.text", "SELECT 1"}, {"empty", ""}, {"ok", true}});
  span.Fail("timeout", "too late");
  span.End();
  ASSERT_TRUE(telemetry.provider().Shutdown(support::kPatience));
  const auto lines = telemetry.Lines("span");
  ASSERT_THAT(lines, SizeIs(1));
  const support::Json& line = lines[0];
  EXPECT_EQ(line["level"].Text(), "INFO");
  EXPECT_EQ(line["trace_id"].Text(), TraceId(span));
  EXPECT_EQ(line["span_id"].Text(), SpanId(span));
  EXPECT_EQ(line["parent_span_id"].Text(), SpanId(parent));
  EXPECT_EQ(line["name"].Text(), "GET");
  EXPECT_EQ(line["kind"].Text(), "client");
  EXPECT_THAT(line["start"].Text(), MatchesRegex("20[0-9-]{8}T[0-9:]{8}\\.[0-9]{6}Z"));
  EXPECT_GE(line["duration_ms"].Number(), 0);
  EXPECT_TRUE(line["duration_ms"].IsNumber());
  EXPECT_EQ(line["status"].Text(), "error");
  EXPECT_EQ(line["status_description"].Text(), "too late");
  EXPECT_EQ(line["attributes"].Text(),
            "db.query.text='SELECT 1' die.type=fair empty='' error.type=timeout ok=true roll.index=3");
  EXPECT_EQ(telemetry.Exported(), 1);
}

TEST(ConsoleExporter, GoesTogetherWithOtlp) {
  support::OtlpReceiver receiver;
  Config config = Console("console,otlp");
  config.otlp_endpoint = receiver.url() + "/v1/traces";
  Telemetry telemetry(config);
  const std::string trace_id = TraceId(telemetry.Start("roll"));
  ASSERT_TRUE(telemetry.provider().Shutdown(support::kPatience));
  EXPECT_THAT(telemetry.Lines("span"), SizeIs(1));
  EXPECT_THAT(receiver.SpansOf(trace_id), SizeIs(1));
  EXPECT_EQ(telemetry.Exported(), 2) << "each exporter counts";
}

TEST(NoExporter, RecordsAndSendsNothing) {
  Telemetry telemetry;
  telemetry.Record(3);
  ASSERT_TRUE(telemetry.provider().Shutdown(support::kPatience));
  EXPECT_EQ(telemetry.Exported() + telemetry.Failed() + telemetry.Dropped(), 0);
  EXPECT_THAT(telemetry.Lines("span"), SizeIs(0));
}

}  // namespace
}  // namespace obs::trace
