#include <gmock/gmock.h>

#include <set>
#include <thread>

#include "support/otlp_receiver.h"
#include "unit/trace/telemetry.h"

namespace obs::trace {
namespace {

using support::OtlpReceiver;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using testing::UnorderedElementsAre;

Config ExportingTo(const std::string& url) {
  return {.service_name = "dice-roller",
          .service_version = "1.2.3",
          .schedule_delay = std::chrono::milliseconds(20),
          .otlp_endpoint = url + "/v1/traces"};
}

class SpanTest : public testing::Test {
 protected:
  support::Span Received(const std::string& trace_id) {
    const auto spans = receiver_.WaitForSpans(trace_id, 1);
    EXPECT_THAT(spans, SizeIs(1));
    return spans.empty() ? support::Span() : spans.front();
  }

  OtlpReceiver receiver_;
  Telemetry telemetry_{ExportingTo(receiver_.url())};
};

TEST_F(SpanTest, ArrivesWithNameKindTimesAndAttributes) {
  const auto before = std::chrono::system_clock::now().time_since_epoch();
  std::string trace_id;
  {
    Span span = telemetry_.provider().tracer().Start(
        "GET", Kind::kServer, {}, {{"die.type", "fair"}, {"roll.index", 3}, {"cached", false}});
    span.Set({"share", 0.5});
    span.Rename("GET /roll");
    trace_id = TraceId(span);
  }
  const support::Span span = Received(trace_id);
  const auto after = std::chrono::system_clock::now().time_since_epoch();
  EXPECT_EQ(span.name, "GET /roll");
  EXPECT_EQ(span.kind, "server");
  EXPECT_EQ(span.status, "unset");
  EXPECT_EQ(span.parent_span_id, "");
  EXPECT_THAT(span.attributes, UnorderedElementsAre(Pair("die.type", "fair"), Pair("roll.index", "3"),
                                                    Pair("cached", "false"), Pair("share", "0.500000")));
  EXPECT_LE(std::chrono::nanoseconds(before).count(), static_cast<std::int64_t>(span.start));
  EXPECT_LE(span.start, span.end);
  EXPECT_GE(std::chrono::nanoseconds(after).count(), static_cast<std::int64_t>(span.end));
}

TEST_F(SpanTest, ArrivesAsFailedWithTheErrorType) {
  std::string trace_id;
  {
    Span span = telemetry_.Start("roll");
    span.Fail("roll-failed", "the die fell off the table");
    trace_id = TraceId(span);
  }
  const support::Span span = Received(trace_id);
  EXPECT_EQ(span.status, "error");
  EXPECT_EQ(span.status_message, "the die fell off the table");
  EXPECT_EQ(span.Attribute("error.type"), "roll-failed");
}

TEST_F(SpanTest, EndsOnceAndThenRecordsNoMore) {
  Span span = telemetry_.Start("roll");
  const std::string trace_id = TraceId(span);
  span.End();
  EXPECT_FALSE(span.recording());
  span.Set({"late", true});
  span.End();
  EXPECT_EQ(TraceId(span), trace_id) << "log lines after the end still need the id";
  EXPECT_THAT(Received(trace_id).attributes, IsEmpty());
}

TEST_F(SpanTest, IsTheParentOfSpansOnOtherThreads) {
  constexpr int kThreads = 8;
  std::string trace_id;
  std::string root_id;
  {
    const Span root = telemetry_.Start("GET /roll-async");
    trace_id = TraceId(root);
    root_id = SpanId(root);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([this, i, context = root.context()] {
        telemetry_.provider().tracer().Start("roll", Kind::kInternal, context, {{"roll.index", i}});
      });
    }
    for (auto& thread : threads) thread.join();
  }
  const auto spans = receiver_.WaitForSpans(trace_id, kThreads + 1);
  ASSERT_THAT(spans, SizeIs(kThreads + 1));
  std::set<std::string> ids;
  std::set<std::string> indices;
  for (const auto& span : spans) {
    ids.insert(span.span_id);
    indices.insert(span.Attribute("roll.index"));
    EXPECT_EQ(span.parent_span_id, span.name == "roll" ? root_id : "");
  }
  EXPECT_THAT(ids, SizeIs(kThreads + 1));
  EXPECT_THAT(indices, SizeIs(kThreads + 1));
}

TEST_F(SpanTest, MayEndOnAnotherThread) {
  Span span = telemetry_.Start("roll");
  const std::string trace_id = TraceId(span);
  std::thread([moved = std::move(span)]() mutable {
    moved.Set({"roll.result", 4});
    moved.End();
  }).join();
  EXPECT_EQ(Received(trace_id).Attribute("roll.result"), "4");
}

TEST_F(SpanTest, GivesAnExemplarWhileItIsSampled) {
  const Span span = telemetry_.Start("roll");
  EXPECT_EQ(span.exemplar().trace_id, TraceId(span));
  EXPECT_EQ(span.exemplar().span_id, SpanId(span));
}

TEST_F(SpanTest, NamesTheServiceThatItComesFrom) {
  const std::string trace_id = TraceId(telemetry_.Start("roll"));
  const auto resource = Received(trace_id).resource;
  EXPECT_EQ(resource.at("service.name"), "dice-roller");
  EXPECT_EQ(resource.at("service.version"), "1.2.3");
  EXPECT_EQ(resource.at("telemetry.sdk.language"), "cpp");
  EXPECT_THAT(resource.at("service.instance.id"),
              testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
}

TEST(Resource, LetsTheEnvironmentWin) {
  OtlpReceiver receiver;
  Config config = ExportingTo(receiver.url());
  config.resource_attributes = {
      {"service.name", "other-name"}, {"service.version", "9"}, {"deployment.environment.name", "test"}};
  Telemetry telemetry(config);
  const std::string trace_id = TraceId(telemetry.Start("roll"));
  const auto spans = receiver.WaitForSpans(trace_id, 1);
  ASSERT_THAT(spans, SizeIs(1));
  EXPECT_EQ(spans[0].service, "other-name");
  EXPECT_EQ(spans[0].resource.at("service.version"), "9");
  EXPECT_EQ(spans[0].resource.at("deployment.environment.name"), "test");
  EXPECT_EQ(spans[0].resource.at("service.instance.id").size(), 36u);
}

TEST(EmptySpan, TakesEveryCall) {
  Span span;
  span.Set({"a", 1});
  span.Rename("b");
  span.Fail("c", "d");
  span.End();
  EXPECT_FALSE(span.recording());
  EXPECT_FALSE(span.context().valid());
  EXPECT_FALSE(span.correlation().valid());
  EXPECT_TRUE(span.exemplar().trace_id.empty());
  EXPECT_FALSE(Tracer().Start("roll", Kind::kInternal, {}).recording());
}

}  // namespace
}  // namespace obs::trace
